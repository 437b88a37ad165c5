"""What the benches share: building the C programs, running children, reading /proc, tables.

Linux only: memory is PSS (pages shared by k processes count 1/k for each), CPU is user and system
time as the kernel accounts it, in ticks of 10 ms.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

HERE = Path(__file__).resolve().parent
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
FILES_KEPT = 30
"""Descriptors a load process needs beside its connections."""


class BenchError(Exception):
    """A bench cannot run or a child did not do its part; the text says which and why."""


# ---- C programs ----


def compile_c(name: str, folder: Path) -> Path:
    """Compiles ``name``.c of this folder into ``folder`` with gcc -O2 and returns the program."""
    compiler = shutil.which("gcc")
    if compiler is None:
        raise BenchError("gcc is not installed: the bare C loop and the load client are C programs")
    program = folder / name
    argv = [compiler, "-O2", "-Wall", "-o", str(program), str(HERE / f"{name}.c")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"gcc cannot compile {name}.c:\n{done.stderr}")
    return program


@contextmanager
def c_programs(*names: str) -> Iterator[tuple[Path, ...]]:
    """The compiled programs, in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="unionws-bench-") as folder:
        yield tuple(compile_c(name, Path(folder)) for name in names)


# ---- children ----


class Child:
    """A process that says what it does as JSON lines on its standard output.

    A context manager: the process gets SIGTERM at the end, and SIGKILL 15 s later if need be.
    """

    def __init__(self, argv: Sequence[str]) -> None:
        self.argv = list(argv)
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Child:
        self._process = subprocess.Popen(
            self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def process(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise BenchError(f"{self.argv[0]} was not started")
        return self._process

    def line(self) -> dict[str, Any]:
        """Waits for the next JSON line; an end of output is an error."""
        assert self.process.stdout is not None
        text = self.process.stdout.readline()
        if not text:
            code = self.process.wait()
            raise BenchError(f"{' '.join(self.argv)} ended early with status {code}")
        answer: dict[str, Any] = json.loads(text)
        return answer

    def say(self, text: str = "") -> None:
        """Writes one line to the process's standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def stop(self) -> str:
        """Ends the process and returns what it still had to say."""
        process = self.process
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            rest, _ = process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # its children hold the pipe open too
            rest, _ = process.communicate()
        return rest


class Server(Child):
    """A server that prints ``{"port":…,"pids":[…]}`` when it listens."""

    port = 0
    _roots: tuple[int, ...] = ()

    def __enter__(self) -> Server:
        super().__enter__()
        try:
            first = self.line()
        except BaseException:
            self.stop()
            raise
        self.port = int(first["port"])
        self._roots = tuple(int(pid) for pid in first["pids"])
        return self

    def pids(self) -> list[int]:
        """All its processes that are alive now."""
        return tree(self._roots)


def load_command(
    program: Path,
    port: int,
    *,
    clients: int,
    processes: int,
    seconds: float,
    path: str,
    extra: Sequence[str] = (),
) -> list[str]:
    """Command line of the load client: one JSON line when all connections are open, then, once
    something was said to it, one with what it measured."""
    check_files(clients, processes)
    numbers = ["-p", str(port), "-n", str(clients), "-P", str(processes), "-d", str(seconds)]
    return [str(program), *numbers, "-u", path, "-g", *extra]


def check_files(clients: int, processes: int) -> None:
    """Raises BenchError when that many connections per process need more files than allowed."""
    import resource

    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    each = -(-clients // processes)
    if allowed != resource.RLIM_INFINITY and each + FILES_KEPT > allowed:
        raise BenchError(
            f"{clients} connections over {processes} load processes are {each} each,"
            f" but one may open {allowed} files: use more --load-processes"
        )


# ---- the kernel's view ----


def tree(roots: Iterable[int]) -> list[int]:
    """The processes and all their living descendants, each once."""
    found: list[int] = []
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in found and Path(f"/proc/{pid}/stat").exists():
            found.append(pid)
            waiting.extend(_children(pid))
    return sorted(found)


def _children(pid: int) -> list[int]:
    listed: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            listed.extend(int(child) for child in task.read_text().split())
        except OSError:
            continue  # the thread ended meanwhile
    return listed


def pss_bytes(pids: Iterable[int]) -> int:
    """Proportional set size of the processes together."""
    return sum(_pss(Path(f"/proc/{pid}/smaps_rollup").read_text()) for pid in pids)


def _pss(rollup: str) -> int:
    for line in rollup.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise BenchError("no Pss line in smaps_rollup")


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system seconds the processes have used since they started."""
    return sum(_cpu(Path(f"/proc/{pid}/stat").read_text()) for pid in pids)


def _cpu(stat: str) -> float:
    fields = stat.rpartition(")")[2].split()  # the name in brackets may hold spaces
    return (int(fields[11]) + int(fields[12])) / TICK


def tcp_bytes() -> int:
    """Memory of all TCP sockets of the machine, kernel side (``mem`` of /proc/net/sockstat)."""
    for line in Path("/proc/net/sockstat").read_text().splitlines():
        if line.startswith("TCP:"):
            words = line.split()
            return int(words[words.index("mem") + 1]) * PAGE
    raise BenchError("no TCP line in /proc/net/sockstat")


# ---- output ----


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, padded so that it also reads well in a terminal."""
    body = [list(headings), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in body) for column in range(len(headings))]
    rule = ["-" * width for width in widths]
    lines = [body[0], rule, *body[1:]]
    return "\n".join("| " + " | ".join(_pad(line, widths)) + " |" for line in lines)


def _pad(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    first = cells[0].ljust(widths[0])
    return [first, *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))]


def figure(value: float | None, digits: int = 2) -> str:
    """A number for a table; a dash for one that is not known."""
    return "-" if value is None else f"{value:,.{digits}f}"


def note(text: str) -> None:
    """Says on standard error what is going on; the table alone goes to standard output."""
    print(text, file=sys.stderr, flush=True)


def run(main: Callable[[], int]) -> int:
    """Runs a bench; a BenchError is one clear line and status 1. SIGTERM ends its children too."""
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        return main()
    except BenchError as error:
        note(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
