from __future__ import annotations

from typing import Any

from tests.plugins.samples import Heard, fragment, record, started


def figures(heard: Heard) -> dict[str, Any]:
    return {metric["name"]: metric["samples"] for metric in heard.host.metrics()}


def test_transfers_are_counted_by_source_and_network() -> None:
    """As Prometheus counters with two labels."""

    async def scenario(heard: Heard) -> None:
        heard.host.fire("published", record=record(fragment(), fragment()))
        labels = {"source": "a.1", "network": "mainnet"}
        assert figures(heard)["samples_transfers_total"] == [[labels, 2.0]]

    started(scenario)


def test_chains_beyond_a_bound_are_counted_together() -> None:
    """An indexer that makes chains up does not fill memory."""

    async def scenario(heard: Heard) -> None:
        for number in range(300):
            item = fragment()
            object.__setattr__(item, "source", f"made.{number}")
            heard.host.fire("published", record=record(item))
        samples = figures(heard)["samples_transfers_total"]
        assert len(samples) == 201
        assert [number for labels, number in samples if labels["source"] == "other"] == [100.0]

    started(scenario)


def test_stays_are_counted_when_they_end() -> None:
    """Whoever is still there, or was never seen to come, does not count."""

    async def scenario(heard: Heard) -> None:
        for client in (1, 2):
            heard.host.fire("client_opened", client=client, address="::1")
        for client in (1, 9):
            heard.host.fire("client_closed", client=client, address="::1", code=1000)
        found = figures(heard)
        assert found["samples_stays_total"] == [[{}, 1.0]]
        ((_, seconds),) = found["samples_stay_seconds_total"]
        assert 0 <= seconds < 10

    started(scenario)
