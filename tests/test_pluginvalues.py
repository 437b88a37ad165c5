from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from unionws import Chain, Denied, EnrichedTransfer, HttpRequest, Identity, Transfer, hookimpl
from unionws.enrich.transfers import with_fields
from unionws.pluginguard import FAILURES_IN_A_ROW
from unionws.pluginhost import REFUSED, PluginHost
from unionws.settings import Settings

ASKED = HttpRequest("/ws", {}, {}, "::1")


def transfer(key: str) -> EnrichedTransfer:
    row = Transfer(key, Chain("a.1"), Chain("b.2"))
    return EnrichedTransfer(row, 0.0, "a.1->b.2", "A", "B", False, "", "", Decimal(1), b'{"n":1}')


BATCH = [transfer("1"), transfer("2")]


class Answering:
    """A plugin whose hooks answer what the test says."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def _answer(self) -> Any:
        return self.answer() if callable(self.answer) else self.answer

    @hookimpl
    def extend_transfers(self) -> Any:
        return self._answer()

    @hookimpl
    def urgent(self) -> Any:
        return self._answer()

    @hookimpl
    def authenticate(self) -> Any:
        return self._answer()


def host(*answers: Any) -> PluginHost:
    made = PluginHost(Settings(PLUGINS_DIR=""))
    made.load([(f"p{number}", Answering(answer)) for number, answer in enumerate(answers)])
    return made


def test_fields_of_several_plugins_stand_side_by_side() -> None:
    """Under ext, by the plugin's name; transfers without any are left as they were."""
    fields = host([{"a": 1}, None], [{"b": "é"}, {}]).extra_fields(BATCH)
    first, second = with_fields(BATCH, fields)
    assert first.json.decode() == '{"n":1,"ext":{"p0":{"a":1},"p1":{"b":"é"}}}'
    assert second is BATCH[1]
    assert with_fields(BATCH, {}) is BATCH


@pytest.mark.parametrize(
    "answer",
    [None, [], [{}], 5, "ab", [1, 2], [{"x": float("nan")}, None], [{"x": "y" * 2000}, None], lambda: 1 / 0],
)
def test_garbage_adds_nothing_and_is_counted(answer: Any) -> None:
    """One plugin's nonsense does not touch what another adds."""
    made = host(answer, [None, {"ok": True}])
    assert made.extra_fields(BATCH) == {"p1": [None, b'{"ok":true}']}
    assert [plugin.failures for plugin in made.plugins()] == [1, 0]


def test_urgent_keys_of_all_plugins_count() -> None:
    """Nonsense is counted, the others' keys stay."""
    made = host(["1"], {"2"}, "abc", [5], None)
    assert made.urgent(BATCH) == {"1", "2"}
    assert [plugin.failures for plugin in made.plugins()] == [0, 0, 1, 1, 1]


def test_the_first_verdict_counts() -> None:
    """None leaves it to the next; nobody's verdict is None."""
    denied = Denied("forbidden", "not you")
    assert host(None, Identity("a"), denied).authenticate(ASKED) == Identity("a")
    assert host(None, denied, Identity("a")).authenticate(ASKED) == denied
    assert host(None).authenticate(ASKED) is None
    assert host().authenticates is False


@pytest.mark.parametrize("answer", [True, "yes", lambda: 1 / 0])
def test_a_broken_lock_stays_shut(answer: Any) -> None:
    """Who raises or talks nonsense refuses, also once it is switched off."""
    made = host(answer, Identity("a"))
    for _ in range(FAILURES_IN_A_ROW + 2):
        assert made.authenticate(ASKED) is REFUSED
    assert made.plugins()[0].state == "switched off"
