from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unionws.enrich.amounts import display_amount, exact


@pytest.mark.parametrize(
    ("base", "decimals", "shown"),
    [
        ("1500000", 6, "1.5"),
        ("1000000000", 6, "1000"),
        ("1", 6, "0.000001"),
        ("0", 18, "0"),
        ("000", 2, "0"),
        ("007", 0, "7"),
        ("120", 1, "12"),
        ("100", 3, "0.1"),
        (
            str(2**256 - 1),
            18,
            "115792089237316195423570985008687907853269984665640564039457.584007913129639935",
        ),
        (str(2**256 - 1), 0, str(2**256 - 1)),
        ("1", 255, "0." + "0" * 254 + "1"),
    ],
)
def test_amounts_are_exact(base: str, decimals: int, shown: str) -> None:
    """Digits are only moved: no exponent, no rounding, no trailing zeros."""
    assert display_amount(base, decimals) == shown


@pytest.mark.parametrize(
    ("base", "decimals"),
    [
        (None, 6),
        ("1", None),
        ("", 6),
        ("-1", 6),
        ("1.5", 6),
        ("0x10", 6),
        ("1e9", 6),
        (" 1", 6),
        ("١", 6),
        ("1", -1),
        ("1", 256),
        ("9" * 79, 6),
    ],
)
def test_impossible_amounts_are_unknown(base: str | None, decimals: int | None) -> None:
    """What is no unsigned number, or has no possible decimals, has no display amount."""
    assert display_amount(base, decimals) is None


@given(st.integers(0, 2**256 - 1), st.integers(0, 255))
def test_amounts_come_back(base: int, decimals: int) -> None:
    """The display text is exactly base / 10**decimals, and the number prints as that text."""
    text = display_amount(str(base), decimals)
    number = exact(text)
    assert text is not None
    assert number is not None
    assert f"{number:f}" == text
    whole, _, fraction = text.partition(".")
    assert int(whole + fraction.ljust(decimals, "0")) == base
    assert len(fraction) <= decimals
    assert not fraction.endswith("0")


def test_exact_keeps_every_digit() -> None:
    """A number keeps more digits than the decimal context's precision."""
    assert exact("0." + "1" * 60) == Decimal("0." + "1" * 60)
    assert exact(None) is None
