"""One service takes over from another: in one process with threads, then whole services."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.connections.wire import CLOSE
from tests.looped import PATIENCE
from tests.talking import Talker
from unionws import takeover
from unionws.app import state_folder
from unionws.errors import StateError
from unionws.history.statefolder import StateFolder
from unionws.settings import Settings
from unionws.takeover import Handover, Predecessor, find, lock


@pytest.fixture
def listeners() -> Iterator[list[socket.socket]]:
    made = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    yield made
    for each in made:
        each.close()


class Running:
    """A service that can be taken over, as far as this module goes."""

    def __init__(self, path: Path, listeners: list[socket.socket]) -> None:
        self.folder = StateFolder(path)
        self.folder.acquire()
        self.handover = Handover(self.folder, listeners)
        self.handover.open()

    def close(self) -> None:
        self.handover.close()
        self.folder.release()


@pytest.fixture
def running(tmp_path: Path, listeners: list[socket.socket]) -> Iterator[Running]:
    made = Running(tmp_path / "state", listeners)
    yield made
    made.close()


class Successor(threading.Thread):
    """Takes over in a thread; ``fails`` says after which word it ends instead."""

    def __init__(self, path: Path, fails: str = "") -> None:
        super().__init__()
        self.folder = StateFolder(path)
        self.fails = fails
        self.names: list[Any] = []
        self.start()

    def run(self) -> None:
        predecessor = lock(self.folder)
        assert predecessor is not None
        self.names = [each.getsockname() for each in predecessor.listeners]
        for each in predecessor.listeners:
            each.close()
        if self.fails != "sockets":
            predecessor.take_state(self.folder)
            if self.fails == "state":
                self.folder.release()
            else:
                predecessor.dismiss()
        predecessor.hang_up()


def until_met(handover: Handover) -> bool:
    """Wait for somebody at the door; whether it is ready for the state."""
    while handover.fileno() >= 0:
        before = handover.fileno()
        if _readable(before):
            return handover.meet()
    return False


def _readable(fd: int) -> bool:
    return bool(select.select([fd], [], [], PATIENCE)[0])


def locked(path: Path) -> bool:
    """Whether somebody has the state."""
    probe = StateFolder(path)
    try:
        probe.acquire()
    except StateError:
        return True
    probe.release()
    return False


def test_sockets_then_state_then_the_end(running: Running, listeners: list[socket.socket]) -> None:
    """The successor gets the very sockets, and the lock once it was let go of."""
    successor = Successor(running.folder.path)
    assert until_met(running.handover)
    assert locked(running.folder.path)
    running.handover.release()
    assert running.handover.succeeded()
    successor.join()
    assert successor.names == [each.getsockname() for each in listeners]
    assert locked(running.folder.path)
    successor.folder.release()


def test_systemd_learns_who_is_the_main_process(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would end the successor together with the service that it started."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        successor = Successor(running.folder.path)
        assert until_met(running.handover)
        running.handover.release()
        assert running.handover.succeeded()
        successor.join()
        successor.folder.release()
        assert systemd.recv(100) == f"MAINPID={os.getpid()}".encode()


@pytest.mark.parametrize("fails", ["sockets", "state"])
def test_a_successor_that_fails_changes_nothing(running: Running, fails: str) -> None:
    """The state is taken back, and the next one may try."""
    successor = Successor(running.folder.path, fails)
    met = until_met(running.handover)
    assert met == (fails == "state")
    if met:
        running.handover.release()
        assert not running.handover.succeeded()
        assert running.handover.take_back()
        running.handover.open()
    successor.join()
    assert locked(running.folder.path)
    again = Successor(running.folder.path, "sockets")
    assert not until_met(running.handover)
    again.join()


def test_a_state_that_somebody_else_took_is_not_taken_back(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then this service has to end."""
    monkeypatch.setattr(takeover, "LOCK_SECONDS", 0.1)
    running.handover.release()
    other = StateFolder(running.folder.path)
    other.acquire()
    assert not running.handover.take_back()
    other.release()


def test_without_a_service_at_the_door_a_locked_state_is_an_error(tmp_path: Path) -> None:
    """A program that holds the lock and cannot be asked is named, as ever."""
    holder = StateFolder(tmp_path)
    holder.acquire()
    assert find(StateFolder(tmp_path)) is None
    with pytest.raises(StateError, match=str(os.getpid())):
        lock(StateFolder(tmp_path))
    holder.release()


