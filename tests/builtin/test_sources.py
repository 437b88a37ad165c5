from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from unionws.source.recording import read
from unionws.testing import chain, running_server, transfer


def rows(client: Any, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while len(found) < count:
        found += client.receive("transfers")["data"]
    return found


def test_what_was_recorded_is_played_to_other_clients(tmp_path: Path) -> None:
    """The whole way: a recording of one service is the source of another; keys and times are new."""
    path = tmp_path / "r.jsonl"
    with running_server(settings={"RECORD_FILE": path}) as server, server.client("transfers") as client:
        server.upstream.list_chains(chain("union.union-1"), chain("ethereum.1"))
        server.upstream.send(transfer(amount="1"), transfer(amount="2"))
        server.upstream.send(transfer(amount="3"))
        then = rows(client, 3)
    assert [len(moment.transfers) for moment in read(path)] == [0, 2, 1]

    settings = {"SOURCE": "replay", "REPLAY_FILE": path, "REPLAY_SPEED": 0, "REPLAY_LOOP": True}
    with running_server(settings=settings) as server, server.client("transfers", "chains") as client:
        now = rows(client, 6)
        assert server.get("/health")["status"] == "healthy"
        assert server.get("/graphql-stats")["source"]["state"] == "ok"
    amounts = [row["base_token_amount_display"] for row in now[:6]]
    assert sorted(amounts) == sorted(["1", "2", "3"] * 2)
    assert len({row["sort_order"] for row in now}) == len(now)
    for row in now:
        twin = next(old for old in then if old["base_amount"] == row["base_amount"])
        assert row["sort_order"].endswith(f"-{twin['sort_order']}")
        assert row["transfer_send_timestamp"] >= twin["transfer_send_timestamp"]


def test_a_recording_that_is_missing_is_told(tmp_path: Path) -> None:
    """The service stands, and /health says what is wrong."""
    settings = {"SOURCE": "replay", "REPLAY_FILE": tmp_path / "missing"}
    with running_server(settings=settings) as server, server.client("status") as client:
        while client.receive("status")["data"]["upstream"] != "down":
            pass
        health = server.get("/health")
        assert health["status"] == "degraded"
        assert "No such file" in json.dumps(health["reasons"])
