"""The one table of settings: name, type, default, unit and help of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any

from unionws.settings_plugins import NO_EXTRA, PluginSettings
from unionws.settings_values import (
    Row,
    check_folder,
    check_http_url,
    check_keys,
    check_networks,
    check_public_key,
    check_secret,
    log_levels,
    shown,
)


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
    SOURCE: str = _setting(
        "indexer", help="Where transfers come from: indexer, replay, or what a plugin adds."
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
    UPDATES_PER_MINUTE: int = _setting(
        12,
        unit="requests",
        low=0,
        high=120,
        help="Budget for reading transfers again, to tell when they were received or timed out; 0: never.",
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
    BACKFILL_DAYS: int = _setting(
        60,
        unit="days",
        low=0,
        high=366,
        help="How far into the past statistics are filled from the indexer; 60 days are two of the "
        "longest windows, 0 turns it off.",
    )
    BACKFILL_PAUSE_MS: int = _setting(
        250, unit="ms", low=0, high=60_000, help="Pause between two pages of 100 rows that are filled in."
    )
    NODE_PROBES: bool = _setting(True, help="Probe the chains' RPC nodes once a minute, for nodeHealthData.")
    PROBE_PRIVATE_ADDRESSES: bool = _setting(
        False, help="Probe nodes at private addresses too; on with --simulate, whose nodes are here."
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
        100_000,
        group="Limits",
        low=0,
        high=10_000_000,
        help="Clients in all, over all edges, announced to clients; 0: no limit.",
    )
    MAX_CLIENTS_PER_IP: int = _setting(
        1_000, low=0, high=10_000_000, help="Clients of one address, of IPv6 one /64; 0: no limit."
    )
    MAX_HANDSHAKES_PER_IP: int = _setting(
        2_000,
        unit="per 10 s",
        low=0,
        high=10_000_000,
        help="Connections an address may open, accepted or not; 0: no limit.",
    )
    TRUSTED_PROXIES: tuple[str, ...] = _setting(
        ("127.0.0.0/8", "::1"),
        check=check_networks,
        help="Addresses or networks whose X-Forwarded-For and X-Real-IP are believed; "
        "they are not limited themselves.",
    )
    MAX_INBOUND_MESSAGES: int = _setting(
        100,
        unit="per 10 s",
        low=0,
        high=10_000_000,
        help="Messages a client may send, control frames included, before it is closed (4102); 0: no limit.",
    )
    MAX_INBOUND_BYTES: int = _setting(
        1_048_576,
        unit="bytes per 10 s",
        low=0,
        high=1_073_741_824,
        help="Bytes a client may send before it is closed (4102); 0: no limit.",
    )
    MAX_FILTER_KEYS: int = _setting(
        100, low=1, high=1_000, help="Chains, wallets, assets and other values one filter may name in all."
    )
    MAX_FILTER_GROUPS: int = _setting(
        100_000, low=0, high=10_000_000, help="Different filters one edge serves; 0: no limit."
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
    ALLOWED_ORIGINS: tuple[str, ...] = _setting(
        (),
        group="Security",
        help="Origins browsers may connect from, such as https://app.union.build; empty: any.",
    )
    API_KEYS: tuple[str, ...] = _setting(
        (),
        secret=True,
        check=check_keys,
        help="Keys of which clients must show one; empty: none is asked for.",
    )
    MAX_CLIENTS_PER_KEY: int = _setting(
        0, low=0, high=10_000_000, help="Clients that show the same key or token subject; 0: no limit."
    )
    JWT_SECRET: str = _setting(
        "",
        secret=True,
        check=check_secret,
        help="Secret of tokens (JWT, HS256) that clients may show instead of a key; empty: none.",
    )
    JWT_PUBLIC_KEY: str = _setting(
        "",
        check=check_public_key,
        help="File with the public key (PEM) of tokens signed by RS256, ES256 or EdDSA; empty: none.",
    )
    ADMIN_TOKEN: str = _setting(
        "",
        secret=True,
        help="Token for operators' views (/debug, /slow-clients, …) as 'Authorization: Bearer'; "
        "empty: they are open.",
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
    PLUGIN_TIMEOUT_MS: int = _setting(
        200,
        unit="ms",
        low=0,
        high=60_000,
        help="Time after which a plugin's call that keeps the stream waiting is cut short; 0: never.",
    )
    PLUGIN_MEMORY_MB: int = _setting(
        100,
        unit="MB",
        low=0,
        high=1_000_000,
        help="Memory a plugin may hold in a process before it is switched off; 0: any.",
    )
    TRACE_HOOKS: bool = _setting(False, help="Log every call of a plugin, with its time.")
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
    LOG_CONNECTIONS: bool = _setting(
        False, help="Log each client that opens or goes, with address, close code and reason."
    )
    extra: PluginSettings = field(default=NO_EXTRA, compare=False)
    """Settings that plugins declared, by name; not part of the table."""


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
    for item in fields(Settings)[:-1]:  # without ``extra``
        group = item.metadata["group"] or group
        data = {**item.metadata, "group": group}
        rows.append(Row(name=item.name, kind=_KINDS[str(item.type)], default=item.default, **data))
    return tuple(rows)


def public_view(settings: Settings) -> dict[str, Any]:
    """All settings as JSON-able values that may be shown: secrets and URL passwords are masked."""
    own = [(row, getattr(settings, row.name)) for row in settings_table()]
    return {row.name: shown(row, value) for row, value in [*own, *settings.extra.pairs()]}
