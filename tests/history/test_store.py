from __future__ import annotations

import resource
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.history.factory import Service, key, orders, transfer
from unionws.errors import StateError
from unionws.history import store as store_module
from unionws.history.reader import History


@contextmanager
def disk_full() -> Iterator[None]:
    """Nothing that this process writes into a file arrives."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fill(service: Service, number: int) -> int:
    """Publish until the disk refuses; answers the next number."""
    while service.store.problem is None:
        service.publish(number)
        number += 1
    return number


def stored(service: Service) -> list[tuple[int, str]]:
    history = History(service.folder.database)
    rows = history.after_seq(0, 1_000_000)
    history.close()
    return [(seq, item.sort_order) for seq, item in rows]


def test_numbers_go_on_after_a_stop_and_after_a_kill(tmp_path: Path) -> None:
    """Same epoch, next number."""
    first = Service(tmp_path / "s").open()
    assert [record.seq for record in first.publish(1, 2)] == [1, 2]
    first.stop()
    second = Service(tmp_path / "s").open()
    assert [record.seq for record in second.publish(3)] == [3]
    second.kill()
    third = Service(tmp_path / "s").open()
    (record,) = third.publish(4)
    assert (record.seq, record.epoch, record.cursor) == (4, first.store.numbering.epoch, key(4))
    assert stored(third) == [(n, key(n)) for n in (1, 2, 3, 4)]
    third.stop()


def test_epochs_are_twelve_letters_and_differ(tmp_path: Path) -> None:
    """Two folders never share one."""
    epochs = set()
    for name in ("a", "b"):
        service = Service(tmp_path / name).open()
        epochs.add(service.store.numbering.epoch)
        service.stop()
    assert len(epochs) == 2
    assert all(len(epoch) == 12 and epoch.isalnum() and epoch.islower() for epoch in epochs)


def test_the_position_is_stored_with_the_first_transfer(tmp_path: Path) -> None:
    """A crash right after it must not begin from a new baseline; keys before the start stay known."""
    service = Service(tmp_path / "s").open()
    service.handled = {key(3), key(4)}  # were there before polling began
    service.position = key(2)
    service.publish(5)
    service.kill()
    again = Service(tmp_path / "s").open()
    assert again.store.position == key(2)
    assert sorted(again.store.known()) == [key(3), key(4), key(5)]
    again.stop()


def test_a_position_that_must_not_move_stays(tmp_path: Path) -> None:
    """While something at or before it waits, the older one counts."""
    service = Service(tmp_path / "s").open()
    service.publish(1)
    service.position = None
    service.second()
    service.kill()
    again = Service(tmp_path / "s").open()
    assert again.store.position == key(0)
    again.stop()


def test_keys_before_the_position_are_forgotten(tmp_path: Path) -> None:
    """What is known is the window behind the position and nothing else."""
    service = Service(tmp_path / "s").open()
    service.handled = {key(1), key(2)}
    service.publish(3, 4)
    service.position = key(3)
    service.second()
    assert service.store.known() == [key(4)]
    service.stop()


def test_a_second_service_is_told_who_has_the_folder(tmp_path: Path) -> None:
    """The process id is in the message, and the first goes on."""
    import os

    first = Service(tmp_path / "s").open()
    with pytest.raises(StateError, match=f"in use by process {os.getpid()}"):
        Service(tmp_path / "s").open()
    assert first.publish(1)[0].seq == 1
    first.stop()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """Going on would destroy what the newer version wrote."""
    service = Service(tmp_path / "s").open()
    service.stop()
    connection = sqlite3.connect(service.folder.database)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    again = Service(tmp_path / "s")
    with pytest.raises(StateError, match="schema 99"):
        again.open()
    again.folder.release()


def test_another_run_of_the_machine_without_a_clean_stop_begins_an_epoch(tmp_path: Path) -> None:
    """The newest commits may be lost with the machine; numbers still go on."""
    service = Service(tmp_path / "s").open()
    epoch = service.store.numbering.epoch
    service.publish(1)
    service.kill()
    service.folder.continuity.write_text(f"{epoch} another-boot\n")
    again = Service(tmp_path / "s").open()
    assert again.store.numbering.epoch != epoch
    assert again.publish(2)[0].seq == 2
    assert again.store.tail(10)[0].items[0].sort_order == key(2)
    again.stop()


def test_a_full_disk_stops_storing_not_publishing_and_all_is_written_later(tmp_path: Path) -> None:
    """In order, under the same epoch, without a hole."""
    service = Service(tmp_path / "s").open()
    epoch = service.store.numbering.epoch
    service.publish(*range(1, 200))
    with disk_full():
        following = fill(service, 200)
        records = service.publish(following, following + 1)
        assert [record.seq for record in records] == [following, following + 1]
        service.second()
        assert service.store.problem
        assert not service.folder.continuity.exists()
        assert service.store.view()["unstored"] >= 3
    service.second()
    assert service.store.problem is None
    assert stored(service) == [(n, key(n)) for n in range(1, following + 2)]
    service.kill()
    again = Service(tmp_path / "s").open()
    assert (again.store.numbering.epoch, again.store.numbering.seq) == (epoch, following + 1)
    again.stop()


def test_a_crash_while_the_disk_refuses_begins_an_epoch(tmp_path: Path) -> None:
    """Numbers were given that nobody remembers, so they must not be given again under the same name."""
    service = Service(tmp_path / "s").open()
    service.publish(*range(1, 200))
    with disk_full():
        fill(service, 200)
        service.kill()
    again = Service(tmp_path / "s").open()
    assert again.store.numbering.epoch != service.store.numbering.epoch
    assert again.store.numbering.seq < service.store.numbering.seq
    again.stop()


def test_a_proof_that_cannot_be_removed_costs_the_epoch_at_once(tmp_path: Path) -> None:
    """Otherwise a crash would go on with numbers that were given already."""
    service = Service(tmp_path / "s").open()
    epoch = service.store.numbering.epoch
    service.publish(*range(1, 200))
    service.folder.continuity.unlink()
    (service.folder.continuity / "in the way").mkdir(parents=True)  # unlink() fails
    with disk_full():
        following = fill(service, 200)
        assert service.store.numbering.epoch != epoch
        assert service.publish(following)[0].epoch == service.store.numbering.epoch
        service.kill()
    shutil.rmtree(service.folder.continuity)
    service.folder.continuity.write_text(f"{epoch} clean\n")
    again = Service(tmp_path / "s").open()
    assert again.store.numbering.epoch == epoch
    again.stop()


def test_beyond_the_bound_the_oldest_are_given_up_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The history is complete again behind them, and says from where."""
    monkeypatch.setattr(store_module, "MOST_UNSTORED", 50)
    service = Service(tmp_path / "s").open()
    service.publish(*range(1, 50))
    with disk_full():
        following = fill(service, 50)
        service.publish(*range(following, following + 60))
    service.second()
    last = following + 59
    assert service.store.problem is None
    assert service.store.given_up == last - 50 - (len(stored(service)) - 50)
    history = History(service.folder.database)
    assert history.span() == (last - 49, last)
    history.close()
    assert set(service.store.known()) == {key(n) for n in range(1, last + 1)}
    service.stop()


