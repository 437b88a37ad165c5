"""The lowest versions setup.py allows, for pip: do the bounds hold?

``pip install $(python tools/lowest.py) -e . && pytest``
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

ROOT = Path(__file__).resolve().parents[1]


def requirements(extras: Sequence[str]) -> list[str]:
    """What setup.py asks for, with some extras."""
    given: dict[str, Any] = {}
    listener = ModuleType("setuptools")  # the real one need not be there, and would begin to build
    listener.__dict__.update(setup=given.update, find_packages=lambda **_: [])
    with patch.dict(sys.modules, setuptools=listener):
        runpy.run_path(str(ROOT / "setup.py"))
    wanted: list[str] = [*given["install_requires"]]
    for extra in extras:
        wanted += given["extras_require"][extra]
    return wanted


def lowest(wanted: Iterable[str]) -> list[str]:
    """``name>=1.2,<3`` as ``name==1.2``; a requirement without a lower bound is left out."""
    found = {}
    for requirement in wanted:
        name, bound, rest = requirement.partition(">=")
        if bound:
            found[name] = f"{name}=={rest.split(',')[0]}"
    return list(found.values())


if __name__ == "__main__":
    print(*lowest(requirements(sys.argv[1:] or ["test", "jwt", "uvloop"])), sep="\n")
