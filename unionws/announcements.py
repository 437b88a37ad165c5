"""What an edge says of itself: connected, serverInfo, heartbeat, serverShutdown and the notice in status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import ujson

from unionws import __version__
from unionws.broadcaster import envelopes
from unionws.connections.httpdoor import HEAD_TIMEOUT, MAX_BODY, MAX_HEAD
from unionws.connections.inflow import WINDOW
from unionws.model import JSON, StatusRecord
from unionws.settings import Settings

SHUTDOWN_WINDOW_MS = (100, 5_000)
"""Within which clients are asked to come back, so that they do not all come at once."""

FEATURES = (
    "testnet_flags_precomputed",
    "display_names_precomputed",
    "full_addresses_provided",
    "timestamps_formatted",
    "route_keys_generated",
    "chains_data_provided",
    "high_concurrency_optimized",
    "sharded_client_management",
    "parallel_broadcasting",
)
"""serverInfo.features of the fixed contract."""


def server_info(settings: Settings) -> JSON:
    """The ``data`` of serverInfo."""
    return {
        "serverPrecomputation": "enabled",
        "features": FEATURES,
        "architecture": "ingest and edge processes, filter groups, shared frames",
        "maxConnections": settings.MAX_CLIENTS,
        "shortWindow": settings.SHORT_WINDOW,
    }


class Connected:
    """The first message of a connection: made once for all who open at one position, but for the
    client's name and the time."""

    def __init__(self) -> None:
        self._made: dict[frozenset[str], tuple[bytes, bytes]] = {}
        self._made_for: tuple[Settings | None, tuple[str, int, str]] = (None, ("", 0, ""))

    def message(
        self,
        settings: Settings,
        client_id: str,
        channels: frozenset[str],
        position: tuple[str, int, str],
        now_ms: int,
    ) -> bytes:
        """The message for one client.

        Args:
            client_id: plain letters, digits and dashes.
            position: epoch, ``seq`` and cursor it begins at; an empty epoch: not known yet.
        """
        if self._made_for[0] is not settings or self._made_for[1] != position:
            self._made.clear()
            self._made_for = settings, position
        made = self._made.get(channels)
        if made is None:
            made = self._made[channels] = self._around_name(settings, channels, position)
        return b"%s%s%s%d}" % (made[0], client_id.encode(), made[1], now_ms)

    @staticmethod
    def _around_name(
        settings: Settings, channels: frozenset[str], position: tuple[str, int, str]
    ) -> tuple[bytes, bytes]:
        epoch, seq, cursor = position
        data = {
            "protocol": 1,
            "server": f"unionws/{__version__}",
            "clientId": "",
            **({"epoch": epoch, "seq": seq, "cursor": cursor} if epoch else {}),
            "pingIntervalMs": settings.PING_INTERVAL * 1000,
            "channels": sorted(channels),
            "features": ["resume", "subscribe", "setFilter", "snapshot", "heartbeat"],
            "limits": limits(settings),
        }
        whole = envelopes.message("connected", 0, message="connected to unionws", data=data)
        before, mark, after = whole.partition(b'"clientId":"')
        return before + mark, after.removesuffix(b"0}")


def limits(settings: Settings) -> dict[str, int]:
    """The limits a client is told when it opens; 0: no limit."""
    return {
        "maxMessageBytes": settings.MAX_MESSAGE_BYTES,
        "maxErrors": settings.MAX_ERRORS,
        "maxClients": settings.MAX_CLIENTS,
        "maxClientsPerAddress": settings.MAX_CLIENTS_PER_IP,
        "maxClientsPerKey": settings.MAX_CLIENTS_PER_KEY,
        "maxHandshakesPerAddress": settings.MAX_HANDSHAKES_PER_IP,
        "maxFilterKeys": settings.MAX_FILTER_KEYS,
        "maxMessages": settings.MAX_INBOUND_MESSAGES,
        "maxBytes": settings.MAX_INBOUND_BYTES,
        "windowMs": WINDOW * 1000,
        "maxFilterGroups": settings.MAX_FILTER_GROUPS,
        "maxBacklogBytes": settings.MAX_BACKLOG_BYTES,
        "maxBacklogFrames": settings.MAX_BACKLOG_FRAMES,
        "maxHeadBytes": MAX_HEAD,
        "maxBodyBytes": MAX_BODY,
        "headTimeoutMs": int(HEAD_TIMEOUT * 1000),
    }


def heartbeat(epoch: str, seq: int, upstream: Mapping[str, JSON], now_ms: int) -> bytes:
    """A word to those who heard nothing for a while.

    Args:
        upstream: ``state`` and ``lastSuccess`` (Unix ms) of the source; empty before it is known.
    """
    last = upstream.get("lastSuccess")
    lag = {} if last is None else {"lagMs": max(0, now_ms - last)}
    data = {"seq": seq, "upstream": upstream.get("state", "down"), **lag}
    return envelopes.message("heartbeat", now_ms, data=data, epoch=epoch)


def shutdown(reason: str, now_ms: int) -> bytes:
    """The last message before everybody is closed with 4200."""
    low, high = SHUTDOWN_WINDOW_MS
    data = {"reason": reason, "reconnect": {"minMs": low, "maxMs": high}}
    return envelopes.message("serverShutdown", now_ms, data=data)


def with_notice(record: StatusRecord, notice: str) -> StatusRecord:
    """A status record that also carries what this edge has to say; nothing: as it is."""
    if not notice:
        return record
    return replace(record, data=envelopes.dumps({**ujson.loads(record.data), "notice": notice}))
