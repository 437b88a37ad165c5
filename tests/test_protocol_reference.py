"""docs/protocol.md: every example is what the server really says, and every message type has one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import protocol_facts as facts
from tests.connections.wire import TEXT, Peer, masked
from tests.schema import validate
from tests.talking import Talker
from tests.web.browser import require_node
from tests.web.serving import Events, Service
from unionws.asyncapi import document
from unionws.broadcaster.fanout import HEARTBEAT
from unionws.builtin.filters import FIELDS
from unionws.builtin.messages import MESSAGES, REQUESTS
from unionws.connections.query import FILTER_PARAMETERS
from unionws.model import ChainsRecord, MessageRecord

PAGE = Path(__file__).resolve().parent.parent / "docs/protocol.md"
BLOCK = re.compile(r"^```(\w+)(?: (\w+))?\n(.*?)^```$|^<!-- before: (.+?) -->$", re.M | re.S)
MORE = "…"
DESCRIBED: Any = document(MESSAGES, REQUESTS, [field.name for field in FIELDS])["components"]["messages"]
"""Every message as ``/asyncapi.json`` describes it."""
VARYING = ("timestamp", "lagMs", "maxConnections")


@dataclass(frozen=True)
class Block:
    """An example; ``kind`` such as ``json receive``."""

    kind: str
    text: str


@dataclass(frozen=True)
class Section:
    """What stands under one heading."""

    title: str
    text: str

    @property
    def blocks(self) -> list[Block]:
        return [
            Block("before", found[4]) if found[4] else Block(f"{found[1]} {found[2] or ''}".strip(), found[3])
            for found in BLOCK.finditer(self.text)
        ]


def sections() -> list[Section]:
    """The page by its headings."""
    parts = re.split(r"^##+ (.+)$", PAGE.read_text("utf-8"), flags=re.M)
    return [Section(title, text) for title, text in zip(parts[1::2], parts[2::2], strict=True)]


def fits(example: Any, actual: Any, path: str = "") -> None:
    """The example is the message, but for what it leaves out with ``…``."""
    if example == MORE or (path.rpartition(".")[2] in VARYING and type(example) is type(actual)):
        return
    if isinstance(example, dict):
        assert isinstance(actual, dict), path
        shown = {name for name in example if name != MORE}
        assert shown <= set(actual), f"{path}: there is no {shown - set(actual)}"
        assert MORE in example or set(actual) == shown, f"{path}: {set(actual) - shown} is not shown"
        for name in shown:
            fits(example[name], actual[name], f"{path}.{name}")
    elif isinstance(example, list):
        assert isinstance(actual, list), path
        shown_items = [item for item in example if item != MORE]
        assert len(actual) >= len(shown_items), path
        assert MORE in example or len(actual) == len(shown_items), f"{path}: {actual}"
        for index, item in enumerate(shown_items):
            fits(item, actual[index], f"{path}[{index}]")
    elif isinstance(example, str) and MORE in example:
        assert re.fullmatch(".*".join(map(re.escape, example.split(MORE))), actual), f"{path}: {actual}"
    else:
        assert (example, type(example)) == (actual, type(actual)), path


# -- the server, and what makes it speak ---------------------------------------------------------


def serving(stack: ExitStack) -> Service:
    """A server that has chains and statistics, and no transfer yet."""
    service = stack.enter_context(Service(epoch=facts.EPOCH))
    service.publish(ChainsRecord(facts.NOW_MS, facts.chains()))
    service.publish(facts.chart())
    return service


def publish_both(service: Service) -> None:
    """Both transfers, a minute apart."""
    first, second = facts.fragments()
    service.transfers(first, at=facts.NOW_MS - 60_000)
    service.transfers(second, at=facts.NOW_MS)


def publish_update(service: Service) -> None:
    data = json.dumps(
        [
            {
                "sort_order": facts.FIRST.sort_order,
                "packet_hash": facts.FIRST.packet_hash,
                "transfer_recv_timestamp": "2025-10-09T12:03:21.118Z",
                "success": True,
            }
        ]
    )
    record = MessageRecord(facts.NOW_MS, "transferUpdates", "transferUpdates", data.encode())
    service.publish(record)


def wait_quietly(service: Service) -> None:
    for _ in range(HEARTBEAT + 1):
        service.call(service.edge._heartbeat)


def publish_one(service: Service) -> None:
    service.transfers(facts.fragments()[0])


def publish_chart(service: Service) -> None:
    service.publish(facts.chart())


CAUSES: Mapping[str, Callable[[Service], None]] = {
    "Transfers": publish_one,
    "What became of a transfer": publish_update,
    "Keeping alive": wait_quietly,
    "Shutdown": Service.stop_soon,
    "Statistics": publish_chart,
}
"""What happens behind the opening of each connection of a section."""

BEFORE: Mapping[str, Callable[[Service], None]] = {
    "Resuming": publish_both,
    "History": publish_both,
    "both transfers are published": publish_both,
}
"""What happened before the first."""


class Conversation:
    """Plays one section's blocks."""

    def __init__(self, title: str, stack: ExitStack) -> None:
        self._service = serving(stack)
        self._title = title
        self._stack = stack
        self._path = "/ws"
        self._peer: Peer | None = None

    def play(self, block: Block) -> None:
        plays = {
            "before": self._before,
            "http": self._address,
            "json send": self._send,
            "json receive": self._receive,
            "json body": self._body,
            "text events": self._events,
        }
        if block.kind in plays:
            plays[block.kind](block.text)

    def _before(self, text: str) -> None:
        BEFORE[text](self._service)

    def _address(self, text: str) -> None:
        method, self._path = text.split()
        assert method == "GET"
        if self._peer is not None and self._title in CAUSES:
            self._service = serving(self._stack)  # what happens, happens once on each
        self._peer = None

    def _open(self) -> Peer:
        if self._peer is None:
            self._peer = Peer.open(self._service.port, self._path.removeprefix("/ws"))
            self._stack.callback(self._peer.close)
            if self._title in CAUSES:
                self._hear({"type": "serverInfo"})
                CAUSES[self._title](self._service)
        return self._peer

    def _hear(self, example: Mapping[str, Any]) -> Any:
        """The next message of the same type, and in answer to the same request."""
        assert self._peer is not None
        while (frame := self._peer.frame()) is not None:
            message = json.loads(frame.payload) if frame.opcode == TEXT else {}
            if message.get("type") == example["type"] and message.get("id") == example.get("id"):
                return message
        raise AssertionError(f"the connection ended before {example['type']}")

    def _send(self, text: str) -> None:
        if self._title != "Errors":
            validate(json.loads(text), DESCRIBED["request." + json.loads(text)["type"]]["payload"])
        self._open().send(masked(TEXT, json.dumps(json.loads(text)).encode()))

    def _receive(self, text: str) -> None:
        example = json.loads(text)
        self._open()
        message = self._hear(example)
        fits(example, message)
        validate(message, DESCRIBED[message["type"]]["payload"])

    def _body(self, text: str) -> None:
        _, _, body = self._service.get(self._path)
        fits(json.loads(text), json.loads(body))

    def _events(self, text: str) -> None:
        shown = re.findall(r"^(?:id: (.+)\n)?data: (.+)$", text, re.M)
        with Events(self._service.port, self._path) as reader:
            for number, (mark, data) in enumerate(shown):
                if number == len(shown) - 1:
                    publish_both(self._service)
                reader.last_id = ""
                message = reader.event()
                assert reader.last_id == mark
                pattern = ".*".join(map(re.escape, data.split(MORE)))
                assert re.fullmatch(pattern, json.dumps(message, separators=(",", ":")))


