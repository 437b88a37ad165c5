"""Plugins that misbehave under load: what clients notice of each, and where its name is found.

``python tools/campaign/misbehaviour.py [--clients 5000] [--seconds 50] [--edges 1,0] [--cases …]``

Each plugin of ``tools/campaign/culprits`` is loaded into a service of its own that thousands of
clients listen to, and begins to misbehave in the middle of it. First the same is measured without a
plugin. *p99* and *longest* are from publishing to the client; *age* is from the
moment the indexer had a transfer to the moment a client had it, so it shows also when ingest was
held up. A plugin that cannot be loaded is deployed beside the running service, as its successor;
*deploy* is the same with a start that finds nothing wrong, and the measure for those.

``--cases stuck`` is one that cannot be cut short: in one process (EDGE_PROCESSES=0) everybody waits for
it, with edges of their own only the transfers that follow it do.

Ends with 1 when a client was lost or missed something, when a p99 is more than 1.5 times that
without the plugin, or when a culprit is not named everywhere.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import shutil
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scene import QUICK, CampaignError, Recorder, Stage, judge, staged
from tornado.httpclient import AsyncHTTPClient
from tornado.websocket import WebSocketClientConnection, websocket_connect

from unionws import pluginlist
from unionws.source.simulator import Simulator

import harness  # isort: skip  # scene made its folder known

CULPRITS = Path(__file__).with_name("culprits")
AT_RUN_TIME = ("raises", "blocks", "blocks_edge", "spins", "leaks", "garbage")
AT_START = ("clashes", "bad_filter")
NOBODY, DEPLOY = "nobody", "deploy"
RATE = 16.0
"""Transfers a second; they come in two or three records a second."""
SETTINGS = {**QUICK, "SPREAD_MS": 0, "POLL_INTERVAL": 100, "PLUGIN_MEMORY_MB": 50}
ALLOWED = 1.5
PLUGIN = "culprit"
NAMED_WITHIN = 10.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run.

    Attributes:
        problems: what should not be; empty: all is well.
        told: what the service says of the plugin.
    """

    case: str
    lost: int
    gaps: int
    p50: float
    p99: float
    longest: float
    age: float
    problems: tuple[str, ...]
    told: str


class Stopwatch(Recorder):
    """A client that also remembers when each transfer came.

    Attributes:
        came: Unix seconds by ``sort_order``.
    """

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.came: dict[str, float] = {}

    def _on_message(self, text: str | bytes | None) -> None:
        before = len(self.seen)
        super()._on_message(text)
        if text is not None and len(self.seen) > before:
            for item in json.loads(text)["data"]:
                self.came.setdefault(item["sort_order"], time.time())


async def visit(port: int) -> None:
    """Come, use whatever plugins may offer, and go; again and again."""
    with contextlib.closing(AsyncHTTPClient(force_instance=True)) as client:
        while True:
            with contextlib.suppress(OSError, asyncio.TimeoutError):
                url = f"ws://127.0.0.1:{port}/ws?channels=transfers"
                guest = await websocket_connect(url, on_message_callback=lambda _: None)
                with contextlib.closing(guest):
                    await use(guest, client, f"http://127.0.0.1:{port}")
            await asyncio.sleep(0.3)


async def use(guest: WebSocketClientConnection, client: AsyncHTTPClient, url: str) -> None:
    """A filter, a request, a path and a figure of the plugin's, where it has them."""
    wanted = {"channel": "transfers", "filter": {"acme.odd": "x"}}
    await guest.write_message(json.dumps({"type": "setFilter", "data": wanted}))
    await guest.write_message('{"type":"acme.ask"}')
    for path in ("/ext/acme/x", "/metrics"):
        await client.fetch(f"{url}{path}", raise_error=False)
    await asyncio.sleep(0.7)


@contextlib.asynccontextmanager
async def visitors(port: int) -> AsyncIterator[None]:
    """Somebody comes and goes meanwhile."""
    task = asyncio.ensure_future(visit(port))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0.3)  # until its connections are gone


