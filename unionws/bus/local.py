"""The bus inside one process: a call each way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from unionws.bus.records import LASTING
from unionws.model import JSON, Record, StateRecord, TransfersRecord

Deliver = Callable[[Record], None]
Report = Callable[[str, Mapping[str, JSON]], None]


class LocalBus:
    """Both ends of the bus where ingest and edge share one process.

    An end that comes late gets the newest record of each lasting kind (chains, chart, status,
    state), so it never waits for the next one. What was published before the start comes behind the
    state, whichever of the two ends was there first.

    Args:
        sending: whether an edge is still sending what it was handed.
    """

    def __init__(self, sending: Callable[[], bool] = lambda: False) -> None:
        self._sending = sending
        self._edges: list[Deliver] = []
        self._on_report: Report | None = None
        self._lasting: dict[type, Record] = {}
        self._tail: Sequence[TransfersRecord] = ()

    def preload(self, records: Sequence[TransfersRecord]) -> None:
        """Ingest's end, before the first record: what an earlier run published."""
        self._tail = records

    def publish(self, record: Record) -> None:
        """Ingest's end: hand a record to every edge, in order."""
        if isinstance(record, LASTING):
            self._lasting[type(record)] = record
        for deliver in self._edges:
            deliver(record)
        if isinstance(record, StateRecord) and self._edges:
            tail, self._tail = self._tail, ()
            for earlier in tail:
                for deliver in self._edges:
                    deliver(earlier)

    @property
    def busy(self) -> bool:
        """Ingest's end: what was published is not with all clients yet."""
        return self._sending()

    def on_report(self, handler: Report, _lost: Callable[[str], None]) -> None:
        """Ingest's end: be called with an edge's name and its counters. No edge here is ever lost."""
        self._on_report = handler

    def subscribe(self, deliver: Deliver) -> None:
        """An edge's end: be called with every record from now on."""
        self._edges.append(deliver)
        state = [record for record in self._lasting.values() if isinstance(record, StateRecord)]
        others = [record for record in self._lasting.values() if not isinstance(record, StateRecord)]
        tail: Sequence[TransfersRecord] = ()
        if state:
            tail, self._tail = self._tail, ()
        for record in (*state, *tail, *others):
            deliver(record)

    def report(self, edge: str, counters: Mapping[str, JSON]) -> None:
        """An edge's end: send counters up."""
        if self._on_report is not None:
            self._on_report(edge, counters)
