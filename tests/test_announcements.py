"""What an edge says of itself, message by message."""

from __future__ import annotations

import json
from typing import Any

import pytest

from unionws import announcements
from unionws.model import StatusRecord
from unionws.settings import Settings

NOW = 1_700_000_000_000


def connected(
    client_id: str = "e0-7", position: tuple[str, int, str] = ("ep", 3, "c3"), *channels: str
) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(
        OPENING.message(SETTINGS, client_id, frozenset(channels), position, NOW)
    )
    return said


SETTINGS = Settings()
OPENING = announcements.Connected()


def test_connected_names_the_position() -> None:
    """Epoch, seq and cursor are told, and the channels in order."""
    said = connected("e0-7", ("ep", 3, "c3"), "b", "a")
    data = said["data"]
    assert (said["type"], said["timestamp"], data["clientId"]) == ("connected", NOW, "e0-7")
    assert (data["epoch"], data["seq"], data["cursor"]) == ("ep", 3, "c3")
    assert data["channels"] == ["a", "b"]


def test_connected_is_each_clients_own() -> None:
    """Though most of it is kept: name, channels and position are the ones of now."""
    first = connected("e0-7", ("ep", 3, "c3"), "a")["data"]
    second = connected("e0-8", ("ep", 3, "c3"), "b")["data"]
    third = connected("e0-9", ("ep", 4, "c4"), "a")["data"]
    assert [said["clientId"] for said in (first, second, third)] == ["e0-7", "e0-8", "e0-9"]
    assert [said["channels"] for said in (first, second, third)] == [["a"], ["b"], ["a"]]
    assert [said["seq"] for said in (first, second, third)] == [3, 3, 4]


def test_connected_tells_the_limits_of_now() -> None:
    """Settings that were reloaded show at once."""
    before = connected()["data"]["limits"]["maxErrors"]
    said = OPENING.message(Settings(MAX_ERRORS=before + 1), "e0-7", frozenset(), ("ep", 3, "c3"), NOW)
    assert json.loads(said)["data"]["limits"]["maxErrors"] == before + 1


def test_connected_without_a_position() -> None:
    """An edge that knows no position yet names none, rather than one to resume from."""
    assert not {"epoch", "seq", "cursor"} & set(connected("e0-7", ("", 0, ""))["data"])


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
