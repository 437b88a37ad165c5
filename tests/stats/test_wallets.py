"""Active wallets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.stats.traffic import NOW, transfer, wallet
from unionws.stats import wallets as module
from unionws.stats.wallets import Wallets, wallet_key


@pytest.mark.parametrize(
    ("canonical", "key"),
    [
        ("0xAb01", b"\xab\x01"),
        ("0x", None),
        ("", None),
        (None, None),
        ("0xabc", None),
        ("union1abc", None),
        ("0x" + "00" * 65, None),
    ],
)
def test_a_wallet_is_its_canonical_bytes(canonical: str | None, key: bytes | None) -> None:
    """Letter case does not matter; what is not hex, or far too long, is no wallet."""
    assert wallet_key(canonical) == key


def counted(*items: Any) -> Any:
    wallets = Wallets("1m")
    wallets.observe(items, NOW)
    return wallets.snapshot(NOW)


def test_a_wallet_in_both_roles_counts_once_in_total() -> None:
    """Total is a union of senders and receivers, in windows and ever."""
    a, b, c = wallet(1), wallet(2), wallet(3)
    rates = counted(transfer(NOW, sender=a, receiver=b), transfer(NOW, sender=b, receiver=c))
    rates = rates["activeWalletRates"]
    assert (rates["sendersLastMin"], rates["receiversLastMin"], rates["totalLastMin"]) == (2, 2, 3)
    assert (rates["uniqueSendersTotal"], rates["uniqueTotalWallets"]) == (2, 3)


def test_the_same_bytes_on_two_chains_are_one_wallet_shown_as_last_seen() -> None:
    """The list shows no chain; the display form is the newest transfer's, even if it came first."""
    sender = wallet(1)
    data = counted(
        transfer(NOW - 5, sender=sender, sender_display="osmo1new"),
        transfer(NOW - 9, sender=sender.upper().replace("0X", "0x"), sender_display="union1old"),
    )
    assert [(w["count"], w["address"], w["displayAddress"]) for w in data["activeSenders"]] == [
        (2, sender, "osmo1new")
    ]


def test_ties_are_ordered_by_address() -> None:
    """Twelve wallets with one transfer each: the ten smallest addresses, ascending."""
    addresses = [wallet(number) for number in range(12)]
    data = counted(*(transfer(NOW, sender=address) for address in addresses))
    shown = [entry["address"] for entry in data["activeSendersTimeScale"]["30d"]]
    assert shown == sorted(addresses)[:10]


def test_unknown_addresses_count_no_wallet() -> None:
    """The transfer's other side still does."""
    data = counted(transfer(NOW, sender=None), transfer(NOW, sender="not hex"))
    assert data["activeSenders"] == []
    assert data["activeWalletRates"]["sendersLastMin"] == 0
    assert data["activeWalletRates"]["receiversLastMin"] == 1


def test_what_was_forgotten_is_shown_canonically_with_the_time_of_its_bucket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A wallet that left the book still has an address and a last activity."""
    monkeypatch.setattr(module, "_BOOK", 2)
    old = transfer(NOW - 10, sender=wallet(1), sender_display="shown")
    data = counted(old, old, *(transfer(NOW, sender=wallet(n)) for n in range(2, 9)))
    first = data["activeSenders"][0]
    assert (first["count"], first["displayAddress"]) == (2, wallet(1))
    assert first["lastActivity"] == "2025-10-09T09:13:44Z"


def test_over_the_budget_counts_are_low_by_no_more_than_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The busiest wallet is still the first, and the bound holds."""
    monkeypatch.setattr(module, "BUDGET", 300)
    wallets = Wallets("1m")
    for number in range(3000):
        busy = number % 10 == 0
        item = transfer(NOW + number / 10, sender=wallet(1 if busy else number + 2))
        wallets.observe([item], NOW + number / 10)
    day = wallets.snapshot(NOW + 300)["activeSendersTimeScale"]["1d"]
    missing = max(wallets.senders.missing(window) for window in module.SCALES if window.key == "1d")
    assert day[0]["address"] == wallet(1)
    assert missing > 0
    assert 300 - missing <= day[0]["count"] <= 300