# -- tests -----------------------------------------------------------------------------------------


def test_the_first_paragraph_tells_to_ignore_what_is_unknown() -> None:
    """On that everything that is added rests."""
    first = PAGE.read_text("utf-8").split("\n\n")[1]
    assert first.startswith("**Ignore message types and fields you do not know.**")


@pytest.mark.parametrize(
    "section", [section for section in sections() if section.blocks], ids=lambda section: section.title
)
def test_every_example_is_what_the_server_says(section: Section) -> None:
    """Sent as shown, answered as shown."""
    with ExitStack() as stack:
        conversation = Conversation(section.title, stack)
        if section.title in BEFORE:
            conversation.play(Block("before", section.title))
        for block in section.blocks:
            conversation.play(block)


def test_no_example_is_passed_over() -> None:
    """Every block is of a kind that is run; the rest is the rule of gaps, and code."""
    kinds = {block.kind for section in sections() for block in section.blocks}
    run = {"before", "http", "json send", "json receive", "json body", "text events"}
    assert kinds == run | {"text", "python", "js"}


def test_every_type_has_an_example() -> None:
    """Of what the server sends, and of what it understands."""
    blocks = [block for section in sections() for block in section.blocks]
    received = {json.loads(block.text)["type"] for block in blocks if block.kind == "json receive"}
    sent = {json.loads(block.text)["type"] for block in blocks if block.kind == "json send"}
    assert received == {message.type for message in MESSAGES}
    assert sent == {request.type for request in REQUESTS}


