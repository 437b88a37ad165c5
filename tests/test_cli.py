from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from unionws import __version__, checkup, cli
from unionws.machine import Machine
from unionws.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
GOOD_PLUGIN = "from unionws import hookimpl\n@hookimpl\ndef shutdown(): pass\n"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder without settings and plugins, and an environment without settings."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("UNIONWS_")]:
        monkeypatch.delenv(name)
    for name in ("PORT", "GRAPHQL_ENDPOINT", "POLL_INTERVAL", "MAINNET_ONLY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "unionws", *arguments], capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout, done.stderr


def test_version_and_help() -> None:
    """python -m unionws is the same."""
    assert run("--version") == (0, f"unionws {__version__}\n", "")
    code, output, _ = run("--help")
    assert code == 0
    assert re.findall(r"^    (\w+) ", output, re.M) == ["serve", "simulate", "check", "plugins", "tail"]


@pytest.mark.parametrize("arguments", [[], ["serve", "--nope"], ["fly"], ["simulate", "--port", "70000"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """argparse explains, and nothing starts."""
    with pytest.raises(SystemExit, match="2"):
        cli.main(arguments)
    assert "usage: unionws" in capsys.readouterr().err


def test_the_defaults_of_the_commands() -> None:
    """Scripts rely on these."""
    parse = cli.build_parser().parse_args
    simulate = parse(["simulate"])
    assert (simulate.port, simulate.rate, simulate.seed, simulate.faults) == (9200, 5.0, 1, "")
    assert parse(["serve"]).simulate is None
    assert parse(["serve", "--simulate"]).simulate == 5.0
    assert parse(["serve", "--simulate", "12.5", "--set", "PORT=1"]).simulate == 12.5
    tail = parse(["tail", "--from", "a", "--to", "b", "--wallet", "c", "--json"])
    assert (tail.url, tail.from_chain, tail.to_chain, tail.wallet, tail.json) == (
        "ws://127.0.0.1:8080/ws",
        "a",
        "b",
        "c",
        True,
    )


def test_wrong_settings_stop_every_start_in_plain_words(elsewhere: Path) -> None:
    """All problems of file, environment and command line, no traceback, exit 1."""
    write(elsewhere / "conf" / "settings.py", "PORTT = 1\nPOLL_LIMIT = 500\n")
    code, output, errors = run("serve", "--set", "MAINNET_ONLY=perhaps")
    assert (code, output) == (1, "")
    assert errors.splitlines() == [
        "unionws: cannot start, 3 problems:",
        "  conf/settings.py line 1: unknown setting PORTT; did you mean PORT?",
        "  conf/settings.py line 2: POLL_LIMIT is 500, but must be a whole number from 1 to 100 (rows)",
        "  --set: MAINNET_ONLY is 'perhaps', but must be true or false (also yes, no, 1, 0)",
    ]


def test_a_wrong_plugin_stops_the_start_in_plain_words(elsewhere: Path) -> None:
    """The plugin is named with its file and the hook it meant; no traceback."""
    write(elsewhere / "plugins" / "typo.py", GOOD_PLUGIN.replace("shutdown", "shutdwn"))
    code, _, errors = run("serve", "--set", "PORT=0")
    assert code == 1
    assert "plugin 'typo' (plugins/typo.py): there is no hook 'shutdwn'; did you mean shutdown?" in errors
    assert "Traceback" not in errors


def test_faults_without_the_embedded_indexer_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """--faults would do nothing against a real indexer."""
    assert cli.main(["serve", "--faults", "late=0.2"]) == 1
    assert "--faults needs --simulate" in capsys.readouterr().err


def test_a_fault_that_does_not_exist_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """The fault is quoted, and those that exist are listed."""
    assert cli.main(["simulate", "--faults", "lat=0.2"]) == 1
    errors = capsys.readouterr().err
    assert "'lat'" in errors
    assert "duplicates" in errors


def test_check_is_content_with_a_good_installation(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 0; what differs from the defaults is shown with its origin; conf/ and plugins/ are used."""
    write(elsewhere / "conf" / "settings.py", "POLL_LIMIT = 50\n")
    write(elsewhere / "plugins" / "good.py", GOOD_PLUGIN)
    assert cli.main(["check", "--set", "PORT=0", "--set", "MAX_CLIENTS=10"]) == 0
    output = capsys.readouterr().out
    assert "  POLL_LIMIT = 50  (conf/settings.py line 1; default 100)\n" in output
    assert "  MAX_CLIENTS = 10  (--set; default 100000)\n" in output
    assert "MAINNET_ONLY" not in output
    assert re.search(r"^ok +\d plugins: .*, good$", output, re.M)
    assert output.endswith("0 errors, 0 warnings\n")


def test_check_prints_every_problem(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Several plugins and the address are wrong: all are listed, exit 1."""
    write(elsewhere / "plugins" / "a.py", "import nonsense_xyz\n")
    write(elsewhere / "plugins" / "b.py", "x = 1\n")
    assert cli.main(["check", "--set", "PORT=0", "--set", "HOST=203.0.113.7"]) == 1
    output = capsys.readouterr().out
    assert "error    plugin 'a' (plugins/a.py): cannot be imported: ModuleNotFoundError" in output
    assert "error    plugin 'b' (plugins/b.py): has no hook implementation" in output
    assert "error    cannot listen on 203.0.113.7:0" in output
    assert "3 errors" in output.splitlines()[-1]


def test_check_lists_wrong_settings(capsys: pytest.CaptureFixture[str]) -> None:
    """Without settings nothing else can be checked."""
    assert cli.main(["check", "--set", "PROT=1", "--settings", "none.py"]) == 1
    output = capsys.readouterr().out
    assert "error    settings file none.py: No such file or directory" in output
    assert "error    --set: unknown setting PROT; did you mean PORT?" in output
    assert output.endswith("2 errors, 0 warnings\n")


def test_check_names_a_disabled_plugin_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt name would leave the plugin on."""
    assert cli.main(["check", "--set", "PORT=0", "--set", "DISABLED_PLUGINS=filtrs"]) == 1
    assert "error    DISABLED_PLUGINS names 'filtrs'" in capsys.readouterr().out


def test_a_port_in_use_is_a_warning() -> None:
    """The service may be running already while its next settings are checked."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        finding = checkup.check_address("127.0.0.1", taken.getsockname()[1])
    assert finding.level == "warning"
    assert "is in use" in finding.text


def test_a_host_that_is_no_address_is_an_error() -> None:
    """A misspelt HOST is found before the start."""
    assert checkup.check_address("no such host", 0).level == "error"


@pytest.mark.parametrize(
    ("edges", "clients", "level"), [(1, 100_000, "warning"), (6, 100_000, "ok"), (1, 0, "ok")]
)
def test_descriptors_are_compared_with_the_clients_wanted(edges: int, clients: int, level: str) -> None:
    """The text says how many clients there is room for, or what to set."""
    findings = list(checkup.check_room(Machine(files=20_000), clients, edges))
    assert [finding.level for finding in findings] == [level]
    assert ("EDGE_PROCESSES=6" if level == "warning" else f"{19_800 * edges:,} clients") in findings[0].text


def test_check_shows_only_what_differs(capsys: pytest.CaptureFixture[str], elsewhere: Path) -> None:
    """``check --diff`` names the settings given, where, and their defaults; ``doctor`` is the same."""
    for command in ("check", "doctor"):
        assert cli.main([command, "--diff", "--set", "MAX_CLIENTS=5", "--set", "ADMIN_TOKEN=geheim"]) == 0
        shown = capsys.readouterr().out
        assert "  MAX_CLIENTS = 5  (--set; default 100000)" in shown
        assert "ADMIN_TOKEN = '***'" in shown
        assert "geheim" not in shown
        assert "listen" not in shown


def test_plugins_lists_name_state_place_and_hooks(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Built-in plugins come first; a broken one is listed and complained about."""
    write(elsewhere / "plugins" / "good.py", GOOD_PLUGIN)
    assert cli.main(["plugins"]) == 0
    rows = [re.split(r" {2,}", line) for line in capsys.readouterr().out.splitlines()]
    assert ["filters", "active", "built in", "register_filters"] in rows
    assert rows[-1] == ["good", "active", "plugins/good.py", "shutdown"]
    write(elsewhere / "plugins" / "worse.py", "x = 1\n")
    assert cli.main(["plugins", "--set", "DISABLED_PLUGINS=good"]) == 1
    captured = capsys.readouterr()
    assert re.search(r"^good +disabled", captured.out, re.M)
    assert "plugin 'worse' (plugins/worse.py): has no hook implementation" in captured.err


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_into_a_closed_pipe_is_no_error(unbuffered: str) -> None:
    """`unionws plugins | head -0` ends quietly, whenever the output is written."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "unionws", "plugins"],
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    assert (done.returncode, done.stderr) == (0, "")


@contextlib.contextmanager
def serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """``unionws serve`` from the checkout, as a process, and its port once it listens."""
    command = [sys.executable, "-m", "unionws", "serve", "--set", "PORT=0", "--set", "HOST=127.0.0.1"]
    state = tempfile.TemporaryDirectory()
    command += ["--set", f"STATE_DIR={state.name}"]
    process = subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            fields = json.loads(line)["fields"]
            if "port" in fields:
                break
        yield process, fields["port"]
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
        state.cleanup()


def health(port: int) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/health")  # 503 until ingest has been heard of
        parsed: dict[str, Any] = json.load(connection.getresponse())
    finally:
        connection.close()
    return parsed


def test_a_newcomers_first_minute() -> None:
    """serve --simulate becomes healthy within 20 s, tail prints transfers, SIGTERM ends it with 0."""
    with serving("--simulate", "20", "--set", "SPREAD_MS=0") as (process, port):
        deadline = time.monotonic() + 20
        while health(port)["status"] != "healthy":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        url = f"ws://127.0.0.1:{port}/ws"
        tail = subprocess.Popen(
            [sys.executable, "-m", "unionws", "tail", url, "--json"], stdout=subprocess.PIPE, text=True
        )
        assert tail.stdout is not None
        try:
            assert "source_chain" in tail.stdout.readline()
        finally:
            tail.send_signal(signal.SIGINT)
            tail.communicate(timeout=20)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        rest = process.stderr.read()
        assert process.wait(timeout=20) == 0
        assert "Traceback" not in rest


def test_the_soft_limit_of_open_files_is_raised_to_the_hard_one() -> None:
    """A service started with the usual soft limit can hold as many clients as the machine allows."""
    code = (
        "import resource as r\nfrom unionws.checkup import *\n"
        "r.setrlimit(r.RLIMIT_NOFILE, (256, 4096))\nuse_all_files()\n"
        "print(r.getrlimit(r.RLIMIT_NOFILE), files_allowed())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "(4096, 4096) 4096\n"


def test_the_defaults_are_those_of_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing is set, check says so."""
    assert Settings().MAX_CLIENTS > 0
    cli.main(["check"])
    assert capsys.readouterr().out.startswith("all settings have their defaults\n")
