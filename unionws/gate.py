"""The edge's gate: what a handshake asks for, who asks, and whether there is room.

Both doors ask here, so a client cannot tell them apart. What can be said from the request alone is
judged once per shape of request; address, limits and time are looked at for every connection.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from urllib.parse import parse_qsl

from unionws.broadcaster.filters import FilterFields
from unionws.broadcaster.groups import GroupKey, Groups
from unionws.clock import Clock
from unionws.connections import eventstream
from unionws.connections.addresses import Proxies, forwarded
from unionws.connections.admission import Admission, Bounds
from unionws.connections.client import Client
from unionws.connections.credentials import (
    ANYBODY,
    NEVER,
    Credentials,
    Holder,
    NotAllowed,
    same,
    shown_by,
)
from unionws.connections.handshake import Accept, Refuse, Upgrade, accept, check, extension, origin_of
from unionws.connections.inflow import TOO_MUCH
from unionws.connections.limits import Limits
from unionws.connections.query import read as read_query
from unionws.doors import Denied, HttpRequest
from unionws.errors import RequestError
from unionws.pluginhost import PluginHost
from unionws.resuming import Resume, parse_resume
from unionws.settings import Settings

CHALLENGE = (("WWW-Authenticate", 'Bearer realm="unionws"'),)
ABUSIVE = frozenset({1002, 1003, 1007, 1009, 4008, TOO_MUCH})
"""Codes of clients that were closed for what they sent."""

TOO_MANY_FILTERS = Refuse(
    503,
    "too_many_filters",
    "this server holds as many different filters as it can",
    (("Retry-After", "10"),),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a handshake asks for.

    Attributes:
        extension: the agreed Sec-WebSocket-Extensions, or "".
        events: as Server-Sent Events.
        via: X-Forwarded-For and X-Real-IP, believed or not by who sends them.
        holder: whose credentials it shows.
        origin: of the page that asks; "" where none does.
        upgrade: the request, where plugins authenticate.
    """

    extension: str
    key: GroupKey
    resume: Resume | None
    events: bool = False
    via: tuple[str, str] = ("", "")
    holder: Holder = ANYBODY
    origin: str = ""
    upgrade: Upgrade | None = None


@dataclass(frozen=True, slots=True)
class Guest:
    """Somebody who may come in.

    Attributes:
        address: the client's own, also behind a proxy of ours.
        origin: of the page it is part of, or "".
    """

    address: str
    holder: Holder
    origin: str = ""


