"""What ``register_*`` hooks answer: typed objects that check themselves when they are made.

Names without a dot are unionws's own; a third party's names are ``vendor.name``. Each class
raises ValueError with a sentence that names the culprit; the plugin host adds the plugin's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from unionws.model import JSON, EnrichedTransfer, Fragment

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}(\.[A-Za-z][A-Za-z0-9_]{0,39})?")


def _check_name(kind: str, name: object) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(f"{kind} name {name!r} is not valid: use letters, digits and _, as in 'vendor.name'")


class Observer(Protocol):
    """A statistic's state. Runs in ingest; one call per batch and one per snapshot."""

    def observe(self, batch: Sequence[EnrichedTransfer], now: float) -> None:
        """Count a batch of transfers just published, in publishing order. ``now``: Unix seconds."""

    def snapshot(self, now: float) -> Mapping[str, JSON]:
        """The figures as of ``now``: JSON-able values, fresh containers on each call."""


@dataclass(frozen=True, slots=True)
class Statistic:
    """A statistic that appears in ``chartData``.

    Built-in statistics own top-level keys of ``data``; a plugin's appears as ``ext.<name>``.

    Attributes:
        name: unique name.
        observer: the state, asked once per batch and once per snapshot.
    """

    name: str
    observer: Observer

    def __post_init__(self) -> None:
        _check_name("statistic", self.name)
        for method in ("observe", "snapshot"):
            if not callable(getattr(self.observer, method, None)):
                raise ValueError(f"statistic {self.name!r}: its observer has no method {method}()")


@dataclass(frozen=True, slots=True)
class FilterField:
    """One field of a client's filter; fields are combined with AND.

    Attributes:
        name: key in the filter object.
        parse: turns the client's value into a canonical, hashable value (equal filters give
            equal values), or None when it filters nothing; raises ValueError with a sentence.
        matches: whether a transfer passes the canonical value.
        dump: canonical value as JSON, for replies.
        keys: index keys of a canonical value: a transfer can only match when it has one of them.
            None: not indexable, each transfer is tried.
        item_keys: the same kind of keys of a transfer. Given exactly when ``keys`` is.
    """

    name: str
    parse: Callable[[Any], Hashable | None]
    matches: Callable[[Any, Fragment], bool]
    dump: Callable[[Any], JSON]
    keys: Callable[[Any], Iterable[Hashable]] | None = None
    item_keys: Callable[[Fragment], Iterable[Hashable]] | None = None

    def __post_init__(self) -> None:
        _check_name("filter", self.name)
        for attribute in ("parse", "matches", "dump"):
            if not callable(getattr(self, attribute)):
                raise ValueError(f"filter {self.name!r}: {attribute} must be callable")
        if (self.keys is None) != (self.item_keys is None):
            raise ValueError(f"filter {self.name!r}: give both keys and item_keys, or neither")


@dataclass(frozen=True, slots=True)
class ServerMessage:
    """A message type the server sends.

    Attributes:
        type: the ``type`` of the message.
        help: one sentence for the reference.
        channel: channel whose subscribers get it; None: sent only as a reply or on open.
        default: whether a connection starts with this channel.
        example: one whole message, for the reference and its test.
    """

    type: str
    help: str
    channel: str | None = None
    default: bool = False
    example: Mapping[str, JSON] | None = None

    def __post_init__(self) -> None:
        _check_name("message type", self.type)
        if self.channel is not None:
            _check_name("channel", self.channel)
        if not self.help:
            raise ValueError(f"message type {self.type!r}: help is empty")


class RequestContext(Protocol):
    """What a request handler may do with the client that sent the request. Runs in the edge.

    Every method that takes what a client wrote raises RequestError with the code that fits.
    """

    @property
    def filter(self) -> Mapping[str, JSON]:
        """The client's present filter in canonical JSON form."""

    @property
    def channels(self) -> Sequence[str]:
        """The channels the client is subscribed to, sorted."""

    def position(self) -> Mapping[str, JSON]:
        """``epoch``, ``seq`` and ``cursor`` of the last record delivered."""

    def set_filter(self, fields: Mapping[str, JSON], *, replace: bool) -> None:
        """Change the filter: only the given fields, or (``replace``) all of them."""

    def subscribe(
        self, channel: str, *, filter: JSON = None, resume: JSON = None, snapshot: JSON = None
    ) -> None:
        """Subscribe to a channel anew: replies ``subscribed``, then sends what is replayed."""

    def unsubscribe(self, channel: str) -> None:
        """Leave a channel."""

    def resend(self, what: str) -> None:
        """Send the newest ``chartData``, ``chains`` or ``serverInfo`` to this client."""

    def reply(self, type: str, data: JSON = None, **envelope: JSON) -> None:
        """Send one message to this client; ``timestamp`` and the request's id are added."""


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """A message type clients may send.

    Attributes:
        type: the ``type`` of the message.
        help: one sentence for the reference.
        handle: called with the context and the whole message (a dict with a string ``type``).
            Raises RequestError to refuse it.
        example: one whole message, for the reference and its test.
    """

    type: str
    help: str
    handle: Callable[[RequestContext, Mapping[str, JSON]], None]
    example: Mapping[str, JSON] | None = None

    def __post_init__(self) -> None:
        _check_name("request type", self.type)
        if not callable(self.handle):
            raise ValueError(f"request type {self.type!r}: handle must be callable")
        if not self.help:
            raise ValueError(f"request type {self.type!r}: help is empty")
