"""Lines for a terminal."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unionws.client.rendering import amount, clean, clock_time, fit, layout_for, line, shorten, token

TRANSFER: dict[str, Any] = {
    "sourceDisplayName": "Union",
    "destinationDisplayName": "Ethereum",
    "formattedTimestamp": "2025-10-09T08:53:20Z",
    "base_token_amount_display": "1234567.8900",
    "base_token_symbol": "U",
    "senderDisplay": "union1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq4dgx",
    "receiverDisplay": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
}


def test_whole_line_in_a_wide_terminal() -> None:
    """Time, route, amount with symbol, and both wallets, shortened."""
    text = line(TRANSFER, layout_for(120, zone=timezone.utc))
    assert text.split() == [
        "08:53:20",
        "Union",
        "→",
        "Ethereum",
        "1,234,567.89",
        "U",
        "union1qqqq…4dgx",
        "→",
        "0x5aAeb605…eAed",
    ]
    assert len(text) <= 120


def test_columns_line_up() -> None:
    """Whatever the values, the amount and the wallets start in the same columns."""
    other = TRANSFER | {
        "sourceDisplayName": "A chain with a very long name",
        "base_token_amount_display": "5",
    }
    layout = layout_for(120, zone=timezone.utc)
    first, second = line(TRANSFER, layout), line(other, layout)
    assert first.index(" U ") == second.index(" U ")
    assert first.index("union1") == second.index("union1")


@pytest.mark.parametrize("width", [60, 79, 80, 100, 119, 200])
def test_line_fits_the_width(width: int) -> None:
    """No line is wider than the terminal, and wallets are there when they fit."""
    text = line(TRANSFER | {"base_token_symbol": "LONGSYMBOLS"}, layout_for(width, zone=timezone.utc))
    assert len(text) <= width
    assert ("0x5aAe" in text) == (width > 99)


def test_colour_changes_nothing_but_colour() -> None:
    """The escape sequences removed, a coloured line is the plain one."""
    import re

    coloured = line(TRANSFER, layout_for(120, colour=True, zone=timezone.utc))
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured) == line(TRANSFER, layout_for(120, zone=timezone.utc))


@pytest.mark.parametrize(
    ("display", "expected"),
    [
        ("1", "1"),
        ("1000", "1,000"),
        ("0.100000", "0.1"),
        ("0.00000000001", "<0.000001"),
        ("0", "0"),
        ("123456789012345678901234.000000000000000001", "123,456,789,012,345,678,901,234"),
        (None, "-"),
        ("", "-"),
        ("NaN", "-"),
        ("1e999999", "-"),
    ],
)
def test_amounts_are_exact_and_short(display: str | None, expected: str) -> None:
    """Display units without an exponent, at most 6 decimals, a dash for what is unknown."""
    assert amount({"base_token_amount_display": display}) == expected


def test_token_without_symbol_is_its_id() -> None:
    """An unknown symbol leaves the start and end of the token's id."""
    assert token({"base_token": "0x" + "ab" * 20}) == "0xabab…bab"
    assert token({"base_token_symbol": "USDC", "base_token": "0x01"}) == "USDC"
    assert token({}) == ""


def test_time_is_local_to_the_zone() -> None:
    """UTC on the wire, the reader's zone in the terminal, dashes for no time."""
    east = timezone(timedelta(hours=5, minutes=30))
    assert clock_time(TRANSFER, east) == "14:23:20"
    assert (
        clock_time({"transfer_send_timestamp": "2025-10-09T08:53:20.123456789Z"}, timezone.utc) == "08:53:20"
    )
    assert clock_time({}, timezone.utc) == "--:--:--"
    assert clock_time({"formattedTimestamp": 5}, timezone.utc) == "--:--:--"


def test_names_cannot_drive_the_terminal() -> None:
    """Control characters of a token's or chain's name are not printed."""
    assert clean("\x1b[2JEVIL\r\n\x9b\u202e") == "?[2JEVIL????"
    hostile = TRANSFER | {"base_token_symbol": "\x1b]0;x\x07", "sourceDisplayName": "a\nb"}
    assert line(hostile, layout_for(120)).isprintable()


def test_missing_fields_leave_a_readable_line() -> None:
    """A transfer of which only the chains are known is still one line."""
    bare = {"source_chain": {"universal_chain_id": "union.union-1"}, "destination_chain": None}
    assert line(bare, layout_for(120)).split()[:4] == ["--:--:--", "union.union-1", "→", "?"]


@given(st.text(max_size=40), st.integers(2, 30))
def test_fitted_text_has_exactly_its_cells(text: str, cells: int) -> None:
    """Wide letters count two cells; cutting never leaves more or fewer."""
    from unionws.client.rendering import _cells

    assert _cells(fit(text, cells)) == cells


@given(st.text(max_size=60), st.integers(4, 30))
def test_shortened_text_keeps_both_ends(text: str, cells: int) -> None:
    """Never longer than asked; start and end are the text's own."""
    short = shorten(text, cells)
    assert len(short) <= max(cells, 0)
    assert short[0:1] == text[0:1]
    assert short[-1:] == text[-1:]
