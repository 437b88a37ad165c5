"""Groups: all clients that get the very same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from unionws.broadcaster.filters import MATCH_ALL, Filter, FilterFields, FilterIndex
from unionws.model import Fragment

BY_DESCRIPTOR = attrgetter("fd")


@dataclass(frozen=True, slots=True)
class GroupKey:
    """What makes two clients' frames equal.

    Attributes:
        form: ``batch`` or ``single``.
        deflate: frames are compressed.
    """

    channels: frozenset[str]
    form: str
    deflate: bool
    filter: Filter = MATCH_ALL


class Group:
    """The members of one key.

    Attributes:
        seq: position up to which the last transfers frame of this group accounted.
        heard: second of the fan-out's clock at which it was sent something last.
        late: members who come behind the others in a turn; None: nobody.
    """

    __slots__ = ("_order", "_stale", "heard", "key", "late", "members", "seq")

    def __init__(self, key: GroupKey, seq: int, heard: int) -> None:
        self.key = key
        self.seq = seq
        self.heard = heard
        self.members: set[Any] = set()
        self.late: set[Any] | None = None  # a set for each of 100,000 groups would be 20 MB
        self._order: list[Any] = []
        self._stale = False

    @property
    def filter(self) -> Filter:
        return self.key.filter

    def add(self, member: Any) -> None:
        self.members.add(member)
        self._stale = True

    def discard(self, member: Any) -> None:
        self.members.discard(member)
        if self.late is not None:
            self.late.discard(member)
        self._stale = True

    def by_rank(self) -> tuple[list[Any], list[Any]]:
        """The members who come first in a turn and the late ones, each in order; lists to read."""
        members, late = self.in_order(), self.late
        if not late:
            return members, []
        return [member for member in members if member not in late], [m for m in members if m in late]

    def in_order(self) -> list[Any]:
        """The members by descriptor; a list to read, not to change.

        Sockets opened one after the other lie near each other in the kernel's memory, so sending in
        that order costs less than in the set's.
        """
        if len(self.members) == 1:
            self._order, self._stale = [], True  # many groups are that small: nothing is kept for them
            return list(self.members)
        if self._stale:
            stayed = [member for member in self._order if member in self.members]
            # Two sorted runs, or nearly: what list.sort is best at.
            self._order = [*stayed, *self.members.difference(stayed)]
            self._order.sort(key=BY_DESCRIPTOR)
            self._stale = False
        return self._order


class Groups:
    """All groups of an edge; empty ones are dropped.

    Attributes:
        index: groups that get transfers.
        later_index: groups with a channel whose messages may be about a transfer: ``transferUpdates``
            or one of a plugin.
        second: counts up once a second, for heartbeats.
        most: how many groups there may be; 0: any number.
    """

    def __init__(self, fields: FilterFields) -> None:
        self._groups: dict[GroupKey, Group] = {}
        self.index: FilterIndex[Group] = FilterIndex(fields)
        self.later_index: FilterIndex[Group] = FilterIndex(fields)
        self.second = 0
        self.most = 0
        self._with_late: set[Group] = set()

    def __len__(self) -> int:
        return len(self._groups)

    def __iter__(self) -> Iterator[Group]:
        return iter(self._groups.values())

    def join(self, member: Any, key: GroupKey, seq: int) -> Group:
        """Put a member (anything with attributes ``group`` and ``fd``) into the group of ``key``.

        Args:
            seq: position of the last delivered record; a new group starts there.
        """
        self.leave(member)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(key, seq, self.second)
            for index in self._indices(key):
                index.add(group)
        group.add(member)
        member.group = group
        return group

    def join_late(self, member: Any, key: GroupKey, seq: int) -> None:
        """Like ``join``, but behind the others in each turn, until :meth:`settle`."""
        group = self.join(member, key, seq)
        if group.late is None:
            group.late = set()
            self._with_late.add(group)
        group.late.add(member)

    def settle(self) -> None:
        """Nobody is late any more."""
        for group in self._with_late:
            group.late = None
        self._with_late.clear()

    def has_room(self, key: GroupKey) -> bool:
        """Whether a member may ask for that group: it exists, or one more is allowed."""
        return not self.most or len(self._groups) < self.most or key in self._groups

    def leave(self, member: Any) -> None:
        """Take a member out of its group, if it is in one."""
        group: Group | None = member.group
        if group is None:
            return
        member.group = None
        group.discard(member)
        if not group.members:
            del self._groups[group.key]
            self._with_late.discard(group)
            for index in self._indices(group.key):
                index.discard(group)

    def _indices(self, key: GroupKey) -> list[FilterIndex[Group]]:
        found = [self.index] if "transfers" in key.channels else []
        if any("." in channel or channel == "transferUpdates" for channel in key.channels):
            found.append(self.later_index)
        return found

    def concerned(self, channel: str, item: Fragment) -> Iterable[Group]:
        """Groups on a channel whose filter passes a transfer."""
        return [group for group in self.later_index.match([item]) if channel in group.key.channels]

    def listening(self, channel: str) -> Iterable[Group]:
        """Groups whose clients subscribed to a channel."""
        return [group for group in self._groups.values() if channel in group.key.channels]
