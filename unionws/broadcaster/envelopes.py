"""Messages as bytes: fragments joined into envelopes, never encoded twice.

At top level stand ``type``, ``data``, positions and, always last, ``timestamp``.
"""

from __future__ import annotations

from collections.abc import Sequence

import ujson

from unionws.model import JSON, TransfersRecord


def dumps(value: JSON) -> bytes:
    """Compact UTF-8 JSON."""
    try:
        return ujson.dumps(value, ensure_ascii=False, escape_forward_slashes=False).encode()
    except UnicodeEncodeError:  # a lone surrogate, from an escape in a client's JSON
        return ujson.dumps(value, ensure_ascii=True, escape_forward_slashes=False).encode()


def envelope(type: str, data: bytes, timestamp: int, given: int | str | None = None) -> bytes:
    """A message around an encoded ``data``; ``given``: the id of the request it answers."""
    mark = b"" if given is None else b'"id":%s,' % dumps(given)
    return b'{"type":"%s",%s"data":%s,"timestamp":%d}' % (type.encode(), mark, data, timestamp)


def message(type: str, timestamp: int, **fields: JSON) -> bytes:
    """A message whose fields are encoded here; for replies to one client."""
    return dumps({"type": type, **fields, "timestamp": timestamp})


def transfers(
    record: TransfersRecord, indices: Sequence[int], prev: int, form: str, *, replay: bool = False
) -> list[bytes]:
    """The messages that deliver some of a record's transfers to one group.

    Args:
        indices: positions in ``record.items``, ascending, not empty.
        prev: position up to which the group's previous frame accounted.
        form: ``batch`` for one message, ``single`` for one each.
        replay: the record is from the past.
    """
    mark = (b'"replay":true,' if replay else b"") + (b'"late":true,' if record.late else b"")
    if form == "batch":
        data = b"[%s]" % b",".join([record.items[index].json for index in indices])
        return [_positioned(b"transfers", data, mark, record, record.seq, prev)]
    messages = []
    for index in indices:
        # Each accounts for all up to its own transfer, the last one for the whole record; none for
        # anything where all is accounted for already: a snapshot does not move a client back.
        whole = index == indices[-1] or prev == record.seq
        seq = record.seq if whole else record.seq - len(record.items) + 1 + index
        messages.append(_positioned(b"transfer", record.items[index].json, mark, record, seq, prev))
        prev = seq
    return messages


def _positioned(type: bytes, data: bytes, mark: bytes, record: TransfersRecord, seq: int, prev: int) -> bytes:
    return b'{"type":"%s","data":%s,%s"epoch":"%s","seq":%d,"prev":%d,"cursor":%s,"timestamp":%d}' % (
        type,
        data,
        mark,
        record.epoch.encode(),
        seq,
        prev,
        dumps(record.cursor),
        record.timestamp,
    )
