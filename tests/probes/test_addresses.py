"""Which addresses may be probed."""

from __future__ import annotations

import pytest
from urllib3.connection import HTTPConnection

from unionws.probes.addresses import CheckedLine, PrivateAddress, is_public

INNER = [
    "127.0.0.1",
    "127.8.9.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "192.0.2.1",
    "198.18.0.1",
    "240.0.0.1",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2001:db8::1",
    "localhost",
    "",
    "1.2.3",
]
PUBLIC = [
    "1.1.1.1",
    "93.184.216.34",
    "2606:4700:4700::1111",
    "::ffff:1.1.1.1",
    "64:ff9b::101:101",
    "2002:101:101::1",
]


@pytest.mark.parametrize("address", INNER)
def test_what_is_not_the_public_internet_is_refused(address: str) -> None:
    """Loopback, private, link-local (cloud metadata), shared, reserved, and IPv4 inside IPv6."""
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    """Both families."""
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "0.0.0.0", "2130706433", "0x7f.1"])
def test_a_name_is_judged_by_what_it_resolves_to(host: str) -> None:
    """However an inner address is written, the connection is refused before it is made."""
    connection = HTTPConnection(host, 9)
    with pytest.raises(PrivateAddress):
        CheckedLine(private=False).resolve(connection)
    assert CheckedLine(private=True).resolve(connection)


def test_one_inner_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that offers both would be a matter of luck."""
    entries = [(2, 1, 6, "", ("1.1.1.1", 80)), (2, 1, 6, "", ("10.0.0.1", 80))]
    monkeypatch.setattr("unionws.source.line.Line.resolve", lambda self, connection: entries)
    with pytest.raises(PrivateAddress):
        CheckedLine(private=False).resolve(HTTPConnection("both.example", 80))
    del entries[1]
    assert CheckedLine(private=False).resolve(HTTPConnection("one.example", 80)) == entries
