"""The URL of a connection."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from unionws.client.address import Query, check_address, connection_url
from unionws.errors import ClientError


def test_filter_and_position_become_query_parameters() -> None:
    """Every filter option has its parameter; lists are joined by commas."""
    query = Query(
        channels=("transfers", "status"),
        from_chains=("union.union-1",),
        to_chains=("ethereum.1", "babylon.bbn-1"),
        wallets=("0xab",),
        assets=("U",),
        network="mainnet",
        min_amount="1.5",
    )
    url = connection_url("ws://example.org:81/ws", query, {"resume": "epoch001:7"})
    assert urlsplit(url)[:3] == ("ws", "example.org:81", "/ws")
    assert parse_qs(urlsplit(url).query) == {
        "channels": ["transfers,status"],
        "from": ["union.union-1"],
        "to": ["ethereum.1,babylon.bbn-1"],
        "wallet": ["0xab"],
        "asset": ["U"],
        "network": ["mainnet"],
        "minAmount": ["1.5"],
        "resume": ["epoch001:7"],
    }


def test_own_parameters_replace_those_of_the_address() -> None:
    """What the address already asks for stays, unless an option says otherwise."""
    url = connection_url("wss://example.org/ws?key=k&from=a&form=single", Query(from_chains=("b",)), {})
    assert parse_qs(urlsplit(url).query) == {"key": ["k"], "form": ["single"], "from": ["b"]}


def test_awkward_values_are_quoted() -> None:
    """A value cannot add parameters of its own."""
    url = connection_url("ws://h/ws", Query(wallets=("a&channels=x#y",)), {})
    assert parse_qs(urlsplit(url).query) == {"wallet": ["a&channels=x#y"]}


def test_address_without_path_or_query_is_left_alone() -> None:
    """No options: nothing is added but the root path."""
    assert connection_url("ws://h:1", Query(), {}) == "ws://h:1/"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8080",
        "http://h/ws",
        "ws://",
        "ws://h:notaport/ws",
        "ws://h:70000/",
        "ws://[::1/ws",
        "ws://h/a b",
    ],
)
def test_other_addresses_are_refused_by_name(url: str) -> None:
    """An unusable address is named in the error."""
    with pytest.raises(ClientError) as caught:
        check_address(url)
    assert repr(url) in str(caught.value)
