"""The URL of a connection: the stream's address with filter and position in its query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

from unionws.errors import ClientError


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What to follow; empty means the server's default or any.

    Attributes:
        from_chains, to_chains: universal chain ids; wallets in canonical or display form.
        assets: symbols or base_token hex.
        min_amount: decimal text in display units.
    """

    channels: Sequence[str] = ()
    from_chains: Sequence[str] = ()
    to_chains: Sequence[str] = ()
    wallets: Sequence[str] = ()
    assets: Sequence[str] = ()
    network: str = ""
    min_amount: str = ""

    def parameters(self) -> dict[str, str]:
        """The query parameters that are not empty."""
        values = {
            "channels": ",".join(self.channels),
            "from": ",".join(self.from_chains),
            "to": ",".join(self.to_chains),
            "wallet": ",".join(self.wallets),
            "asset": ",".join(self.assets),
            "network": self.network,
            "minAmount": self.min_amount,
        }
        return {name: value for name, value in values.items() if value}


def check_address(url: str) -> SplitResult:
    """Splits a WebSocket address; raises ClientError for anything else."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, brackets that do not match
        usable = False
    if not usable or any(not letter.isprintable() or letter == " " for letter in url):
        raise ClientError(
            f"not a WebSocket address: {url!r} (expected something like ws://127.0.0.1:8080/ws)"
        )
    return parts


def connection_url(url: str, query: Query, position: dict[str, str]) -> str:
    """The address with the query's parameters and a position (``resume`` or ``cursor``, or none)."""
    parts = check_address(url)
    given = query.parameters() | position
    kept = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in given]
    text = urlencode([*kept, *given.items()], safe=",:")
    return urlunsplit((parts.scheme, parts.netloc, parts.path or "/", text, ""))
