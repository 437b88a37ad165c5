"""Structured logs: one short sentence per event, its data as fields, as text or as JSON lines.

Every logger of the process ends in one handler: unionws's own at the levels of LOG_LEVEL, those of
Tornado, asyncio and other libraries from WARNING on. A JSON line has ``timestamp`` (RFC 3339, UTC,
milliseconds), ``level``, ``component``, ``message`` and ``fields``. Nothing that is logged, and no
state of the stream it goes to, can raise into the code that logs.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sys
from collections.abc import Mapping, Sequence, Set
from datetime import datetime, timezone
from itertools import islice
from typing import Any, TextIO

from pythonjsonlogger.json import JsonFormatter

from unionws.repeats import Repeats
from unionws.settings import Settings
from unionws.settings_values import log_levels

ROOT = "unionws"
MAX_TEXT = 4_000
MAX_ITEMS = 100
MAX_DEPTH = 6
COLOURS = {"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}


def configure_logs(settings: Settings, stream: TextIO | None = None) -> logging.Handler:
    """Send all logs of the process to ``stream`` (default: stderr) as the settings say.

    May be called again, for a new LOG_LEVEL or stream; the handler of the last call is replaced.
    """
    stream = sys.stderr if stream is None else stream
    handler = LogHandler(stream)
    handler.setFormatter(_formatter(settings, stream))
    handler.addFilter(Repeats())
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, LogHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    set_levels(settings.LOG_LEVEL)
    return handler


def set_levels(text: str) -> None:
    """Apply LOG_LEVEL; components named before and not in ``text`` go back to the general level."""
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(f"{ROOT}."):
            logging.getLogger(name).setLevel(logging.NOTSET)
    logging.getLogger().setLevel(logging.WARNING)
    for component, level in log_levels(text).items():
        logging.getLogger(_logger_name(component)).setLevel(level)


def _logger_name(component: str) -> str:
    if component.partition(".")[0] in ("tornado", "asyncio", "urllib3"):
        return component
    return f"{ROOT}.{component}" if component else ROOT


def _formatter(settings: Settings, stream: TextIO) -> logging.Formatter:
    terminal = stream.isatty()
    if settings.LOG_FORMAT == "json" or (settings.LOG_FORMAT == "auto" and not terminal):
        return JsonLines()
    return TextLines(colour=terminal and "NO_COLOR" not in os.environ)


class LogHandler(logging.StreamHandler):  # type: ignore[type-arg]  # it cannot have one before Python 3.11
    """Writes to a stream that may go away: the service must outlive its log."""

    def handleError(self, record: logging.LogRecord) -> None:
        """The stream refused a line: drop it; when its reader is gone for good, write to nowhere."""
        if isinstance(sys.exc_info()[1], BrokenPipeError) and self.stream in (sys.stderr, sys.stdout):
            _point_at_nothing(self.stream)


def _point_at_nothing(stream: TextIO) -> None:
    """Make the descriptor of a standard stream lead nowhere, so that flushing it at exit succeeds."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)


class JsonLines(JsonFormatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        return self.serialize_log_record(
            {
                "timestamp": timestamp(record.created),
                "level": record.levelname,
                "component": component(record.name),
                "message": message(record),
                "fields": log_fields(record),
            }
        )


class TextLines(logging.Formatter):
    """Aligned lines for people: time, level, component, message, then ``key=value``."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        fields = log_fields(record)
        trace = fields.pop("exception", None)
        level = f"{record.levelname:<8}"
        if self._colour:
            level = f"\x1b[{COLOURS.get(record.levelname, '0')}m{level}\x1b[0m"
        pairs = " ".join(f"{_word(key)}={_word(value)}" for key, value in fields.items())
        text = f"{_printable(message(record)):<40}  {pairs}" if pairs else _printable(message(record))
        line = f"{timestamp(record.created)}  {level} {component(record.name):<14} {text}"
        return f"{line}\n{_indented(trace)}" if trace else line


def timestamp(created: float) -> str:
    """Unix seconds as RFC 3339 in UTC with milliseconds."""
    moment = datetime.fromtimestamp(created, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def component(logger: str) -> str:
    """Name of the part that logged: the logger's name without ``unionws.``."""
    return logger.removeprefix(f"{ROOT}.")


def message(record: logging.LogRecord) -> str:
    """The record's sentence; its template when the arguments do not fit."""
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001 - a caller's __str__ may raise anything
        text = (
            f"{record.msg!r} (its arguments do not fit)" if isinstance(record.msg, str) else "(unprintable)"
        )
    return _bounded(text)


def log_fields(record: logging.LogRecord) -> dict[str, Any]:
    """Data of the record as JSON-able values; an exception's traceback is under ``exception``."""
    given = getattr(record, "fields", None)
    try:
        fields = plain(given) if isinstance(given, Mapping) else {}
    except Exception:  # noqa: BLE001 - a container of any type may be logged
        fields = {"unprintable": type(given).__name__}
    if record.exc_info and record.exc_info[0] is not None:
        fields["exception"] = _bounded(_traceback(record)[-MAX_TEXT:])  # its end says most
    return fields


def _traceback(record: logging.LogRecord) -> str:
    assert record.exc_info is not None
    try:
        return logging.Formatter().formatException(record.exc_info)
    except Exception:  # noqa: BLE001 - the exception's own __str__ may raise anything
        return f"{record.exc_info[0]} (unprintable)"


def plain(value: Any, depth: int = MAX_DEPTH) -> Any:
    """``value`` as JSON-able data of bounded size, whatever it is."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if abs(value) < 2**63 else _bounded(hex(value))
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return _bounded(value)
    if depth > 0 and isinstance(value, Mapping):
        return {_text(key): plain(item, depth - 1) for key, item in islice(value.items(), MAX_ITEMS)}
    if depth > 0 and isinstance(value, (Sequence, Set)) and not isinstance(value, (bytes, bytearray)):
        return [plain(item, depth - 1) for item in islice(value, MAX_ITEMS)]
    return _text(value)


def _text(value: Any) -> str:
    try:
        return _bounded(str(value))
    except Exception:  # noqa: BLE001 - any object may be logged, and its __str__ may raise anything
        return f"(unprintable {type(value).__name__})"


def _bounded(text: str) -> str:
    """``text`` cut to MAX_TEXT, lone surrogates shown as escapes (they cannot be written as UTF-8)."""
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}… ({len(text)} characters)"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _printable(text: str) -> str:
    """``text`` with control characters escaped: what a client sends must not steer a terminal."""
    return text if text.isprintable() else json.dumps(text)[1:-1]


def _word(value: Any) -> str:
    """A field's key or value as one word, quoted where it is not one."""
    if not isinstance(value, str):
        return json.dumps(value)
    simple = value.isprintable() and not set(value) & set(" =\"'")
    return value if value and simple else json.dumps(value, ensure_ascii=not value.isprintable())


def _indented(text: str) -> str:
    return "\n".join(f"    {_printable(line)}" for line in text.splitlines())
