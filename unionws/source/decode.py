"""From the indexer's JSON to the model. Raw dicts live here and nowhere else.

Everything nullable in the schema may be null, and nothing is trusted to have its promised type:
a wrong optional field becomes None and is counted as ``field:<name>``; a row without a usable
``sort_order``, or without a universal chain id on either side, is a RowError.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from unionws.errors import RowError, UpstreamGarbage
from unionws.model import Chain, Rpc, Transfer

MAX_TEXT = 2048
"""Longest text kept, in characters: token names are written by anybody and go to every client."""

MAX_KEY = 512
MAX_ID = 100
"""Longest universal chain id; clients may not filter by a longer one either."""

MAX_DIGITS = 78
"""Digits of 2**256, the largest amount a token contract can hold."""

_CACHED_CHAINS = 1024
_COUNTED_ROWS = 10_000

_MOMENT = re.compile(
    r"(20\d\d-\d\d-\d\d)[T ](\d\d:\d\d):(\d\d)(\.\d{1,18})?(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))",
    re.IGNORECASE | re.ASCII,
)
_HEX = re.compile(r"0x[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class Page:
    """One decoded answer.

    Attributes:
        size: rows of the answer, whether usable or not.
        keys: every ``sort_order`` in it, known and unusable rows included: the page's extent.
        transfers: the usable rows that were not known before, each key once.
        duplicates: rows left out because they were known.
    """

    size: int
    keys: tuple[str, ...]
    transfers: tuple[Transfer, ...]
    duplicates: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a transfer, as far as a row tells.

    Attributes:
        facts: the row's fields that are known, under the indexer's names.
        final: whether nothing more will follow.
    """

    sort_order: str
    packet_hash: str | None
    facts: Mapping[str, str | bool]
    final: bool


def timestamp(text: str) -> float | None:
    """Unix seconds of an RFC 3339 text; None when it is not one.

    Years outside 2000-2099 are None: "0001" and the like mean "not known". A leap second counts
    as the second after it.
    """
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    day, minute, second, fraction, sign, hours, minutes = match.groups()
    if second > "60":
        return None
    try:
        start = datetime.fromisoformat(f"{day}T{minute}").replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    seconds = start.timestamp() + int(second)
    if sign:
        offset = int(hours) * 3600 + int(minutes) * 60
        seconds += -offset if sign == "+" else offset
    return seconds + float(fraction) if fraction else seconds


def is_text(value: object, most: int = MAX_TEXT) -> bool:
    """Whether a value is a non-empty text that can be sent on: no NUL, no lone surrogate."""
    if type(value) is not str or not 0 < len(value) <= most or "\0" in value:
        return False
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def rows_of(data: Mapping[str, Any], field: str) -> list[Any]:
    """The list that ``data`` holds for a field; UpstreamGarbage when there is none."""
    rows = data.get(field)
    if not isinstance(rows, list):
        raise UpstreamGarbage(f"{field} is {type(rows).__name__}, not a list")
    return rows


