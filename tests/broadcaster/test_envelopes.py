"""Messages as bytes: what stands where, and that fragments are joined as they are."""

from __future__ import annotations

import pytest
import ujson

from tests.broadcaster.factory import EPOCH, NOW_MS, fragment, record
from unionws.broadcaster import envelopes


def test_data_is_put_in_as_it_is() -> None:
    """Encoded data is not touched, and the timestamp is last."""
    data = b'{"b":1,  "a":[1e3]}'
    assert envelopes.envelope("status", data, 5) == b'{"type":"status","data":%s,"timestamp":5}' % data


@pytest.mark.parametrize("given", [0, 7, 'a"b', "é"])
def test_id_of_a_request_is_echoed(given: int | str) -> None:
    """Whatever its characters."""
    assert ujson.loads(envelopes.envelope("chains", b"[]", 5, given))["id"] == given
    assert "id" not in ujson.loads(envelopes.envelope("chains", b"[]", 5))


def test_reply_has_its_timestamp_last() -> None:
    """Fields keep their order between type and timestamp."""
    made = envelopes.message("error", 5, code="x", message="Sätze/mit é")
    assert made == '{"type":"error","code":"x","message":"Sätze/mit é","timestamp":5}'.encode()


def test_lone_surrogates_do_not_break_a_reply() -> None:
    """An escape of a client's that is no character comes back as an escape."""
    assert envelopes.dumps({"id": "\ud800é"}) == b'{"id":"\\ud800\\u00e9"}'


def test_batch_is_one_message() -> None:
    """All wanted transfers, in order, with the positions of the record."""
    items = [fragment(order) for order in ("0007", "0008", "0009")]
    [made] = envelopes.transfers(record(9, *items), [0, 2], 4, "batch")
    assert made.startswith(b'{"type":"transfers","data":[{"sort_order":"0007"},{"sort_order":"0009"}],')
    assert list(ujson.loads(made).items())[2:] == [
        ("epoch", EPOCH),
        ("seq", 9),
        ("prev", 4),
        ("cursor", "0009"),
        ("timestamp", NOW_MS),
    ]


def test_singles_account_step_by_step() -> None:
    """Each message follows on the one before; the last accounts for the whole record."""
    items = [fragment(f"{seq:04}") for seq in range(6, 11)]
    made = [ujson.loads(one) for one in envelopes.transfers(record(10, *items), [1, 3], 4, "single")]
    assert [(one["type"], one["data"]["sort_order"]) for one in made] == [
        ("transfer", "0007"),
        ("transfer", "0009"),
    ]
    assert [(one["prev"], one["seq"]) for one in made] == [(4, 7), (7, 10)]


def test_single_of_the_whole_record() -> None:
    """Without a filter each transfer has its own position."""
    items = [fragment(f"{seq:04}") for seq in range(6, 9)]
    made = [ujson.loads(one) for one in envelopes.transfers(record(8, *items), [0, 1, 2], 5, "single")]
    assert [(one["prev"], one["seq"]) for one in made] == [(5, 6), (6, 7), (7, 8)]


def test_singles_of_a_snapshot_move_nobody_back() -> None:
    """All is accounted for before the first, so each has the same position."""
    items = [fragment(f"{seq:04}") for seq in range(6, 9)]
    made = [ujson.loads(one) for one in envelopes.transfers(record(8, *items), [0, 1, 2], 8, "single")]
    assert [(one["prev"], one["seq"]) for one in made] == [(8, 8)] * 3


@pytest.mark.parametrize("form", ["batch", "single"])
def test_marks_of_the_past(form: str) -> None:
    """late and replay are there exactly when they are true."""
    plain = envelopes.transfers(record(1), [0], 0, form)
    marked = envelopes.transfers(record(1, late=True), [0], 0, form, replay=True)
    assert not {"late", "replay"} & set(ujson.loads(plain[0]))
    assert ujson.loads(marked[0])["late"] is True
    assert ujson.loads(marked[0])["replay"] is True
    assert list(ujson.loads(marked[0]))[-1] == "timestamp"


def test_strange_cursor_is_encoded() -> None:
    """A cursor is opaque: quotes in it stay text."""
    [made] = envelopes.transfers(record(1, fragment('a"b')), [], 0, "batch")
    assert ujson.loads(made)["cursor"] == 'a"b'
