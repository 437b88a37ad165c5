"""The built-in statistics: everything in chartData but latencies and node health."""

from __future__ import annotations

from collections.abc import Sequence

from unionws.extensions import Statistic
from unionws.hookspecs import hookimpl
from unionws.settings import Settings
from unionws.stats.assets import Assets
from unionws.stats.chainflow import ChainFlow
from unionws.stats.flow import Flow
from unionws.stats.rates import Rates
from unionws.stats.routes import Routes
from unionws.stats.wallets import Wallets


@hookimpl
def register_statistics(settings: Settings) -> Sequence[Statistic]:
    """Rates, wallets, and the flow table before its three readers."""
    short = settings.SHORT_WINDOW
    flow = Flow()
    return [
        Statistic("rates", Rates(short)),
        Statistic("wallets", Wallets(short)),
        Statistic("flow", flow),
        Statistic("routes", Routes(flow, short)),
        Statistic("chainFlow", ChainFlow(flow, short)),
        Statistic("assetVolume", Assets(flow, short)),
    ]
