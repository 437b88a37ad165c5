"""What ``register_*`` hooks answer: typed objects that check themselves when they are made.

Names without a dot are unionws's own; a third party's names are ``vendor.name``. Each class
raises ValueError with a sentence that names the culprit; the plugin host adds the plugin's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from unionws.model import JSON, Chain, EnrichedTransfer, Fragment, Transfer, TransferUpdate

if TYPE_CHECKING:
    from unionws.clock import Clock
    from unionws.settings import Settings

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}(\.[A-Za-z][A-Za-z0-9_]{0,39})?")
SETTING_NAME = re.compile(r"[A-Z][A-Z0-9]{0,19}(_[A-Z0-9]{1,20}){1,4}")
METRIC_NAME = re.compile(r"[a-z][a-z0-9]{0,19}(_[a-z0-9]{1,30}){1,8}")


def _check_name(kind: str, name: object) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(f"{kind} name {name!r} is not valid: use letters, digits and _, as in 'vendor.name'")


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of a plugin: given, read, checked and shown like unionws's own.

    A plugin reads it as ``settings.extra["ACME_LIMIT"]``.

    Attributes:
        name: ``VENDOR_NAME``.
        default: its type is the setting's: text, whole number, number, boolean or tuple of texts.
        low, high: inclusive bounds of a number.
        choices: the only texts allowed, or empty.
        check: raises ValueError for a value that cannot be used, ending "NAME is VALUE, but ...".
        secret: never shown.
    """

    name: str
    default: str | int | float | bool | tuple[str, ...]
    help: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    check: Callable[[Any], object] | None = None
    secret: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not SETTING_NAME.fullmatch(self.name):
            raise ValueError(f"setting name {self.name!r} is not valid: it is VENDOR_NAME, in capitals")
        texts = isinstance(self.default, tuple) and all(isinstance(text, str) for text in self.default)
        if not texts and not isinstance(self.default, (str, int, float)):
            raise ValueError(f"setting {self.name}: its default is a {type(self.default).__name__}")
        if not self.help:
            raise ValueError(f"setting {self.name}: help is empty")


@dataclass(frozen=True, slots=True)
class Intake:
    """What a source is given to work with.

    Attributes:
        on_transfers: takes new transfers, each key once; on the loop.
        on_chains: takes the whole chain list when it changed; on the loop.
        resume_from: position up to which all was handed out before the restart; None: from now on.
        known: keys behind it that were handed out too.
        endpoint: the indexer's address.
        on_updates: takes what became known later of transfers the feed was told to watch.
    """

    settings: Settings
    clock: Clock
    on_transfers: Callable[[list[Transfer]], None]
    on_chains: Callable[[tuple[Chain, ...]], None]
    resume_from: str | None
    known: Collection[str]
    endpoint: str
    on_updates: Callable[[Sequence[TransferUpdate]], None]


class Feed(Protocol):
    """Where transfers come from, while it runs. Runs in ingest."""

    @property
    def position(self) -> str | None:
        """The cursor from which a restart finds everything; None while nothing is settled."""

    @property
    def seen(self) -> Collection[str]:
        """Keys behind ``position`` that were handed out."""

    def start(self) -> None:
        """Begin, on the running loop."""

    async def stop(self) -> None:
        """Hand out nothing more."""

    def stats(self) -> Mapping[str, JSON]:
        """At least ``state`` (``ok``, ``stale`` or ``down``) and ``lastSuccess`` (Unix ms or None)."""


@runtime_checkable
class Watcher(Protocol):
    """A feed that also finds out what becomes of transfers, for ``transferUpdates``."""

    def watch(self, transfers: Sequence[Fragment]) -> None:
        """These were published; at the start also those published before it, oldest first."""


@dataclass(frozen=True, slots=True)
class Source:
    """A place transfers can come from; the setting SOURCE chooses one by name.

    Attributes:
        open: makes the feed; it does no I/O before its ``start``.
    """

    name: str
    help: str
    open: Callable[[Intake], Feed]

    def __post_init__(self) -> None:
        _check_name("source", self.name)
        if not callable(self.open):
            raise ValueError(f"source {self.name!r}: open must be callable")
        if not self.help:
            raise ValueError(f"source {self.name!r}: help is empty")


class Observer(Protocol):
    """A statistic's state. Runs in ingest; one call per batch and one per snapshot."""

    def observe(self, batch: Sequence[EnrichedTransfer], now: float) -> None:
        """Count a batch of transfers just published, in publishing order. ``now``: Unix seconds."""

    def snapshot(self, now: float) -> Mapping[str, JSON]:
        """The figures as of ``now``: JSON-able values, fresh containers on each call."""


@runtime_checkable
class Persistent(Protocol):
    """What an observer may have besides: its state outlives restarts, in named parts.

    A small state is one part, answered every time; one that grows has many, of which only those
    that changed are answered. A part is JSON, bytes, None when there is no such part any more, or
    a function that makes one of the first two: that runs in another thread, so it works on a copy.
    """

    def state(self, *, whole: bool) -> Mapping[str, JSON]:
        """Parts that changed since the last call, or (``whole``) all that there are."""

    def restore(self, parts: Mapping[str, JSON]) -> None:
        """Take all parts back as they were (functions as what they made); before any ``observe``."""


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


@dataclass(frozen=True, slots=True)
class Metric:
    """Figures for ``/metrics``, read when somebody asks for them.

    Attributes:
        name: ``vendor_name_unit``, lower case; counters end in ``_total``.
        kind: ``gauge`` or ``counter``.
        read: one number, or numbers by label values (a tuple, in the order of ``labels``). Runs on
            the loop, in every process that has the figure; None where there is none.
        labels: names of the labels.
    """

    name: str
    help: str
    kind: str
    read: Callable[[], float | Mapping[tuple[str, ...], float] | None]
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not METRIC_NAME.fullmatch(self.name):
            raise ValueError(f"metric name {self.name!r} is not valid: it is vendor_name, in lower case")
        if self.kind not in ("gauge", "counter"):
            raise ValueError(f"metric {self.name}: kind {self.kind!r} is not gauge or counter")
        if not callable(self.read):
            raise ValueError(f"metric {self.name}: read must be callable")
        if not self.help:
            raise ValueError(f"metric {self.name}: help is empty")
