"""Posts transfers and faults to URLs of the operator's: setting WEBHOOK_URLS.

Each URL has a queue of its own, bounded, and gets one request at a time, in order. What is refused
is tried again, later and later; a receiver may get the same twice and tells by ``epoch`` and
``seq``. Requests are made in the plugin's threads; the loop only waits.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections import Counter, deque
from collections.abc import Mapping, Sequence

import requests
import ujson

from unionws.extensions import Metric, Setting
from unionws.hookspecs import hookimpl
from unionws.model import JSON, TransfersRecord
from unionws.pluginservice import Service
from unionws.settings_values import check_http_url

MOST_WAITING = 1_000
"""Requests that wait for one URL; the oldest is dropped for a new one."""
ATTEMPTS = 8
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
TIMEOUT = 5.0
FINAL = range(400, 500)
"""Statuses that trying again does not change; but for the next two."""
PASSING = (408, 429)


def check_urls(urls: Sequence[str]) -> None:
    """Refuse what is no http or https URL."""
    for url in urls:
        check_http_url(url)


class Target:
    """One URL and what waits for it."""

    def __init__(self, url: str, secret: str, counts: Counter[tuple[str, ...]]) -> None:
        self.waiting: deque[bytes] = deque()
        self._url, self._secret, self._counts = url, secret.encode(), counts
        self._wake = asyncio.Event()

    def add(self, body: bytes) -> None:
        """Queue one more."""
        if len(self.waiting) >= MOST_WAITING:
            self.waiting.popleft()
            self._counts["dropped",] += 1
        self.waiting.append(body)
        self._wake.set()

    async def run(self, service: Service) -> None:
        """Send what waits, one after the other, for ever."""
        while True:
            while self.waiting:
                await self._deliver(service, self.waiting.popleft())
            self._wake.clear()
            await self._wake.wait()

    async def _deliver(self, service: Service, body: bytes) -> None:
        wait = FIRST_WAIT
        for attempt in range(1, ATTEMPTS + 1):
            status = await service.run_in_thread(self.post, body)
            if 200 <= status < 300:
                self._counts["sent",] += 1
                return
            self._counts["failed",] += 1
            if attempt == ATTEMPTS or (status in FINAL and status not in PASSING):
                break
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)
        self._counts["dropped",] += 1
        service.log.warning("webhook given up", extra={"fields": {"status": status, "attempts": attempt}})

    def post(self, body: bytes) -> int:
        """One request, in a thread; its status, 0 when there is none."""
        headers = {"Content-Type": "application/json"}
        if self._secret:
            digest = hmac.new(self._secret, body, hashlib.sha256).hexdigest()
            headers["X-Unionws-Signature"] = f"sha256={digest}"
        try:
            with requests.post(
                self._url, body, headers=headers, timeout=TIMEOUT, allow_redirects=False, stream=True
            ) as answer:
                return answer.status_code
        except Exception:  # noqa: BLE001 - requests lets errors of urllib3 and of sockets through
            return 0


class Webhooks:
    """The plugin."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._targets: list[Target] = []
        self._tasks: list[asyncio.Task[None]] = []

    @hookimpl
    def register_settings(self) -> Sequence[Setting]:
        return [
            Setting("WEBHOOK_URLS", (), "URLs that transfers and faults are posted to.", check=check_urls),
            Setting(
                "WEBHOOK_SECRET",
                "",
                "Signs each request: X-Unionws-Signature: sha256=<HMAC of the body in hex>.",
                secret=True,
            ),
        ]

    @hookimpl
    def startup(self, service: Service) -> None:
        extra = service.settings.extra
        if service.role == "edge":
            return
        self._targets = [Target(url, extra["WEBHOOK_SECRET"], self._counts) for url in extra["WEBHOOK_URLS"]]
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(target.run(service)) for target in self._targets]

    @hookimpl
    def published(self, record: TransfersRecord) -> None:
        if not self._targets:
            return
        late = b'"late":true,' if record.late else b""
        items = b",".join([item.json for item in record.items])
        self._send(
            b'{"type":"transfers","epoch":"%s","seq":%d,%s"data":[%s],"timestamp":%d}'
            % (record.epoch.encode(), record.seq, late, items, record.timestamp)
        )

    @hookimpl
    def fault(self, kind: str, detail: Mapping[str, JSON]) -> None:
        if self._targets:
            self._send(ujson.dumps({"type": "fault", "kind": kind, "data": dict(detail)}).encode())

    def _send(self, body: bytes) -> None:
        for target in self._targets:
            target.add(body)

    @hookimpl
    def register_metrics(self) -> Sequence[Metric]:
        return [
            Metric(
                "webhook_requests_total",
                "Webhook requests by result; dropped ones were never delivered.",
                "counter",
                lambda: dict(self._counts),
                ("result",),
            ),
            Metric("webhook_waiting", "Webhook requests that wait.", "gauge", self._waiting),
        ]

    def _waiting(self) -> float:
        return sum(len(target.waiting) for target in self._targets)

    @hookimpl
    def shutdown(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._targets, self._tasks = [], []
