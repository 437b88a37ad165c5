"""What loadtest.py counts: messages, latencies, positions, endings. No sockets here."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

STEPS_PER_DOUBLING = 16
CACHE = 256


@dataclass(frozen=True, slots=True)
class Message:
    """What a client needs of a message; ``stamp`` (ms) is set for live transfers alone."""

    type: str
    stamp: float | None = None
    epoch: str | None = None
    seq: int | None = None
    prev: int | None = None
    to_seq: int | None = None


def read_message(text: bytes) -> Message:
    """Reads a message; what is not JSON or has no type is of type ``invalid``."""
    try:
        message = json.loads(text)
        kind = message["type"]
    except (ValueError, KeyError, TypeError):
        return Message("invalid")
    data = message.get("data")
    inner = data if isinstance(data, dict) and kind not in ("transfer", "chartData") else {}
    live = kind in ("transfers", "transfer") and not message.get("replay") and not message.get("late")
    return Message(
        str(kind),
        message.get("timestamp") if live else None,
        message.get("epoch", inner.get("epoch")),
        message.get("seq", inner.get("seq")),
        message.get("prev"),
        inner.get("toSeq"),
    )


class MessageCache:
    """Thousands of clients get the same bytes: each distinct message is read once."""

    def __init__(self) -> None:
        self._known: dict[bytes, Message] = {}

    def read(self, text: bytes) -> Message:
        found = self._known.get(text)
        if found is None:
            if len(self._known) >= CACHE:
                del self._known[next(iter(self._known))]
            found = self._known[text] = read_message(text)
        return found


@dataclass(slots=True)
class Stream:
    """One client's place in the numbering."""

    epoch: str | None = None
    last: int | None = None


@dataclass(slots=True)
class Tally:
    """Counters of one process, or of all of them summed.

    Attributes:
        latencies: delivery latency as a histogram, bucket → count.
        checked: frames with positions; missing: transfers inside the gaps found.
        told: gaps the server told of itself.
    """

    opened: int = 0
    failed: int = 0
    lost: int = 0
    messages: int = 0
    bytes: int = 0
    pings: int = 0
    checked: int = 0
    gaps: int = 0
    missing: int = 0
    told: int = 0
    longest_ms: float = 0.0
    types: Counter[str] = field(default_factory=Counter)
    latencies: Counter[int] = field(default_factory=Counter)
    close_codes: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)

    def position(self, stream: Stream, message: Message) -> None:
        """Applies the gap rule: a gap exactly when prev > last, then last = seq."""
        if message.type == "gap":
            self.told += 1
            stream.last = message.seq if message.seq is not None else message.to_seq
            return
        if message.seq is None:
            return
        if message.epoch is not None and message.epoch != stream.epoch:
            self._missed(stream.epoch is not None, 0)
            stream.epoch = message.epoch
        elif message.prev is not None and stream.last is not None:
            self._missed(message.prev > stream.last, message.prev - stream.last)
        self.checked += 1
        stream.last = message.seq

    def _missed(self, is_gap: bool, transfers: int) -> None:
        if is_gap:
            self.gaps += 1
            self.missing += transfers

    def count(self, message: Message, now_ms: float) -> None:
        """Counts a message that arrived while measuring."""
        self.messages += 1
        self.types[message.type] += 1
        if message.stamp is not None:
            late = max(0.0, now_ms - message.stamp)
            self.latencies[bucket_of(late)] += 1
            self.longest_ms = max(self.longest_ms, late)

    @classmethod
    def sum(cls, tallies: Iterable[Tally]) -> Tally:
        total = cls()
        for tally in tallies:
            for name in ("opened", "failed", "lost", "messages", "bytes", "pings"):
                setattr(total, name, getattr(total, name) + getattr(tally, name))
            for name in ("checked", "gaps", "missing", "told"):
                setattr(total, name, getattr(total, name) + getattr(tally, name))
            for name in ("types", "latencies", "close_codes", "failures"):
                getattr(total, name).update(getattr(tally, name))
            total.longest_ms = max(total.longest_ms, tally.longest_ms)
        return total

    def is_clean(self) -> bool:
        """Every client opened and stayed, and nothing was missing untold or garbled."""
        return not (self.failed or self.lost or self.gaps or self.types["invalid"])

    def report(self) -> dict[str, Any]:
        """As JSON; close codes and failures only where there were any."""
        result: dict[str, Any] = {
            "opened": self.opened,
            "failed": self.failed,
            "lost": self.lost,
            "messages": self.messages,
            "bytes": self.bytes,
            "pings": self.pings,
            "types": dict(self.types.most_common()),
            "latencyMs": self._latency(),
            "positions": {
                "checked": self.checked,
                "gaps": self.gaps,
                "missing": self.missing,
                "toldGaps": self.told,
            },
        }
        if self.close_codes:
            result["closeCodes"] = dict(self.close_codes.most_common())
        if self.failures:
            result["failures"] = dict(self.failures.most_common())
        return result

    def _latency(self) -> dict[str, float]:
        count = sum(self.latencies.values())
        if not count:
            return {"n": 0}
        shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}
        found = {
            name: min(percentile(self.latencies, share), self.longest_ms) for name, share in shares.items()
        }
        return {
            "n": count,
            **{name: round(value, 2) for name, value in found.items()},
            "max": round(self.longest_ms, 2),
        }


def bucket_of(milliseconds: float) -> int:
    """Buckets of equal ratio, 16 to a doubling from 0.1 ms on: an error under 5 %."""
    if milliseconds <= 0.1:
        return 0
    return 1 + int(math.log2(milliseconds / 0.1) * STEPS_PER_DOUBLING)


def bucket_middle(bucket: int) -> float:
    """Milliseconds in the middle of a bucket."""
    return 0.1 * 2 ** ((bucket - 0.5) / STEPS_PER_DOUBLING) if bucket else 0.05


def percentile(histogram: Counter[int], share: float) -> float:
    """The value below which ``share`` of the histogram lies, in ms."""
    wanted, seen = share * sum(histogram.values()), 0
    for bucket in sorted(histogram):
        seen += histogram[bucket]
        if seen > wanted:
            return bucket_middle(bucket)
    return bucket_middle(max(histogram))
