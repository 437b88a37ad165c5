from __future__ import annotations

from typing import Any

import pytest

from unionws.extensions import ClientRequest, FilterField, ServerMessage, Statistic


class Count:
    def observe(self, batch: Any, now: float) -> None: ...
    def snapshot(self, now: float) -> dict[str, int]:
        return {}


def field(**changes: Any) -> FilterField:
    given: dict[str, Any] = {
        "name": "acme.f",
        "parse": str,
        "matches": lambda value, fragment: True,
        "dump": str,
    }
    return FilterField(**{**given, **changes})


@pytest.mark.parametrize("name", ["counts", "acme.counts", "a1_b.c2"])
def test_good_names(name: str) -> None:
    """A name is one word, or vendor.word."""
    assert Statistic(name, Count()).name == name


@pytest.mark.parametrize("name", ["", "1a", "a b", "a.b.c", ".a", "a.", "x" * 41, None, "é"])
def test_bad_names_are_refused(name: Any) -> None:
    """The same rule holds for statistics, filters, messages, channels and requests."""
    makers = [
        lambda: Statistic(name, Count()),
        lambda: field(name=name),
        lambda: ServerMessage(name, "Help."),
        lambda: ClientRequest(name, "Help.", lambda context, message: None),
    ]
    if name is not None:
        makers.append(lambda: ServerMessage("acme.ok", "Help.", channel=name))
    for make in makers:
        with pytest.raises(ValueError, match="is not valid"):
            make()


def test_a_statistic_needs_both_methods() -> None:
    """An observer that cannot be asked is refused when it is declared, not when it is used."""
    with pytest.raises(ValueError, match=r"no method observe\(\)"):
        Statistic("acme.s", object())  # type: ignore[arg-type]


def test_a_filter_needs_its_functions_and_both_keys_or_none() -> None:
    """Half an index would silently lose transfers."""
    for name in ("parse", "matches", "dump"):
        with pytest.raises(ValueError, match=f"{name} must be callable"):
            field(**{name: None})
    for name in ("keys", "item_keys"):
        with pytest.raises(ValueError, match="both keys and item_keys"):
            field(**{name: lambda value: []})
    assert field(keys=lambda value: [], item_keys=lambda fragment: []).keys is not None


def test_messages_and_requests_need_a_help_text() -> None:
    """The published reference is made of it."""
    with pytest.raises(ValueError, match="help is empty"):
        ServerMessage("acme.m", "")
    with pytest.raises(ValueError, match="help is empty"):
        ClientRequest("acme.r", "", lambda context, message: None)
    with pytest.raises(ValueError, match="handle must be callable"):
        ClientRequest("acme.r", "Help.", None)  # type: ignore[arg-type]
