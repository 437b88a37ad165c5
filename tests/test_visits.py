"""Who came and went: counted always, told when asked for, summed up now and then."""

from __future__ import annotations

from typing import Any

import pytest

from unionws.connections.client import Client
from unionws.visits import SUMMARY_INTERVAL, Visits


def client() -> Client:
    return Client(-1, 7, "1.2.3.4", deflate=False, seen=0)


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, Any]]:
    return [(record.getMessage(), record.__dict__["fields"]) for record in caplog.records]


def test_connections_are_not_told_by_default(caplog: pytest.LogCaptureFixture) -> None:
    """Only the counts are kept."""
    caplog.set_level("INFO", "unionws")
    visits = Visits("e0", told=False)
    visits.opened(client(), "")
    visits.ended(client(), 1000, "")
    assert lines(caplog) == []
    assert visits.gone == {1000: 1}


def test_each_connection_is_told_when_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    """Client, address, code and reason: why was this client dropped."""
    caplog.set_level("INFO", "unionws")
    visits = Visits("e0", told=True)
    visits.opened(client(), "key:abc")
    visits.ended(client(), 4103, "slow consumer")
    visits.ended(client(), 1006, "")
    who = {"client": "e0-7", "address": "1.2.3.4"}
    assert lines(caplog) == [
        ("client opened", {**who, "holder": "key:abc"}),
        ("client gone", {**who, "code": 4103, "reason": "slow consumer"}),
        ("client gone", {**who, "code": 1006, "reason": "connection lost"}),
    ]


def test_dropped_clients_are_summed_up_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """However many are dropped, one line a minute says how many and why; who just left is not in it."""
    caplog.set_level("INFO", "unionws")
    visits = Visits("e0", told=False)
    visits.sum_up(0.0)
    for _ in range(3):
        visits.ended(client(), 4103, "")
        visits.ended(client(), 1001, "")
    visits.sum_up(1.0)
    visits.ended(client(), 1009, "")
    visits.sum_up(2.0)
    assert lines(caplog) == [("clients dropped", {"edge": "e0", "by_code": {4103: 3}})]
    visits.sum_up(1.0 + SUMMARY_INTERVAL)
    assert lines(caplog)[1:] == [("clients dropped", {"edge": "e0", "by_code": {1009: 1}})]
