"""Enriched transfers for scheduler tests."""

from __future__ import annotations

from unionws.model import Chain, EnrichedTransfer, Transfer

WALL = 1_760_000_000.0


def item(key: str, *, route: str = "a.1->b.1", age: float = 1.0, wall: float = WALL) -> EnrichedTransfer:
    """A transfer with ``sort_order`` key, sent ``age`` seconds before ``wall``."""
    source, _, destination = route.partition("->")
    return EnrichedTransfer(
        transfer=Transfer(key, Chain(source), Chain(destination), send_time=wall - age),
        event_time=wall - age,
        route_key=route,
        source_name=source,
        destination_name=destination,
        testnet=False,
        sender_display="",
        receiver_display="",
        amount=None,
        json=b"{}",
    )


def keys(items: list[EnrichedTransfer] | tuple[EnrichedTransfer, ...]) -> list[str]:
    return [entry.transfer.sort_order for entry in items]
