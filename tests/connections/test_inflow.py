"""How much a client may send."""

from __future__ import annotations

import pytest

from unionws.connections.client import Client
from unionws.connections.inflow import Inflow
from unionws.errors import ProtocolError


def client() -> Client:
    return Client(-1, 0, "", deflate=False, seen=0)


def test_messages_beyond_the_limit_end_the_connection() -> None:
    """The limit itself is allowed; one more is 4102 with an error that says so; others are not affected."""
    inflow, loud, other = Inflow(3, 0), client(), client()
    for _ in range(3):
        inflow.message(loud)
    with pytest.raises(ProtocolError, match="more than 3 messages within 10 s") as caught:
        inflow.message(loud)
    assert (caught.value.close_code, caught.value.error_code) == (4102, "rate_limited")
    inflow.message(other)


def test_bytes_beyond_the_limit_end_the_connection() -> None:
    """Bytes count as they arrive, whatever they are part of."""
    inflow, loud = Inflow(0, 100), client()
    inflow.bytes(loud, 100)
    with pytest.raises(ProtocolError, match="100 bytes"):
        inflow.bytes(loud, 1)


def test_a_new_window_counts_anew_and_remembers_nobody() -> None:
    """Who sends steadily below the limit is never cut off; quiet clients cost nothing."""
    inflow, steady = Inflow(2, 10), client()
    for _ in range(5):
        inflow.message(steady)
        inflow.bytes(steady, 10)
        inflow.next_window()
    assert len(inflow) == 0


def test_without_limits_nothing_is_counted() -> None:
    """0 means any number."""
    inflow, loud = Inflow(0, 0), client()
    for _ in range(1000):
        inflow.message(loud)
        inflow.bytes(loud, 1 << 20)
    assert len(inflow) == 0
