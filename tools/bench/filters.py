"""What one transfer costs by the number of filter groups that do not want it.

``python tools/bench/filters.py [--groups 10,1000,100000] [--rounds 2000]``

Each group has a wallet filter of its own, as clients that watch their own address have. The time is
that of matching and rendering one record of one transfer; the reference is the first row.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import harness

from unionws.broadcaster.fanout import Fanout
from unionws.broadcaster.filters import FilterFields
from unionws.broadcaster.groups import GroupKey, Groups
from unionws.builtin.filters import FIELDS
from unionws.model import Fragment, TransfersRecord

CHANNELS = frozenset(["transfers"])
HEADINGS = (
    "distinct wallet filters",
    "µs a transfer nobody wants",
    "× first",
    "µs one that 1 wants",
    "× first",
)


class Member:
    """What a group holds of a client."""

    group = None


class Nowhere:
    """Takes what fan-out could not write."""

    def blocked(self, client: object, frame: object, sent: int) -> None: ...

    def queue(self, client: object, frame: object) -> None: ...

    def broken(self, client: object) -> None: ...


def wallet(number: int) -> str:
    return f"0x{number:040x}"


def record(seq: int, sender: str) -> TransfersRecord:
    item = Fragment(
        sort_order=f"{seq:020}",
        source="union.union-1",
        destination="ethereum.1",
        sender=sender,
        receiver="0x" + "ab" * 20,
        symbol="u",
        token="0x6175",
        amount="1",
        testnet=False,
        event_ms=0,
        json=b'{"sort_order":"%020d"}' % seq,
    )
    return TransfersRecord("benchmark0", seq, item.sort_order, False, 0, (item,))


def build(count: int) -> Fanout:
    """A fan-out with ``count`` groups, each of one member with its own wallet filter."""
    fields = FilterFields(FIELDS)
    groups = Groups(fields)
    for number in range(count):
        member = Member()
        key = GroupKey(CHANNELS, "batch", False, fields.parse({"wallets": [wallet(number)]}))
        groups.join(member, key, 0)
    return Fanout(groups, Nowhere(), compress_from=512, compress_level=6)


def measure(fanout: Fanout, sender: str, rounds: int) -> float:
    """Median of nine runs, in µs a record."""
    runs = []
    for _ in range(9):
        began = time.perf_counter()
        for seq in range(1, rounds + 1):
            fanout._render(record(seq, sender), {})
        runs.append((time.perf_counter() - began) / rounds * 1e6)
    return sorted(runs)[4]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Cost of a transfer by the number of filters.")
    parser.add_argument("--groups", default="10,1000,100000", help="numbers of distinct filters, by commas")
    parser.add_argument("--rounds", type=int, default=2000, help="transfers of one run")
    args = parser.parse_args(argv)
    rows: list[list[str]] = []
    base: tuple[float, float] | None = None
    for count in (int(text) for text in args.groups.split(",")):
        fanout = build(count)
        found = measure(fanout, wallet(10**12), args.rounds), measure(fanout, wallet(count - 1), args.rounds)
        base = base or found
        rows.append(
            [
                f"{count:,}",
                harness.figure(found[0]),
                harness.figure(found[0] / base[0]),
                harness.figure(found[1]),
                harness.figure(found[1] / base[1]),
            ]
        )
    print(harness.table(HEADINGS, rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(harness.run(main))
