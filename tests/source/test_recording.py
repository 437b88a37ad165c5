from __future__ import annotations

from pathlib import Path

import pytest

from unionws.model import Chain, Rpc, Transfer
from unionws.source.recording import Moment, RecordingError, line_of, read

CHAIN = Chain("a.1", "1", "A", True, "evm", rpcs=(Rpc("rpc", "http://x"),))
TRANSFER = Transfer(
    "k", CHAIN, Chain("b.2"), transfer_index=0, send_time=5.25, base_amount="0", base_token_symbol="Ü/"
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Every field, zeros included; what is unknown takes no room."""
    path = tmp_path / "r.jsonl"
    line = line_of(2.0, transfers=[TRANSFER, TRANSFER])
    path.write_text(line_of(1.5, chains=[CHAIN]) + line, "utf-8")
    assert list(read(path)) == [Moment(1.5, (), (CHAIN,)), Moment(2.0, (TRANSFER, TRANSFER))]
    assert "recv_time" not in line
    assert "null" not in line


@pytest.mark.parametrize(
    "line",
    [
        "",
        "nonsense",
        "5",
        "{}",
        '{"at":"x"}',
        '{"at":1,"transfers":[{}]}',
        '{"at":1,"transfers":[5]}',
        '{"at":1,"transfers":5}',
        '{"at":1,"chains":[{"colour":"red"}]}',
    ],
)
def test_a_line_that_is_none_is_named(tmp_path: Path, line: str) -> None:
    """With the file and its number."""
    path = tmp_path / "r.jsonl"
    path.write_text(line_of(1.0, chains=[CHAIN]) + line + "\n")
    with pytest.raises(RecordingError, match=r"recording .*r\.jsonl line 2: "):
        list(read(path))


@pytest.mark.parametrize("content", [None, b"\xff\xfe{}"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    """Missing, or not text."""
    path = tmp_path / "r.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RecordingError, match=r"recording .*r\.jsonl"):
        list(read(path))
