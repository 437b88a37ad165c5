"""Transfers for tests, and an upstream that brings them when a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from unionws.clock import milliseconds
from unionws.extensions import Intake, Source
from unionws.hookspecs import hookimpl
from unionws.model import JSON, Chain, Transfer
from unionws.pluginservice import Service

SCRIPT = "testing.script"
"""Name of the source that brings what the test sends."""

PATIENCE = 10.0
"""Seconds to wait for what must come."""


def chain(universal_chain_id: str, **fields: Any) -> Chain:
    """A chain; whatever is not given is made up."""
    return Chain(universal_chain_id, **{"display_name": universal_chain_id.title(), **fields})


def transfer(
    source: str = "union.union-1", destination: str = "ethereum.1", *, amount: str = "1", **fields: Any
) -> Transfer:
    """A transfer sent now.

    Args:
        source, destination: universal chain ids.
        amount: in units of a token with 6 decimals.
        fields: any other field of :class:`unionws.Transfer`. Without a ``sort_order`` it gets the
            next when it is sent.
    """
    whole, _, part = amount.partition(".")
    known: dict[str, Any] = {
        "sort_order": "",
        "source_chain": chain(source),
        "destination_chain": chain(destination),
        "sender_canonical": "0x" + "aa" * 20,
        "receiver_canonical": "0x" + "bb" * 20,
        "base_token": "0x01",
        "base_token_symbol": "U",
        "base_token_decimals": 6,
        "base_amount": str(int(whole + part.ljust(6, "0"))),
    }
    return Transfer(**{**known, **fields})


class Upstream:
    """A source that brings what the test sends; also the feed of it.

    Attributes:
        begun: the service is up: this feed was started or, where SOURCE says another, all plugins.
    """

    def __init__(self) -> None:
        self._intake: Intake | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._count = 0
        self._state = "ok"
        self.begun = False
        self.position: str | None = None
        self.seen: Collection[str] = ()

    @hookimpl
    def register_sources(self) -> Sequence[Source]:
        return [Source(SCRIPT, "What the test sends.", self._open)]

    @hookimpl
    def startup(self, service: Service) -> None:
        self.begun = service.settings.SOURCE != SCRIPT

    def _open(self, intake: Intake) -> Upstream:
        self._intake = intake
        return self

    def start(self) -> None:
        """The service calls this."""
        self._loop = asyncio.get_running_loop()
        self.begun = True

    async def stop(self) -> None:
        """The service calls this."""
        self._loop = None

    def stats(self) -> Mapping[str, JSON]:
        """The service calls this."""
        assert self._intake is not None
        now = milliseconds(self._intake.clock.time())
        return {"state": self._state, "lastSuccess": now if self._state == "ok" else None}

    def send(self, *transfers: Transfer) -> None:
        """Bring transfers, as one poll does."""
        self._do(lambda intake: intake.on_transfers([self._numbered(intake, each) for each in transfers]))

    def list_chains(self, *chains: Chain) -> None:
        """Bring a chain list."""
        self._do(lambda intake: intake.on_chains(chains))

    def fail(self, state: str = "down") -> None:
        """Be ``stale`` or ``down`` from now on, or ``ok`` again."""
        self._state = state

    def _numbered(self, intake: Intake, given: Transfer) -> Transfer:
        self._count += 1
        fields = {name: getattr(given, name) for name in given.__dataclass_fields__}
        fields["sort_order"] = given.sort_order or f"{self._count:012d}"
        if given.send_time is None:
            fields["send_time"] = intake.clock.time()
        return Transfer(**fields)

    def _do(self, action: Callable[[Intake], object]) -> None:
        """On the service's loop, and not before it is done."""
        intake, loop = self._intake, self._loop
        if intake is None or loop is None:
            raise RuntimeError("the server does not run")

        async def act() -> None:
            action(intake)

        asyncio.run_coroutine_threadsafe(act(), loop).result(PATIENCE)
