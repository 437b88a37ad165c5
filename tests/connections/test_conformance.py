"""RFC 6455 and RFC 7692 to the letter, over raw sockets, through both doors of tools/echo.py."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.connections.wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    KEY,
    PING,
    PONG,
    TEXT,
    Got,
    Peer,
    close_frame,
    masked,
    upgrade,
)
from unionws.connections.handshake import accept_key

ROOT = Path(__file__).resolve().parent.parent.parent
LIMIT = 70_000
IDLE_SECONDS = 1.0
DEFLATE = {"Sec_WebSocket_Extensions": "permessage-deflate"}
ANSWER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


class Server:
    """One echo server, and connections that were opened at its start and never said anything."""

    def __init__(self, *options: str) -> None:
        command = [sys.executable, str(ROOT / "tools/echo.py"), "--port", "0", *options]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment()
        )
        assert self.process.stdout is not None
        self.port = json.loads(self.process.stdout.readline())["port"]
        self.silent = Peer.connect(self.port)

    def stop(self) -> int:
        self.silent.close()
        self.process.terminate()
        code = self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def environment() -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}


@pytest.fixture(scope="module", params=["fast", "handler"])
def door(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Server]]:
    """Both doors at once, so that their silent connections grow old together."""
    options = ("--deflate", "--max-bytes", str(LIMIT), "--idle", str(IDLE_SECONDS))
    made = {door: Server("--door", door, *options) for door in ("fast", "handler")}
    yield made
    assert [server.stop() for server in made.values()] == [0, 0]


@pytest.fixture
def server(servers: dict[str, Server], door: str) -> Server:
    """Agrees to compression where it is offered."""
    return servers[door]


@pytest.fixture(scope="module")
def plain_server(door: str) -> Iterator[Server]:
    """Never agrees to compression."""
    made = Server("--door", door, "--max-bytes", str(LIMIT))
    yield made
    assert made.stop() == 0


@pytest.fixture
def peer(server: Server) -> Iterator[Peer]:
    """A client without compression."""
    with Peer.open(server.port) as made:
        yield made


@pytest.fixture
def packed_peer(server: Server) -> Iterator[Peer]:
    """A client with compression."""
    with Peer.open(server.port, **DEFLATE) as made:
        yield made


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return (packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def inflated(got: Got | None) -> bytes:
    assert got is not None
    assert got.rsv == 4
    return zlib.decompressobj(-15).decompress(got.payload + b"\x00\x00\xff\xff")


def fails_with(peer: Peer, data: bytes, code: int, before: int = 0) -> None:
    """The server answers ``data`` with a close frame of this code, then closes TCP."""
    peer.send(data)
    *others, last = peer.frames()
    assert len(others) == before
    assert (last.opcode, last.code) == (CLOSE, code)


# -- messages -----------------------------------------------------------------------------------


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 128, 65_535, 65_536, LIMIT])
def test_every_size_comes_back(peer: Peer, opcode: int, size: int) -> None:
    """§5.2: all three length forms, at their edges."""
    payload = b"*" * size
    peer.send(masked(opcode, payload))
    assert peer.frame() == Got(opcode, payload)


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_bytes_may_arrive_in_any_pieces(peer: Peer, step: int) -> None:
    """TCP gives no frame boundaries."""
    data = masked(TEXT, "häppchenweise ".encode() * 8) + masked(PING, b"p") + masked(BINARY, b"\x00" * 300)
    for start in range(0, len(data), step):
        peer.send(data[start : start + step])
    assert peer.frame() == Got(TEXT, "häppchenweise ".encode() * 8)
    assert peer.frame() == Got(PONG, b"p")
    assert peer.frame() == Got(BINARY, b"\x00" * 300)


@pytest.mark.parametrize("mask", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\x02\x03\x04"])
def test_any_mask_is_taken_off(peer: Peer, mask: bytes) -> None:
    """§5.3, the empty mask included."""
    peer.send(masked(TEXT, b"behind the mask", mask=mask))
    assert peer.frame() == Got(TEXT, b"behind the mask")


def test_unmasked_frame_fails(peer: Peer) -> None:
    """§5.1: the server must close the connection."""
    fails_with(peer, b"\x81\x02hi", 1002)


def test_many_messages_in_one_packet(peer: Peer) -> None:
    """Order is kept."""
    peer.send(b"".join(masked(TEXT, str(number).encode()) for number in range(200)))
    assert [peer.frame() for _ in range(200)] == [Got(TEXT, str(number).encode()) for number in range(200)]


# -- reserved bits and opcodes ------------------------------------------------------------------


@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, PONG, CLOSE])
def test_reserved_bits_fail(peer: Peer, rsv: int, opcode: int) -> None:
    """§5.2: without an extension all three must be 0."""
    fails_with(peer, masked(TEXT, b"ok") + masked(opcode, b"", rsv=rsv), 1002, before=1)


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("payload", [b"", b"x"])
def test_reserved_opcodes_fail(peer: Peer, opcode: int, payload: bytes) -> None:
    """§5.2: an unknown opcode fails the connection."""
    fails_with(peer, masked(opcode, payload), 1002)


# -- fragmentation ------------------------------------------------------------------------------


def test_fragments_are_put_together(peer: Peer) -> None:
    """§5.4, empty fragments included."""
    pieces = [b"one", b"", b" two", b"", b" three"]
    data = masked(TEXT, pieces[0], fin=False)
    data += b"".join(masked(CONTINUATION, piece, fin=False) for piece in pieces[1:])
    peer.send(data + masked(CONTINUATION, b""))
    assert peer.frame() == Got(TEXT, b"one two three")


def test_control_frames_between_fragments(peer: Peer) -> None:
    """§5.4: they may be injected, and are answered at once."""
    peer.send(masked(BINARY, b"a", fin=False) + masked(PING, b"1"))
    assert peer.frame() == Got(PONG, b"1")
    peer.send(masked(PONG, b"unasked") + masked(CONTINUATION, b"b", fin=False) + masked(PING, b"2"))
    assert peer.frame() == Got(PONG, b"2")
    peer.send(masked(CONTINUATION, b"c"))
    assert peer.frame() == Got(BINARY, b"abc")


def test_close_between_fragments(peer: Peer) -> None:
    """The message under way is given up."""
    fails_with(peer, masked(TEXT, b"a", fin=False) + close_frame(1001), 1001)


@pytest.mark.parametrize(
    "data",
    [
        masked(CONTINUATION, b"x"),
        masked(CONTINUATION, b"x", fin=False),
        masked(TEXT, b"a", fin=False) + masked(TEXT, b"b"),
        masked(TEXT, b"a", fin=False) + masked(BINARY, b"b", fin=False),
    ],
)
def test_fragments_out_of_order_fail(peer: Peer, data: bytes) -> None:
    """§5.4: messages may not be interleaved, and a continuation needs a start."""
    fails_with(peer, data, 1002)


def test_continuation_after_the_end_fails(peer: Peer) -> None:
    """A finished message does not go on."""
    data = masked(TEXT, b"a", fin=False) + masked(CONTINUATION, b"b") + masked(CONTINUATION, b"c")
    fails_with(peer, data, 1002, before=1)


# -- control frames -----------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [b"", b"x", bytes(range(125))])
def test_ping_is_answered_with_its_payload(peer: Peer, payload: bytes) -> None:
    """§5.5.3: the same application data."""
    peer.send(masked(PING, payload))
    assert peer.frame() == Got(PONG, payload)


def test_unasked_pong_is_ignored(peer: Peer) -> None:
    """§5.5.3: a heartbeat in one direction needs no answer."""
    peer.send(masked(PONG, b"") + masked(PONG, b"hello") + masked(TEXT, b"x"))
    assert peer.frame() == Got(TEXT, b"x")


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_control_frame_over_125_bytes_fails(peer: Peer, opcode: int) -> None:
    """§5.5."""
    fails_with(peer, masked(opcode, b"\x03\xe8" + b"x" * 124), 1002)


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_fragmented_control_frame_fails(peer: Peer, opcode: int) -> None:
    """§5.5."""
    fails_with(peer, masked(opcode, b"", fin=False), 1002)


# -- lengths ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "form"), [(0, 2), (125, 2), (0, 8), (126, 8), (65_535, 8)])
def test_length_in_a_longer_form_fails(peer: Peer, size: int, form: int) -> None:
    """§5.2: the minimal number of bytes must be used."""
    fails_with(peer, masked(BINARY, b"x" * size, form=form), 1002)


def test_length_with_its_top_bit_fails(peer: Peer) -> None:
    """§5.2: the most significant bit must be 0."""
    fails_with(peer, b"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x01", 1002)


# -- sizes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [LIMIT + 1, 1 << 31, (1 << 63) - 1])
def test_too_large_is_refused_by_its_header(peer: Peer, size: int) -> None:
    """§7.4.1: 1009, without waiting for what was announced."""
    fails_with(peer, masked(BINARY, b"", length=size), 1009, before=1)


def test_fragments_are_bounded_together(peer: Peer) -> None:
    """The limit is on the message."""
    data = masked(BINARY, b"x" * (LIMIT - 10), fin=False) + masked(CONTINUATION, b"x" * 11, fin=False)
    fails_with(peer, data, 1009, before=1)


# -- text ---------------------------------------------------------------------------------------

VALID = ["κόσμε", "\ud7ff\ue000\uffff\U0010ffff", "\0", "\ufeff", "a\u0300", "😀"]
INVALID = [
    b"\x80", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xfc\x80\x80\x80\x80\xaf", b"\xc1\xbf",
    b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\x80\xed\xb0\x80", b"\xf4\x90\x80\x80", b"\xfe", b"\xff",
    b"\xf8\x88\x80\x80\x80", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65",
]  # fmt: skip


@pytest.mark.parametrize("text", VALID)
def test_valid_utf8_comes_back(peer: Peer, text: str) -> None:
    """§8.1, cut between any two bytes."""
    data = text.encode()
    for cut in range(len(data) + 1):
        peer.send(masked(TEXT, data[:cut], fin=False) + masked(CONTINUATION, data[cut:]))
        assert peer.frame() == Got(TEXT, data)


@pytest.mark.parametrize("bad", INVALID)
def test_invalid_utf8_fails(peer: Peer, bad: bytes) -> None:
    """§8.1: 1007."""
    fails_with(peer, masked(TEXT, b"start " + bad + b" end"), 1007)


@pytest.mark.parametrize("bad", [b"\xff", b"\xf4\x90", b"\xed\xa0", b"\xc0", b"\xe2\x28"])
def test_invalid_utf8_fails_in_mid_frame(peer: Peer, bad: bytes) -> None:
    """What can no longer become text is refused before the frame is whole."""
    fails_with(peer, masked(TEXT, b"start " + bad, length=1000), 1007)


def test_invalid_utf8_fails_in_mid_message(peer: Peer) -> None:
    """Before the last fragment."""
    fails_with(peer, masked(TEXT, b"\xce", fin=False) + masked(CONTINUATION, b"\xce", fin=False), 1007)


def test_character_cut_by_the_end_fails(peer: Peer) -> None:
    """A message may not end in the middle of a character."""
    fails_with(peer, masked(TEXT, "€".encode()[:2]), 1007)


# -- close --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code", [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999]
)  # fmt: skip
def test_valid_close_code_is_echoed(peer: Peer, code: int) -> None:
    """§5.5.1: the same code comes back, and the server closes TCP first."""
    fails_with(peer, close_frame(code, "auf Wiedersehen ✓".encode()), code)


@pytest.mark.parametrize(
    "code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535]
)  # fmt: skip
def test_invalid_close_code_fails(peer: Peer, code: int) -> None:
    """§7.4: 1002."""
    fails_with(peer, close_frame(code), 1002)


def test_close_without_a_code_is_answered(peer: Peer) -> None:
    """§7.1.5."""
    fails_with(peer, close_frame(None), 1000)


def test_close_with_one_byte_fails(peer: Peer) -> None:
    """§5.5.1: the body begins with a 2-byte code."""
    fails_with(peer, masked(CLOSE, b"\x03"), 1002)


def test_close_reason_must_be_utf8(peer: Peer) -> None:
    """§5.5.1."""
    fails_with(peer, close_frame(1000, b"\xce\xba\xff"), 1007)


def test_longest_close_reason(peer: Peer) -> None:
    """123 bytes fit."""
    fails_with(peer, close_frame(1000, b"x" * 123), 1000)


def test_nothing_after_close_is_answered(peer: Peer) -> None:
    """§5.5.1: data behind a close frame does not count."""
    fails_with(peer, close_frame(1000) + masked(PING, b"x") + masked(TEXT, b"x"), 1000)


def test_client_that_only_hangs_up(server: Server) -> None:
    """An end of stream is answered with the end of the stream."""
    with Peer.open(server.port) as peer:
        peer.socket.shutdown(1)
        assert peer.ended()


# -- permessage-deflate -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offer", "expected"),
    [
        ("permessage-deflate; client_max_window_bits", ANSWER),
        ("permessage-deflate", ANSWER),
        ("permessage-deflate; server_max_window_bits=15", ANSWER + "; server_max_window_bits=15"),
        ("permessage-deflate; server_max_window_bits=9, permessage-deflate", ANSWER),
        ("permessage-deflate; nonsense, permessage-deflate; client_max_window_bits=12", ANSWER),
        ("permessage-deflate; server_max_window_bits=9", None),
        ("permessage-deflate; nonsense=1", None),
        ("permessage-deflate; client_max_window_bits=99", None),
        ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", None),
        ("x-something-else", None),
    ],
)
def test_offers(server: Server, offer: str, expected: str | None) -> None:
    """RFC 7692 §7.1, Chromium's and Firefox's offers first; a declined offer is no error."""
    with Peer.connect(server.port) as peer:
        peer.send(upgrade(Sec_WebSocket_Extensions=offer))
        status, headers, _ = peer.response()
        assert (status, headers.get("sec-websocket-extensions")) == (101, expected)
        compressed = masked(TEXT, deflated(b"x"), rsv=4)
        if expected is None:
            fails_with(peer, compressed, 1002)
        else:
            peer.send(compressed)
            assert inflated(peer.frame()) == b"x"


def test_offers_in_several_headers(server: Server) -> None:
    """RFC 6455 §9.1: the header may be split."""
    with Peer.connect(server.port) as peer:
        extensions = "permessage-deflate; bad\r\nSec-WebSocket-Extensions: permessage-deflate"
        peer.send(upgrade(Sec_WebSocket_Extensions=extensions))
        assert peer.response()[1]["sec-websocket-extensions"] == ANSWER


def test_compression_that_is_off_is_not_agreed_on(plain_server: Server) -> None:
    """No extension is answered, and RSV1 stays forbidden."""
    with Peer.connect(plain_server.port) as peer:
        peer.send(upgrade(**DEFLATE))
        assert "sec-websocket-extensions" not in peer.response()[1]
        fails_with(peer, masked(TEXT, deflated(b"x"), rsv=4), 1002)


@pytest.mark.parametrize("size", [0, 1, 100, 5000, LIMIT])
def test_compressed_messages_come_back(packed_peer: Peer, size: int) -> None:
    """RFC 7692 §6, without context from one message to the next."""
    for _ in range(2):
        payload = bytes(index * 7 % 251 for index in range(size))
        packed_peer.send(masked(BINARY, deflated(payload), rsv=4))
        assert inflated(packed_peer.frame()) == payload


def test_plain_messages_may_come_between(packed_peer: Peer) -> None:
    """RFC 7692 §6: each message says for itself whether it is compressed."""
    packed_peer.send(masked(TEXT, b"plain") + masked(TEXT, deflated(b"packed"), rsv=4))
    assert inflated(packed_peer.frame()) == b"plain"
    assert inflated(packed_peer.frame()) == b"packed"


@pytest.mark.parametrize("step", [1, 3, 50])
def test_compressed_message_in_fragments(packed_peer: Peer, step: int) -> None:
    """RFC 7692 §6.1: RSV1 on the first fragment, control frames between."""
    payload = b"fragmented and compressed, " * 20
    packed = deflated(payload)
    pieces = [packed[start : start + step] for start in range(0, len(packed), step)]
    for index, piece in enumerate(pieces):
        opcode, rsv = (TEXT, 4) if index == 0 else (CONTINUATION, 0)
        packed_peer.send(masked(opcode, piece, fin=False, rsv=rsv) + masked(PING, b"%d" % index))
        assert packed_peer.frame() == Got(PONG, b"%d" % index)
    packed_peer.send(masked(CONTINUATION, b""))
    assert inflated(packed_peer.frame()) == payload


@pytest.mark.parametrize("opcode", [CONTINUATION, PING, PONG, CLOSE])
def test_rsv1_on_later_frames_fails(packed_peer: Peer, opcode: int) -> None:
    """RFC 7692 §6.1: continuations and control frames never have it."""
    data = masked(TEXT, deflated(b"x"), fin=False, rsv=4) + masked(opcode, b"", rsv=4)
    fails_with(packed_peer, data, 1002)


@pytest.mark.parametrize("rsv", [1, 2, 3, 5, 6, 7])
def test_other_reserved_bits_fail_under_compression(packed_peer: Peer, rsv: int) -> None:
    """The extension uses RSV1 alone."""
    fails_with(packed_peer, masked(TEXT, deflated(b"x"), rsv=rsv), 1002)


def test_empty_compressed_message(packed_peer: Peer) -> None:
    """RFC 7692 §7.2.3.6: a single zero byte."""
    packed_peer.send(masked(TEXT, b"\x00", rsv=4))
    assert inflated(packed_peer.frame()) == b""


@pytest.mark.parametrize(
    "packed",
    [
        "f248cdc9c90700",  # §7.2.3.1 one block
        "000500faff48656c6c6f00",  # §7.2.3.3 a block without compression
        "f348cdc9c9070000",  # §7.2.3.4 BFINAL set
        "f24805000000ffffcac9c90700",  # §7.2.3.5 two blocks in one message
    ],
)
def test_examples_of_the_standard(packed_peer: Peer, packed: str) -> None:
    """RFC 7692 §7.2.3: every way to write Hello."""
    packed_peer.send(masked(TEXT, bytes.fromhex(packed), rsv=4))
    assert inflated(packed_peer.frame()) == b"Hello"


@pytest.mark.parametrize("garbage", [b"\xff" * 20, b"\x06", deflated(b"x" * 500)[:-2], b"\x00\x05"])
def test_garbage_fails(packed_peer: Peer, garbage: bytes) -> None:
    """What does not inflate is 1007."""
    fails_with(packed_peer, masked(BINARY, garbage, rsv=4), 1007)


def test_garbage_fails_before_the_message_ends(packed_peer: Peer) -> None:
    """It is inflated as it arrives."""
    fails_with(packed_peer, masked(BINARY, b"\xff" * 20, rsv=4, fin=False), 1007)


def test_compressed_text_must_be_utf8(packed_peer: Peer) -> None:
    """Text is checked after inflation."""
    fails_with(packed_peer, masked(TEXT, deflated(b"ok\xff"), rsv=4), 1007)


def test_one_byte_too_many_after_inflation(packed_peer: Peer) -> None:
    """The limit is on what comes out."""
    fails_with(packed_peer, masked(BINARY, deflated(b"x" * (LIMIT + 1)), rsv=4), 1009, before=1)


def test_bomb_is_refused(packed_peer: Peer) -> None:
    """60 KB that would be 60 MB cost the server nothing."""
    bomb = deflated(b"\0" * 60_000_000)
    assert len(bomb) < LIMIT
    fails_with(packed_peer, masked(BINARY, bomb, rsv=4), 1009, before=1)


# -- handshake ----------------------------------------------------------------------------------

BROWSER = (
    "GET /ws?form=single HTTP/1.1\r\nHost: stream.example.org\r\nConnection: keep-alive, Upgrade\r\n"
    "Pragma: no-cache\r\nCache-Control: no-cache\r\nUpgrade: websocket\r\nOrigin: https://app.union.build\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/141.0.0.0 Safari/537.36\r\n"
    "Sec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: de-DE,de;q=0.9\r\nCookie: session=abc; theme=dark\r\n"
    f"Sec-WebSocket-Key: {KEY}\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)


def answer_to(server: Server, request: bytes) -> tuple[int, dict[str, str], bytes]:
    with Peer.connect(server.port) as peer:
        peer.send(request)
        found = peer.response()
        assert found[0] == 101 or peer.ended()
        return found


def test_browser_is_let_in(server: Server) -> None:
    """A whole header as Chromium sends it."""
    status, headers, _ = answer_to(server, BROWSER.encode())
    assert (status, headers["sec-websocket-accept"]) == (101, accept_key(KEY))
    assert headers["upgrade"] == "websocket"
    assert headers["connection"] == "Upgrade"
    assert headers["sec-websocket-extensions"] == ANSWER


def test_frames_right_behind_the_handshake_are_answered(server: Server) -> None:
    """Nothing that came in the same packet is lost, in the middle of a frame neither."""
    with Peer.connect(server.port) as peer:
        frame = masked(TEXT, b"second")
        peer.send(upgrade() + masked(TEXT, b"first") + frame[:3])
        assert peer.response()[0] == 101
        assert peer.frame() == Got(TEXT, b"first")
        peer.send(frame[3:])
        assert peer.frame() == Got(TEXT, b"second")


def test_much_behind_the_handshake_is_answered(server: Server) -> None:
    """More than any door looks at in one go."""
    with Peer.connect(server.port) as peer:
        peer.send(upgrade() + masked(BINARY, b"x" * 50_000) + masked(TEXT, b"last"))
        assert peer.response()[0] == 101
        assert peer.frame() == Got(BINARY, b"x" * 50_000)
        assert peer.frame() == Got(TEXT, b"last")


def test_close_right_behind_the_handshake(server: Server) -> None:
    """A client in a hurry gets both answers."""
    with Peer.connect(server.port) as peer:
        peer.send(upgrade() + close_frame(1000))
        assert peer.response()[0] == 101
        assert [got.code for got in peer.frames()] == [1000]


@pytest.mark.parametrize("step", [1, 40])
def test_handshake_in_pieces(server: Server, step: int) -> None:
    """A dribbling client is let in as well."""
    with Peer.connect(server.port) as peer:
        request = upgrade()
        for start in range(0, len(request), step):
            peer.send(request[start : start + step])
        assert peer.response()[0] == 101
        peer.send(masked(TEXT, b"x"))
        assert peer.frame() == Got(TEXT, b"x")


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        ("Host: example.org\r\n", "", 400),
        ("Upgrade: websocket\r\n", "", 426),
        ("Upgrade: websocket\r\n", "Upgrade: h2c\r\n", 426),
        ("Connection: Upgrade\r\n", "", 400),
        ("Connection: Upgrade\r\n", "Connection: keep-alive\r\n", 400),
        ("Sec-WebSocket-Version: 13\r\n", "", 426),
        ("Sec-WebSocket-Version: 13\r\n", "Sec-WebSocket-Version: 8\r\n", 426),
        ("Sec-WebSocket-Version: 13\r\n", "Sec-WebSocket-Version: 14\r\n", 426),
        (f"Sec-WebSocket-Key: {KEY}\r\n", "", 400),
        (KEY, "", 400),
        (KEY, "c2hvcnQ=", 400),
        (KEY, "!" * 24, 400),
        (KEY, "A" * 24, 400),
        (KEY, f"{KEY}\r\nSec-WebSocket-Key: {KEY}", 400),
        ("GET", "POST", 405),
        ("GET", "PUT", 405),
        ("GET", "OPTIONS", 405),
        ("HTTP/1.1", "HTTP/1.0", 400),
    ],
)
def test_bad_handshake_is_refused(server: Server, old: str, new: str, status: int) -> None:
    """§4.2.1: each requirement by itself; the connection ends with the answer."""
    request = upgrade().decode()
    assert old in request
    found, headers, _ = answer_to(server, request.replace(old, new).encode())
    assert found == status
    if "Version" in old:
        assert headers["sec-websocket-version"] == "13"
    if status == 405:
        assert headers["allow"] == "GET"


def test_refused_handshake_says_why(server: Server) -> None:
    """A person reads the body."""
    _, headers, body = answer_to(server, upgrade(key="short"))
    assert headers["content-type"] == "application/json"
    assert json.loads(body)["error"] == "bad_handshake"


def test_header_names_and_tokens_in_any_case(server: Server) -> None:
    """§4.2.1: ASCII case-insensitive."""
    request = upgrade().decode().replace("Upgrade: websocket", "UPGRADE: WebSocket")
    request = request.replace("Connection: Upgrade", "connection: UPGRADE").replace("Sec-Web", "sec-wEB")
    assert answer_to(server, request.encode())[0] == 101


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"nonsense\r\n\r\n"])
def test_what_is_not_http_is_hung_up_on(server: Server, garbage: bytes) -> None:
    """TLS on the plain port, for example: an error or nothing, then the end."""
    with Peer.connect(server.port) as peer:
        peer.send(garbage + b"\r\n\r\n")
        rest = b""
        while (byte := peer.take(1)) is not None:
            rest += byte
        assert not rest or b" 400 " in rest


@pytest.mark.parametrize("size", [5_000, 15_000])
def test_long_header_is_read(server: Server, size: int) -> None:
    """Cookies may be long."""
    assert answer_to(server, upgrade(Cookie="c" * size))[0] == 101


def test_too_long_a_header_is_refused(server: Server) -> None:
    """Without an end it is not read any further."""
    with Peer.connect(server.port) as peer:
        peer.send(upgrade(Cookie="c" * 100_000))
        assert peer.take(1) is None or peer.take(11) == b"TTP/1.1 400"


def test_server_lives_after_all_that(server: Server) -> None:
    """Nothing above harmed it."""
    with Peer.open(server.port) as peer:
        peer.send(masked(TEXT, b"alive"))
        assert peer.frame() == Got(TEXT, b"alive")


def test_dribbling_header_is_hung_up_on(server: Server) -> None:
    """A request has to be there in time, however it drips."""
    with Peer.connect(server.port) as peer:
        peer.socket.settimeout(0.2)
        peer.send(b"GET /ws HTTP/1.1\r\n")
        for _ in range(100):
            try:
                peer.send(b"X: y\r\n")
                data = peer.socket.recv(100)
            except TimeoutError:
                continue
            except OSError:
                return
            assert data == b""
            return
        pytest.fail("still connected")


def test_silent_connection_is_hung_up_on(server: Server) -> None:
    """It was opened before all other tests, and has said nothing since."""
    server.silent.socket.settimeout(30)
    assert server.silent.ended()
