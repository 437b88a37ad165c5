"""``/metrics`` in the Prometheus text format: every process, read at the moment somebody asks.

The edge that is asked knows its own counters as they are; those of the other edges and of ingest
come with the once-a-second state, so they are at most two seconds old. Labels are bounded: names
of processes, reasons and codes this code knows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from unionws.measure import BOUNDS, added
from unionws.model import JSON
from unionws.web.base import View, Views

Edges = Mapping[str, Mapping[str, Any]]
STATES = ("ok", "stale", "down")

EDGE_GAUGES = (
    ("clients", "clients", "Connected clients."),
    ("client_room", "room", "Clients the descriptors of the process allow."),
    ("filter_groups", "groups", "Groups of clients that get the same frames."),
    ("slow_clients", "slow", "Clients with bytes waiting in a queue."),
    ("backlog_bytes", "backlogBytes", "Bytes waiting for slow clients."),
    ("http_connections", "httpConnections", "Open HTTP connections."),
)
EDGE_COUNTERS = (
    ("connections_opened", "opened", "Clients let in."),
    ("messages_sent", "sends", "Frames written, one per client and turn."),
    ("frames_encoded", "frames", "Frames made, one per group and message."),
    ("frames_deflated", "deflates", "Frames compressed."),
    ("writes_blocked", "blocked", "Writes a client's socket did not take at once."),
    ("gaps_told", "skipped", "Times a slow client was skipped to the head."),
    ("protocol_errors", "protocolErrors", "Clients closed for breaking the protocol or a limit."),
    ("pong_timeouts", "pongTimeouts", "Clients closed for not answering a ping."),
)
EDGE_HISTOGRAMS = (
    ("delivery_delay_seconds", "delivery", "From publishing transfers to the last write of their turn."),
    ("broadcast_duration_seconds", "turn", "One turn of delivery, from its begin to its last write."),
    ("encode_duration_seconds", "encode", "Making the frames of one turn."),
)
UPSTREAM_COUNTERS = (
    ("upstream_polls", "polls", "Polls that were answered."),
    ("upstream_failures", "failures", "Requests without a usable answer."),
    ("upstream_late_rows", "lateRows", "Rows found behind the newest cursor."),
    ("upstream_duplicates", "duplicates", "Rows that came again."),
)
HISTORY_GAUGES = (
    ("history_file_bytes", "fileBytes", "Size of the database."),
    ("history_log_bytes", "logBytes", "Size of its write-ahead log."),
    ("history_unstored", "unstored", "Published records that wait for the disk."),
)
PLUGIN_COUNTERS = (
    ("plugin_calls", "calls", 1, "Calls of a plugin's functions."),
    ("plugin_failures", "failures", 1, "Calls that raised, answered nonsense or kept the loop waiting."),
    ("plugin_slow_calls", "slow", 1, "Calls of more than 100 ms."),
    ("plugin_seconds", "ms", 0.001, "Time spent in a plugin."),
)


class Sources(Views, Protocol):
    """What this view reads of an edge, besides the rest."""

    def own_metrics(self) -> list[dict[str, JSON]]:
        """Figures of this edge's plugins."""


