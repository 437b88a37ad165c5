"""Where settings are given: the settings file, the environment, ``--set``.

Each reader answers what it found, in order, and one sentence for each thing it could not read.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PREFIX = "UNIONWS_"
BARE_NAMES = ("PORT", "GRAPHQL_ENDPOINT", "POLL_INTERVAL", "MAINNET_ONLY")
"""Settings that the environment may also give without the prefix."""


@dataclass(frozen=True, slots=True)
class Given:
    """One setting as given somewhere.

    Attributes:
        value: text, or a Python literal when ``literal``.
        origin: where it was given, in words.
        prefix: what stands before setting names there.
    """

    name: str
    value: Any
    origin: str
    literal: bool = False
    prefix: str = ""


def from_file(path: Path) -> tuple[list[Given], list[str]]:
    """Read a file of plain assignments ``NAME = literal``. It is parsed, never run."""
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except OSError as error:
        return [], [f"settings file {path}: {error.strerror or error}"]
    except SyntaxError as error:
        return [], [f"{path} line {error.lineno or 1}: not valid Python: {error.msg}"]
    except (ValueError, MemoryError, RecursionError) as error:
        return [], [f"settings file {path}: cannot be read: {error}"]
    found: list[Given] = []
    problems: list[str] = []
    for statement in tree.body:
        origin = f"{path} line {statement.lineno}"
        try:
            found += [Given(name, value, origin, literal=True) for name, value in _assigned(statement)]
        except ValueError as error:
            problems.append(f"{origin}: {error}")
    return found, problems


def _assigned(statement: ast.stmt) -> Iterable[tuple[str, Any]]:
    """The one (name, value) a statement assigns; none for a docstring; ValueError for code."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return []
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        raise ValueError("only assignments NAME = value are allowed in a settings file")
    target = statement.targets[0]
    if not isinstance(target, ast.Name):
        raise ValueError("only assignments NAME = value are allowed in a settings file")
    try:
        return [(target.id, ast.literal_eval(statement.value))]
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise ValueError(f"{target.id} must be a plain value, not code") from None


def from_environment(environ: Mapping[str, str]) -> list[Given]:
    """``UNIONWS_<NAME>`` and the bare names; the prefixed one counts when both are there."""
    bare = [Given(name, environ[name], f"environment {name}") for name in BARE_NAMES if name in environ]
    prefixed = [
        Given(name.removeprefix(PREFIX), value, f"environment {name}", prefix=PREFIX)
        for name, value in environ.items()
        if name.startswith(PREFIX)
    ]
    return bare + prefixed


def from_overrides(overrides: Sequence[str]) -> tuple[list[Given], list[str]]:
    """``NAME=VALUE`` texts of ``--set``."""
    found: list[Given] = []
    problems: list[str] = []
    for text in overrides:
        name, equals, value = text.partition("=")
        if equals:
            found.append(Given(name.strip(), value, "--set"))
        else:
            problems.append(f"--set {text}: must have the form NAME=VALUE")
    return found, problems
