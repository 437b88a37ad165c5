"""Limits of clients: exact within an edge, close to exact over all of them."""

from __future__ import annotations

from typing import Any

from unionws.clock import ManualClock
from unionws.connections.admission import (
    ABUSE,
    HANDSHAKE_WINDOW,
    MOST_KNOCKING,
    STATE_HOLDS,
    Admission,
    Bounds,
)
from unionws.connections.client import Client

A, B = "1.2.3.4", "5.6.7.8"


def client() -> Client:
    return Client(-1, 0, A, deflate=False, seen=0)


def fill(admission: Admission, most: int, address: str = A, key: str = "") -> list[Client]:
    """Let clients in until one is refused, ``most`` at most."""
    inside = []
    while len(inside) < most and admission.refuse(address, key) is None:
        inside.append(client())
        admission.enter(inside[-1], address, key)
    return inside


def code(admission: Admission, address: str = A, key: str = "") -> str:
    answer = admission.refuse(address, key)
    return answer.code if answer else ""


def test_a_full_edge_refuses_until_somebody_leaves() -> None:
    """MAX_CLIENTS is exact with one edge, and a refusal says when to come again."""
    admission = Admission(Bounds(clients=3), ManualClock())
    inside = fill(admission, 10)
    assert len(inside) == 3
    answer = admission.refuse(B, "")
    assert answer is not None
    assert (answer.status, answer.code, dict(answer.headers)["Retry-After"]) == (503, "over_capacity", "5")
    admission.leave(inside[0], A)
    assert code(admission) == ""


def test_an_address_has_its_own_limit() -> None:
    """One address cannot take everything; another is not affected; who is not limited never is."""
    admission = Admission(Bounds(per_address=2), ManualClock())
    inside = fill(admission, 10)
    assert len(inside) == 2
    assert code(admission) == "too_many_from_address"
    assert code(admission, B) == ""
    assert len(fill(admission, 10, "")) == 10
    admission.leave(inside[0], A)
    assert code(admission) == ""


def test_nothing_is_remembered_of_those_who_left() -> None:
    """Counters go with the clients."""
    admission = Admission(Bounds(per_address=9, per_key=9), ManualClock(), edges=2)
    for gone in fill(admission, 5, key="k"):
        admission.leave(gone, A)
    assert admission.report() == {"addresses": {}, "keys": {}}
    assert not admission.keys


def test_a_key_has_its_own_limit() -> None:
    """Clients that show one key are counted together, from wherever they come."""
    admission = Admission(Bounds(per_key=2), ManualClock())
    fill(admission, 1, A, "k")
    fill(admission, 1, B, "k")
    assert code(admission, "9.9.9.9", "k") == "too_many_for_key"
    assert code(admission, "9.9.9.9", "other") == ""


def test_handshakes_of_an_address_are_counted_per_window() -> None:
    """Connecting over and over is refused with the seconds left, also while nobody stays."""
    clock = ManualClock()
    admission = Admission(Bounds(handshakes=5), clock)
    assert [code(admission) for _ in range(6)] == [""] * 5 + ["handshake_rate"]
    assert code(admission, B) == ""
    clock.advance(HANDSHAKE_WINDOW - 3)
    answer = admission.refuse(A, "")
    assert answer is not None
    assert dict(answer.headers)["Retry-After"] == "3"
    clock.advance(3)
    assert code(admission) == ""


def test_abuse_uses_up_handshakes() -> None:
    """An address whose clients have to be closed for what they send may not come again as often."""
    clock = ManualClock()
    admission = Admission(Bounds(handshakes=2 * ABUSE), clock)
    admission.blame(A)
    assert code(admission) == ""
    admission.blame(A)
    assert code(admission) == "handshake_rate"
    assert code(admission, B) == ""
    clock.advance(HANDSHAKE_WINDOW)
    assert code(admission) == ""


def test_addresses_that_knock_are_bounded() -> None:
    """However many addresses knock within a window, what is kept of them stays bounded."""
    admission = Admission(Bounds(handshakes=5), ManualClock())
    for number in range(MOST_KNOCKING + 10):
        admission.refuse(str(number), "")
    assert len(admission._knocks) <= MOST_KNOCKING + 1


def edge(clients: int, **fields: Any) -> dict[str, Any]:
    return {"clients": clients, **fields}


def test_edges_share_what_is_free() -> None:
    """An edge may grow beyond its equal share while the others leave room, and never past the total."""
    clock = ManualClock()
    admission = Admission(Bounds(clients=100), clock, "e0", edges=4)
    assert admission.allowed() == 25
    admission.learn({"e0": edge(25), "e1": edge(10), "e2": edge(10), "e3": edge(15)})
    assert admission.allowed() == 25 + 40 // 4
    admission.learn({"e0": edge(35), "e1": edge(30), "e2": edge(20), "e3": edge(15)})
    assert admission.allowed() == 35
    clock.advance(STATE_HOLDS + 1)
    assert admission.allowed() == 25, "nobody knows what the others hold now"


def test_descriptors_bound_an_edge_whatever_the_settings() -> None:
    """No limit of clients does not mean more than the process can hold."""
    assert Admission(Bounds(room=7), ManualClock()).allowed() == 7
    assert Admission(Bounds(clients=100, room=7), ManualClock()).allowed() == 7


def test_an_address_over_several_edges_is_noticed() -> None:
    """What the others report of an address counts here too."""
    first = Admission(Bounds(per_address=10), ManualClock(), "e0", edges=2)
    second = Admission(Bounds(per_address=10), ManualClock(), "e1", edges=2)
    fill(second, 6)
    fill(second, 1, B)
    report = second.report()
    assert report["addresses"] == {A: 6}, "one with few clients need not be known"
    first.learn({"e0": edge(0), "e1": edge(7, **report)})
    assert len(fill(first, 10)) == 4
    assert code(first) == "too_many_from_address"
