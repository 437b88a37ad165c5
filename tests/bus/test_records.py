"""Records as bytes and back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unionws.bus.records import decode, encode
from unionws.model import (
    ChainsRecord,
    ChartRecord,
    Fragment,
    MessageRecord,
    Record,
    StateRecord,
    StatusRecord,
    TransfersRecord,
)

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
BLOBS = st.binary(max_size=200)
TIMES = st.integers(0, 2**53)
FRAGMENTS = st.builds(
    Fragment, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, st.booleans(), TIMES, BLOBS
)
KEYS = FRAGMENTS.map(lambda item: replace(item, json=b""))
"""A transfer that a message is about travels as its keys alone."""

VIEWS = st.dictionaries(
    TEXTS, st.recursive(st.none() | st.booleans() | TIMES | TEXTS, st.lists, max_leaves=5)
)
RECORDS: st.SearchStrategy[Record] = st.one_of(
    st.builds(TransfersRecord, TEXTS, TIMES, TEXTS, st.booleans(), TIMES, st.lists(FRAGMENTS).map(tuple)),
    st.builds(ChartRecord, TIMES, TIMES, BLOBS, BLOBS),
    st.builds(ChainsRecord, TIMES, BLOBS),
    st.builds(StatusRecord, TIMES, BLOBS),
    st.builds(StateRecord, TIMES, TEXTS, TIMES, TEXTS, VIEWS),
    st.builds(MessageRecord, TIMES, TEXTS, TEXTS, BLOBS, st.none() | KEYS),
)


@given(RECORDS)
def test_every_record_comes_back(record: Record) -> None:
    """Of any kind, with any content."""
    assert decode(encode(record)) == record


def test_blobs_travel_untouched() -> None:
    """JSON that is encoded already is not encoded again."""
    data = b'{"already": [1, 2]}'
    assert encode(StatusRecord(1, data)).endswith(data)


def test_unknown_kind_is_refused() -> None:
    """A record of another version is an error, not another record."""
    data = encode(StatusRecord(1, b"{}"))
    with pytest.raises(ValueError, match="unknown kind"):
        decode(b"?" + data[1:])


@pytest.mark.parametrize("data", [b"", b"T", b"T\0\0\0\x05[", b"T\0\0\0\x02{}"])
def test_what_is_no_record_is_refused(data: bytes) -> None:
    """Broken bytes are a ValueError."""
    with pytest.raises(ValueError):
        decode(data)


@pytest.mark.parametrize("cut", [1, 3, 9])
def test_record_cut_short_is_refused(cut: int) -> None:
    """A blob that is not all there is never taken for a shorter one."""
    with pytest.raises(ValueError):
        decode(encode(ChartRecord(1, 2, b"chart", b"rates"))[:-cut])
