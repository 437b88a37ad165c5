"""``v2_transfers``: from arguments to rows, by walking blocks of traffic.

Work is bounded: one request looks at no more than SCAN_ROWS rows and answers with what it found,
so a page for a rare wallet or route may hold fewer rows than there are. Hashes need no walk: they
lead to their packet (``identifiers``).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from unionws.source.simulator.identifiers import Identifiers
from unionws.source.simulator.rows import GENESIS, LIFE_OF_LATENCY, Moment, height_at, steps, transaction_at
from unionws.source.simulator.traffic import LONGEST_DELAY, Row, Traffic, stamp
from unionws.source.simulator.world import load_world

HISTORY_SECONDS = 60 * 86_400
MAX_LIMIT = 100
SCAN_ROWS = 10_000

Test = Callable[[Row], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferArgs:
    """``v2_transfers_args`` after coercion; None: not asked for.

    Raises ValueError, with a sentence, on values that the types allow and the service does not.
    """

    p_addresses_canonical: list[str] | None = None
    p_block_hash: str | None = None
    p_comparison: str = "lt"
    p_destination_universal_chain_id: str | None = None
    p_limit: int | None = None
    p_network: str | None = None
    p_packet_hash: str | None = None
    p_sort_order: str | None = None
    p_source_universal_chain_id: str | None = None
    p_transaction_hash: str | None = None
    p_transfer_index: int | None = None

    def __post_init__(self) -> None:
        if self.p_network not in (None, "mainnet", "testnet"):
            raise ValueError(f"p_network {self.p_network!r}: allowed are 'mainnet' and 'testnet'")
        wallets = self.p_addresses_canonical
        listed = wallets is None or isinstance(wallets, (list, tuple))
        if not listed or not all(isinstance(wallet, str) for wallet in wallets or ()):
            raise ValueError("p_addresses_canonical: allowed is a list of texts")

    @property
    def limit(self) -> int:
        return MAX_LIMIT if self.p_limit is None else max(0, min(MAX_LIMIT, self.p_limit))

    @property
    def ascending(self) -> bool:
        return self.p_sort_order is not None and self.p_comparison == "gt"


def find_transfers(args: TransferArgs, traffic: Traffic, moment: Moment, late: float) -> list[Row]:
    """The page that ``args`` asks for, as visible at ``moment``.

    Args:
        late: the fraction of rows that become visible late.
    """
    asked = _ask(args, traffic.ids)
    if asked is None:
        return []
    tests = list(_tests(args, asked, moment))
    rows = _visible(_walk(args, asked, traffic, moment.now), moment.now, late)
    found = (row for row in rows if all(test(row) for test in tests))
    return list(islice(found, args.limit))


def rows_between(traffic: Traffic, start: float, end: float) -> list[Row]:
    """All rows sent in [start, end) (Unix seconds), by ``sort_order``, visible or not."""
    numbers = range(int(start) // traffic.span, int(end) // traffic.span + 1)
    return [row for number in numbers for row in traffic.block(number) if start <= row.sent < end]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the identifiers among the arguments stand for; None: not asked for."""

    packet: int | None = None
    transaction: tuple[int, int] | None = None
    block: tuple[int, int] | None = None
    wallets: frozenset[tuple[str, int]] | None = None


def _ask(args: TransferArgs, ids: Identifiers) -> _Asked | None:
    """Open the identifiers asked for; None when one of them is of no transfer here."""
    packet = transaction = block = wallets = None
    if args.p_packet_hash is not None and (packet := ids.open_packet(args.p_packet_hash)) is None:
        return None
    if args.p_transaction_hash is not None:
        transaction = ids.open_transaction(args.p_transaction_hash)
        if transaction is None or packet not in (None, transaction[0]):
            return None
        packet = transaction[0]
    if args.p_block_hash is not None and (block := ids.open_block(args.p_block_hash)) is None:
        return None
    if args.p_addresses_canonical is not None:
        opened = (ids.open_wallet(address) for address in args.p_addresses_canonical)
        wallets = frozenset(wallet for wallet in opened if wallet is not None)
        if not wallets:
            return None
    return _Asked(packet, transaction, block, wallets)


