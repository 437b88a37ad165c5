from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.samples import Heard, fragment, record, sample_host, started
from unionws import Chain, EnrichedTransfer, FilterField, HttpRequest, Route, Statistic, Transfer
from unionws.errors import SettingsError

LIST = "SAMPLES_WATCHLIST=treasury=0xAA,cold=0xcc"


def transfer(key: str, sender: str | None, receiver: str | None) -> EnrichedTransfer:
    row = Transfer(key, Chain("a.1"), Chain("b.2"), sender_canonical=sender, receiver_canonical=receiver)
    return EnrichedTransfer(row, 0.0, "a.1->b.2", "A", "B", False, "", "", None, b"{}")


BATCH = [transfer("1", "0xaa", "0xcc"), transfer("2", "0xbb", None), transfer("3", None, "0xCC")]


def field(heard: Heard) -> Any:
    fields = {found.name: found for found in heard.host.collect("register_filters", FilterField)}
    return fields["samples.watched"]


def test_transfers_of_watched_wallets_carry_their_labels_and_do_not_wait() -> None:
    """Either side counts, in any case; others are left as they are."""

    async def scenario(heard: Heard) -> None:
        added = heard.host.extra_fields(BATCH)
        assert added["watch_list"] == [b'{"labels":["cold","treasury"]}', None, b'{"labels":["cold"]}']
        assert heard.host.urgent(BATCH) == {"1", "3"}

    started(scenario, LIST)


def test_clients_filter_by_label() -> None:
    """A list of labels, or true for all; the index and the test agree; unknown labels are named."""

    async def scenario(heard: Heard) -> None:
        found = field(heard)
        items = [fragment("1", sender="0xaa"), fragment("2", receiver="0xcc"), fragment("3")]
        for wanted, keys in [(["cold"], ["2"]), (True, ["1", "2"])]:
            value = found.parse(wanted)
            assert [item.sort_order for item in items if found.matches(value, item)] == keys
            wanted_keys = set(found.keys(value))
            assert [item.sort_order for item in items if wanted_keys & set(found.item_keys(item))] == keys
        assert found.dump(found.parse(True)) == ["cold", "treasury"]
        assert found.parse([]) is None
        for bad, problem in [(["hot"], "'hot' is no label"), (5, "must be true or a list of labels")]:
            with pytest.raises(ValueError, match=problem):
                found.parse(bad)

    started(scenario, LIST)


def test_counts_are_shown_and_survive_a_restart(tmp_path: Path) -> None:
    """By a statistic, by the route that reads it, and in the state folder."""

    async def scenario(heard: Heard) -> None:
        heard.host.fire("published", record=record(fragment(sender="0xaa", receiver="0xcc"), fragment()))
        statistics = {found.name: found for found in heard.host.collect("register_statistics", Statistic)}
        heard.statistics["ext"] = {"samples.watched": statistics["samples.watched"].observer.snapshot(0.0)}
        (route,) = heard.host.collect("register_routes", Route)
        shown = await route.handle(HttpRequest(route.path, {}, {}, "::1"))
        counts.append(json.loads(shown.body)["watched"])

    counts: list[dict[str, int]] = []
    started(scenario, LIST, folder=tmp_path)
    started(scenario, LIST, folder=tmp_path)
    assert counts == [{"cold": 1, "treasury": 1}, {"cold": 2, "treasury": 2}]


@pytest.mark.parametrize("value", ["0xaa", "a=bb", "=0xaa"])
def test_a_wrong_list_stops_the_start(value: str) -> None:
    """The setting is checked like any other."""
    with pytest.raises(SettingsError, match=r"SAMPLES_WATCHLIST is .*, but must be label=0x"):
        sample_host(f"SAMPLES_WATCHLIST={value}")
