"""The Union indexer as a feed: one line to it, polled for transfers and, now and then, for chains."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from unionws.extensions import Intake
from unionws.model import JSON, Fragment
from unionws.source import queries
from unionws.source.chains import ChainRefresher
from unionws.source.decode import Decoder, Page
from unionws.source.poller import Poller
from unionws.source.transport import Transport
from unionws.source.updates import UpdateFinder
from unionws.source.window import Origin

PATIENCE = 4.0
"""Seconds for what is asked in the background: a poll waits so long at most for its turn."""


class Indexer:
    """A :class:`unionws.Feed` of what the indexer has, with a past."""

    def __init__(self, intake: Intake) -> None:
        settings, clock = intake.settings, intake.clock
        self._transport = Transport(intake.endpoint)
        self._chains = ChainRefresher(self._transport, settings, on_chains=intake.on_chains, clock=clock)
        self._poller = Poller(
            self._transport,
            settings,
            on_batch=intake.on_transfers,
            clock=clock,
            resume_from=intake.resume_from,
            known=intake.known,
        )
        self._past = Decoder()
        self._page: dict[str, Any] = {"limit": settings.POLL_LIMIT}
        if settings.MAINNET_ONLY:
            self._page["network"] = "mainnet"
        self._updates = UpdateFinder(
            self._transport,
            settings,
            on_updates=intake.on_updates,
            is_quiet=lambda: self._poller.is_quiet,
            clock=clock,
        )

    @property
    def position(self) -> str | None:
        return self._poller.position

    @property
    def seen(self) -> Collection[str]:
        return self._poller.seen

    def watch(self, transfers: Sequence[Fragment]) -> None:
        self._updates.watch(transfers, self._poller.position)

    @property
    def origin(self) -> Origin | None:
        """What is never handed out as new; None until that is known."""
        return self._poller.origin

    @property
    def quiet(self) -> bool:
        """Whether polling is well, and a request would be in nobody's way."""
        return self._poller.state == "ok" and self._poller.is_quiet

    async def before(self, cursor: str | None) -> Page:
        """The page before a cursor, or the newest.

        Raises:
            UpstreamError: there is no usable answer.
        """
        query = queries.NEWEST if cursor is None else queries.BEFORE
        variables = self._page if cursor is None else {**self._page, "cursor": cursor}
        data = await self.ask(query.document, variables, query.name)
        return self._past.page(data, query.field, ())

    async def ask(self, document: str, variables: Mapping[str, Any] | None, operation_name: str) -> Any:
        """The ``data`` of another question, in its turn.

        Raises:
            UpstreamError: there is no usable answer.
        """
        return await self._transport.query(document, variables, operation_name, within=PATIENCE)

    def start(self) -> None:
        self._chains.start()
        self._poller.start()
        self._updates.start()

    async def stop(self) -> None:
        await self._updates.stop()
        await self._poller.stop()
        await self._chains.stop()
        self._transport.close()

    def stats(self) -> dict[str, JSON]:
        return {**self._poller.stats(), "chains": self._chains.stats(), "updates": self._updates.stats()}
