"""``/api/transfers``: the history, page by page, as JSON."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tornado.web import HTTPError

from unionws.broadcaster.envelopes import dumps
from unionws.broadcaster.filters import MATCH_ALL, Filter, FilterFields
from unionws.connections.query import FILTER_PARAMETERS, SINGLE_VALUES
from unionws.errors import RequestError
from unionws.history.reader import Match, Page
from unionws.model import Fragment
from unionws.web.base import READERS, View, Views
from unionws.wording import did_you_mean, listing

log = logging.getLogger("unionws.web")

DEFAULT_LIMIT, MOST = 50, 100
MAX_CURSOR = 300
PARAMETERS = ("after", "before", "limit", *FILTER_PARAMETERS)

ROWS_AT_ONCE = 500
MOST_READS = 8
"""Reads for one page, when a filter that the history cannot look up itself passes little."""

SETTLED_MS = 120_000
"""A page whose newest transfer is that old does not change any more: late ones have come by then."""

SETTLED_SECONDS = 600
"""How long such a page may be kept; not for ever, since back-filling adds to the past."""


class Pages(Protocol):
    """The history as pages; see :class:`unionws.history.reader.Reader`."""

    async def after_cursor(self, cursor: str, limit: int, match: Match) -> Page: ...

    async def before_cursor(self, cursor: str, limit: int, match: Match) -> Page: ...

    async def newest(self, limit: int, match: Match) -> Page: ...


class Past(Views, Protocol):
    """What this view reads of an edge, besides the rest."""

    @property
    def pages(self) -> Pages: ...

    @property
    def fields(self) -> FilterFields: ...


class BadParameter(Exception):
    """A query that cannot be answered.

    Attributes:
        parameter: its name.
    """

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(f"{parameter}: {message}")
        self.parameter = parameter


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for; cursors are empty where not given."""

    after: str
    before: str
    limit: int
    filter: Filter

    @property
    def ascending(self) -> bool:
        """Oldest first: from a cursor on; otherwise newest first."""
        return bool(self.after)


@dataclass(frozen=True, slots=True)
class Answer:
    """A page.

    Attributes:
        next: cursor to go on with; None: there is no more now.
    """

    items: list[Fragment]
    next: str | None


def read(given: Mapping[str, str], fields: FilterFields) -> Question:
    """The question in a query.

    Raises:
        BadParameter: naming what is wrong.
    """
    for name in given:
        if name not in PARAMETERS and not name.startswith("_"):  # _=… is how pages get past caches
            hint = did_you_mean(name, PARAMETERS) or f"; there are {listing(PARAMETERS)}"
            raise BadParameter(name[:40], f"there is no such parameter{hint}")
    return Question(_cursor(given, "after"), _cursor(given, "before"), _limit(given), _filter(given, fields))


def _cursor(given: Mapping[str, str], name: str) -> str:
    value = given.get(name, "").strip()
    if len(value) > MAX_CURSOR or not value.isprintable():
        raise BadParameter(name, "must be a cursor, such as the 'next' of an earlier answer")
    return value


def _limit(given: Mapping[str, str]) -> int:
    value = given.get("limit", str(DEFAULT_LIMIT))
    if not value.isascii() or not value.isdigit() or not 1 <= int(value[:4]) <= MOST:
        raise BadParameter("limit", f"must be a whole number from 1 to {MOST}")
    return int(value)


def _filter(given: Mapping[str, str], fields: FilterFields) -> Filter:
    wanted = MATCH_ALL
    for parameter, name in FILTER_PARAMETERS.items():
        value = given.get(parameter, "").strip()
        if not value:
            continue
        try:
            wanted = fields.parse({name: value if parameter in SINGLE_VALUES else value.split(",")}, wanted)
        except RequestError as error:
            raise BadParameter(parameter, error.message.removeprefix(f"{name}: ")) from None
    return wanted


