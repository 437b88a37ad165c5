from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.web.serving import WALLET, Service, fragment, numbers
from unionws.broadcaster.filters import FilterFields
from unionws.builtin.filters import FIELDS
from unionws.history.reader import Match, Page
from unionws.web import history
from unionws.web.history import BadParameter, Question, find, read

FILTERS = FilterFields(FIELDS)
CURSORS = [fragment(number).sort_order for number in range(200)]


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """Transfers 1 to 120: every tenth moves ETH, every fourth has a testnet; 60 came late."""
    with Service() as running:
        for number in [*range(1, 60), *range(61, 101), 60, *range(101, 121)]:
            fields: dict[str, Any] = {"amount": str(number)}
            if number % 10 == 0:
                fields |= {"symbol": "eth", "receiver": "0x" + "11" * 20}
            if number % 4 == 0:
                fields |= {"testnet": True, "source": "osmosis.osmo-test-5"}
            running.transfers(fragment(number, **fields))
        yield running


def shown(service: Service, query: str) -> tuple[list[int], str | None]:
    page = service.json(f"/api/transfers?{query}")
    return numbers(page["transfers"]), page["next"]


def test_without_a_cursor_the_newest_come_first(service: Service) -> None:
    """And ``next`` goes back from there."""
    found, following = shown(service, "limit=3")
    assert (found, following) == ([120, 119, 118], CURSORS[118])
    assert shown(service, f"limit=3&before={following}") == ([117, 116, 115], CURSORS[115])


def test_after_goes_forward_until_there_is_no_more(service: Service) -> None:
    """The last page says so, and its own last transfer is where to ask again later."""
    assert shown(service, f"after={CURSORS[58]}&limit=3") == ([59, 60, 61], CURSORS[61])
    assert shown(service, f"after={CURSORS[117]}&limit=3") == ([118, 119, 120], None)
    assert shown(service, f"after={CURSORS[120]}") == ([], None)


def test_both_cursors_bound_a_stretch(service: Service) -> None:
    """Neither end is part of it."""
    assert shown(service, f"after={CURSORS[5]}&before={CURSORS[9]}") == ([6, 7, 8], None)


def test_pages_in_either_direction_join_to_the_whole_history(service: Service) -> None:
    """Nothing twice, nothing missing, late ones where they belong."""
    found, following = shown(service, "limit=50")
    while following:
        more, following = shown(service, f"limit=50&before={following}")
        found += more
    assert found == list(range(120, 0, -1))
    forward, following = shown(service, f"limit=37&after={CURSORS[0]}")
    while following:
        more, following = shown(service, f"limit=37&after={following}")
        forward += more
    assert forward == list(range(1, 121))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("asset=ETH", [120, 110, 100, 90]),
        ("asset=0x6175,eth", [120, 119, 118, 117]),
        (f"wallet={'0x' + '11' * 20}", [120, 110, 100, 90]),
        (f"wallet={WALLET}", [120, 119, 118, 117]),
        ("from=osmosis.osmo-test-5", [120, 116, 112, 108]),
        ("to=babylon.bbn-1", [120, 119, 118, 117]),
        ("chain=osmosis.osmo-test-5", [120, 116, 112, 108]),
        ("network=testnet", [120, 116, 112, 108]),
        ("network=mainnet", [119, 118, 117, 115]),
        ("minAmount=118", [120, 119, 118]),
        ("minAmount=100&asset=eth", [120, 110, 100]),
        ("asset=eth&network=mainnet", [110, 90, 70, 50]),
        ("asset=btc", []),
        ("", [120, 119, 118, 117]),
    ],
)
def test_filters_are_those_of_the_stream(service: Service, query: str, expected: list[int]) -> None:
    """Same parameters, same meaning."""
    assert shown(service, f"limit=4&{query}")[0] == expected


@pytest.mark.parametrize(
    ("query", "parameter", "words"),
    [
        ("limit=0", "limit", "from 1 to 100"),
        ("limit=101", "limit", "from 1 to 100"),
        ("limit=ten", "limit", "whole number"),
        ("limit=", "limit", "whole number"),
        ("limit=1e999", "limit", "whole number"),
        ("minAmount=-1", "minAmount", "decimal number"),
        ("wallet=nonsense", "wallet", "bech32"),
        ("network=moon", "network", "mainnet"),
        ("from=a%20b", "from", "universal chain id"),
        ("after=a%7F", "after", "cursor"),
        ("before=" + "x" * 301, "before", "cursor"),
        ("limt=5", "limt", "did you mean limit?"),
        ("zzzzzzzz=5", "zzzzzzzz", "there are after, before, limit"),
    ],
)
def test_what_is_wrong_is_named(service: Service, query: str, parameter: str, words: str) -> None:
    """400, the parameter, and what would be right."""
    status, headers, body = service.get(f"/api/transfers?{query}")
    answer = json.loads(body)
    assert (status, answer["parameter"], answer["status"]) == (400, parameter, 400)
    assert answer["error"].startswith(f"{parameter}: ")
    assert words in answer["error"]
    assert headers["Access-Control-Allow-Origin"] == "*"


