"""Records and fragments for broadcaster, bus and history tests."""

from __future__ import annotations

from unionws.model import Fragment, TransfersRecord

EPOCH = "epoch001"
NOW_MS = 1_760_000_000_000


def fragment(
    order: str = "0001",
    *,
    source: str = "a.1",
    destination: str = "b.2",
    sender: str = "0xaa",
    receiver: str = "0xbb",
    symbol: str = "u",
    token: str = "0x75",
    amount: str = "1",
    testnet: bool = False,
) -> Fragment:
    """A transfer; its JSON is its ``sort_order`` alone."""
    return Fragment(
        order, source, destination, sender, receiver, symbol, token, amount, testnet, NOW_MS,
        b'{"sort_order":"%s"}' % order.encode(),
    )  # fmt: skip


def record(
    seq: int, *items: Fragment, epoch: str = EPOCH, late: bool = False, timestamp: int = NOW_MS
) -> TransfersRecord:
    """A record whose last transfer has position ``seq``; one plain transfer when none is given."""
    made = items or (fragment(f"{seq:04}"),)
    cursor = max(item.sort_order for item in made)
    return TransfersRecord(epoch, seq, cursor, late, timestamp, made)
