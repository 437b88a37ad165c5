from __future__ import annotations

from pathlib import Path

import pytest

from tests.history.factory import Service, key, transfer
from unionws.history.reader import History


def span(service: Service) -> tuple[int, int]:
    history = History(service.folder.database)
    found = history.span()
    history.close()
    return found


def seconds(service: Service, count: int) -> None:
    for _ in range(count):
        service.second()


def test_the_oldest_leave_by_count(tmp_path: Path) -> None:
    """In the order of their numbers, late rows included, so that no hole appears."""
    service = Service(tmp_path / "s", HISTORY_MAX_ROWS=1000).open()
    service.publish(*range(5_000, 6_500), *range(100, 200))
    service.position = key(9_000)
    seconds(service, 12)
    assert span(service) == (601, 1600)
    service.stop()


def test_the_oldest_leave_by_age(tmp_path: Path) -> None:
    """Numbers go on though nothing is left."""
    service = Service(tmp_path / "s", HISTORY_MAX_AGE=1.0).open()
    service.publish(1, 2, 3)
    service.clock.advance(86_300)
    service.publish(4)
    service.clock.advance(120)
    seconds(service, 12)
    assert span(service) == (4, 4)
    service.clock.advance(86_400)
    seconds(service, 12)
    assert span(service) == (5, 4)
    service.stop()
    again = Service(tmp_path / "s").open()
    assert again.publish(5)[0].seq == 5
    again.stop()


def test_keys_behind_the_position_stay_known(tmp_path: Path) -> None:
    """A restart must not publish again what has left the history already."""
    service = Service(tmp_path / "s", HISTORY_MAX_ROWS=1000).open()
    service.publish(*range(1, 1301))
    seconds(service, 12)
    assert span(service) == (301, 1300)
    assert len(service.store.known()) == 1300
    service.stop()


def test_back_filled_transfers_leave_first(tmp_path: Path) -> None:
    """They are older than all that was published."""
    service = Service(tmp_path / "s", HISTORY_MAX_ROWS=1000).open()
    service.store.add_backfilled([transfer(n) for n in range(1, 401)])
    service.publish(*range(1000, 1900))
    seconds(service, 12)
    history = History(service.folder.database)
    page = history.after_cursor("", 2000)
    assert [item.sort_order for _, item in page.rows][:101] == [*map(key, range(301, 401)), key(1000)]
    history.close()
    service.stop()


def test_the_file_gives_room_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a large history was cut down, it shrinks by and by."""
    monkeypatch.setattr("unionws.history.retention.FREE_PAGES", 50)
    service = Service(tmp_path / "s", HISTORY_MAX_ROWS=4000).open()
    service.store.append([([transfer(n, json=b"x" * 2000) for n in range(4000)], False)], 0)
    service.stop()
    before = service.folder.database.stat().st_size
    again = Service(tmp_path / "s", HISTORY_MAX_ROWS=1000).open()
    again.position = key(9_000)
    seconds(again, 60)
    again.stop()
    assert again.folder.database.stat().st_size < before * 0.6
