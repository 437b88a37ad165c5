"""How nodes are doing: one result after the other in, ``nodeHealthData`` out. Pure.

A node is **healthy** when it gave a whole, right answer within SLOW seconds and is up to date;
**degraded** when the answer was right but slow, or the node is syncing or behind; **unhealthy** when
there was no right answer within the deadline. Its uptime is the share, in percent, of its last
REMEMBERED probes that were not unhealthy.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from unionws.model import JSON
from unionws.probes.calls import Target

SLOW = 2.0
REMEMBERED = 1_440
"""A day of probes, one a minute."""

LONGEST_ERROR = 80


@dataclass(frozen=True, slots=True)
class Result:
    """One probe.

    Attributes:
        seconds: until the last answer; where there was none, until that was clear.
        height: newest block, when there was a right answer.
        trouble: what was not as it should be, or "".
    """

    seconds: float
    height: int | None = None
    trouble: str = ""

    @property
    def status(self) -> str:
        """``healthy``, ``degraded`` or ``unhealthy``."""
        if self.height is None:
            return "unhealthy"
        return "degraded" if self.trouble or self.seconds > SLOW else "healthy"


@dataclass(slots=True)
class _Node:
    target: Target
    last: Result | None = None
    checked: float = 0.0
    answered: deque[bool] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    @property
    def uptime(self) -> float:
        return _percent(self.answered)


class Standing:
    """All nodes with their newest results."""

    def __init__(self) -> None:
        self._nodes: dict[tuple[str, str], _Node] = {}

    def use(self, found: Iterable[Target]) -> None:
        """These are the nodes from now on; those known before keep what is known of them."""
        known = self._nodes
        self._nodes = {}
        for target in found:
            key = (target.chain, target.url)
            node = known.get(key) or _Node(target)
            node.target = target
            self._nodes[key] = node

    def take(self, target: Target, result: Result, now: float) -> None:
        """A node was probed; ``now``: Unix seconds. One that is not asked any more is passed over."""
        node = self._nodes.get((target.chain, target.url))
        if node is not None:
            node.last, node.checked = result, now
            node.answered.append(result.status != "unhealthy")

    def data(self) -> dict[str, JSON] | None:
        """The contract's NodeHealth object; None before the first result."""
        nodes = [(node, node.last) for node in self._nodes.values() if node.last is not None]
        if not nodes:
            return None
        results = [result for _, result in nodes]
        by_chain: dict[str, list[tuple[_Node, Result]]] = {}
        for node, result in nodes:
            by_chain.setdefault(node.target.chain, []).append((node, result))
        return {
            "totalNodes": len(nodes),
            **{f"{status}Nodes": _having(results, status) for status in ("healthy", "degraded", "unhealthy")},
            "avgResponseTime": _average(results),
            "nodesWithRpcs": [_node(node, result) for node, result in nodes],
            "chainHealthStats": {chain: _chain(group) for chain, group in by_chain.items()},
        }


def _node(node: _Node, result: Result) -> dict[str, JSON]:
    target = node.target
    data: dict[str, JSON] = {
        "chainId": target.chain,
        "chainName": target.chain_name,
        "rpcUrl": target.url,
        "rpcType": target.family,
        "status": result.status,
        "responseTimeMs": round(result.seconds * 1000),
        "lastCheckTime": int(node.checked),
        "uptime": node.uptime,
    }
    if result.height is not None:
        data["latestBlockHeight"] = result.height
    if result.trouble:
        data["errorMessage"] = result.trouble[:LONGEST_ERROR]
    return data


def _chain(group: Sequence[tuple[_Node, Result]]) -> Mapping[str, JSON]:
    results = [result for _, result in group]
    return {
        "chainName": group[0][0].target.chain_name,
        "healthyNodes": _having(results, "healthy"),
        "totalNodes": len(group),
        "avgResponseTime": _average(results),
        "uptime": _percent([answered for node, _ in group for answered in node.answered]),
    }


def _having(results: Iterable[Result], status: str) -> int:
    return sum(result.status == status for result in results)


def _average(results: Iterable[Result]) -> int:
    """Mean time of those that answered, in whole ms; 0 when none did."""
    times = [result.seconds for result in results if result.height is not None]
    return round(1000 * sum(times) / len(times)) if times else 0


def _percent(answered: Sequence[bool]) -> float:
    return round(100 * sum(answered) / len(answered), 2) if answered else 0.0
