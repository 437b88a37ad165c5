"""What a client chooses in its URL."""

from __future__ import annotations

import pytest

from unionws.connections.query import MAX_FIELDS, NOTHING_CHOSEN, read
from unionws.errors import RequestError

CHANNELS = frozenset({"transfers", "chartData", "status"})


def refusal(query: str) -> RequestError:
    with pytest.raises(RequestError) as caught:
        read(query, CHANNELS)
    return caught.value


def test_no_query_chooses_nothing() -> None:
    """An empty query leaves everything to the server."""
    assert read("", CHANNELS) is NOTHING_CHOSEN
    assert (NOTHING_CHOSEN.form, NOTHING_CHOSEN.channels, dict(NOTHING_CHOSEN.filter)) == (None, None, {})


@pytest.mark.parametrize("form", ["batch", "single"])
def test_form_is_chosen(form: str) -> None:
    """Both forms can be asked for."""
    assert read(f"form={form}", CHANNELS).form == form


def test_unknown_form_is_refused() -> None:
    """The refusal names what is allowed."""
    error = refusal("form=list")
    assert error.code == "invalid_message"
    assert "batch, single" in error.message


def test_channels_are_a_list_by_commas() -> None:
    """Spaces and empty names do not matter."""
    assert read("channels=transfers,%20status,", CHANNELS).channels == {"transfers", "status"}
    assert read("channels=", CHANNELS).channels == frozenset()


def test_unknown_channel_is_refused() -> None:
    """A misspelt channel is named, with the known ones."""
    error = refusal("channels=transfers,transfer")
    assert error.code == "unknown_channel"
    assert "'transfer'" in error.message
    assert "chartData, status, transfers" in error.message


def test_filter_parameters_become_a_filter() -> None:
    """Lists are split at commas, single values are not."""
    query = "from=a.1,b.2&to=c.3&chain=d.4&wallet=0xab&asset=U,USDC&network=mainnet&minAmount=1.5"
    assert read(query, CHANNELS).filter == {
        "fromChains": ["a.1", "b.2"],
        "toChains": ["c.3"],
        "chains": ["d.4"],
        "wallets": ["0xab"],
        "assets": ["U", "USDC"],
        "network": "mainnet",
        "minAmount": "1.5",
    }


def test_empty_filter_parameters_filter_nothing() -> None:
    """from= is the same as no from."""
    assert dict(read("from=&to=%20&wallet=", CHANNELS).filter) == {}


def test_percent_encoding_is_read() -> None:
    """Values may be encoded as forms do."""
    assert read("wallet=0xab%2C0xcd&asset=A+B", CHANNELS).filter == {
        "wallets": ["0xab", "0xcd"],
        "assets": ["A B"],
    }


def test_parameters_of_others_are_left_alone() -> None:
    """Proxies and trackers add their own."""
    assert read("utm_source=x&form=single", CHANNELS).form == "single"


def test_too_many_parameters_are_refused() -> None:
    """A query cannot be used to make the server work."""
    assert refusal("&".join(["a=1"] * (MAX_FIELDS + 1))).code == "invalid_message"
