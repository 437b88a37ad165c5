"""How nodes are doing."""

from __future__ import annotations

from unionws.model import Chain, Rpc
from unionws.probes.calls import Target, targets
from unionws.probes.standing import REMEMBERED, SLOW, Result, Standing

NOW = 1_760_000_000.5


def nodes(*places: str) -> list[Target]:
    """Targets by ``chain/number``."""
    chains = [
        Chain(place.split("/")[0], display_name="A", rpc_type="evm", rpcs=(Rpc("rpc", f"https://{place}"),))
        for place in places
    ]
    return targets(chains, 100)


def test_the_figures_are_those_of_the_newest_results() -> None:
    """Counts, averages over those that answered, and the contract's fields of each node."""
    standing, (good, slow, dead) = Standing(), nodes("a.1/0", "a.1/1", "b.1/0")
    standing.use([good, slow, dead])
    standing.take(good, Result(0.1, 7), NOW)
    standing.take(slow, Result(SLOW + 0.5, 8), NOW)
    standing.take(dead, Result(8.0, None, "no answer within 8 s"), NOW)
    data = standing.data()
    assert data is not None
    listed, chains = data.pop("nodesWithRpcs"), data.pop("chainHealthStats")
    assert data == {
        "totalNodes": 3,
        "healthyNodes": 1,
        "degradedNodes": 1,
        "unhealthyNodes": 1,
        "avgResponseTime": 1300,
    }
    assert listed[0] == {
        "chainId": "a.1",
        "chainName": "A",
        "rpcUrl": "https://a.1/0",
        "rpcType": "evm",
        "status": "healthy",
        "responseTimeMs": 100,
        "latestBlockHeight": 7,
        "lastCheckTime": int(NOW),
        "uptime": 100.0,
    }
    assert (listed[2]["status"], listed[2]["errorMessage"]) == ("unhealthy", "no answer within 8 s")
    assert "latestBlockHeight" not in listed[2]
    one = {"chainName": "A", "healthyNodes": 1, "totalNodes": 2, "avgResponseTime": 1300, "uptime": 100.0}
    assert chains == {
        "a.1": one,
        "b.1": {**one, "healthyNodes": 0, "totalNodes": 1, "avgResponseTime": 0, "uptime": 0.0},
    }


def test_a_node_that_is_behind_is_degraded() -> None:
    """It answered in time, and says why it is not well."""
    assert Result(0.1, 7, "syncing").status == "degraded"
    assert Result(0.1, 7).status == "healthy"
    assert Result(0.1, None).status == "unhealthy"


def test_uptime_is_the_share_of_answered_probes_of_the_last_day() -> None:
    """Old probes are forgotten."""
    standing, (node,) = Standing(), nodes("a.1/0")
    standing.use([node])
    for number in range(4):
        standing.take(node, Result(0.1, None if number == 0 else 7), NOW + number)
    data = standing.data()
    assert data is not None
    assert data["nodesWithRpcs"][0]["uptime"] == 75.0
    for number in range(REMEMBERED):
        standing.take(node, Result(0.1, 7), NOW + number)
    data = standing.data()
    assert data is not None
    assert data["nodesWithRpcs"][0]["uptime"] == 100.0


def test_there_are_no_figures_before_the_first_result_and_none_of_nodes_that_are_gone() -> None:
    """The key is left out then; a new list keeps what is known of nodes it still has."""
    standing, (stays, goes, comes) = Standing(), nodes("a.1/0", "a.1/1", "a.1/2")
    standing.use([stays, goes])
    assert standing.data() is None
    standing.take(stays, Result(0.1, 7), NOW)
    standing.take(goes, Result(0.1, 7), NOW)
    standing.use([stays, comes])
    standing.take(goes, Result(0.1, 7), NOW)
    data = standing.data()
    assert data is not None
    assert [node["rpcUrl"] for node in data["nodesWithRpcs"]] == [stays.url]
