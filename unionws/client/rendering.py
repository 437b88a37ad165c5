"""A transfer as one line of a terminal: aligned, cut to the width, safe to print.

Names and symbols come from chains and tokens anybody can create, so control characters, which
could rewrite the terminal, are never printed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone, tzinfo
from decimal import Decimal, InvalidOperation

from unionws.model import JSON

TIME_CELLS, NUMBER_CELLS, SYMBOL_CELLS, WALLET_CELLS = 8, 15, 10, 15
SPACE = "  "
MIN_NAME, MAX_NAME = 6, 22
ELLIPSIS = "…"
ARROW = " → "
RESET, DIM, BOLD, CYAN = "\x1b[0m", "\x1b[2m", "\x1b[1m", "\x1b[36m"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the columns are.

    Attributes:
        name: cells of each chain name.
        wallets: sender and receiver fit too.
        colour: with ANSI colours.
        zone: time zone of the first column; None is the machine's.
    """

    name: int
    wallets: bool
    colour: bool = False
    zone: tzinfo | None = None


def layout_for(width: int, *, colour: bool = False, zone: tzinfo | None = None) -> Layout:
    """The layout for a terminal of ``width`` cells: wallets go first, then names get shorter."""
    fixed = TIME_CELLS + len(SPACE) + len(ARROW) + len(SPACE) + NUMBER_CELLS + 1 + SYMBOL_CELLS
    wallets = len(SPACE) + 2 * WALLET_CELLS + len(ARROW)
    fits = width >= fixed + wallets + 2 * 12
    left = width - fixed - (wallets if fits else 0)
    return Layout(max(MIN_NAME, min(MAX_NAME, left // 2)), fits, colour, zone)


def line(transfer: Mapping[str, JSON], layout: Layout) -> str:
    """The transfer as one line, without a newline."""
    source = fit(_name(transfer, "source"), layout.name)
    destination = fit(_name(transfer, "destination"), layout.name)
    number = fit(amount(transfer), NUMBER_CELLS, right=True)
    symbol = fit(token(transfer), SYMBOL_CELLS)
    parts = [
        _styled(clock_time(transfer, layout.zone), DIM, layout),
        SPACE,
        _styled(source + ARROW + destination, CYAN, layout),
        SPACE,
        _styled(number, BOLD, layout),
        " ",
        symbol if layout.wallets else symbol.rstrip(),
    ]
    if layout.wallets:
        parts += [SPACE, _styled(_wallets(transfer), DIM, layout)]
    return "".join(parts)


def clock_time(transfer: Mapping[str, JSON], zone: tzinfo | None) -> str:
    """Time of day the transfer was sent, or dashes."""
    text = transfer.get("formattedTimestamp") or transfer.get("transfer_send_timestamp")
    try:
        # Python 3.10 reads no Z, and no fraction that is not 3 or 6 digits.
        sent = datetime.fromisoformat(str(text)[:19]).replace(tzinfo=timezone.utc)
        return sent.astimezone(zone).strftime("%H:%M:%S")
    except (ValueError, OverflowError):
        return "--:--:--"


def amount(transfer: Mapping[str, JSON]) -> str:
    """The amount in display units with at most 6 decimals; a dash when it is not known."""
    try:
        value = Decimal(str(transfer.get("base_token_amount_display")))
    except InvalidOperation:
        return "-"
    if not value.is_finite() or value.adjusted() > 40:
        return "-"
    if 0 < value < Decimal("0.000001"):
        return "<0.000001"
    text = f"{value:,.6f}"
    return text.rstrip("0").rstrip(".")


def token(transfer: Mapping[str, JSON]) -> str:
    """The token's symbol, else its shortened id."""
    return clean(transfer.get("base_token_symbol")) or shorten(
        clean(transfer.get("base_token")), SYMBOL_CELLS
    )


def clean(value: JSON) -> str:
    """The text without anything a terminal would act on; empty for what is no text."""
    if not isinstance(value, str):
        return ""
    return "".join(letter if letter.isprintable() else "?" for letter in value)


def shorten(text: str, cells: int) -> str:
    """The text's start and end with an ellipsis between, at most ``cells`` long."""
    if len(text) <= cells:
        return text
    end = (cells - 1) // 3
    return text[: cells - 1 - end] + ELLIPSIS + text[len(text) - end :]


def fit(text: str, cells: int, *, right: bool = False) -> str:
    """The text cut or padded to exactly ``cells`` cells of a terminal."""
    if _cells(text) > cells:
        while _cells(text) > cells - 1:
            text = text[:-1]
        text += ELLIPSIS
    space = " " * (cells - _cells(text))
    return space + text if right else text + space


def _cells(text: str) -> int:
    return sum(_letter_cells(letter) for letter in text)


def _letter_cells(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _name(transfer: Mapping[str, JSON], side: str) -> str:
    chain = transfer.get(f"{side}_chain")
    fallback = chain.get("universal_chain_id") if isinstance(chain, dict) else None
    return clean(transfer.get(f"{side}DisplayName")) or clean(fallback) or "?"


def _wallets(transfer: Mapping[str, JSON]) -> str:
    sender = shorten(clean(transfer.get("senderDisplay")), WALLET_CELLS)
    receiver = shorten(clean(transfer.get("receiverDisplay")), WALLET_CELLS)
    return fit(sender, WALLET_CELLS) + ARROW + receiver


def _styled(text: str, style: str, layout: Layout) -> str:
    return f"{style}{text}{RESET}" if layout.colour else text
