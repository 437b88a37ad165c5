"""The bus inside one process: a call each way."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from unionws.bus.records import LASTING
from unionws.model import JSON, Record

Deliver = Callable[[Record], None]
Report = Callable[[str, Mapping[str, JSON]], None]


class LocalBus:
    """Both ends of the bus where ingest and edge share one process.

    An end that comes late gets the newest record of each lasting kind (chains, chart, status,
    state), so it never waits for the next one.
    """

    def __init__(self) -> None:
        self._edges: list[Deliver] = []
        self._on_report: Report | None = None
        self._lasting: dict[type, Record] = {}

    def publish(self, record: Record) -> None:
        """Ingest's end: hand a record to every edge, in order."""
        if isinstance(record, LASTING):
            self._lasting[type(record)] = record
        for deliver in self._edges:
            deliver(record)

    def on_report(self, handler: Report, _lost: Callable[[str], None]) -> None:
        """Ingest's end: be called with an edge's name and its counters. No edge here is ever lost."""
        self._on_report = handler

    def subscribe(self, deliver: Deliver) -> None:
        """An edge's end: be called with every record from now on."""
        self._edges.append(deliver)
        for record in self._lasting.values():
            deliver(record)

    def report(self, edge: str, counters: Mapping[str, JSON]) -> None:
        """An edge's end: send counters up."""
        if self._on_report is not None:
            self._on_report(edge, counters)
