from __future__ import annotations

import threading
from pathlib import Path

import pytest

from unionws import ServerMessage, hookimpl
from unionws.errors import PluginError, SettingsError
from unionws.testing import chain, running_server, transfer


class Nothing:
    @hookimpl
    def shutdown(self) -> None: ...


def test_what_the_upstream_brings_reaches_the_clients_whose_filter_passes_it() -> None:
    """Through the whole service: enriched, numbered, filtered; and it is healthy."""
    with running_server() as server:
        with server.client("transfers", query="from=osmosis.osmosis-1") as client:
            server.upstream.send(transfer(amount="1.5"), transfer("osmosis.osmosis-1", amount="2.25"))
            message = client.receive("transfers")
            (row,) = message["data"]
            assert (row["base_token_amount_display"], row["sort_order"]) == ("2.25", "000000000002")
            assert (message["seq"], row["routeKey"]) == (2, "osmosis.osmosis-1->ethereum.1")
        assert server.healthy()


def test_chains_and_failures_of_the_upstream_are_told() -> None:
    """A chain list goes to clients, an upstream that is down to the state of the service."""
    with running_server() as server, server.client("chains", "status") as client:
        server.upstream.list_chains(chain("a.1"), chain("b.2", testnet=True))
        listed = client.receive("chains")["data"]
        assert [row["universal_chain_id"] for row in listed] == ["a.1", "b.2"]
        server.upstream.fail()
        while client.receive("status")["data"]["upstream"] != "down":
            pass
        assert not server.healthy()


def test_a_client_asks_and_is_answered() -> None:
    """Requests and replies, with their id; what never comes is said."""
    with running_server() as server, server.client("status") as client:
        client.send("ping", id=7)
        assert client.receive("pong")["id"] == 7
        with pytest.raises(TimeoutError, match=r"no nonsense within 0\.05 s"):
            client.receive("nonsense", timeout=0.05)


def test_state_is_kept_where_the_test_wants_it(tmp_path: Path) -> None:
    """A second server on the same folder goes on with the numbers of the first."""
    for expected in (1, 2):
        with running_server(folder=tmp_path) as server, server.client("transfers") as client:
            server.upstream.send(transfer(sort_order=f"key{expected}"))
            assert client.receive("transfers")["seq"] == expected


def test_plugins_and_settings_are_checked_as_at_any_start() -> None:
    """And a server that cannot start leaves nothing behind."""

    class Wrong:
        @hookimpl
        def register_messages(self) -> list[ServerMessage]:
            return [ServerMessage("novendor", "Help.")]

    threads = threading.active_count()
    with pytest.raises(SettingsError, match="unknown setting PROT"), running_server(settings={"PROT": 1}):
        pass
    with pytest.raises(PluginError, match="'novendor' lacks a vendor"), running_server([Wrong()]):
        pass
    with running_server([Nothing()]) as server:
        assert server.plugin("Nothing").origin == "given"
    assert threading.active_count() == threads