def test_a_locked_database_is_a_problem_for_a_while_only(tmp_path: Path) -> None:
    """Somebody opened it with a tool."""
    service = Service(tmp_path / "s").open()
    other = sqlite3.connect(service.folder.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert service.publish(1)[0].seq == 1
    assert service.store.problem == "database is locked"
    other.execute("ROLLBACK")
    other.close()
    service.second()
    assert service.store.problem is None
    assert stored(service) == [(1, key(1))]
    service.stop()


def test_a_removed_folder_is_made_again_and_numbers_go_on(tmp_path: Path) -> None:
    """History is lost, positions are not; what was published is still known."""
    service = Service(tmp_path / "s").open()
    epoch = service.store.numbering.epoch
    service.publish(1, 2)
    shutil.rmtree(tmp_path / "s")
    service.second()
    service.publish(3)
    assert service.store.problem is None
    service.kill()
    again = Service(tmp_path / "s").open()
    assert (again.store.numbering.epoch, again.store.numbering.seq) == (epoch, 3)
    assert sorted(again.store.known()) == [key(1), key(2), key(3)]
    history = History(again.folder.database)
    assert history.span() == (3, 3)
    history.close()
    again.stop()


def test_a_broken_file_is_set_aside(tmp_path: Path) -> None:
    """The service starts under a new epoch, and the file is kept for a look."""
    service = Service(tmp_path / "s").open()
    service.publish(1)
    service.stop()
    service.folder.database.write_bytes(b"this is no database" * 1000)
    again = Service(tmp_path / "s").open()
    assert again.store.problem is None
    assert again.store.numbering.epoch != service.store.numbering.epoch
    assert list((tmp_path / "s").glob("history.aside-*"))
    again.stop()


def test_a_value_no_database_takes_does_not_stop_the_rest(tmp_path: Path) -> None:
    """It is published, given up for the history, and counted."""
    service = Service(tmp_path / "s").open()
    service.store.append([((transfer(1, sender="\ud800"),), False)], 0)
    service.publish(2)
    assert (service.store.problem, service.store.given_up) == (None, 1)
    assert stored(service) == [(2, key(2))]
    service.kill()
    again = Service(tmp_path / "s").open()
    assert again.store.numbering.seq == 2
    again.stop()


def test_the_tail_is_one_record_per_transfer_with_its_cursor(tmp_path: Path) -> None:
    """So an edge anywhere inside it gets exactly the rest."""
    service = Service(tmp_path / "s").open()
    service.store.append([((transfer(5), transfer(3)), False), ((transfer(4),), True)], 77)
    service.kill()
    again = Service(tmp_path / "s").open()
    tail = again.store.tail(2)
    assert [(r.seq, r.cursor, r.late, r.timestamp, orders([r])) for r in tail] == [
        (2, key(5), False, 77, [key(3)]),
        (3, key(5), True, 77, [key(4)]),
    ]
    again.stop()


def test_back_filled_transfers_have_no_number_and_never_replace_published_ones(tmp_path: Path) -> None:
    """Later, one of them may still be published: then it has one."""
    service = Service(tmp_path / "s").open()
    service.publish(2)
    service.store.add_backfilled([transfer(1), transfer(2)])
    assert stored(service) == [(1, key(2))]
    service.publish(1)
    assert stored(service) == [(1, key(2)), (2, key(1))]
    service.stop()


class Source:
    """A source with rows that appear late, and the poller's rules about position and known keys."""

    def __init__(self) -> None:
        self.rows: list[str] = []

    def after(self, position: str, known: set[str]) -> list[str]:
        return sorted(row for row in self.rows if row > position and row not in known)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("rows"), st.lists(st.integers(1, 99_999), max_size=6)),
        st.tuples(st.just("due"), st.integers(1, 5)),
        st.tuples(st.just("second"), st.just(0)),
        st.tuples(st.just("killed before publishing"), st.integers(1, 3)),
        st.tuples(st.just("killed"), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whenever_the_process_is_killed_nothing_is_lost_or_repeated(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, object]]
) -> None:
    """Every row of the source gets one number, numbers have no hole, and an edge gets each once."""
    folder = tmp_path_factory.mktemp("state") / "s"
    source, delivered = Source(), []
    service = Service(folder).open()
    queue: list[str] = []
    seen: set[str] = set()

    def poll() -> None:
        new = source.after(service.store.position or key(0), seen)
        queue.extend(new)
        seen.update(new)

    def settle() -> None:
        """The source settles what is 20 rows old, unless something there still waits."""
        old = sorted(source.rows)[:-20]
        wanted = max(old, default=key(0))
        waits = any(row <= wanted for row in queue)
        service.handled = seen - set(queue)
        service.position = None if waits and wanted > key(0) else wanted

    def publish(count: int, *, reach_edge: bool = True) -> None:
        due, queue[:] = queue[:count], queue[count:]
        if due:
            settle()
            records = service.store.append([((transfer(int(row)),), False) for row in due], 0)
            delivered.extend(records if reach_edge else [])

    def restart() -> None:
        nonlocal service
        service.kill()
        queue.clear()
        service = Service(folder).open()
        service.position = service.store.position or key(0)
        last = delivered[-1].seq if delivered else 0
        delivered.extend(record for record in service.store.tail(1_000) if record.seq > last)
        seen.clear()
        seen.update(service.store.known())
        poll()

    floor = 0
    for what, value in [*steps, ("killed", 0), ("due", 1_000)]:
        if what == "rows":
            # Late rows come behind others, but never behind what is settled.
            floor = max(floor, int(service.position or 0))
            source.rows += sorted({key(floor + n) for n in value} - set(source.rows))  # type: ignore[attr-defined]
            poll()
        elif what == "due":
            publish(int(value))  # type: ignore[call-overload]
        elif what == "second":
            settle()
            service.second()
        else:
            publish(int(value), reach_edge=False)  # type: ignore[call-overload]
            restart()
    assert sorted(orders(delivered)) == sorted(source.rows)
    assert [record.seq for record in delivered] == list(range(1, len(delivered) + 1))
    assert len({record.epoch for record in delivered}) <= 1
    service.stop()
