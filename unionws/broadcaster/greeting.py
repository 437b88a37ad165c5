"""What a client is told when it opens, in the contract's order."""

from __future__ import annotations

from collections.abc import Sequence

from unionws.broadcaster import envelopes
from unionws.broadcaster.fanout import Fanout
from unionws.broadcaster.groups import GroupKey
from unionws.frames import Frame
from unionws.model import JSON, ChainsRecord, ChartRecord, Record, StatusRecord

ORDER = (ChainsRecord, ChartRecord, StatusRecord)


class Greeting:
    """The newest lasting messages, and each group's greeting made of them.

    ``connected`` names the client and its position, so it is encoded for each; everything behind
    it is encoded once per combination of channels and compression and kept until it changes.

    Args:
        server_info: the ``data`` of serverInfo.
    """

    LASTING = ("chartData", "chains", "serverInfo")

    def __init__(self, fanout: Fanout, server_info: JSON) -> None:
        self._fanout = fanout
        self._server_info = envelopes.dumps(server_info)
        self._latest: dict[type, Record] = {}
        self._made: dict[tuple[frozenset[str], bool], Frame] = {}

    def server_info(self, data: JSON) -> None:
        """Tell another ``data`` of serverInfo from now on."""
        self._server_info = envelopes.dumps(data)
        self._made.clear()

    def remember(self, record: Record) -> None:
        """Keep a record for clients to come, when it is of a lasting kind."""
        if isinstance(record, ORDER):
            self._latest[type(record)] = record
            self._made.clear()

    @property
    def chart(self) -> ChartRecord | None:
        """The newest statistics."""
        record = self._latest.get(ChartRecord)
        return record if isinstance(record, ChartRecord) else None

    def message(self, what: str, timestamp: int, given: int | str | None) -> bytes | None:
        """One of LASTING as a whole message with a request's id, or None while there is none."""
        chains, chart, _ = (self._latest.get(kind) for kind in ORDER)
        if what == "serverInfo":
            return envelopes.envelope(what, self._server_info, timestamp, given)
        if what == "chains" and isinstance(chains, ChainsRecord):
            return envelopes.envelope(what, chains.data, chains.timestamp, given)
        if what == "chartData" and isinstance(chart, ChartRecord):
            return envelopes.envelope(what, chart.chart, chart.timestamp, given)
        return None

    def rest(self, key: GroupKey, timestamp: int) -> Frame:
        """Everything behind ``connected``."""
        made = self._made.get((key.channels, key.deflate))
        if made is None:
            messages = self._messages(key.channels, timestamp)
            made = self._made[key.channels, key.deflate] = self._fanout.frame(messages, key.deflate)
        return made

    def _messages(self, channels: frozenset[str], timestamp: int) -> Sequence[bytes]:
        chains, chart, status = (self._latest.get(kind) for kind in ORDER)
        messages = []
        if isinstance(chains, ChainsRecord) and "chains" in channels:
            messages.append(envelopes.envelope("chains", chains.data, chains.timestamp))
        messages.append(envelopes.envelope("serverInfo", self._server_info, timestamp))
        if isinstance(chart, ChartRecord) and "chartData" in channels:
            messages.append(envelopes.envelope("chartData", chart.chart, chart.timestamp))
        if isinstance(status, StatusRecord) and "status" in channels:
            messages.append(envelopes.envelope("status", status.data, status.timestamp))
        return messages
