"""The newest time and label per key, in bounded memory."""

from __future__ import annotations

from unionws.stats.book import Book


def test_the_newest_event_wins_and_a_late_one_changes_nothing() -> None:
    """Of equal times the later one counts."""
    book: Book[str] = Book(10)
    book.note("a", 5.0, "five")
    book.note("a", 3.0, "three")
    assert book.find("a") == (5.0, "five")
    book.note("a", 5.0, "five again")
    assert book.find("a") == (5.0, "five again")
    book.note("a", 6.0, "")
    assert book.find("a") == (6.0, "five again")


def test_old_keys_are_forgotten_and_listed_ones_are_not() -> None:
    """What is asked for regularly survives any number of others."""
    book: Book[int] = Book(100)
    book.note(-1, 1.0, "listed")
    book.note(-2, 1.0, "unlisted")
    for number in range(5000):
        book.note(number, 2.0, "")
        if number % 50 == 0:
            assert book.find(-1) == (1.0, "listed")
    assert book.find(-2) is None
    assert sum(book.find(number) is not None for number in range(4800)) <= 200


def test_a_late_event_does_not_hide_a_newer_one_of_the_older_generation() -> None:
    """The generations are one book."""
    book: Book[str] = Book(2)
    for key, time in (("a", 9.0), ("b", 1.0), ("c", 1.0)):
        book.note(key, time, key)
    book.note("a", 4.0, "late")
    assert book.find("a") == (9.0, "a")
