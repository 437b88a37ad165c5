from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from tests.history.factory import Service, key, orders, transfer
from unionws.history import reader as reader_module
from unionws.history.reader import History, Match, Page, Reader


@pytest.fixture
def service(tmp_path: Path):  # type: ignore[no-untyped-def]
    service = Service(tmp_path / "s").open()
    yield service
    service.stop()


@pytest.fixture
def history(service: Service):  # type: ignore[no-untyped-def]
    history = History(service.folder.database)
    yield history
    history.close()


def keys(page: Page) -> list[str]:
    return [item.sort_order for _, item in page.rows]


def test_a_missing_file_is_an_empty_history(tmp_path: Path) -> None:
    """An edge may be there before ingest has made the file."""
    history = History(tmp_path / "none" / "history.db")
    assert history.span() == (1, 0)
    assert history.after_seq(0, 10) == []
    assert history.newest(10) == Page([], "", False)
    assert history.between(1, 5).items == ()
    assert history.position_before(key(1), 1000) is None


def test_pages_follow_the_numbers_while_the_writer_writes(service: Service, history: History) -> None:
    """A page has what was committed before it, each transfer as it was published."""
    service.publish(5, 3)
    assert history.after_seq(0, 1) == [(1, transfer(5))]
    service.publish(4)
    assert [(seq, item.sort_order) for seq, item in history.after_seq(1, 10)] == [(2, key(3)), (3, key(4))]
    assert history.span() == (1, 3)


def test_a_record_of_history_ends_at_the_number_asked_for(service: Service, history: History) -> None:
    """What is not there is missing in front, so that it can be told as a gap."""
    service.publish(1, 3, 2)
    record = history.between(0, 3)
    assert (record.seq, record.cursor, record.epoch) == (3, key(3), service.store.numbering.epoch)
    assert orders([record]) == [key(1), key(3), key(2)]
    assert history.between(2, 4).items == ()


def test_pages_by_cursor_go_both_ways(service: Service, history: History) -> None:
    """Back-filled transfers are among them, without a number."""
    service.publish(4, 3, 5)
    service.store.add_backfilled([transfer(1), transfer(2)])
    page = history.after_cursor("", 3)
    assert ([seq for seq, _ in page.rows], keys(page), page.more) == (
        [None, None, 2],
        [key(1), key(2), key(3)],
        True,
    )
    assert keys(history.after_cursor(page.cursor, 3)) == [key(4), key(5)]
    assert not history.after_cursor(page.cursor, 3).more
    assert keys(history.before_cursor(key(3), 10)) == [key(2), key(1)]
    assert keys(history.newest(2)) == [key(5), key(4)]


def test_a_filter_is_applied_in_the_file(service: Service, history: History) -> None:
    """AND across fields, OR inside them; chains and wallets match either side."""
    made = [
        transfer(1, source="a.1", destination="b.1", sender="0x1", testnet=True),
        transfer(2, source="b.1", destination="c.1", receiver="0x1"),
        transfer(3, source="c.1", destination="a.1", symbol="usdc"),
    ]
    service.store.append([(made, False)], 0)
    cases = {
        Match(sources=("a.1", "c.1")): [1, 3],
        Match(destinations=("c.1",)): [2],
        Match(chains=("a.1",)): [1, 3],
        Match(wallets=("0x1",)): [1, 2],
        Match(wallets=("0x1",), chains=("c.1",)): [2],
        Match(assets=("usdc",)): [3],
        Match(testnet=True): [1],
        Match(testnet=False): [2, 3],
    }
    for match, wanted in cases.items():
        assert keys(history.after_cursor("", 10, match)) == [key(n) for n in wanted], match


def test_a_page_looks_at_a_bounded_number_of_rows(
    service: Service, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A filter that matches little answers early, with the place to go on from."""
    monkeypatch.setattr(reader_module, "MOST_SCANNED", 10)
    service.publish(*range(1, 25))
    service.store.append([((transfer(25, sender="0xcc"),), False)], 0)
    match, found, cursor, pages = Match(wallets=("0xcc",)), [], "", 0
    while True:
        page = history.after_cursor(cursor, 5, match)
        found += keys(page)
        cursor, pages = page.cursor, pages + 1
        if not page.more:
            break
    assert (found, pages) == ([key(25)], 3)


def test_a_cursor_is_found_by_when_it_was_published(service: Service, history: History) -> None:
    """Everything from some seconds before it follows; an unknown one counts as the nearest before it."""
    for number in (10, 20, 30, 25, 40):
        service.publish(number)
        service.clock.advance(1.0)
    assert history.position_before(key(40), 1_500) == 3
    assert history.position_before(key(35), 1_500) == 1
    assert history.position_before(key(40), 60_000) == 0
    assert history.position_before(key(9), 0) is None


def test_a_cursor_older_than_a_pruned_history_is_not_found(service: Service, history: History) -> None:
    """What was published around it is gone, and must be told as a gap."""
    for number in range(1, 6):
        service.publish(number)
        service.clock.advance(1.0)
    with service.store._database._transaction() as connection:
        connection.execute("DELETE FROM transfers WHERE seq <= 2")
    assert history.position_before(key(4), 10_000) is None
    assert history.position_before(key(5), 500) == 4


def test_a_replaced_file_is_noticed(service: Service, history: History) -> None:
    """The folder was removed and made again under a running edge."""
    service.publish(1)
    assert history.span() == (1, 1)
    for file in service.folder.path.iterdir():
        file.unlink()
    service.second()
    service.publish(2)
    assert [seq for seq, _ in history.after_seq(0, 5)] == [2]


def test_a_reader_reads_in_its_own_thread_and_keeps_no_snapshot(service: Service) -> None:
    """The log starts anew although a reader is there, so it does not grow."""

    async def play() -> None:
        reader = Reader(service.folder.database)
        threads = {thread.name for thread in threading.enumerate()}
        log = service.folder.database.with_name("history.db-wal")
        sizes = []
        for turn in range(6):
            service.publish(*range(turn * 400, turn * 400 + 400))
            await reader.refresh()
            for _ in range(40):
                service.second()
                await asyncio.sleep(0.002)
            sizes.append(log.stat().st_size)
        assert reader.lowest == 1
        assert len(await reader.after_seq(0, 10_000)) == 2400
        assert (await reader.between(2400, 2400)).seq == 2400
        assert {thread.name for thread in threading.enumerate()} - threads
        assert sizes[-1] <= max(sizes[:3])
        reader.close()

    asyncio.run(play())
