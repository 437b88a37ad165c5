"""A statistic's state in named parts, so that only what changed is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, TypeVar

from unionws.model import JSON

T = TypeVar("T")

Parts: TypeAlias = dict[str, JSON]
"""Name → what :class:`unionws.extensions.Persistent` says a part may be."""


def under(name: str, parts: Mapping[str, T]) -> dict[str, T]:
    """The same parts with ``name/`` before their names."""
    return {f"{name}/{part}": value for part, value in parts.items()}


def below(name: str, parts: Mapping[str, T]) -> dict[str, T]:
    """The parts whose names begin with ``name/``, without that."""
    prefix = f"{name}/"
    return {part[len(prefix) :]: value for part, value in parts.items() if part.startswith(prefix)}
