"""Paging through transfers and every argument of v2_transfers_args."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from unionws.source.simulator.rows import TRANSFER_FIELDS, Moment
from unionws.source.simulator.search import (
    HISTORY_SECONDS,
    SCAN_ROWS,
    TransferArgs,
    find_transfers,
    rows_between,
)
from unionws.source.simulator.traffic import Bursts, Row, Traffic, stamp

NOW = 1_760_011_200.5
TRAFFIC = Traffic(rate=5.0, seed=1, bursts=Bursts(every=300.0), people=50_000)
QUIET = Traffic(rate=2.0, seed=1, bursts=Bursts(every=0), people=50_000)
MOMENT = Moment(NOW, TRAFFIC.ids)


def find(now: float = NOW, late: float = 0.0, traffic: Traffic = TRAFFIC, **args: Any) -> list[Row]:
    return find_transfers(TransferArgs(**args), traffic, Moment(now, traffic.ids), late)


def shown(row: Row, name: str, now: float = NOW) -> Any:
    return TRANSFER_FIELDS[name](row, replace(MOMENT, now=now))


def pages(comparison: str, cursor: str | None, count: int, **args: Any) -> list[Row]:
    found: list[Row] = []
    while len(found) < count:
        page = find(p_sort_order=cursor, p_comparison=comparison, **args)
        assert page
        found += page
        cursor = page[-1].sort_order
    return found[:count]


def truth(start: float, end: float, late: float = 0.0) -> list[Row]:
    return [row for row in rows_between(TRAFFIC, start, end) if row.visible_at(late) <= NOW]


def test_without_a_cursor_the_newest_come_first() -> None:
    """The first page is the newest visible rows, descending."""
    expected = truth(NOW - 120, NOW)[-100:][::-1]
    assert find() == expected


def test_paging_back_loses_and_repeats_nothing() -> None:
    """Descending pages over thousands of rows are exactly the rows there are."""
    found = pages("lt", None, 5_000)
    expected = truth(found[-1].sent - 5, NOW)
    assert found == expected[::-1][:5_000]


def test_paging_forward_loses_and_repeats_nothing() -> None:
    """Ascending pages over thousands of rows are exactly the rows there are."""
    cursor = stamp(int(NOW) - 3600)
    found = pages("gt", cursor, 5_000)
    assert found == truth(int(NOW) - 3600, NOW)[:5_000]


def test_the_newest_cursor_has_nothing_after_it() -> None:
    """Once everything is read, a page is empty."""
    newest = find(p_limit=1)[0].sort_order
    assert find(p_sort_order=newest, p_comparison="gt") == []


@pytest.mark.parametrize(
    "cursor", ["", "0", "abc", "2025", "20251009", "99999999999999-0x", "zz", "20251009120000"]
)
def test_any_text_is_a_cursor(cursor: str) -> None:
    """A cursor compares as plain text, whatever it is."""
    older = find(p_sort_order=cursor, p_comparison="lt")
    newer = find(p_sort_order=cursor, p_comparison="gt")
    assert all(row.sort_order < cursor for row in older)
    assert all(row.sort_order > cursor for row in newer)
    assert len(older) == 100 or len(newer) == 100


def test_history_ends_sixty_days_ago() -> None:
    """The oldest row is 60 days old and nothing is before it."""
    oldest = find(p_sort_order="0", p_comparison="gt")[0]
    assert 0 <= oldest.second - (NOW - HISTORY_SECONDS) < 60
    assert find(p_sort_order=oldest.sort_order, p_comparison="lt") == []


@pytest.mark.parametrize(
    ("limit", "count"), [(None, 100), (1, 1), (37, 37), (100, 100), (5_000, 100), (0, 0), (-3, 0)]
)
def test_limit(limit: int | None, count: int) -> None:
    """100 is default and maximum."""
    assert len(find(p_limit=limit)) == count


@pytest.mark.parametrize(("network", "testnet"), [("mainnet", False), ("testnet", True)])
def test_network(network: str, testnet: bool) -> None:
    """A mainnet transfer touches no testnet."""
    rows = find(p_network=network)
    assert len(rows) == 100
    assert {row.route.source.testnet or row.route.destination.testnet for row in rows} == {testnet}
    assert {row.route.testnet for row in find()} == {True, False}


def test_source_and_destination() -> None:
    """Chains narrow either side, alone and together."""
    rows = find(p_source_universal_chain_id="union.union-1")
    assert {shown(row, "source_universal_chain_id") for row in rows} == {"union.union-1"}
    assert len({shown(row, "destination_universal_chain_id") for row in rows}) > 1
    both = find(p_source_universal_chain_id="ethereum.1", p_destination_universal_chain_id="union.union-1")
    assert len(both) == 100
    assert {row.route.number for row in both} == {both[0].route.number}
    assert find(p_destination_universal_chain_id="nowhere.1") == []


def test_transfer_index() -> None:
    """Second transfers of batches can be asked for."""
    rows = find(p_transfer_index=1)
    assert rows
    assert {row.transfer_index for row in rows} == {1}


def test_packet_hash_finds_its_transfers_without_a_walk() -> None:
    """A batch is found whole by its hash, however old, in either case of its letters."""
    old = next(row for row in rows_between(TRAFFIC, NOW - 5e6, NOW - 5e6 + 600) if row.batch)
    assert [row.transfer_index for row in find(p_packet_hash=old.packet_hash)] == [1, 0]
    assert (
        find(p_packet_hash=old.packet_hash.upper().replace("0X", "0x"), p_transfer_index=0)[0].packet
        == old.packet
    )
    assert find(p_packet_hash="0x" + "12" * 32) == []
    assert (
        find(p_packet_hash=old.packet_hash, p_network="testnet" if not old.route.testnet else "mainnet") == []
    )


def test_transaction_hash_finds_a_packet_once_it_happened() -> None:
    """Send, receive and relay transactions lead to the packet, future ones not yet."""
    row = next(row for row in rows_between(TRAFFIC, NOW - 9e4, NOW - 9e4 + 60) if row.outcome == "received")
    for trace in shown(row, "traces"):
        assert row in find(p_transaction_hash=trace["transaction_hash"])
    assert row in find(p_transaction_hash=shown(row, "transfer_recv_transaction_hash"))
    early = row.sent + 12
    later = shown(row, "transfer_recv_transaction_hash")
    assert row.recv_after > 12
    assert find(now=early, p_transaction_hash=later) == []
    assert find(p_transaction_hash="0xabc") == []
    assert find(p_transaction_hash=later, p_packet_hash=TRAFFIC.ids.packet_hash(0)) == []


def test_block_hash_finds_what_is_in_the_block() -> None:
    """Every row of the answer has a trace with that block hash, the one asked about among them."""
    rows = rows_between(TRAFFIC, NOW - 9e4, NOW - 9e4 + 60)
    row = next(row for row in rows if row.outcome == "received" and row.recv_after + row.ack_after < 900)
    for trace in shown(row, "traces"):
        found = find(p_block_hash=trace["block_hash"])
        assert row in found
        for other in found:
            assert trace["block_hash"] in [entry["block_hash"] for entry in shown(other, "traces")]
    assert find(p_block_hash="0x" + "ab" * 32) == []


def test_wallets_match_sender_or_receiver() -> None:
    """A list of wallets finds the transfers of any of them, on either side."""
    rows = rows_between(TRAFFIC, NOW - 600, NOW - 60)
    one = next(row for row in rows if row.sender != row.receiver)
    wallets = [shown(one, "sender_canonical"), shown(one, "receiver_canonical").upper().replace("0X", "0x")]
    found = find(p_addresses_canonical=wallets)
    assert one in found
    wanted = {wallet.lower() for wallet in wallets}
    for row in found:
        assert {shown(row, "sender_canonical"), shown(row, "receiver_canonical")} & wanted
    assert find(p_addresses_canonical=["0x" + "00" * 20]) == []
    assert find(p_addresses_canonical=[]) == []


@pytest.mark.parametrize(
    "bad", [{"p_network": "moonnet"}, {"p_addresses_canonical": "0x00"}, {"p_addresses_canonical": [1]}]
)
def test_unusable_values_are_refused(bad: dict[str, Any]) -> None:
    """Values that the types allow and the service does not raise with the argument's name."""
    with pytest.raises(ValueError, match=next(iter(bad))):
        TransferArgs(**bad)


