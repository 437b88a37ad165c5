"""The edge: accepts clients and delivers to them. It computes nothing about transfers.

A composition: connections on one side, the broadcaster on the other, records from the bus between.
"""

from __future__ import annotations

import logging
import resource
from collections.abc import Callable, Mapping
from dataclasses import replace

import ujson
from tornado.gen import sleep

from unionws import announcements
from unionws.broadcaster.fanout import Fanout
from unionws.broadcaster.filters import FilterFields
from unionws.broadcaster.greeting import Greeting
from unionws.broadcaster.groups import GroupKey, Groups
from unionws.broadcaster.pace import Pace
from unionws.clock import Clock, milliseconds
from unionws.connections import eventstream
from unionws.connections.budget import Budget, for_newcomers
from unionws.connections.client import Client
from unionws.connections.handshake import Accept, Refuse, Upgrade
from unionws.connections.parking import Parking
from unionws.conversation import Conversation
from unionws.doors import Route
from unionws.extensions import ClientRequest, FilterField, ServerMessage
from unionws.frames import Frame
from unionws.gate import Gate, Guest, Plan, client_limits
from unionws.history.ring import Ring
from unionws.model import JSON, Record, StateRecord, StatusRecord, TransfersRecord
from unionws.pluginhost import PluginHost
from unionws.resuming import Archive
from unionws.settings import Settings
from unionws.subscriptions import Subscriptions
from unionws.ticker import Ticker
from unionws.visits import Visits

log = logging.getLogger("unionws.edge")

