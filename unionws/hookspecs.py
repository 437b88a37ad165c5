"""Every hook of unionws, in the order things happen. The one place to read what can be extended.

A plugin is a module or object whose functions carry ``@unionws.hookimpl``. An implementation may
leave out arguments it does not need. *Runs in* says which process calls the hook: **ingest**
(polls, counts, publishes), **edge** (serves clients) or **both**; with EDGE_PROCESSES = 0 these
are one process.

``register_*`` hooks run once, at start; what they answer is checked, and a clash of names stops
the start with every provider named. All others run while the service does: each implementation is
guarded, so one that raises, takes too long (it is cut short) or answers nonsense is logged by name,
counted and switched off after repeated failures.

Hooks are versioned with the package: a hook or an argument that is to go keeps working for one
minor version, and whoever implements it is warned at start, with the replacement named.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from unionws.doors import Denied, HttpRequest, Identity, Route
    from unionws.extensions import (
        ClientRequest,
        FilterField,
        Metric,
        ServerMessage,
        Setting,
        Source,
        Statistic,
    )
    from unionws.model import JSON, Chain, EnrichedTransfer, TransfersRecord
    from unionws.pluginservice import Service
    from unionws.settings import Settings

hookspec = pluggy.HookspecMarker("unionws")
hookimpl = pluggy.HookimplMarker("unionws")


# ------------------------------------------------------------------------------------- settings


@hookspec
def register_settings() -> Sequence[Setting]:  # type: ignore[empty-body]
    """Declare settings of the plugin's own; they are given, checked and shown like all others.

    Runs in: both, once, while settings are read: before every other hook.

    Example::

        @hookimpl
        def register_settings():
            return [Setting("ACME_LIMIT", 100.0, "Smallest amount worth an alert.", low=0)]
    """


# ------------------------------------------------------------------------------------ lifecycle


@hookspec
def startup(service: Service) -> None:
    """The process is about to serve: open what the plugin needs.

    ``service`` is what the plugin may use from now on: settings, statistics, publish, a logger, a
    state store and threads.

    Runs in: both, once per process, before the first transfer.
    """


@hookspec
def shutdown() -> None:
    """The process is about to exit: close what the plugin opened.

    Runs in: both, once per process, after the last client was told; also for a plugin that was
    switched off.
    """


# --------------------------------------------------------------------------------------- source


@hookspec
def register_sources(settings: Settings) -> Sequence[Source]:  # type: ignore[empty-body]
    """Declare places transfers can come from; the setting SOURCE chooses one.

    Runs in: ingest, once at start.
    """


@hookspec
def chains_listed(chains: Sequence[Chain]) -> None:
    """The source told the chain list, or a changed one.

    Runs in: ingest, at start and at each change.
    """


# ----------------------------------------------------------------------------------- enrichment


@hookspec
def extend_transfers(  # type: ignore[empty-body]
    transfers: Sequence[EnrichedTransfer],
) -> Sequence[Mapping[str, JSON] | None]:
    """Add fields to the JSON of transfers; clients find them under ``ext.<plugin's name>``.

    Answer one mapping, or None, for each transfer, in the same order; 1 KB each at most.

    Runs in: ingest, once per poll that brought something.

    Example::

        @hookimpl
        def extend_transfers(transfers):
            return [{"label": LABELS[t.route_key]} if t.route_key in LABELS else None for t in transfers]
    """


@hookspec
def enriched(transfers: Sequence[EnrichedTransfer]) -> None:
    """A poll's new transfers were decoded and enriched; they are not yet published.

    Runs in: ingest, once per poll that brought something.
    """


# ----------------------------------------------------------------------------------- scheduling


@hookspec
def urgent(transfers: Sequence[EnrichedTransfer]) -> Collection[str]:  # type: ignore[empty-body]
    """Choose transfers that shall not wait for the smoothing; answer their ``sort_order``.

    Runs in: ingest, once per poll that brought something.
    """


# ----------------------------------------------------------------------------------- statistics


@hookspec
def register_statistics(settings: Settings) -> Sequence[Statistic]:  # type: ignore[empty-body]
    """Declare statistics for ``chartData``.

    Runs in: ingest, once at start.

    Example::

        @hookimpl
        def register_statistics(settings):
            return [Statistic("acme.biggest", Biggest())]
    """


# -------------------------------------------------------------------------------------- publish


@hookspec
def published(record: TransfersRecord) -> None:
    """Transfers were numbered and published to every edge.

    Runs in: ingest, once per record (at most MAX_TRANSFERS_PER_FRAME transfers), when it is with the
    clients or, from ingest alone, on its way to the edges.
    """


# -------------------------------------------------------------------------------------- filters


@hookspec
def register_filters(settings: Settings) -> Sequence[FilterField]:  # type: ignore[empty-body]
    """Declare fields that clients may filter transfers by.

    Runs in: edge, once at start. ``parse`` runs once per distinct filter, ``matches`` once per
    distinct filter and transfer that the index does not rule out; neither per client.
    """


# ------------------------------------------------------------------------------------- messages


@hookspec
def register_messages(settings: Settings) -> Sequence[ServerMessage]:  # type: ignore[empty-body]
    """Declare message types the server sends, and the channels they belong to.

    ``Service.publish`` sends one to the channel's subscribers; with ``about``, only to those whose
    filter passes the transfer it is about.

    Runs in: both, once at start.
    """


@hookspec
def register_requests(settings: Settings) -> Sequence[ClientRequest]:  # type: ignore[empty-body]
    """Declare message types clients may send, each with its handler.

    Runs in: edge, once at start; the handler runs once per message.
    """


# ---------------------------------------------------------------------------------- connections


@hookspec
def authenticate(request: HttpRequest) -> Identity | Denied | None:
    """Say who a client is, or refuse it; None leaves the question to the next plugin.

    The first answer counts. When one raises, answers nonsense or was switched off, the client is
    refused: a broken lock stays shut.

    Runs in: edge, once per connection, before it is greeted.
    """


@hookspec
def client_opened(client: int, address: str) -> None:
    """A WebSocket client was greeted. ``client`` is its number in this edge.

    Runs in: edge, once per connection.
    """


@hookspec
def client_closed(client: int, address: str, code: int) -> None:
    """A WebSocket client is gone. ``code``: close code, 1006 when it just vanished.

    Runs in: edge, once per connection.
    """


# ----------------------------------------------------------------------------- HTTP and metrics


@hookspec
def register_routes(settings: Settings) -> Sequence[Route]:  # type: ignore[empty-body]
    """Declare HTTP paths; those of third parties begin with ``/ext/<vendor>/``.

    Runs in: edge, once at start; the handler runs once per request.
    """


@hookspec
def register_metrics(settings: Settings) -> Sequence[Metric]:  # type: ignore[empty-body]
    """Declare figures for ``/metrics``.

    Runs in: both, once at start; a figure is read when somebody asks for it, once a second at most.
    """


# --------------------------------------------------------------------------------------- faults


@hookspec
def fault(kind: str, detail: Mapping[str, JSON]) -> None:
    """Something is wrong, or right again.

    ``kind`` and its ``detail``: ``upstream`` (``state``: ``ok``, ``stale`` or ``down``), ``history``
    (``problem``: why transfers are not stored, or None), ``plugin`` (``plugin``, ``hook`` and
    ``error`` of one that was switched off).

    Runs in: both, at each change.
    """
