"""The supervisor with tiny processes, forked from a process of its own."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

PROGRAM = """
import os, select, signal, socket, sys, time
signal.alarm(20)  # a program that hangs ends, its processes with it, and its test fails
from unionws import supervisor
from unionws.supervisor import Child, Supervisor

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def serve(name, patience=0.0):
    def run(alive):
        asked = []
        signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
        say(name, "up", os.getpid())
        while not asked:
            if select.select([alive], [], [], 0.01)[0]:
                say(name, "orphaned")
                return 0
        time.sleep(patience)
        say(name, "down")
        return 0
    return run

def supervise(first, *others, listeners=()):
    children = [run if isinstance(run, Child) else Child("other", run) for run in others]
    running = Supervisor(Child("first", first), children, listeners)
    running.start()
    running.wait()
    say("stopped", *running.pids)
"""


class Program:
    """A running program, read line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.pids: dict[str, int] = {}

    def words(self) -> list[str]:
        """The next line, empty at the end."""
        assert self.process.stdout is not None
        words = self.process.stdout.readline().split()
        if words[1:2] == ["up"]:
            self.pids[words[0]] = int(words[2])
        return words

    def until(self, *wanted: str) -> list[list[str]]:
        """Lines up to the one that begins with ``wanted``."""
        lines = []
        while True:
            lines.append(self.words())
            assert lines[-1], f"ended without saying {wanted}: {lines}"
            if lines[-1][: len(wanted)] == list(wanted):
                return lines

    def up(self, *names: str) -> None:
        """Wait until these have said that they run."""
        while not self.pids.keys() >= set(names):
            assert self.words()

    def rest(self) -> list[list[str]]:
        """All that is still said until the last process that holds the output is gone."""
        assert self.process.stdout is not None
        return [line.split() for line in self.process.stdout]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


@contextmanager
def running(code: str) -> Iterator[Program]:
    """A program in a process group of its own; what is left of the group at the end is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM + code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        yield Program(process)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pid: int) -> bool:
    """Whether a process ends within a moment."""
    for _ in range(500):
        if not alive(pid):
            return True
        time.sleep(0.01)
    return False


def children(pid: int) -> list[int]:
    """Children of a process, zombies included."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


THREE = "supervise(serve('first'), serve('a'), serve('b'))"


def test_what_dies_is_started_again_and_the_others_do_not_notice() -> None:
    """kill -9 of one process gives it a new process id; the others keep theirs; no zombie stays."""
    with running(THREE) as program:
        program.up("first", "a", "b")
        for name in ("a", "first"):
            before = dict(program.pids)
            os.kill(before[name], signal.SIGKILL)
            program.until(name, "up")
            assert program.pids[name] != before[name]
            assert {**program.pids, name: before[name]} == before
        assert sorted(children(program.process.pid)) == sorted(program.pids.values())


def test_a_process_that_was_asked_to_end_by_somebody_else_is_started_again() -> None:
    """SIGTERM to one process alone is not the end of the service."""
    with running(THREE) as program:
        program.up("first", "a", "b")
        os.kill(program.pids["b"], signal.SIGTERM)
        program.until("b", "down")
        assert program.until("b", "up")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_process_stops_before_the_others(number: signal.Signals) -> None:
    """What ingest still publishes reaches edges that are alive; then all is gone and the exit is 0."""
    with running("supervise(serve('first', patience=0.2), serve('a'), serve('b'))") as program:
        program.up("first", "a", "b")
        program.signal(number)
        said = program.rest()
        assert said[0] == ["first", "down"]
        assert sorted(said[1:]) == [["a", "down"], ["b", "down"], ["stopped"]]
        assert said[-1] == ["stopped"]
        assert program.process.wait() == 0
        assert not any(alive(pid) for pid in program.pids.values())


