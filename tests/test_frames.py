"""Frames of the server, read back by an independent parser."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.frame_protocol import CloseReason, FrameProtocol, Opcode

from unionws import frames


def received(data: bytes) -> list[tuple[Opcode, object, bool]]:
    """Opcode, payload and RSV1-free finality as wsproto reads them."""
    protocol = FrameProtocol(client=True, extensions=[])
    protocol.receive_bytes(data)
    return [
        (frame.opcode, frame.payload, frame.frame_finished and frame.message_finished)
        for frame in protocol.received_frames()
    ]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 70_000])
def test_any_length_is_read_back(size: int) -> None:
    """A text frame of any length form arrives whole."""
    payload = b"x" * size
    assert received(frames.text(payload)) == [(Opcode.TEXT, payload.decode(), True)]


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65_535, b"\x81\x7e\xff\xff"),
        (65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_the_shortest_length_form_is_used(size: int, head: bytes) -> None:
    """RFC 6455 §5.2: the minimal number of bytes encodes the length, and no mask bit is set."""
    data = frames.encode(frames.TEXT, b"y" * size)
    assert data[: len(head)] == head
    assert len(data) == len(head) + size


@given(st.binary(max_size=3000), st.integers(1, 9))
def test_deflated_payload_inflates_to_the_same(payload: bytes, level: int) -> None:
    """A compressed payload lacks its tail and gives the original with it (RFC 7692 §7.2)."""
    packed = frames.deflate(payload, level)
    inflated = zlib.decompressobj(-15).decompress(packed + frames.DEFLATE_TAIL)
    assert inflated == payload


def test_compressed_text_sets_rsv1() -> None:
    """A message that shrinks goes out compressed, with RSV1 on."""
    data = frames.text_deflated(b"a" * 1000, 6)
    assert data[0] == 0xC1
    assert len(data) < 50


def test_text_that_does_not_shrink_goes_out_plain() -> None:
    """Compression that costs bytes is not used."""
    payload = bytes(range(32, 127))
    assert frames.text_deflated(payload, 9) == frames.text(payload)


@pytest.mark.parametrize("code", [1000, 1009, 4103])
def test_close_carries_code_and_reason(code: int) -> None:
    """Code and reason are read back."""
    assert received(frames.close(code, "für immer")) == [
        (Opcode.CLOSE, (code if code >= 4000 else CloseReason(code), "für immer"), True)
    ]


def test_long_close_reason_is_cut_at_a_character() -> None:
    """A reason is cut to what a control frame holds, never inside a character."""
    data = frames.close(1000, "é" * 100)
    assert len(data) <= 2 + 125
    assert data[4:].decode() == "é" * 61


def test_ping_and_pong_frames() -> None:
    """A ping has no payload, a pong the one of its ping."""
    assert received(frames.PING_FRAME) == [(Opcode.PING, b"", True)]
    assert received(frames.pong(b"abc")) == [(Opcode.PONG, b"abc", True)]


def test_frames_with_equal_bytes_are_distinct() -> None:
    """A frame is a unit of delivery: two with the same bytes are two."""
    assert len({frames.Frame(b"x"), frames.Frame(b"x")}) == 2
