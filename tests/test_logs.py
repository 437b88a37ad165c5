from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from unionws import logs
from unionws.settings import Settings
from unionws.settings_values import COMPONENTS


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Give the process its levels back."""
    root = logging.getLogger()
    level = root.level
    yield
    logs.set_levels("INFO")
    root.handlers[:] = [handler for handler in root.handlers if not isinstance(handler, logs.LogHandler)]
    root.setLevel(level)


def configured(stream: io.StringIO | None = None, **settings: Any) -> io.StringIO:
    """Logs in a stream of their own; pytest's handlers, which raise on purpose, are taken off."""
    logging.getLogger().handlers[:] = []
    stream = stream or io.StringIO()
    logs.configure_logs(Settings(**settings), stream)
    return stream


def json_line(stream: io.StringIO) -> dict[str, Any]:
    (line,) = stream.getvalue().splitlines()
    parsed = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert isinstance(parsed, dict)
    return parsed


def test_a_json_line_has_the_five_documented_keys() -> None:
    """Production logs carry timestamp, level, component, message and fields, in this order."""
    stream = configured()
    logging.getLogger("unionws.source").warning("Poll failed", extra={"fields": {"kind": "timeout", "n": 2}})
    line = json_line(stream)
    assert list(line) == ["timestamp", "level", "component", "message", "fields"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("timestamp"))
    assert line == {
        "level": "WARNING",
        "component": "source",
        "message": "Poll failed",
        "fields": {"kind": "timeout", "n": 2},
    }


def test_timestamps_are_utc_with_milliseconds() -> None:
    """The zone of the machine does not matter."""
    assert logs.timestamp(0.0) == "1970-01-01T00:00:00.000Z"
    assert logs.timestamp(1_760_000_000.9876) == "2025-10-09T08:53:20.987Z"


def test_an_exception_comes_with_its_traceback_in_the_fields() -> None:
    """One event stays one line, traceback included."""
    stream = configured()
    try:
        raise ValueError("odd")
    except ValueError:
        logging.getLogger("unionws.stats").exception("Snapshot failed")
    line = json_line(stream)
    assert line["fields"]["exception"].endswith("ValueError: odd")


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize(
    "value",
    [
        "\ud800 lone",
        float("nan"),
        float("inf"),
        10**400,
        b"\xff",
        {("a", 1): {1, 2}},
        Hostile(),
        [[[[[[[[[[1]]]]]]]]]],
        "x" * 100_000,
        ValueError("x"),
        range(10**9),
    ],
)
def test_anything_can_be_logged(form: str, value: object) -> None:
    """No value in fields or message makes logging fail or the line unreadable."""
    stream = configured(LOG_FORMAT=form)
    endless: list[object] = []
    endless.append(endless)
    logging.getLogger("unionws.web").error(
        "Odd %s", value, extra={"fields": {"value": value, "endless": endless}}
    )
    written = stream.getvalue()
    assert len(written.encode("utf-8").splitlines()) == 1
    assert len(written) < 20_000
    if form == "json":
        assert set(json_line(stream)["fields"]) == {"value", "endless"}


def test_a_message_whose_arguments_do_not_fit_is_still_logged() -> None:
    """A mistake in a log call costs its arguments, not the line."""
    stream = configured()
    logging.getLogger("unionws.web").error("Only %d", "text")
    assert "Only %d" in json_line(stream)["message"]


def test_text_lines_align_and_quote_what_is_not_a_word() -> None:
    """Text for people: level, component, message, key=value, without colour outside a terminal."""
    stream = configured(LOG_FORMAT="text")
    fields = {"kind": "time out", "wait": 1.5, "plain": "word", "empty": "", "list": ["a"]}
    logging.getLogger("unionws.source").warning("Poll failed", extra={"fields": fields})
    line = stream.getvalue()
    assert re.search(r"Z  WARNING  source +Poll failed +kind=\"time out\" wait=1.5 plain=word", line)
    assert 'empty="" list=["a"]' in line
    assert "\x1b" not in line


def test_what_clients_send_cannot_steer_a_terminal() -> None:
    """Escape sequences and line breaks are shown, not obeyed."""
    stream = configured(LOG_FORMAT="text")
    evil = "a\x1b[2J\nWARNING fake \x9b"
    logging.getLogger("unionws.web").warning("Bad %s", evil, extra={"fields": {"evil": evil, evil: 1}})
    (line,) = stream.getvalue().splitlines()
    assert line.isprintable()


def test_auto_is_text_with_colour_on_a_terminal_and_json_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """LOG_FORMAT=auto looks at the stream; NO_COLOR is honoured."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        configured(stream)
        logging.getLogger("unionws.app").info("Started")
    assert "\x1b[32mINFO    \x1b[0m app" in terminal.getvalue()
    assert json_line(pipe)["message"] == "Started"
    monkeypatch.setenv("NO_COLOR", "1")
    plain = configured(Terminal())
    logging.getLogger("unionws.app").info("Plain")
    assert "\x1b" not in plain.getvalue()


def test_levels_are_set_per_component_and_forgotten_when_set_again() -> None:
    """LOG_LEVEL gives a general level and exceptions; a new value replaces all of it."""
    stream = configured(LOG_LEVEL="warning,source=DEBUG")
    logging.getLogger("unionws.source.poller").debug("1")
    logging.getLogger("unionws.stats").info("hidden")
    logging.getLogger("unionws.stats").warning("2")
    logs.set_levels("INFO")
    logging.getLogger("unionws.source.poller").debug("hidden")
    logging.getLogger("unionws.stats").info("3")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["1", "2", "3"]


def test_tornado_and_other_libraries_are_heard_from_warning_on() -> None:
    """Libraries share the format; their chatter does not get in."""
    stream = configured()
    logging.getLogger("tornado.access").info("200 GET /")
    logging.getLogger("tornado.application").error("Uncaught")
    assert json_line(stream)["component"] == "tornado.application"


def test_configuring_again_replaces_the_stream() -> None:
    """Nothing is written twice after a second call."""
    first, second = configured(), configured()
    logging.getLogger("unionws.app").info("Once")
    assert first.getvalue() == ""
    assert json_line(second)["message"] == "Once"


def test_every_logger_in_the_source_is_a_known_component() -> None:
    """LOG_LEVEL can name every part that logs."""
    from tests.test_architecture import SOURCES

    for path in SOURCES:
        for name in re.findall(r'getLogger\("unionws\.(\w+)', path.read_text("utf-8")):
            assert name in COMPONENTS, f"{path}: add {name!r} to settings_values.COMPONENTS"


def test_a_log_whose_reader_has_gone_does_not_stop_the_service() -> None:
    """Standard error is a broken pipe: the process goes on and exits 0."""
    code = """
import logging, sys
from unionws.logs import configure_logs
from unionws.settings import Settings
configure_logs(Settings())
sys.stdin.readline()
for _ in range(3):
    logging.getLogger("unionws.app").info("Nobody reads this")
print("alive", flush=True)
"""
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=writer, text=True
    )
    os.close(writer)
    os.close(reader)
    answer, _ = process.communicate("go\n", timeout=30)
    assert (answer, process.returncode) == ("alive\n", 0)
