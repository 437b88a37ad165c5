"""One plugin with every hook, through a whole run of the service."""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Iterable
from itertools import groupby
from typing import Any

import pytest

from unionws import (
    Chain,
    ClientRequest,
    EnrichedTransfer,
    Feed,
    FilterField,
    Fragment,
    HttpRequest,
    Identity,
    Intake,
    Metric,
    RequestContext,
    Route,
    ServerMessage,
    Service,
    Setting,
    Source,
    Statistic,
    TransfersRecord,
    hookimpl,
    hookspecs,
)
from unionws.pluginloading import HOOKS
from unionws.settings import Settings
from unionws.testing import chain, running_server, transfer

RUN = """
register_settings()
register_messages(settings=Settings)
startup(service=Service)
register_routes(settings=Settings)
register_filters(settings=Settings)
register_requests(settings=Settings)
register_sources(settings=Settings)
register_statistics(settings=Settings)
register_metrics(settings=Settings)
authenticate(request=HttpRequest)
client_opened(client=int, address=str)
parse(given=str)
keys(value=str)
chains_listed(chains=tuple of Chain)
extend_transfers(transfers=list of EnrichedTransfer)
enriched(transfers=list of EnrichedTransfer)
urgent(transfers=list of EnrichedTransfer)
observe(batch=tuple of EnrichedTransfer)
item_keys(item=Fragment)
matches(value=str, item=Fragment)
published(record=TransfersRecord)
request(context=RequestContext, message=dict)
route(request=HttpRequest)
fault(kind=str, detail=dict)
client_closed(client=int, address=str, code=int)
shutdown()
"""
"""What happens, in order, with the types of the arguments."""


