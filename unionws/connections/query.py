"""What a client chooses in the URL of its WebSocket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from unionws.errors import RequestError
from unionws.model import JSON

FILTER_PARAMETERS = {
    "from": "fromChains",
    "to": "toChains",
    "chain": "chains",
    "wallet": "wallets",
    "asset": "assets",
    "network": "network",
    "minAmount": "minAmount",
}
SINGLE_VALUES = ("network", "minAmount")
FORMS = ("batch", "single")
MAX_FIELDS = 40


@dataclass(frozen=True, slots=True)
class Choice:
    """A URL's parameters.

    Attributes:
        form: ``batch`` or ``single``; None: the server's setting.
        channels: None: the default ones.
        filter: the filter object a client would send as JSON.
        resume: the position object a client would send as JSON.
    """

    form: str | None = None
    channels: frozenset[str] | None = None
    filter: Mapping[str, JSON] = field(default_factory=dict)
    resume: Mapping[str, JSON] | None = None


NOTHING_CHOSEN = Choice()


def read(query: str, known_channels: frozenset[str]) -> Choice:
    """Read the part of the URL behind ``?``; parameters we do not know are left alone, as proxies add some.

    Raises:
        RequestError: ``invalid_message`` or ``unknown_channel``, naming the parameter.
    """
    if not query:
        return NOTHING_CHOSEN
    try:
        given = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError as error:
        raise RequestError("invalid_message", f"the URL's query cannot be read: {error}") from None
    form = given.get("form") or None
    if form is not None and form not in FORMS:
        raise RequestError("invalid_message", f"form={form[:40]} is not one of {', '.join(FORMS)}")
    return Choice(form, _channels(given, known_channels), _filter(given), _resume(given))


def _channels(given: Mapping[str, str], known: frozenset[str]) -> frozenset[str] | None:
    if "channels" not in given:
        return None
    chosen = frozenset(filter(None, (name.strip() for name in given["channels"].split(","))))
    unknown = sorted(chosen - known)
    if unknown:
        allowed = ", ".join(sorted(known))
        raise RequestError("unknown_channel", f"unknown channel {unknown[0][:60]!r}; known: {allowed}")
    return chosen


def _filter(given: Mapping[str, str]) -> dict[str, JSON]:
    fields: dict[str, JSON] = {}
    for parameter, name in FILTER_PARAMETERS.items():
        value = given.get(parameter, "").strip()
        if value:
            fields[name] = value if parameter in SINGLE_VALUES else value.split(",")
    return fields


def _resume(given: Mapping[str, str]) -> dict[str, JSON] | None:
    """``resume=<epoch>:<seq>`` and ``cursor=<cursor>``."""
    wanted: dict[str, JSON] = {}
    if given.get("resume"):
        epoch, _, seq = given["resume"].partition(":")
        if not epoch or not seq.isascii() or not seq.isdigit() or len(seq) > 18:
            raise RequestError("invalid_message", f"resume={given['resume'][:60]} is not <epoch>:<seq>")
        wanted = {"epoch": epoch, "seq": int(seq)}
    if given.get("cursor"):
        wanted["cursor"] = given["cursor"]
    return wanted or None
