from __future__ import annotations

from tests.history.factory import transfer
from unionws.history.positions import Numbering
from unionws.history.waiting import Waiting


def test_what_waits_is_counted_in_transfers() -> None:
    """And handed out in whole records, oldest first."""
    numbering, waiting = Numbering("e1"), Waiting()
    records = [numbering.number([transfer(n), transfer(n + 1)], False, 0) for n in (1, 3, 5)]
    waiting.extend(records)
    assert len(waiting) == 6
    assert waiting.oldest(3) == records[:2]
    waiting.drop(records[:2])
    assert (len(waiting), waiting.oldest(9)) == (2, records[2:])
    waiting.replace(records[:1])
    assert (len(waiting), waiting.oldest(9)) == (2, records[:1])
