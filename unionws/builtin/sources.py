"""The sources that come with unionws: the indexer, and recordings."""

from __future__ import annotations

from collections.abc import Sequence

from unionws.extensions import Source
from unionws.hookspecs import hookimpl
from unionws.source.indexer import Indexer


@hookimpl
def register_sources() -> Sequence[Source]:
    return [Source("indexer", "The Union indexer, polled over GraphQL.", Indexer)]
