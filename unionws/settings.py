"""The one table of settings: name, type, default, unit and help of each; and how they are read.

Precedence: ``--set NAME=VALUE``, then environment ``UNIONWS_<NAME>`` (and the bare names PORT,
GRAPHQL_ENDPOINT, POLL_INTERVAL, MAINNET_ONLY), then the settings file, then the default.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


def _setting(
    default: Any,
    *,
    unit: str = "",
    help: str,
    allowed: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    secret: bool = False,
) -> Any:
    metadata = {"unit": unit, "help": help, "low": low, "high": high, "choices": choices, "secret": secret}
    if isinstance(default, (list, dict)):
        raise TypeError("defaults are immutable: use a tuple")
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, validated. Fields are in flow order; ``metadata`` has the rest of the row."""

    # upstream
    GRAPHQL_ENDPOINT: str = _setting(
        "https://staging.graphql.union.build/v1/graphql", help="GraphQL endpoint of the Union indexer."
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
    # scheduling
    SPREAD_MS: int = _setting(
        3000,
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
    # statistics
    SHORT_WINDOW: str = _setting(
        "1m",
        choices=("1m", "5m"),
        help="Window of txPerMinute, …LastMin and the un-scaled lists; the explorer page labels it 5m.",
    )
    CHART_INTERVAL: float = _setting(
        5.0, unit="s", low=0.1, high=3600, help="Shortest time between two chartData messages."
    )
    # clients
    HOST: str = _setting("", help="Address to listen on; empty: all.")
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
    HISTORY_RING: int = _setting(
        10_000,
        unit="transfers",
        low=100,
        high=1_000_000,
        help="Published transfers each edge keeps in memory.",
    )
    # plugins
    PLUGINS: tuple[str, ...] = _setting((), help="Modules to load as plugins.")
    PLUGINS_DIR: str = _setting("plugins", help="Folder of drop-in plugins; skipped where it does not exist.")
    DISABLED_PLUGINS: tuple[str, ...] = _setting((), help="Names of plugins to leave out.")
    # logs
    LOG_FORMAT: str = _setting(
        "auto", choices=("auto", "text", "json"), help="auto: text on a terminal, JSON elsewhere."
    )
    LOG_LEVEL: str = _setting(
        "INFO", help="Level, or a list such as INFO,source=DEBUG for single components."
    )