def test_every_filter_and_parameter_is_described() -> None:
    """The tables have all there are."""
    text = {section.title: section.text for section in sections()}
    for field in FIELDS:
        assert f"`{field.name}`" in text["Filters"]
    for parameter in FILTER_PARAMETERS:
        assert f"`{parameter}`" in text["Connecting"]
        assert f"`{parameter}`" in text["History"]


def error_examples() -> list[tuple[str, str]]:
    """Codes with a message that causes each, from the table."""
    (errors,) = [section for section in sections() if section.title == "Errors"]
    rows = re.findall(r"^\| `(\w+)` \|.*\| `(.+)` \|$", errors.text, re.M)
    return [(code, text) for code, text in rows]


@pytest.mark.parametrize(("code", "message"), error_examples())
def test_every_error_is_caused_by_its_example(code: str, message: str) -> None:
    """The code is the one in the same row."""
    with ExitStack() as stack:
        peer = stack.enter_context(Peer.open(serving(stack).port))
        peer.send(masked(TEXT, message.encode()))
        while (frame := peer.frame()) is not None:
            answer = json.loads(frame.payload)
            if answer["type"] == "error":
                assert answer["code"] == code
                return
        raise AssertionError("the connection ended without an error")


@dataclass(frozen=True)
class Cause:
    """What makes the server say a code, where one message cannot show it.

    Attributes:
        closes: the code the connection closes with behind it; None: it goes on.
    """

    message: str
    settings: tuple[str, ...] = ()
    times: int = 1
    closes: int | None = None
    before: Callable[[Service], None] = lambda service: None


def break_greeting(service: Service) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("broken on purpose")

    service.edge.greeting.message = fail  # type: ignore[assignment]


TOO_LONG = json.dumps({"type": "setChainFilter", "data": {"toChain": "x" * 101}})
TOO_MANY = json.dumps({"type": "setFilter", "data": {"filter": {"assets": ["a", "b"]}}})
OTHER_CAUSES = {
    "chain_id_too_long": Cause(TOO_LONG),
    "message_too_large": Cause("x" * 1025, ("MAX_MESSAGE_BYTES=1024",), closes=1009),
    "too_many_keys": Cause(TOO_MANY, ("MAX_FILTER_KEYS=1",)),
    "rate_limited": Cause('{"type":"ping"}', ("MAX_INBOUND_MESSAGES=3",), times=4, closes=4102),
    "not_ready": Cause('{"type":"get","data":{"what":"chartData"}}'),
    "internal_error": Cause('{"type":"get","data":{"what":"chains"}}', before=break_greeting),
}


