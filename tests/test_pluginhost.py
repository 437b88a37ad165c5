from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from unionws import ServerMessage, Statistic, hookimpl
from unionws.errors import PluginError, SettingsError
from unionws.pluginguard import FAILURES_IN_A_ROW
from unionws.pluginhost import PluginHost
from unionws.settings import Settings

HEAD = "from unionws import ServerMessage, hookimpl\n"


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Forget the plugin modules a test imported."""
    yield
    for name in [name for name in sys.modules if name.startswith("unionws_plugins_")]:
        del sys.modules[name]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A drop-in folder of its own."""
    path = tmp_path / "drop-in"
    path.mkdir()
    return path


def host_of(folder: Path, *builtins: tuple[str, object], **settings: Any) -> PluginHost:
    host = PluginHost(Settings(PLUGINS_DIR=str(folder), **settings))
    host.load(builtins)
    return host


def refusal(folder: Path, code: str, **settings: Any) -> str:
    """What the host says about a drop-in plugin ``bad`` with this code."""
    (folder / "bad.py").write_text(HEAD + code)
    with pytest.raises(PluginError) as caught:
        host_of(folder, **settings).collect("register_messages", ServerMessage)
    assert caught.value.plugin == "bad"
    assert str(folder / "bad.py") in str(caught.value)
    return caught.value.problem


class Recorder:
    """A built-in plugin that remembers its calls."""

    def __init__(self, calls: list[str], name: str = "recorder") -> None:
        self.calls, self.name = calls, name

    @hookimpl
    def client_opened(self) -> None:
        self.calls.append(self.name)


class Failing:
    """A plugin whose ``client_opened`` fails for odd clients."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    @hookimpl
    def client_opened(self, client: int) -> None:
        self.seen.append(client)
        if client % 2:
            raise RuntimeError(f"odd {client}")


def test_plugins_are_found_in_all_places(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Built-ins, drop-in files and packages, and PLUGINS are loaded and listed with their origin."""
    (folder / "one.py").write_text(HEAD + "@hookimpl\ndef shutdown(): pass\n")
    (folder / "_helper.py").write_text("raise RuntimeError('not a plugin')\n")
    (folder / "notes.txt").write_text("not Python")
    (folder / "pack").mkdir()
    (folder / "pack" / "__init__.py").write_text(HEAD + "from .inner import startup\n")
    (folder / "pack" / "inner.py").write_text(HEAD + "@hookimpl\ndef startup(service): pass\n")
    module = ModuleType("acme_plugin")
    module.shutdown = hookimpl(lambda: None)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "acme_plugin", module)
    host = host_of(folder, ("first", Recorder([])), PLUGINS=("acme_plugin",))
    assert [(info.name, info.origin, info.hooks, info.state) for info in host.plugins()] == [
        ("first", "built in", ("client_opened",), "active"),
        ("one", str(folder / "one.py"), ("shutdown",), "active"),
        ("pack", str(folder / "pack" / "__init__.py"), ("startup",), "active"),
        ("acme_plugin", "setting PLUGINS", ("shutdown",), "active"),
    ]


