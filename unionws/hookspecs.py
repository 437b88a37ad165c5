"""Every hook of unionws, in the order things happen. The one place to read what can be extended.

A plugin is a module or object whose functions carry ``@unionws.hookimpl``. An implementation may
leave out arguments it does not need. *Runs in* says which process calls the hook: **ingest**
(polls, counts, publishes), **edge** (serves clients) or **both**; with EDGE_PROCESSES = 0 these
are one process.

``register_*`` hooks run once, at start; what they answer is checked, and a clash of names stops
the start with every provider named. All others are events: each implementation is guarded, so
one that raises is logged by name, counted and switched off after repeated failures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from unionws.extensions import ClientRequest, FilterField, ServerMessage, Statistic
    from unionws.model import EnrichedTransfer, TransfersRecord
    from unionws.settings import Settings

hookspec = pluggy.HookspecMarker("unionws")
hookimpl = pluggy.HookimplMarker("unionws")


# ------------------------------------------------------------------------------------ lifecycle


@hookspec
def startup(settings: Settings) -> None:
    """The process is about to serve: open what the plugin needs.

    Runs in: both, once per process, before the first transfer.
    """


@hookspec
def shutdown() -> None:
    """The process is about to exit: close what the plugin opened.

    Runs in: both, once per process, after the last client was told.
    """


# ----------------------------------------------------------------------------------- enrichment


@hookspec
def enriched(transfers: Sequence[EnrichedTransfer]) -> None:
    """A poll's new transfers were decoded and enriched; they are not yet published.

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

    Runs in: ingest, once per record (at most MAX_TRANSFERS_PER_FRAME transfers).
    """


# -------------------------------------------------------------------------------------- filters


@hookspec
def register_filters(settings: Settings) -> Sequence[FilterField]:  # type: ignore[empty-body]
    """Declare fields that clients may filter transfers by.

    Runs in: edge, once at start. A field's functions run once per distinct filter, not per client.
    """


# ------------------------------------------------------------------------------------- messages


@hookspec
def register_messages(settings: Settings) -> Sequence[ServerMessage]:  # type: ignore[empty-body]
    """Declare message types the server sends, and the channels they belong to.

    Runs in: both, once at start.
    """


@hookspec
def register_requests(settings: Settings) -> Sequence[ClientRequest]:  # type: ignore[empty-body]
    """Declare message types clients may send, each with its handler.

    Runs in: edge, once at start; the handler runs once per message.
    """


# ---------------------------------------------------------------------------------- connections


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
