"""tools/bench/resume.py in small, and its reader of frames."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "tools" / "bench"
sys.path.append(str(BENCH))

import harness  # noqa: E402
import resume  # noqa: E402

ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


def frame(text: str, opcode: int = 1) -> bytes:
    data = text.encode()
    head = bytes([0x80 | opcode]) + (
        bytes([len(data)]) if len(data) < 126 else b"\x7e" + len(data).to_bytes(2, "big")
    )
    return head + data


def transfers(first: int, count: int) -> str:
    items = [{"sort_order": f"{first + index:020}"} for index in range(count)]
    data = {"type": "transfers", "data": items, "replay": True}
    at = {"epoch": "e", "seq": first + count - 1, "prev": first - 1}
    return json.dumps({**data, **at, "timestamp": 1}, separators=(",", ":"))


SUBSCRIBED = '{"type":"subscribed","data":{"channel":"transfers","epoch":"e","seq":9,"replaying":true}}'
GREETING = '{"type":"connected","data":{"epoch":"e","seq":9,"features":["resume"]}}'
CAUGHT_UP = '{"type":"caughtUp","data":{"channel":"transfers","seq":9}}'


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_what_comes_in_pieces_is_counted_once(size: int) -> None:
    """Transfers, the end of the replay behind which live goes on, and a ping, which is answered."""
    said = [GREETING, SUBSCRIBED, transfers(5, 2), transfers(7, 3), CAUGHT_UP, transfers(10, 1)]
    stream = ANSWER + b"".join(map(frame, said)) + b"\x89\x00"
    ours, theirs = socket.socketpair()
    with ours, theirs:
        client = resume.Resumer(ours, kept=bytearray())
        for start in range(0, len(stream), size):
            client.take(stream[start : start + size])
        assert (client.items, client.told_gap) == (6, False)
        assert client.caught_up > 0
        assert theirs.recv(100) == resume.PONG
    assert resume.texts(bytes(client.kept or b"")) == said
    assert resume.broken_rules(client, "ws://127.0.0.1:1/ws", "e:4", 6) == 0
    assert resume.broken_rules(client, "ws://127.0.0.1:1/ws", "e:3", 7) == 2  # 4 is missing, and told of


def test_a_refusal_is_told() -> None:
    """A server that is full is no lost client."""
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(harness.BenchError, match=r"refused a connection: HTTP/1\.1 503"):
        resume.Resumer(ours).take(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")


def test_a_storm_without_a_live_frame_has_no_ratio() -> None:
    """It may end before the next one comes; that is a dash in the table."""
    assert resume.ratio(None, 2.0) is None
    assert resume.ratio(3.0, None) is None
    assert resume.ratio(3.0, 2.0) == 1.5


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc: apt-get install gcc libc6-dev")
@pytest.mark.parametrize("edges", ["0", "2"])
def test_a_small_storm(capsys: pytest.CaptureFixture[str], edges: str) -> None:
    """All get what they missed, nobody's rules are broken, and the table says so."""
    small = ["--clients", "40", "--history", "250", "--live", "20", "--seconds", "0.5", "--edges", edges]
    assert resume.main([*small, "--rate", "50"]) == 0
    rows = dict(
        (cell.strip() for cell in line.split("|")[1:-1]) for line in capsys.readouterr().out.splitlines()
    )
    assert rows["clients that resume"] == "40"
    assert rows["got less, or were told of a gap"] == "0"
    assert rows["missed or repeated by the client's rules"] == "0"