class Load:
    """The load client: opens, waits, measures."""

    def __init__(self, program: Path, port: int, clients: int, seconds: float) -> None:
        command = harness.load_command(
            program, port, clients=clients, processes=1, seconds=seconds, path="/ws?channels=transfers"
        )
        self._child = harness.Child(command)

    async def opened(self) -> int:
        """All connections; how many there are."""
        await asyncio.to_thread(self._child.__enter__)
        return int((await asyncio.to_thread(self._child.line))["opened"])

    async def measured(self) -> dict[str, Any]:
        """What it counted from now on."""
        self._child.say()
        return await asyncio.to_thread(self._child.line)

    def close(self) -> None:
        self._child.stop()


async def deploy(stage: Stage, culprit: str, folder: Path) -> tuple[str, ...]:
    """Start a successor that has the culprit; what is wrong with how that ends.

    Without a culprit the same program looks at the same settings (``unionws check``) and ends.
    """
    plugins = prepared(culprit, folder / "next")
    state = stage.service.folder / "state"
    given = {"PORT": stage.service.port, "HOST": "127.0.0.1", "STATE_DIR": state, "PLUGINS_DIR": plugins}
    given["GRAPHQL_ENDPOINT"] = f"http://127.0.0.1:{stage.indexer_port}/v1/graphql"
    pairs = [word for name, value in given.items() for word in ("--set", f"{name}={value}")]
    command = [sys.executable, "-m", "unionws", "check" if culprit == NOBODY else "serve", *pairs]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    if culprit == NOBODY:
        return () if process.returncode == 0 else (f"check ends with {process.returncode}",)
    text = said.decode()
    named = f"plugin '{PLUGIN}'" in text and "acme." in text
    problems = () if process.returncode == 1 else (f"the successor ends with {process.returncode}",)
    return problems if named else (*problems, f"the successor does not name it: {text[-300:]}")


def prepared(culprit: str, folder: Path) -> Path:
    """A plugin folder with the culprit alone, or with nobody."""
    folder.mkdir()
    if culprit != NOBODY:
        shutil.copy(CULPRITS / f"{culprit}.py", folder / f"{PLUGIN}.py")
    return folder


async def named(stage: Stage) -> tuple[str, list[str]]:
    """What is told of the culprit, and every place where it is not told of, some seconds later at most."""
    deadline = time.monotonic() + NAMED_WITHIN
    while True:
        told, missing = await looked_up(stage)
        if not missing or time.monotonic() > deadline:
            return told, missing
        await asyncio.sleep(0.5)


async def looked_up(stage: Stage) -> tuple[str, list[str]]:
    """The same at this moment."""
    url = f"http://127.0.0.1:{stage.service.port}"
    lines = await asyncio.to_thread(pluginlist.running, url, "")
    mine = [line for line in lines if line.split()[1] == PLUGIN]
    off = [line for line in mine if "switched off" in line]
    missing = [] if off else [f"/debug, as `unionws plugins` shows it, does not say so: {mine}"]
    answer = await AsyncHTTPClient().fetch(f"{url}/metrics")
    figures = [line for line in answer.body.decode().splitlines() if f'"{PLUGIN}"' in line]
    if not any(line.startswith("unionws_plugin_switched_off") and line.endswith(" 1.0") for line in figures):
        missing.append("/metrics does not tell")
    told = [line for line in stage.service.log() if line["message"].startswith("Plugin switched off")]
    if not any(line["fields"]["plugin"] == PLUGIN for line in told):
        missing.append("the log does not tell")
    return " ".join((off or mine or [""])[0].split()), missing


async def run(case: str, edges: int, clients: int, seconds: float, program: Path, folder: Path) -> Outcome:
    """One case: the service, its clients, and the culprit's moment after a fifth of the time."""
    at_start = case in AT_START or case == DEPLOY
    loaded = NOBODY if at_start else case
    plugins = prepared(loaded, folder / "plugins")
    settings = {**SETTINGS, "EDGE_PROCESSES": edges, "PLUGINS_DIR": plugins}
    simulator = Simulator(rate=RATE, seed=1)
    async with staged(simulator, settings) as stage:
        port = stage.service.port
        load, watch = Load(program, port, clients, seconds), Stopwatch(port)
        try:
            await watch.open()
            opened = await load.opened()
            async with visitors(port):
                await asyncio.sleep(2)
                start = time.time()
                measuring = asyncio.ensure_future(load.measured())
                await asyncio.sleep(seconds / 5)
                (plugins / "on").touch()
                wanted = NOBODY if case == DEPLOY else case
                problems = list(await deploy(stage, wanted, folder)) if at_start else []
                found = await measuring
            verdict = await judge(stage, watch, start, time.time() - 1)
            told, missing = ("", []) if loaded == NOBODY else await named(stage)
        finally:
            load.close()
            watch.close()
            await asyncio.sleep(0.1)  # until its connection is gone
    if opened != clients:
        problems.append(f"only {opened} clients could connect")
    if not verdict.clean:
        problems.append(f"not exactly once: {verdict}"[:300])
    ages = sorted(
        watch.came[key] - at for key, at in stage.truth(start, time.time()).items() if key in watch.came
    )
    return outcome(case, found, ages, [*problems, *missing], told)


