"""Readiness of children. Starting successors, and handing over on a loop, are shown in test_takeover."""

from __future__ import annotations

import os

import pytest

from unionws import succession
from unionws.succession import Launcher, Readiness


def test_a_parent_hears_when_all_its_children_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many words as children, from other processes too."""
    monkeypatch.setattr(succession, "READY_SECONDS", 0.3)
    ready = Readiness()
    pid = os.fork()
    if pid == 0:
        ready.tell()
        os._exit(0)
    os.waitpid(pid, 0)
    ready.tell()
    assert ready.wait(2)
    ready.tell()
    assert not ready.wait(2)


def test_nobody_is_waited_for_without_a_successor() -> None:
    """Asking costs nothing."""
    Launcher().reap()
