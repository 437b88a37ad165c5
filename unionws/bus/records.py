"""Records as bytes, for a bus that leaves the process.

A record on the wire is ``kind`` (1 byte), the length of its head (4 bytes, big-endian), the head as
JSON, and the blobs whose lengths the head lists. Blobs are JSON already, so they travel untouched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ujson

from unionws.model import (
    ChainsRecord,
    ChartRecord,
    Fragment,
    MessageRecord,
    Record,
    StateRecord,
    StatusRecord,
    TransfersRecord,
)

LASTING = (ChainsRecord, ChartRecord, StatusRecord, StateRecord)
"""Kinds of which the newest is handed to an edge when it connects."""

_KEYS = (
    "sort_order", "source", "destination", "sender", "receiver", "symbol", "token", "amount",
    "testnet", "event_ms",
)  # fmt: skip

# The wire has these fields in order; the decoder trusts the encoder of the same version.
_fragment: Callable[..., Fragment] = Fragment
_transfers: Callable[..., TransfersRecord] = TransfersRecord
_message: Callable[..., MessageRecord] = MessageRecord


def encode(record: Record) -> bytes:
    """A record as bytes."""
    kind, head, blobs = _split(record)
    lengths = [len(blob) for blob in blobs]
    packed = ujson.dumps([head, lengths]).encode()
    return b"".join([kind, len(packed).to_bytes(4, "big"), packed, *blobs])


def decode(data: bytes) -> Record:
    """The record of :func:`encode`'s bytes.

    Raises:
        ValueError: the bytes are not a record.
    """
    kind, end = data[:1], 5 + int.from_bytes(data[1:5], "big")
    head: list[Any]
    head, lengths = ujson.loads(data[5:end])
    blobs = list(_cut(data, end, lengths))
    if kind == b"T":
        items = tuple([_fragment(*keys, blob) for keys, blob in zip(head.pop(), blobs, strict=True)])
        return _transfers(*head, items)
    if kind == b"G":
        return ChartRecord(*head, *blobs)
    if kind == b"C":
        return ChainsRecord(*head, *blobs)
    if kind == b"U":
        return StatusRecord(*head, *blobs)
    if kind == b"S":
        return StateRecord(*head)
    if kind == b"M":
        about = head.pop()
        return _message(*head, *blobs, None if about is None else _fragment(*about, b""))
    raise ValueError(f"unknown kind of record {kind!r}")


def _split(record: Record) -> tuple[bytes, list[Any], Sequence[bytes]]:
    if isinstance(record, TransfersRecord):
        keys = [[getattr(item, name) for name in _KEYS] for item in record.items]
        head = [record.epoch, record.seq, record.cursor, record.late, record.timestamp, keys]
        return b"T", head, [item.json for item in record.items]
    if isinstance(record, ChartRecord):
        return b"G", [record.timestamp, record.rev], [record.chart, record.rates]
    if isinstance(record, ChainsRecord):
        return b"C", [record.timestamp], [record.data]
    if isinstance(record, StatusRecord):
        return b"U", [record.timestamp], [record.data]
    if isinstance(record, StateRecord):
        views = [record.timestamp, record.epoch, record.seq, record.cursor, record.views]
        return b"S", views, []
    about = None if record.about is None else [getattr(record.about, name) for name in _KEYS]
    return b"M", [record.timestamp, record.channel, record.type, about], [record.data]


def _cut(data: bytes, start: int, lengths: Sequence[int]) -> Iterator[bytes]:
    if start + sum(lengths) != len(data):
        raise ValueError(f"a record of {start + sum(lengths)} bytes came as {len(data)}")
    for length in lengths:
        yield data[start : start + length]
        start += length