STRANGER = """
import os, socket, sys
os.setgid(65534), os.setuid(65534)
if sys.argv[1] == "successor":
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(sys.stdin.readline().strip().replace("@", "\\0"))
    data, fds, _, _ = socket.recv_fds(connection, 100, 10)
    print(len(data), len(fds), flush=True)
else:
    door = socket.socket(socket.AF_UNIX)
    door.bind(sys.stdin.readline().strip().replace("@", "\\0"))
    door.listen(1)
    print("open", flush=True)
    connection, _ = door.accept()
    print(len(connection.recv(100)), flush=True)
"""
"""A process of another user, at either end of the meeting point."""


@contextlib.contextmanager
def stranger(part: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """It plays ``successor`` or ``service`` for a state folder."""
    argv = [sys.executable, "-c", STRANGER, part]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        process.stdin.write(takeover.meeting_point(folder).replace("\0", "@") + "\n")
        process.stdin.flush()
        try:
            yield process
        finally:
            process.kill()


needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")


@needs_root
def test_a_successor_of_another_user_gets_nothing(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    """Neither a word nor a socket; the kernel says who it is, and the service goes on."""
    with stranger("successor", running.folder.path) as other:
        assert other.stdout is not None
        assert not until_met(running.handover)
        assert other.stdout.readline() == "0 0\n"
    assert "a successor of another user was refused" in caplog.text
    assert locked(running.folder.path)
    again = Successor(running.folder.path, "sockets")  # the door is still open to our own
    assert not until_met(running.handover)
    again.join()


@needs_root
def test_a_service_of_another_user_is_not_taken_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever squats on the meeting point could hand over sockets of his own: it is told nothing."""
    holder = StateFolder(tmp_path)
    holder.acquire()
    with stranger("service", tmp_path) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(StateError):
            lock(StateFolder(tmp_path))
        assert other.stdout.readline() == "0\n"
    assert "a service of another user claims this state" in caplog.text
    holder.release()


def test_both_ends_of_a_takeover_ask_whose_the_other_is(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where tests cannot become somebody else, the kernel's answer is replaced."""
    monkeypatch.setattr(takeover, "peer_user", lambda connection: os.getuid() + 1)
    with socket.socket(socket.AF_UNIX) as successor:
        successor.settimeout(PATIENCE)
        successor.connect(takeover.meeting_point(running.folder.path))
        assert not until_met(running.handover)
        assert successor.recv(1) == b""
    with pytest.raises(StateError):
        lock(StateFolder(running.folder.path))


def test_any_number_of_sockets_is_handed_over(tmp_path: Path, listeners: list[socket.socket]) -> None:
    """More than the kernel takes in one message."""
    running = Running(tmp_path, listeners * 130)
    met: list[bool] = []
    thread = threading.Thread(target=lambda: met.append(until_met(running.handover)))
    thread.start()
    predecessor = find(StateFolder(tmp_path))
    assert isinstance(predecessor, Predecessor)
    assert len(predecessor.listeners) == 260
    for each in predecessor.listeners:
        each.close()
    predecessor.hang_up()
    thread.join()
    assert met == [False]
    running.close()


# ------------------------------------------------------------------------------- whole services


class Service:
    """``unionws serve --simulate`` in processes of its own."""

    def __init__(self, folder: Path, edges: int, *options: str) -> None:
        command = [sys.executable, "-m", "unionws", "serve", "--simulate", "40"]
        given = [
            f"STATE_DIR={folder}",
            f"EDGE_PROCESSES={edges}",
            "PORT=0",
            "HOST=127.0.0.1",
            "SPREAD_MS=200",
        ]
        given += ["LOG_FORMAT=json", "PLUGINS_DIR=", "BACKFILL_DAYS=0", "NODE_PROBES=false", *options]
        for each in given:
            command += ["--set", each]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder)

    def until(self, message: str) -> dict[str, Any]:
        """The fields of the next log line with this message."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if line.startswith("{") and (said := json.loads(line))["message"] == message:
                return dict(said["fields"])
        raise AssertionError(f"it ended without saying {message!r}")

    def end(self) -> int:
        """Stop it, if it still runs; its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=20)
        return self.process.returncode


