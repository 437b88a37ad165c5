"""The one table of settings: name, type, default, unit and help of each; and how they are read.

Precedence: ``--set NAME=VALUE``, then environment ``UNIONWS_<NAME>`` (and the bare names PORT,
GRAPHQL_ENDPOINT, POLL_INTERVAL, MAINNET_ONLY), then the settings file, then the default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from unionws.errors import SettingsError
from unionws.settings_sources import Given, from_environment, from_file, from_overrides
from unionws.settings_values import (
    Row,
    check_folder,
    check_http_url,
    log_levels,
    mask_url,
    read_literal,
    read_text,
    shown,
)
from unionws.wording import did_you_mean


def _setting(
    default: Any,
    *,
    help: str,
    unit: str = "",
    group: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    check: Callable[[Any], object] | None = None,
    secret: bool = False,
) -> Any:
    """One row. ``group`` is the heading this row and those after it stand under."""
    metadata = {
        "unit": unit,
        "help": help,
        "group": group,
        "low": low,
        "high": high,
        "choices": choices,
        "check": check,
        "secret": secret,
    }
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, validated. Fields are in flow order; ``metadata`` has the rest of the row."""

    GRAPHQL_ENDPOINT: str = _setting(
        "https://staging.graphql.union.build/v1/graphql",
        group="Upstream",
        check=check_http_url,
        help="GraphQL endpoint of the Union indexer.",
    )
    POLL_INTERVAL: int = _setting(500, unit="ms", low=50, high=60_000, help="Time between two polls.")
    POLL_LIMIT: int = _setting(
        100, unit="rows", low=1, high=100, help="Rows asked for per page; 100 is the indexer's maximum."
    )
    MAINNET_ONLY: bool = _setting(False, help="Leave out transfers that touch a testnet.")
    LAST_SORT_ORDER: str = _setting("", help="Cursor to start after; empty: start from now.")
    OVERLAP_SECONDS: float = _setting(
        15.0, unit="s", low=0, high=600, help="How far back the re-scan for late rows reaches."
    )
    SPREAD_MS: int = _setting(
        3000,
        group="Scheduling",
        unit="ms",
        low=0,
        high=60_000,
        help="Longest spread of one poll's transfers; 0 turns smoothing off.",
    )
    FUTURE_BUFFER_MS: int = _setting(
        1000, unit="ms", low=0, high=60_000, help="Head start before the first transfer of a poll is due."
    )
    JITTER_MS: int = _setting(
        500, unit="ms", low=0, high=10_000, help="Random extra delay per transfer, at most."
    )
    TRANSFER_AGE_THRESHOLD: float = _setting(
        60.0, unit="s", low=1, high=86_400, help="Older transfers are delivered at once, marked late."
    )
    MAX_TRANSFERS_PER_FRAME: int = _setting(
        5, unit="transfers", low=1, high=100, help="Transfers in one frame; the rest follow 10 ms later."
    )
    SHORT_WINDOW: str = _setting(
        "1m",
        group="Statistics",
        choices=("1m", "5m"),
        help="Window of txPerMinute, …LastMin and the un-scaled lists; the explorer page labels it 5m.",
    )
    CHART_INTERVAL: float = _setting(
        5.0, unit="s", low=0.1, high=3600, help="Shortest time between two chartData messages."
    )
    EDGE_PROCESSES: int | str = _setting(
        0,
        group="Processes",
        low=0,
        high=256,
        choices=("auto",),
        help="0: one process for all. N: one ingest and N edges. auto: as many edges as cores, "
        "or as MAX_CLIENTS needs by the descriptors of one process.",
    )
    HOST: str = _setting("", group="Clients", help="Address to listen on; empty: all.")
    PORT: int = _setting(8080, low=0, high=65_535, help="Port for WebSocket and HTTP; 0 takes a free one.")
    TRANSFER_FORM: str = _setting(
        "batch",
        choices=("batch", "single"),
        help="Form of transfer frames for clients that do not choose one.",
    )
    MAX_MESSAGE_BYTES: int = _setting(
        16_384,
        unit="bytes",
        low=125,
        high=16_777_216,
        help="Largest message a client may send, after inflation.",
    )
    MAX_CLIENTS: int = _setting(
        100_000, low=0, high=10_000_000, help="Clients in all, announced to clients; 0: no limit."
    )
    ALLOWED_ORIGINS: tuple[str, ...] = _setting(
        (), help="Origins browsers may connect from, such as https://app.union.build; empty: any."
    )
    MAX_ERRORS: int = _setting(
        50,
        unit="messages",
        low=1,
        high=10_000,
        help="Refused messages within 60 s that close a client (4008).",
    )
    MAX_BACKLOG_BYTES: int = _setting(
        262_144,
        unit="bytes",
        low=16_384,
        high=67_108_864,
        help="Bytes waiting for one slow client beyond the kernel's buffer.",
    )
    MAX_BACKLOG_FRAMES: int = _setting(
        1_000, unit="frames", low=10, high=100_000, help="Frames waiting for one slow client."
    )
    SEND_BUFFER_BYTES: int = _setting(
        65_536,
        unit="bytes",
        low=4_096,
        high=8_388_608,
        help="SO_SNDBUF of client sockets; bounds the kernel memory of one that stops reading.",
    )
    COMPRESSION_LEVEL: int = _setting(
        6, low=0, high=9, help="zlib level of permessage-deflate; 0 turns compression off."
    )
    COMPRESS_FROM_BYTES: int = _setting(
        512, unit="bytes", low=0, high=1_048_576, help="Smaller messages are sent uncompressed."
    )
    PING_INTERVAL: int = _setting(
        54, unit="s", low=1, high=3600, help="Time between two pings to the same client."
    )
    HISTORY_RING: int = _setting(
        10_000,
        group="History",
        unit="transfers",
        low=100,
        high=1_000_000,
        help="Published transfers each edge keeps in memory.",
    )
    STATE_DIR: str = _setting(
        "state",
        check=check_folder,
        help="Folder for numbering, poll position and history, each endpoint in a folder of its own.",
    )
    HISTORY_MAX_ROWS: int = _setting(
        1_000_000, unit="transfers", low=1_000, high=100_000_000, help="Published transfers kept on disk."
    )
    HISTORY_MAX_AGE: float = _setting(
        7.0, unit="days", low=0.01, high=3650, help="Age at which transfers leave the disk."
    )
    PLUGINS: tuple[str, ...] = _setting((), group="Plugins", help="Modules to load as plugins.")
    PLUGINS_DIR: str = _setting(
        "plugins",
        help="Folder of drop-in plugins; the default is skipped where it does not exist, empty: none.",
    )
    DISABLED_PLUGINS: tuple[str, ...] = _setting((), help="Names of plugins to leave out.")
    LOG_FORMAT: str = _setting(
        "auto",
        group="Logs",
        choices=("auto", "text", "json"),
        help="auto: text on a terminal, JSON elsewhere.",
    )
    LOG_LEVEL: str = _setting(
        "INFO",
        check=log_levels,
        help="Level, or a list such as INFO,source=DEBUG for single components.",
    )


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings together with where each given one came from."""

    settings: Settings
    origins: Mapping[str, str]

    def changed(self) -> list[tuple[Row, Any, str]]:
        """Settings that differ from their default: row, value as it may be shown, origin."""
        rows = [(row, getattr(self.settings, row.name)) for row in settings_table()]
        return [
            (row, shown(row, value), self.origins[row.name])
            for row, value in rows
            if value != row.default and row.name in self.origins
        ]


_KINDS = {
    "str": "text",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "tuple[str, ...]": "list",
    "int | str": "count",
}


@cache
def settings_table() -> tuple[Row, ...]:
    """The rows of the table, in flow order."""
    rows: list[Row] = []
    group = ""
    for item in fields(Settings):
        group = item.metadata["group"] or group
        data = {**item.metadata, "group": group}
        rows.append(Row(name=item.name, kind=_KINDS[str(item.type)], default=item.default, **data))
    return tuple(rows)


def load_settings(file: Path | None, overrides: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """Read and validate all settings.

    Args:
        file: the settings file, or None for none.
        overrides: ``NAME=VALUE`` texts, strongest.
        environ: the environment.

    Raises:
        SettingsError: with every unknown name and bad value at once.
    """
    return read_settings(file, overrides, environ).settings


def read_settings(file: Path | None, overrides: Sequence[str], environ: Mapping[str, str]) -> Loaded:
    """As load_settings, and remember where each setting came from."""
    in_file, file_problems = from_file(file) if file is not None else ([], [])
    in_overrides, override_problems = from_overrides(overrides)
    given = [*in_file, *from_environment(environ), *in_overrides]
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    problems = [*file_problems, *override_problems]
    for item in given:  # weakest first, so the last one counts
        try:
            values[item.name] = _read(item)
            origins[item.name] = item.origin
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise SettingsError(problems)
    return Loaded(Settings(**values), origins)


def _read(item: Given) -> Any:
    rows = {row.name: row for row in settings_table()}
    row = rows.get(item.name)
    if row is None:
        hint = did_you_mean(item.name, rows, item.prefix)
        raise ValueError(f"{item.origin}: unknown setting {item.prefix}{item.name}{hint}")
    try:
        return read_literal(row, item.value) if item.literal else read_text(row, item.value)
    except ValueError as error:
        raise ValueError(f"{item.origin}: {row.name} {_quoted(row, item.value)}, but {error}") from None


def _quoted(row: Row, value: Any) -> str:
    text = "is ***" if row.secret else f"is {mask_url(repr(value))}"
    return text if len(text) <= 120 else text[:117] + "..."


def public_view(settings: Settings) -> dict[str, Any]:
    """All settings as JSON-able values that may be shown: secrets and URL passwords are masked."""
    return {row.name: shown(row, getattr(settings, row.name)) for row in settings_table()}
