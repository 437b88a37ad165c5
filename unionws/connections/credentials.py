"""Keys and tokens: who may open a stream, where the service is not public.

A key is one of API_KEYS; a token is a JWT (RFC 7519) signed with JWT_SECRET or the private half of
JWT_PUBLIC_KEY. Both come as ``Authorization: Bearer`` or ``?key=``. With none of the settings given
everybody may come in.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

import jwt
from jwt.types import Options

SECRET_ALGORITHMS = ["HS256"]
PUBLIC_ALGORITHMS = ["RS256", "ES256", "EdDSA"]
"""Pinned by the kind of key, whatever a token's header says (RFC 8725 §3.1)."""

CHECKED: Options = {
    "require": ["exp"],
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
}
"""Times are checked by ourselves, against the clock we are given."""

LEEWAY = 30
"""Seconds two clocks may differ."""

LONGEST = 4_000
NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Holder:
    """Who showed what.

    Attributes:
        name: stands for a key or a token's subject in counts; tells nothing of the key itself.
        expires: Unix seconds.
    """

    name: str = ""
    expires: float = NEVER


ANYBODY = Holder()


class NotAllowed(Exception):
    """The credentials are missing or wrong; the text says which."""


class Credentials:
    """What is accepted.

    Args:
        keys: of API_KEYS.
        secret: JWT_SECRET; "" for none.
        public_key: a public key in PEM; "" for none.

    Attributes:
        names: holders of the keys.
    """

    def __init__(self, keys: Sequence[str] = (), secret: str = "", public_key: str = "") -> None:
        self._digests = {digest(key) for key in keys}
        self.names = {_name("key", mark) for mark in self._digests}
        self._secret = secret
        self._public_key = public_key

    @property
    def required(self) -> bool:
        """Whether anything has to be shown."""
        return bool(self._digests or self._secret or self._public_key)

    def check(self, shown: str, now: float) -> Holder:
        """Whom a key or token belongs to; ``now``: Unix seconds.

        Raises:
            NotAllowed: nobody who may come in.
        """
        if not self.required:
            return ANYBODY
        if not shown:
            raise NotAllowed("a key is needed: 'Authorization: Bearer KEY' or ?key=KEY")
        if len(shown) > LONGEST:
            raise NotAllowed("the key is too long to be one")
        mark = digest(shown)
        # Looked up by digest: the time it takes says nothing about the keys themselves.
        if mark in self._digests:
            return Holder(_name("key", mark))
        if shown.count(".") == 2 and (self._secret or self._public_key):
            return self._token(shown, now)
        raise NotAllowed("the key is not known here")

    def _token(self, shown: str, now: float) -> Holder:
        key, algorithms = self._secret, SECRET_ALGORITHMS
        if self._public_key and _algorithm(shown) not in SECRET_ALGORITHMS:
            key, algorithms = self._public_key, PUBLIC_ALGORITHMS
        if not key:
            raise NotAllowed("the token is signed by an algorithm that is not accepted")
        try:
            claims = jwt.decode(shown, key, algorithms=algorithms, options=CHECKED)
        except jwt.PyJWTError as error:
            raise NotAllowed(f"the token is not valid: {error}") from None
        return _in_time(claims, now)


def _algorithm(token: str) -> str:
    try:
        return str(jwt.get_unverified_header(token).get("alg"))
    except jwt.PyJWTError:
        return ""


def _in_time(claims: Mapping[str, object], now: float) -> Holder:
    expires, begins = claims.get("exp"), claims.get("nbf", 0)
    if not isinstance(expires, (int, float)) or not isinstance(begins, (int, float)):
        raise NotAllowed("the token's times are not numbers")
    if now >= expires + LEEWAY:
        raise NotAllowed("the token has expired")
    if now < begins - LEEWAY:
        raise NotAllowed("the token is not valid yet")
    return Holder(_name("sub", digest(str(claims.get("sub", "")))), float(expires) + LEEWAY)


def shown_by(headers: Mapping[str, str], query: str) -> str:
    """The key or token of a request, "" for none; headers by lower-case name."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    if "key=" not in query:
        return ""
    return dict(parse_qsl(query, max_num_fields=100)).get("key", "")


def _name(kind: str, mark: str) -> str:
    return f"{kind}:{mark[:12]}"


def digest(text: str) -> str:
    """A fingerprint to compare by."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def same(shown: str, expected: str) -> bool:
    """Whether two secrets are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(digest(shown), digest(expected))
