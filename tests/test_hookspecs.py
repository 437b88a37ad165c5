from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any, get_type_hints

import pluggy
import pytest

from unionws import doors, extensions, hookimpl, hookspecs, model, pluginservice
from unionws import settings as settings_module
from unionws.builtin import sources
from unionws.errors import SettingsError
from unionws.pluginhost import REGISTRIES, PluginHost
from unionws.pluginloading import HOOKS, Loader
from unionws.settings import Settings

SIGNATURES = {
    "register_settings": "() -> Sequence[Setting]",
    "startup": "(service: Service) -> None",
    "shutdown": "() -> None",
    "register_sources": "(settings: Settings) -> Sequence[Source]",
    "chains_listed": "(chains: Sequence[Chain]) -> None",
    "extend_transfers": "(transfers: Sequence[EnrichedTransfer]) -> Sequence[Mapping[str, JSON] | None]",
    "enriched": "(transfers: Sequence[EnrichedTransfer]) -> None",
    "urgent": "(transfers: Sequence[EnrichedTransfer]) -> Collection[str]",
    "register_statistics": "(settings: Settings) -> Sequence[Statistic]",
    "published": "(record: TransfersRecord) -> None",
    "register_filters": "(settings: Settings) -> Sequence[FilterField]",
    "register_messages": "(settings: Settings) -> Sequence[ServerMessage]",
    "register_requests": "(settings: Settings) -> Sequence[ClientRequest]",
    "authenticate": "(request: HttpRequest) -> Identity | Denied | None",
    "client_opened": "(client: int, address: str) -> None",
    "client_closed": "(client: int, address: str, code: int) -> None",
    "register_routes": "(settings: Settings) -> Sequence[Route]",
    "register_metrics": "(settings: Settings) -> Sequence[Metric]",
    "fault": "(kind: str, detail: Mapping[str, JSON]) -> None",
}


def test_the_hooks_their_order_and_their_types() -> None:
    """Plugin authors rely on these names, in flow order, with these arguments and answers."""
    found = {name: str(inspect.signature(getattr(hookspecs, name))).replace("'", "") for name in HOOKS}
    assert list(found.items()) == list(SIGNATURES.items())


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_is_typed_and_says_where_it_runs(name: str) -> None:
    """The reference is made of these docstrings."""
    function = getattr(hookspecs, name)
    modules = (model, extensions, doors, pluginservice, settings_module)
    namespace = {name: value for module in modules for name, value in vars(module).items()}
    hints: dict[str, Any] = get_type_hints(function, namespace)
    assert "return" in hints
    where = function.__doc__.partition("\n    Runs in: ")[2]
    assert where.startswith(("ingest", "edge", "both"))


def test_registries_are_the_register_hooks() -> None:
    """Every hook that answers objects has its type in the host."""
    assert list(REGISTRIES) == [name for name in HOOKS if name.startswith("register_")]


def test_every_hook_has_a_user_in_the_tree() -> None:
    """What nobody uses is not known to work: built-in and sample plugins implement each hook."""
    used: set[str] = set()
    for folder in ("unionws/builtin", "unionws/contrib", "plugins"):
        for path in (Path(__file__).parent.parent / folder).glob("*.py"):
            used |= set(re.findall(r"@hookimpl\n\s*def (\w+)\(", path.read_text("utf-8")))
    assert used == set(HOOKS)


def test_the_door_exports_what_plugins_need() -> None:
    """Everything named in unionws.__all__ exists."""
    import unionws

    assert all(hasattr(unionws, name) for name in unionws.__all__)


class Specs:
    """Two hooks of a later version: one is to go, and so is an argument of the other."""

    @staticmethod
    @pluggy.HookspecMarker("unionws")(
        warn_on_impl=DeprecationWarning("hook told is to go in 0.3; implement published")
    )
    def told(record: object) -> None: ...

    @staticmethod
    @pluggy.HookspecMarker("unionws")(
        warn_on_impl_args={"old": DeprecationWarning("argument old is to go in 0.3; take record")}
    )
    def published(record: object, old: object) -> None: ...


def test_what_is_to_go_is_named_with_its_replacement(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever implements a deprecated hook or takes a deprecated argument still works, and is told."""

    class Behind:
        @hookimpl
        def told(self, record: object) -> None: ...

        @hookimpl
        def published(self, old: object) -> None: ...

    class Ahead:
        @hookimpl
        def published(self, record: object) -> None: ...

    loader = Loader(Settings(PLUGINS_DIR=""), Specs)
    loader.load([("behind", Behind()), ("ahead", Ahead())])
    assert loader.problems == []
    assert loader.plugins["ahead"].deprecated == ()
    assert sorted(loader.plugins["behind"].deprecated) == [
        "argument old is to go in 0.3; take record",
        "hook told is to go in 0.3; implement published",
    ]
    assert {record.__dict__["fields"]["plugin"] for record in caplog.records} == {"behind"}


def test_a_source_that_nobody_has_is_named_with_those_there_are() -> None:
    """A misspelt SOURCE stops the start."""
    host = PluginHost(Settings(PLUGINS_DIR="", SOURCE="idnexer"))
    host.load([("sources", sources)])
    with pytest.raises(SettingsError, match=r"SOURCE is 'idnexer', but the sources are: indexer.*; did you"):
        host.source()
