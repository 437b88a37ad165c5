"""Whether this machine can hold the clients the settings allow: arithmetic on what the kernel says.

Each function takes figures and answers one sentence, or None where all is well and nothing needs
saying. The estimates: an idle client costs about 8 KB, nearly all of it the kernel's; one that
stops reading costs SEND_BUFFER_BYTES and its backlog more.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from unionws.listening import ACCEPT_QUEUE

CLIENT_BYTES = 8_192
PROCESS_BYTES = 120_000_000
"""Of one process before the first client, its history ring and statistics included."""

PAGE = os.sysconf("SC_PAGESIZE")


@dataclass(frozen=True, slots=True)
class Machine:
    """What the kernel says; 0: it does not.

    Attributes:
        files: descriptors one process may have.
        accept_queue: net.core.somaxconn.
        memory: bytes available.
        tcp_memory: bytes all TCP sockets together may hold (the last of net.ipv4.tcp_mem).
        ports: how many ports outgoing connections have (net.ipv4.ip_local_port_range).
    """

    files: int
    accept_queue: int = 0
    memory: int = 0
    tcp_memory: int = 0
    ports: int = 0


def read_machine(files: int, root: Path = Path("/")) -> Machine:
    """This machine, as far as it tells."""
    kernel = root / "proc/sys/net"
    low, high = _numbers(kernel / "ipv4/ip_local_port_range", 2)
    return Machine(
        files=files,
        accept_queue=_numbers(kernel / "core/somaxconn", 1)[0],
        memory=_memory(root),
        tcp_memory=_numbers(kernel / "ipv4/tcp_mem", 3)[2] * PAGE,
        ports=high - low + 1 if high else 0,
    )


def _numbers(path: Path, count: int) -> list[int]:
    try:
        return [int(word) for word in path.read_text().split()[:count]]
    except (OSError, ValueError):
        return [0] * count


def _memory(root: Path) -> int:
    """What is available, or what the control group allows where that is less."""
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError, IndexError):
        return 0
    bounds = [_numbers(root / f"sys/fs/cgroup/{name}", 1)[0] for name in ("memory.max", "memory.high")]
    return min([available, *filter(None, bounds)])


def warnings(machine: Machine, clients: int, processes: int, spare: int) -> Iterator[str]:
    """What keeps this machine from holding ``clients`` in ``processes`` edges.

    Args:
        spare: descriptors each process needs for other things.
    """
    room = max(0, machine.files - spare) * processes
    if room < clients:
        needed = -(-clients // max(1, machine.files - spare))
        yield (
            f"{processes} edge process(es) with {machine.files:,} files each hold {room:,} clients, but "
            f"MAX_CLIENTS is {clients:,}: set EDGE_PROCESSES={needed} (or auto), or raise LimitNOFILE "
            f"to {-(-clients // processes) + spare:,}"
        )
    if 0 < machine.accept_queue < ACCEPT_QUEUE:
        yield (
            f"net.core.somaxconn is {machine.accept_queue}: more clients than that cannot connect at one "
            f"moment; run `sysctl -w net.core.somaxconn={ACCEPT_QUEUE}`"
        )
    wanted = clients * CLIENT_BYTES + (processes + 1) * PROCESS_BYTES
    if 0 < machine.memory < wanted:
        yield (
            f"{_size(machine.memory)} of memory are available, {clients:,} clients need about "
            f"{_size(wanted)}: lower MAX_CLIENTS"
        )
    if 0 < machine.tcp_memory < clients * CLIENT_BYTES:
        yield (
            f"net.ipv4.tcp_mem allows all connections together {_size(machine.tcp_memory)}, {clients:,} "
            f"need about {_size(clients * CLIENT_BYTES)}: raise its last number"
        )


def proxy_note(machine: Machine, clients: int) -> str | None:
    """What a proxy on the same machine is limited by, where it matters."""
    if not machine.ports or clients <= machine.ports:
        return None
    return (
        f"a proxy has {machine.ports:,} ports per address it connects from and to: for {clients:,} clients "
        f"let it use several (127.0.0.1, 127.0.0.2, …), see docs/operating.md"
    )


def _size(amount: int) -> str:
    return f"{amount / 1e9:.1f} GB" if amount >= 1e9 else f"{amount / 1e6:.0f} MB"
