"""What third parties registered, wrapped so that each of its functions is guarded.

Built-in objects are left as they are: the stream's own path pays nothing for guarding.
"""

from __future__ import annotations

import inspect
import math
from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from unionws.doors import HttpAnswer, HttpRequest, Route
from unionws.errors import RequestError
from unionws.extensions import ClientRequest, FilterField, Metric, Observer, RequestContext, Statistic
from unionws.model import JSON, EnrichedTransfer, Fragment
from unionws.pluginguard import Guard, Place
from unionws.pluginloading import ACTIVE, Plugin
from unionws.pluginvalues import checked_answer

MAX_KEYS = 1_000
"""Index keys of one filter or one transfer."""
MAX_SERIES = 1_000
"""Label values of one metric."""
OFF = HttpAnswer(b'{"error":"this plugin is switched off","status":503}', status=503)
FAILED = HttpAnswer(b'{"error":"this plugin failed","status":500}', status=500)

T = TypeVar("T")


def wrapped(item: T, plugin: Plugin, guard: Guard) -> T:
    """The item with guarded functions, where its kind has any."""
    wrap = _WRAPS.get(type(item))
    made: T = item if wrap is None else wrap(item, plugin, guard)
    return made


# --------------------------------------------------------------------------------------- filters


@dataclass(frozen=True, slots=True)
class Canonical:
    """A canonical value with its index keys: worked out once, so that they never differ later."""

    value: Hashable
    keys: tuple[Hashable, ...] = field(compare=False)


def _filter(item: FilterField, plugin: Plugin, guard: Guard) -> FilterField:
    def place(function: str) -> Place:
        return Place(plugin, f"filter {item.name}: {function}")

    item_keys = None if item.item_keys is None else _item_keys(item, place("item_keys"), guard)
    return replace(
        item,
        parse=_parse(item, plugin, place("parse"), guard),
        matches=_matches(item, place("matches"), guard),
        dump=_dump(item, place("dump"), guard),
        keys=None if item.keys is None else lambda value: value.keys,
        item_keys=item_keys,
    )


def _parse(item: FilterField, plugin: Plugin, place: Place, guard: Guard) -> Callable[[Any], Hashable | None]:
    def canonical(given: Any) -> Canonical | None:
        value = item.parse(given)
        if value is None:
            return None
        keys = () if item.keys is None else tuple(islice(item.keys(value), MAX_KEYS))
        hash((value, keys))
        return Canonical(value, keys)

    def parse(given: Any) -> Canonical | None:
        if plugin.state != ACTIVE:
            raise ValueError("cannot be used: its plugin is switched off")
        try:
            found: Canonical | None = guard.attempt(place, canonical, given, refusals=(ValueError,))
        except ValueError:
            raise
        except Exception as error:
            raise ValueError("cannot be used: its plugin failed") from error
        return found

    return parse


def _matches(item: FilterField, place: Place, guard: Guard) -> Callable[[Any, Fragment], bool]:
    def truth(value: Hashable, transfer: Fragment) -> bool:
        return bool(item.matches(value, transfer))

    def matches(value: Canonical, transfer: Fragment) -> bool:
        return guard.run(place, truth, value.value, transfer, default=False) is True

    return matches


def _dump(item: FilterField, place: Place, guard: Guard) -> Callable[[Any], JSON]:
    return lambda value: guard.run(place, item.dump, value.value)


def _item_keys(item: FilterField, place: Place, guard: Guard) -> Callable[[Fragment], tuple[Hashable, ...]]:
    def listed(transfer: Fragment) -> tuple[Hashable, ...]:
        assert item.item_keys is not None
        keys = tuple(islice(item.item_keys(transfer), MAX_KEYS))
        hash(keys)
        return keys

    def item_keys(transfer: Fragment) -> tuple[Hashable, ...]:
        keys: tuple[Hashable, ...] = guard.run(place, listed, transfer, default=())
        return keys

    return item_keys


# ------------------------------------------------------------------------------------ statistics


