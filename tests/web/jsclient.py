"""The JavaScript client as a test sees it, in Node or in a browser."""

from __future__ import annotations

import itertools
import json
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from tests.web.browser import PATIENCE, Tab, require_node
from tests.web.serving import numbers
from unionws.web import page

MODULE = page.FOLDER / "client.js"
FOLLOW = Path(__file__).parent / "follow.mjs"

Event = dict[str, Any]


class JsClient(Protocol):
    """A running client."""

    @property
    def events(self) -> Sequence[Event]: ...

    def call(self, name: str, *args: Any) -> Any: ...


class Refused(Exception):
    """A call was refused with a UnionError."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.code: str = error["code"]
        self.close_code: int | None = error["closeCode"]


def wait(client: JsClient, condition: Callable[[Sequence[Event]], Any]) -> Sequence[Event]:
    """All events, once they fulfil a condition."""
    deadline = time.monotonic() + PATIENCE
    while not condition(events := client.events):
        assert time.monotonic() < deadline, events
        time.sleep(0.01)
    return events


def of(events: Sequence[Event], name: str) -> list[Event]:
    """The events of a kind."""
    return [event for event in events if event.get("event") == name]


def keys(events: Sequence[Event]) -> list[str]:
    """The keys of all transfers."""
    return [event["transfer"]["sort_order"] for event in of(events, "transfer")]


def numbered(events: Sequence[Event]) -> list[int]:
    """The numbers of all transfers that ``serving.fragment`` made."""
    return numbers([event["transfer"] for event in of(events, "transfer")])


def transfers(count: int) -> Callable[[Sequence[Event]], bool]:
    """A condition: that many transfers came."""
    return lambda events: len(of(events, "transfer")) >= count


def seen(name: str, count: int = 1) -> Callable[[Sequence[Event]], bool]:
    """A condition: that many events of a kind came."""
    return lambda events: len(of(events, name)) >= count


class NodeClient:
    """In a process of its own; started by ``call("start")``, and ended with the ``with`` block.

    Args:
        sockets: a module with a WebSocket class; None: Node's own.
        ends: whether it has to end by itself once it is closed, since nothing is left running.
    """

    def __init__(self, url: str, *, sockets: Path | None = None, ends: bool = True, **options: Any) -> None:
        self._ends = ends
        backoff = {"baseMs": 10, "capMs": 20, "stableMs": 60_000}
        given = json.dumps({"backoff": backoff, **options})
        command = [*require_node(), str(FOLLOW), str(MODULE), url, given]
        self._process = subprocess.Popen(
            command + ([str(sockets)] if sockets else []),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if _is_experimental(command) else None,
            text=True,
        )
        self.events: list[Event] = []
        self._answers: dict[int, Event] = {}
        self._numbers = itertools.count()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        wait(self, lambda events: seen("ready")(events) or seen("thrown")(events))

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            if "number" in message:
                self._answers[message["number"]] = message
            else:
                self.events.append(message)

    def begin(self, name: str, *args: Any) -> int:
        """Call a method, or read an attribute, without waiting for its result."""
        number = next(self._numbers)
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"number": number, "call": name, "args": args}) + "\n")
        self._process.stdin.flush()
        return number

    def result(self, number: int) -> Any:
        """The result of what was begun; raises Refused."""
        wait(self, lambda _: number in self._answers)
        answer = self._answers[number]
        if "refused" in answer:
            raise Refused(answer["refused"])
        return answer["value"]

    def call(self, name: str, *args: Any) -> Any:
        return self.result(self.begin(name, *args))

    def __enter__(self) -> NodeClient:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        if self._process.poll() is None:
            self.call("close")
        self._process.stdin.close()
        if not self._ends:
            self._process.terminate()
        self.code = self._process.wait(PATIENCE)
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()


def _is_experimental(command: Sequence[str]) -> bool:
    """Node warns on standard error of what it calls experimental."""
    return any(part.startswith("--experimental") for part in command)


class TabClient:
    """In a page of the service itself."""

    def __init__(self, tab: Tab, url: str, **options: Any) -> None:
        self._tab = tab
        given = json.dumps({"backoff": {"baseMs": 10, "capMs": 20}, **options})
        tab.evaluate(f"""(async () => {{
            const {{ UnionClient }} = await import("/client.js");
            window.client = new UnionClient({json.dumps(url)}, {given});
            window.log = [];
            for (const event of ["connected", "transfer", "message", "gap", "disconnected", "state", "error"])
                client.on(event, (detail) => log.push({{ event, ...detail }}));
        }})()""")

    @property
    def events(self) -> Sequence[Event]:
        found: list[Event] = json.loads(self._tab.evaluate("JSON.stringify(log)"))
        return found

    def call(self, name: str, *args: Any) -> Any:
        script = f"""(async () => {{
            try {{
                const member = client[{json.dumps(name)}];
                const given = {json.dumps(args)};
                const value = typeof member === "function" ? await member.apply(client, given) : member;
                return {{ value: value === client ? "itself" : value ?? null }};
            }} catch ({{ code, message, closeCode }}) {{
                return {{ refused: {{ code, message, closeCode }} }};
            }}
        }})()"""
        answer = self._tab.evaluate(script)
        if "refused" in answer:
            raise Refused(answer["refused"])
        return answer["value"]

    def __enter__(self) -> TabClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.call("close")
