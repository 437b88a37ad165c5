"""The opening handshake, decided without I/O."""

from __future__ import annotations

import pytest
import ujson

from unionws.connections.handshake import (
    Accept,
    Refuse,
    Upgrade,
    accept_key,
    decide,
    deflate_answer,
    plain_address,
)

HEADERS = {
    "host": "example.org",
    "upgrade": "websocket",
    "connection": "Upgrade",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    "sec-websocket-version": "13",
}
PLAIN = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


def answer(
    *, method: str = "GET", version: str = "1.1", origins: tuple[str, ...] = (), deflate: bool = True,
    **changed: str | None,
) -> Accept | Refuse:  # fmt: skip
    headers = {**HEADERS, **{name.replace("_", "-"): value for name, value in changed.items()}}
    present = {name: value for name, value in headers.items() if value is not None}
    request = Upgrade(method, version, "", present, "192.0.2.1")
    return decide(
        request, origin_allowed=lambda origin: not origins or origin in origins, deflate_allowed=deflate
    )


def refusal(**changes: str | None) -> Refuse:
    found = answer(**changes)  # type: ignore[arg-type]
    assert isinstance(found, Refuse)
    return found


def test_key_of_the_standard() -> None:
    """The example of RFC 6455 §1.3."""
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_plain_handshake_is_accepted() -> None:
    """The answer has what RFC 6455 §4.2.2 asks for, and no extension nobody offered."""
    found = answer()
    assert isinstance(found, Accept)
    head, _, rest = found.response.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 101 Switching Protocols"
    assert set(lines[1:]) == {
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
    }
    assert (rest, found.deflate) == (b"", False)


def test_tokens_are_read_as_lists_in_any_case() -> None:
    """Firefox sends Connection: keep-alive, Upgrade."""
    assert isinstance(answer(connection="keep-alive, UPGRADE", upgrade="WebSocket"), Accept)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"host": None}, 400),
        ({"host": ""}, 400),
        ({"version": "1.0"}, 400),
        ({"connection": None}, 400),
        ({"connection": "keep-alive"}, 400),
        ({"sec_websocket_key": None}, 400),
        ({"sec_websocket_key": "short"}, 400),
        ({"sec_websocket_key": "dGhlIHNhbXBsZSBub25jZQ"}, 400),
        ({"sec_websocket_key": "not base64 at all !!!!!!"}, 400),
        ({"sec_websocket_key": "é" * 24}, 400),
        ({"sec_websocket_key": "dGhlIHNhbXBsZSBub25jZTEy"}, 400),
        ({"sec_websocket_key": "dGhlIHNhbXBsZSBub25jZQ==,dGhlIHNhbXBsZSBub25jZQ=="}, 400),
        ({"upgrade": None}, 426),
        ({"upgrade": "h2c"}, 426),
        ({"sec_websocket_version": None}, 426),
        ({"sec_websocket_version": "8"}, 426),
        ({"method": "POST"}, 405),
        ({"method": "HEAD"}, 405),
    ],
)
def test_each_mistake_has_its_status(change: dict[str, str | None], status: int) -> None:
    """What RFC 6455 §4.2.1 asks for and is not there is refused."""
    assert refusal(**change).status == status


def test_wrong_version_names_the_right_one() -> None:
    """RFC 6455 §4.4: 426 with Sec-WebSocket-Version."""
    assert b"\r\nSec-WebSocket-Version: 13\r\n" in refusal(sec_websocket_version="7").response()


def test_upgrade_required_says_to_what() -> None:
    """RFC 9110 §15.5.22 and §7.8: Upgrade, and the connection option that goes with it."""
    response = refusal(upgrade=None).response()
    assert b"\r\nUpgrade: websocket\r\n" in response
    assert b"\r\nConnection: Upgrade, close\r\n" in response


def test_method_not_allowed_names_the_allowed_one() -> None:
    """RFC 9110 §15.5.6."""
    assert b"\r\nAllow: GET\r\n" in refusal(method="PUT").response()


