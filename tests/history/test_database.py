from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.history.factory import key, transfer
from unionws.history.database import Database, Saved, is_damage
from unionws.model import TransfersRecord

SAVED = Saved("e1", 2, key(2), 1, key(0))


@pytest.fixture
def database(tmp_path: Path):  # type: ignore[no-untyped-def]
    database = Database(tmp_path / "history.db")
    database.open()
    yield database
    database.close()


def test_what_was_saved_is_loaded(database: Database) -> None:
    """A new file has nothing."""
    assert database.load() is None
    database.write([], SAVED)
    assert database.load() == SAVED


def test_a_write_is_whole_or_not_at_all(database: Database) -> None:
    """One value that no column takes leaves rows and state as they were."""
    database.write([], SAVED)
    record = TransfersRecord("e1", 4, key(4), False, 1, (transfer(3), transfer(4, event_ms=2**70)))
    with pytest.raises(OverflowError):
        database.write([record], Saved("e1", 4, key(4), 1, key(1)), [key(9)])
    assert (database.load(), database.after(0, "e1"), database.known(key(0))) == (SAVED, [], [])


def test_a_transfer_comes_back_as_it_was(database: Database) -> None:
    """Every field, booleans and bytes included."""
    item = transfer(1, testnet=True, json=b'{"a":"\xc3\xa4"}')
    database.write([TransfersRecord("e1", 1, key(1), True, 5, (item,))], SAVED)
    assert database.after(0, "e1") == [TransfersRecord("e1", 1, key(1), True, 5, (item,))]


def test_known_keys_are_published_ones_and_given_ones(database: Database) -> None:
    """Behind the position, each once."""
    database.write(
        [TransfersRecord("e1", 1, key(5), False, 5, (transfer(5),))], SAVED, [key(3), key(5), key(7)]
    )
    assert sorted(database.known(key(3))) == [key(5), key(7)]
    database.write([], Saved("e1", 2, key(2), 1, key(6)), moved=True)
    assert sorted(database.known(key(0))) == [key(5), key(7)]


def test_a_closed_database_refuses(tmp_path: Path) -> None:
    """With the error that every refusal of the disk has."""
    with pytest.raises(sqlite3.OperationalError):
        Database(tmp_path / "none.db").load()


def test_damage_is_told_from_a_refusal() -> None:
    """A full disk is no reason to set a file aside."""
    assert is_damage(sqlite3.DatabaseError("file is not a database"))
    assert is_damage(sqlite3.DatabaseError("database disk image is malformed"))
    assert not is_damage(sqlite3.OperationalError("database or disk is full"))
