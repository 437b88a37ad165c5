"""``/asyncapi.json``: the messages of this server, those of its plugins included."""

from __future__ import annotations

from unionws.web.base import View


class AsyncApiHandler(View):
    """A document that is the same for as long as the server runs."""

    def get(self) -> None:
        self.answer(self.views.described())


ROUTES = [("/asyncapi.json", AsyncApiHandler)]
