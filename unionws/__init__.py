"""unionws streams cross-chain transfers and live statistics to WebSocket clients.

This module is the plugin author's door: everything a plugin needs is imported from here.
"""

from unionws.doors import Denied, HttpAnswer, HttpRequest, Identity, Route
from unionws.errors import RequestError
from unionws.extensions import (
    ClientRequest,
    Feed,
    FilterField,
    Intake,
    Metric,
    Observer,
    RequestContext,
    ServerMessage,
    Setting,
    Source,
    Statistic,
    Watcher,
)
from unionws.hookspecs import hookimpl
from unionws.model import JSON, Chain, EnrichedTransfer, Fragment, Transfer, TransfersRecord, TransferUpdate
from unionws.pluginservice import Service

__version__ = "0.1.0"

__all__ = [
    "JSON",
    "Chain",
    "ClientRequest",
    "Denied",
    "EnrichedTransfer",
    "Feed",
    "FilterField",
    "Fragment",
    "HttpAnswer",
    "HttpRequest",
    "Identity",
    "Intake",
    "Metric",
    "Observer",
    "RequestContext",
    "RequestError",
    "Route",
    "ServerMessage",
    "Service",
    "Setting",
    "Source",
    "Statistic",
    "Transfer",
    "TransferUpdate",
    "TransfersRecord",
    "Watcher",
    "__version__",
    "hookimpl",
]
