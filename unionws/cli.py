"""The command line: ``unionws serve | simulate | check | plugins | tail | new-plugin``.

Each command imports what it needs when it runs, so that ``--help`` is quick and a broken part
does not take the other commands down. Exit codes: 0 fine, 1 a problem (said on stderr), 2 usage.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from unionws import __version__
from unionws.errors import SettingsError, UnionwsError
from unionws.settings import Settings
from unionws.settings_reading import Loaded, read_settings
from unionws.settings_values import shown

DEFAULT_FILE = Path("conf/settings.py")
DEFAULT_RATE = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; answers the exit code."""
    parsed = build_parser().parse_args(arguments)
    parsed.arguments = sys.argv[1:] if arguments is None else arguments
    command: Callable[[argparse.Namespace], int] = parsed.command
    try:
        code = command(parsed)
        sys.stdout.flush()  # here, not at exit, so that a reader who has gone is noticed below
        return code
    except SettingsError as error:
        _complain(f"cannot start, {_counted(len(error.problems), 'problem')}:", *error.problems)
        return 1
    except UnionwsError as error:
        _complain(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as in `unionws plugins | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _complain(first: str, *more: str) -> None:
    print(f"unionws: {first}", *(f"  {line}" for line in more), sep="\n", file=sys.stderr)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


# --------------------------------------------------------------------------------------- commands


def serve(parsed: argparse.Namespace) -> int:
    """Run the service until it is told to stop."""
    from unionws import app
    from unionws.assembly import assemble
    from unionws.checkup import use_all_files
    from unionws.logs import configure_logs

    if parsed.faults and parsed.simulate is None:
        raise UnionwsError("--faults needs --simulate: only the embedded indexer shows faults")
    if parsed.dev:
        return _serve_again(parsed)
    loaded, host = assemble(*_given(parsed), app.BUILTINS)
    configure_logs(loaded.settings)
    use_all_files()

    def read() -> Settings:
        return read_settings(*_given(parsed), lambda _: host.setting_rows()).settings

    return app.serve(loaded.settings, host=host, simulate=parsed.simulate, faults=parsed.faults, read=read)


def _serve_again(parsed: argparse.Namespace) -> int:
    from unionws.assembly import places_of_plugins
    from unionws.development import installed_places, module_place, serve_again

    file, overrides, environ = _given(parsed)
    settings = places_of_plugins(file, overrides, environ)
    modules = [place for name in settings.PLUGINS for place in module_place(name)]
    places = [Path(settings.PLUGINS_DIR), *([file] if file else []), *modules, *installed_places()]
    return serve_again(parsed.arguments, places)


def new_plugin(parsed: argparse.Namespace) -> int:
    """Write a package with a working plugin, its entry point and its test."""
    from unionws.scaffold import create

    files = create(parsed.name, parsed.folder)
    print(*files, sep="\n")
    print(f"next: cd {files[0].parent} && pip install -e '.[test]' && pytest")
    return 0


def simulate(parsed: argparse.Namespace) -> int:
    """Run the stand-in indexer alone."""
    from unionws.logs import configure_logs
    from unionws.source.simulator import parse_faults, run_simulator

    configure_logs(Settings())
    return run_simulator(parsed.host, parsed.port, parsed.rate, parsed.seed, parse_faults(parsed.faults))


def check(parsed: argparse.Namespace) -> int:
    """Validate settings, plugins and the machine; print every problem."""
    from unionws.app import BUILTINS, edge_count
    from unionws.assembly import inspect
    from unionws.checkup import Finding, check_machine, check_plugins

    try:
        loaded, host, problems = inspect(*_given(parsed), BUILTINS)
    except SettingsError as error:
        findings = [Finding("error", problem) for problem in error.problems]
    else:
        _print_changed(loaded)
        if parsed.diff:
            return 0
        edges = max(1, edge_count(loaded.settings))
        findings = [*check_plugins(host, problems), *check_machine(loaded.settings, edges)]
    for finding in findings:
        print(f"{finding.level:<8} {finding.text}")
    errors = sum(finding.level == "error" for finding in findings)
    warnings = sum(finding.level == "warning" for finding in findings)
    print(f"{_counted(errors, 'error')}, {_counted(warnings, 'warning')}")
    return 1 if errors else 0


def plugins(parsed: argparse.Namespace) -> int:
    """List plugins, where each was found, its hooks, its state; with URL: how those of a service do."""
    from unionws import pluginlist
    from unionws.app import BUILTINS
    from unionws.assembly import inspect

    loaded, host, problems = inspect(*_given(parsed), BUILTINS)
    if parsed.url is not None:
        print(*pluginlist.running(parsed.url, loaded.settings.ADMIN_TOKEN), sep="\n")
        return 0
    print(*pluginlist.found(host.plugins()), sep="\n")
    for problem in problems:
        _complain(problem)
    return 1 if problems else 0


def tail(parsed: argparse.Namespace) -> int:
    """Follow the stream in a terminal."""
    from unionws.client import tail as follower

    return follower.main(parsed)


def _given(parsed: argparse.Namespace) -> tuple[Path | None, Sequence[str], Mapping[str, str]]:
    """Where settings are given: the file, the command line and the environment."""
    file = parsed.settings
    if file is None and DEFAULT_FILE.is_file():
        file = DEFAULT_FILE
    return file, parsed.set, os.environ


def _print_changed(loaded: Loaded) -> None:
    changed = loaded.changed()
    print("settings that differ from the defaults:" if changed else "all settings have their defaults")
    for row, value, origin in changed:
        print(f"  {row.name} = {value!r}  ({origin}; default {shown(row, row.default)!r})")


# ----------------------------------------------------------------------------------------- parser


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="unionws", description="Live cross-chain transfers and statistics over WebSocket."
    )
    parser.add_argument("--version", action="version", version=f"unionws {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_serve(_command(commands, "serve", serve))
    _add_simulate(_command(commands, "simulate", simulate))
    _add_check(_command(commands, "check", check, aliases=("doctor",)))
    _add_plugins(_command(commands, "plugins", plugins))
    _add_tail(_command(commands, "tail", tail))
    _add_new_plugin(_command(commands, "new-plugin", new_plugin))
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    function: Callable[[argparse.Namespace], int],
    aliases: Sequence[str] = (),
) -> argparse.ArgumentParser:
    text = (function.__doc__ or "").strip()
    command = commands.add_parser(name, help=text, description=text, aliases=aliases)
    command.set_defaults(command=function)
    return command


def _add_settings(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--settings", metavar="FILE", type=Path, help=f"settings file (default: {DEFAULT_FILE}, if present)"
    )
    command.add_argument(
        "--set",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="one setting, stronger than file and environment; may be repeated",
    )


def _add_check(command: argparse.ArgumentParser) -> None:
    _add_settings(command)
    command.add_argument(
        "--diff", action="store_true", help="only show what differs from the defaults, and where it was set"
    )


def _add_serve(command: argparse.ArgumentParser) -> None:
    _add_settings(command)
    command.add_argument(
        "--simulate",
        metavar="RATE",
        nargs="?",
        const=DEFAULT_RATE,
        type=_rate,
        help=f"use the embedded indexer as upstream, at RATE transfers a second ({DEFAULT_RATE:g})",
    )
    _add_faults(command)
    command.add_argument(
        "--dev", action="store_true", help="start again whenever a plugin or the settings file changes"
    )


def _add_plugins(command: argparse.ArgumentParser) -> None:
    _add_settings(command)
    command.add_argument("url", metavar="URL", nargs="?", help="a running service: http://127.0.0.1:8080")


def _add_new_plugin(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", metavar="NAME", help="lower-case letters and digits, as in acme")
    command.add_argument(
        "--in", dest="folder", metavar="FOLDER", type=Path, default=Path(), help="where to write it"
    )


def _add_simulate(command: argparse.ArgumentParser) -> None:
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    command.add_argument("--port", type=_port, default=9200, help="port to listen on (9200)")
    command.add_argument("--rate", type=_rate, default=DEFAULT_RATE, help="transfers a second (5)")
    command.add_argument("--seed", type=int, default=1, help="the same seed gives the same traffic (1)")
    _add_faults(command)


def _add_faults(command: argparse.ArgumentParser) -> None:
    command.add_argument("--faults", metavar="SPEC", default="", help="faults the embedded indexer shows")


def _add_tail(command: argparse.ArgumentParser) -> None:
    default = "ws://127.0.0.1:8080/ws"
    command.add_argument("url", metavar="URL", nargs="?", default=default, help=f"server ({default})")
    command.add_argument(
        "--from", dest="from_chain", metavar="CHAIN", help="universal id of the source chain"
    )
    command.add_argument(
        "--to", dest="to_chain", metavar="CHAIN", help="universal id of the destination chain"
    )
    command.add_argument("--wallet", metavar="ADDR", help="sender or receiver")
    command.add_argument("--json", action="store_true", help="one JSON object per line")


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 < rate <= 10_000:
        raise argparse.ArgumentTypeError("must be more than 0 and at most 10000")
    return rate


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError("must be from 0 to 65535")
    return port
