"""Clients with equal wishes share a group."""

from __future__ import annotations

from types import SimpleNamespace

from tests.broadcaster.factory import fragment
from unionws.broadcaster.filters import FilterFields
from unionws.broadcaster.groups import GroupKey, Groups
from unionws.builtin.filters import FIELDS

FILTERS = FilterFields(FIELDS)
ALL = frozenset({"transfers", "chartData"})


def key(
    *, channels: frozenset[str] = ALL, form: str = "batch", deflate: bool = False, **fields: object
) -> GroupKey:
    return GroupKey(channels, form, deflate, FILTERS.parse(fields))


class Hashable(SimpleNamespace):
    __hash__ = object.__hash__


def joined(groups: Groups, wanted: GroupKey, seq: int = 0, fd: int = 0) -> Hashable:
    made = Hashable(group=None, fd=fd)
    groups.join(made, wanted, seq)
    return made


def test_equal_wishes_share_a_group() -> None:
    """However they were written."""
    groups = Groups(FILTERS)
    one = joined(groups, key(assets=["U", "USDC"]))
    other = joined(groups, key(assets=["usdc", "u", "u"]))
    assert one.group is other.group
    assert len(groups) == 1


def test_any_difference_makes_another_group() -> None:
    """Channels, form, compression and filter each change the bytes."""
    groups = Groups(FILTERS)
    keys = [key(), key(channels=frozenset()), key(form="single"), key(deflate=True), key(assets=["u"])]
    for wanted in keys:
        joined(groups, wanted)
    assert len(groups) == len(keys)


def test_new_group_starts_at_the_position_given() -> None:
    """An existing one keeps its own."""
    groups = Groups(FILTERS)
    first = joined(groups, key(), 7)
    first.group.seq = 9
    assert joined(groups, key(), 12).group.seq == 9
    assert joined(groups, key(form="single"), 12).group.seq == 12


def test_member_is_in_one_group_only() -> None:
    """Joining another one leaves the first, which goes when it is empty."""
    groups = Groups(FILTERS)
    moving = joined(groups, key())
    groups.join(moving, key(form="single"), 0)
    assert [group.key.form for group in groups] == ["single"]
    assert moving.group.members == {moving}


def test_members_are_served_by_descriptor() -> None:
    """Whoever came and went, and in what order they came."""
    groups = Groups(FILTERS)
    clients = [joined(groups, key(), fd=fd) for fd in (40, 7, 9, 12)]
    group = clients[0].group
    assert [member.fd for member in group.in_order()] == [7, 9, 12, 40]
    groups.leave(clients[2])
    joined(groups, key(), fd=3)
    joined(groups, key(), fd=11)
    assert [member.fd for member in group.in_order()] == [3, 7, 11, 12, 40]
    for member in group.in_order()[1:]:
        groups.leave(member)
    assert [member.fd for member in group.in_order()] == [3]
    joined(groups, key(), fd=1)
    assert [member.fd for member in group.in_order()] == [1, 3]


def test_empty_group_is_forgotten_everywhere() -> None:
    """Nothing is matched or sent for it any more."""
    groups = Groups(FILTERS)
    leaving = joined(groups, key(assets=["u"]))
    groups.leave(leaving)
    groups.leave(leaving)
    assert (len(groups), leaving.group) == (0, None)
    assert groups.index.match([fragment()]) == {}
    assert list(groups.listening("transfers")) == []


def test_group_without_transfers_is_not_matched() -> None:
    """Who only wants charts costs a transfer nothing."""
    groups = Groups(FILTERS)
    joined(groups, key(channels=frozenset({"chartData"})))
    wanting = joined(groups, key())
    assert list(groups.index.match([fragment()])) == [wanting.group]
    assert len(list(groups.listening("chartData"))) == 2


def test_late_members_are_told_apart_until_all_is_settled() -> None:
    """Whoever leaves, for another group or for good, is late nowhere."""
    groups = Groups(FILTERS)
    early, late, leaves = (joined(groups, key(), fd=fd) for fd in (3, 2, 1))
    for member in (late, leaves):
        groups.join_late(member, key(), 0)
    assert early.group.by_rank() == ([early], [late, leaves][::-1])
    groups.join(leaves, key(form="single"), 0)
    assert leaves.group.by_rank() == ([leaves], [])
    assert early.group.by_rank() == ([early], [late])
    groups.settle()
    assert early.group.by_rank() == ([late, early], [])


def test_a_group_of_late_members_alone_may_go() -> None:
    """Settling then finds nothing left."""
    groups = Groups(FILTERS)
    member = Hashable(group=None, fd=1)
    groups.join_late(member, key(), 0)
    assert member.group.by_rank() == ([], [member])
    groups.leave(member)
    groups.settle()
    assert len(groups) == 0
