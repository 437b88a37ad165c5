from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from unionws import ClientRequest, FilterField, Fragment
from unionws.pluginhost import PluginHost
from unionws.settings import Settings

PLUGINS = Path(__file__).parents[2] / "plugins"


def host() -> PluginHost:
    others = tuple(path.stem for path in PLUGINS.glob("*.py") if path.stem != "own_wallet")
    loaded = PluginHost(Settings(PLUGINS_DIR=str(PLUGINS), DISABLED_PLUGINS=others))
    loaded.load([])
    return loaded


def item(sender: str, receiver: str) -> Fragment:
    return Fragment("k", "a", "b", sender, receiver, "", "", "", False, 0, b"{}")


class Context:
    """A client's context that remembers what was asked of it."""

    def __init__(self) -> None:
        self.filter: Mapping[str, Any] = {}
        self.replies: list[tuple[str, Any]] = []

    def set_filter(self, fields: Mapping[str, Any], *, replace: bool) -> None:
        self.filter = dict(fields) if replace else {**self.filter, **fields}

    def reply(self, type: str, data: Any = None, **envelope: Any) -> None:
        self.replies.append((type, data))


def test_transfers_to_the_own_address_can_be_kept_or_left_out() -> None:
    """true passes equal addresses, false all others; an unknown sender is nobody's own."""
    (field,) = host().collect("register_filters", FilterField)
    own, other, unknown = item("0xa", "0xa"), item("0xa", "0xb"), item("", "")
    for wanted, passing in [(True, [own]), (False, [other, unknown])]:
        value = field.parse(wanted)
        assert [each for each in (own, other, unknown) if field.matches(value, each)] == passing
        assert field.dump(value) is wanted


def test_anything_but_true_and_false_is_refused() -> None:
    """A number is no yes or no."""
    (field,) = host().collect("register_filters", FilterField)
    for value in (1, "true", [], {}):
        with pytest.raises(ValueError, match="must be true, false or null"):
            field.parse(value)


def test_the_request_changes_only_this_field_and_answers_the_whole_filter() -> None:
    """The client learns the filter that is now in force."""
    (request,) = host().collect("register_requests", ClientRequest)
    context = Context()
    context.filter = {"network": "mainnet"}
    request.handle(context, {"type": request.type, "data": False})
    expected = {"network": "mainnet", "samples.ownWallet": False}
    assert context.replies == [("filterSet", {"filter": expected})]
