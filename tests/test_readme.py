"""What the front page promises is tried here."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from unionws import Statistic
from unionws.cli import build_parser
from unionws.pluginhost import PluginHost
from unionws.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def code(language: str) -> list[str]:
    """The README's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.M | re.S)


def test_the_plugin_of_the_readme_works(tmp_path: Path) -> None:
    """Copied into plugins/ as it stands, it loads and counts."""
    (tmp_path / "busiest.py").write_text(code("python")[1])
    host = PluginHost(Settings(PLUGINS_DIR=str(tmp_path)))
    host.load([])
    (statistic,) = host.collect("register_statistics", Statistic)
    batch = [SimpleNamespace(route_key=key) for key in ("a->b", "c->d", "a->b")]
    statistic.observer.observe(batch, 0.0)  # type: ignore[arg-type]
    assert statistic.observer.snapshot(0.0) == {"routes": [["a->b", 2], ["c->d", 1]]}


def test_the_commands_of_the_readme_exist() -> None:
    """Every command line in the table is understood, with all its options."""
    lines = re.findall(r"^\| `unionws (.+?)` \|", README, re.M)
    assert [line.split()[0] for line in lines] == [
        *("serve", "check", "plugins", "new-plugin", "tail", "simulate")
    ]
    values = {
        "FILE": "f",
        "NAME=VALUE": "PORT=1",
        "RATE": "5",
        "CHAIN": "union.union-1",
        "ADDR": "0x00",
        "NAME": "acme",
    }
    for line in lines:
        text = line.replace("[--host]", "[--host 127.0.0.1]").replace("[--set …]", "[--set NAME=VALUE]")
        words = re.sub(r"[\[\]…]", " ", text).replace("URL", "ws://localhost/ws").split()
        build_parser().parse_args([values.get(word, word) for word in words])


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_between_pages_lead_somewhere(page: str) -> None:
    """No page names a file that is not there."""
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text("utf-8")):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_every_dependency_has_its_reason() -> None:
    """CONTRIBUTING says why each package of setup.py is there."""
    reasons = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    packages = re.findall(
        r'^\s+"([a-z][a-z0-9-]+)[>=<.,\d]*",$', (ROOT / "setup.py").read_text("utf-8"), re.M
    )
    assert "tornado" in packages
    for package in packages:
        if not package.startswith("types-"):
            assert re.search(rf"^\|.*\b{package}\b.*\|", reasons, re.M), package
