"""From what was published back to a transfer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from unionws.enrich.stored import recalled
from unionws.enrich.transfers import Enricher, fragment
from unionws.source.decode import Decoder
from unionws.source.simulator import Simulator

NOW = 1_760_000_000.0


def rows(count: int) -> list[dict[str, object]]:
    return Simulator(rate=1.0).transfers_between(NOW - 2 * count, NOW)[:count]


@pytest.mark.parametrize("nulls", [0, 1])
def test_everything_a_statistic_reads_comes_back(nulls: int) -> None:
    """Counting a transfer and counting it from the history are the same."""
    transfers = [Decoder().transfer(row, str(row["sort_order"])) for row in rows(60)]
    if nulls:
        gone = dict.fromkeys(
            ("send_time", "transfer_send_timestamp", "base_token_symbol", "sender_canonical")
        )
        transfers = [replace(row, base_token_decimals=None, **gone) for row in transfers]
    for item in Enricher().enrich(transfers, NOW):
        again = recalled(fragment(item))
        assert abs(again.event_time - item.event_time) < 0.001
        assert int(again.event_time) == int(item.event_time)
        for name in ("route_key", "source_name", "destination_name", "testnet", "amount", "json"):
            assert getattr(again, name) == getattr(item, name)
        assert (again.sender_display, again.receiver_display) == (item.sender_display, item.receiver_display)
        for name in ("sender_canonical", "receiver_canonical", "base_token_symbol", "base_token_name"):
            assert getattr(again.transfer, name) == getattr(item.transfer, name)
        chains = (again.transfer.source_chain, again.transfer.destination_chain)
        assert [chain.universal_chain_id for chain in chains] == item.route_key.split("->")
