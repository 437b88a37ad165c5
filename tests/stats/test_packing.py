"""Count, known count and volume in one integer."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unionws.stats.packing import ONE, average, count, display, known, pack, scaled, volume

amounts = st.decimals(0, 10**30, allow_nan=False, places=18)


@given(st.lists(st.none() | amounts, max_size=30), st.integers(0, 30))
def test_sums_and_differences_are_exact(values: list[Decimal | None], cut: int) -> None:
    """Packed figures add and subtract like the three figures they hold."""
    packed = [pack(scaled(value)) for value in values]
    rest = sum(packed) - sum(packed[:cut])
    left = [Fraction(value) for value in values[cut:] if value is not None]
    assert (count(rest), known(rest)) == (len(values[cut:]), len(left))
    assert display(volume(rest)) == float(sum(left))
    assert average(rest) == (float(sum(left) / len(left)) if left else 0.0)


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-1", "1E+60", "sNaN"])
def test_amounts_that_cannot_be_summed_are_unknown(amount: str) -> None:
    """They count as a transfer without volume."""
    assert scaled(Decimal(amount)) is None
    assert pack(scaled(Decimal(amount))) == ONE


def test_finest_digits_are_cut_and_all_others_kept() -> None:
    """10⁻³⁶ is the last digit; 60 digits before the point fit."""
    assert scaled(Decimal("1E-36")) == 1
    assert scaled(Decimal("1.9E-36")) == 1
    assert scaled(Decimal("9" * 60 + "." + "9" * 36)) == int("9" * 96)
