"""What a client decides, without a socket: every text that arrives becomes events.

The driver asks for the URL of the next connection, reports what happened on it, and does what
``reconnect_now`` and the delay of ``Disconnected`` say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import ujson

from unionws.client.address import Query, check_address, connection_url
from unionws.client.events import Connected, Disconnected, Event, Gap, MessageReceived, TransferReceived
from unionws.client.positions import Position, Seen, Tracker, read_position, read_seq
from unionws.client.reconnect import Backoff, Ending, Reconnect
from unionws.model import JSON


class Session:
    """Follows one stream over any number of connections.

    Args:
        url: ``ws://`` or ``wss://``; ClientError when it is not.
        remember: transfers kept in mind against repeats.
    """

    def __init__(self, url: str, query: Query, backoff: Backoff, *, remember: int = 10_000) -> None:
        check_address(url)
        self._url = url
        self._query = query
        self._tracker = Tracker()
        self._seen = Seen(remember)
        self._reconnect = Reconnect(backoff)
        self._can_resume = False
        self._by_cursor = False
        self._asked = ""
        self._replaying = False
        self.ignored = 0
        """Messages that are not JSON objects with a ``type``, and transfers that are not objects."""
        self.reconnect_now = False
        """The connection is to be replaced at once: this server counts differently."""

    @property
    def position(self) -> Position:
        """How far the stream was followed."""
        return self._tracker.position

    def next_url(self) -> str:
        """URL of the next connection, with the position once the server has offered ``resume``."""
        self.reconnect_now = False
        follows = not self._query.channels or "transfers" in self._query.channels
        position = self._resume_parameter() if self._can_resume and follows else {}
        self._asked = next(iter(position), "")
        return connection_url(self._url, self._query, position)

    def _resume_parameter(self) -> dict[str, str]:
        epoch, seq, cursor = self.position.epoch, self.position.seq, self.position.cursor
        if cursor is not None and (self._by_cursor or epoch is None or seq is None):
            return {"cursor": cursor}
        if epoch is not None and seq is not None:
            return {"resume": f"{epoch}:{seq}"}
        return {}

    def opened(self, now: float) -> None:
        """The upgrade succeeded at ``now`` (monotonic seconds)."""
        self._reconnect.opened(now)

    def ended(self, ending: Ending, now: float) -> Disconnected:
        """The connection or the attempt ended; raises ClientError when it was the last."""
        established = self._reconnect.is_open
        delay = self._reconnect.delay(ending, now)
        return Disconnected(ending.code, ending.reason, delay, established)

    def received(self, text: str | bytes) -> list[Event]:
        """The events of one message; what is not a message of the protocol is counted, not raised."""
        message = decode(text)
        kind = None if message is None else message.get("type")
        if message is None or not isinstance(kind, str):
            self.ignored += 1
            return []
        return list(self._dispatch(kind, message))

    def _dispatch(self, kind: str, message: Mapping[str, JSON]) -> Iterator[Event]:
        if kind == "connected":
            yield from self._greeted(_object(message))
        elif kind in ("transfers", "transfer"):
            yield from self._transfers(message)
        elif kind == "gap":
            yield from self._told_of_gap(message)
        else:
            yield from self._other(kind, message)

    def _greeted(self, data: Mapping[str, JSON]) -> Iterator[Event]:
        features = data.get("features")
        self._can_resume = isinstance(features, list) and "resume" in features
        resuming = bool(self._asked) and self._can_resume
        at = read_position(data)
        gap = None if resuming else self._tracker.jump(at, "reconnected")
        self._replaying = resuming
        if resuming:
            self._resumed(at)
        if not self.reconnect_now:
            yield Connected(data, resuming)
        if gap is not None:
            yield gap

    def _resumed(self, at: Position) -> None:
        """Keeps the own position, which the replay goes on from, unless the server counts differently."""
        known = self.position
        if self._asked == "cursor":
            self._by_cursor = False
            self._tracker.forget_seq(at.epoch)
        elif at.epoch is not None and at.epoch != known.epoch and known.cursor is not None:
            self._by_cursor = self.reconnect_now = True

    def _transfers(self, message: Mapping[str, JSON]) -> Iterator[Event]:
        at = read_position(message)
        gap = self._tracker.frame(at, read_seq(message, "prev"))
        if gap is not None:
            yield gap
        late, replay = message.get("late") is True, message.get("replay") is True
        self._replaying = self._replaying and replay
        for transfer in self._items(message):
            if self._is_new(transfer):
                yield TransferReceived(transfer, at.seq, late, replay)

    def _items(self, message: Mapping[str, JSON]) -> Iterator[dict[str, JSON]]:
        data = message.get("data")
        for item in data if isinstance(data, list) else [data]:
            if isinstance(item, dict):
                yield item
            else:
                self.ignored += 1

    def _is_new(self, transfer: Mapping[str, JSON]) -> bool:
        key = transfer.get("sort_order")
        return not isinstance(key, str) or self._seen.add(key)

    def _told_of_gap(self, message: Mapping[str, JSON]) -> Iterator[Event]:
        data = _object(message)
        start, end = read_seq(data, "fromSeq"), read_seq(data, "toSeq")
        at = _position_anywhere(message)
        reason = data.get("reason")
        epoch_gap = self._tracker.mark(Position(at.epoch))
        if epoch_gap is not None and reason != epoch_gap.reason:
            yield epoch_gap
        if data.get("channel", "transfers") == "transfers":
            self._tracker.adopt(Position(at.epoch, end if at.seq is None else at.seq, at.cursor))
        yield Gap(start, end, reason if isinstance(reason, str) else "missed")

    def _other(self, kind: str, message: Mapping[str, JSON]) -> Iterator[Event]:
        if self._counts(kind, _object(message)):
            gap = self._tracker.mark(_position_anywhere(message))
            if gap is not None:
                yield gap
        if kind == "serverShutdown":
            self._reconnect.announced(message.get("data"))
        yield MessageReceived(kind, message.get("data"), message)

    def _counts(self, kind: str, data: Mapping[str, JSON]) -> bool:
        """Whether a message's position is this client's too.

        While it is replayed to, only what is replayed moves it: a connection lost in between has
        to resume from there, not from the head.
        """
        if kind == "subscribed" and data.get("channel") == "transfers":
            self._replaying = data.get("replaying") is True
            return not self._replaying and data.get("recovered") is not False  # else a gap follows
        self._replaying = self._replaying and kind != "caughtUp"
        return not self._replaying


def decode(text: str | bytes) -> Mapping[str, JSON] | None:
    """The JSON object of a message; None when it is none."""
    try:
        message = ujson.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def _object(message: Mapping[str, JSON]) -> Mapping[str, JSON]:
    data = message.get("data")
    return data if isinstance(data, dict) else {}


def _position_anywhere(message: Mapping[str, JSON]) -> Position:
    """Additions carry the position inside ``data``, transfer frames at top level: both are read."""
    outer, inner = read_position(message), read_position(_object(message))
    return Position(outer.epoch or inner.epoch, _first(outer.seq, inner.seq), outer.cursor or inner.cursor)


def _first(one: int | None, other: int | None) -> int | None:
    return other if one is None else one
