"""Puts the parts together and runs them: the only place that knows every stage."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from unionws.builtin import filters, messages, sources, statistics
from unionws.builtin.latency import Latency
from unionws.builtin.nodes import Nodes
from unionws.builtin.recorder import Recorder
from unionws.builtin.webhooks import Webhooks
from unionws.bus import unix
from unionws.bus.local import LocalBus
from unionws.clock import SystemClock
from unionws.edge import Edge, capacity
from unionws.errors import StateError
from unionws.history.reader import Reader
from unionws.history.statefolder import StateFolder, endpoint_folder, simulated_folder, source_folder
from unionws.history.store import Store
from unionws.ingest import Ingest
from unionws.listening import adopt, listen, share_out
from unionws.pluginhost import PluginHost
from unionws.pluginservice import Doors
from unionws.reloading import Live
from unionws.server import EdgeServer
from unionws.settings import Settings
from unionws.source.simulator import Simulator, parse_faults
from unionws.succession import LoopHandover, Readiness
from unionws.supervisor import Child, Supervisor
from unionws.takeover import Handover, lock
from unionws.ticker import Ticker

log = logging.getLogger("unionws.app")

BUILTINS: tuple[tuple[str, object], ...] = (
    ("sources", sources),
    ("messages", messages),
    ("filters", filters),
    ("statistics", statistics),
    ("latency", Latency),
    ("nodes", Nodes),
    ("recorder", Recorder()),
    ("webhooks", Webhooks()),
)
"""The product's own features, through the same hooks as everybody's."""

REPORT_INTERVAL = 1.0
HISTORY_INTERVAL = 10.0
INFORMED_WITHIN = 10.0
"""Seconds after which an edge accepts clients even if ingest has not told it the position."""
INDEXER = "indexer"
"""Name of the source that GRAPHQL_ENDPOINT belongs to."""
SEED = 1
"""Of the embedded indexer."""

Run = Callable[[asyncio.Event], Awaitable[None]]
"""A process's work: serves until the event is set, then stops gracefully."""


def load_plugins(settings: Settings) -> PluginHost:
    """All plugins of this process.

    Raises:
        PluginError: one cannot be loaded.
    """
    host = PluginHost(settings)
    host.load(BUILTINS)
    return host


# ------------------------------------------------------------------------------------ processes


def state_folder(settings: Settings, simulate: float | None) -> StateFolder:
    """Where this service's numbering and history are: by upstream, so that two never mix."""
    if settings.SOURCE != INDEXER:
        return StateFolder(source_folder(settings.STATE_DIR, settings.SOURCE))
    if simulate is None:
        return StateFolder(
            endpoint_folder(settings.STATE_DIR, settings.GRAPHQL_ENDPOINT, settings.MAINNET_ONLY)
        )
    return StateFolder(simulated_folder(settings.STATE_DIR, SEED, simulate, settings.MAINNET_ONLY))


async def run_ingest(
    settings: Settings,
    host: PluginHost,
    bus: Any,
    folder: StateFolder,
    simulator: Simulator | None,
    told: Callable[[], Awaitable[object]],
    on_open: Callable[[], None] = lambda: None,
) -> None:
    """Ingest, and the embedded indexer where one is wanted, until ``told`` returns.

    Args:
        on_open: called when the bus has what edges have to get first: state and newest transfers.

    Raises:
        StateError: the state folder cannot be used.
    """
    store = Store(folder, settings, SystemClock())
    store.open()
    endpoint = None
    if simulator is not None:
        base = f"http://127.0.0.1:{simulator.start('127.0.0.1', 0)}"
        simulator.rpc_base, endpoint = base, f"{base}/v1/graphql"
    ingest = Ingest(settings, host, bus, SystemClock(), store, folder, endpoint)
    bus.on_report(ingest.on_report, ingest.on_edge_lost)
    await ingest.open()
    ingest.start()
    on_open()
    log.info("polling", extra={"fields": {"endpoint": endpoint or settings.GRAPHQL_ENDPOINT}})
    await told()
    await ingest.stop()
    if simulator is not None:
        await simulator.stop()


