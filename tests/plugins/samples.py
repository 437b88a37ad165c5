"""The sample plugins as the service loads them, and transfers to show them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unionws import Fragment, TransfersRecord
from unionws.assembly import assemble
from unionws.clock import ManualClock
from unionws.model import MessageRecord
from unionws.pluginhost import PluginHost
from unionws.pluginservice import Doors

PLUGINS = Path(__file__).parents[2] / "plugins"


def sample_host(*overrides: str, **environ: str) -> PluginHost:
    """All samples, loaded with these settings."""
    return assemble(None, [f"PLUGINS_DIR={PLUGINS}", *overrides], environ, [])[1]


@dataclass
class Heard:
    """A host whose plugins were started, what they published, and the statistics they see."""

    host: PluginHost
    messages: list[MessageRecord] = field(default_factory=list)
    statistics: dict[str, Any] = field(default_factory=dict)

    def _statistics(self) -> Mapping[str, Any]:
        return self.statistics


def started(
    scenario: Callable[[Heard], Coroutine[Any, Any, None]], *overrides: str, folder: Path | None = None
) -> Heard:
    """Run a scenario with started samples, and stop them."""

    async def run() -> Heard:
        heard = Heard(sample_host(*overrides))
        heard.host.doors = Doors(folder=folder, clock=ManualClock())
        heard.host.doors.open(heard.messages.append, heard._statistics)
        heard.host.start()
        await scenario(heard)
        heard.host.stop()
        assert [plugin.last_error for plugin in heard.host.plugins() if plugin.failures] == []
        return heard

    return asyncio.run(run())


def fragment(key: str = "k", *, amount: str = "1", sender: str = "0xa", receiver: str = "0xb") -> Fragment:
    return Fragment(key, "a.1", "b.2", sender, receiver, "u", "0x1", amount, False, 0, b"{}")


def record(*items: Fragment) -> TransfersRecord:
    return TransfersRecord("epoch", len(items), "", False, 0, items)
