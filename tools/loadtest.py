"""Load for a unionws server: many WebSocket clients that check what they receive.

``python tools/loadtest.py [URL] [--clients 1000] [--seconds 30]``

Opens the clients from several processes, listens, and prints one JSON object: messages, delivery
latency (clock of this machine against the ``timestamp`` of live transfers), and whether anything
is missing by the gap rule (a frame's ``prev`` beyond the last ``seq``). The exit status is 0 when
every client opened and stayed and nothing was missing, 1 otherwise, 2 for wrong options.

Linux only (epoll). One process holds as many clients as it may open files (``ulimit -n``). Towards
a loopback address the clients come from many addresses of 127.0.0.0/8, as real ones do; from
elsewhere they share this machine's address, and the server's limit per address counts.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Sequence
from multiprocessing.context import ForkProcess
from typing import Any

from load.tally import Tally
from load.worker import FILES_KEPT, Plan, Progress, Target, Worker, parse_target

BAR_CELLS = 30
WARM_SECONDS = 1.0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Load a WebSocket server with clients that check what they receive."
    )
    parser.add_argument("url", nargs="?", default="ws://127.0.0.1:8080/ws", help="default: %(default)s")
    parser.add_argument("--clients", type=int, default=1000, help="connections; default: %(default)s")
    parser.add_argument("--seconds", type=float, default=30.0, help="measured time; default: %(default)s")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="default: one per core")
    parser.add_argument("--at-once", type=int, default=100, help="connections a process opens at a time")
    parser.add_argument("--deflate", action="store_true", help="offer permessage-deflate")
    parser.add_argument("--header", action="append", default=[], metavar="'NAME: VALUE'")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    args = parser.parse_args(argv)
    if args.clients < 1 or args.processes < 1 or args.at_once < 1 or args.seconds <= 0:
        parser.error("clients, processes, at-once and seconds are above 0")
    args.processes = min(args.processes, args.clients, 200)
    check_files(parser, args)
    return args


def check_files(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Raises the limit of open files as far as it goes; too few is an error that says what helps."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, allowed))
    each = -(-args.clients // args.processes)
    if allowed != resource.RLIM_INFINITY and each + FILES_KEPT > allowed:
        needed = -(-args.clients // (allowed - FILES_KEPT))
        parser.error(f"one process may open {allowed} files: use --processes {needed} or more")


def share(total: int, parts: int, index: int) -> int:
    """How many of ``total`` the part ``index`` of ``parts`` has."""
    return total // parts + (index < total % parts)


class Run:
    """The worker processes of one test and what they share with this one."""

    def __init__(self, target: Target, args: argparse.Namespace) -> None:
        self._args = args
        context = multiprocessing.get_context("fork")
        self.progress = Progress(context, args.processes)
        self._results = context.SimpleQueue()
        self._processes: list[ForkProcess] = [
            context.Process(target=self._work, args=(target, index), daemon=True)
            for index in range(args.processes)
        ]

    def _work(self, target: Target, index: int) -> None:
        args = self._args
        plan = Plan(
            clients=share(args.clients, args.processes, index),
            at_once=args.at_once,
            seconds=args.seconds,
            deflate=args.deflate,
            headers=tuple(args.header),
        )
        try:
            self._results.put(Worker(target, plan, index, self.progress).run())
        except KeyboardInterrupt:
            return  # the parent says so

    def __enter__(self) -> Run:
        for process in self._processes:
            process.start()
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._processes:
            process.terminate()
            process.join()

    def alive(self) -> bool:
        return all(process.is_alive() for process in self._processes)

    def results(self) -> list[Tally]:
        """One of each process; waits for all."""
        found: list[Tally] = []
        while len(found) < len(self._processes):
            if self._results.empty():
                self._check()
                time.sleep(0.02)
            else:
                found.append(self._results.get())
        return found

    def _check(self) -> None:
        for process in self._processes:
            if process.exitcode:
                raise SystemExit(f"error: a load process ended with status {process.exitcode}")


def bar(done: float, text: str) -> str:
    """A line for a terminal; ``done`` is 0 to 1."""
    filled = int(BAR_CELLS * max(0.0, min(1.0, done)))
    return f"\r\x1b[K[{'#' * filled}{'.' * (BAR_CELLS - filled)}] {text}"


class Screen:
    """The progress bar, drawn on standard error only when that is a terminal."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._shown = sys.stderr.isatty() and not args.quiet

    def show(self, done: float, text: str) -> None:
        if self._shown:
            sys.stderr.write(bar(done, text))
            sys.stderr.flush()

    def end(self) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")


def wait_until_open(run: Run, screen: Screen, clients: int) -> float:
    """Seconds until every client was open or had failed."""
    begun = time.monotonic()
    while not run.progress.all_ready():
        if not run.alive():
            run.results()
        opened, failed = run.progress.opened(), run.progress.failed()
        screen.show((opened + failed) / clients, f"{opened:,} open, {failed:,} failed")
        time.sleep(0.05)
    return time.monotonic() - begun


def measure(run: Run, screen: Screen, seconds: float) -> list[Tally]:
    """Lets the clients count for ``seconds``."""
    time.sleep(WARM_SECONDS)
    begun = run.progress.start()
    while (passed := time.monotonic() - begun) < seconds and run.alive():
        screen.show(
            passed / seconds, f"{passed:.0f} of {seconds:.0f} s, {run.progress.messages():,} messages"
        )
        time.sleep(0.1)
    return run.results()


def report(args: argparse.Namespace, tally: Tally, open_seconds: float) -> dict[str, Any]:
    """The JSON object of the whole test."""
    result: dict[str, Any] = {"url": args.url, "clients": args.clients, "openSeconds": round(open_seconds, 3)}
    result |= {"seconds": args.seconds, "messagesPerSecond": round(tally.messages / args.seconds, 1)}
    return result | tally.report()


def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv)
    try:
        target = parse_target(args.url)
    except (ValueError, OSError) as error:
        print(f"error: {args.url}: {error}", file=sys.stderr)
        return 2
    screen = Screen(args)
    try:
        with Run(target, args) as run:
            open_seconds = wait_until_open(run, screen, args.clients)
            tallies = measure(run, screen, args.seconds)
    except KeyboardInterrupt:
        return 130
    finally:
        screen.end()
    total = Tally.sum(tallies)
    print(json.dumps(report(args, total, open_seconds), indent=2 if sys.stdout.isatty() else None))
    return 0 if total.is_clean() else 1


if __name__ == "__main__":
    raise SystemExit(main())