def test_entry_points_are_found(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package announces its plugin in the entry-point group ``unionws``."""
    info = tmp_path / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[unionws]\nalerts = acme_alerts\n")
    (tmp_path / "acme_alerts.py").write_text(HEAD + "@hookimpl\ndef shutdown(): pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    (found,) = host_of(folder).plugins()
    assert (found.name, found.origin) == ("alerts", "entry point of acme")
    monkeypatch.delitem(sys.modules, "acme_alerts")


def test_the_default_folder_may_be_missing_but_a_chosen_one_may_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A misspelt PLUGINS_DIR is an error; an empty one means no folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stray.py").write_text("raise RuntimeError('not in a plugin folder')\n")
    for name in ("plugins", ""):
        host = PluginHost(Settings(PLUGINS_DIR=name))
        host.load([])
        assert host.plugins() == []
    with pytest.raises(SettingsError, match=r"PLUGINS_DIR is 'plugin', but there is no such folder"):
        host_of(Path("plugin"))


def test_a_disabled_plugin_is_listed_but_never_imported(folder: Path) -> None:
    """DISABLED_PLUGINS keeps even the import away; a name that matches nothing is an error."""
    (folder / "trouble.py").write_text("raise RuntimeError('imported')\n")
    (info,) = host_of(folder, DISABLED_PLUGINS=("trouble",)).plugins()
    assert (info.state, info.hooks) == ("disabled", ())
    with pytest.raises(SettingsError, match="'truble', but there is no such plugin; did you mean trouble"):
        host_of(folder, DISABLED_PLUGINS=("truble",))


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import nonsense_xyz\n", "cannot be imported: ModuleNotFoundError"),
        ("def f(:\n", "cannot be imported: SyntaxError"),
        ("raise SystemExit(3)\n", "cannot be imported: SystemExit: 3"),
        ("x = 1\n", "has no hook implementation"),
        ("def startup(service): pass\n", "put @unionws.hookimpl above startup"),
        ("@hookimpl\ndef startupp(service): pass\n", "there is no hook 'startupp'; did you mean startup?"),
        ("@hookimpl\ndef startup(setings): pass\n", "{'setings'} are declared in the hookimpl but can not"),
        ("@hookimpl\nasync def startup(service): pass\n", "hook startup: must be a plain function"),
        ("@hookimpl(wrapper=True)\ndef startup(): yield\n", "hook startup: wrappers are not supported"),
        ("@hookimpl\ndef register_messages(): return 5 / 0\n", "failed: ZeroDivisionError"),
        ("@hookimpl\ndef register_messages(): pass\n", "answered None, not a list of ServerMessage"),
        ("@hookimpl\ndef register_messages(): return ['x']\n", "a value of type str where ServerMessage"),
        (
            "@hookimpl\ndef register_messages(): return [ServerMessage('a.b.c', 'Odd.')]\n",
            "failed: ValueError: message type name 'a.b.c' is not valid",
        ),
        (
            "@hookimpl\ndef register_messages(): return [ServerMessage('odd', 'Odd.')]\n",
            "'odd' lacks a vendor; call it 'vendor.odd'",
        ),
    ],
)
def test_a_wrong_plugin_stops_the_start_and_is_named(folder: Path, code: str, problem: str) -> None:
    """Whatever is wrong, the message has the plugin, its file and what to do."""
    assert problem in refusal(folder, code)


def test_two_plugins_of_one_name_are_refused(folder: Path) -> None:
    """The second is named, with the place of the first."""
    (folder / "same.py").write_text(HEAD + "@hookimpl\ndef shutdown(): pass\n")
    with pytest.raises(PluginError, match=r"same.py.*another plugin has the same name \(built in\)"):
        host_of(folder, ("same", Recorder([])))


def test_a_clash_names_every_provider(folder: Path) -> None:
    """Two plugins that register one name are both named, with their files."""
    code = "@hookimpl\ndef register_messages(): return [ServerMessage('acme.alert', 'An alert.')]\n"
    for name in ("left", "right"):
        (folder / f"{name}.py").write_text(HEAD + code)
    with pytest.raises(PluginError) as caught:
        host_of(folder).collect("register_messages", ServerMessage)
    for part in ("'acme.alert'", "'left'", "'right'", "left.py", "right.py"):
        assert part in str(caught.value)


def test_check_finds_all_problems_at_once(folder: Path) -> None:
    """One broken plugin does not hide another, nor a failing registration."""
    (folder / "a.py").write_text("import nonsense_xyz\n")
    (folder / "b.py").write_text(HEAD + "@hookimpl\ndef publishd(record): pass\n")
    (folder / "c.py").write_text(HEAD + "@hookimpl\ndef register_filters(settings): return 1\n")
    host = PluginHost(Settings(PLUGINS_DIR=str(folder)))
    host.find([])
    assert [problem.plugin for problem in host.problems()] == ["a", "b", "c"]
    assert [info.state for info in host.plugins()] == ["broken", "broken", "active"]


def test_registered_objects_come_in_calling_order(folder: Path) -> None:
    """Built-ins first, then plugins by name; tryfirst and trylast move one."""
    code = "@hookimpl({})\ndef register_messages(): return [ServerMessage('acme.{}', 'x')]\n"
    for name, option in [("a", "trylast=True"), ("b", ""), ("c", ""), ("d", "tryfirst=True")]:
        (folder / f"{name}.py").write_text(HEAD + code.format(option, name))

    class Builtin:
        @hookimpl
        def register_messages(self) -> list[ServerMessage]:
            return [ServerMessage("own", "x")]

    found = host_of(folder, ("own", Builtin())).collect("register_messages", ServerMessage)
    assert [message.type for message in found] == ["acme.d", "own", "acme.b", "acme.c", "acme.a"]


def test_a_raising_hook_stops_neither_the_others_nor_the_caller(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Every other implementation is still called, and the log names plugin, hook and error."""
    calls: list[str] = []
    (folder / "bad.py").write_text(
        HEAD + "@hookimpl(tryfirst=True)\ndef client_opened(): raise SystemExit('out')\n"
    )
    host = host_of(folder, ("one", Recorder(calls, "one")), ("two", Recorder(calls, "two")))
    host.fire("client_opened", client=1, address="::1")
    assert calls == ["one", "two"]
    fields = next(record for record in caplog.records if record.levelname == "ERROR").__dict__["fields"]
    assert fields == {"plugin": "bad", "hook": "client_opened", "error": "SystemExit: out", "failures": 1}


def test_a_plugin_that_keeps_failing_is_switched_off_and_stays_listed(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Five failures in a row end it; failures in between successes do not."""
    plugin = Failing()
    host = host_of(folder, ("flaky", plugin))
    for client in [1, 1, 1, 1, 2, 1, 1, 1, 1]:
        host.fire("client_opened", client=client, address="127.0.0.1")
    assert host.plugins()[0].state == "active"
    host.fire("client_opened", client=1, address="127.0.0.1")
    host.fire("client_opened", client=2, address="127.0.0.1")
    assert len(plugin.seen) == 5 + FAILURES_IN_A_ROW
    (info,) = host.plugins()
    assert (info.state, info.calls, info.failures) == ("switched off", 10, 9)
    assert host.counters["flaky"] == {
        "state": "switched off",
        "calls": 10,
        "failures": 9,
        "slow": 0,
        "ms": info.ms,
        "mb": 0.0,
    }
    assert info.last_error == "client_opened: RuntimeError: odd 1"
    assert "Plugin switched off after repeated failures" in caplog.messages


def test_an_error_that_cannot_be_printed_is_contained_too(folder: Path) -> None:
    """Even an exception whose text raises stays inside the guard."""
    (folder / "bad.py").write_text(
        HEAD
        + "class Odd(Exception):\n    def __str__(self): raise ValueError\n"
        + "@hookimpl\ndef shutdown(): raise Odd\n"
    )
    host = host_of(folder)
    host.fire("shutdown")
    assert host.plugins()[0].failures == 1


def test_time_spent_in_a_plugin_is_counted(folder: Path) -> None:
    """The list of plugins tells which one costs time."""
    (folder / "slow.py").write_text(
        "import time\n" + HEAD + "@hookimpl\ndef shutdown():\n    time.sleep(0.01)\n"
    )
    host = host_of(folder, ("quick", Recorder([])))
    host.fire("client_opened", client=1, address="::1")
    host.fire("shutdown")
    quick, slow = host.plugins()
    assert slow.ms >= 10 > quick.ms


def test_register_hooks_are_asked_once(folder: Path) -> None:
    """Whoever collects again gets the same objects, but statistics, which have state, anew."""
    asked: list[str] = []

    class Asked:
        @hookimpl
        def register_messages(self) -> list[ServerMessage]:
            asked.append("messages")
            return [ServerMessage("own", "x")]

        @hookimpl
        def register_statistics(self) -> list[Statistic]:
            asked.append("statistics")
            return []

    host = host_of(folder, ("asked", Asked()))
    for _ in range(3):
        assert [item.type for item in host.collect("register_messages", ServerMessage)] == ["own"]
        host.collect("register_statistics", Statistic)
    assert asked == ["messages", *["statistics"] * 3]
