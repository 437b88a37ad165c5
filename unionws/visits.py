"""Who came and went: always counted by close code, told one by one where LOG_CONNECTIONS is on.

At 100,000 clients a line per connection would be most of the log, so what an operator should know
anyway, that clients are being dropped and why, is summed up once a minute.
"""

from __future__ import annotations

import logging
from collections import Counter

from unionws.connections.client import Client

log = logging.getLogger("unionws.edge")

ORDINARY = frozenset({1000, 1001, 1005, 1006, 4200})
"""Codes of clients that left by themselves, vanished, or were told of a shutdown."""

SUMMARY_INTERVAL = 60.0
GONE = "connection lost"


class Visits:
    """Counts one edge's clients by how they ended.

    Args:
        edge: name, part of client ids.

    Attributes:
        told: log every client.
        gone: clients by close code.
    """

    def __init__(self, edge: str, *, told: bool) -> None:
        self._edge = edge
        self.told = told
        self.gone: Counter[int] = Counter()
        self._summed: Counter[int] = Counter()
        self._next = float("-inf")

    def opened(self, client: Client, holder: str) -> None:
        """A client was greeted; ``holder``: whose key it showed."""
        if self.told:
            log.info("client opened", extra={"fields": {**self._who(client), **_given(holder=holder)}})

    def ended(self, client: Client, code: int, reason: str) -> None:
        """A client is gone, or being closed."""
        self.gone[code] += 1
        if self.told:
            facts = {**self._who(client), "code": code, "reason": reason or _default_reason(code)}
            log.info("client gone", extra={"fields": facts})

    def _who(self, client: Client) -> dict[str, object]:
        return {"client": f"{self._edge}-{client.number}", "address": client.address}

    def sum_up(self, now: float) -> None:
        """Once a second: at most once a minute, say how many clients were dropped since, by code.

        Args:
            now: monotonic seconds.
        """
        if now < self._next:
            return
        dropped = {code: count for code, count in (self.gone - self._summed).items() if code not in ORDINARY}
        if dropped:
            log.info("clients dropped", extra={"fields": {"edge": self._edge, "by_code": dropped}})
            self._next = now + SUMMARY_INTERVAL
        self._summed = self.gone.copy()


def _given(**fields: str) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value}


def _default_reason(code: int) -> str:
    return GONE if code == 1006 else "closed by the client"
