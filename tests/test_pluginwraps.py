from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any

import pytest

from unionws import (
    ClientRequest,
    FilterField,
    Fragment,
    HttpAnswer,
    HttpRequest,
    Metric,
    RequestError,
    Route,
    Statistic,
)
from unionws.broadcaster.filters import FilterFields, FilterIndex
from unionws.broadcaster.groups import GroupKey, Groups
from unionws.discovery import Candidate
from unionws.pluginguard import FAILURES_IN_A_ROW, Guard
from unionws.pluginloading import SWITCHED_OFF, Plugin
from unionws.pluginwraps import FAILED, OFF, wrapped

ITEM = Fragment("k", "a.1", "b.2", "0xa", "0xb", "u", "0x1", "1", False, 0, b"{}")
ASKED = HttpRequest("/ext/acme/x", {}, {}, "::1")


def bad(*_: Any) -> Any:
    raise KeyError("bad")


def plugin() -> Plugin:
    return Plugin(Candidate("acme", "a test", object))


def fields(by: Plugin, **functions: Any) -> FilterFields:
    """A filter field of a plugin, whose functions work but for those given."""
    given: dict[str, Any] = {
        "parse": str,
        "matches": lambda value, item: value == item.sender,
        "dump": str,
        "keys": lambda value: [value],
        "item_keys": lambda item: [item.sender],
    }
    return FilterFields([wrapped(FilterField("acme.f", **{**given, **functions}), by, Guard())])


class Member:
    group: Any = None


def matched(found: FilterFields, wanted: str = "0xa") -> int:
    """How many of two groups, one with the filter and one with none, get a transfer."""
    groups = Groups(found)
    for chosen in (found.parse({"acme.f": wanted}), found.parse({})):
        groups.join(Member(), GroupKey(frozenset({"transfers"}), "batch", False, chosen), 0)
    return len(groups.index.match([ITEM]))


def test_a_filter_of_a_plugin_works_as_it_would_alone() -> None:
    """It matches by value and by index, equal values are equal filters, and it is shown as given."""
    found = fields(plugin())
    assert (matched(found), matched(found, "0xc")) == (2, 1)
    assert found.parse({"acme.f": "x"}) == found.parse({"acme.f": "x"}) != found.parse({"acme.f": "y"})
    assert found.dump(found.parse({"acme.f": "x"})) == {"acme.f": "x"}
    assert found.index_keys(found.parse({"acme.f": "x"})) == [("acme.f", "x")]


@pytest.mark.parametrize("name", ["matches", "item_keys"])
def test_a_filter_that_fails_at_delivery_matches_nothing(name: str) -> None:
    """The other groups get their transfers; the plugin is named, counted and switched off."""
    by = plugin()
    found = fields(by, **{name: bad})
    for _ in range(FAILURES_IN_A_ROW):
        assert matched(found) == 1
    assert (by.state, by.failures) == (SWITCHED_OFF, FAILURES_IN_A_ROW)
    assert by.last_error == f"filter acme.f: {name}: KeyError: 'bad'"
    with pytest.raises(RequestError, match=r"acme.f: cannot be used: its plugin is switched off"):
        found.parse({"acme.f": "x"})


@pytest.mark.parametrize(
    "functions",
    [
        {"parse": bad},
        {"parse": lambda given: []},
        {"keys": bad},
        {"keys": lambda value: [[]]},
        {"keys": lambda value: 5},
    ],
)
def test_a_filter_that_cannot_be_parsed_is_refused_as_any_bad_filter(functions: dict[str, Any]) -> None:
    """The client is told; what raises, or gives what cannot be looked up, counts as a failure."""
    by = plugin()
    with pytest.raises(RequestError, match=r"acme.f: cannot be used: its plugin failed") as caught:
        fields(by, **functions).parse({"acme.f": "x"})
    assert (caught.value.code, by.failures) == ("invalid_filter", 1)


def test_a_client_s_bad_value_is_no_failure_of_the_plugin() -> None:
    """ValueError is how a field refuses a value."""

    def refuse(given: Any) -> Any:
        raise ValueError("must be a colour")

    by = plugin()
    for _ in range(10):
        with pytest.raises(RequestError, match=r"acme.f: must be a colour"):
            fields(by, parse=refuse).parse({"acme.f": "x"})
    assert by.failures == 0


def test_index_keys_that_change_leave_no_group_behind() -> None:
    """They are worked out once: a group that ends is out of the index wherever it was."""
    count = iter(range(100))
    found = fields(plugin(), keys=lambda value: [next(count)], item_keys=lambda item: range(100))
    index: FilterIndex[Any] = FilterIndex(found)
    holder = GroupKey(frozenset(), "batch", False, found.parse({"acme.f": "0xa"}))
    index.add(holder)
    assert index.match([ITEM]) == {holder: [0]}
    index.discard(holder)
    assert index.match([ITEM]) == {}


def test_a_filter_that_cannot_be_shown_is_shown_empty() -> None:
    """A reply is sent all the same."""
    found = fields(plugin(), dump=bad)
    assert found.dump(found.parse({"acme.f": "x"})) == {"acme.f": None}


