from __future__ import annotations

import asyncio

import pytest

from unionws import Denied, HttpRequest
from unionws.assembly import assemble
from unionws.errors import SettingsError
from unionws.pluginhost import PluginHost

PLUGIN = ["PLUGINS_DIR=", "PLUGINS=unionws.contrib.blocklist"]


def host(*networks: str) -> PluginHost:
    return assemble(None, [*PLUGIN, f"BLOCKLIST_NETWORKS={','.join(networks)}"], {}, [])[1]


def verdicts(made: PluginHost, *addresses: str) -> list[bool]:
    """Which of the addresses are refused."""

    async def ask() -> list[bool]:
        made.start()
        answers = [made.authenticate(HttpRequest("/ws", {}, {}, address)) for address in addresses]
        made.stop()
        return [isinstance(answer, Denied) for answer in answers]

    return asyncio.run(ask())


def test_listed_networks_are_refused_and_nobody_else() -> None:
    """Both families; who is not listed is left to the next plugin."""
    made = host("192.0.2.0/24", "2001:db8::/32")
    asked = ("192.0.2.9", "192.0.3.9", "2001:db8::1", "::1", "fe80::1%eth0")
    assert verdicts(made, *asked) == [True, False, True, False, False]
    assert verdicts(host(), *asked) == [False] * 5


def test_an_address_that_is_none_is_refused() -> None:
    """Who cannot be looked up cannot be let in; that counts as the plugin's failure."""
    made = host("192.0.2.0/24")
    assert verdicts(made, "nonsense") == [True]
    assert made.plugins()[0].failures == 1


def test_a_wrong_network_stops_the_start() -> None:
    """The setting is checked when it is read."""
    with pytest.raises(SettingsError, match="must be networks such as"):
        host("192.0.2.0/33")
