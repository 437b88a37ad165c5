"""A model client that keeps the rules of the protocol, and a ledger of what it had to receive.

It knows nothing of how the service works: all it does follows from what is on the wire. Only the
ledger, which judges in the end, knows what was published at which position.
"""

from __future__ import annotations

import socket
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

import ujson

from tests.connections.wire import masked
from unionws.model import Fragment

TEXT, CLOSE = 0x1, 0x8
JSON = dict[str, Any]


@dataclass(frozen=True)
class Wish:
    """A filter: one field and the value it has to have; without a field everything passes."""

    field: str = ""
    value: str = ""

    def json(self) -> JSON:
        return {self.field: [self.value]} if self.field else {}

    @classmethod
    def of(cls, fields: JSON) -> Wish:
        """The wish a service answers with."""
        return next((cls(name, values[0]) for name, values in fields.items()), cls())

    def passes(self, item: Fragment) -> bool:
        sides = {"fromChains": (item.source,), "wallets": (item.sender, item.receiver)}
        return not self.field or self.value in sides[self.field]


ALL, NOTHING = Wish(), Wish("fromChains", "nowhere.0")
PARAMETERS = {"fromChains": "from", "wallets": "wallet"}


@dataclass
class Ledger:
    """All that was published, in order; a *place* is how many transfers were published up to there.

    Attributes:
        places: place of each position ``(epoch, seq)``.
        place_of: place of each transfer by ``sort_order``.
        again: places of what was published before, in a numbering that was lost.
    """

    items: list[Fragment] = field(default_factory=list)
    places: dict[tuple[str, int], int] = field(default_factory=dict)
    place_of: dict[str, int] = field(default_factory=dict)
    again: set[int] = field(default_factory=set)

    def publish(self, item: Fragment, epoch: str, seq: int) -> None:
        """A transfer has got a number."""
        self.items.append(item)
        place = len(self.items)
        if item.sort_order in self.place_of:
            self.again.add(place)
        self.place_of[item.sort_order] = place
        self.places[epoch, seq] = place

    def place(self, epoch: str, seq: int) -> int:
        """Place of a position; before the first of a numbering all is 0."""
        return self.places[epoch, seq] if seq >= 0 else 0


@dataclass(frozen=True)
class Position:
    """Where to go on; ``seq`` None: only the cursor says where."""

    epoch: str
    seq: int | None
    cursor: str
    place: int


@dataclass(frozen=True)
class Resume:
    """A position to go on from, and which of its two forms the service is told."""

    at: Position
    by_seq: bool
    by_cursor: bool

    def json(self) -> JSON:
        wanted: JSON = {"epoch": self.at.epoch, "seq": self.at.seq} if self.by_seq else {}
        return {**wanted, "cursor": self.at.cursor} if self.by_cursor else wanted

    def parameters(self) -> dict[str, str]:
        wanted = {"resume": f"{self.at.epoch}:{self.at.seq}"} if self.by_seq else {}
        return {**wanted, "cursor": self.at.cursor} if self.by_cursor else wanted