def test_an_interrupt_from_the_terminal_stops_in_order_too() -> None:
    """Ctrl-C reaches the whole process group; only the parent acts on it."""
    with running(THREE) as program:
        program.up("first", "a", "b")
        os.killpg(program.process.pid, signal.SIGINT)
        said = program.rest()
        assert said[0] == ["first", "down"]
        assert said[-1] == ["stopped"]
        assert program.process.wait() == 0


def test_kill_9_of_the_supervisor_ends_everything() -> None:
    """Every process learns that the parent is gone, restarted ones too; nothing is orphaned."""
    with running(THREE) as program:
        program.up("first", "a", "b")
        os.kill(program.pids["a"], signal.SIGKILL)
        program.until("a", "up")
        program.signal(signal.SIGKILL)
        assert sorted(program.rest()) == [["a", "orphaned"], ["b", "orphaned"], ["first", "orphaned"]]
        assert all(gone(pid) for pid in program.pids.values())


@pytest.mark.parametrize("deaf", ["first", "a"])
def test_a_process_that_ignores_sigterm_is_killed_in_time(deaf: str) -> None:
    """The others stop as usual; nothing is left, and the exit is 0."""
    code = f"""
def ignore(alive):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say({deaf!r}, "up", os.getpid())
    time.sleep(60)

supervisor.INGEST_STOPS_WITHIN, supervisor.STOP_WITHIN = 0.2, 0.6
runs = {{"first": serve("first"), "a": serve("a"), {deaf!r}: ignore}}
supervise(runs["first"], runs["a"])
"""
    with running(code) as program:
        program.up("first", "a")
        program.signal(signal.SIGTERM)
        other = "a" if deaf == "first" else "first"
        assert program.rest() == [[other, "down"], ["stopped"]]
        assert program.process.wait() == 0
        assert not alive(program.pids[deaf])


def test_what_keeps_dying_is_started_less_and_less_often() -> None:
    """The pause doubles up to a bound, and the others run on; an exception is an end like any other."""
    code = """
def fail(alive):
    say("bad", time.monotonic())
    raise RuntimeError("no")

supervisor.LONGEST_DELAY = 0.4
supervise(serve("first"), Child("bad", fail, delay=0.05))
"""
    with running(code) as program:
        program.up("first")
        times = [float(program.until("bad")[-1][1]) for _ in range(6)]
        pauses = [after - before for before, after in itertools.pairwise(times)]
        wanted = [0.1, 0.2, 0.4, 0.4, 0.4]
        assert all(pause >= least for pause, least in zip(pauses, wanted, strict=True))
        assert pauses[-1] < 1.5  # doubled on, it would be 1.6
        program.signal(signal.SIGTERM)
        assert program.rest()[-2:] == [["first", "down"], ["stopped"]]


def test_a_process_that_lived_long_is_started_again_at_once() -> None:
    """Back-off is for what dies young: one death after a good life does not count."""
    code = """
supervisor.YOUNG, supervisor.LONGEST_DELAY = 0.0, 1000.0
supervise(serve("first"), Child("a", serve("a"), delay=500.0))
"""
    with running(code) as program:
        program.up("first", "a")
        for _ in range(3):
            os.kill(program.pids["a"], signal.SIGKILL)
            assert program.until("a", "up")  # not in 1,000 s


def test_each_listening_socket_is_open_in_those_that_serve_only() -> None:
    """Ingest holds none of them: else connections would wait in a queue nobody reads."""
    code = """
listener = socket.create_server(("127.0.0.1", 0))
def tell(name):
    def run(alive):
        say(name, listener.fileno() >= 0)
        return serve(name)(alive)
    return run
supervise(tell("first"), tell("a"), listeners=[listener])
"""
    with running(code) as program:
        said: list[list[str]] = []
        while len(said) < 2:
            words = program.words()
            assert words
            if words[1] in ("True", "False"):
                said.append(words)
        assert sorted(said) == [["a", "True"], ["first", "False"]]
