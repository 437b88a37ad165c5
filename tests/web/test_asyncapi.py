"""``/asyncapi.json`` over HTTP."""

from __future__ import annotations

import json

from tests.web.serving import Service
from unionws.builtin.messages import MESSAGES


def test_the_document_is_served_to_pages_of_any_origin() -> None:
    """It has every message the server sends, and a tag by which it is not sent twice."""
    with Service() as service:
        status, headers, body = service.get("/asyncapi.json")
        assert (status, headers["Access-Control-Allow-Origin"]) == (200, "*")
        assert headers["Content-Type"] == "application/json; charset=UTF-8"
        assert {message.type for message in MESSAGES} <= json.loads(body)["components"]["messages"].keys()
        again, _, nothing = service.get("/asyncapi.json", If_None_Match=headers["Etag"])
        assert (again, nothing) == (304, b"")