def _tests(args: TransferArgs, asked: _Asked, moment: Moment) -> Iterator[Test]:
    """What a row must pass, one test for each argument given."""
    cursor = args.p_sort_order
    source, destination = args.p_source_universal_chain_id, args.p_destination_universal_chain_id
    if cursor is not None:
        yield (
            (lambda row: row.sort_order > cursor) if args.ascending else (lambda row: row.sort_order < cursor)
        )
    if source is not None:
        yield lambda row: row.route.source.universal_chain_id == source
    if destination is not None:
        yield lambda row: row.route.destination.universal_chain_id == destination
    if args.p_network is not None:
        yield lambda row: row.route.testnet == (args.p_network == "testnet")
    if args.p_transfer_index is not None:
        yield lambda row: row.transfer_index == args.p_transfer_index
    if asked.wallets is not None:
        yield _wallet_test(asked.wallets)
    if asked.transaction is not None:
        yield _transaction_test(asked.transaction[1], moment)
    if asked.block is not None:
        yield _block_test(*asked.block, moment)


def _wallet_test(wallets: frozenset[tuple[str, int]]) -> Test:
    def passes(row: Row) -> bool:
        sender = (row.route.source.rpc_type, row.sender)
        return sender in wallets or (row.route.destination.rpc_type, row.receiver) in wallets

    return passes


def _transaction_test(number: int, moment: Moment) -> Test:
    def passes(row: Row) -> bool:
        return transaction_at(row, number) <= moment.now

    return passes


def _block_test(chain: int, height: int, moment: Moment) -> Test:
    start = GENESIS + height * load_world().chains[chain].block_seconds

    def passes(row: Row) -> bool:
        if chain not in (row.route.source.number, row.route.destination.number):
            return False
        if start - row.sent > LIFE_OF_LATENCY * (row.recv_after + row.ack_after):
            return False
        happened = (step for step in steps(row) if step.at <= moment.now and step.chain.number == chain)
        return any(height_at(step.chain, step.at) == height for step in happened)

    return passes


def _visible(rows: Iterable[Row], now: float, late: float) -> Iterator[Row]:
    settled, oldest = now - LONGEST_DELAY - 1, now - HISTORY_SECONDS
    for row in rows:
        if oldest <= row.second and (row.second < settled or row.visible_at(late) <= now):
            yield row


def _walk(args: TransferArgs, asked: _Asked, traffic: Traffic, now: float) -> Iterator[Row]:
    """Rows worth looking at: one packet's, or block after block from the cursor on."""
    if asked.packet is not None:
        return iter(_ordered(traffic.packet(asked.packet), args.ascending))
    return islice(_blocks(args, asked, traffic, now), SCAN_ROWS)


def _blocks(args: TransferArgs, asked: _Asked, traffic: Traffic, now: float) -> Iterator[Row]:
    first, last = int(now - HISTORY_SECONDS), int(now)
    start = last if args.p_sort_order is None else _second_of(args.p_sort_order, first, last)
    if asked.block is not None:
        start, last = min(start, _made_at(*asked.block)), min(last, _made_at(*asked.block))
    numbers = (
        range(start // traffic.span, last // traffic.span + 1)
        if args.ascending
        else range(start // traffic.span, first // traffic.span - 1, -1)
    )
    for number in numbers:
        yield from _ordered(traffic.block(number), args.ascending)


def _made_at(chain: int, height: int) -> int:
    """The second a block was made in; nothing sent later can be in it."""
    return int(GENESIS + (height + 1) * load_world().chains[chain].block_seconds)


def _ordered(rows: tuple[Row, ...], ascending: bool) -> Iterable[Row]:
    return rows if ascending else reversed(rows)


def _second_of(cursor: str, first: int, last: int) -> int:
    """The second in [first, last] in which a cursor of any text falls by plain text order."""
    place = bisect_left(range(first, last + 1), cursor, key=lambda second: stamp(second) + "~")
    return min(last, first + place)
