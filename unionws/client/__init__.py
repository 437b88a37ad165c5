"""The Python client: follows a unionws stream, reconnects, and says when something is missing.

::

    async with Client("ws://127.0.0.1:8080/ws", channels=("transfers",)) as client:
        async for transfer in client.transfers():
            print(transfer["sourceDisplayName"], transfer["base_token_amount_display"])

Iterating the client itself gives everything that happens, as one of the events below.
"""

from unionws.client.driver import Client
from unionws.client.events import Connected, Disconnected, Event, Gap, MessageReceived, TransferReceived
from unionws.client.reconnect import Backoff
from unionws.errors import ClientError

__all__ = [
    "Backoff",
    "Client",
    "ClientError",
    "Connected",
    "Disconnected",
    "Event",
    "Gap",
    "MessageReceived",
    "TransferReceived",
]
