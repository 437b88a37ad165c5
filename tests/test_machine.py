"""What a machine can hold, from figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from unionws.machine import Machine, proxy_note, read_machine, warnings

GOOD = Machine(files=20_000, accept_queue=4096, memory=8 << 30, tcp_memory=4 << 30, ports=28_232)


def said(machine: Machine, clients: int = 100_000, processes: int = 6) -> list[str]:
    return list(warnings(machine, clients, processes, spare=200))


def test_a_good_machine_needs_no_word() -> None:
    """Nor does one that does not tell, or a service without a limit."""
    assert said(GOOD) == []
    assert said(Machine(files=20_000)) == []
    assert said(replace(GOOD, files=100), clients=0) == []


@pytest.mark.parametrize(
    ("machine", "processes", "words"),
    [
        (GOOD, 2, ("39,600", "EDGE_PROCESSES=6", "LimitNOFILE to 50,200")),
        (replace(GOOD, accept_queue=128), 6, ("net.core.somaxconn is 128", "sysctl -w")),
        (replace(GOOD, memory=500_000_000), 6, ("500 MB", "1.7 GB", "lower MAX_CLIENTS")),
        (replace(GOOD, tcp_memory=100_000_000), 6, ("net.ipv4.tcp_mem", "100 MB", "819 MB")),
    ],
)
def test_what_is_missing_is_said_with_what_to_do(
    machine: Machine, processes: int, words: tuple[str, ...]
) -> None:
    """One sentence with both figures and the remedy."""
    found = said(machine, processes=processes)
    assert len(found) == 1
    for word in words:
        assert word in found[0]


def test_a_proxy_here_runs_out_of_ports() -> None:
    """It is noted where more clients are wanted than one address has ports."""
    assert "28,232" in str(proxy_note(GOOD, 100_000))
    assert proxy_note(GOOD, 20_000) is None


def test_a_machine_is_read(tmp_path: Path) -> None:
    """The control group's memory counts where it is less; what cannot be read is 0."""
    files = {
        "proc/sys/net/core/somaxconn": "4096\n",
        "proc/sys/net/ipv4/tcp_mem": "1\t2\t1000\n",
        "proc/sys/net/ipv4/ip_local_port_range": "32768\t60999\n",
        "proc/meminfo": "MemTotal: 9 kB\nMemAvailable:    2000 kB\n",
        "sys/fs/cgroup/memory.max": "1000000\n",
        "sys/fs/cgroup/memory.high": "max\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    machine = read_machine(7, tmp_path)
    assert (machine.files, machine.accept_queue, machine.ports) == (7, 4096, 28_232)
    assert (machine.memory, machine.tcp_memory % 1000) == (1_000_000, 0)
    assert read_machine(7, tmp_path / "nowhere") == Machine(files=7)
