"""Every error unionws raises on purpose.

::

    UnionwsError
    ├── SettingsError          a setting is unknown or has a bad value (all problems at once)
    ├── PluginError            a plugin cannot be loaded or declares something invalid
    ├── StateError             the state folder cannot be used, or another service has it
    ├── UpstreamError          the indexer did not give a usable answer
    │   ├── UpstreamTimeout    no whole answer within the deadline
    │   ├── UpstreamUnreachable  the connection was refused, reset or cut
    │   ├── UpstreamTooLarge   the answer is larger than the cap
    │   ├── UpstreamStatus     an HTTP status other than 200 (status, retry_after)
    │   ├── UpstreamGarbage    the body is not the JSON object GraphQL promises
    │   └── UpstreamRefused    GraphQL answered with ``errors``
    ├── RowError               one row of an answer cannot be used (kind)
    ├── RequestError           a client's message is refused (code, message)
    ├── ProtocolError          a client broke RFC 6455 or 7692 (close code, reason)
    └── ClientError            the Python client cannot go on (close_code, status)

Context is in attributes, so a log line or a test needs no parsing of texts.
"""

from __future__ import annotations

from collections.abc import Sequence


class UnionwsError(Exception):
    """Base of all errors below; ``str()`` of each is written for the person who reads it."""


class SettingsError(UnionwsError):
    """One or more settings are wrong.

    Attributes:
        problems: one sentence per problem, in the order they were found.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class PluginError(UnionwsError):
    """A plugin cannot be loaded, or what it registers is invalid.

    Attributes:
        plugin: the plugin's name.
        origin: where it was found (a path, an entry point, a setting).
    """

    def __init__(self, plugin: str, origin: str, problem: str) -> None:
        super().__init__(f"plugin {plugin!r} ({origin}): {problem}")
        self.plugin = plugin
        self.origin = origin
        self.problem = problem


class StateError(UnionwsError):
    """The state folder cannot be used: it is taken, not writable, or written by a newer version."""


class UpstreamError(UnionwsError):
    """The indexer did not give a usable answer. ``kind`` is stable, for logs and counters."""

    kind = "error"
    retry_after: float | None = None


class UpstreamTimeout(UpstreamError):
    """No whole answer within the deadline."""

    kind = "timeout"


class UpstreamUnreachable(UpstreamError):
    """The connection was refused, reset or cut."""

    kind = "unreachable"


class UpstreamTooLarge(UpstreamError):
    """The answer is larger than the cap."""

    kind = "too_large"


class UpstreamStatus(UpstreamError):
    """An HTTP status other than 200.

    Attributes:
        status: the status code.
        retry_after: seconds asked for by ``Retry-After`` (RFC 9110 §10.2.3), when given.
    """

    kind = "status"

    def __init__(self, status: int, retry_after: float | None = None) -> None:
        wait = f", asks to wait {retry_after:g} s" if retry_after is not None else ""
        super().__init__(f"HTTP status {status}{wait}")
        self.status = status
        self.retry_after = retry_after


class UpstreamGarbage(UpstreamError):
    """The body is not the JSON object that GraphQL promises."""

    kind = "garbage"


class UpstreamRefused(UpstreamError):
    """GraphQL answered with ``errors`` (or without ``data``)."""

    kind = "refused"


class RowError(UnionwsError):
    """One row of an answer cannot be used; the others can.

    Attributes:
        kind: stable word for counters, such as ``no_sort_order``.
    """

    def __init__(self, kind: str, problem: str) -> None:
        super().__init__(problem)
        self.kind = kind


class RequestError(UnionwsError):
    """A client's message is refused; it is told with an ``error`` message and stays connected.

    Attributes:
        code: an error code of the protocol, or ``vendor.code`` of a plugin.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ProtocolError(UnionwsError):
    """A client broke the framing rules; the connection is closed.

    Attributes:
        close_code: close code of RFC 6455 §7.4.1.
        reason: short text for the close frame (at most 123 bytes).
        error_code: code of an ``error`` message to send before the close frame, or None.
    """

    def __init__(self, close_code: int, reason: str, error_code: str | None = None) -> None:
        super().__init__(f"{close_code} {reason}")
        self.close_code = close_code
        self.reason = reason
        self.error_code = error_code


class ClientError(UnionwsError):
    """The Python client cannot connect, now or later: the address or the server's refusal is final.

    Attributes:
        close_code: close code of the server (4000-4099), or None.
        status: HTTP status of a refused upgrade, or None.
    """

    def __init__(self, problem: str, *, close_code: int | None = None, status: int | None = None) -> None:
        super().__init__(problem)
        self.close_code = close_code
        self.status = status
