"""tools/audit.py and tools/lowest.py: what setup.py asks for, and what is known of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "tools"))

import audit
import lowest

ROOT = Path(__file__).resolve().parents[2]

VULNERABLE = {"name": "a", "version": "1.0", "vulns": [{"id": "X-1", "fix_versions": ["1.1", "2.0"]}]}
SKIPPED = {"name": "b", "skip_reason": "Dependency not found"}


def test_every_requirement_has_a_lower_bound_of_its_own() -> None:
    """Those of the service itself all have one; it is what pip is given, and upper bounds are not."""
    wanted = lowest.requirements([])
    assert len(lowest.lowest(wanted)) == len(wanted) >= 13
    assert lowest.lowest(["a>=1.2,<3", "b>=1", "c"]) == ["a==1.2", "b==1"]
    assert any(one.startswith("cryptography==") for one in lowest.lowest(lowest.requirements(["jwt"])))


def test_what_is_vulnerable_is_named_with_what_helps() -> None:
    """Package, version, name of the hole and the versions without it; the others are not named."""
    packages = audit.read(json.dumps({"dependencies": [VULNERABLE, SKIPPED]}), "")
    assert audit.findings(packages) == ["a 1.0: X-1, fixed in 1.1, 2.0"]


@pytest.mark.parametrize(
    ("told", "problem", "reason"),
    [
        ("", "no such host\n", "no such host"),
        ("", "", "no answer"),
        ("{}", "", "no answer"),
        (json.dumps({"dependencies": [SKIPPED]}), "", "Dependency not found"),
    ],
)
def test_no_data_is_no_finding(told: str, problem: str, reason: str) -> None:
    """Where nothing can be looked up, that is told apart from there being nothing."""
    with pytest.raises(audit.Unreachable, match=reason):
        audit.read(told, problem)


def test_without_pip_audit_it_says_so_and_passes(tmp_path: Path) -> None:
    """The lower bounds are what holds then."""
    (tmp_path / "pip_audit.py").write_text("raise SystemExit('pip-audit is broken')")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools/audit.py")],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("not audited here (pip-audit is broken)") == 2


def test_the_environment_that_is_looked_into_is_the_one_named() -> None:
    """Its packages with their versions, without the service."""
    found = audit.installed(Path(sys.prefix))
    assert any(one.startswith("pytest==") for one in found)
    assert not any(one.startswith("unionws==") for one in found)
