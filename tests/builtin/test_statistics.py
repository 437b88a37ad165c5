"""The built-in statistics as a plugin."""

from __future__ import annotations

import pluggy

from unionws import hookspecs
from unionws.builtin import statistics
from unionws.settings import Settings
from unionws.stats.shape import empty_chart


def answered() -> list[object]:
    manager = pluggy.PluginManager("unionws")
    manager.add_hookspecs(hookspecs)
    manager.register(statistics, "statistics")
    manager.check_pending()
    (found,) = manager.hook.register_statistics(settings=Settings())
    return list(found)


def test_they_come_through_the_public_hook_under_their_names() -> None:
    """The flow table is called before its readers; no name has a dot."""
    names = [found.name for found in answered()]  # type: ignore[attr-defined]
    assert names == ["rates", "wallets", "flow", "routes", "chainFlow", "assetVolume"]


def test_each_asks_for_fresh_state() -> None:
    """Two hosts in one process share nothing."""
    first, second = answered(), answered()
    observers = {id(found.observer) for found in (*first, *second)}  # type: ignore[attr-defined]
    assert len(observers) == 12


def test_together_they_fill_all_keys_but_those_of_others() -> None:
    """Every key of the empty chart, latencyData excepted, has one statistic that fills it."""
    filled: list[str] = []
    for found in answered():
        filled += found.observer.snapshot(1.76e9)  # type: ignore[attr-defined]
    assert sorted(filled) == sorted(set(empty_chart()) - {"latencyData"})
