"""Keeping one statistic from harming the others."""

from __future__ import annotations

from typing import Any

import pytest

from tests.stats.traffic import NOW
from unionws.extensions import Statistic
from unionws.stats.coverage import Coverage
from unionws.stats.guard import PLUGIN_BYTES, Guarded, encode


class Scripted:
    """Answers, or raises, what its script says, call by call."""

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.coverage: Coverage | None = None

    def observe(self, batch: object, now: float) -> None: ...

    def snapshot(self, now: float) -> Any:
        answer = self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Curious(Scripted):
    """Wants to know what is covered."""

    def use_coverage(self, coverage: Coverage) -> None:
        self.coverage = coverage


def guarded(*script: Any, name: str = "acme.scripted") -> Guarded:
    return Guarded(Statistic(name, Scripted(*script)), Coverage(NOW))


def test_a_success_in_between_starts_the_count_of_failures_over(caplog: pytest.LogCaptureFixture) -> None:
    """Only failures in a row switch off; all are counted and logged with a traceback."""
    error = RuntimeError("broken on purpose")
    statistic = guarded(*[error] * 4, {"a": 1}, *[error] * 5)
    answers = [statistic.snapshot(NOW) for _ in range(11)]
    assert answers == [None] * 4 + [{"a": 1}] + [None] * 6
    assert (statistic.failures, statistic.off) == (9, True)
    assert len(caplog.records) == 9
    assert "broken on purpose" in caplog.text


@pytest.mark.parametrize(("name", "refused"), [("acme.big", True), ("big", False)])
def test_a_plugins_figures_have_a_size_limit(
    name: str, refused: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Too large is a failure for a plugin; built-in ones are trimmed elsewhere."""
    statistic = guarded({"text": "x" * PLUGIN_BYTES}, name=name)
    assert (statistic.snapshot(NOW) is None) is refused
    assert bool(caplog.records) is refused


def test_coverage_is_handed_to_who_asks_for_it() -> None:
    """Having the method is asking."""
    curious, coverage = Curious(), Coverage(NOW)
    Guarded(Statistic("acme.curious", curious), coverage)
    assert curious.coverage is coverage


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), object(), b"bytes", {1, 2}])
def test_what_json_has_no_word_for_is_refused(value: Any) -> None:
    """At any depth."""
    with pytest.raises((TypeError, ValueError, OverflowError)):
        encode({"a": [{"b": value}]})


def test_json_is_compact_utf8() -> None:
    """No escapes that are not needed."""
    assert encode({"a/b": "µ", "n": 1.5}) == '{"a/b":"µ","n":1.5}'.encode()