class Collector:
    """Makes the metrics of one scrape."""

    def __init__(self, views: Sources) -> None:
        self._views = views

    def collect(self) -> Iterator[Metric]:
        edges: Edges = self._views.edges()
        yield from _edges(edges)
        yield from _reasons(edges)
        yield from _histograms(edges)
        yield from self._service(edges)
        yield from self._upstream()
        yield from self._history()
        yield from self._processes(edges)
        yield from self._plugins()
        yield from _plugin_health({"ingest": self._plugins_of_ingest(), **_plugins_of_edges(edges)})

    def _plugins_of_ingest(self) -> dict[str, Mapping[str, Any]]:
        return {found["name"]: found for found in self._views.ingest("plugins").get("plugins", ())}

    def _service(self, edges: Edges) -> Iterator[Metric]:
        yield _gauge("edges", "Edge processes that report.", len(edges))
        yield _gauge("edges_wanted", "Edge processes there should be.", self._views.edges_wanted())
        limit = self._views.config().get("MAX_CLIENTS", 0)
        yield _gauge("clients_limit", "MAX_CLIENTS; 0: no limit.", limit)
        yield _gauge("uptime_seconds", "Since this edge started.", self._views.uptime())
        age = self._views.state_age()
        if age is not None:
            yield _gauge("ingest_state_age_seconds", "Since ingest was last heard of.", age)
        position = self._views.ingest("position")
        yield _counter("transfers_published", "Transfers numbered in this epoch.", position.get("seq", 0))
        steps = self._views.ingest("clock").get("steps", 0)
        yield _counter("clock_steps", "Times the wall clock was stepped by more than 5 s.", steps)
        queued = self._views.ingest("scheduler").get("queued", 0)
        yield _gauge("transfers_scheduled", "Transfers that wait for their moment.", queued)

    def _upstream(self) -> Iterator[Metric]:
        upstream = self._views.ingest("upstream")
        for name, key, help in UPSTREAM_COUNTERS:
            yield _counter(name, help, upstream.get(key) or 0)
        state = GaugeMetricFamily("unionws_upstream_state", "1 for the present state.", labels=["state"])
        for word in STATES:
            state.add_metric([word], float(upstream.get("state", "down") == word))
        yield state
        if upstream.get("lastSuccess") is not None:
            age = max(0.0, (self._views.now_ms() - upstream["lastSuccess"]) / 1000)
            yield _gauge("upstream_last_success_age_seconds", "Since the last answered poll.", age)
        durations = (upstream.get("transport") or {}).get("durations")
        if durations:
            help = "Requests to the indexer, until the whole answer was there."
            yield _histogram("upstream_request_duration_seconds", help, [durations])

    def _history(self) -> Iterator[Metric]:
        history = self._views.ingest("history")
        for name, key, help in HISTORY_GAUGES:
            yield _gauge(name, help, history.get(key) or 0)
        yield _counter("history_given_up", "Transfers never stored.", history.get("givenUp") or 0)
        writable = float(bool(history) and not history.get("problem"))
        yield _gauge("history_writable", "1 while what is published is stored.", writable)

    def _processes(self, edges: Edges) -> Iterator[Metric]:
        found = {**edges, "ingest": self._views.ingest("process")}
        memory = GaugeMetricFamily(
            "unionws_process_resident_memory_bytes", "Resident memory.", labels=["process"]
        )
        cpu = CounterMetricFamily("unionws_process_cpu_seconds", "CPU used.", labels=["process"])
        lag = HistogramMetricFamily(
            "unionws_loop_lag_seconds", "How late the event loop is.", labels=["process"]
        )
        for name, process in found.items():
            if process:
                memory.add_metric([name], process["memoryMB"] * 1e6)
                cpu.add_metric([name], process["cpuSeconds"])
            dump = process.get("lag") or (process.get("measures") or {}).get("lag")
            if dump:
                _add(lag, [name], [dump])
        yield from (memory, cpu, lag)

    def _plugins(self) -> Iterator[Metric]:
        """Figures of plugins: ingest's, then this edge's where ingest has not the same."""
        found = {item["name"]: item for item in self._views.own_metrics()}
        found.update({item["name"]: item for item in self._views.ingest("metrics").get("metrics", ())})
        for item in found.values():
            labels = sorted({label for given, _ in item["samples"] for label in given})
            counter = item["kind"] == "counter"
            family = (CounterMetricFamily if counter else GaugeMetricFamily)(
                item["name"], item["help"], labels=labels
            )
            for given, number in item["samples"]:
                family.add_metric([str(given.get(label, "")) for label in labels], number)
            yield family


