"""Refuses clients from listed networks: ``PLUGINS = ["unionws.contrib.blocklist"]``.

Addresses are those the limits see: behind a trusted proxy, the client's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from unionws.doors import Denied, HttpRequest
from unionws.extensions import Setting
from unionws.hookspecs import hookimpl
from unionws.pluginservice import Service

REFUSED = Denied("forbidden", "this address may not connect")


def networks(texts: Sequence[str]) -> list[IPv4Network | IPv6Network]:
    """Networks of texts such as ``192.0.2.0/24``; a setting's check."""
    try:
        return [ip_network(text) for text in texts]
    except ValueError as error:
        raise ValueError(f"must be networks such as 192.0.2.0/24: {error}") from None


class Blocklist:
    """The plugin."""

    def __init__(self) -> None:
        self._networks: list[IPv4Network | IPv6Network] = []
        self._listed = lru_cache(maxsize=10_000)(self._look_up)

    @hookimpl
    def register_settings(self) -> Sequence[Setting]:
        return [Setting("BLOCKLIST_NETWORKS", (), "Networks no client may come from.", check=networks)]

    @hookimpl
    def startup(self, service: Service) -> None:
        self._networks = networks(service.settings.extra["BLOCKLIST_NETWORKS"])
        self._listed.cache_clear()

    @hookimpl
    def authenticate(self, request: HttpRequest) -> Denied | None:
        return REFUSED if self._listed(request.address) else None

    def _look_up(self, address: str) -> bool:
        found = ip_address(address.partition("%")[0])
        return any(found in network for network in self._networks)


_plugin = Blocklist()
register_settings, startup, authenticate = _plugin.register_settings, _plugin.startup, _plugin.authenticate