class Clients:
    """One that follows the stream and keeps its rules, and one that connects without a pause."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.troubles: list[object] = []
        self.connects = 0
        self.got: list[str] = []
        self.closed: list[int | None] = []
        self.position = ("", 0)
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=[step]) for step in (self._knock, self._follow)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, step: Any) -> None:
        while not self._over.is_set():
            try:
                step()
            except Exception as error:  # noqa: BLE001 - the test tells it
                self.troubles.append(error)
                return

    def _knock(self) -> None:
        with Talker(self.port, "?channels=status") as talker:
            assert talker.next()["type"] == "connected"
        self.connects += 1
        self._over.wait(0.008)

    def _follow(self) -> None:
        epoch, seq = self.position
        resume = f"&resume={epoch}:{seq}" if epoch else ""
        with Talker(self.port, f"?channels=transfers{resume}") as talker:
            while not self._over.is_set():
                frame = talker.peer.frame()
                if frame is None or frame.opcode == CLOSE:
                    self.closed.append(frame and frame.code)
                    return
                if frame.payload:
                    self._take(json.loads(frame.payload))

    def _take(self, message: dict[str, Any]) -> None:
        epoch, seq = self.position
        if message["type"] == "connected" and not epoch:
            self.position = message["data"]["epoch"], message["data"]["seq"]
        if message["type"] == "transfers":
            assert (message["epoch"], message["prev"]) == (epoch, seq)
            self.position = epoch, message["seq"]
            self.got += [item["sort_order"] for item in message["data"]]
        assert message["type"] != "gap", message

    def more(self, count: int) -> None:
        """Wait for that many more transfers."""
        wanted = len(self.got) + count
        for _ in range(int(PATIENCE / 0.01)):
            if len(self.got) >= wanted:
                return
            assert not self.troubles, self.troubles
            self._over.wait(0.01)
        raise AssertionError("no transfers come")

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


OLD_EDGES = 2
"""Most edges of a service that is taken over here."""


def check(clients: Clients, closed: list[int]) -> None:
    """Nobody was refused, nothing missed or sent twice."""
    clients.stop()
    assert clients.troubles == []
    assert clients.connects > 100
    # Who comes back at once may still meet another old edge that has yet to say goodbye.
    assert set(clients.closed) == set(closed)
    assert len(closed) <= len(clients.closed) <= len(closed) * OLD_EDGES
    assert len(set(clients.got)) == len(clients.got)


def test_a_second_start_takes_over_and_nobody_is_refused(tmp_path: Path) -> None:
    """The same port, epoch and numbers; the first service ends by itself, its clients with 4200."""
    first = Service(tmp_path, 2)
    clients = Clients(first.until("serving")["port"])
    clients.more(10)
    second = Service(tmp_path, 1)
    try:
        assert first.process.wait(20) == 0
        second.until("took over from a running service")
        clients.more(20)
        check(clients, [4200])
    finally:
        clients.stop()
        first.end()
        assert second.end() == 0


def test_sigusr2_starts_the_next_version_of_the_program(tmp_path: Path) -> None:
    """With the command line of the first; a service of one process can do it too."""
    first = Service(tmp_path, 0)
    clients = Clients(first.until("serving")["port"])
    clients.more(10)
    first.process.send_signal(signal.SIGUSR2)
    successor = first.until("successor started")["pid"]
    try:
        assert first.process.wait(20) == 0
        clients.more(20)
        check(clients, [4200])
    finally:
        clients.stop()
        with suppress(ProcessLookupError):
            os.kill(successor, signal.SIGTERM)
        first.end()  # until all that hold its output are gone


@pytest.mark.parametrize("edges", [0, 1])
def test_a_successor_that_cannot_start_disturbs_nothing(tmp_path: Path, edges: int) -> None:
    """Wrong settings, or an end half-way: the service goes on, its clients stay."""
    first = Service(tmp_path, edges)
    clients = Clients(first.until("serving")["port"])
    clients.more(10)
    wrong = Service(tmp_path, edges, "PLUGINS=no_such_module_anywhere")
    assert wrong.end() != 0
    folder = state_folder(Settings(STATE_DIR=str(tmp_path)), 40.0)
    try:
        fallen = find(folder)
        assert fallen is not None
        for each in fallen.listeners:
            each.close()
        fallen.take_state(folder)
        folder.release()
        fallen.hang_up()
        first.until("the successor failed; this service goes on")
        clients.more(20)
        check(clients, [])
    finally:
        clients.stop()
        assert first.end() == 0
