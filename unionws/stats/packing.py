"""Count, known count and volume in one integer, so that one addition adds all three, exactly.

::

    bits   0–39   transfers
    bits  40–79   transfers whose amount is known
    bits  80–     volume in 10⁻³⁶ display units

Sums and differences of packed figures are the packed sums and differences, as long as no field
is negative; 2⁴⁰ transfers is a thousand a second for 34 years.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from decimal import ROUND_DOWN, Context, Decimal
from typing import TypeVar

K = TypeVar("K", bound=Hashable)

SCALE = 10**36
_FIELD = 40
_MASK = (1 << _FIELD) - 1
_WIDE = Context(prec=200, rounding=ROUND_DOWN)
_LIMIT = Decimal(10) ** 60

ONE = 1
"""One transfer of unknown amount."""


def scaled(amount: Decimal | None) -> int | None:
    """An amount in 10⁻³⁶ display units (finer digits are cut), or None when it cannot be summed.

    That is when it is unknown, negative, not a number, or 10⁶⁰ and more (no token has that many;
    a float could not hold many of them).
    """
    if amount is None or not amount.is_finite() or not 0 <= amount < _LIMIT:
        return None
    return int(_WIDE.scaleb(amount, 36))


def pack(volume: int | None) -> int:
    """One transfer with this volume (as ``scaled`` gives it)."""
    if volume is None:
        return ONE
    return (volume << 2 * _FIELD) | (1 << _FIELD) | 1


def pair(transfers: int, units: int) -> int:
    """A count and a volume that need not belong together, as one figure."""
    return (units << 2 * _FIELD) | transfers


def count(packed: int) -> int:
    """Transfers."""
    return packed & _MASK


def counts(table: Mapping[K, int], keys: Iterable[K] | None = None) -> dict[K, int]:
    """Transfers of each figure of a table, or of those with these keys."""
    if keys is None:
        return {key: packed & _MASK for key, packed in table.items()}
    return {key: table[key] & _MASK for key in keys}


def known(packed: int) -> int:
    """Transfers whose amount is known."""
    return packed >> _FIELD & _MASK


def volume(packed: int) -> int:
    """Volume in 10⁻³⁶ display units."""
    return packed >> 2 * _FIELD


def display(units: int) -> float:
    """10⁻³⁶ units as display units: the float nearest to the exact sum."""
    return units / SCALE


def average(packed: int) -> float:
    """Mean known amount in display units; 0 when none is known."""
    amounts = known(packed)
    return volume(packed) / (SCALE * amounts) if amounts else 0.0