class Decoder:
    """Decodes pages and counts what could not be used.

    Attributes:
        unusable: count per kind; a row that stays unusable is counted once however often it comes.
    """

    def __init__(self) -> None:
        self.unusable: Counter[str] = Counter()
        self._counted: dict[tuple[str, str], None] = {}
        self._chains: dict[tuple[str, ...], Chain] = {}

    def page(self, data: Mapping[str, Any], field: str, known: Container[str]) -> Page:
        """One answer's rows, those already known left undecoded (a re-scan is mostly those)."""
        rows = rows_of(data, field)
        keys: dict[str, None] = {}
        transfers: list[Transfer] = []
        duplicates = 0
        for row in rows:
            key = self._key(row)
            if key is None:
                continue
            if key in keys or key in known:
                duplicates += 1
            else:
                self._append(transfers, row, key)
            keys[key] = None
        return Page(len(rows), tuple(keys), tuple(transfers), duplicates)

    def _append(self, transfers: list[Transfer], row: dict[str, Any], key: str) -> None:
        try:
            transfers.append(self.transfer(row, key))
        except RowError as error:
            if (key, error.kind) in self._counted:
                return
            if len(self._counted) >= _COUNTED_ROWS:
                self._counted.clear()
            self._counted[key, error.kind] = None
            self.unusable[error.kind] += 1

    def _key(self, row: object) -> str | None:
        if type(row) is not dict:
            self.unusable["not_an_object"] += 1
            return None
        key = row.get("sort_order")
        if is_text(key, MAX_KEY):
            return str(key)
        self.unusable["no_sort_order"] += 1
        return None

    def transfer(self, row: dict[str, Any], key: str) -> Transfer:
        """One row as a Transfer; RowError when a side's chain cannot be told."""
        source = self._side(row, "source")
        destination = self._side(row, "destination")
        send_text, send_time = self._moment(row, "transfer_send_timestamp")
        recv_text, recv_time = self._moment(row, "transfer_recv_timestamp")
        text, hexadecimal = self._text, self._hex
        return Transfer(
            sort_order=key,
            source_chain=source,
            destination_chain=destination,
            packet_hash=hexadecimal(row, "packet_hash"),
            transfer_index=self._integer(row, "transfer_index", 2**31 - 1),
            sender_canonical=hexadecimal(row, "sender_canonical"),
            receiver_canonical=hexadecimal(row, "receiver_canonical"),
            sender_display=text(row, "sender_display"),
            receiver_display=text(row, "receiver_display"),
            send_time=send_time,
            recv_time=recv_time,
            transfer_send_timestamp=send_text,
            transfer_recv_timestamp=recv_text,
            transfer_send_transaction_hash=text(row, "transfer_send_transaction_hash"),
            base_token=hexadecimal(row, "base_token"),
            base_amount=self._digits(row, "base_amount"),
            quote_token=hexadecimal(row, "quote_token"),
            quote_amount=self._digits(row, "quote_amount"),
            base_token_symbol=text(row, "base_token_symbol"),
            base_token_name=text(row, "base_token_name"),
            base_token_decimals=self._integer(row, "base_token_decimals", 77),
        )

    def outcomes(self, data: Mapping[str, Any], field: str) -> tuple[Outcome, ...]:
        """What the rows of an answer tell of their outcome, in their order."""
        rows = [(self._key(row), row) for row in rows_of(data, field)]
        return tuple(self._outcome(row, key) for key, row in rows if key is not None)

    def _outcome(self, row: dict[str, Any], key: str) -> Outcome:
        known: dict[str, str | bool | None] = {}
        for step in ("recv", "timeout"):
            known[f"transfer_{step}_timestamp"] = self._moment(row, f"transfer_{step}_timestamp")[0]
            known[f"transfer_{step}_transaction_hash"] = self._text(row, f"transfer_{step}_transaction_hash")
        if type(success := row.get("success")) is bool:
            known["success"] = success
        else:
            self._wrong("success", success)
        facts = {name: value for name, value in known.items() if value is not None}
        executed = "transfer_recv_timestamp" in facts and "success" in facts
        final = executed or "transfer_timeout_timestamp" in facts
        return Outcome(key, self._hex(row, "packet_hash"), facts, final)

    def chains(self, data: Mapping[str, Any], field: str) -> tuple[Chain, ...]:
        """The chain list in the order of universal ids; entries without one are counted and left out."""
        chains: dict[str, Chain] = {}
        for row in rows_of(data, field):
            if type(row) is not dict:
                self.unusable["chain_not_an_object"] += 1
            elif not is_text(row.get("universal_chain_id"), MAX_ID):
                self.unusable["chain_without_id"] += 1
            else:
                chains.setdefault(row["universal_chain_id"], self._listed_chain(row))
        return tuple(chains[key] for key in sorted(chains))

    def _listed_chain(self, row: dict[str, Any]) -> Chain:
        chain = self._chain(row["universal_chain_id"], row)
        return replace(chain, logo_uri=self._text(row, "logo_uri"), rpcs=self._rpcs(row))

    def _chain(self, universal: str, row: dict[str, Any]) -> Chain:
        return Chain(
            universal_chain_id=universal,
            chain_id=self._text(row, "chain_id") or "",
            display_name=self._text(row, "display_name") or "",
            testnet=self._flag(row, "testnet"),
            rpc_type=self._text(row, "rpc_type") or "",
            addr_prefix=self._text(row, "addr_prefix") or "",
        )

    def _rpcs(self, row: dict[str, Any]) -> tuple[Rpc, ...]:
        entries = row.get("rpcs")
        if type(entries) is not list:
            self._wrong("rpcs", entries)
            return ()
        usable = [entry for entry in entries if type(entry) is dict and is_text(entry.get("url"))]
        self.unusable.update(["field:rpcs"] * (len(entries) - len(usable)))
        return tuple(Rpc(self._text(entry, "type") or "", entry["url"]) for entry in usable)

    def _side(self, row: dict[str, Any], side: str) -> Chain:
        embedded = row.get(f"{side}_chain")
        if type(embedded) is not dict:
            self._wrong(f"{side}_chain", embedded)
            embedded = {}
        universal = embedded.get("universal_chain_id")
        if not is_text(universal, MAX_ID):
            universal = row.get(f"{side}_universal_chain_id")
        if not is_text(universal, MAX_ID):
            raise RowError(f"no_{side}_chain", f"the row has no universal id of its {side} chain")
        return self._embedded_chain(str(universal), embedded)

    def _embedded_chain(self, universal: str, row: dict[str, Any]) -> Chain:
        """One shared Chain per distinct content: a page's 200 sides are a handful of chains."""
        get = row.get
        texts = (get("chain_id"), get("display_name"), get("rpc_type"), get("addr_prefix"))
        testnet = "y" if get("testnet") is True else ""
        try:
            known = self._chains.get((universal, testnet, *texts))  # type: ignore[arg-type]
        except TypeError:  # a list or an object where a text belongs
            known = None
        return known or self._share(universal, row)

    def _share(self, universal: str, row: dict[str, Any]) -> Chain:
        chain = self._chain(universal, row)
        if len(self._chains) >= _CACHED_CHAINS:
            self._chains.clear()
        testnet = "y" if chain.testnet else ""
        key = (universal, testnet, chain.chain_id, chain.display_name, chain.rpc_type, chain.addr_prefix)
        return self._chains.setdefault(key, chain)

    def _wrong(self, name: str, value: object) -> None:
        if value is not None and value != "":
            self.unusable[f"field:{name}"] += 1

    def _text(self, row: dict[str, Any], name: str) -> str | None:
        value = row.get(name)
        if is_text(value):
            return value
        self._wrong(name, value)
        return None

    def _hex(self, row: dict[str, Any], name: str) -> str | None:
        value = row.get(name)
        if type(value) is str and len(value) <= MAX_TEXT:
            lower = value.lower()
            if _HEX.fullmatch(lower):
                return lower
        self._wrong(name, value)
        return None

    def _digits(self, row: dict[str, Any], name: str) -> str | None:
        value = row.get(name)
        if type(value) is str and value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS:
            return value
        self._wrong(name, value)
        return None

    def _integer(self, row: dict[str, Any], name: str, most: int) -> int | None:
        value = row.get(name)
        if type(value) is int and 0 <= value <= most:
            return value
        self._wrong(name, value)
        return None

    def _flag(self, row: dict[str, Any], name: str) -> bool:
        value = row.get(name)
        if type(value) is not bool:
            self._wrong(name, value)
        return value is True

    def _moment(self, row: dict[str, Any], name: str) -> tuple[str | None, float | None]:
        value = row.get(name)
        seconds = timestamp(value) if type(value) is str else None
        if seconds is None:
            self._wrong(name, value)
            return None, None
        return str(value).upper().replace(" ", "T"), seconds