@pytest.mark.parametrize("code", OTHER_CAUSES)
def test_every_other_error_is_caused_too(code: str) -> None:
    """The connection goes on, or closes as the table says."""
    cause = OTHER_CAUSES[code]
    with Service(*cause.settings) as service, Talker(service.port) as client:
        client.until("status")
        cause.before(service)
        for _ in range(cause.times):
            client.say(cause.message)
        error = client.until("error")
        assert error["code"] == code
        validate(error, DESCRIBED["error"]["payload"])
        if cause.closes is None:
            assert client.ask({"type": "ping"})["type"] == "pong"
        else:
            assert client.end()[1] == cause.closes


def test_every_code_of_the_table_has_a_cause() -> None:
    """In its row, or above."""
    (errors,) = [section for section in sections() if section.title == "Errors"]
    _, *codes = re.findall(r"^\| `(\w+)` \|", errors.text, re.M)  # without the heading
    assert sorted(codes) == sorted([*OTHER_CAUSES, *(code for code, _ in error_examples())])


def test_every_code_of_the_server_is_listed() -> None:
    """Whatever RequestError, the parser of messages or a refused handshake may say."""
    listed = set(re.findall(r"`(\w+)`", PAGE.read_text("utf-8")))
    source = PAGE.parent.parent / "unionws"
    said: set[str] = set()
    for path in source.rglob("*.py"):
        text = path.read_text("utf-8")
        said |= set(re.findall(r'RequestError\(\s*"(\w+)"', text))
        said |= set(re.findall(r'ProtocolError\(.*?, "(\w+)"\)', text))
        said |= set(re.findall(r'Refuse\(\s*(?:400|401|403|429|503),\s*"(\w+)"', text))
    assert {"invalid_filter", "rate_limited", "over_capacity", "forbidden"} <= said
    assert said <= listed


CLOSES = re.compile(
    r"(?:close|ProtocolError)\(\s*(?:client, )?(\d{4})|, (4\d{3}), |^TOO_MUCH = (\d{4})", re.M
)


def test_every_close_code_is_listed_and_sent() -> None:
    """The page has those of the source and no others, but for those RFC 6455 gives to anybody."""
    (section,) = [section for section in sections() if section.title == "Close codes"]
    listed = set(re.findall(r"(?<!–)\b(4[0-2]\d\d)\b(?!–)", section.text))
    said: set[str] = set()
    for path in (PAGE.parent.parent / "unionws").rglob("*.py"):
        for groups in CLOSES.findall(path.read_text("utf-8")):
            said |= {group for group in groups if group.startswith("4")}
    assert listed == said


def snippet(language: str) -> str:
    """The example of a client."""
    (clients,) = [section for section in sections() if section.title == "Clients"]
    (block,) = [block for block in clients.blocks if block.kind == language]
    return block.text


@pytest.mark.parametrize("language", ["python", "js"])
def test_the_clients_do_as_shown(language: str) -> None:
    """Both print what they get, one line each."""
    with ExitStack() as stack:
        service = serving(stack)
        code = snippet(language).replace("127.0.0.1:8080", f"127.0.0.1:{service.port}")
        command: Sequence[str] = [sys.executable, "-u", "-c", code]
        if language == "js":
            module = (PAGE.parent.parent / "unionws/web/static/client.js").as_uri()
            code = code.replace(f"http://127.0.0.1:{service.port}/client.js", module)
            command = [*require_node(), "--input-type=module", "-e", code]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            service.until(lambda: any(group.key.filter.terms for group in service.edge.groups))
            publish_both(service)
            assert process.stdout is not None
            lines = [process.stdout.readline(), process.stdout.readline()]
        finally:
            process.kill()
            process.communicate()
    assert lines == ["union.union-1->ethereum.1 12.5\n", "ethereum.1->union.union-1 0.057\n"]
