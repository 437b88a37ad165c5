"""The filter fields of the protocol: chains, wallets, assets, amount and network."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from unionws.enrich.addresses import canonical_forms
from unionws.extensions import FilterField
from unionws.hookspecs import hookimpl
from unionws.model import JSON, Fragment

MAX_KEYS = 1_000
"""What one list may hold at all; MAX_FILTER_KEYS is the operator's bound for a whole filter."""
MAX_TEXT = 200
CHAIN_ID = re.compile(r"[A-Za-z0-9_.:-]{1,100}")


def _texts(value: object) -> list[str]:
    """A list of non-empty strings, also from a single string."""
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, (list, tuple)):
        raise ValueError("must be a list of strings")
    if len(values) > MAX_KEYS:
        raise ValueError(f"has {len(values)} entries; at most {MAX_KEYS} are allowed")
    for entry in values:
        if not isinstance(entry, str) or not entry.strip() or len(entry) > MAX_TEXT:
            raise ValueError(f"{str(entry)[:60]!r} is not a string of 1 to {MAX_TEXT} characters")
    return [entry.strip() for entry in values]


def _tuple(values: Iterable[str]) -> tuple[str, ...] | None:
    return tuple(sorted(set(values))) or None


def parse_chains(value: object) -> Hashable | None:
    """Universal chain ids; well-formed unknown ones are accepted."""
    chains = _texts(value)
    for chain in chains:
        if not CHAIN_ID.fullmatch(chain):
            raise ValueError(f"{chain[:60]!r} is not a universal chain id such as 'union.union-1'")
    return _tuple(chains)


def parse_wallets(value: object) -> Hashable | None:
    """Canonical or display addresses, as lower-case canonical hex."""
    return _tuple(_wallet(text) for text in _texts(value))


def _wallet(text: str) -> str:
    canonical = canonical_forms(text)
    if canonical is None:
        raise ValueError(f"{text[:60]!r} is not an address in hex or bech32")
    return canonical


def parse_assets(value: object) -> Hashable | None:
    """Token symbols or base tokens in hex, case-insensitive."""
    return _tuple(text.lower() for text in _texts(value))


def _amount(value: object) -> str:
    """A positive decimal number as canonical text."""
    try:
        amount = Decimal(value) if isinstance(value, str) and len(value) <= 100 else None
    except InvalidOperation:
        amount = None
    if amount is None or not amount.is_finite() or amount < 0 or abs(amount.adjusted()) > 80:
        raise ValueError(f"{str(value)[:60]!r} is not a decimal number in a string, such as '12.5'")
    text = format(amount.copy_abs(), "f")  # normalize() and abs() would round to 28 digits
    return text.rstrip("0").rstrip(".") if "." in text else text


def parse_minimum(value: object) -> Hashable | None:
    """One minimum for all assets, or an object asset → minimum; in display units."""
    if not isinstance(value, Mapping):
        return (("", _amount(value)),)
    if len(value) > MAX_KEYS:
        raise ValueError(f"has {len(value)} entries; at most {MAX_KEYS} are allowed")
    pairs = []
    for asset, minimum in value.items():
        if not asset.strip() or len(asset) > MAX_TEXT:
            raise ValueError(f"{asset[:60]!r} is not an asset")
        pairs.append((asset.strip().lower(), _amount(minimum)))
    return tuple(sorted(dict(pairs).items())) or None


def passes_minimum(minimums: tuple[tuple[str, str], ...], item: Fragment) -> bool:
    """Whether an amount reaches its minimum; unknown amounts and assets not named never do."""
    if not item.amount:
        return False
    for asset, minimum in minimums:
        if asset in ("", item.symbol, item.token):
            return Decimal(item.amount) >= Decimal(minimum)
    return False


def dump_minimum(minimums: tuple[tuple[str, str], ...]) -> JSON:
    """The canonical form as clients write it."""
    return minimums[0][1] if minimums[0][0] == "" else dict(minimums)


def parse_network(value: object) -> Hashable | None:
    """``mainnet`` or ``testnet``; empty is any."""
    if value not in ("mainnet", "testnet", ""):
        raise ValueError(f"{str(value)[:60]!r} is not 'mainnet' or 'testnet'")
    return str(value) or None


def _listed(
    name: str, parse: Callable[[Any], Hashable | None], keys_of: Callable[[Fragment], tuple[str, ...]]
) -> FilterField:
    """A field that passes a transfer with at least one of the listed keys."""

    def matches(wanted: tuple[str, ...], item: Fragment) -> bool:
        return any(key in wanted for key in keys_of(item))

    return FilterField(name, parse, matches, list, keys=iter, item_keys=keys_of)


FIELDS = (
    _listed("fromChains", parse_chains, lambda item: (item.source,)),
    _listed("toChains", parse_chains, lambda item: (item.destination,)),
    _listed("chains", parse_chains, lambda item: (item.source, item.destination)),
    _listed("wallets", parse_wallets, lambda item: (item.sender, item.receiver)),
    _listed("assets", parse_assets, lambda item: (item.symbol, item.token)),
    FilterField("minAmount", parse_minimum, passes_minimum, dump_minimum),
    FilterField(
        "network",
        parse_network,
        lambda wanted, item: item.testnet == (wanted == "testnet"),
        str,
    ),
)


@hookimpl
def register_filters() -> Sequence[FilterField]:
    return FIELDS
