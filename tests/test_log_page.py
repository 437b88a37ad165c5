"""docs/log.md: every warning and error there is, and what to do about it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/log.md").read_text("utf-8")
LOUD = ("warning", "error", "exception", "critical")


def loud_lines() -> Iterator[tuple[str, str]]:
    """The place and the first words of each call that logs a warning or worse."""
    for path in sorted((ROOT / "unionws").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
                continue
            logger, first = ast.unparse(node.func.value), node.args[0]
            if node.func.attr in LOUD and logger in ("log", "logger") and isinstance(first, ast.Constant):
                yield f"{path.name}:{node.lineno}", str(first.value)


def test_every_warning_and_error_is_on_the_page() -> None:
    """In the words of the code, so that it is found by searching for the line."""
    found = list(loud_lines())
    assert len(found) > 30
    assert [(place, line) for place, line in found if f"`{line}`" not in PAGE] == []


def test_every_row_says_what_to_do() -> None:
    """Three cells, none empty."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        assert len(cells) == 3, row
        assert all(cells), row
