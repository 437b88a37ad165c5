"""What the API shows of a transfer, as time passes."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from unionws.source.simulator.rows import (
    LIFE_OF_LATENCY,
    TRANSFER_FIELDS,
    Moment,
    steps,
    timestamp,
    token_meta,
    transaction_at,
)
from unionws.source.simulator.search import rows_between
from unionws.source.simulator.traffic import Bursts, Row, Traffic
from unionws.source.simulator.world import load_world

NOON = 1_760_011_200


def traffic() -> Traffic:
    return Traffic(rate=5.0, seed=1, bursts=Bursts(every=0), people=50_000)


def rows_of(source: Traffic, seconds: int) -> list[Row]:
    return rows_between(source, NOON, NOON + seconds)


def test_a_receipt_appears_when_its_latency_has_passed_and_stays() -> None:
    """Facts of a row only ever go from unknown to known."""
    source = traffic()
    row = next(row for row in source.block(NOON // source.span) if row.outcome == "received")
    received = TRANSFER_FIELDS["transfer_recv_timestamp"]
    before = received(row, Moment(row.sent + row.recv_after - 0.01, source.ids))
    after = [received(row, Moment(row.sent + row.recv_after + later, source.ids)) for later in (0.01, 9e5)]
    assert before is None
    assert after[0] is not None
    assert after[0] == after[1]


def test_a_packet_nobody_relays_times_out() -> None:
    """A timed-out packet is never received and has its time-out instead."""
    source = traffic()
    row = next(row for row in rows_of(source, 6000) if row.outcome == "timeout")
    moment = Moment(row.sent + 1e6, source.ids)
    assert TRANSFER_FIELDS["transfer_recv_timestamp"](row, moment) is None
    assert TRANSFER_FIELDS["transfer_timeout_timestamp"](row, moment) is not None
    traces = TRANSFER_FIELDS["traces"](row, moment)
    assert [trace["timestamp"] is not None for trace in traces] == [True] + [False] * 5


def test_steps_are_in_order_and_within_a_life() -> None:
    """A packet's life runs forward and ends before LIFE_OF_LATENCY says."""
    for row in rows_of(traffic(), 100):
        times = [step.at for step in steps(row)]
        assert times == sorted(times)
        if row.outcome != "timeout":
            assert times[-1] - row.sent < LIFE_OF_LATENCY * (row.recv_after + row.ack_after)
            assert transaction_at(row, 6) == float("inf")


def test_timestamps_are_rfc3339_in_both_forms() -> None:
    """Times carry microseconds and either form of UTC."""
    assert timestamp(1_750_000_000.25) == "2025-06-15T15:06:40.250000+00:00"
    assert timestamp(1_750_000_000.25, 4) == "2025-06-15T15:06:40.250000Z"


def test_display_forms_are_sometimes_missing() -> None:
    """Most rows carry the display address, some leave it to the client; canonical is always there."""
    source = traffic()
    moment = Moment(NOON, source.ids)
    rows = rows_of(source, 300)
    shown = [TRANSFER_FIELDS["sender_display"](row, moment) for row in rows]
    assert 0.05 < shown.count(None) / len(rows) < 0.15
    assert all(TRANSFER_FIELDS["sender_canonical"](row, moment).startswith("0x") for row in rows)


def test_the_receiver_gets_the_amount_less_the_fee() -> None:
    """base_amount = quote_amount + fee_amount, all whole base units as text."""
    source = traffic()
    moment = Moment(NOON, source.ids)
    fees = 0
    for row in rows_of(source, 300):
        base, quote, fee = (
            TRANSFER_FIELDS[name](row, moment) for name in ("base_amount", "quote_amount", "fee_amount")
        )
        fees += fee is not None
        assert int(base) == int(quote) + int(fee or 0)
    assert fees


@pytest.mark.parametrize("symbol", ["U", "ETH"])
def test_a_token_describes_itself(symbol: str) -> None:
    """A token of its chain has one representation and wraps nothing; no token has no description."""
    token = next(token for token in load_world().tokens if token.symbol == symbol)
    meta = token_meta(token)
    assert isinstance(meta, Mapping)
    assert meta["representations"][0]["decimals"] == 18
    assert meta["wrapping"] == []
    assert token_meta(None) is None


def test_a_wrapped_token_says_where_it_comes_from() -> None:
    """The wrapping of a wrapped token leads to the chain of the original."""
    rows = rows_of(traffic(), 600)
    offer = next(row.offer for row in rows if row.offer.wrap_direction == "unwrapping")
    meta = token_meta(offer.token)
    assert meta is not None
    origins = [entry["unwrapped_chain"] for entry in meta["wrapping"]]
    assert offer.quote.chain in origins
