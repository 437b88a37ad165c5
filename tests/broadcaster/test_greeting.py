"""What a client is told when it opens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import ujson
from wsproto.frame_protocol import FrameProtocol

from tests.broadcaster.factory import NOW_MS
from unionws.broadcaster.fanout import Fanout
from unionws.broadcaster.filters import FilterFields
from unionws.broadcaster.greeting import Greeting
from unionws.broadcaster.groups import GroupKey, Groups
from unionws.model import ChainsRecord, ChartRecord, StatusRecord

DEFAULT = GroupKey(frozenset({"transfers", "chartData", "chains", "status"}), "batch", False)
CHAINS = ChainsRecord(1, b'[{"universal_chain_id":"a.1"}]')
CHART = ChartRecord(2, 1, b'{"rev":1}', b"{}")
STATUS = StatusRecord(3, b'{"system":"online"}')


@pytest.fixture
def greeting() -> Greeting:
    groups = Groups(FilterFields([]))
    sockets: Any = None
    fanout = Fanout(groups, sockets, compress_from=1_000, compress_level=6)
    return Greeting(fanout, {"architecture": "test", "features": ("a", "b")})


def messages(greeting: Greeting, key: GroupKey = DEFAULT) -> list[dict[str, Any]]:
    protocol = FrameProtocol(client=True, extensions=[])
    protocol.receive_bytes(greeting.rest(key, NOW_MS).data)
    return [ujson.loads(frame.payload) for frame in protocol.received_frames()]


def test_order_of_the_contract(greeting: Greeting) -> None:
    """chains, serverInfo, chartData, status, in whatever order they came."""
    for record in (STATUS, CHART, CHAINS):
        greeting.remember(record)
    told = messages(greeting)
    assert [one["type"] for one in told] == ["chains", "serverInfo", "chartData", "status"]
    assert [one["timestamp"] for one in told] == [1, NOW_MS, 2, 3]
    assert told[1]["data"] == {"architecture": "test", "features": ["a", "b"]}


def test_what_is_not_there_yet_is_left_out(greeting: Greeting) -> None:
    """A client of the first second gets serverInfo alone."""
    assert [one["type"] for one in messages(greeting)] == ["serverInfo"]


def test_channels_choose(greeting: Greeting) -> None:
    """serverInfo comes to everybody, the rest to who subscribed."""
    for record in (STATUS, CHART, CHAINS):
        greeting.remember(record)
    only = GroupKey(frozenset({"transfers"}), "batch", False)
    assert [one["type"] for one in messages(greeting, only)] == ["serverInfo"]


def test_same_greeting_is_encoded_once(greeting: Greeting) -> None:
    """Until something lasting changes."""
    greeting.remember(CHART)
    first = greeting.rest(DEFAULT, NOW_MS)
    assert greeting.rest(DEFAULT, NOW_MS + 5) is first
    greeting.remember(ChartRecord(9, 2, b'{"rev":2}', b"{}"))
    assert messages(greeting)[1]["data"] == {"rev": 2}


def test_compression_has_its_own(greeting: Greeting) -> None:
    """A client that agreed to it gets a large chart deflated, another one never."""
    greeting.remember(ChartRecord(2, 1, b'{"filler":"%s"}' % (b"x" * 50_000), b"{}"))
    packed = GroupKey(DEFAULT.channels, "batch", True)
    assert len(greeting.rest(DEFAULT, NOW_MS).data) > 50_000
    assert len(greeting.rest(packed, NOW_MS).data) < 1_000
    assert len(greeting.rest(DEFAULT, NOW_MS).data) > 50_000


def test_newest_chart_is_at_hand(greeting: Greeting) -> None:
    """For the HTTP views."""
    asking: Callable[[], ChartRecord | None] = lambda: greeting.chart  # noqa: E731
    assert asking() is None
    greeting.remember(CHART)
    assert asking() is CHART


def test_lasting_messages_can_be_asked_for(greeting: Greeting) -> None:
    """With the id of the request; None while there is none."""
    assert greeting.message("chains", NOW_MS, None) is None
    greeting.remember(CHAINS)
    greeting.remember(CHART)
    for what in Greeting.LASTING:
        made = greeting.message(what, NOW_MS, "q1")
        assert made is not None
        assert (ujson.loads(made)["type"], ujson.loads(made)["id"]) == (what, "q1")
    assert greeting.message("transfers", NOW_MS, None) is None
