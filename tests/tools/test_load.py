"""The parts of the load test: frames, the gap rule, latencies."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.load.frames import Incoming, Inflater, Reader, control_frame, new_key, problem_with, request
from tools.load.tally import MessageCache, Stream, Tally, bucket_of, percentile, read_message
from tools.load.worker import parse_target, source_address


def server_frame(payload: bytes, first: int = 0x81) -> bytes:
    """A frame as a server sends it, unmasked."""
    size = len(payload)
    if size < 126:
        return bytes([first, size]) + payload
    if size < 65_536:
        return bytes([first, 126]) + size.to_bytes(2, "big") + payload
    return bytes([first, 127]) + size.to_bytes(8, "big") + payload


@given(st.lists(st.sampled_from([0, 1, 125, 126, 300, 70_000]), max_size=6), st.data())
def test_frames_are_read_however_they_are_cut(sizes: list[int], data: st.DataObject) -> None:
    """Any cutting of the byte stream gives the same messages."""
    payloads = [bytes([65 + number]) * size for number, size in enumerate(sizes)]
    stream = b"".join(server_frame(payload) for payload in payloads)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8).map(sorted))
    reader, found = Reader(), list[Incoming]()
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found.extend(reader.feed(stream[start:end]))
    assert found == [Incoming(1, payload) for payload in payloads]


def test_control_frames_come_between_fragments() -> None:
    """A ping inside a fragmented message is answered at once; the message stays whole."""
    stream = (
        server_frame(b"ab", 0x01)
        + server_frame(b"x", 0x89)
        + server_frame(b"", 0x00)
        + server_frame(b"c", 0x80)
    )
    assert list(Reader().feed(stream)) == [Incoming(9, b"x"), Incoming(1, b"abc")]


def test_deflated_messages_are_inflated_once_each() -> None:
    """Without context every message inflates on its own; garbage gives an empty message."""
    deflate = zlib.compressobj(wbits=-15)
    payload = (deflate.compress(b"hello" * 50) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]
    incoming = next(iter(Reader().feed(server_frame(payload, 0xC1))))
    assert incoming.compressed
    inflater = Inflater(remember=1)
    assert [inflater.inflate(incoming.payload) for _ in range(2)] == [b"hello" * 50] * 2
    assert inflater.inflate(b"\xff\xff\xff") == b""
    assert inflater.inflate(incoming.payload) == b"hello" * 50


def test_control_frames_are_masked() -> None:
    """What a client sends is masked with a fresh key (RFC 6455 §5.3)."""
    frame = control_frame(10, b"abc")
    assert frame[:2] == bytes([0x8A, 0x83])
    assert bytes(byte ^ frame[2 + index % 4] for index, byte in enumerate(frame[6:])) == b"abc"


def test_handshake_answers_are_checked() -> None:
    """RFC 6455's own example is accepted; a refusal or a wrong accept is named."""
    key = "dGhlIHNhbXBsZSBub25jZQ=="
    good = b"HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert problem_with(good, key) == ""
    assert problem_with(good, new_key()) == "wrong Sec-WebSocket-Accept"
    assert problem_with(b"HTTP/1.1 503 Service Unavailable", key) == "HTTP 503"
    assert problem_with(b"", key) == "no HTTP answer"


def test_request_offers_what_was_asked_for() -> None:
    """The upgrade has the given headers, and deflate only on request."""
    text = request("h:1", "/ws?a=b", "k", ("X: y",), True).decode()
    assert text.startswith("GET /ws?a=b HTTP/1.1\r\nHost: h:1\r\n")
    assert "\r\nX: y\r\n\r\n" in text
    assert "permessage-deflate" in text
    assert "permessage-deflate" not in request("h:1", "/", "k", (), False).decode()


def frame(seq: int, prev: int, epoch: str = "e", **fields: Any) -> bytes:
    return json.dumps(
        {"type": "transfers", "data": [], "seq": seq, "prev": prev, "epoch": epoch, **fields}
    ).encode()


def follow(*texts: bytes) -> Tally:
    tally, stream = Tally(), Stream()
    for text in texts:
        tally.position(stream, read_message(text))
    return tally


