from __future__ import annotations

import pytest
import requests
from urllib3.exceptions import LocationParseError

from unionws.errors import (
    UpstreamGarbage,
    UpstreamRefused,
    UpstreamStatus,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from unionws.source.answers import data_of, retry_after, translate


def test_a_good_answer_is_its_data():
    """``errors`` may be there, as long as it is empty."""
    assert data_of(b'{"data": {"a": [1]}, "errors": []}') == {"a": [1]}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[1]",
        b'"data"',
        b"null",
        b'{"data": []}',
        b'{"data": 7}',
        b'{"data"',
        b"\xff\xfe",
        b"[" * 5000,
    ],
)
def test_what_is_no_answer_of_graphql_is_garbage(body):
    """Whatever the decoder raises, and JSON of another shape."""
    with pytest.raises(UpstreamGarbage):
        data_of(body)


def test_a_number_too_long_for_an_integer_is_garbage():
    """Python refuses to convert it; that is no reason to die."""
    with pytest.raises(UpstreamGarbage):
        data_of(b'{"data": {"a": ' + b"9" * 10_000 + b"}}")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"errors": [{"message": "no such field"}], "data": {"a": 1}}', "no such field"),
        (b'{"errors": [{"message": "\\ud800"}]}', "?"),
        (b'{"errors": [7]}', "7"),
        (b'{"errors": {"a": 1}}', "a"),
        (b'{"errors": "sorry"}', "sorry"),
        (b'{"data": null}', "no data"),
        (b"{}", "no data"),
    ],
)
def test_errors_or_no_data_is_a_refusal_that_names_the_first_message(body, words):
    """Partial data beside errors is not used."""
    with pytest.raises(UpstreamRefused, match=words.replace("?", r"\?")) as error:
        data_of(body)
    str(error.value).encode()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("7", 7.0),
        (" 120 ", 120.0),
        ("9" * 5000, 999999999999.0),
        ("Thu, 09 Oct 2025 09:00:00 GMT", 200.0),
        ("Thu, 09 Oct 2025 08:00:00 GMT", 0.0),
        ("Thu, 99 Oct 2025 08:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, seconds):
    """What cannot be read asks for nothing."""
    assert retry_after(value, 1_760_000_200.0) == seconds


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (requests.ConnectTimeout("slow"), UpstreamTimeout),
        (requests.ReadTimeout("slow"), UpstreamTimeout),
        (requests.ConnectionError("refused"), UpstreamUnreachable),
        (requests.exceptions.ChunkedEncodingError("cut"), UpstreamUnreachable),
        (requests.exceptions.InvalidURL("what"), UpstreamUnreachable),
        (requests.exceptions.ContentDecodingError("not gzip"), UpstreamGarbage),
        (LocationParseError("what"), UpstreamUnreachable),
        (ConnectionResetError(), UpstreamUnreachable),
        (UpstreamStatus(500), UpstreamStatus),
    ],
)
def test_what_the_worker_raises_becomes_an_upstream_error(raised, kind):
    """Each with some words to log."""
    error = translate(raised)
    assert type(error) is kind
    assert str(error)


def test_an_error_of_our_own_is_not_blamed_on_the_indexer():
    """It is raised as it is."""
    with pytest.raises(ZeroDivisionError):
        translate(ZeroDivisionError())
