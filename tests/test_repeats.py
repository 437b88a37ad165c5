"""unionws.repeats: lines that repeat themselves."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from unionws.logs import LogHandler, configure_logs
from unionws.repeats import MOST_KINDS, PATIENCE, WINDOW, Repeats
from unionws.settings import Settings


def line(words: str = "view failed", level: int = logging.ERROR, **fields: object) -> logging.LogRecord:
    record = logging.LogRecord("unionws.web", level, __file__, 1, words, (), None)
    record.fields = fields
    return record


class Clocked:
    """A filter on a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.repeats = Repeats(lambda: self.now)

    def written(self, *records: logging.LogRecord) -> list[logging.LogRecord]:
        return [record for record in records if self.repeats.filter(record)]


def test_the_first_ones_are_written_and_the_rest_is_counted() -> None:
    """The next one that is written says how many were not."""
    clocked = Clocked()
    assert len(clocked.written(*[line(status=500) for _ in range(PATIENCE + 7)])) == PATIENCE
    clocked.now += WINDOW
    [after, again] = clocked.written(line(status=500), line(status=500))
    assert after.fields == {"status": 500, "repeated": 7}
    assert again.fields == {"status": 500}


def test_what_is_not_a_warning_is_always_written() -> None:
    """Who switches on a line per connection wants all of them."""
    records = [line("client gone", logging.INFO) for _ in range(5 * PATIENCE)]
    assert Clocked().written(*records) == records


@pytest.mark.parametrize("name", ["process", "plugin", "kind"])
def test_lines_about_different_things_do_not_repeat_each_other(name: str) -> None:
    """Twenty edges that die are twenty lines."""
    records = [line("process ended", **{name: f"edge{number}"}) for number in range(2 * PATIENCE)]
    assert Clocked().written(*records) == records


@pytest.mark.parametrize("words", [{"a": 1}, [], object(), None])
@pytest.mark.parametrize("fields", [{"process": {"a": []}}, [1], "text", None])
def test_odd_lines_are_lines_too(words: object, fields: object) -> None:
    """What cannot be compared, and fields that are none, do not raise into the code that logs."""
    record = line()
    record.msg, record.fields = words, fields
    assert Clocked().written(record) == [record]


def test_memory_is_bounded() -> None:
    """Words that are new each time are not remembered for ever."""
    clocked = Clocked()
    clocked.written(*[line(f"odd {number}") for number in range(3 * MOST_KINDS)])
    assert len(clocked.repeats._seen) <= MOST_KINDS


@pytest.fixture(name="restored")
def fixture_restored() -> Iterator[None]:
    """The logging of the test run as it was."""
    root = logging.getLogger()
    levels = {name: logging.getLogger(name).level for name in ("", "unionws")}
    yield
    for handler in [handler for handler in root.handlers if isinstance(handler, LogHandler)]:
        root.removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.usefixtures("restored")
def test_the_log_of_a_service_does_so() -> None:
    """Whoever logs: ours and other libraries' lines end in the same place."""
    stream = io.StringIO()
    configure_logs(Settings(LOG_FORMAT="json"), stream)
    for _ in range(3 * PATIENCE):
        logging.getLogger("tornado.application").error("Uncaught exception %s", "x")
    lines = [json.loads(text) for text in stream.getvalue().splitlines()]
    assert len(lines) == PATIENCE
    assert {entry["message"] for entry in lines} == {"Uncaught exception x"}
