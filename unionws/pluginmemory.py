"""What plugins hold in memory, counted when the process has grown.

A thread looks once a second how large the process is. When it has grown by STEP bytes, everything
that can be reached from each plugin is counted: its module or object, and what it registered. Objects of
the service that a plugin may hold (transfers, chains, records) count as its own: keeping every
transfer is what a leak looks like. The thread takes small bites, so that the loop goes on beside it.
Not reached is what is only in a running coroutine, in another thread, or inside C libraries.
"""

from __future__ import annotations

import builtins
import gc
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

from unionws.measure import resident_bytes
from unionws.pluginloading import Plugin

STEP = 16_000_000
LOOK_EVERY = 1.0
BITE = 500
"""Objects counted at a time; about 0.3 ms."""
PAUSE = 0.002

FOREIGN = ("asyncio.", "concurrent.", "logging.", "threading.", "tornado.", "unionws.")
"""Packages whose objects lead to the whole service; a plugin holds them, but does not own them."""
GIVEN = ("unionws.model.", "unionws.extensions.", "unionws.doors.", "unionws.builtin.", "unionws.contrib.")
"""What of them is counted nevertheless: values that were handed over."""

Roots = tuple[Plugin, Sequence[object]]


def held(roots: Iterable[object], most: int, pause: Callable[[], None] = lambda: None) -> int:
    """Bytes of all objects that can be reached; counting ends above ``most``.

    Args:
        roots: modules and objects of one plugin.
        pause: called after each bite.
    """
    waiting = list(roots)
    own = {_package(item) for item in waiting} - {"unionws.extensions", "unionws.doors"}
    seen = {id(vars(builtins))}
    total = 0
    while waiting and total <= most:
        item = waiting.pop()
        if id(item) in seen or not _owned(item, own):
            continue
        seen.add(id(item))
        total += _size(item)
        waiting.extend(gc.get_referents(item))
        if not len(seen) % BITE:
            pause()
    return total


def _package(item: object) -> str:
    """Name of the package that the code of a root is in."""
    module = item.__name__ if isinstance(item, ModuleType) else type(item).__module__
    return str(module).partition(".")[0] if not str(module).startswith("unionws.") else str(module)


def _size(item: object) -> int:
    try:
        return sys.getsizeof(item, 0)
    except Exception:  # noqa: BLE001 - any class may have its own __sizeof__
        return 0


def _owned(item: object, own: set[str]) -> bool:
    """Whether to count an object and go on from it: code only when it is the plugin's.

    Asks types, not objects: those may be proxies that do something when they are asked.
    """
    kind = type(item)
    if issubclass(kind, ModuleType):
        return _within(object.__getattribute__(item, "__dict__").get("__name__"), own)
    if issubclass(kind, type):
        return _within(type.__dict__["__module__"].__get__(item), own)
    if kind is FunctionType:
        return _within(item.__module__, own)
    if kind is CodeType or kind is FrameType:
        return False
    name = kind.__module__
    return not f"{name}.".startswith(FOREIGN) or f"{name}.".startswith(GIVEN) or _within(name, own)


def _within(name: Any, own: set[str]) -> bool:
    return isinstance(name, str) and (name in own or name.partition(".")[0] in own)


class Census:
    """Counts what plugins hold, from a thread, whenever the process has grown.

    Args:
        roots: of every plugin to be counted, asked each time.
        limit: bytes that one may hold.
        on_excess: called in that thread with a plugin that holds more.
    """

    def __init__(
        self, roots: Callable[[], Sequence[Roots]], limit: int, on_excess: Callable[[Plugin], None]
    ) -> None:
        self._roots, self._limit, self._on_excess = roots, limit, on_excess
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="plugin-memory", daemon=True)

    def start(self) -> None:
        """Look from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        counted_at = resident_bytes()
        while not self._stopping.wait(LOOK_EVERY):
            size = resident_bytes()
            if size >= counted_at + STEP:
                self.count()
                counted_at = size

    def count(self) -> None:
        """Count what each plugin holds now."""
        for plugin, roots in self._roots():
            plugin.held = held(roots, self._limit, self._pause)
            if self._stopping.is_set():
                return
            if plugin.held > self._limit:
                self._on_excess(plugin)

    def _pause(self) -> None:
        time.sleep(0 if self._stopping.is_set() else PAUSE)
