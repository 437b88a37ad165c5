"""Names of what plugins register: which are whose."""

from __future__ import annotations

import re
from collections.abc import Mapping

from unionws.doors import Route
from unionws.extensions import Metric, ServerMessage, Setting
from unionws.settings import settings_table

FOREIGN: Mapping[type, tuple[str, str]] = {
    Setting: (r"[A-Z0-9]+_.+", "VENDOR_{}"),
    Route: (r"/ext/[^/]+/.+", "/ext/vendor{}"),
    Metric: (r"(?!unionws_)[a-z0-9]+_.+", "vendor_{}"),
}
"""By kind: what the name of a third party's object looks like, and how to say so."""


def name_of(item: object) -> str:
    """The name that must be unique among its kind."""
    for attribute in ("type", "path", "name"):
        found = getattr(item, attribute, None)
        if found is not None:
            return str(found)
    raise TypeError(f"{type(item).__name__} has no name")


def foreign_problem(item: object) -> str | None:
    """Why a third party may not use an item's name, or None."""
    name = name_of(item)
    pattern, example = FOREIGN.get(type(item), (r".+\..+", "vendor.{}"))
    if isinstance(item, Setting) and name in {row.name for row in settings_table()}:
        return f"{name!r} is a setting of unionws"
    if isinstance(item, ServerMessage) and item.channel is not None and "." not in item.channel:
        return f"channel {item.channel!r} is not the plugin's; call it 'vendor.{item.channel}'"
    if re.fullmatch(pattern, name):
        return None
    return f"{name!r} lacks a vendor; call it {example.format(name)!r}"