def test_work_is_bounded() -> None:
    """A search that finds nothing gives up after SCAN_ROWS rows."""
    walked: list[int] = []

    class Counting(Traffic):
        def block(self, number: int) -> tuple[Row, ...]:
            rows = super().block(number)
            walked.append(len(rows))
            return rows

    counting = Counting(rate=50.0, seed=1, bursts=Bursts(every=0), people=10)
    assert find(traffic=counting, p_source_universal_chain_id="nowhere.1") == []
    assert SCAN_ROWS <= sum(walked) < SCAN_ROWS + 1_000


def test_rows_appear_as_time_passes_and_never_vanish() -> None:
    """What a poll shows stays, and each row appears at its visible_at."""
    seen: set[str] = set()
    for tick in range(60):
        now = NOW + tick / 2
        page = find(now=now, late=0.2, traffic=QUIET, p_sort_order=stamp(int(NOW)), p_comparison="gt")
        shown_now = {row.sort_order for row in page}
        rows = rows_between(QUIET, int(NOW), now)
        assert seen <= shown_now
        assert shown_now == {row.sort_order for row in rows if row.visible_at(0.2) <= now}
        seen = shown_now
    assert len(seen) > 30


@pytest.mark.parametrize(("late", "low", "high"), [(0.0, 0.0, 0.05), (0.2, 0.1, 0.3)])
def test_late_rows_appear_behind_the_newest_cursor(late: float, low: float, high: float) -> None:
    """A pure gt cursor loses rows, as with the real indexer, and a re-scan finds every one."""
    cursor, seen = stamp(int(NOW)), set()
    for tick in range(240):
        for row in find(now=NOW + tick / 2, late=late, p_sort_order=cursor, p_comparison="gt"):
            seen.add(row.sort_order)
            cursor = row.sort_order
    settled = {row.sort_order for row in rows_between(TRAFFIC, int(NOW), int(NOW) + 100)}
    assert low < len(settled - seen) / len(settled) < high
    rescan = {row.sort_order for row in pages("gt", stamp(int(NOW)), len(settled), now=NOW + 130, late=late)}
    assert settled <= rescan
