"""Words that several error messages share."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate a person most likely meant by ``name``, or None when none is close."""
    by_fold = {candidate.casefold(): candidate for candidate in candidates}
    matches = difflib.get_close_matches(name.casefold(), by_fold, n=1, cutoff=0.5)
    return by_fold[matches[0]] if matches else None


def did_you_mean(name: str, candidates: Iterable[str], prefix: str = "") -> str:
    """``; did you mean X?`` to end a sentence with, or nothing when no candidate is close."""
    found = nearest(name, candidates)
    return f"; did you mean {prefix}{found}?" if found else ""


def listing(words: Iterable[str]) -> str:
    """``a, b and c``."""
    *head, last = words
    return f"{', '.join(head)} and {last}" if head else last
