from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from unionws import Fragment, ServerMessage, Service, hookimpl
from unionws.clock import ManualClock
from unionws.model import MessageRecord
from unionws.pluginhost import PluginHost
from unionws.pluginservice import MAX_STATE, Doors, State
from unionws.settings import Settings

ITEM = Fragment("k", "a.1", "b.2", "0xa", "0xb", "u", "0x1", "1", False, 0, b"{}")


class Alerts:
    """A plugin that keeps its service for the test."""

    service: Service

    @hookimpl
    def startup(self, service: Service) -> None:
        self.service = service

    @hookimpl
    def register_messages(self) -> list[ServerMessage]:
        return [
            ServerMessage("acme.alert", "Help.", "acme.alerts"),
            ServerMessage("acme.reply", "A reply, on no channel."),
        ]


def started(folder: Path | None = None) -> tuple[PluginHost, Alerts]:
    """A host whose one plugin was started; to be called on a loop."""
    plugin = Alerts()
    host = PluginHost(Settings(PLUGINS_DIR=""))
    host.doors = Doors(folder=folder, clock=ManualClock(5.0))
    host.load([("acme", plugin)])
    host.start()
    return host, plugin


def test_published_messages_reach_the_stream_also_from_before_it_runs() -> None:
    """What startup publishes waits; type, channel, time and the transfer it is about are in the record."""

    async def scenario() -> list[MessageRecord]:
        host, plugin = started()
        sent: list[Any] = []
        plugin.service.publish("acme.alert", {"n": 1})
        host.doors.open(sent.append, dict)
        plugin.service.publish("acme.alert", {"n": 2}, about=ITEM)
        return sent

    assert asyncio.run(scenario()) == [
        MessageRecord(5000, "acme.alerts", "acme.alert", b'{"n":1}'),
        MessageRecord(5000, "acme.alerts", "acme.alert", b'{"n":2}', ITEM),
    ]


def test_a_thread_may_publish() -> None:
    """The message is handed over on the loop."""

    async def scenario() -> list[int]:
        host, plugin = started()
        threads: list[int] = []
        host.doors.open(lambda record: threads.append(threading.get_ident()), dict)
        await plugin.service.run_in_thread(plugin.service.publish, "acme.alert", {})
        await asyncio.sleep(0)
        return [*threads, threading.get_ident()]

    where, here = asyncio.run(scenario())
    assert where == here


@pytest.mark.parametrize(
    ("type", "data", "problem"),
    [
        ("chains", {}, "'chains' is no message type of this plugin with a channel; those are: acme.alert"),
        ("acme.reply", {}, "no message type of this plugin with a channel"),
        ("acme.alert", {"n": float("nan")}, "not JSON|Out of range"),
        ("acme.alert", {"n": object()}, "not JSON"),
        ("acme.alert", "x" * 70_000, "at most 65536 bytes"),
    ],
)
def test_what_cannot_be_published_is_refused_at_once(type: str, data: Any, problem: str) -> None:
    """Other people's types, and data that is not JSON or too large."""

    async def scenario() -> None:
        _, plugin = started()
        plugin.service.publish(type, data)

    with pytest.raises(ValueError, match=problem):
        asyncio.run(scenario())


def test_slow_work_leaves_the_loop_alone() -> None:
    """It runs in a thread, its result comes back, and the loop goes on meanwhile."""

    async def scenario() -> tuple[int, str]:
        _, plugin = started()
        release = threading.Event()

        def work(word: str) -> str:
            assert release.wait(5)
            return word + threading.current_thread().name

        future = plugin.service.run_in_thread(work, "by ")
        turns = 0
        while turns < 10:
            await asyncio.sleep(0)
            turns += 1
        assert not future.done()
        release.set()
        return turns, await future

    turns, name = asyncio.run(scenario())
    assert (turns, name) == (10, "by plugin-acme-0")


def test_an_error_nobody_waits_for_is_counted() -> None:
    """It is the plugin's failure, named as such."""

    async def scenario() -> Mapping[str, Any]:
        host, plugin = started()
        plugin.service.run_in_thread(lambda: 1 / 0)
        while not host.plugins()[0].failures:
            await asyncio.sleep(0.001)
        return {"last": host.plugins()[0].last_error}

    assert asyncio.run(scenario()) == {"last": "run_in_thread: ZeroDivisionError: division by zero"}


def test_a_thread_that_hangs_does_not_hold_up_the_end() -> None:
    """Two threads at most, and both are daemons."""

    async def scenario() -> list[threading.Thread]:
        _, plugin = started()
        for _ in range(5):
            plugin.service.run_in_thread(time.sleep, 0.3)
        await asyncio.sleep(0)
        return [thread for thread in threading.enumerate() if thread.name.startswith("plugin-acme-")]

    before = time.monotonic()
    threads = [thread for thread in asyncio.run(scenario()) if thread.is_alive()]
    assert time.monotonic() - before < 0.3
    assert [thread.daemon for thread in threads[-2:]] == [True, True]


def test_state_outlives_the_plugin(tmp_path: Path) -> None:
    """What was set is there in the next run; what was deleted is not; changes go out once saved."""

    async def first() -> None:
        host, plugin = started(tmp_path / "plugins")
        plugin.service.state.set("list", ["a"])
        plugin.service.state.set("gone", 1)
        plugin.service.state.delete("gone")
        plugin.service.state.get("list").append("not kept")
        host.stop()

    async def second() -> tuple[list[str], Any, Any]:
        _, plugin = started(tmp_path / "plugins")
        state = plugin.service.state
        return state.names(), state.get("list"), state.get("other", "default")

    asyncio.run(first())
    assert asyncio.run(second()) == (["list"], ["a"], "default")


def test_an_edge_writes_no_state(tmp_path: Path) -> None:
    """Ingest's copy counts: two writers would undo each other."""

    async def scenario() -> None:
        host, plugin = started(tmp_path)
        host.doors.role = "edge"
        plugin.service.state.set("a", 1)
        host.save()

    asyncio.run(scenario())
    assert list(tmp_path.iterdir()) == []


def test_state_is_bounded_and_survives_a_broken_file(tmp_path: Path) -> None:
    """A megabyte in all; a file that is no JSON is as good as none."""
    path = tmp_path / "acme.json"
    path.write_text("{broken")
    state = State(path)
    assert state.names() == []
    with pytest.raises(ValueError, match="at most 1048576 bytes"):
        state.set("a", "x" * MAX_STATE)
    with pytest.raises(ValueError, match=r"not JSON|Out of range"):
        state.set("a", float("inf"))
    state.set("a", 1)
    state.save()
    assert State(path).get("a") == 1


def test_a_disk_that_refuses_is_logged_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The plugin goes on with what it has in memory."""
    (tmp_path / "plugins").write_text("a file where the folder should be")

    async def scenario() -> Any:
        host, plugin = started(tmp_path / "plugins")
        plugin.service.state.set("a", 1)
        host.save()
        warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
        assert warnings == ["Plugin state cannot be written"]
        (tmp_path / "plugins").unlink()
        host.save()
        return plugin.service.state.get("a")

    assert asyncio.run(scenario()) == 1
    assert State(tmp_path / "plugins" / "acme.json").get("a") == 1


def test_the_logger_has_the_plugin_s_name() -> None:
    """So LOG_LEVEL and people can tell plugins apart."""

    async def scenario() -> logging.Logger:
        return started()[1].service.log

    assert asyncio.run(scenario()).name == "unionws.plugins.acme"