async def run_edge(
    edge: Edge,
    bus: Any,
    live: Live,
    archive: Reader,
    listeners: Sequence[socket.socket],
    stopping: asyncio.Event,
    on_ready: Callable[[], None],
) -> None:
    """One edge until ``stopping``; ``on_ready``: called when it serves."""
    server = EdgeServer(edge, live.settings, SystemClock())
    live.on_change(server.reload)
    bus.subscribe(edge.on_record)
    reporter = Ticker(lambda: bus.report(edge.name, server.views.counters()), REPORT_INTERVAL)
    looker = Ticker(archive.refresh, HISTORY_INTERVAL)
    await archive.refresh()
    await _informed(edge, stopping)
    server.start(listeners)
    reporter.start()
    looker.start()
    log.info("serving", extra={"fields": {"edge": edge.name, "port": listeners[0].getsockname()[1]}})
    if edge.position()[0]:
        on_ready()
    await stopping.wait()
    reporter.stop()
    looker.stop()
    await server.stop("shutdown")
    archive.close()


async def _informed(edge: Edge, stopping: asyncio.Event) -> None:
    """Wait for the position, for a while: without it who resumes would be told of gaps there are not."""
    for _ in range(int(INFORMED_WITHIN / 0.01)):
        if edge.position()[0] or stopping.is_set():
            return
        await asyncio.sleep(0.01)


async def run_single(
    live: Live,
    host: PluginHost,
    folder: StateFolder,
    listeners: Sequence[socket.socket],
    simulator: Simulator | None,
    stopping: asyncio.Event,
    on_ready: Callable[[], None] = lambda: None,
    handover: LoopHandover | None = None,
) -> None:
    """Ingest and one edge in this process, until ``stopping`` or until a successor serves."""
    archive = Reader(folder.database)
    edge = Edge(live.settings, host, SystemClock(), archive=archive)
    bus = LocalBus(lambda: edge.fanout.sending)
    edge_stopping = asyncio.Event()
    edge_task = asyncio.ensure_future(run_edge(edge, bus, live, archive, listeners, edge_stopping, on_ready))
    told = stopping.wait if handover is None else partial(handover.wait, stopping)
    try:
        while True:
            await run_ingest(live.settings, host, bus, folder, simulator, told)
            if stopping.is_set() or handover is None or await handover.is_done():
                break
    finally:
        edge_stopping.set()
        await edge_task


