from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from unionws import Statistic, pluginmemory
from unionws.discovery import Candidate
from unionws.pluginloading import Plugin
from unionws.pluginmemory import Census, held
from unionws.testing import transfer

MB = 1_000_000
CODE = """
import logging
from unionws import Statistic
log = logging.getLogger("acme")
kept = []

class Counting:
    def __init__(self):
        self.seen = {}
    def observe(self, batch, now): ...
    def snapshot(self, now): return {}

def closure():
    cell = []
    return lambda: cell, cell
ask, cell = closure()
del closure
"""


@pytest.fixture(name="module")
def fixture_module() -> Iterator[ModuleType]:
    """A plugin's module."""
    module = ModuleType("acme_plugin")
    sys.modules["acme_plugin"] = module
    exec(CODE, vars(module))
    yield module
    del sys.modules["acme_plugin"]


def test_all_that_a_plugin_keeps_is_counted(module: Any) -> None:
    """In lists, attributes, closures, classes and what it registered, each once."""
    observer = module.Counting()
    roots = [module, Statistic("acme.s", observer)]
    before = held(roots, 1 << 60)
    assert before < 100_000
    module.kept += [b"x" * MB, {"deep": [b"y" * MB]}]
    module.kept.append(module.kept[0])
    module.cell.append(b"z" * MB)
    module.Counting.shared = b"s" * MB
    observer.seen["a"] = "u" * MB
    assert held(roots, 1 << 60) == pytest.approx(before + 5 * MB, rel=0.01)


def test_transfers_that_are_kept_are_counted(module: Any) -> None:
    """They were made by the service, but live on because of the plugin."""
    module.kept += [
        transfer(sort_order=str(number), base_amount=str(number).zfill(1000)) for number in range(1000)
    ]
    assert held([module], 1 << 60) > MB


def test_what_belongs_to_others_is_not(module: Any) -> None:
    """Loggers, threads, other modules and their functions lead everywhere; counting stops there."""
    module.thread, module.sys, module.run = threading.current_thread(), sys, time.sleep
    module.fetch = pluginmemory.held
    assert held([module], 1 << 60) < 100_000


class Touchy:
    """Whoever asks it anything is told off."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __sizeof__(self) -> int:
        raise RuntimeError("size")


def test_objects_that_answer_nothing_are_passed_over(module: Any) -> None:
    """Proxies and lazy things are not asked, and what is behind them is not lost."""
    module.kept += [Touchy(), b"x" * MB]
    assert held([module], 1 << 60) == pytest.approx(MB, rel=0.1)


def test_counting_ends_where_it_is_too_much(module: Any) -> None:
    """Nobody needs to know how much too much."""
    module.kept += [bytes(1000) for _ in range(10_000)]
    bites = []
    assert MB < held([module], MB, lambda: bites.append(1)) < 1.1 * MB
    assert 1 <= len(bites) < 5


def test_a_process_that_grows_is_counted(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for each step, and who holds too much is told of."""
    monkeypatch.setattr(pluginmemory, "LOOK_EVERY", 0.01)
    size = [100 * MB]
    monkeypatch.setattr(pluginmemory, "resident_bytes", lambda: size[0])
    plugin, excess = Plugin(Candidate("acme", "a test", object)), []
    counted = []

    def roots() -> list[Any]:
        counted.append(True)
        return [(plugin, [module])]

    census = Census(roots, MB, excess.append)
    census.start()
    try:
        time.sleep(0.1)
        assert not counted
        size[0] += pluginmemory.STEP
        until(lambda: plugin.held > 0)
        assert not excess
        module.kept.append(b"x" * MB)
        size[0] += pluginmemory.STEP
        until(lambda: bool(excess))
    finally:
        census.stop()
    assert (excess, len(counted)) == ([plugin], 2)
    assert plugin.held > MB


def until(condition: Any) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")
