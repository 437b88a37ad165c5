"""``unionws tail``: follows the stream in a terminal, or as JSON lines in a pipe.

Transfers go to standard output; what happens to the connection goes to standard error.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import re
import shutil
import sys
from collections.abc import Callable

import ujson

from unionws.client.driver import Client
from unionws.client.events import Connected, Disconnected, Event, Gap, MessageReceived, TransferReceived
from unionws.client.rendering import clean, layout_for, line
from unionws.errors import ClientError

DEFAULT_URL = "ws://127.0.0.1:8080/ws"
CHANNELS = ("transfers", "status")
WIDTH_OF_A_PIPE = 120
KEY = re.compile(r"(?<=[?&]key=)[^&#]+")
"""What must not get into a file with the rest of standard error."""


def main(args: argparse.Namespace) -> int:
    """Runs until Ctrl-C (0), the reader of a pipe leaves (0), or the server refuses for good (1).

    Args:
        args: ``url``, ``from_chain``, ``to_chain``, ``wallet`` (None where not given), ``json``.

    A URL that cannot be used answers 2.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without → is no reason to stop
    try:
        client = _client(args)
    except ClientError as error:
        _note(f"unionws tail: {error}")
        return 2
    return _guarded(lambda: asyncio.run(_follow(client, args)))


def _client(args: argparse.Namespace) -> Client:
    return Client(
        args.url or DEFAULT_URL,
        channels=CHANNELS,
        from_chains=(args.from_chain,) if args.from_chain else (),
        to_chains=(args.to_chain,) if args.to_chain else (),
        wallets=(args.wallet,) if args.wallet else (),
    )


def _guarded(follow: Callable[[], None]) -> int:
    try:
        follow()
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        _silence_stdout()
        return 0
    except ClientError as error:
        _note(f"unionws tail: {clean(str(error))}")
        return 1
    return 0


def _silence_stdout() -> None:
    """The interpreter flushes once more at exit, which would fail again, aloud."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


async def _follow(client: Client, args: argparse.Namespace) -> None:
    async with client:
        async for event in client:
            if isinstance(event, TransferReceived):
                _print(_json_line(event) if args.json else _readable_line(event))
            else:
                _report(event, args.url or DEFAULT_URL)


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _json_line(event: TransferReceived) -> str:
    return ujson.dumps(event.transfer, escape_forward_slashes=False)


def _readable_line(event: TransferReceived) -> str:
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size((WIDTH_OF_A_PIPE, 24)).columns  # asked each time: windows are resized
    colour = terminal and not os.environ.get("NO_COLOR")
    return line(event.transfer, layout_for(width, colour=colour))


def _report(event: Event, url: str) -> None:
    if isinstance(event, Connected):
        _note(f"connected to {KEY.sub('***', url)}" + (", resuming" if event.resuming else ""))
    elif isinstance(event, Disconnected):
        _note(f"{_cause(event)}; reconnecting in {event.retry_in:.1f} s")
    elif isinstance(event, Gap):
        _note(f"gap: {_missed(event)} may be missing ({clean(event.reason)})")
    elif isinstance(event, MessageReceived):
        _report_message(event)


def _cause(event: Disconnected) -> str:
    what = "connection lost" if event.established else "cannot connect"
    code = f"{event.code} " if event.code is not None else ""
    detail = clean(f"{code}{event.reason}".strip())
    return f"{what} ({detail})" if detail else what


def _missed(gap: Gap) -> str:
    if gap.from_seq is None or gap.to_seq is None:
        return "transfers"
    return f"transfers {gap.from_seq}-{gap.to_seq}"


def _report_message(event: MessageReceived) -> None:
    if event.type == "error":
        text = clean(event.message.get("message"))
        _note(f"the server says: {clean(event.message.get('code'))} {text}".rstrip())
    elif event.type == "serverShutdown":
        _note("the server is going down")
    elif event.type == "status" and isinstance(event.data, dict):
        _report_status(event.data)


def _report_status(data: dict[str, object]) -> None:
    notice = clean(data.get("notice"))
    system, upstream = clean(data.get("system")), clean(data.get("upstream"))
    if system not in ("", "online") or upstream not in ("", "ok") or notice:
        _note(f"status: {system}, upstream {upstream}" + (f", {notice}" if notice else ""))


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
