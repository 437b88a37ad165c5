"""Chromium without a screen, driven over its DevTools protocol, and Node; tests skip where they are not."""

from __future__ import annotations

import base64
import contextlib
import functools
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

PATIENCE = 20.0
NAMES = ("chromium", "chromium-browser", "google-chrome")

# Without these it looks for its maker's servers at every start and drags requests along.
OFFLINE = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
)


def require_chromium() -> str:
    """Its path; skips the test where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    return found


@functools.cache
def _node_flags() -> tuple[str, ...] | None:
    node = shutil.which("node")
    if node is None:
        return None
    for flags in ((), ("--experimental-websocket",)):
        asked = [node, *flags, "-p", "typeof WebSocket"]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=PATIENCE)
        if done.stdout.strip() == "function":
            return (node, *flags)
    return None


def require_node() -> list[str]:
    """The command of a Node that has a WebSocket class; skips the test where there is none."""
    flags = _node_flags()
    if flags is None:
        pytest.skip("no node with a WebSocket class: install Node.js 20.10 or newer")
    return list(flags)


class Browser:
    """One chromium with an empty profile, inside ``with``."""

    def __init__(self, *flags: str) -> None:
        self._profile = tempfile.mkdtemp(prefix="chromium-")
        self._process = subprocess.Popen(
            [
                require_chromium(),
                "--headless",
                "--no-sandbox",  # tests may run as root
                "--disable-gpu",
                "--disable-dev-shm-usage",
                *OFFLINE,
                *flags,
                "--remote-debugging-port=0",
                f"--user-data-dir={self._profile}",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._port = self._find_port()

    def _find_port(self) -> int:
        place = Path(self._profile) / "DevToolsActivePort"
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with contextlib.suppress(FileNotFoundError, IndexError, ValueError):
                return int(place.read_text().splitlines()[0])
            time.sleep(0.02)
        self.close()
        raise AssertionError("chromium does not start")

    def tab(self, url: str = "about:blank") -> Tab:
        """A new tab."""
        ask = urllib.request.Request(f"http://127.0.0.1:{self._port}/json/new?about:blank", method="PUT")
        with urllib.request.urlopen(ask, timeout=PATIENCE) as answer:
            tab = Tab(json.load(answer)["webSocketDebuggerUrl"])
        if url != "about:blank":
            tab.goto(url)
        return tab

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, 9)
        self._process.wait()
        shutil.rmtree(self._profile, ignore_errors=True)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Tab:
    """One page. ``problems`` are its errors: exceptions, console errors, blocked by policy."""

    def __init__(self, url: str) -> None:
        self._open = contextlib.ExitStack()
        self._connection: ClientConnection = self._open.enter_context(
            connect(url, max_size=None, compression=None)
        )
        self._ids = itertools.count(1)
        self.problems: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Performance", "Network"):
            self.do(f"{domain}.enable")

    def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol, answered."""
        number = next(self._ids)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._connection.recv(PATIENCE))
            if message.get("id") == number:
                assert "error" not in message, (method, message["error"])
                result: dict[str, Any] = message["result"]
                return result
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        kind, given = message.get("method"), message.get("params", {})
        if kind == "Runtime.exceptionThrown":
            details = given["exceptionDetails"]
            self.problems.append(str(details.get("exception", {}).get("description", details["text"])))
        elif kind == "Runtime.consoleAPICalled" and given["type"] == "error":
            self.problems.append(" ".join(str(argument.get("value")) for argument in given["args"]))
        elif kind == "Log.entryAdded" and given["entry"]["level"] == "error":
            self.problems.append(f"{given['entry']['text']} {given['entry'].get('url', '')}")

    def goto(self, url: str) -> None:
        """Navigate, and wait until the page is loaded."""
        self.do("Page.navigate", url=url)
        self.wait(
            f"location.href !== 'about:blank' && document.readyState === 'complete' && {json.dumps(url)}"
        )

    def evaluate(self, script: str) -> Any:
        """The value of an expression, awaited."""
        answer = self.do("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, script: str) -> None:
        """Until an expression is true."""
        deadline = time.monotonic() + PATIENCE
        while not self.evaluate(f"Boolean({script})"):
            assert time.monotonic() < deadline, f"not so in time: {script}"
            time.sleep(0.02)

    def size(self, width: int, height: int, *, mobile: bool = False, scale: float = 1) -> None:
        """The size of the window."""
        self.do(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=mobile,
        )

    def prefer(self, **features: str) -> None:
        """Media features, such as ``prefers_color_scheme="dark"``."""
        listed = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.do("Emulation.setEmulatedMedia", features=listed)

    def press(self, key: str, *, code: int, text: str = "") -> None:
        """A key, by its name and number."""
        for kind in ("keyDown", "keyUp"):
            shown = {"text": text} if text and kind == "keyDown" else {}
            self.do(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **shown
            )

    def screenshot(self, path: Path) -> None:
        """A picture of what is seen."""
        path.write_bytes(base64.b64decode(self.do("Page.captureScreenshot")["data"]))

    def metrics(self) -> dict[str, float]:
        """Counters of the page: seconds of tasks, scripts and layout, nodes, heap."""
        return {entry["name"]: entry["value"] for entry in self.do("Performance.getMetrics")["metrics"]}

    def close(self) -> None:
        self._open.close()

    def __enter__(self) -> Tab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
