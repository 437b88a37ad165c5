"""The file of the statistics."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from unionws.errors import StateError
from unionws.stats import statefile
from unionws.stats.statefile import Change, Kept, Mark, StateFile

MARK = Mark(7, "cursor", 100.5, 40.0, [(1.0, 2.0)], {"cursor": "c", "keys": ["a"]})


def write(file: StateFile, *changes: Change, mark: Mark = MARK, whole: bool = False) -> list[str]:
    bad: list[str] = []
    file.write(changes, mark, whole=whole, on_bad=lambda name, _: bad.append(name))
    return bad


def loaded(path: Path) -> Kept | None:
    file = StateFile(path)
    try:
        return file.load()
    finally:
        file.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "statistics.db"


def test_parts_and_mark_come_back_as_they_were(path: Path) -> None:
    """JSON, bytes, numbers beyond 64 bits and what functions make; spans are pairs again."""
    file = StateFile(path)
    write(
        file,
        ("a", "1", {"k": [1, 2**300]}),
        ("a", "2", b"\0\xff"),
        ("b", "", lambda: [1]),
        ("b", "x", lambda: b""),
    )
    file.close()
    kept = loaded(path)
    assert kept is not None
    assert kept.states == {"a": {"1": {"k": [1, 2**300]}, "2": b"\0\xff"}, "b": {"": [1], "x": b""}}
    assert (kept.mark.seq, kept.mark.backfill) == (7, {"cursor": "c", "keys": ["a"]})
    assert [tuple(span) for span in kept.mark.spans] == [(1.0, 2.0)]


def test_only_what_changed_is_replaced_and_none_removes(path: Path) -> None:
    """Parts not named stay; a whole write leaves nothing else."""
    file = StateFile(path)
    write(file, ("a", "1", 1), ("a", "2", 2), ("a", "3", 3))
    write(file, ("a", "2", 22), ("a", "3", None))
    kept = file.load()
    assert kept is not None
    assert kept.states == {"a": {"1": 1, "2": 22}}
    write(file, ("b", "1", 1), whole=True)
    kept = file.load()
    file.close()
    assert kept is not None
    assert kept.states == {"b": {"1": 1}}


def test_a_part_that_cannot_be_stored_does_not_stop_the_others(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named, and what was stored of it before stays."""
    monkeypatch.setattr(statefile, "MOST_BYTES", 1_000)
    file = StateFile(path)

    def broken() -> object:
        raise RuntimeError("broken on purpose")

    write(file, ("bad", "1", "old"))
    bad = write(
        file, ("bad", "1", object()), ("bad", "2", broken), ("big", "1", "x" * 1_000), ("good", "1", 1)
    )
    kept = file.load()
    file.close()
    assert bad == ["bad", "bad", "big"]
    assert kept is not None
    assert kept.states == {"bad": {"1": "old"}, "good": {"1": 1}}


def test_a_new_file_holds_nothing(path: Path) -> None:
    """No mark, no state."""
    file = StateFile(path)
    assert file.load() is None
    file.close()


def test_a_write_that_fails_leaves_the_state_before(path: Path) -> None:
    """Parts and mark change together or not at all."""
    file = StateFile(path)
    write(file, ("a", "1", 1))
    with pytest.raises(TypeError):
        write(file, ("a", "1", 2), mark=Mark(8, "", 0.0, 0.0, backfill={"bad": object()}))
    kept = file.load()
    file.close()
    assert kept is not None
    assert (kept.mark.seq, kept.states) == (7, {"a": {"1": 1}})


def test_a_newer_version_and_a_foreign_mark_are_refused(path: Path) -> None:
    """What this version cannot read is not read."""
    file = StateFile(path)
    write(file, ("a", "1", 1))
    file.close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE mark SET data = '{\"other\": 1}'")
    connection.commit()
    with pytest.raises(StateError, match="something else"):
        loaded(path)
    connection.execute(f"PRAGMA user_version = {statefile.VERSION + 1}")
    connection.close()
    with pytest.raises(StateError, match="newer unionws"):
        loaded(path)


def test_a_file_taken_away_is_noticed_and_made_again_by_a_whole_write(path: Path) -> None:
    """Else figures would be written to a file that nobody can open again."""
    file = StateFile(path)
    write(file, ("a", "1", 1))
    assert not file.is_lost()
    path.unlink()
    assert file.is_lost()
    write(file, ("a", "1", 2), whole=True)
    assert not file.is_lost()
    file.close()
    kept = loaded(path)
    assert kept is not None
    assert kept.states == {"a": {"1": 2}}