def edge_count(settings: Settings) -> int:
    """Edge processes of EDGE_PROCESSES: ``auto`` is the larger of cores and what MAX_CLIENTS needs."""
    if settings.EDGE_PROCESSES != "auto":
        return int(settings.EDGE_PROCESSES)
    needed = -(-settings.MAX_CLIENTS // capacity(0))
    return max(os.cpu_count() or 1, needed)


def serve(
    settings: Settings,
    *,
    simulate: float | None = None,
    faults: str = "",
    host: PluginHost | None = None,
    read: Callable[[], Settings] | None = None,
) -> int:
    """Run the service until SIGTERM or SIGINT.

    Args:
        host: the plugins, loaded; None: load them.
        simulate: transfers a second of the embedded indexer; None: use GRAPHQL_ENDPOINT.
        faults: what the embedded indexer does wrong, such as ``late=0.2``.
        read: reads the settings again, at SIGHUP.

    Returns:
        The exit code: 0 after a graceful stop.

    Raises:
        UnionwsError: the service cannot start.
    """
    live, simulator = Live(settings, read), None
    if simulate is not None:
        simulator = Simulator(rate=simulate, seed=SEED, faults=parse_faults(faults))
    host = load_plugins(settings) if host is None else host
    if simulate is not None:
        host.use(replace(host.settings, PROBE_PRIVATE_ADDRESSES=True))  # all its nodes are here
    host.source()  # a wrong name shall not be found out by a child
    folder = state_folder(settings, simulate)
    predecessor = lock(folder)
    host.doors = Doors(folder=folder.path / "plugins")
    edges = edge_count(settings)
    inherited = [] if predecessor is None else predecessor.listeners
    listeners = adopt(settings, inherited) or listen(settings, max(1, edges))
    if predecessor is not None:
        predecessor.take_state(folder)
    if edges == 0:
        on_ready = predecessor.dismiss if predecessor is not None else lambda: None
        handover = LoopHandover(Handover(folder, listeners), host)
        work = lambda stopping: run_single(  # noqa: E731
            live, host, folder, listeners, simulator, stopping, on_ready, handover
        )
        return run_process(host, live, work)

    def ingest(stopping: asyncio.Event, bus: unix.UnixBus) -> Awaitable[None]:
        # An edge that waits to connect would else be greeted before there is what it missed.
        return run_ingest(settings, host, bus, folder, simulator, stopping.wait, bus.start)

    ready = Readiness()
    supervisor = supervise(live, host, folder, share_out(listeners, edges), ingest, ready)
    supervisor.start()
    if predecessor is not None:
        if not ready.wait(edges):
            supervisor.stop()
            raise StateError("taking over failed: not every process serves; the other service goes on")
        predecessor.dismiss()
    supervisor.wait()
    log.info("stopped")
    return 0


def supervise(
    live: Live,
    host: PluginHost,
    folder: StateFolder,
    shares: Sequence[Sequence[socket.socket]],
    ingest: Callable[[asyncio.Event, unix.UnixBus], Awaitable[None]],
    ready: Readiness,
) -> Supervisor:
    """A supervisor of one ingest and an edge per share of the listening sockets, joined by a Unix socket.

    Args:
        ingest: its work; it starts the bus when there is something to say.
    """
    bus_listener, address = unix.listen()

    def ingest_process(alive: int) -> int:
        bus = unix.UnixBus(bus_listener, live.settings.HISTORY_RING)

        host.doors.role = "ingest"

        async def work(stopping: asyncio.Event) -> None:
            await ingest(stopping, bus)
            await bus.flush()
            bus.stop()

        return run_process(host, live, work, alive)

    def edge_process(number: int) -> Callable[[int], int]:
        async def work(stopping: asyncio.Event) -> None:
            folder.release()  # it only reads there
            archive = Reader(folder.database)
            share = len(shares)
            edge = Edge(live.settings, host, SystemClock(), f"e{number}", share=share, archive=archive)
            bus = unix.UnixBusEdge(address, edge.name, edge.position)
            await run_edge(edge, bus, live, archive, shares[number], stopping, ready.tell)
            await bus.stop()

        def run(alive: int) -> int:
            host.doors.role = "edge"
            return run_process(host, live, work, alive)

        return run

    edges = [Child(f"edge{number}", edge_process(number)) for number in range(len(shares))]
    listeners = list(dict.fromkeys(listener for share in shares for listener in share))
    handover = Handover(folder, listeners)
    return Supervisor(Child("ingest", ingest_process), edges, listeners, live.reload, handover)


def run_process(host: PluginHost, live: Live, work: Run, alive: int | None = None) -> int:
    """Run a process's work on a fresh loop until a signal, or until the parent is gone.

    Args:
        alive: reading end of the supervisor's pipe.
    """
    asyncio.run(_until_told(host, live, work, alive))
    return 0


async def _until_told(host: PluginHost, live: Live, work: Run, alive: int | None) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def parent_gone() -> None:
        loop.remove_reader(alive or 0)
        stopping.set()

    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, partial(live.reload, told=alive is None))
    if alive is None:
        loop.add_signal_handler(signal.SIGINT, stopping.set)
    else:
        loop.add_reader(alive, parent_gone)  # readable only once the other end is closed
    host.start()
    gc.collect()
    gc.freeze()  # what is there now stays; a full collection need not look at it, 10 to 20 ms each time
    try:
        await work(stopping)
    finally:
        host.stop()
        gc.unfreeze()  # so that at the end cycles are taken apart, and libraries find nothing left behind
