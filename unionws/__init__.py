"""unionws streams cross-chain transfers and live statistics to WebSocket clients.

This module is the plugin author's door: everything a plugin needs is imported from here.
"""

from unionws.errors import RequestError
from unionws.extensions import (
    ClientRequest,
    FilterField,
    Observer,
    RequestContext,
    ServerMessage,
    Statistic,
)
from unionws.hookspecs import hookimpl
from unionws.model import Chain, EnrichedTransfer, Fragment, Transfer, TransfersRecord

__version__ = "0.1.0"

__all__ = [
    "Chain",
    "ClientRequest",
    "EnrichedTransfer",
    "FilterField",
    "Fragment",
    "Observer",
    "RequestContext",
    "RequestError",
    "ServerMessage",
    "Statistic",
    "Transfer",
    "TransfersRecord",
    "__version__",
    "hookimpl",
]
