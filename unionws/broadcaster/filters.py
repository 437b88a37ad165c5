"""Canonical filters, and the index that makes a transfer cost what it matches.

A filter is a mapping field name → canonical value, kept as a sorted tuple: clients whose filters
mean the same share one Filter and one group. The fields themselves come from ``register_filters``.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from unionws.errors import RequestError
from unionws.extensions import FilterField
from unionws.model import JSON, Fragment

log = logging.getLogger("unionws.broadcaster")


@dataclass(frozen=True, slots=True)
class Filter:
    """A canonical filter: ``(field name, canonical value)``, sorted by name."""

    terms: tuple[tuple[str, Hashable], ...] = ()


MATCH_ALL = Filter()


class FilterFields:
    """The registered fields, and what can be done with filters made of them.

    A field of a plugin that raises matches nothing: the others' deliveries go on.

    Attributes:
        failures: how often a field raised, by its name.
        most_keys: values a filter may name in all; 0: any number.
    """

    def __init__(self, fields: Sequence[FilterField]) -> None:
        self._fields = {field.name: field for field in fields}
        self.failures: Counter[str] = Counter()
        self.most_keys = 0

    @property
    def names(self) -> list[str]:
        """What a filter may have."""
        return list(self._fields)

    def parse(self, value: object, base: Filter = MATCH_ALL) -> Filter:
        """Canonical filter of a client's object; fields not named keep the value of ``base``.

        Raises:
            RequestError: ``invalid_filter``, naming the field and what is allowed; ``too_many_keys``.
        """
        if not isinstance(value, Mapping):
            raise RequestError("invalid_filter", "a filter must be an object")
        self._bound(value.values())
        terms = dict(base.terms)
        for name, given in value.items():
            canonical = self._parse_field(name, given)
            if canonical is None:
                terms.pop(name, None)
            else:
                terms[name] = canonical
        self._bound(terms.values())
        return Filter(tuple(sorted(terms.items(), key=lambda term: term[0])))

    def _bound(self, values: Iterable[object]) -> None:
        keys = sum(_size(value) for value in values)
        if self.most_keys and keys > self.most_keys:
            raise RequestError(
                "too_many_keys", f"the filter names {keys} values; at most {self.most_keys} are allowed"
            )

    def _parse_field(self, name: str, given: object) -> Hashable | None:
        field = self._fields.get(name)
        if field is None:
            known = ", ".join(sorted(self._fields))
            raise RequestError("invalid_filter", f"unknown filter field {name[:60]!r}; allowed: {known}")
        if given is None:
            return None
        try:
            return field.parse(given)
        except ValueError as error:
            raise RequestError("invalid_filter", f"{name}: {error}") from None

    def dump(self, wanted: Filter) -> dict[str, JSON]:
        """The filter as JSON, for replies."""
        return {name: self._fields[name].dump(value) for name, value in wanted.terms}

    def matches(self, wanted: Filter, item: Fragment) -> bool:
        """Whether a transfer passes every term."""
        return all(self._term_matches(name, value, item) for name, value in wanted.terms)

    def _term_matches(self, name: str, value: Hashable, item: Fragment) -> bool:
        try:
            return self._fields[name].matches(value, item)
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            self._failed(name, error)
            return False

    def index_keys(self, wanted: Filter) -> list[tuple[str, Hashable]] | None:
        """Keys of which a matching transfer has at least one: those of the narrowest field.

        None when no field of the filter can be indexed.
        """
        best: list[tuple[str, Hashable]] | None = None
        for name, value in wanted.terms:
            field = self._fields[name]
            if field.keys is None:
                continue
            keys = [(name, key) for key in field.keys(value)]
            if best is None or len(keys) < len(best):
                best = keys
        return best

    def item_keys(self, name: str, item: Fragment) -> Iterable[Hashable]:
        """Every key of a transfer, of one indexable field."""
        field = self._fields[name]
        assert field.item_keys is not None
        try:
            return list(field.item_keys(item))
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            self._failed(name, error)
            return ()

    def _failed(self, name: str, error: Exception) -> None:
        """Once per field in the log: this runs per transfer."""
        self.failures[name] += 1
        if self.failures[name] == 1:
            log.error("filter field failed", exc_info=error, extra={"fields": {"filter": name}})


def _size(value: object) -> int:
    """How many values a field names."""
    return len(value) if isinstance(value, Collection) and not isinstance(value, str) else 1


class Filtered(Protocol):
    """What the index holds: something with a filter."""

    @property
    def filter(self) -> Filter: ...


T = TypeVar("T", bound=Filtered)


class FilterIndex(Generic[T]):
    """Finds the holders of filters a transfer passes, without trying the others."""

    def __init__(self, fields: FilterFields) -> None:
        self._fields = fields
        self._all: dict[T, None] = {}
        self._unindexed: dict[T, None] = {}
        self._by_field: dict[str, dict[Hashable, dict[T, None]]] = {}

    def add(self, holder: T) -> None:
        """Hold one more."""
        for place in self._places(holder):
            place[holder] = None

    def discard(self, holder: T) -> None:
        """Let one go."""
        keys = self._fields.index_keys(holder.filter) if holder.filter.terms else None
        for place in self._places(holder):
            place.pop(holder, None)
        for name, key in keys or ():
            by_key = self._by_field.get(name, {})
            if not by_key.get(key, True):
                del by_key[key]
            if name in self._by_field and not by_key:
                del self._by_field[name]  # its keys need not be looked for any more

    def _places(self, holder: T) -> Iterable[dict[T, None]]:
        if not holder.filter.terms:
            return [self._all]
        keys = self._fields.index_keys(holder.filter)
        if keys is None:
            return [self._unindexed]
        return [self._by_field.setdefault(name, {}).setdefault(key, {}) for name, key in keys]

    def match(self, items: Sequence[Fragment]) -> dict[T, list[int]]:
        """Holders with the indices of the items they want, in order; only those that want any."""
        found: dict[T, list[int]] = {holder: list(range(len(items))) for holder in self._all}
        for index, item in enumerate(items):
            for holder in self._candidates(item):
                if self._fields.matches(holder.filter, item):
                    found.setdefault(holder, []).append(index)
        return found

    def _candidates(self, item: Fragment) -> dict[T, Any]:
        candidates: dict[T, Any] = dict(self._unindexed)
        for name, by_key in self._by_field.items():
            for key in self._fields.item_keys(name, item):
                holders = by_key.get(key)
                if holders:
                    candidates.update(holders)
        return candidates
