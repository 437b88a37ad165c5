"""Which addresses may be probed: RPC addresses are somebody else's text, and we are inside a network.

A name is resolved once, every address it has is checked, and the connection goes to a checked address,
never to the name again: so a name that changes its mind between the look and the call gains nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

from urllib3.connection import HTTPConnection

from unionws.source.line import Line

NAT64 = IPv6Network("64:ff9b::/96")


class PrivateAddress(OSError):
    """The name leads to an address that is not public."""


def is_public(address: str) -> bool:
    """Whether an address belongs to the public internet, the IPv4 address inside an IPv6 one too."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inner = _inner(found)
    if inner is not None and not is_public(str(inner)):
        return False
    mapped = isinstance(found, IPv6Address) and found.ipv4_mapped is not None
    return (mapped or found.is_global) and not found.is_multicast


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | None:
    if isinstance(address, IPv4Address):
        return None
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)


class CheckedLine(Line):
    """Connections of one prober, to public addresses only unless told otherwise.

    Args:
        private: whether private addresses may be probed.
    """

    def __init__(self, *, private: bool) -> None:
        super().__init__()
        self._private = private

    def resolve(self, connection: HTTPConnection) -> Sequence[Any]:
        """As of Line.

        Raises:
            PrivateAddress: one of the addresses is not public.
        """
        found = super().resolve(connection)
        if not self._private and not all(is_public(str(entry[4][0])) for entry in found):
            raise PrivateAddress("not a public address")
        return found
