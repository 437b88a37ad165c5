"""unionws.connections.fastdoor: plain upgrades answered from accept, everything else left untouched."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from tests.connections.test_budget import NoTime
from tests.looped import LoopThread
from unionws.connections.fastdoor import SHAPES_KEPT, FastDoor, cut_key, parse
from unionws.connections.handshake import Accept, Refuse, Upgrade, accept

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
OTHER_KEY = "AAAAAAAAAAAAAAAAAAAAAA=="


def request(path: str = "/ws", key: str = KEY, extra: str = "") -> bytes:
    """A browser's upgrade."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{extra}\r\n"
    ).encode()


class Doorkeeper:
    """Remembers what it was asked, and keeps what it is given."""

    def __init__(self) -> None:
        self.judged: list[Upgrade] = []
        self.early: list[bytes] = []
        self.room = True
        self.fds: list[int] = []

    def judge(self, upgrade: Upgrade) -> Any:
        self.judged.append(upgrade)
        if "refused" in upgrade.query:
            return Refuse(403, "forbidden", "not you")
        return "plan"

    def admit(self, plan: Any, key: str, address: str) -> Accept | Refuse:
        assert (plan, address) == ("plan", "127.0.0.1")
        return accept(key, "") if self.room else Refuse(503, "over_capacity", "full")

    def welcome(self, fd: int, address: str, answer: Accept, plan: Any, early: bytes = b"") -> None:
        os.write(fd, answer.response)
        self.fds.append(fd)
        self.early.append(early)


class House:
    """A fast door on a free port, with a note of what it passed on."""

    def __init__(self, loop: LoopThread) -> None:
        self.loop = loop
        self.keeper = Doorkeeper()
        self.elsewhere: list[socket.socket] = []
        self.refused: Counter[str] = Counter()
        self.door = FastDoor("/ws", self.keeper, lambda made, _: self.elsewhere.append(made), self.refused)
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 5)
        listener.setblocking(False)
        self.address = listener.getsockname()
        loop.call(self.door.open, [listener])

    def ask(self, data: bytes) -> socket.socket:
        made = socket.create_connection(self.address, timeout=5)
        made.sendall(data)
        return made

    def answer(self, data: bytes) -> bytes:
        with self.ask(data) as made:
            return made.recv(4096)

    def close(self) -> None:
        self.loop.call(self.door.close)
        for made in self.elsewhere:
            made.close()
        for fd in self.keeper.fds:
            with suppress(OSError):
                os.close(fd)


@pytest.fixture
def house() -> Iterator[House]:
    with LoopThread() as loop:
        house = House(loop)
        yield house
        house.close()


def test_a_plain_upgrade_is_answered_here(house: House) -> None:
    """The handshake's answer comes, and the HTTP server never hears of it."""
    answer = house.answer(request())
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer
    assert (house.door.accepted, house.elsewhere) == (1, [])


def test_requests_that_differ_in_their_key_alone_are_judged_once(house: House) -> None:
    """Each still gets the answer to its own key."""
    answers = {house.answer(request(key=key)) for key in (KEY, OTHER_KEY, KEY)}
    assert len(answers) == 2
    assert len(house.keeper.judged) == 1
    house.answer(request(extra="X-Other: 1\r\n"))
    assert len(house.keeper.judged) == 2


def test_after_forget_requests_are_judged_anew(house: House) -> None:
    """As when settings changed."""
    house.answer(request())
    house.loop.call(house.door.forget)
    house.answer(request())
    assert len(house.keeper.judged) == 2


def test_only_a_bounded_number_of_shapes_is_kept(house: House) -> None:
    """Whoever invents headers cannot make it grow."""
    for number in range(SHAPES_KEPT + 5):
        house.answer(request(extra=f"X-Number: {number}\r\n"))
    assert len(house.door._known) <= SHAPES_KEPT


def test_a_bad_key_of_a_known_shape_is_refused(house: House) -> None:
    """The cut-out key is checked each time."""
    house.answer(request())
    assert house.answer(request(key="!" * 24)).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("data", "status"), [(request("/ws?refused"), b"403"), (request("/ws?refused=1"), b"403")]
)
def test_a_refusal_is_answered_and_never_kept(house: House, data: bytes, status: bytes) -> None:
    """Counting and a later change of mind need each of them to be judged."""
    for _ in range(2):
        assert house.answer(data).startswith(b"HTTP/1.1 " + status)
    assert len(house.keeper.judged) == 2


def test_no_room_is_told_at_the_door(house: House) -> None:
    """Also for a shape that was let in before."""
    house.answer(request())
    house.keeper.room = False
    assert house.answer(request()).startswith(b"HTTP/1.1 503 ")


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        request("/wsx"),
        b"POST" + request()[3:],
        request()[:-2],
        request(extra="X: " + "y" * 5000 + "\r\n"),
        request(extra=f"Sec-WebSocket-Key: {KEY}\r\n"),
        b"GET /ws HTTP/1.1\r\n\x00\r\n\r\n",
    ],
)
def test_everything_else_goes_on_untouched(house: House, data: bytes) -> None:
    """The HTTP server finds every byte still there."""
    with house.ask(data):
        house.loop.until(lambda: house.elsewhere)
        [passed] = house.elsewhere
        passed.settimeout(5)
        assert passed.recv(len(data)) == data[: 1 << 16]


def test_what_came_behind_the_handshake_stays_in_the_socket(house: House) -> None:
    """In the same packet, and of a shape known or not: it is read like all that follows."""
    for _ in range(2):
        house.answer(request() + b"frames")
    assert [os.read(fd, 100) for fd in house.keeper.fds] == [b"frames", b"frames"]
    assert house.keeper.early == [b"", b""]


def test_a_storm_of_connections_leaves_the_loop_turn_once_its_budget_is_spent(house: House) -> None:
    """One at a time where there is no time at all, and in the end everybody is in."""
    budget = NoTime()
    house.door._budget = budget
    with ExitStack() as held:  # all wait before the first is seen
        house.loop.call(lambda: [held.enter_context(house.ask(request())) for _ in range(20)])
        house.loop.until(lambda: len(house.keeper.fds) == 20)
    assert budget.turns >= 20


def test_without_descriptors_the_next_ones_are_refused_politely(house: House) -> None:
    """No spinning: each is accepted with the spare descriptor, told, and closed."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    waiting = [socket.create_connection(house.address, timeout=5) for _ in range(3)]
    used = max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208
    holes = [os.dup(0) for _ in range(used)]  # fills every number below the limit to come
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(holes) + 1, hard))
        for made in waiting:
            made.sendall(request())
        answers = [made.recv(4096) for made in waiting]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in holes:
            os.close(fd)
        for made in waiting:
            made.close()
    assert all(answer.startswith(b"HTTP/1.1 503 ") and b"Retry-After" in answer for answer in answers)
    assert house.refused["no_descriptors"] == 3
    assert house.answer(request()).startswith(b"HTTP/1.1 101 ")


def test_a_request_without_the_usual_key_line_has_no_shape() -> None:
    """It is left to the other door."""
    assert cut_key(b"GET /ws HTTP/1.1\r\nsec-websocket-key: x\r\n\r\n") == (b"", "")
    shape, key = cut_key(request())
    assert key == KEY
    assert shape == cut_key(request(key=OTHER_KEY))[0]


def test_repeated_headers_are_joined() -> None:
    """RFC 9110 §5.3: as one list."""
    found = parse(request(extra="X: a\r\nX: b\r\n"))
    assert found is not None
    assert found[0].headers["x"] == "a,b"
