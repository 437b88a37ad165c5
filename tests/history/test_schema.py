from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.history.factory import transfer
from unionws.errors import StateError
from unionws.history import schema


def test_the_schema_has_one_script_for_each_version(tmp_path: Path) -> None:
    """A file of an older version is brought up by the scripts it lacks, one of this version is left alone."""
    assert len(schema.MIGRATIONS) == schema.VERSION
    path = tmp_path / "history.db"
    schema.open_writer(path).close()
    connection = schema.open_writer(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    """The message says which versions they are."""
    path = tmp_path / "history.db"
    connection = schema.open_writer(path)
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(StateError, match="schema 7, this one knows 1"):
        schema.open_writer(path)


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    """Only ingest does."""
    path = tmp_path / "history.db"
    schema.open_writer(path).close()
    connection = schema.open_reader(path)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM transfers")
    connection.close()


def test_a_fragment_is_its_columns() -> None:
    """There and back."""
    assert schema.fragment(schema.columns(transfer(1, testnet=True))) == transfer(1, testnet=True)
