from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import pytest

from tests.web.serving import EPOCH, NOW_MS, WALLET, fragment
from unionws.history.memory import SLICE, MemoryPages, matches
from unionws.history.reader import ANY, Match, Page
from unionws.history.ring import Ring
from unionws.model import TransfersRecord

T = TypeVar("T")


def filled(*numbers: int, size: int = 10_000) -> Ring:
    """A ring that was published to in the given order."""
    ring = Ring(size)
    for seq, number in enumerate(numbers, 1):
        item = fragment(number)
        ring.append(TransfersRecord(EPOCH, seq, item.sort_order, False, NOW_MS, (item,)))
    return ring


def ask(made: Awaitable[T]) -> T:
    async def within() -> T:
        return await made

    return asyncio.run(within())


def shown(page: Page) -> tuple[list[int], int, bool]:
    """Numbers, the number of the cursor, and whether there is more."""
    return [int(item.sort_order[:8]) for _, item in page.rows], int(page.cursor[:8] or 0), page.more


def cursor(number: int) -> str:
    return fragment(number).sort_order


def test_pages_are_in_the_order_of_the_keys_not_of_publishing() -> None:
    """A late transfer stands where its key belongs."""
    pages = MemoryPages(filled(1, 3, 2, 5, 4))
    assert shown(ask(pages.newest(3))) == ([5, 4, 3], 3, True)
    assert shown(ask(pages.after_cursor(cursor(1), 2))) == ([2, 3], 3, True)
    assert shown(ask(pages.after_cursor(cursor(3), 2))) == ([4, 5], 5, False)
    assert shown(ask(pages.before_cursor(cursor(3), 5))) == ([2, 1], 1, False)
    assert [seq for seq, _ in ask(pages.newest(2)).rows] == [4, 5]


def test_an_empty_ring_has_empty_pages() -> None:
    """And the cursor stays what it was."""
    assert shown(ask(MemoryPages(Ring(10)).after_cursor(cursor(7), 5))) == ([], 7, False)


def test_more_than_a_slice_is_searched_though_it_is_published_to_meanwhile() -> None:
    """The loop is let go between slices; what is written over meanwhile is not given twice."""
    count = 3 * SLICE
    ring = filled(*range(1, count + 1), size=count)

    async def scenario() -> Page:
        search = asyncio.ensure_future(MemoryPages(ring).after_cursor(cursor(1), 2 * count))
        await asyncio.sleep(0)
        for seq in range(count + 1, count + SLICE + 1):
            item = fragment(seq)
            ring.append(TransfersRecord(EPOCH, seq, item.sort_order, False, NOW_MS, (item,)))
        return await search

    found, _, more = shown(asyncio.run(scenario()))
    assert not more
    assert found == sorted(set(found))
    assert found[-1] == count + SLICE


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        (ANY, True),
        (Match(sources=("union.union-1",)), True),
        (Match(sources=("babylon.bbn-1",)), False),
        (Match(destinations=("babylon.bbn-1", "x.y")), True),
        (Match(destinations=("union.union-1",)), False),
        (Match(chains=("babylon.bbn-1",)), True),
        (Match(chains=("x.y",)), False),
        (Match(wallets=(WALLET,)), True),
        (Match(wallets=("0x00",)), False),
        (Match(assets=("u",)), True),
        (Match(assets=("0x6175",)), True),
        (Match(assets=("eth",)), False),
        (Match(testnet=False), True),
        (Match(testnet=True), False),
        (Match(assets=("u",), testnet=True), False),
    ],
)
def test_a_match_means_the_same_as_on_disk(match: Match, expected: bool) -> None:
    """AND across fields, OR inside them, empty is any."""
    assert matches(match, fragment(1)) is expected