def test_the_same_answer_is_not_sent_twice(service: Service) -> None:
    """An ETag, and 304 to who has it; of any origin."""
    status, headers, _ = service.get("/api/transfers?limit=2")
    again, _, body = service.get("/api/transfers?limit=2", If_None_Match=headers["ETag"])
    assert (status, again, body) == (200, 304, b"")
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["Content-Type"] == "application/json; charset=UTF-8"
    status, headers, body = service.get("/api/transfers", "OPTIONS")
    assert (status, body) == (204, b"")
    assert "If-None-Match" in headers["Access-Control-Allow-Headers"]


def test_head_tells_the_same_without_a_body(service: Service) -> None:
    """For who only wants to know whether something changed."""
    _, headers, _ = service.get("/api/transfers?limit=2")
    status, of_head, body = service.get("/api/transfers?limit=2", "HEAD")
    assert (status, of_head["ETag"], body) == (200, headers["ETag"], b"")


def test_only_full_pages_of_the_past_may_be_kept(service: Service) -> None:
    """What can still change is asked for again."""

    def policy(query: str) -> str:
        return str(service.get(f"/api/transfers?{query}")[1]["Cache-Control"])

    assert policy(f"after={CURSORS[5]}&limit=5") == "max-age=600"
    assert policy(f"before={CURSORS[50]}&limit=5") == "max-age=600"
    assert policy("limit=5") == "no-cache"
    assert policy(f"after={CURSORS[118]}&limit=5") == "no-cache"
    assert policy(f"after={CURSORS[0]}&limit=5") == "no-cache"  # older ones may have been held once


def test_a_page_with_new_transfers_is_not_kept() -> None:
    """Late transfers may still come between."""
    with Service() as service:
        now = service.call(service._server.views.now_ms)
        service.transfers(*[fragment(number, event_ms=now) for number in range(1, 6)])
        _, headers, _ = service.get(f"/api/transfers?after={CURSORS[1]}&limit=2")
        assert headers["Cache-Control"] == "no-cache"


def test_a_cursor_older_than_the_history_is_told(service: Service) -> None:
    """Something between may be missing: never silently."""
    assert service.json(f"/api/transfers?after={CURSORS[0]}&limit=1")["expired"] is True
    assert "expired" not in service.json(f"/api/transfers?after={CURSORS[1]}&limit=1")
    assert "expired" not in service.json("/api/transfers?limit=1")


def test_a_cache_buster_is_left_alone(service: Service) -> None:
    """Pages put ``_=<time>`` behind their addresses."""
    assert shown(service, "limit=1&_=123")[0] == [120]


class Endless:
    """A history whose every read is full: only a bound ends it."""

    def __init__(self) -> None:
        self.reads = 0

    async def newest(self, limit: int, match: Match) -> Page:
        self.reads += 1
        rows = [(None, fragment(1, amount="1")) for _ in range(limit)]
        return Page(rows, CURSORS[self.reads], True)

    before_cursor = after_cursor = lambda self, cursor, limit, match: self.newest(limit, match)


def test_a_filter_that_passes_nothing_costs_a_bounded_time() -> None:
    """The page is short, and ``next`` tells where the search goes on."""
    pages = Endless()
    question = read({"minAmount": "5"}, FILTERS)
    answer = asyncio.run(find(pages, FILTERS, question))
    assert (answer.items, answer.next) == ([], CURSORS[history.MOST_READS])
    assert pages.reads == history.MOST_READS


def test_a_filter_is_divided_between_the_history_and_each_row() -> None:
    """What the history can look up it is asked for; the rest is tried."""
    question = read({"from": "a.b", "asset": "U", "network": "testnet", "minAmount": "5"}, FILTERS)
    match, rest = history.divide(question.filter)
    assert match == Match(sources=("a.b",), assets=("u",), testnet=True)
    assert [name for name, _ in rest.terms] == ["minAmount"]


def test_the_question_is_read_without_a_server() -> None:
    """Defaults, and the direction of each."""
    question = read({}, FILTERS)
    assert question == Question("", "", 50, question.filter)
    assert not question.ascending
    assert read({"after": "x", "before": "y"}, FILTERS).ascending
    with pytest.raises(BadParameter) as caught:
        read({"chain": "?"}, FILTERS)
    assert caught.value.parameter == "chain"