def test_gap_exactly_when_prev_is_beyond_last() -> None:
    """Missing transfers are counted; overlaps are none."""
    tally = follow(frame(5, 4), frame(6, 5), frame(9, 8), frame(10, 3))
    assert (tally.checked, tally.gaps, tally.missing) == (4, 1, 2)


def test_greeting_and_heartbeat_set_the_position() -> None:
    """Positions inside ``data`` count as those at top level."""
    greeting = b'{"type":"connected","data":{"epoch":"e","seq":7}}'
    heartbeat = b'{"type":"heartbeat","data":{"epoch":"e","seq":20}}'
    assert follow(greeting, frame(8, 7), heartbeat, frame(21, 20)).gaps == 0
    assert follow(greeting, frame(9, 8)).gaps == 1


def test_told_gaps_are_counted_apart() -> None:
    """A gap the server tells of is not found a second time by its numbers."""
    told = b'{"type":"gap","data":{"channel":"transfers","fromSeq":6,"toSeq":30,"reason":"slow_consumer"}}'
    tally = follow(frame(5, 4), told, frame(31, 30))
    assert (tally.told, tally.gaps, tally.missing) == (1, 0, 0)


def test_changed_epoch_is_a_gap() -> None:
    """Another numbering during the test means something may be missing."""
    assert follow(frame(5, 4), frame(6, 5, epoch="f")).gaps == 1


def test_latency_is_of_live_transfers_alone() -> None:
    """Replayed and late frames and other messages have no delivery latency."""
    cache, tally = MessageCache(), Tally()
    live = frame(1, 0, timestamp=1000)
    for text in (
        live,
        frame(2, 1, timestamp=1, replay=True),
        frame(3, 2, timestamp=1, late=True),
        b"{}",
        b"[]",
    ):
        tally.count(cache.read(text), 1008.0)
    latency = tally.report()["latencyMs"]
    assert latency["n"] == 1
    assert latency["p50"] == pytest.approx(8, rel=0.05)
    assert latency["max"] == 8
    assert tally.types == {"transfers": 3, "invalid": 2}
    assert not tally.is_clean()


@given(st.lists(st.floats(0.2, 50_000), min_size=1, max_size=200), st.sampled_from([0.0, 0.5, 0.99]))
def test_percentiles_are_within_five_percent(values: list[float], share: float) -> None:
    """The histogram's percentile is near the exact one."""
    exact = sorted(values)[int(share * len(values))]
    assert percentile(Counter(bucket_of(value) for value in values), share) == pytest.approx(exact, rel=0.05)


def test_sum_adds_every_counter() -> None:
    """The total of two processes has both processes' counts."""
    one = Tally(
        opened=1, failed=2, lost=3, messages=4, bytes=5, pings=6, checked=7, gaps=8, missing=9, told=10
    )
    one.types["a"], one.latencies[3], one.close_codes["1006"], one.failures["HTTP 503"] = 1, 2, 3, 4
    one.longest_ms = 7.0
    double = Tally.sum([one, one])
    assert double.report()["positions"] == {"checked": 14, "gaps": 16, "missing": 18, "toldGaps": 20}
    assert (double.opened, double.failed, double.lost, double.messages, double.bytes, double.pings) == (
        2,
        4,
        6,
        8,
        10,
        12,
    )
    assert (
        double.types["a"],
        double.latencies[3],
        double.close_codes["1006"],
        double.failures["HTTP 503"],
    ) == (2, 4, 6, 8)
    assert double.longest_ms == 7.0


def test_source_addresses_differ_between_processes() -> None:
    """Clients are spread over 127.0.0.0/8, at most 100 to an address."""
    places = Counter(source_address(process, number) for process in range(3) for number in range(20_000))
    assert max(places.values()) == 100
    assert all(place.startswith("127.") and len(place.split(".")) == 4 for place in places)
    assert max(int(part) for place in places for part in place.split(".")) <= 250


def test_target_of_a_url() -> None:
    """Host, port, path and query as the request needs them."""
    target = parse_target("ws://127.0.0.1:81/ws?channels=transfers")
    assert (target.address, target.host, target.path) == (
        ("127.0.0.1", 81),
        "127.0.0.1:81",
        "/ws?channels=transfers",
    )
    assert target.is_loopback
    assert parse_target("wss://127.0.0.1").address[1] == 443
    with pytest.raises(ValueError, match="not a WebSocket address"):
        parse_target("http://127.0.0.1")