class Counting:
    def __init__(self) -> None:
        self.seen = 0

    def observe(self, batch: Any, now: float) -> None:
        self.seen += len(batch)

    def snapshot(self, now: float) -> dict[str, int]:
        return {"seen": self.seen // (self.seen != 13)}

    def restore(self, seen: int) -> None:
        self.seen = seen


def test_a_statistic_is_counted_and_keeps_its_other_methods() -> None:
    """What it raises goes on to the collector; switched off, it is empty and counts no more."""
    by, guard = plugin(), Guard()
    observer: Any = wrapped(Statistic("acme.s", Counting()), by, guard).observer
    observer.observe([1, 2], 0.0)
    assert observer.snapshot(0.0) == {"seen": 2}
    observer.restore(13)
    for _ in range(FAILURES_IN_A_ROW):
        with pytest.raises(ZeroDivisionError):
            observer.snapshot(0.0)
    observer.observe([1], 0.0)
    assert (by.state, observer.snapshot(0.0)) == (SWITCHED_OFF, {})
    assert by.calls == 3 + FAILURES_IN_A_ROW


def test_a_request_that_fails_is_counted_and_switched_off() -> None:
    """A RequestError is an answer; anything else a failure; afterwards clients are told."""
    by, guard = plugin(), Guard()

    def handle(context: Any, message: Any) -> None:
        if message["data"]:
            raise RequestError("acme.no", "not so")
        bad()

    request = wrapped(ClientRequest("acme.r", "Help.", handle), by, guard)
    context: Any = None
    for _ in range(10):
        with pytest.raises(RequestError, match="not so"):
            request.handle(context, {"data": 1})
    for _ in range(FAILURES_IN_A_ROW):
        with pytest.raises(KeyError):
            request.handle(context, {"data": 0})
    with pytest.raises(RequestError, match="switched off") as caught:
        request.handle(context, {"data": 1})
    assert (caught.value.code, by.state) == ("internal_error", SWITCHED_OFF)


async def later(request: HttpRequest) -> Any:
    await asyncio.sleep(0)
    return bad() if request.query else {"ok": True}


@pytest.mark.parametrize("handle", [lambda request: bad() if request.query else {"ok": True}, later])
def test_a_route_that_fails_answers_500_then_503(handle: Callable[..., Any]) -> None:
    """Plain functions and coroutines alike."""
    by = plugin()
    route = wrapped(Route("/ext/acme/x", "Help.", handle), by, Guard())
    wrong = HttpRequest("/ext/acme/x", {"q": "1"}, {}, "::1")

    async def ask(request: HttpRequest) -> Any:
        answer = route.handle(request)
        return await answer  # type: ignore[misc]

    assert asyncio.run(ask(ASKED)) == HttpAnswer(b'{"ok":true}')
    for _ in range(FAILURES_IN_A_ROW):
        assert asyncio.run(ask(wrong)) is FAILED
    assert by.state == SWITCHED_OFF
    assert asyncio.run(ask(ASKED)) is OFF


@pytest.mark.parametrize(
    "answer",
    [object(), {"figure": math.nan}, HttpAnswer("text"), HttpAnswer(b"", "a\nb"), HttpAnswer(b"", status=99)],  # type: ignore[arg-type]
)
def test_a_route_that_answers_garbage_is_blamed(answer: Any) -> None:
    """The client gets a 500, the plugin a failure."""
    by = plugin()
    route = wrapped(Route("/ext/acme/x", "Help.", lambda request: answer), by, Guard())

    async def ask() -> Any:
        return await route.handle(ASKED)  # type: ignore[misc]

    assert asyncio.run(ask()) is FAILED
    assert (by.failures, by.last_error.partition(":")[0]) == (1, "route /ext/acme/x")


def test_what_a_coroutine_does_between_two_awaits_is_timed() -> None:
    """It holds up the stream as a plain function does, so it is slow in the same way."""
    by = plugin()

    async def dawdle(request: HttpRequest) -> Any:
        await asyncio.sleep(0)
        time.sleep(0.11)
        await asyncio.sleep(0.3)
        return []

    route = wrapped(Route("/ext/acme/x", "Help.", dawdle), by, Guard())

    async def ask() -> Any:
        return await route.handle(ASKED)  # type: ignore[misc]

    assert asyncio.run(ask()) == HttpAnswer(b"[]")
    assert by.slow == 1
    assert 0.11 <= by.slowest <= by.seconds < 0.4


def test_a_coroutine_may_be_given_up(caplog: pytest.LogCaptureFixture) -> None:
    """An answer nobody waits for any more is no failure, and the coroutine learns of it."""
    by, ended = plugin(), []

    async def wait(request: HttpRequest) -> Any:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    route = wrapped(Route("/ext/acme/x", "Help.", wait), by, Guard())

    async def ask() -> None:
        await asyncio.wait_for(route.handle(ASKED), 0.01)  # type: ignore[arg-type]

    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(ask())
    assert (by.failures, ended) == (0, [True])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (3, 3.0),
        (None, None),
        ({("a",): 1, (2,): 2.5}, {("a",): 1.0, ("2",): 2.5}),
        (math.nan, None),
        ("many", None),
        ({("a", "b"): 1}, None),
        ({(str(number),): 1 for number in range(1001)}, None),
    ],
)
def test_only_good_figures_get_out(answer: Any, expected: Any) -> None:
    """Nothing infinite, no odd labels, no flood of series; each of those is a failure."""
    by = plugin()
    metric = wrapped(Metric("acme_things", "Help.", "gauge", lambda: answer, ("kind",)), by, Guard())
    assert metric.read() == expected
    assert by.failures == (expected is None and answer is not None)


def test_what_has_no_function_is_left_as_it_is() -> None:
    """Only kinds with something to guard are wrapped."""
    thing = object()
    assert wrapped(thing, plugin(), Guard()) is thing
