"""A whole edge in this process, on a free port, fed by hand: for tests that look at it from outside."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.looped import LoopThread
from unionws.app import load_plugins
from unionws.clock import SystemClock
from unionws.edge import Edge
from unionws.listening import listen
from unionws.model import (
    ChainsRecord,
    ChartRecord,
    Fragment,
    Record,
    StateRecord,
    StatusRecord,
    TransfersRecord,
)
from unionws.server import EdgeServer
from unionws.settings_reading import load_settings

EPOCH = "testepoch001"
NOW_MS = 1_790_000_000_000
PATIENCE = 10.0
WALLET = "0x" + "ab" * 20


def fragment(number: int, **fields: Any) -> Fragment:
    """The transfer ``number``: 12.5 U from Union to Babylon, in the contract's shape as far as needed."""
    base: dict[str, Any] = {
        "sort_order": f"{number:08d}-0x{number:064x}-union.union-1-000",
        "source": "union.union-1",
        "destination": "babylon.bbn-1",
        "sender": WALLET,
        "receiver": "0x" + "cd" * 20,
        "symbol": "u",
        "token": "0x6175",
        "amount": "12.5",
        "testnet": False,
        "event_ms": NOW_MS + number,
        **fields,
    }
    return Fragment(**base, json=json.dumps(as_json(base)).encode())


def as_json(base: Mapping[str, Any]) -> dict[str, Any]:
    """The contract's transfer object of a fragment's fields."""
    return {
        "source_chain": chain(base["source"]),
        "destination_chain": chain(base["destination"]),
        "packet_hash": base["sort_order"].split("-")[1],
        "sort_order": base["sort_order"],
        "sender_canonical": base["sender"],
        "receiver_canonical": base["receiver"],
        "senderDisplay": base["sender"],
        "receiverDisplay": base["receiver"],
        "base_token": base["token"],
        "base_token_symbol": base["symbol"].upper(),
        "base_token_amount_display": base["amount"],
        "isTestnetTransfer": base["testnet"],
        "sourceDisplayName": chain(base["source"])["display_name"],
        "destinationDisplayName": chain(base["destination"])["display_name"],
        "formattedTimestamp": "2026-09-21T12:53:20Z",
        "transfer_send_timestamp": "2026-09-21T12:53:20.123456Z",
        "routeKey": f"{base['source']}->{base['destination']}",
    }


def chain(universal: str) -> dict[str, Any]:
    """A chain object."""
    name, _, chain_id = universal.partition(".")
    return {
        "universal_chain_id": universal,
        "display_name": name.capitalize(),
        "chain_id": chain_id,
        "testnet": "test" in chain_id,
        "rpc_type": "cosmos",
        "addr_prefix": name,
    }


class Service:
    """An edge that serves as the product does; ``publish`` is what ingest would send it."""

    def __init__(self, *overrides: str, epoch: str = EPOCH) -> None:
        settings = load_settings(None, ["PORT=0", "HOST=127.0.0.1", "PLUGINS_DIR=", *overrides], {})
        self._loop = LoopThread()
        self._loop.__enter__()
        host = load_plugins(settings)
        self.edge: Edge = self._loop.call(Edge, settings, host, SystemClock())
        self._server: EdgeServer = self._loop.call(EdgeServer, self.edge, settings, SystemClock())
        listener = listen(settings)[0]
        self.port: int = listener.getsockname()[1]
        self._loop.call(self._server.start, [listener])
        self.seq, self._epoch = 0, epoch
        self._open = True
        self._stopping: threading.Thread | None = None
        self.publish(StateRecord(NOW_MS, epoch, 0, "", {"upstream": {"state": "ok"}}))
        self.publish(
            ChainsRecord(NOW_MS, json.dumps([chain("union.union-1"), chain("babylon.bbn-1")]).encode())
        )
        self.publish(StatusRecord(NOW_MS, b'{"system":"online","upstream":"ok","lagMs":400}'))

    def publish(self, record: Record) -> None:
        """Hand a record to the edge, as its bus would."""
        self._loop.call(self.edge.on_record, record)

    def transfers(self, *items: Fragment, late: bool = False, epoch: str = "", at: int = NOW_MS) -> None:
        """Publish transfers as one record."""
        self.seq += len(items)
        cursor = max(item.sort_order for item in items)
        self.publish(TransfersRecord(epoch or self._epoch, self.seq, cursor, late, at, items))

    def chart(self, data: Mapping[str, Any]) -> None:
        """Publish statistics."""
        rates = json.dumps(data.get("currentRates", {})).encode()
        self.publish(ChartRecord(NOW_MS, 1, json.dumps(data).encode(), rates))

    def call(self, function: Any, *arguments: Any) -> Any:
        """Call something on the edge's loop."""
        return self._loop.call(function, *arguments)

    def until(self, condition: Callable[[], Any]) -> None:
        """Wait until something is true on the edge's loop."""
        self._loop.until(condition)

    def get(
        self, path: str, method: str = "GET", **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """An HTTP answer; ``_`` in header names stands for ``-``."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers=sent)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def json(self, path: str) -> Any:
        """The JSON of a good answer."""
        status, _, body = self.get(path)
        assert status == 200, body
        return json.loads(body)

    def stop(self, reason: str = "shutdown") -> None:
        """Close clients politely, then everything."""
        if self._open:
            self._open = False
            self._loop.run(self._server.stop(reason))

    def stop_soon(self) -> None:
        """The same without waiting: who is connected has to do its part."""
        self._stopping = threading.Thread(target=self.stop)
        self._stopping.start()

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        if self._stopping is not None:
            self._stopping.join()
        self.stop()
        self._loop.__exit__()


class Events:
    """A reader of an event stream, as a browser understands it (HTML §9.2.6)."""

    def __init__(self, port: int, path: str = "/sse", **headers: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        lines = [f"GET {path} HTTP/1.1", "Host: example.org"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self._buffer = b""
        self.last_id = ""
        self.retry = 0
        self.comments = 0
        head = self._until(b"\r\n\r\n").decode()
        self.status = int(head.split()[1])
        pairs = [line.split(": ", 1) for line in head.split("\r\n")[1:]]
        self.headers = {name.lower(): value for name, value in pairs}

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            data = self.socket.recv(65_536)
            if not data:
                raise EOFError
            self._buffer += data
        found, _, self._buffer = self._buffer.partition(mark)
        return found

    def body(self) -> bytes:
        """All until the connection ends."""
        while data := self.socket.recv(65_536):
            self._buffer += data
        return self._buffer

    def event(self) -> dict[str, Any]:
        """The next event's message; comments and ``retry`` are noted on the way."""
        while True:
            data = ""
            for line in self._until(b"\n\n").decode().split("\n"):
                name, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if not name:
                    self.comments += 1
                elif name == "id":
                    self.last_id = value
                elif name == "retry":
                    self.retry = int(value)
                elif name == "data":
                    data += value
            if data:
                message: dict[str, Any] = json.loads(data)
                return message

    def until(self, type: str) -> dict[str, Any]:
        """The next message of a type."""
        while (message := self.event())["type"] != type:
            continue
        return message

    def events(self, count: int) -> list[dict[str, Any]]:
        """The next events."""
        return [self.event() for _ in range(count)]

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def numbers(transfers: Sequence[Mapping[str, Any]]) -> list[int]:
    """The numbers that the transfers were made of."""
    return [int(transfer["sort_order"].split("-")[0]) for transfer in transfers]