class _Watched:
    """An observer whose calls are counted and timed; what it raises goes on to the collector.

    Statistics may have more methods than the two: those that keep state are guarded as well.
    """

    def __init__(self, name: str, observer: Observer, plugin: Plugin, guard: Guard) -> None:
        self._observer, self._plugin, self._guard = observer, plugin, guard
        self._observed = Place(plugin, f"statistic {name}: observe")
        self._snapped = Place(plugin, f"statistic {name}: snapshot")
        for method in dir(observer):
            if not method.startswith("_") and method not in ("observe", "snapshot"):
                setattr(self, method, self._other(name, method))

    def _other(self, name: str, method: str) -> Any:
        found = getattr(self._observer, method)
        if method not in ("state", "restore"):
            return found
        place = Place(self._plugin, f"statistic {name}: {method}")
        return lambda *args, **named: self._guard.attempt(place, partial(found, *args, **named))

    def observe(self, batch: Sequence[EnrichedTransfer], now: float) -> None:
        if self._plugin.state == ACTIVE:
            self._guard.attempt(self._observed, self._observer.observe, batch, now)

    def snapshot(self, now: float) -> Mapping[str, JSON]:
        """Empty while the plugin is switched off."""
        if self._plugin.state != ACTIVE:
            return {}
        figures: Mapping[str, JSON] = self._guard.attempt(self._snapped, self._observer.snapshot, now)
        return figures


def _statistic(item: Statistic, plugin: Plugin, guard: Guard) -> Statistic:
    return replace(item, observer=_Watched(item.name, item.observer, plugin, guard))


# -------------------------------------------------------------------------------------- requests


def _request(item: ClientRequest, plugin: Plugin, guard: Guard) -> ClientRequest:
    place = Place(plugin, f"request {item.type}")

    def handle(context: RequestContext, message: Mapping[str, JSON]) -> None:
        if plugin.state != ACTIVE:
            raise RequestError("internal_error", "this request is switched off: its plugin failed repeatedly")
        guard.attempt(place, item.handle, context, message, refusals=(RequestError,))

    return replace(item, handle=handle)


# ---------------------------------------------------------------------------- routes and metrics


class _Stepwise:
    """Something awaitable whose every step is a guarded call: what blocks between two awaits is blamed."""

    def __init__(self, awaitable: Awaitable[Any], place: Place, guard: Guard) -> None:
        self._steps: Any = awaitable.__await__()
        self._place, self._guard = place, guard

    def __await__(self) -> _Stepwise:
        return self

    def __iter__(self) -> _Stepwise:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        return self._step(next, self._steps) if value is None else self._step(self._steps.send, value)

    def throw(self, *error: Any) -> Any:
        return self._step(self._steps.throw, *error)

    def close(self) -> None:
        self._steps.close()

    def _step(self, function: Callable[..., Any], *args: Any) -> Any:
        place, failures = self._place, self._place.failures_in_a_row
        given = self._guard.attempt(place, function, *args, refusals=(StopIteration, CancelledError))
        # only the last step, which does not come here, tells that all went well
        place.failures_in_a_row = max(place.failures_in_a_row, failures)
        return given


def _route(item: Route, plugin: Plugin, guard: Guard) -> Route:
    place, awaited, checked = (Place(plugin, f"route {item.path}") for _ in range(3))

    async def handle(request: HttpRequest) -> HttpAnswer:
        if plugin.state != ACTIVE:
            return OFF
        try:
            answer = guard.attempt(place, item.handle, request)
            if inspect.isawaitable(answer):
                answer = await _Stepwise(answer, awaited, guard)
            sound: HttpAnswer = guard.attempt(checked, checked_answer, answer)
        except Exception:  # noqa: BLE001 - a plugin may raise anything; it was counted
            return FAILED
        return sound

    return replace(item, handle=handle)


def _metric(item: Metric, plugin: Plugin, guard: Guard) -> Metric:
    place = Place(plugin, f"metric {item.name}")
    return replace(item, read=lambda: guard.run(place, figures, item))


def figures(item: Metric) -> float | dict[tuple[str, ...], float] | None:
    """What a metric reads, checked: finite numbers, with as many label values as it has labels."""
    found = item.read()
    if found is None:
        return None
    if not isinstance(found, Mapping):
        return _finite(found)
    series = {tuple(map(str, labels)): _finite(value) for labels, value in found.items()}
    if len(series) > MAX_SERIES:
        raise ValueError(f"metric {item.name} has {len(series)} series, more than {MAX_SERIES}")
    if any(len(labels) != len(item.labels) for labels in series):
        raise ValueError(f"metric {item.name} has the labels {item.labels}, but a series has others")
    return series


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a finite number")
    return number


_WRAPS: Mapping[type, Callable[[Any, Plugin, Guard], Any]] = {
    FilterField: _filter,
    Statistic: _statistic,
    ClientRequest: _request,
    Route: _route,
    Metric: _metric,
}