def test_refusal_is_a_whole_http_answer() -> None:
    """A length, a JSON body that says why, and the end of the connection."""
    head, _, body = refusal(connection="close").response().partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"Connection: close" in head
    assert ujson.loads(body)["error"] == "bad_handshake"


@pytest.mark.parametrize("header", ["origin", "sec_websocket_origin"])
def test_origin_is_asked_for(header: str) -> None:
    """An origin that is not allowed gets 403, an allowed one and none at all come in."""
    allowed = ("https://app.union.build",)
    found = answer(origins=allowed, **{header: "https://evil.example"})
    assert isinstance(found, Refuse)
    assert found.status == 403
    assert isinstance(answer(origins=allowed, **{header: allowed[0]}), Accept)
    assert isinstance(answer(origins=allowed), Accept)


@pytest.mark.parametrize(
    ("offers", "expected"),
    [
        ("permessage-deflate; client_max_window_bits", PLAIN),
        ("permessage-deflate", PLAIN),
        ("permessage-deflate; client_max_window_bits=10", PLAIN),
        ('permessage-deflate; client_max_window_bits="10"', PLAIN),
        ("permessage-deflate; server_no_context_takeover; client_no_context_takeover", PLAIN),
        ("permessage-deflate; server_max_window_bits=15", PLAIN + "; server_max_window_bits=15"),
        ("x-webkit-deflate-frame, permessage-deflate", PLAIN),
        ("permessage-deflate; server_max_window_bits=10, permessage-deflate", PLAIN),
        ("permessage-deflate; foo, permessage-deflate; client_max_window_bits", PLAIN),
        ("", ""),
        ("x-webkit-deflate-frame", ""),
        ("permessage-deflate; foo", ""),
        ("permessage-deflate; server_max_window_bits", ""),
        ("permessage-deflate; server_max_window_bits=14", ""),
        ("permessage-deflate; server_max_window_bits=16", ""),
        ('permessage-deflate; server_max_window_bits="15', ""),
        ("permessage-deflate; client_max_window_bits=7", ""),
        ("permessage-deflate; client_max_window_bits=16", ""),
        ("permessage-deflate; client_max_window_bits=08", ""),
        ("permessage-deflate; client_max_window_bits=", ""),
        ("permessage-deflate; client_max_window_bits; client_max_window_bits", ""),
        ("permessage-deflate; server_no_context_takeover=1", ""),
        ("permessage-deflate; client_no_context_takeover; client_no_context_takeover", ""),
        ("permessage-deflate;", ""),
    ],
)
def test_first_good_offer_is_taken(offers: str, expected: str) -> None:
    """RFC 7692 §5 and §7.1: a bad parameter declines its offer alone."""
    assert deflate_answer(offers) == expected


def test_window_is_answered_for_the_offer_taken() -> None:
    """A parameter of a declined offer does not leak into the answer."""
    offers = "permessage-deflate; server_max_window_bits=15; foo, permessage-deflate"
    assert deflate_answer(offers) == PLAIN


def test_endless_offers_are_cut() -> None:
    """Only so many offers are looked at."""
    assert deflate_answer("x," * 10_000 + "permessage-deflate") == ""


def test_deflate_is_answered_in_the_header() -> None:
    """The answer names the extension, and says the connection is compressed."""
    found = answer(sec_websocket_extensions="permessage-deflate; client_max_window_bits")
    assert isinstance(found, Accept)
    assert found.deflate
    assert f"Sec-WebSocket-Extensions: {PLAIN}\r\n".encode() in found.response


def test_deflate_can_be_switched_off() -> None:
    """Where compression is off no offer is taken."""
    found = answer(sec_websocket_extensions="permessage-deflate", deflate=False)
    assert isinstance(found, Accept)
    assert not found.deflate
    assert b"Extensions" not in found.response


def test_mapped_addresses_are_shown_as_ipv4() -> None:
    """An IPv4 client of an IPv6 socket keeps its name."""
    assert plain_address("::ffff:192.0.2.1") == "192.0.2.1"
    assert plain_address("2001:db8::1") == "2001:db8::1"
