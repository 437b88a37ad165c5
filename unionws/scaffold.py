"""``unionws new-plugin NAME``: a package with a plugin that works, its entry point and its test."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from unionws.errors import UnionwsError

NAME = re.compile(r"[a-z][a-z0-9]{1,29}")

PROJECT = """\
[build-system]
requires = ["setuptools>=68"]
build-backend = "setuptools.build_meta"

[project]
name = "unionws-@name@"
version = "0.1.0"
description = "A plugin for unionws."
requires-python = ">=3.10"
dependencies = ["unionws"]

[project.optional-dependencies]
test = ["pytest"]

[project.entry-points.unionws]
@name@ = "unionws_@name@"

[tool.setuptools]
packages = ["unionws_@name@"]
"""

PLUGIN = '''\
"""A plugin for unionws: transfers of one asset, counted, told and filtered."""

from __future__ import annotations

from unionws import FilterField, ServerMessage, Service, Setting, Statistic, hookimpl


class Here:
    """What startup was handed."""

    service: Service


@hookimpl
def register_settings():
    return [Setting("@NAME@_ASSET", "U", "Symbol of the asset to watch.")]


@hookimpl
def startup(service):
    Here.service = service


def asset(settings):
    return settings.extra["@NAME@_ASSET"].lower()


# A message: subscribers of the channel @name@.seen get one for each transfer of the asset.


@hookimpl
def register_messages():
    return [ServerMessage("@name@.seen", "A transfer of the watched asset.", "@name@.seen")]


@hookimpl
def published(record):
    for item in record.items:
        if item.symbol == asset(Here.service.settings):
            data = {"amount": item.amount, "sort_order": item.sort_order}
            Here.service.publish("@name@.seen", data, about=item)


# A filter: {"@name@.watched": true} passes only transfers of the asset, false only the others.


def parse(value):
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # told to the client
    return value


@hookimpl
def register_filters(settings):
    symbol = asset(settings)

    def matches(wanted, item):
        return (item.symbol == symbol) is wanted

    return [FilterField("@name@.watched", parse, matches, dump=bool)]


# A statistic: chartData has it under ext as @name@.count.


class Count:
    def __init__(self, symbol):
        self.symbol = symbol
        self.count = 0

    def observe(self, batch, now):
        symbols = [(item.transfer.base_token_symbol or "").lower() for item in batch]
        self.count += symbols.count(self.symbol)

    def snapshot(self, now):
        return {"transfers": self.count}


@hookimpl
def register_statistics(settings):
    return [Statistic("@name@.count", Count(asset(settings)))]
'''

TEST = """\
import unionws_@name@
from unionws.testing import transfer


def test_a_transfer_of_the_asset_is_told_counted_and_filtered(unionws_server):
    server = unionws_server(unionws_@name@, @NAME@_ASSET="ETH")
    with server.client("@name@.seen", "transfers", "chartData") as client:
        wanted = {"channel": "transfers", "filter": {"@name@.watched": True}}
        client.send("setFilter", wanted)
        client.receive("filterSet")
        server.upstream.send(transfer(base_token_symbol="U"), transfer(base_token_symbol="ETH", amount="2"))
        (row,) = client.receive("transfers")["data"]
        assert row["base_token_symbol"] == "ETH"
        assert client.receive("@name@.seen")["data"]["amount"] == "2"
        while client.receive("chartData")["data"]["ext"]["@name@.count"] != {"transfers": 1}:
            pass
    assert server.plugin("unionws_@name@").failures == 0
"""

READ_ME = """\
# unionws-@name@

A plugin for [unionws](https://union.build).

```
pip install -e '.[test]' && pytest
unionws plugins
unionws serve --simulate --dev
```

It is found by its entry point as soon as it is installed. `@NAME@_ASSET` chooses the asset.
"""

FILES: Mapping[str, str] = {
    "pyproject.toml": PROJECT,
    "README.md": READ_ME,
    "unionws_@name@/__init__.py": PLUGIN,
    "tests/conftest.py": 'pytest_plugins = ["unionws.pytest_plugin"]\n',
    "tests/test_@name@.py": TEST,
}


def create(name: str, folder: Path) -> list[Path]:
    """Write the package ``unionws-NAME`` into a folder; answers the files.

    Raises:
        UnionwsError: the name cannot be used, or the package is there already.
    """
    if not NAME.fullmatch(name):
        raise UnionwsError(
            f"{name!r} cannot be a plugin's name: use lower-case letters and digits, as in acme"
        )
    root = folder / f"unionws-{name}"
    try:
        root.mkdir(parents=True)
        written = []
        for path, text in FILES.items():
            target = root / path.replace("@name@", name)
            target.parent.mkdir(exist_ok=True)
            target.write_text(text.replace("@name@", name).replace("@NAME@", name.upper()), "utf-8")
            written.append(target)
        return written
    except OSError as error:
        raise UnionwsError(f"cannot write {root}: {error.strerror}") from error
