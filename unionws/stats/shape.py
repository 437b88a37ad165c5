"""The empty, valid shape of chartData.

Every key the deployed page reads is there from the start, so a server without data, or with a
statistic switched off, never makes the page throw.
"""

from __future__ import annotations

from unionws.model import JSON
from unionws.stats.rates import FIELDS
from unionws.stats.wallets import SUFFIXES
from unionws.stats.windows import SCALES


def empty_chart() -> dict[str, JSON]:
    """A fresh chartData ``data`` object without figures, keys in publishing order."""
    return {
        "currentRates": {**dict.fromkeys(FIELDS.values(), 0), "totalTracked": 0},
        "activeWalletRates": _empty_wallet_rates(),
        "popularRoutes": [],
        "popularRoutesTimeScale": _empty_scale(),
        "activeSenders": [],
        "activeSendersTimeScale": _empty_scale(),
        "activeReceivers": [],
        "activeReceiversTimeScale": _empty_scale(),
        "chainFlowData": {
            "chains": [],
            "chainFlowTimeScale": _empty_scale(),
            "totalOutgoing": 0,
            "totalIncoming": 0,
        },
        "assetVolumeData": {
            "assets": [],
            "assetVolumeTimeScale": _empty_scale(),
            "totalAssets": 0,
            "totalVolume": 0.0,
            "totalTransfers": 0,
        },
        "latencyData": [],
    }


def _empty_scale() -> dict[str, list[JSON]]:
    return {window.key: [] for window in SCALES}


def _empty_wallet_rates() -> dict[str, JSON]:
    rates = {name + suffix: 0 for suffix in SUFFIXES.values() for name in ("senders", "receivers", "total")}
    return rates | {"uniqueSendersTotal": 0, "uniqueReceiversTotal": 0, "uniqueTotalWallets": 0}