class Everything:
    """Implements every hook and writes down each call; what is asked again and again only once."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def _note(self, name: str, **given: object) -> None:
        words = ", ".join(f"{key}={described(value)}" for key, value in given.items())
        self.calls.append(f"{name}({words})")

    @hookimpl
    def register_settings(self) -> list[Setting]:
        self._note("register_settings")
        return [Setting("ACME_WORD", "x", "Help.")]

    @hookimpl
    def startup(self, service: Service) -> None:
        self._note("startup", service=service)

    @hookimpl
    def shutdown(self) -> None:
        self._note("shutdown")

    @hookimpl
    def register_sources(self, settings: Settings) -> list[Source]:
        self._note("register_sources", settings=settings)
        return [Source("acme.none", "Help.", _no_feed)]

    @hookimpl
    def chains_listed(self, chains: Any) -> None:
        self._note("chains_listed", chains=chains)

    @hookimpl
    def extend_transfers(self, transfers: Any) -> Any:
        self._note("extend_transfers", transfers=transfers)
        return [{"word": "x"} for _ in transfers]

    @hookimpl
    def enriched(self, transfers: Any) -> None:
        self._note("enriched", transfers=transfers)

    @hookimpl
    def urgent(self, transfers: Any) -> Any:
        self._note("urgent", transfers=transfers)
        return {item.transfer.sort_order for item in transfers}

    @hookimpl
    def register_statistics(self, settings: Settings) -> list[Statistic]:
        self._note("register_statistics", settings=settings)
        return [Statistic("acme.seen", self)]

    def observe(self, batch: Any, now: float) -> None:
        self._note("observe", batch=batch)

    def snapshot(self, now: float) -> dict[str, Any]:
        return {"calls": len(self.calls)}

    @hookimpl
    def published(self, record: TransfersRecord) -> None:
        self._note("published", record=record)

    @hookimpl
    def register_filters(self, settings: Settings) -> list[FilterField]:
        self._note("register_filters", settings=settings)
        return [FilterField("acme.f", self._parse, self._matches, str, self._keys, self._item_keys)]

    def _parse(self, given: Any) -> str:
        self._note("parse", given=given)
        return str(given)

    def _keys(self, value: str) -> list[str]:
        self._note("keys", value=value)
        return [value]

    def _item_keys(self, item: Fragment) -> list[str]:
        self._note("item_keys", item=item)
        return [item.symbol]

    def _matches(self, value: str, item: Fragment) -> bool:
        self._note("matches", value=value, item=item)
        return True

    @hookimpl
    def register_messages(self, settings: Settings) -> list[ServerMessage]:
        self._note("register_messages", settings=settings)
        return [ServerMessage("acme.told", "Help.", "acme.channel")]

    @hookimpl
    def register_requests(self, settings: Settings) -> list[ClientRequest]:
        self._note("register_requests", settings=settings)
        return [ClientRequest("acme.ask", "Help.", self._request)]

    def _request(self, context: RequestContext, message: Any) -> None:
        self.calls.append(f"request(context=RequestContext, message={type(message).__name__})")
        context.reply("acme.told", {"channels": list(context.channels)})

    @hookimpl
    def authenticate(self, request: HttpRequest) -> Identity:
        self._note("authenticate", request=request)
        return Identity("someone")

    @hookimpl
    def client_opened(self, client: int, address: str) -> None:
        self._note("client_opened", client=client, address=address)

    @hookimpl
    def client_closed(self, client: int, address: str, code: int) -> None:
        self._note("client_closed", client=client, address=address, code=code)

    @hookimpl
    def register_routes(self, settings: Settings) -> list[Route]:
        self._note("register_routes", settings=settings)
        return [Route("/ext/acme/all", "Help.", self._route)]

    def _route(self, request: HttpRequest) -> Any:
        self._note("route", request=request)
        return {"word": request.query["word"]}

    @hookimpl
    def register_metrics(self, settings: Settings) -> list[Metric]:
        self._note("register_metrics", settings=settings)
        return [Metric("acme_calls", "Help.", "gauge", lambda: len(self.calls))]

    @hookimpl
    def fault(self, kind: str, detail: Any) -> None:
        self._note("fault", kind=kind, detail=detail)


def _no_feed(intake: Intake) -> Feed:
    raise AssertionError("SOURCE does not choose it")


def described(value: object) -> str:
    """The type of a value; of lists and tuples also that of what is in them."""
    kind = type(value).__name__
    if isinstance(value, (list, tuple)):
        (inside,) = {type(item).__name__ for item in value}
        return f"{kind} of {inside}"
    return kind


def in_order(calls: Iterable[str]) -> list[str]:
    """Calls without immediate repetitions."""
    return [call for call, _ in groupby(calls)]


def wait_for(everything: Everything, call: str) -> None:
    """Until a call was made; ten seconds at most."""
    for _ in range(1000):
        if call in everything.calls:
            return
        time.sleep(0.01)
    raise AssertionError(f"{call} was not called")


def test_every_hook_in_order_with_its_types_over_a_full_run() -> None:
    """What plugin authors rely on: which hook comes when, and what it is given."""
    everything = Everything()
    with running_server([everything], {"CHART_INTERVAL": 60.0}) as server:
        with server.client("transfers", "acme.channel") as client:
            client.send("setFilter", {"channel": "transfers", "filter": {"acme.f": "u"}})
            client.receive("filterSet")
            server.upstream.list_chains(chain("a.1"), chain("b.2"))
            server.upstream.send(transfer())
            assert client.receive("transfers")["data"][0]["ext"] == {"Everything": {"word": "x"}}
            client.send("acme.ask")
            assert client.receive("acme.told")["data"] == {"channels": ["acme.channel", "transfers"]}
            assert server.get("/ext/acme/all?word=y") == {"word": "y"}
            server.upstream.fail()
            wait_for(everything, "fault(kind=str, detail=dict)")
        wait_for(everything, "client_closed(client=int, address=str, code=int)")
    assert server.plugin("Everything").failures == 0
    assert in_order(everything.calls) == RUN.split("\n")[1:-1]
    assert {re.match(r"\w+", call).group() for call in everything.calls} >= set(HOOKS)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", HOOKS)
def test_every_argument_of_every_hook_is_pinned(name: str) -> None:
    """The plugin takes all that a hook gives, and the run shows it."""
    given = list(inspect.signature(getattr(hookspecs, name)).parameters)
    assert list(inspect.signature(getattr(Everything, name)).parameters)[1:] == given
    call = re.search(rf"^{name}\((.*)\)$", RUN, re.M)
    assert call is not None
    assert re.findall(r"(\w+)=", call[1]) == given


def test_types_are_what_plugins_import() -> None:
    """The names of the run are those of the door."""
    for kind in (Chain, EnrichedTransfer, Fragment, HttpRequest, Service, TransfersRecord):
        assert kind.__name__ in RUN
