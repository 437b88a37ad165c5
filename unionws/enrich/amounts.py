"""Amounts in display units, exact: digits are moved, nothing is ever rounded or made a float."""

from __future__ import annotations

import re
from decimal import Decimal

DIGITS = re.compile(r"[0-9]+")
MAX_DIGITS = 78
"""Digits of the largest uint256; a longer number is no amount of any chain."""
MAX_DECIMALS = 255
"""``decimals`` is a uint8 (ERC-20)."""


def display_amount(base_amount: str | None, decimals: int | None) -> str | None:
    """``base_amount / 10**decimals`` as plain decimal text, without trailing zeros.

    Returns:
        Text such as ``1.5``, ``1000`` or ``0.000001``; None when either is unknown or impossible.
    """
    if base_amount is None or decimals is None or not 0 <= decimals <= MAX_DECIMALS:
        return None
    digits = base_amount.lstrip("0") or base_amount[:1]
    if len(digits) > MAX_DIGITS or not DIGITS.fullmatch(digits):
        return None
    if decimals == 0:
        return digits
    digits = digits.zfill(decimals + 1)
    fraction = digits[-decimals:].rstrip("0")
    return f"{digits[:-decimals]}.{fraction}" if fraction else digits[:-decimals]


def exact(text: str | None) -> Decimal | None:
    """A display amount as a number; ``format(number, "f")`` gives the text back."""
    return None if text is None else Decimal(text)
