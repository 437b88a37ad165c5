"""The indexer without a network: requests in, answers out."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from graphql import GraphQLError

from unionws.source.simulator.chainlist import CHAIN_FIELDS, features, latency
from unionws.source.simulator.execution import Executor, RefusedError, Tables, load_schema
from unionws.source.simulator.faults import Faults, duplicated, with_bad_rows, with_nulls
from unionws.source.simulator.rows import TRANSFER_FIELDS, Moment
from unionws.source.simulator.search import TransferArgs, find_transfers, rows_between
from unionws.source.simulator.traffic import Row, Traffic
from unionws.source.simulator.world import ChainFacts, load_world

_FLAT = {
    name: get for name, get in TRANSFER_FIELDS.items() if not name.endswith(("_chain", "_meta", "traces"))
}


class Indexer:
    """Answers GraphQL requests about the traffic of one seed.

    Attributes:
        faults: what goes wrong with rows; may be replaced at any time.
        chains: the list that ``v2_chains`` shows; may be replaced at any time.
        rpc_base: when set, chains' RPC addresses lead below this URL.
    """

    def __init__(self, traffic: Traffic, *, seed: int, faults: Faults) -> None:
        self.faults = faults
        self.chains: tuple[ChainFacts, ...] = load_world().chains
        self.rpc_base: str | None = None
        self._traffic, self._seed, self._random = traffic, seed, Random(seed)
        self._executor = Executor(load_schema(), self._tables())

    def answer(self, request: Any, now: float) -> dict[str, Any]:
        """The answer to a decoded request body, as visible at ``now`` (Unix seconds)."""
        problem = _malformed(request)
        if problem is not None:
            return {"errors": [{"message": problem}]}
        moment = Moment(now, self._traffic.ids, self.rpc_base)
        variables = request.get("variables") or {}
        name = request.get("operationName") or None
        try:
            return {"data": self._executor.execute(request["query"], variables, name, moment)}
        except RefusedError as error:
            return {"errors": error.errors}

    def between(self, start: float, end: float) -> list[dict[str, Any]]:
        """Every transfer sent in [start, end) (Unix seconds), visible or not, by ``sort_order``.

        The flat fields as of ``end``, and ``sent_at`` and ``visible_at`` in Unix seconds.
        """
        moment = Moment(end, self._traffic.ids)
        return [self._truth(row, moment) for row in rows_between(self._traffic, start, end)]

    def _truth(self, row: Row, moment: Moment) -> dict[str, Any]:
        times = {"sent_at": row.sent, "visible_at": row.visible_at(self.faults.late)}
        return {name: get(row, moment) for name, get in _FLAT.items()} | times

    def _tables(self) -> Tables:
        return Tables(
            fields={"v2_transfer_type": TRANSFER_FIELDS, "v2_chain_type": CHAIN_FIELDS},
            with_arguments={
                ("Query", "v2_transfers"): self._transfers,
                ("Query", "v2_chains"): self._chains,
                ("Query", "v2_stats_latency"): _latency,
                ("v2_chain_type", "features"): features,
                ("v2_token_meta", "wrapping"): _wrapping,
            },
            rewrites={("Query", "v2_transfers"): self._spoil},
        )

    def _transfers(self, _source: None, moment: Moment, args: Mapping[str, Any]) -> list[Row]:
        try:
            asked = TransferArgs(**args)
        except ValueError as error:
            raise GraphQLError(str(error)) from error
        rows = find_transfers(asked, self._traffic, moment, self.faults.late)
        return duplicated(rows, self.faults.duplicates, self._random)[: asked.limit]

    def _chains(self, _source: None, _moment: Moment, args: Mapping[str, Any]) -> list[ChainFacts]:
        """The chains by universal id, which is their cursor too."""
        wanted, cursor = args.get("p_universal_chain_id"), args.get("p_sort_order")
        descending = cursor is not None and args["p_comparison"] == "lt"
        found = [
            chain
            for chain in sorted(self.chains, key=lambda chain: chain.universal_chain_id, reverse=descending)
            if (wanted is None or chain.universal_chain_id == wanted)
            and (cursor is None or chain.universal_chain_id != cursor)
            and (cursor is None or (chain.universal_chain_id < cursor) == descending)
        ]
        limit = args.get("p_limit")
        return found if limit is None else found[: max(0, limit)]

    def _spoil(self, rows: list[Any]) -> list[Any]:
        faults = self.faults
        if faults.nulls:
            rows = with_nulls(rows, faults.nulls, self._seed)
        share = 1.0 if faults.mode == "rows" and self._random.random() < faults.chance else faults.bad_rows
        return with_bad_rows(rows, share, self._random) if share else rows


def _malformed(request: Any) -> str | None:
    """Why a body is not a GraphQL request, or None."""
    if not isinstance(request, dict):
        return "The body is not a JSON object."
    if not isinstance(request.get("query"), str):
        return "The body has no 'query' text."
    if not isinstance(request.get("variables") or {}, dict):
        return "'variables' is not an object."
    if not isinstance(request.get("operationName") or "", str):
        return "'operationName' is not a text."
    unknown = set(request) - {"query", "variables", "operationName", "extensions"}
    return f"The body has unknown keys: {', '.join(sorted(unknown))}." if unknown else None


def _latency(_source: None, _moment: Moment, args: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return latency(args.get("p_source_universal_chain_id"), args.get("p_destination_universal_chain_id"))


def _wrapping(meta: Mapping[str, Any], _moment: Moment, where: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """``where`` is {destination_channel_id: {_eq: number}}."""
    condition = where.get("destination_channel_id")
    found: list[Mapping[str, Any]] = meta["wrapping"]
    if condition is None:
        return found
    return [entry for entry in found if entry["destination_channel_id"] == condition["_eq"]]
