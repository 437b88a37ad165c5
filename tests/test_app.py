"""The composition: what a process does around its work."""

from __future__ import annotations

import asyncio
import gc

import pytest

from unionws import app
from unionws.reloading import Live
from unionws.settings import Settings


def test_what_is_there_at_the_start_is_kept_from_full_collections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, after the rubbish of loading was collected and before the work begins."""
    told: list[str] = []
    monkeypatch.setattr(gc, "collect", lambda: told.append("collect"))
    monkeypatch.setattr(gc, "freeze", lambda: told.append("freeze"))

    async def work(stopping: asyncio.Event) -> None:
        told.append("work")

    settings = Settings(PLUGINS_DIR="")
    assert app.run_process(app.load_plugins(settings), Live(settings), work) == 0
    assert told == ["collect", "freeze", "work"]
