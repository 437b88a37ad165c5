"""The Union indexer as a feed: one line to it, polled for transfers and, now and then, for chains."""

from __future__ import annotations

from collections.abc import Collection

from unionws.extensions import Intake
from unionws.model import JSON
from unionws.source.chains import ChainRefresher
from unionws.source.poller import Poller
from unionws.source.transport import Transport


class Indexer:
    """A :class:`unionws.Feed` of what the indexer has."""

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

    @property
    def position(self) -> str | None:
        return self._poller.position

    @property
    def seen(self) -> Collection[str]:
        return self._poller.seen

    def start(self) -> None:
        self._chains.start()
        self._poller.start()

    async def stop(self) -> None:
        await self._poller.stop()
        await self._chains.stop()
        self._transport.close()

    def stats(self) -> dict[str, JSON]:
        return {**self._poller.stats(), "chains": self._chains.stats()}
