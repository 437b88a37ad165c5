from __future__ import annotations

import pytest

from unionws import frames
from unionws.connections import eventstream
from unionws.connections.handshake import Upgrade
from unionws.frames import Frame

MESSAGE = (
    b'{"type":"transfers","data":[{"a":1}],"epoch":"abc123","seq":7,"prev":5,"cursor":"x-1","timestamp":12}'
)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
def test_payloads_of_every_length_are_found(size: int) -> None:
    """Frames with short, 16-bit and 64-bit lengths, one behind the other."""
    texts = [b"x" * size, b"{}"]
    assert list(eventstream.payloads(b"".join(map(frames.text, texts)))) == texts


def test_frames_that_are_no_text_are_left_out() -> None:
    """A ping and a close frame mean nothing to who reads events."""
    data = frames.PING_FRAME + frames.text(b"{}") + frames.close(4200, "shutdown")
    assert list(eventstream.payloads(data)) == [b"{}"]


def test_a_message_with_a_position_gets_it_as_id() -> None:
    """The id is what ``resume`` takes."""
    assert eventstream.event(MESSAGE) == b"id: abc123:7\ndata: " + MESSAGE + b"\n\n"
    gap = b'{"type":"gap","data":{"epoch":"abc123"},"epoch":"abc123","seq":9,"timestamp":12}'
    assert eventstream.event(gap).startswith(b"id: abc123:9\n")


@pytest.mark.parametrize(
    "message",
    [
        b'{"type":"heartbeat","data":{"seq":9},"epoch":"abc123","timestamp":12}',
        b'{"type":"chartData","data":{},"timestamp":12}',
        b'{"type":"connected","data":{"epoch":"abc","seq":1,"cursor":"c"},"timestamp":12}',
        b'{"type":"x","data":"\\",\\"epoch\\":\\"abc\\",\\"seq\\":1,\\"timestamp\\":1}","timestamp":12}',
    ],
)
def test_other_messages_have_no_id(message: bytes) -> None:
    """So a browser goes on from the last transfers it has really got."""
    assert eventstream.event(message) == b"data: " + message + b"\n\n"


def test_a_frame_is_rewrapped_once_for_all() -> None:
    """The same frame gives the same events, whoever asks."""
    rewrap = eventstream.Rewrapper()
    frame = Frame(frames.text(MESSAGE), 5, 7)
    assert rewrap(frame) is rewrap(frame)
    assert rewrap(frame).data == eventstream.event(MESSAGE)
    assert (rewrap(frame).prev, rewrap(frame).seq) == (5, 7)
    for _ in range(100):
        rewrap(Frame(frames.text(b"{}")))
    assert rewrap(frame).data == eventstream.event(MESSAGE)


def test_the_parts_of_a_frame_are_rewrapped_too() -> None:
    """A slow reader is skipped over single frames, so they keep their positions."""
    parts = (Frame(frames.text(MESSAGE), 5, 7), Frame(frames.text(b"{}"), chart=True))
    joined = Frame(b"".join(part.data for part in parts), 5, 7, 2, parts=parts)
    made = eventstream.Rewrapper()(joined)
    assert [(part.seq, part.chart) for part in made.parts] == [(7, False), (0, True)]
    assert made.data == b"".join(part.data for part in made.parts)


def request(method: str = "GET", **headers: str) -> Upgrade:
    return Upgrade(method, "1.1", "", headers, "127.0.0.1", events=True)


def test_only_get_from_an_allowed_origin_is_answered() -> None:
    """The same origins as for a WebSocket; a request without one comes from no page."""
    allowed = lambda origin: origin == "https://good.example"  # noqa: E731
    assert eventstream.check(request(), allowed) is None
    assert eventstream.check(request(origin="https://good.example"), allowed) is None
    refused = [eventstream.check(request(origin="https://bad.example"), allowed)]
    refused += [eventstream.check(request("POST"), allowed)]
    assert [answer and answer.status for answer in refused] == [403, 405]


def test_the_answer_draws_when_to_come_back() -> None:
    """A restart does not bring all browsers back in the same moment."""
    drawn = {eventstream.accept().response.rpartition(b"retry: ")[2] for _ in range(50)}
    assert len(drawn) > 10
    assert all(1000 <= int(milliseconds) <= 5000 for milliseconds in drawn)


def test_a_beginning_has_an_id_once_there_is_a_numbering() -> None:
    """The greeting of a client that begins here tells where."""
    assert eventstream.position("abc", 5) == b"id: abc:5\n"
    assert eventstream.position("", 0) == b""