class Gate:
    """Decides about handshakes, and knows who is inside.

    Args:
        room: clients this process's descriptors allow.
        edges: how many edges share the limits.

    Attributes:
        refused: how often, by reason.
    """

    def __init__(
        self,
        settings: Settings,
        host: PluginHost,
        clock: Clock,
        *,
        fields: FilterFields,
        groups: Groups,
        channels: frozenset[str],
        default_channels: frozenset[str],
        name: str,
        edges: int,
        room: int,
    ) -> None:
        self._host = host
        self._clock = clock
        self._fields = fields
        self._groups = groups
        self._channels = channels
        self._default_channels = default_channels
        self._room = room
        self._expires: dict[Client, float] = {}
        self.refused: Counter[str] = Counter()
        self.admission = Admission(bounds(settings, room), clock, name, edges)
        self._plans = lru_cache(maxsize=1024)(self._plan)
        self._take(settings)

    def _take(self, settings: Settings) -> None:
        self._settings = settings
        self.proxies = Proxies(settings.TRUSTED_PROXIES)
        self._signing = signing(settings)
        self.credentials = Credentials(settings.API_KEYS, *self._signing)
        self.admission.bounds = bounds(settings, self._room)

    def reload(self, settings: Settings, inside: Iterable[Client]) -> list[Client]:
        """Judge by other settings from now on; those inside whose credentials do not hold any more."""
        signed, trusted = self._signing, self._settings.TRUSTED_PROXIES
        required = self.credentials.required
        self._take(settings)
        self._plans.cache_clear()
        if trusted != settings.TRUSTED_PROXIES:
            self.admission.recount(self.proxies.limit_key(client.address) for client in inside)
        names, tokens_hold = self.credentials.names, signed == self._signing
        return [
            client
            for client, name in self.admission.keys.items()
            if required and name.startswith(("key:", "sub:"))
            if name not in names and not (name.startswith("sub:") and tokens_hold)
        ]

    # -- judging --------------------------------------------------------------------------------

    def judge(self, upgrade: Upgrade) -> Plan | Refuse:
        """What a handshake asks for; the same for all that differ in key and peer alone."""
        refusal = (eventstream.check if upgrade.events else check)(upgrade, self._origin_allowed)
        if refusal is not None:
            return self.refuse(refusal)
        try:
            shown = shown_by(upgrade.headers, upgrade.query)
            holder = self.credentials.check(shown, self._clock.time())
            agreed = extension(upgrade, self._settings.COMPRESSION_LEVEL > 0 and not upgrade.events)
            plan = self._plans(upgrade.query, agreed, upgrade.events)
        except NotAllowed as error:
            return self.refuse(Refuse(401, "unauthorized", str(error), CHALLENGE))
        except RequestError as error:
            return self.refuse(Refuse(400, error.code, error.message))
        via, asks, origin = forwarded(upgrade.headers), self._host.authenticates, origin_of(upgrade.headers)
        if not asks and holder is ANYBODY and via == plan.via and not origin:
            return plan
        return replace(plan, via=via, holder=holder, origin=origin or "", upgrade=upgrade if asks else None)

    def _origin_allowed(self, origin: str) -> bool:
        allowed = self._settings.ALLOWED_ORIGINS
        return not allowed or origin in allowed

    def _plan(self, query: str, agreed: str, events: bool) -> Plan:
        """What a URL's query chooses; kept for the next who asks the same."""
        choice = read_query(query, self._channels)
        key = GroupKey(
            self._default_channels if choice.channels is None else choice.channels,
            choice.form or self._settings.TRANSFER_FORM,
            bool(agreed),
            self._fields.parse(choice.filter),
        )
        resume = parse_resume(choice.resume) if "transfers" in key.channels else None
        return Plan(agreed, key, resume, events)

    # -- admitting ------------------------------------------------------------------------------

    def admit(self, plan: Plan, key: str, peer: str) -> Accept | Refuse:
        """Whether one more with that plan may come in now; the answer carries its :class:`Guest`."""
        address = self.proxies.client(peer, plan.via)
        holder = self._holder(plan, address)
        if isinstance(holder, Refuse):
            return self.refuse(holder)
        refusal = self.admission.refuse(self.proxies.limit_key(address), holder.name)
        if refusal is None and not self._groups.has_room(plan.key):
            refusal = TOO_MANY_FILTERS
        if refusal is not None:
            return self.refuse(refusal)
        answer = eventstream.accept() if plan.events else accept(key, plan.extension)
        if isinstance(answer, Refuse):
            return self.refuse(answer)
        return Accept(answer.response, answer.deflate, answer.events, Guest(address, holder, plan.origin))

    def _holder(self, plan: Plan, address: str) -> Holder | Refuse:
        """Who the client is by its credentials and by the plugins that authenticate."""
        if self._clock.time() >= plan.holder.expires:
            return Refuse(401, "unauthorized", "the token has expired", CHALLENGE)
        if plan.upgrade is None:
            return plan.holder
        query = dict(parse_qsl(plan.upgrade.query, keep_blank_values=True, max_num_fields=100))
        path = "/sse" if plan.events else "/ws"
        said = self._host.authenticate(HttpRequest(path, query, plan.upgrade.headers, address))
        if isinstance(said, Denied):
            status, headers = (401, CHALLENGE) if said.code == "unauthorized" else (403, ())
            return Refuse(status, said.code, said.message, headers)
        if said is None:
            return plan.holder
        return Holder(f"id:{said.name}", NEVER if said.until is None else said.until)

    def refuse(self, answer: Refuse) -> Refuse:
        """Count a refusal."""
        self.refused[answer.code] += 1
        return answer

    # -- inside ---------------------------------------------------------------------------------

    def enter(self, client: Client, guest: Guest) -> None:
        """Somebody came in."""
        self.admission.enter(client, self.proxies.limit_key(guest.address), guest.holder.name)
        client.origin = guest.origin
        if guest.holder.expires != NEVER:
            self._expires[client] = guest.holder.expires

    def leave(self, client: Client, code: int) -> None:
        """Somebody is gone, or being closed with that code."""
        address = self.proxies.limit_key(client.address)
        self.admission.leave(client, address)
        if code in ABUSIVE:
            self.admission.blame(address)
        self._expires.pop(client, None)

    def expired(self) -> list[Client]:
        """Clients inside whose permission has ended."""
        now = self._clock.time()
        return [client for client, end in self._expires.items() if now >= end]

    def foreign(self, clients: Iterable[Client]) -> list[Client]:
        """Clients of pages that may not connect any more."""
        return [client for client in clients if client.origin and not self._origin_allowed(client.origin)]

    def excess(self, before: Settings, clients: Iterable[Client]) -> list[tuple[Client, int, str]]:
        """Clients to close, with close code and reason, where a limit is lower than it was."""
        now, share = self._settings, self.admission.edges
        room = lowered(before.MAX_CLIENTS, now.MAX_CLIENTS, share)
        per_address = lowered(before.MAX_CLIENTS_PER_IP, now.MAX_CLIENTS_PER_IP, share)
        if room == per_address == 0:
            return []
        found, total, counts = [], 0, Counter[str]()
        for client in clients:
            address = self.proxies.limit_key(client.address)
            total, counts[address] = total + 1, counts[address] + 1
            if room and total > room:
                found.append((client, 4100, "over capacity"))
            elif per_address and address and counts[address] > per_address:
                found.append((client, 4101, "too many connections from this address"))
        return found

    # -- HTTP views -----------------------------------------------------------------------------

    def may_operate(self, headers: Mapping[str, str], query: str) -> bool:
        """Whether a request may see what is for operators: all may while there is no ADMIN_TOKEN."""
        token = self._settings.ADMIN_TOKEN
        return not token or same(shown_by(headers, query), token)

    def may_read(self, headers: Mapping[str, str], query: str) -> bool:
        """Whether a request may read what clients read."""
        if not self.credentials.required:
            return True
        try:
            self.credentials.check(shown_by(headers, query), self._clock.time())
        except NotAllowed:
            return bool(self._settings.ADMIN_TOKEN) and self.may_operate(headers, query)
        return True


def bounds(settings: Settings, room: int) -> Bounds:
    """The limits of clients in the settings."""
    return Bounds(
        settings.MAX_CLIENTS,
        settings.MAX_CLIENTS_PER_IP,
        settings.MAX_CLIENTS_PER_KEY,
        settings.MAX_HANDSHAKES_PER_IP,
        room,
    )


def signing(settings: Settings) -> tuple[str, str]:
    """The secret and the public key tokens are checked with."""
    path = settings.JWT_PUBLIC_KEY
    return settings.JWT_SECRET, Path(path).read_text("ascii") if path else ""


def lowered(before: int, now: int, share: int) -> int:
    """One edge's part of a limit that is lower than before; 0: it is not."""
    return -(-now // share) if now and (not before or now < before) else 0


def client_limits(settings: Settings) -> Limits:
    """What one client may take and send."""
    return Limits(
        settings.MAX_MESSAGE_BYTES,
        settings.MAX_BACKLOG_BYTES,
        settings.MAX_BACKLOG_FRAMES,
        settings.MAX_INBOUND_MESSAGES,
        settings.MAX_INBOUND_BYTES,
    )
