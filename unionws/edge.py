"""The edge: accepts clients and delivers to them. It computes nothing about transfers.

A composition: connections on one side, the broadcaster on the other, records from the bus between.
"""

from __future__ import annotations

import logging
import resource
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import ujson
from tornado.gen import sleep

from unionws import __version__
from unionws.broadcaster import envelopes
from unionws.broadcaster.fanout import Fanout
from unionws.broadcaster.filters import FilterFields
from unionws.broadcaster.greeting import Greeting
from unionws.broadcaster.groups import GroupKey, Groups
from unionws.broadcaster.pace import Pace
from unionws.clock import Clock, milliseconds
from unionws.connections import eventstream
from unionws.connections.client import Client
from unionws.connections.fastdoor import FULL
from unionws.connections.handshake import Accept, Refuse, Upgrade, accept, check, extension
from unionws.connections.parking import Limits, Parking
from unionws.connections.query import read as read_query
from unionws.conversation import Conversation
from unionws.doors import Route
from unionws.errors import RequestError
from unionws.extensions import ClientRequest, FilterField, ServerMessage
from unionws.frames import Frame
from unionws.history.ring import Ring
from unionws.model import JSON, Record, StateRecord, StatusRecord, TransfersRecord
from unionws.pluginhost import PluginHost
from unionws.settings import Settings
from unionws.subscriptions import Archive, Resume, Subscriptions, parse_resume
from unionws.ticker import Ticker

log = logging.getLogger("unionws.edge")

OTHER_DESCRIPTORS = 150
"""Descriptors kept for everything that is not a client."""

SHUTDOWN_WINDOW_MS = (100, 5_000)
FEATURES = (
    "testnet_flags_precomputed",
    "display_names_precomputed",
    "full_addresses_provided",
    "timestamps_formatted",
    "route_keys_generated",
    "chains_data_provided",
    "high_concurrency_optimized",
    "sharded_client_management",
    "parallel_broadcasting",
)
"""serverInfo.features of the fixed contract."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a handshake asks for.

    Attributes:
        extension: the agreed Sec-WebSocket-Extensions, or "".
        events: as Server-Sent Events.
    """

    extension: str
    key: GroupKey
    resume: Resume | None
    events: bool = False