OTHER_DESCRIPTORS = 150
"""Descriptors kept for everything that is not a client."""


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
        self.messages = host.collect("register_messages", ServerMessage)
        self.fields = FilterFields(host.collect("register_filters", FilterField))
        self._channels = frozenset(message.channel for message in self.messages if message.channel)
        self._default_channels = frozenset(
            message.channel for message in self.messages if message.channel and message.default
        )
        self._taken = ("", 0)
        self._status: StatusRecord | None = None
        self._notice = ""
        self._opening = announcements.Connected()
        self.visits = Visits(name, told=settings.LOG_CONNECTIONS)
        self.groups = Groups(self.fields)
        self.gate = self._build_gate(share)
        self.budget = Budget(lambda: self.fanout.sending)
        self.door_budget = for_newcomers(lambda: self.fanout.sending)
        self.parking = self._build_parking()
        self.fanout = Fanout(
            self.groups,
            self.parking,
            compress_from=settings.COMPRESS_FROM_BYTES,
            compress_level=settings.COMPRESSION_LEVEL,
            pace=Pace(settings.CHART_INTERVAL),
            on_pace=self._tell_pace,
        )
        self.greeting = Greeting(self.fanout, announcements.server_info(self.settings))
        self.subscriptions = self._build_subscriptions(archive)
        self.requests = host.collect("register_requests", ClientRequest)
        self.conversation = Conversation(
            self.requests,
            self.fields,
            fanout=self.fanout,
            parking=self.parking,
            greeting=self.greeting,
            subscriptions=self.subscriptions,
            clock=clock,
            max_errors=settings.MAX_ERRORS,
        )
        self._heartbeats = Ticker(self._each_second, 1.0)
        self._apply(settings)
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

    def _build_gate(self, share: int) -> Gate:
        return Gate(
            self.settings,
            self._host,
            self._clock,
            fields=self.fields,
            groups=self.groups,
            channels=self._channels,
            default_channels=self._default_channels,
            name=self.name,
            edges=share,
            room=capacity(0),
        )

    def _build_parking(self) -> Parking:
        settings = self.settings
        return Parking(
            client_limits(settings),
            on_message=lambda client, message: self.conversation.receive(client, message),
            on_gone=self._on_gone,
            make_gap=self._make_gap,
            ping_interval=settings.PING_INTERVAL,
            clock=self._clock,
            budget=self.budget,
        )

    def plugins(self) -> Mapping[str, JSON]:
        """What plugins did wrong here; where this process is ingest too, that tells."""
        return self._host.troubles() if self._host.doors.role == "edge" else {}

    def _statistics(self) -> Mapping[str, JSON]:
        """The newest chartData, decoded; empty before the first."""
        chart = self.greeting.chart
        figures: Mapping[str, JSON] = {} if chart is None else ujson.loads(chart.chart)
        return figures

    def _apply(self, settings: Settings) -> None:
        """Take over the settings that may change while clients are connected."""
        self.settings = settings
        self.groups.most = settings.MAX_FILTER_GROUPS
        self.fields.most_keys = settings.MAX_FILTER_KEYS
        self.visits.told = settings.LOG_CONNECTIONS
        self.conversation.max_errors = settings.MAX_ERRORS
        self.parking.set_limits(client_limits(settings))

    def reload(self, settings: Settings) -> None:
        """Go on by other settings; clients they do not allow any more are told and closed."""
        before, revoked = self.settings, self.gate.reload(settings, self.parking)
        self._apply(settings)
        self.greeting.server_info(announcements.server_info(self.settings))
        for client in revoked:
            self.parking.close(client, 4001, "the key is not valid any more")
        for client in self.gate.foreign(self.parking):
            self.parking.close(client, 4003, "this origin is not allowed any more")
        for client, code, reason in self.gate.excess(before, self.parking):
            self.parking.close(client, code, reason)

    def metrics(self) -> list[dict[str, JSON]]:
        """Figures of this process's plugins, as they are now."""
        return self._host.metrics()

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
            self.gate.admission.learn(record.views.get("edges") or {})
            if not self._taken[0]:
                self._taken = record.epoch, record.seq
                self.fanout.position(record.epoch, record.seq, record.cursor)
            return
        if isinstance(record, TransfersRecord) and not self._is_new(record):
            return
        if isinstance(record, StatusRecord):
            self._status = record
            record = announcements.with_notice(record, self._notice)
        self.greeting.remember(record)
        self.fanout.submit(record)

    def _tell_pace(self, pace: Pace) -> None:
        """This edge sends chartData less often than wanted, or as wanted again: say so in ``status``."""
        log.info("chart interval changed", extra={"fields": {"seconds": round(pace.interval, 1)}})
        self._notice = f"chartData every {pace.interval:.0f} s" if pace.lengthened else ""
        if self._status is not None:
            fresh = replace(self._status, timestamp=self._now_ms())
            record = announcements.with_notice(fresh, self._notice)
            self.greeting.remember(record)
            self.fanout.submit(record)

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
        return self.gate.judge(upgrade)

    def admit(self, plan: Plan, key: str, peer: str) -> Accept | Refuse:
        """Whether one more may come in."""
        return self.gate.admit(plan, key, peer)

    def welcome(self, fd: int, peer: str, answer: Accept, plan: Plan, early: bytes = b"") -> None:
        """Park an accepted connection: answer the handshake, greet, take what came behind it."""
        guest: Guest = answer.guest
        client = self.parking.park(fd, guest.address, deflate=answer.deflate, events=answer.events)
        self.gate.enter(client, guest)
        self.subscriptions.join(client, plan.key)
        rest = self.greeting.rest(plan.key, self._now_ms())
        # Its own message, so compressing it would cost more than all the rest of the handshake.
        connected = self.fanout.frame([self._connected(client, plan.key)], False)
        head = answer.response
        if answer.events and plan.resume is None:
            head += eventstream.position(self.fanout.epoch, self.fanout.seq)
        self.parking.send(client, Frame(connected.data + rest.data), head)
        self.visits.opened(client, guest.holder.name)
        self._host.fire("client_opened", client=client.number, address=guest.address)
        if plan.resume is not None and client.fd >= 0:
            self.subscriptions.begin(
                client,
                plan.key,
                plan.resume,
                0,
                lambda data: self.conversation.subscribed(client, None, data),
            )
        if early and client.fd >= 0:
            self.parking.receive(client, early)

    def _connected(self, client: Client, key: GroupKey) -> bytes:
        fanout, client_id = self.fanout, f"{self.name}-{client.number}"
        position = fanout.epoch, fanout.seq, fanout.cursor
        return self._opening.message(self.settings, client_id, key.channels, position, self._now_ms())

    def _now_ms(self) -> int:
        return milliseconds(self._clock.time())

    def _each_second(self) -> None:
        self._heartbeat()
        for client in self.gate.expired():
            self.parking.close(client, 4001, "the token has expired")
        self.visits.sum_up(self._clock.monotonic())

    def _heartbeat(self) -> None:
        """A word to the groups that heard nothing for a while."""
        fanout, upstream = self.fanout, self.views.get("upstream") or {}
        fanout.heartbeat(announcements.heartbeat(fanout.epoch, fanout.seq, upstream, self._now_ms()))

    # -- gaps and ends --------------------------------------------------------------------------

    def _make_gap(self, client: Client, accounted: int, last: int) -> Frame:
        """Tell a slow client which positions it was skipped over."""
        reason = "slow_consumer" if accounted < last else "epoch_changed"
        return self.subscriptions.gap(client, accounted + 1, last, reason)

    def _on_gone(self, client: Client, code: int) -> None:
        self.visits.ended(client, code, self.parking.reason)
        self.gate.leave(client, code)
        self.subscriptions.leave(client)
        self.conversation.forget(client)
        self._host.fire("client_closed", client=client.number, address=client.address, code=code)

    async def close_clients(self, reason: str) -> None:
        """Announce the shutdown, then close everybody with 4200, in batches."""
        words = frames_of(self.fanout.frame, announcements.shutdown(reason, self._now_ms()))
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