def _edges(edges: Edges) -> Iterator[Metric]:
    for name, key, help in EDGE_GAUGES:
        yield _per_edge(GaugeMetricFamily, name, key, help, edges)
    for name, key, help in EDGE_COUNTERS:
        yield _per_edge(CounterMetricFamily, name, key, help, edges)


def _per_edge(
    kind: Callable[..., Any], name: str, key: str, help: str, edges: Edges
) -> GaugeMetricFamily | CounterMetricFamily:
    family: GaugeMetricFamily | CounterMetricFamily = kind(f"unionws_{name}", help, labels=["edge"])
    for edge, counters in edges.items():
        family.add_metric([edge], counters.get(key, 0))
    return family


def _plugins_of_edges(edges: Edges) -> dict[str, Mapping[str, Mapping[str, Any]]]:
    """Of each edge the plugins that failed or were slow there; it reports no others."""
    return {edge: counters.get("plugins") or {} for edge, counters in edges.items()}


def _plugin_health(processes: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Iterator[Metric]:
    """How each plugin does in each process that tells of it."""
    labels = ["process", "plugin"]
    off = GaugeMetricFamily("unionws_plugin_switched_off", "1: it failed repeatedly.", labels=labels)
    held = GaugeMetricFamily("unionws_plugin_held_bytes", "Memory it held when last counted.", labels=labels)
    counted = [
        CounterMetricFamily(f"unionws_{name}", help, labels=labels) for name, _, _, help in PLUGIN_COUNTERS
    ]
    for process, plugins in processes.items():
        for plugin, figures in plugins.items():
            off.add_metric([process, plugin], float(figures["state"] == "switched off"))
            held.add_metric([process, plugin], figures.get("mb", 0) * 1e6)
            for family, (_, key, unit, _) in zip(counted, PLUGIN_COUNTERS, strict=True):
                family.add_metric([process, plugin], figures[key] * unit)
    yield from (off, held, *counted)


def _reasons(edges: Edges) -> Iterator[Metric]:
    """Refusals and closes over all edges: by edge, too, they would be too many series."""
    refused, gone = Counter[str](), Counter[str]()
    for counters in edges.values():
        refused.update(counters.get("refused") or {})
        gone.update(counters.get("gone") or {})
    for name, label, help, counts in (
        ("connections_refused", "reason", "Connections refused before they were greeted.", refused),
        ("connections_closed", "code", "Clients gone, by close code; 1006: lost.", gone),
    ):
        family = CounterMetricFamily(f"unionws_{name}", help, labels=[label])
        for word, count in sorted(counts.items()):
            family.add_metric([word], count)
        yield family


def _histograms(edges: Edges) -> Iterator[Metric]:
    for name, key, help in EDGE_HISTOGRAMS:
        dumps = [edge["measures"][key] for edge in edges.values() if key in edge.get("measures", ())]
        yield _histogram(name, help, dumps)


def _gauge(name: str, help: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"unionws_{name}", help, value=value)


def _counter(name: str, help: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"unionws_{name}", help, value=value)


def _histogram(name: str, help: str, dumps: list[Mapping[str, Any]]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(f"unionws_{name}", help, labels=[])
    _add(family, [], dumps)
    return family


def _add(family: HistogramMetricFamily, labels: list[str], dumps: list[Mapping[str, Any]]) -> None:
    """Prometheus counts each bucket with all those below it."""
    counts, total = added(dumps)
    buckets, below = [], 0
    for bound, count in zip([*map(str, BOUNDS), "+Inf"], counts, strict=True):
        below += count
        buckets.append((bound, float(below)))
    family.add_metric(labels, buckets, total)


class MetricsHandler(View):
    """For Prometheus."""

    views: Sources

    def get(self) -> None:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(Collector(self.views))
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        self.finish(generate_latest(registry))


ROUTES = [("/metrics", MetricsHandler)]