class Edge:
    """Serves clients on one IOLoop.

    Args:
        name: unique among the edges of a service; part of client ids.
        share: number of edges that share MAX_CLIENTS.
        archive: history on disk.
    """

    def __init__(
        self,
        settings: Settings,
        host: PluginHost,
        clock: Clock,
        name: str = "e0",
        share: int = 1,
        archive: Archive | None = None,
    ) -> None:
        self.settings = settings
        self.name = name
        self.views: Mapping[str, JSON] = {}
        self.state_at = 0.0
        self.ring = Ring(settings.HISTORY_RING)
        self.archive = archive
        self._host = host
        self._clock = clock
        self.routes = host.collect("register_routes", Route)
        self._messages = host.collect("register_messages", ServerMessage)
        self.fields = FilterFields(host.collect("register_filters", FilterField))
        self._channels = frozenset(message.channel for message in self._messages if message.channel)
        self._default_channels = frozenset(
            message.channel for message in self._messages if message.channel and message.default
        )
        self._taken = ("", 0)
        self._status: StatusRecord | None = None
        self._notice = ""
        self._capacity = capacity(-(-settings.MAX_CLIENTS // share))
        self.refused: Counter[str] = Counter()
        self._plans = lru_cache(maxsize=1024)(self._plan)
        self.groups = Groups(self.fields)
        self.parking = self._build_parking()
        self.fanout = Fanout(
            self.groups,
            self.parking,
            compress_from=settings.COMPRESS_FROM_BYTES,
            compress_level=settings.COMPRESSION_LEVEL,
            pace=Pace(settings.CHART_INTERVAL),
            on_pace=self._tell_pace,
        )
        self.greeting = Greeting(self.fanout, self._server_info())
        self.subscriptions = self._build_subscriptions(archive)
        self.conversation = Conversation(
            host.collect("register_requests", ClientRequest),
            self.fields,
            fanout=self.fanout,
            parking=self.parking,
            greeting=self.greeting,
            subscriptions=self.subscriptions,
            clock=clock,
            max_errors=settings.MAX_ERRORS,
        )
        self._heartbeats = Ticker(self._heartbeat, 1.0)
        if host.doors.role == "edge":
            host.doors.open(self.on_record, self._statistics)

    def _build_subscriptions(self, archive: Archive | None) -> Subscriptions:
        settings = self.settings
        spread_ms = settings.SPREAD_MS + settings.FUTURE_BUFFER_MS + settings.JITTER_MS
        return Subscriptions(
            self.fanout,
            self.groups,
            self.fields,
            self.ring,
            channels=self._channels,
            send=self.parking.send,
            now_ms=self._now_ms,
            archive=archive,
            back_ms=int(settings.OVERLAP_SECONDS * 1000) + spread_ms,
        )

    def _build_parking(self) -> Parking:
        settings = self.settings
        return Parking(
            Limits(settings.MAX_MESSAGE_BYTES, settings.MAX_BACKLOG_BYTES, settings.MAX_BACKLOG_FRAMES),
            on_message=lambda client, message: self.conversation.receive(client, message),
            on_gone=self._on_gone,
            make_gap=self._make_gap,
            ping_interval=settings.PING_INTERVAL,
            clock=self._clock,
        )

    def _server_info(self) -> JSON:
        return {
            "serverPrecomputation": "enabled",
            "features": FEATURES,
            "architecture": "ingest and edge processes, filter groups, shared frames",
            "maxConnections": self.settings.MAX_CLIENTS,
        }

    def _statistics(self) -> Mapping[str, JSON]:
        """The newest chartData, decoded; empty before the first."""
        chart = self.greeting.chart
        figures: Mapping[str, JSON] = {} if chart is None else ujson.loads(chart.chart)
        return figures

    def start(self) -> None:
        """Begin to serve parked connections on the current IOLoop."""
        self.parking.start()
        self._heartbeats.start()

    # -- records --------------------------------------------------------------------------------

    def position(self) -> tuple[str, int]:
        """Epoch and ``seq`` of the last record taken from the bus."""
        return self._taken

    def on_record(self, record: Record) -> None:
        """Take a record from the bus."""
        if isinstance(record, StateRecord):
            self.views = record.views
            self.state_at = self._clock.monotonic()
            if not self._taken[0]:
                self._taken = record.epoch, record.seq
                self.fanout.position(record.epoch, record.seq, record.cursor)
            return
        if isinstance(record, TransfersRecord) and not self._is_new(record):
            return
        if isinstance(record, StatusRecord):
            self._status = record
            record = self._with_notice(record)
        self.greeting.remember(record)
        self.fanout.submit(record)

    def _tell_pace(self, pace: Pace) -> None:
        """This edge sends chartData less often than wanted, or as wanted again: say so in ``status``."""
        log.info("chart interval changed", extra={"fields": {"seconds": round(pace.interval, 1)}})
        self._notice = f"chartData every {pace.interval:.0f} s" if pace.lengthened else ""
        if self._status is not None:
            record = self._with_notice(replace(self._status, timestamp=self._now_ms()))
            self.greeting.remember(record)
            self.fanout.submit(record)

    def _with_notice(self, record: StatusRecord) -> StatusRecord:
        if not self._notice:
            return record
        return replace(record, data=envelopes.dumps({**ujson.loads(record.data), "notice": self._notice}))

    def _is_new(self, record: TransfersRecord) -> bool:
        """Keep a record; whether it has to be delivered too: a new edge is sent history as well."""
        epoch, seq = self._taken
        self.ring.append(record)
        if record.epoch == epoch and record.seq <= seq:
            return False
        self._taken = record.epoch, record.seq
        return True

    # -- opening --------------------------------------------------------------------------------

    def judge(self, upgrade: Upgrade) -> Plan | Refuse:
        """What a handshake asks for; both doors ask here."""
        refusal = (eventstream.check if upgrade.events else check)(upgrade, self._origin_allowed)
        if refusal is not None:
            return self._refused(refusal)
        try:
            agreed = extension(upgrade, self.settings.COMPRESSION_LEVEL > 0 and not upgrade.events)
            return self._plans(upgrade.query, agreed, upgrade.events)
        except RequestError as error:
            return self._refused(Refuse(400, error.code, error.message))

    def admit(self, plan: Plan, key: str, address: str) -> Accept | Refuse:
        """Whether there is room for one more."""
        if len(self.parking) >= self._capacity:
            return self._refused(FULL)
        answer = eventstream.accept() if plan.events else accept(key, plan.extension)
        return self._refused(answer) if isinstance(answer, Refuse) else answer

    def _refused(self, answer: Refuse) -> Refuse:
        self.refused[answer.code] += 1
        return answer

    def _origin_allowed(self, origin: str) -> bool:
        allowed = self.settings.ALLOWED_ORIGINS
        return not allowed or origin in allowed

    def _plan(self, query: str, extension: str, events: bool) -> Plan:
        """What a URL's query chooses; kept for the next who asks the same."""
        choice = read_query(query, self._channels)
        key = GroupKey(
            self._default_channels if choice.channels is None else choice.channels,
            choice.form or self.settings.TRANSFER_FORM,
            bool(extension),
            self.fields.parse(choice.filter),
        )
        resume = parse_resume(choice.resume) if "transfers" in key.channels else None
        return Plan(extension, key, resume, events)

    def welcome(self, fd: int, address: str, answer: Accept, plan: Plan, early: bytes = b"") -> None:
        """Park an accepted connection: answer the handshake, greet, take what came behind it."""
        client = self.parking.park(fd, address, deflate=answer.deflate, events=answer.events)
        self.subscriptions.join(client, plan.key)
        rest = self.greeting.rest(plan.key, self._now_ms())
        connected = self.fanout.frame([self._connected(client, plan.key)], answer.deflate)
        head = answer.response
        if answer.events and plan.resume is None:
            head += eventstream.position(self.fanout.epoch, self.fanout.seq)
        self.parking.send(client, Frame(connected.data + rest.data), head)
        self._host.fire("client_opened", client=client.number, address=address)
        if plan.resume is not None and client.fd >= 0:
            self.subscriptions.begin(
                client,
                plan.key,
                plan.resume,
                0,
                lambda data: self.conversation.reply(client, "subscribed", None, data=data),
            )
        if early and client.fd >= 0:
            self.parking.receive(client, early)

    def _connected(self, client: Client, key: GroupKey) -> bytes:
        fanout, settings = self.fanout, self.settings
        data = {
            "protocol": 1,
            "server": f"unionws/{__version__}",
            "clientId": f"{self.name}-{client.number}",
            "epoch": fanout.epoch,
            "seq": fanout.seq,
            "cursor": fanout.cursor,
            "pingIntervalMs": settings.PING_INTERVAL * 1000,
            "channels": sorted(key.channels),
            "features": ["resume", "subscribe", "setFilter", "snapshot", "heartbeat"],
            "limits": {"maxMessageBytes": settings.MAX_MESSAGE_BYTES, "maxErrors": settings.MAX_ERRORS},
        }
        if not fanout.epoch:
            del data["epoch"], data["seq"], data["cursor"]
        return envelopes.message("connected", self._now_ms(), message="connected to unionws", data=data)

    def _now_ms(self) -> int:
        return milliseconds(self._clock.time())

    def _heartbeat(self) -> None:
        """Once a second: a word to the groups that heard nothing for a while."""
        upstream = self.views.get("upstream") or {}
        now, last = self._now_ms(), upstream.get("lastSuccess")
        lag = {} if last is None else {"lagMs": max(0, now - last)}
        data = {"seq": self.fanout.seq, "upstream": upstream.get("state", "down"), **lag}
        self.fanout.heartbeat(envelopes.message("heartbeat", now, data=data, epoch=self.fanout.epoch))

    # -- gaps and ends --------------------------------------------------------------------------

    def _make_gap(self, client: Client, accounted: int, last: int) -> Frame:
        """Tell a slow client which positions it was skipped over."""
        return self.subscriptions.gap(client, accounted + 1, last, "slow_consumer")

    def _on_gone(self, client: Client, code: int) -> None:
        self.subscriptions.leave(client)
        self.conversation.forget(client)
        self._host.fire("client_closed", client=client.number, address=client.address, code=code)

    async def close_clients(self, reason: str) -> None:
        """Announce the shutdown, then close everybody with 4200, in batches."""
        low, high = SHUTDOWN_WINDOW_MS
        data = {"reason": reason, "reconnect": {"minMs": low, "maxMs": high}}
        words = frames_of(self.fanout.frame, envelopes.message("serverShutdown", self._now_ms(), data=data))
        for number, client in enumerate(self.parking):
            self.parking.close(client, 4200, reason, words(client.deflate))
            if number % 500 == 499:
                await sleep(0)
        for _ in range(30):
            if self.parking.closing == 0:
                return
            await sleep(0.1)

    def stop(self) -> None:
        """Close what is still open."""
        self._heartbeats.stop()
        self.fanout.stop()
        self.subscriptions.stop()
        self.parking.stop()


def capacity(most: int) -> int:
    """Clients one process takes: MAX_CLIENTS (0: any number), and what its descriptors allow."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = descriptors - OTHER_DESCRIPTORS
    return min(most, held) if most else held


def frames_of(frame: Callable[..., Frame], payload: bytes) -> Callable[[bool], bytes]:
    """A message's bytes by compression, each encoded once."""
    plain, packed = frame([payload], False).data, frame([payload], True).data
    return lambda deflate: packed if deflate else plain
