from __future__ import annotations

import inspect
from typing import Any, get_type_hints

import pytest

from unionws import builtin, extensions, hookimpl, hookspecs, model
from unionws import settings as settings_module
from unionws.model import EnrichedTransfer, TransfersRecord
from unionws.pluginhost import REGISTRIES, PluginHost
from unionws.pluginloading import HOOKS
from unionws.settings import Settings

SIGNATURES = {
    "startup": {"settings": Settings},
    "shutdown": {},
    "enriched": {"transfers": "Sequence[EnrichedTransfer]"},
    "register_statistics": {"settings": Settings},
    "published": {"record": TransfersRecord},
    "register_filters": {"settings": Settings},
    "register_messages": {"settings": Settings},
    "register_requests": {"settings": Settings},
    "client_opened": {"client": int, "address": str},
    "client_closed": {"client": int, "address": str, "code": int},
}


def test_the_hooks_their_order_and_their_arguments() -> None:
    """Plugin authors rely on these names, in flow order, with these argument types."""
    assert tuple(SIGNATURES) == HOOKS
    for name, expected in SIGNATURES.items():
        parameters = inspect.signature(getattr(hookspecs, name)).parameters
        names = {key: getattr(value, "__name__", value) for key, value in expected.items()}
        assert {key: parameter.annotation for key, parameter in parameters.items()} == names


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_is_typed_and_says_where_it_runs(name: str) -> None:
    """The reference is made of these docstrings."""
    function = getattr(hookspecs, name)
    namespace = {**vars(model), **vars(extensions), **vars(settings_module)}
    hints: dict[str, Any] = get_type_hints(function, namespace)
    assert "return" in hints
    assert "\n    Runs in: " in (function.__doc__ or "")


def test_registries_are_the_register_hooks() -> None:
    """Every hook that answers objects has its type in the host."""
    assert list(REGISTRIES) == [name for name in HOOKS if name.startswith("register_")]


def test_one_plugin_can_implement_every_hook() -> None:
    """A plugin with all hooks loads, and each event reaches it with its arguments."""
    seen: list[tuple[str, dict[str, object]]] = []

    class Everything:
        @hookimpl
        def startup(self, settings: Settings) -> None:
            seen.append(("startup", {"settings": settings}))

        @hookimpl
        def shutdown(self) -> None:
            seen.append(("shutdown", {}))

        @hookimpl
        def enriched(self, transfers: list[EnrichedTransfer]) -> None:
            seen.append(("enriched", {"transfers": transfers}))

        @hookimpl
        def published(self, record: TransfersRecord) -> None:
            seen.append(("published", {"record": record}))

        @hookimpl
        def client_opened(self, client: int, address: str) -> None:
            seen.append(("client_opened", {"client": client, "address": address}))

        @hookimpl
        def client_closed(self, client: int, code: int) -> None:
            seen.append(("client_closed", {"client": client, "code": code}))

    for hook in REGISTRIES:
        setattr(Everything, hook, hookimpl(lambda self, settings: []))
    for hook in REGISTRIES:
        getattr(Everything, hook).__name__ = hook
    host = PluginHost(Settings(PLUGINS_DIR=""))
    host.load([("everything", Everything())])
    assert host.plugins()[0].hooks == HOOKS
    record = TransfersRecord("epoch", 0, "", False, 0, ())
    events: list[tuple[str, dict[str, object]]] = [
        ("startup", {"settings": Settings()}),
        ("enriched", {"transfers": []}),
        ("published", {"record": record}),
        ("client_opened", {"client": 1, "address": "::1"}),
        ("client_closed", {"client": 1, "address": "::1", "code": 1000}),
        ("shutdown", {}),
    ]
    for name, arguments in events:
        host.fire(name, **arguments)
    del events[4][1]["address"]  # this one did not ask for it
    assert seen == events


def test_the_door_exports_what_plugins_need() -> None:
    """Everything named in unionws.__all__ exists."""
    import unionws

    assert all(hasattr(unionws, name) for name in unionws.__all__)
    assert builtin.__name__ == "unionws.builtin"
