"""``unionws plugins``: what is there, or how the plugins of a running service are doing."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from unionws.errors import UnionwsError
from unionws.pluginviews import PluginInfo

PATIENCE = 10.0
HEADINGS = ("process", "plugin", "state", "calls", "failures", "ms", "slow", "MB", "last error")


def found(plugins: Sequence[PluginInfo]) -> list[str]:
    """A line for each plugin: name, state, where it was found, hooks."""
    rows = [(plugin.name, plugin.state, plugin.origin, ", ".join(plugin.hooks)) for plugin in plugins]
    return aligned(rows)


def running(url: str, token: str) -> list[str]:
    """A line for each plugin and process of the service at ``url``.

    Args:
        token: its ADMIN_TOKEN, or "".

    Raises:
        UnionwsError: it does not answer.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with urlopen(Request(f"{url.rstrip('/')}/debug", headers=headers), timeout=PATIENCE) as answer:
            body = json.loads(answer.read())
        return aligned([HEADINGS, *_rows(body)])
    except (URLError, OSError, ValueError, KeyError, http.client.HTTPException) as error:
        raise UnionwsError(f"{url}/debug gives no list of plugins: {error}") from error


def _rows(body: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for plugin in body["plugins"]:
        yield "ingest", plugin["name"], *_figures(plugin)
    for edge, counters in body["server"]["edges"].items():
        for name, plugin in counters.get("plugins", {}).items():
            yield edge, name, *_figures(plugin)


def _figures(plugin: Mapping[str, Any]) -> tuple[str, ...]:
    numbers = (str(plugin[name]) for name in ("calls", "failures", "ms", "slow", "mb"))
    return plugin["state"], *numbers, plugin["last_error"]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines in columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)] if rows else []
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, [*widths, 0], strict=True)).rstrip()
        for row in rows
    ]
