"""Keys and tokens: who is let in, and that nothing weaker passes for it."""

from __future__ import annotations

import warnings

import jwt
import pytest

from unionws.connections.credentials import ANYBODY, LEEWAY, Credentials, NotAllowed, same, shown_by

SECRET = "a secret of more than thirty-two bytes"
NOW = 1_700_000_000.0


def token(secret: str = SECRET, algorithm: str = "HS256", **claims: object) -> str:
    return jwt.encode({"exp": NOW + 60, "sub": "acme", **claims}, secret, algorithm=algorithm)


def refusal(credentials: Credentials, shown: str, now: float = NOW) -> str:
    with pytest.raises(NotAllowed) as caught:
        credentials.check(shown, now)
    return str(caught.value)


def test_without_keys_everybody_may_come_in() -> None:
    """A service without keys asks nobody, whatever they show."""
    assert Credentials().check("", NOW) == ANYBODY
    assert Credentials().check("anything", NOW) == ANYBODY


def test_a_known_key_is_accepted_and_named_without_being_told() -> None:
    """The holder's name tells keys apart but is not the key."""
    credentials = Credentials(["first-key", "second-key"])
    first, second = credentials.check("first-key", NOW), credentials.check("second-key", NOW)
    assert first.name != second.name
    assert "first" not in first.name


@pytest.mark.parametrize("shown", ["", "first", "first-key ", "FIRST-KEY", "x" * 5000, "a.b.c"])
def test_anything_else_is_refused(shown: str) -> None:
    """Missing, partial and odd keys are refused, with a reason that does not repeat them."""
    text = refusal(Credentials(["first-key"]), shown)
    assert not shown or shown not in text


def test_a_signed_token_is_accepted_until_it_expires() -> None:
    """A token counts as its subject, and a little longer than it says for clocks that differ."""
    credentials = Credentials(secret=SECRET)
    holder = credentials.check(token(), NOW)
    assert holder.expires == NOW + 60 + LEEWAY
    assert holder.name == credentials.check(token(jti="another"), NOW).name
    assert "expired" in refusal(credentials, token(), NOW + 61 + LEEWAY)
    assert "not valid yet" in refusal(credentials, token(nbf=NOW + 300), NOW)


def test_a_token_without_an_end_is_refused() -> None:
    """A token that is valid for ever cannot be taken back."""
    forever = jwt.encode({"sub": "acme"}, SECRET, algorithm="HS256")
    assert "exp" in refusal(Credentials(secret=SECRET), forever)


def test_algorithms_are_pinned() -> None:
    """Neither ``none`` nor another HMAC nor another secret passes."""
    credentials = Credentials(secret=SECRET)
    unsigned = jwt.encode({"exp": NOW + 60}, None, algorithm="none")  # type: ignore[arg-type]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of keys too short for that algorithm
        others = [unsigned, token(algorithm="HS512"), token(secret="b" * 40)]
    for other in others:
        assert "not valid" in refusal(credentials, other)


def test_a_public_key_verifies_and_is_no_secret() -> None:
    """A token signed with the private key passes; one signed with the public key as a secret does not."""
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    private = ed25519.Ed25519PrivateKey.generate()
    pem = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    credentials = Credentials(public_key=pem.decode())
    assert credentials.check(jwt.encode({"exp": NOW + 60}, private, algorithm="EdDSA"), NOW).name
    assert "algorithm" in refusal(credentials, token(secret="0123456789" * 5))


@pytest.mark.parametrize(
    ("headers", "query", "shown"),
    [
        ({"authorization": "Bearer abc"}, "", "abc"),
        ({"authorization": "bearer  abc "}, "key=other", "abc"),
        ({"authorization": "Basic abc"}, "", ""),
        ({}, "from=a&key=a%2Fb", "a/b"),
        ({}, "monkey=1", ""),
        ({}, "", ""),
    ],
)
def test_a_key_comes_in_the_header_or_the_url(headers: dict[str, str], query: str, shown: str) -> None:
    """The header counts before the URL."""
    assert shown_by(headers, query) == shown


def test_secrets_are_compared_as_a_whole() -> None:
    """Only equal texts are the same, also with characters outside ASCII."""
    assert same("gehe\u00efm", "gehe\u00efm")
    assert not same("secret", "secre")
    assert not same("", "secret")
