"""What an edge says of itself, message by message."""

from __future__ import annotations

import json

import pytest

from unionws import announcements
from unionws.model import StatusRecord
from unionws.settings import Settings

NOW = 1_700_000_000_000


def test_connected_names_the_position() -> None:
    """Epoch, seq and cursor are told, and the channels in order."""
    said = json.loads(announcements.connected(Settings(), "e0-7", {"b", "a"}, ("ep", 3, "c3"), NOW))
    data = said["data"]
    assert (said["type"], said["timestamp"], data["clientId"]) == ("connected", NOW, "e0-7")
    assert (data["epoch"], data["seq"], data["cursor"]) == ("ep", 3, "c3")
    assert data["channels"] == ["a", "b"]


def test_connected_without_a_position() -> None:
    """An edge that knows no position yet names none, rather than one to resume from."""
    data = json.loads(announcements.connected(Settings(), "e0-7", [], ("", 0, ""), NOW))["data"]
    assert not {"epoch", "seq", "cursor"} & set(data)


@pytest.mark.parametrize(
    ("upstream", "data"),
    [
        ({"state": "ok", "lastSuccess": NOW - 250}, {"seq": 5, "upstream": "ok", "lagMs": 250}),
        ({"state": "ok", "lastSuccess": NOW + 250}, {"seq": 5, "upstream": "ok", "lagMs": 0}),
        ({"state": "stale", "lastSuccess": None}, {"seq": 5, "upstream": "stale"}),
        ({}, {"seq": 5, "upstream": "down"}),
    ],
)
def test_heartbeat_tells_how_old_the_upstream_is(upstream: dict[str, object], data: object) -> None:
    """The lag is never negative, and left out while there was no success."""
    said = json.loads(announcements.heartbeat("ep", 5, upstream, NOW))
    assert said == {"type": "heartbeat", "data": data, "timestamp": NOW, "epoch": "ep"}


def test_shutdown_spreads_the_return() -> None:
    """Clients get a window, not a moment."""
    window = json.loads(announcements.shutdown("deploy", NOW))["data"]
    assert window["reason"] == "deploy"
    assert 0 < window["reconnect"]["minMs"] < window["reconnect"]["maxMs"]


def test_notice_is_added_to_status() -> None:
    """What was there stays; without a notice the record itself comes back."""
    record = StatusRecord(NOW, b'{"upstream":"ok"}')
    assert announcements.with_notice(record, "") is record
    assert json.loads(announcements.with_notice(record, "slower").data) == {
        "upstream": "ok",
        "notice": "slower",
    }