def divide(wanted: Filter) -> tuple[Match, Filter]:
    """What of a filter the history looks up itself, and what is left to try on each row."""
    terms: dict[str, Any] = dict(wanted.terms)
    network = terms.pop("network", None)
    match = Match(
        terms.pop("fromChains", ()),
        terms.pop("toChains", ()),
        terms.pop("chains", ()),
        terms.pop("wallets", ()),
        terms.pop("assets", ()),
        None if network is None else network == "testnet",
    )
    return match, Filter(tuple(terms.items()))


async def find(pages: Pages, fields: FilterFields, question: Question) -> Answer:
    """Read until the page is full, the history ends, or enough was read for one request."""
    match, rest = divide(question.filter)
    at_once = ROWS_AT_ONCE if rest.terms else question.limit
    items: list[Fragment] = []
    cursor = question.after or question.before
    for _ in range(MOST_READS):
        page = await _read(pages, question, cursor, at_once, match)
        for _, item in page.rows:
            if question.ascending and question.before and item.sort_order >= question.before:
                return Answer(items, None)
            if fields.matches(rest, item):
                items.append(item)
                if len(items) == question.limit:
                    last = item is page.rows[-1][1] and not page.more
                    return Answer(items, None if last else item.sort_order)
        if not page.more:
            return Answer(items, None)
        cursor = page.cursor
    return Answer(items, cursor)


async def _read(pages: Pages, question: Question, cursor: str, limit: int, match: Match) -> Page:
    if question.ascending:
        return await pages.after_cursor(cursor, limit, match)
    return await (pages.before_cursor(cursor, limit, match) if cursor else pages.newest(limit, match))


class TransfersHandler(View):
    """A page; ``after`` goes forward from a cursor, ``before`` back, neither begins at the newest."""

    views: Past
    needs = READERS

    async def get(self) -> None:
        try:
            given = {name: self.get_query_argument(name) for name in self.request.query_arguments}
            given.pop("key", None)
            question = read(given, self.views.fields)
        except BadParameter as error:
            self.answer({"error": str(error), "parameter": error.parameter, "status": 400}, 400)
            return
        try:
            answer = await find(self.views.pages, self.views.fields, question)
            expired = question.ascending and await self._expired(question.after)
        except sqlite3.Error as error:
            log.warning("history cannot be read", extra={"fields": {"error": str(error)}})
            raise HTTPError(503, reason="the history cannot be read just now") from None
        self.set_header("Cache-Control", self._cache_control(question, answer, expired))
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        mark = b',"expired":true' if expired else b""
        shown = b",".join([item.json for item in answer.items])
        self.finish(b'{"transfers":[%s],"next":%s%s}' % (shown, dumps(answer.next), mark))

    head = get

    def prepare(self) -> None:
        """No key is asked for where none can be shown: a browser's question comes without."""
        if self.request.method != "OPTIONS":
            super().prepare()

    def options(self) -> None:
        """A page of another origin asks whether it may send If-None-Match."""
        self.set_header("Access-Control-Allow-Methods", "GET, HEAD")
        self.set_header("Access-Control-Allow-Headers", "If-None-Match, Authorization")
        self.set_header("Access-Control-Max-Age", "86400")
        self.set_status(204)

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Access-Control-Expose-Headers", "ETag")

    async def _expired(self, after: str) -> bool:
        """Whether what is held begins behind the cursor: something between may be missing."""
        held = await self.views.pages.before_cursor(after + "\0", 1, Match())
        return not held.rows

    def _cache_control(self, question: Question, answer: Answer, expired: bool) -> str:
        full = len(answer.items) == question.limit and (question.after or question.before)
        newest = max((item.event_ms for item in answer.items), default=0)
        if full and not expired and newest < self.views.now_ms() - SETTLED_MS:
            return f"max-age={SETTLED_SECONDS}"
        return "no-cache"


ROUTES: list[tuple[str, Any]] = [("/api/transfers", TransfersHandler)]
