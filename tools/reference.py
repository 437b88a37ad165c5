"""Writes the reference pages from the code: ``python tools/reference.py [--check]``.

conf/README.md comes from the table of settings, docs/hooks.md from the hookspecs, docs/schema/ from
unionws/schemas.py. With ``--check`` nothing is written; the exit code says whether the pages are up
to date.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import groupby
from pathlib import Path

from unionws import hookspecs
from unionws.app import BUILTINS
from unionws.schemas import SCHEMAS, published
from unionws.settings import settings_table
from unionws.settings_plugins import row_of
from unionws.settings_values import Row, allowed

ROOT = Path(__file__).resolve().parent.parent
NOTE = "<!-- Written by tools/reference.py; change the code, not this page. -->"

SETTINGS_INTRO = """\
# Settings

Put plain assignments into `conf/settings.py` (or any file given with `--settings`):

    PORT = 9000
    MAINNET_ONLY = True
    PLUGINS = ["acme.alerts"]

The file is read, not run: only `NAME = value` with plain values is allowed. A setting can be given in
four places; the first of these that has it counts:

1. `--set NAME=VALUE` on the command line;
2. the environment variable `UNIONWS_<NAME>`, and for PORT, GRAPHQL_ENDPOINT, POLL_INTERVAL and
   MAINNET_ONLY also the bare name;
3. the settings file;
4. the default.

On the command line and in the environment a VALUE is read by the setting's type: text as it stands
(surrounding quotes are dropped), `true`/`false`, `yes`/`no` or `1`/`0`, numbers, and lists as `a,b` or
`['a', 'b']`. Unknown names and bad values stop the start and are all listed at once. `unionws check`
shows what differs from the defaults and where it was set.
"""

HOOKS_INTRO = """\
# Hooks

A plugin is a module with functions marked `@unionws.hookimpl`. It is found as a file or package in
`plugins/`, as an entry point in the group `unionws`, or by module name in the setting PLUGINS.
An implementation may leave out arguments it does not need; it must be a plain function.

`register_*` hooks run once at start and answer a list of the named type; names are `vendor.name`.
A wrong answer or a clash of names stops the start. All others run while the service does. A call that
raises, answers nonsense or takes longer than PLUGIN_TIMEOUT_MS (it is cut short then) is a failure: it
is logged with the plugin's name and counted, and failures in a row switch the plugin off until the
next start.

[plugins.md](plugins.md) is the tutorial. What hooks are given and answer is in `unionws/model.py`,
`unionws/extensions.py`, `unionws/doors.py` and `unionws/pluginservice.py`.
"""


def settings_page() -> str:
    """conf/README.md."""
    parts = [SETTINGS_INTRO]
    for group, rows in groupby(settings_table(), key=lambda row: row.group):
        lines = ["| setting | default | allowed | meaning |", "|---|---|---|---|"]
        lines += [_settings_line(row) for row in rows]
        parts += [f"## {group}\n", "\n".join(lines) + "\n"]
    lines = ["| setting | default | allowed | meaning | plugin |", "|---|---|---|---|---|"]
    lines += [f"{_settings_line(row)} {name} |" for name, row in _plugin_rows()]
    parts += ["## Plugins that come with unionws\n", "\n".join(lines) + "\n"]
    return f"{NOTE}\n\n" + "\n".join(parts)


def _plugin_rows() -> Iterator[tuple[str, Row]]:
    """Settings that built-in plugins declare, with the plugin's name."""
    for name, plugin in BUILTINS:
        declare = getattr(plugin, "register_settings", None)
        yield from ((name, row_of(setting)) for setting in (declare() if declare else ()))


def _settings_line(row: Row) -> str:
    value = list(row.default) if isinstance(row.default, tuple) else row.default
    return " | ".join(["", f"`{row.name}`", f"`{value!r}`", allowed(row), row.help, ""]).strip()


def hooks_page() -> str:
    """docs/hooks.md."""
    parts = [HOOKS_INTRO]
    for phase, functions in groupby(_hooks(), key=lambda pair: pair[0]):
        parts.append(f"## {phase}\n")
        parts += [_hook(function) for _, function in functions]
    return f"{NOTE}\n\n" + "\n".join(parts)


def _hooks() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Every hookspec with the banner it stands under."""
    source = inspect.getsource(hookspecs)
    banners = {
        number: match.group(1).capitalize()
        for number, line in enumerate(source.splitlines(), 1)
        if (match := re.fullmatch(r"# -{10,} (.+)", line))
    }
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            yield banners[max(number for number in banners if number < node.lineno)], node


def _hook(function: ast.FunctionDef) -> str:
    answer = ast.unparse(function.returns) if function.returns else "None"
    signature = f"{function.name}({ast.unparse(function.args)}) -> {answer}"
    text, _, example = (ast.get_docstring(function) or "").partition("\nExample::\n")
    code = f"\n```python\n{inspect.cleandoc(example)}\n```\n" if example else ""
    return f"### {function.name}\n\n```python\n{signature}\n```\n\n{text.strip()}\n{code}"


def schema_page(name: str) -> str:
    """docs/schema/<name>.json."""
    return json.dumps(published(name), indent=1, ensure_ascii=False) + "\n"


PAGES: Mapping[str, Callable[[], str]] = {
    "conf/README.md": settings_page,
    "docs/hooks.md": hooks_page,
    **{f"docs/schema/{name}.json": partial(schema_page, name) for name in SCHEMAS},
}


def outdated() -> list[str]:
    """Pages that differ from what the code says."""
    return [
        name
        for name, page in PAGES.items()
        if not (ROOT / name).is_file() or (ROOT / name).read_text("utf-8") != page()
    ]


def main() -> int:
    """Write the pages, or with ``--check`` tell whether they are up to date."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a page is old")
    check = parser.parse_args().check
    found = outdated()
    for name in found:
        print(f"{name}: {'out of date; run python tools/reference.py' if check else 'written'}")
        if not check:
            (ROOT / name).parent.mkdir(exist_ok=True)
            (ROOT / name).write_text(PAGES[name](), "utf-8")
    return 1 if check and found else 0


if __name__ == "__main__":
    sys.exit(main())
