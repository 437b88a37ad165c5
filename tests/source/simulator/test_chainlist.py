"""What the API shows of chains and of the latency between them."""

from __future__ import annotations

import pytest

from unionws.source.simulator.chainlist import CHAIN_FIELDS, features, latency
from unionws.source.simulator.identifiers import Identifiers
from unionws.source.simulator.rows import Moment
from unionws.source.simulator.traffic import Bursts, Traffic
from unionws.source.simulator.world import load_world

MOMENT = Moment(1_760_011_200.0, Identifiers(1))


@pytest.mark.parametrize(
    ("environment", "found"), [(None, 1), ("PRODUCTION", 1), ("production", 1), ("STAGING", 0)]
)
def test_features_are_narrowed_by_environment(environment: str | None, found: int) -> None:
    """Upper and lower case name the same environment; none given means all."""
    chain = load_world().chain("union.union-1")
    assert len(features(chain, MOMENT, {"environment": {"_eq": environment}})) == found
    assert len(features(chain, MOMENT, {"environment": None})) == 1


def test_the_tip_moves_with_time() -> None:
    """Height and tip time follow the clock, and the tip is younger than a block."""
    chain = load_world().chain("ethereum.1")
    before, after = (
        CHAIN_FIELDS["status"](chain, Moment(MOMENT.now + later, MOMENT.ids)) for later in (0, 120)
    )
    assert int(after["height"]) - int(before["height"]) == 10
    assert 0 <= before["tip_age_seconds"] < chain.block_seconds


def test_latency_statistics_are_those_of_the_traffic() -> None:
    """Of the transfers of a route, half arrive before the median and a tenth outside p5 to p95."""
    source = Traffic(rate=5.0, seed=1, bursts=Bursts(every=0), people=100)
    first = 1_760_000_000 // source.span
    rows = [row for number in range(first, first + 100) for row in source.block(number)]
    route = next(row.route for row in rows if row.route.weight == 20)
    delays = sorted(row.recv_after for row in rows if row.route is route and row.transfer_index == 0)
    [entry] = latency(route.source.universal_chain_id, route.destination.universal_chain_id)
    received = entry["secs_until_packet_recv"]
    assert delays[len(delays) // 2] == pytest.approx(received["median"], rel=0.1)
    outside = [delay for delay in delays if not received["p5"] <= delay <= received["p95"]]
    assert 0.06 < len(outside) / len(delays) < 0.14