def outcome(
    case: str, found: Mapping[str, Any], ages: Sequence[float], problems: Sequence[str], told: str
) -> Outcome:
    """The figures of a run."""
    latency = found["latencyMs"]
    lost = found["lost"] + found["failed"]
    age = ages[int(len(ages) * 0.99)] * 1000 if ages else 0.0
    more = [f"{lost} clients lost"] if lost else []
    more += [f"{found['gaps']} gaps"] if found["gaps"] else []
    figures = (latency.get(name, 0.0) for name in ("p50", "p99", "max"))
    return Outcome(case, lost, found["gaps"], *figures, age, (*problems, *more), told)


def judged(outcomes: Sequence[Outcome]) -> tuple[str, bool]:
    """The table, and whether all is well."""
    plain = {one.case: one.p99 for one in outcomes if one.case in (NOBODY, DEPLOY)}
    rows, well = [], True
    for one in outcomes:
        like = DEPLOY if one.case in AT_START and DEPLOY in plain else NOBODY
        ratio = one.p99 / max(plain[like], 0.001)
        long = ratio > ALLOWED and one.case != DEPLOY  # what a start costs by itself is no culprit's
        problems = [*one.problems, *([f"p99 is {ratio:.2f} times as long"] if long else [])]
        well = well and not problems
        milliseconds = (one.p50, one.p99, one.longest, one.age)
        rows.append(
            (
                one.case,
                str(one.lost),
                str(one.gaps),
                *(harness.figure(each, 1) for each in milliseconds),
                f"{ratio:.2f}",
                "; ".join(problems) or "well",
            )
        )
    return harness.table(HEADINGS, rows), well


HEADINGS = ("plugin", "lost", "gaps", "p50 ms", "p99 ms", "longest ms", "age p99 ms", "p99 ×", "verdict")


async def campaign(edges: int, cases: Sequence[str], clients: int, seconds: float) -> bool:
    """All cases with so many edges; whether all is well."""
    outcomes: list[Outcome] = []
    with harness.c_programs("loadclient") as (program,):
        for number, case in enumerate([NOBODY, *cases]):
            harness.note(f"EDGE_PROCESSES={edges}: {case}")
            folder = program.parent / f"{number}"
            folder.mkdir()
            outcomes.append(await run(case, edges, clients, seconds, program, folder))
            for text in (*outcomes[-1].problems, outcomes[-1].told):
                harness.note(f"  {text}") if text else None
    text, well = judged(outcomes)
    print(f"EDGE_PROCESSES={edges}, {clients:,} clients, {seconds:g} s each\n\n{text}\n", flush=True)
    return well


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clients", type=int, default=5_000)
    parser.add_argument("--seconds", type=float, default=50.0, help="measured per plugin")
    parser.add_argument("--edges", default="1,0", help="values of EDGE_PROCESSES, by commas")
    parser.add_argument("--cases", default=",".join((*AT_RUN_TIME, DEPLOY, *AT_START)), help="by commas")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    options = parse(argv)
    well = True
    for edges in map(int, options.edges.split(",")):
        cases = options.cases.split(",")
        well = asyncio.run(campaign(edges, cases, options.clients, options.seconds)) and well
    return 0 if well else 1


def guarded() -> int:
    try:
        return main()
    except CampaignError as error:
        raise harness.BenchError(str(error)) from error


if __name__ == "__main__":
    sys.exit(harness.run(guarded))
