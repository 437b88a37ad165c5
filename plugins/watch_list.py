"""Sample plugin: a watch list of wallets, given as ``SAMPLES_WATCHLIST = ["treasury=0xab..."]``.

- A transfer from or to a listed wallet carries ``ext.watch_list.labels``, and is not held back.
- The filter field ``samples.watched`` takes labels (a list), or true for the whole list.
- ``GET /ext/samples/watchlist`` tells how many transfers each label had; counts survive restarts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from unionws import (
    EnrichedTransfer,
    FilterField,
    Fragment,
    HttpRequest,
    Route,
    Service,
    Setting,
    Statistic,
    TransfersRecord,
    hookimpl,
)

FIELD = "samples.watched"
MAX_LABELS = 1_000


class Here:
    """The list, label by canonical address; and what startup was handed."""

    service: Service
    labels: ClassVar[dict[str, str]] = {}
    counts: ClassVar[dict[str, int]] = {}


def wallets(texts: Sequence[str]) -> dict[str, str]:
    """Label by address, of texts such as ``treasury=0xab12``."""
    pairs = [text.partition("=") for text in texts]
    for label, _, address in pairs:
        if not label.strip() or not address.strip().lower().startswith("0x"):
            raise ValueError("must be label=0x... with the canonical address in hex")
    if len(pairs) > MAX_LABELS:
        raise ValueError(f"has {len(pairs)} entries; at most {MAX_LABELS} are allowed")
    return {address.strip().lower(): label.strip() for label, _, address in pairs}


@hookimpl
def register_settings() -> list[Setting]:
    return [Setting("SAMPLES_WATCHLIST", (), "Wallets to watch, as label=0xaddress.", check=wallets)]


@hookimpl
def startup(service: Service) -> None:
    Here.service = service
    Here.labels = wallets(service.settings.extra["SAMPLES_WATCHLIST"])
    known = service.state.get("counts", {})
    Here.counts = {label: known.get(label, 0) for label in Here.labels.values()}


def labels_of(sender: str | None, receiver: str | None) -> list[str]:
    found = [Here.labels.get((address or "").lower()) for address in (sender, receiver)]
    return sorted({label for label in found if label is not None})


# ------------------------------------------------------------------------------------ transfers


def labelled(item: EnrichedTransfer) -> list[str]:
    return labels_of(item.transfer.sender_canonical, item.transfer.receiver_canonical)


@hookimpl
def extend_transfers(transfers: Sequence[EnrichedTransfer]) -> list[dict[str, Any] | None]:
    found = [labelled(item) for item in transfers]
    return [{"labels": labels} if labels else None for labels in found]


@hookimpl
def urgent(transfers: Sequence[EnrichedTransfer]) -> set[str]:
    return {item.transfer.sort_order for item in transfers if labelled(item)}


@hookimpl
def published(record: TransfersRecord) -> None:
    seen = [label for item in record.items for label in labels_of(item.sender, item.receiver)]
    for label in seen:
        Here.counts[label] = Here.counts.get(label, 0) + 1
    if seen:
        Here.service.state.set("counts", Here.counts)


class Watched:
    """The counts, in chartData: so every edge has them."""

    def observe(self, batch: Sequence[EnrichedTransfer], now: float) -> None:
        """They are counted when they are published."""

    def snapshot(self, now: float) -> dict[str, Any]:
        most = sorted(Here.counts.items(), key=lambda pair: (-pair[1], pair[0]))
        return {"transfers": dict(most[:100])}


@hookimpl
def register_statistics() -> list[Statistic]:
    return [Statistic(FIELD, Watched())]


# --------------------------------------------------------------------------------------- asking


def parse(value: Any) -> tuple[str, ...] | None:
    if value is True:
        return tuple(sorted(set(Here.labels.values())))
    if not isinstance(value, list) or not all(isinstance(label, str) for label in value):
        raise ValueError("must be true or a list of labels")
    unknown = sorted(set(value) - set(Here.labels.values()))
    if unknown:
        raise ValueError(f"{unknown[0][:60]!r} is no label of the watch list")
    return tuple(sorted(set(value))) or None


def keys_of(item: Fragment) -> list[str]:
    return labels_of(item.sender, item.receiver)


@hookimpl
def register_filters() -> list[FilterField]:
    return [
        FilterField(
            FIELD,
            parse,
            matches=lambda wanted, item: any(label in wanted for label in keys_of(item)),
            dump=list,
            keys=iter,
            item_keys=keys_of,
        )
    ]


def show(request: HttpRequest) -> dict[str, Any]:
    counts = Here.service.statistics().get("ext", {}).get(FIELD, {}).get("transfers", {})
    return {"watched": {label: counts.get(label, 0) for label in sorted(Here.labels.values())}}


@hookimpl
def register_routes() -> list[Route]:
    return [Route("/ext/samples/watchlist", "The labels and how many transfers each had.", show)]