class Follower:
    """One user of the stream, over any number of connections.

    Attributes:
        at: up to here everything was received or told of; None before the first greeting.
        got: places of the transfers received, and how often.
        told: places that were said to be missing.
        reasons: what the service gave as reasons.
        false_gaps: gaps by the rule that contain what nobody had told of.
        wrong: what came though the filter does not pass it, or came live though it had come before.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.peer: socket.socket | None = None
        self.at: Position | None = None
        self.wish = ALL
        self.got: Counter[int] = Counter()
        self.told: set[int] = set()
        self.reasons: set[str] = set()
        self.false_gaps: list[str] = []
        self.wrong: list[str] = []
        self.close_code: int | None = None
        self.errors: list[JSON] = []
        self._due: list[tuple[int, tuple[Wish, ...]]] = []
        self._replaying = False
        self._replay_wishes: tuple[Wish, ...] = ()
        self._resume: Resume | None = None
        self._asked: dict[int, tuple[Wish, Resume | None]] = {}
        self._buffer = b""

    # -- asking ---------------------------------------------------------------------------------

    def resume(self, by_seq: bool, by_cursor: bool) -> Resume | None:
        """The present position, in the forms wished for as far as they are known."""
        at = self.at
        if at is None:
            return None
        by_cursor = bool(at.cursor) and (by_cursor or at.seq is None)
        by_seq = at.seq is not None and (by_seq or not by_cursor)
        return Resume(at, by_seq, by_cursor)

    def query(self, resume: Resume | None) -> str:
        """The query of a connection's URL."""
        given = {"channels": "transfers,status"}
        if self.wish.field:
            given[PARAMETERS[self.wish.field]] = self.wish.value
        return urlencode({**given, **(resume.parameters() if resume else {})})

    def opened(self, peer: socket.socket, resume: Resume | None) -> None:
        """A new connection, opened with :meth:`query`."""
        peer.setblocking(False)
        self.peer, self._resume, self._buffer = peer, resume, b""
        self._asked.clear()
        self._replaying = resume is not None
        self._replay_wishes = (self.wish,)
        self.close_code = None
        if resume is not None:
            self._owe(resume.at.place, self.wish)

    def drop(self) -> None:
        """End the connection; what was not read of it is lost."""
        if self.peer is not None:
            self.peer.close()
        self.peer = None

    def request(self, type: str, wish: Wish = ALL, resume: Resume | None = None, **data: Any) -> None:
        """Send a request, if the socket takes it."""
        if self.peer is None or self.at is None:
            return
        number = len(self._asked) + 1
        self._asked[number] = wish, resume
        if resume is not None:
            data["resume"] = resume.json()
        message = ujson.dumps({"type": type, "id": number, "data": data})
        try:
            self.peer.send(masked(TEXT, message.encode()))
        except BlockingIOError:
            return
        except OSError:
            self.drop()

    # -- reading --------------------------------------------------------------------------------

    def read(self, size: int) -> bool:
        """Read at most ``size`` bytes; whether there were any."""
        if self.peer is None:
            return False
        try:
            data = self.peer.recv(size)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self.drop()
            return False
        self._buffer += data
        while (frame := self._frame()) is not None:
            self._take(*frame)
        return True

    def _frame(self) -> tuple[int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, start = buffer[1], 2
        if size > 125:
            start = 4 if size == 126 else 10
            size = int.from_bytes(buffer[2:start], "big")
        if len(buffer) < max(start, start + size):
            return None
        self._buffer = buffer[start + size :]
        return buffer[0] & 0x0F, buffer[start : start + size]

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == CLOSE:
            self.close_code = int.from_bytes(payload[:2], "big")
        elif opcode == TEXT:
            message = ujson.loads(payload)
            handler = getattr(self, f"_on_{message['type']}", None)
            if handler is not None:
                handler(message, message.get("data"))

    # -- the rules ------------------------------------------------------------------------------

    def _on_connected(self, _message: JSON, data: JSON) -> None:
        if self._resume is None:
            self._go_to(data)
            self._owe(self._place, self.wish)

    def _on_transfers(self, message: JSON, data: list[JSON]) -> None:
        self._mind_gap(message["epoch"], message["prev"])
        for item in data:
            self._receive(self._ledger.place_of[item["sort_order"]], replay="replay" in message)
        self._go_to(message)

    def _receive(self, place: int, *, replay: bool) -> None:
        wishes = (self.wish, *self._replay_wishes) if replay else (self.wish,)
        if not any(wish.passes(self._ledger.items[place - 1]) for wish in wishes):
            self.wrong.append(f"{place} is not wanted by {wishes}")
        if place in self.got and not replay and place not in self._ledger.again:
            self.wrong.append(f"{place} came again")
        self.got[place] += 1

    def _mind_gap(self, epoch: str, prev: int) -> None:
        """A gap is exactly where ``prev > last``; another epoch is one by itself."""
        at = self.at
        assert at is not None
        if at.epoch != epoch:
            self._tell(0, self._ledger.place(epoch, prev))
        elif at.seq is not None and prev > at.seq:
            first, last = self._ledger.place(epoch, at.seq) + 1, self._ledger.place(epoch, prev)
            if not self.told.issuperset(range(first, last + 1)):
                self.false_gaps.append(f"{prev=} after {at.seq} in {epoch}")
            self._tell(first - 1, last)

    def _on_gap(self, message: JSON, data: JSON) -> None:
        epoch, last = message["epoch"], data["toSeq"]
        assert self.at is not None
        self.reasons.add(data["reason"])
        changed = data["reason"] == "epoch_changed" or self.at.epoch != epoch
        first = 0 if changed else self._ledger.place(epoch, data["fromSeq"] - 1)
        self._tell(first, self._ledger.place(epoch, last))
        self._go_to({"epoch": epoch, "seq": last})

    def _on_subscribed(self, message: JSON, data: JSON) -> None:
        if data["channel"] != "transfers":
            self._on_heartbeat(message, data)
            return
        own = "id" in message
        wish = Wish.of(data["filter"])  # may have been changed while the service looked up the place
        _, resume = self._asked[message["id"]] if own else (wish, self._resume)
        if resume is None:
            if self._replaying:
                self._owe(self._place, NOTHING)  # it was our wish to have no more of that
            self._replaying = False
            self._go_to(data)
            self._owe(self._place, wish)
        else:
            self._owe(resume.at.place, wish)
            self._replaying = data["replaying"]
            self.at = resume.at
            if not self._replaying and data["recovered"]:
                self._go_to(data)
            elif data["epoch"] != resume.at.epoch:
                self.at = replace(resume.at, epoch=data["epoch"], seq=None)
        self.wish, self._replay_wishes = wish, (wish,)

    def _on_filterSet(self, message: JSON, data: JSON) -> None:
        self.wish, _ = self._asked[message["id"]]
        if self._replaying:  # how far it was replayed with the old filter is not said
            self._replay_wishes = (*self._replay_wishes, self.wish)
            self._owe(self._place, *self._replay_wishes)
            self._owe(self._ledger.place(data["epoch"], data["seq"]), self.wish)
        else:
            self._on_heartbeat(message, data)
            self._owe(self._place, self.wish)

    def _on_heartbeat(self, message: JSON, data: JSON) -> None:
        """Any message that accounts for a position. During a replay the replay's own frames do."""
        if self._replaying or "seq" not in data:
            return
        epoch = data.get("epoch") or message["epoch"]
        if self.at is not None and self.at.epoch != epoch:
            self._tell(0, self._ledger.place(epoch, data["seq"]))
        self._go_to({**data, "epoch": epoch})

    _on_unsubscribed = _on_heartbeat

    def _on_caughtUp(self, message: JSON, data: JSON) -> None:
        self._replaying = False
        self._on_heartbeat(message, data)

    def _on_error(self, message: JSON, _data: None) -> None:
        self.errors.append(message)

    @property
    def _place(self) -> int:
        assert self.at is not None
        return self.at.place

    def _go_to(self, fields: JSON) -> None:
        epoch, seq = fields["epoch"], fields["seq"]
        cursor = fields.get("cursor") or (self.at.cursor if self.at else "")
        self.at = Position(epoch, seq, cursor, self._ledger.place(epoch, seq))

    # -- the account ----------------------------------------------------------------------------

    def _tell(self, after: int, last: int) -> None:
        self.told.update(range(after + 1, last + 1))

    def _owe(self, place: int, *wishes: Wish) -> None:
        """What was published behind a place has to come from now on if it passes all wishes."""
        self._due = [(start, due) for start, due in self._due if start < place]
        self._due.append((place, wishes))

    def lost(self) -> list[int]:
        """Places of what had to come, did not, and was not told of.

        What was published twice, in a numbering that was lost and again, is asked for at both places.
        """
        lost = []
        for place, item in enumerate(self._ledger.items, 1):
            places = {place, self._ledger.place_of[item.sort_order]}
            due = all(self._is_due(each, item) for each in places)
            if due and not places & (self.got.keys() | self.told):
                lost.append(place)
        return lost

    def _is_due(self, place: int, item: Fragment) -> bool:
        index = bisect_right(self._due, place - 1, key=lambda due: due[0]) - 1
        return index >= 0 and all(wish.passes(item) for wish in self._due[index][1])
