"""What clients of an edge say, and what they are answered."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace

from unionws.broadcaster import envelopes
from unionws.broadcaster.fanout import Fanout
from unionws.broadcaster.filters import FilterFields
from unionws.broadcaster.greeting import Greeting
from unionws.clock import Clock, milliseconds
from unionws.connections.client import Client
from unionws.connections.inbox import Message
from unionws.connections.parking import Parking
from unionws.connections.requests import Dispatcher, parse, request_id
from unionws.errors import RequestError
from unionws.extensions import ClientRequest
from unionws.frames import TEXT
from unionws.model import JSON
from unionws.subscriptions import TRANSFERS, Subscriptions

log = logging.getLogger("unionws.edge")

ERROR_WINDOW = 60.0
"""Seconds within which MAX_ERRORS refused messages close a client."""


class Conversation:
    """Takes clients' messages, hands them to their handlers, and answers.

    Args:
        max_errors: refused messages within ERROR_WINDOW that close a client with 4008.
    """

    def __init__(
        self,
        requests: Sequence[ClientRequest],
        fields: FilterFields,
        *,
        fanout: Fanout,
        parking: Parking,
        greeting: Greeting,
        subscriptions: Subscriptions,
        clock: Clock,
        max_errors: int,
    ) -> None:
        self._dispatcher = Dispatcher(requests)
        self._fanout = fanout
        self._parking = parking
        self._clock = clock
        self.max_errors = max_errors
        self._errors: dict[Client, deque[float]] = {}
        self.fields = fields
        self.greeting = greeting
        self.subscriptions = subscriptions

    def receive(self, client: Client, message: Message) -> None:
        """Answer a message, behind the turn under way: that one still owes frames of the old filter."""
        if message.opcode != TEXT:
            self._parking.close(client, 1003, "only text messages are understood")
            return
        self._fanout.between(lambda: self._answer(client, str(message.data)))

    def forget(self, client: Client) -> None:
        """A client is gone."""
        self._errors.pop(client, None)

    def _answer(self, client: Client, text: str) -> None:
        if client.fd < 0 or client.group is None:
            return
        given: int | str | None = None
        try:
            message = parse(text)
            given = request_id(message)
            self._dispatcher.dispatch(Request(self, client, given), message)
        except RequestError as error:
            self._refuse(client, error, given)
        except Exception:
            log.exception("request handler failed", extra={"fields": {"client": client.number}})
            self._refuse(client, RequestError("internal_error", "the request could not be handled"), given)

    def _refuse(self, client: Client, error: RequestError, given: int | str | None) -> None:
        self.reply(client, "error", given, code=error.code, message=error.message)
        now = self._clock.monotonic()
        errors = self._errors.setdefault(client, deque(maxlen=self.max_errors))
        errors.append(now)
        if len(errors) == self.max_errors and now - errors[0] < ERROR_WINDOW:
            self._parking.close(client, 4008, "too many errors")

    def reply(
        self, client: Client, type: str, given: int | str | None, *, start: bool = False, **fields: JSON
    ) -> None:
        """Send one message to one client.

        Args:
            given: its request's id.
            start: transfers begin anew with it.
        """
        if given is not None:
            fields = {"id": given, **fields}
        payload = envelopes.message(type, milliseconds(self._clock.time()), **fields)
        frame = self._fanout.frame([payload], client.deflate)
        self._parking.send(client, replace(frame, start=True) if start else frame)

    def subscribed(self, client: Client, given: int | str | None, data: Mapping[str, JSON]) -> None:
        """Answer a subscription."""
        self.reply(client, "subscribed", given, start=data["channel"] == TRANSFERS, data=dict(data))

    def position(self) -> dict[str, JSON]:
        """Where the last record delivered ends."""
        return {"epoch": self._fanout.epoch, "seq": self._fanout.seq, "cursor": self._fanout.cursor}

    def resend(self, client: Client, what: str, given: int | str | None) -> None:
        """Send one of the lasting messages to one client.

        Raises:
            RequestError: ``invalid_message`` for another word, ``not_ready`` while there is none.
        """
        if what not in self.greeting.LASTING:
            known = ", ".join(self.greeting.LASTING)
            raise RequestError("invalid_message", f"what={what[:40]!r} is not one of {known}")
        payload = self.greeting.message(what, milliseconds(self._clock.time()), given)
        if payload is None:
            raise RequestError("not_ready", f"there is no {what} yet")
        self._parking.send(client, self._fanout.frame([payload], client.deflate))


class Request:
    """A client's request as its handler sees it (:class:`unionws.RequestContext`)."""

    __slots__ = ("_client", "_conversation", "_id")

    def __init__(self, conversation: Conversation, client: Client, given: int | str | None) -> None:
        self._conversation = conversation
        self._client = client
        self._id = given

    @property
    def filter(self) -> Mapping[str, JSON]:
        key = self._conversation.subscriptions.key(self._client)
        return self._conversation.fields.dump(key.filter)

    @property
    def channels(self) -> Sequence[str]:
        return sorted(self._conversation.subscriptions.key(self._client).channels)

    def position(self) -> Mapping[str, JSON]:
        return self._conversation.position()

    def set_filter(self, fields: Mapping[str, JSON], *, replace: bool) -> None:
        self._conversation.subscriptions.set_filter(self._client, fields, replace_all=replace)

    def subscribe(
        self, channel: str, *, filter: JSON = None, resume: JSON = None, snapshot: JSON = None
    ) -> None:
        conversation, client, given = self._conversation, self._client, self._id
        conversation.subscriptions.subscribe(
            client,
            channel,
            filter,
            resume,
            snapshot,
            lambda data: conversation.subscribed(client, given, data),
        )

    def unsubscribe(self, channel: str) -> None:
        self._conversation.subscriptions.unsubscribe(self._client, channel)

    def resend(self, what: str) -> None:
        self._conversation.resend(self._client, what, self._id)

    def reply(self, type: str, data: JSON = None, **envelope: JSON) -> None:
        if data is not None:
            envelope["data"] = data
        self._conversation.reply(self._client, type, self._id, **envelope)
