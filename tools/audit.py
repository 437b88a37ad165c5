"""Known vulnerabilities in what setup.py asks for: the lowest versions allowed, and those installed.

``python tools/audit.py [--of VENV]`` needs pip-audit, and a way to its data. The exit status is 1
when something is vulnerable. Where pip-audit or its data cannot be reached, that is said and the
status is 0: then the lower bounds of setup.py hold, whose reasons are in CONTRIBUTING.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from lowest import lowest, requirements

PATIENCE = 90.0
"""Seconds for one question; without a way out each package has a time-out of its own."""

EXTRAS = ("jwt", "uvloop")


class Unreachable(Exception):
    """Nothing can be said; the text says why."""


def installed(environment: Path) -> list[str]:
    """What an environment has, but for the service itself."""
    places = [str(place) for place in environment.glob("lib/python3*/site-packages")]
    found = {one.metadata["Name"]: one.version for one in distributions(path=places)}
    return [f"{name}=={version}" for name, version in sorted(found.items()) if name != "unionws"]


def ask(pinned: Sequence[str]) -> list[dict[str, Any]]:
    """What pip-audit knows of some packages.

    Raises:
        Unreachable: it is not installed, or gets no data.
    """
    with NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(pinned))
        file.flush()
        command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "-r", file.name]
        command += ["--format", "json", "--progress-spinner", "off", "--timeout", "10"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        except subprocess.TimeoutExpired:
            raise Unreachable(f"no answer within {PATIENCE:.0f} s") from None
    return read(done.stdout, done.stderr)


def read(told: str, problem: str) -> list[dict[str, Any]]:
    """The packages of an answer.

    Raises:
        Unreachable: it is none, or nothing could be looked up.
    """
    try:
        packages: list[dict[str, Any]] = json.loads(told)["dependencies"]
    except (ValueError, KeyError, TypeError):
        raise Unreachable((problem.strip().splitlines() or ["no answer"])[-1]) from None
    if packages and all("skip_reason" in package for package in packages):
        raise Unreachable(packages[0]["skip_reason"])
    return packages


def findings(packages: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each vulnerable package."""
    return [
        f"{package['name']} {package['version']}: {known['id']}, fixed in {', '.join(known['fix_versions'])}"
        for package in packages
        for known in package.get("vulns", ())
    ]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--of", type=Path, default=Path(sys.prefix), help="the environment to look into")
    environment = parser.parse_args(argv).of
    found: list[str] = []
    for what, pinned in (("lowest", lowest(requirements(EXTRAS))), ("installed", installed(environment))):
        try:
            packages = ask(pinned)
        except Unreachable as error:
            print(f"{what}: not audited here ({error}); the lower bounds of setup.py hold")
            continue
        looked = [package for package in packages if "skip_reason" not in package]
        found += (bad := findings(packages))
        print(f"{what}: {len(looked)} of {len(packages)} packages looked up, {len(bad)} vulnerabilities")
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
