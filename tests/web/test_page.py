"""The live page: how its files are served, and what a person sees of it in a real browser."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.web.browser import Browser, Tab
from tests.web.serving import EPOCH, NOW_MS, WALLET, Service, fragment
from unionws.model import MessageRecord, StatusRecord
from unionws.stats.shape import empty_chart
from unionws.web import page

FILES = ["/", "/client.js", "/favicon.svg", *(f"/page/{path.name}" for path in page.FOLDER.glob("page/*"))]
ENTER, ESCAPE, TAB, DOWN = 13, 27, 9, 40


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as running:
        yield running


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        running.chart(statistics())
        yield running


@pytest.fixture
def tab(browser: Browser, service: Service) -> Iterator[Tab]:
    """The page, connected and subscribed."""
    with opened(browser, service) as running:
        yield running
        assert not running.problems


def opened(browser: Browser, service: Service, query: str = "") -> Tab:
    running = browser.tab()
    running.size(1280, 900)
    running.goto(f"http://127.0.0.1:{service.port}/{query}")
    running.wait("/filter is on|All transfers are shown/.test(said.textContent)")
    return running


def statistics() -> dict[str, Any]:
    """A chart with one of everything in the last hour."""
    chart = empty_chart()
    route = {"fromChain": "union.union-1", "toChain": "babylon.bbn-1", "fromName": "Union"}
    chart["popularRoutesTimeScale"]["1h"] = [
        {**route, "toName": "Babylon", "count": 1234, "countChange": 12.4}
    ]
    chart["activeSendersTimeScale"]["1h"] = [{"count": 7, "address": WALLET, "displayAddress": WALLET}]
    chart["activeReceiversTimeScale"]["1h"] = [{"count": 9, "address": "0x" + "cd" * 20}]
    flow = {"universal_chain_id": "union.union-1", "chainName": "Union"}
    flow |= {"outgoingCount": 30, "incomingCount": 12, "netFlow": -18}
    chart["chainFlowData"]["chainFlowTimeScale"]["1h"] = [flow]
    asset = {"assetSymbol": "U", "assetName": "Union", "transferCount": 42, "totalVolume": 1234567.8}
    chart["assetVolumeData"]["assetVolumeTimeScale"]["1h"] = [{**asset, "largestTransfer": 5.0}]
    chart["currentRates"] |= {"txPerHour": 4321, "txPerHourChange": -3.2, "txPerDay": 4321}
    chart["activeWalletRates"]["totalLastHour"] = 99
    complete = {"30s": True, "1m": True, "5m": True, "1h": True, "1d": False, "7d": False}
    chart["coverage"] = {"since": NOW_MS, "complete": complete}
    return chart


def text(tab: Tab, selector: str) -> str:
    """What is shown of an element."""
    return str(tab.evaluate(f"document.querySelector({selector!r}).innerText"))


def rows(tab: Tab) -> list[str]:
    """The amounts in the live list, from the top."""
    found: list[str] = tab.evaluate("[...document.querySelectorAll('#feed .amount')].map((e) => e.innerText)")
    return found


def shown(tab: Tab, count: int) -> list[str]:
    """The same, once that many are there."""
    tab.wait(f"document.querySelectorAll('#feed .amount').length === {count}")
    return rows(tab)


# ----------------------------------------------------------------------------------- as files


@pytest.mark.parametrize("path", FILES)
def test_every_file_is_served_safely_and_only_once(service: Service, path: str) -> None:
    """Its type, a policy that lets nothing in from elsewhere, and 304 to who has it already."""
    status, headers, body = service.get(path)
    assert status == 200
    assert headers["Content-Type"] == page.TYPES.get("." + path.rpartition(".")[2], page.TYPES[".html"])
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    again, _, nothing = service.get(path, If_None_Match=headers["ETag"])
    assert (again, nothing) == (304, b"")
    _, packed, small = service.get(path, Accept_Encoding="br, gzip")
    assert (packed["Content-Encoding"], gzip.decompress(small)) == ("gzip", body)
    assert len(small) < len(body)
    status, of_head, nothing = service.get(path, "HEAD")
    assert (status, of_head["ETag"], nothing) == (200, headers["ETag"], b"")


def test_nothing_comes_from_elsewhere() -> None:
    """The page works without the internet: no address but the names of XML and examples."""
    known = r"http://www\.w3\.org/2000/svg|(https|wss)://example\.org/|ws://127\.0\.0\.1:8080/ws"
    for path in page.FOLDER.rglob("*.*"):
        for address in re.findall(r"(?:\w+:)?//[\w.-]+\.\w+[^\s\"'`)]*", path.read_text("utf-8")):
            assert re.match(known, address), (path.name, address)


def test_other_files_are_not_served(service: Service) -> None:
    """Only what belongs to the page."""
    for path in ("/page/nothing.js", "/page/../index.html", "/index.html", "/page/"):
        assert service.get(path)[0] == 404


# ----------------------------------------------------------------------------------- as seen


def test_transfers_flow_in_newest_first(tab: Tab, service: Service) -> None:
    """With names, exact amounts shortened, and addresses whose whole is told on hover."""
    service.transfers(fragment(1, amount="1234567.891234567891234567"), fragment(2, amount="0.000012345"))
    assert shown(tab, 2) == ["0.0000123 U", "1,234,567 U"]
    assert text(tab, "#feed .route").split() == ["Union", "→", "Babylon"]
    assert text(tab, "#feed .parties") == "0xabab…abab→0xcdcd…cdcd"
    titles = tab.evaluate("[...document.querySelectorAll('#feed li:last-child [title]')].map((e) => e.title)")
    assert titles[2:5] == ["1234567.891234567891234567 U", WALLET, "0x" + "cd" * 20]
    assert text(tab, "#connection") == "Live"
    assert text(tab, "#service") == "Service and indexer online"


def test_statistics_are_shown_for_the_chosen_window(tab: Tab) -> None:
    """The hour is chosen at first; another window has its own figures, or says it has none."""
    tab.wait("routes.innerText === 'Union→Babylon\\n1,234 +12 %'")
    assert text(tab, "#volumes") == "U\n1.23M U 42×"
    assert text(tab, "#chains").split() == ["Union", "30", "12"]
    assert text(tab, "#wallets") == "0xabab…abab\n7"
    tab.evaluate("document.querySelector('#side [value=activeReceivers]').click()")
    tab.wait("wallets.innerText.startsWith('0xcdcd…cdcd')")
    assert text(tab, "#wallet-count") == "99 wallets were active in the last hour."
    hour = "#windows label:has([value='1h'])"
    assert text(tab, hour) == "hour\n4,321\n-3 %"
    assert tab.evaluate(f'document.querySelector("{hour}").classList.contains("partial")') is False
    assert tab.evaluate("document.querySelector('#windows label:has([value=\"1d\"])').className") == "partial"
    assert text(tab, "#coverage").startswith("Counting since ")
    tab.evaluate("document.querySelector('#windows [value=\"1d\"]').click()")
    tab.wait("routes.innerText === 'No transfers in this window yet.'")
    assert tab.evaluate("location.search") == "?window=1d"


def test_the_minute_is_left_out_where_it_is_five(browser: Browser) -> None:
    """With SHORT_WINDOW=5m the minute's fields carry five minutes, which have a tile of their own."""
    with Service("SHORT_WINDOW=5m") as service, opened(browser, service, "?window=1m") as tab:
        tab.wait("location.search === '?window=5m'")
        assert text(tab, "#windows").split("\n")[1] == "5 minutes"
        assert text(tab, "#routes-title ~ .window-note") == "last 5 minutes"
        tiles = "[...document.querySelectorAll('#windows label')]"
        widths = tab.evaluate(f"{tiles}.map((e) => e.getBoundingClientRect().right)")
        assert widths[0] == 0
        assert tab.evaluate("windows.getBoundingClientRect().right") - widths[-1] < 3
        assert not tab.problems


def test_the_minute_has_its_tile(tab: Tab) -> None:
    """By default it is a minute."""
    tab.wait("windows.querySelector('label').innerText === 'minute\\n0'")


def latency(source: str, destination: str, median: float) -> dict[str, Any]:
    spread = {"p5": median / 2, "median": median, "p95": median * 4}
    names = {"sourceName": source.title(), "destinationName": destination.title()}
    steps = {"packetRecv": spread, "writeAck": spread, "packetAck": spread}
    return {**names, "sourceChain": f"{source}.1", "destinationChain": f"{destination}.1", **steps}


def node_health() -> dict[str, Any]:
    """Two chains, one of them with a node that does not answer."""
    node = {
        "chainId": "babylon.1",
        "chainName": "Babylon",
        "rpcUrl": "https://rpc.example.org",
        "uptime": 50.0,
    }
    stats = {
        "chainName": "Union",
        "healthyNodes": 2,
        "totalNodes": 2,
        "avgResponseTime": 120,
        "uptime": 100.0,
    }
    ill = {"chainName": "Babylon", "healthyNodes": 0, "totalNodes": 1, "avgResponseTime": 0, "uptime": 50.0}
    trouble = {
        "status": "unhealthy",
        "responseTimeMs": 0,
        "errorMessage": "refused",
        "lastCheckTime": 1_790_000_000,
    }
    return {
        **{
            "totalNodes": 3,
            "healthyNodes": 2,
            "degradedNodes": 0,
            "unhealthyNodes": 1,
            "avgResponseTime": 120,
        },
        "nodesWithRpcs": [{**node, **trouble}],
        "chainHealthStats": {"union.1": stats, "babylon.1": ill},
    }


def test_latencies_are_shown_by_route(tab: Tab, service: Service) -> None:
    """In the unit that suits them; hidden where there are none; one click shows the route."""
    assert tab.evaluate("document.querySelector('#latency-card').checkVisibility()") is False
    service.chart(
        statistics() | {"latencyData": [latency("union", "babylon", 12), latency("osmosis", "union", 1080)]}
    )
    tab.wait("latencies.children.length === 2")
    assert text(tab, "#latencies").split("\n") == [
        *("Union→Babylon", "12 s 95 % 48 s"),
        *("Osmosis→Union", "18 min 95 % 1.2 h"),
    ]
    assert "acknowledged back: half within 12 s" in tab.evaluate("latencies.querySelector('button').title")
    tab.evaluate("latencies.querySelector('button').click()")
    tab.wait("location.search === '?from=union.1&to=babylon.1'")
    service.chart(statistics())
    tab.wait("!document.querySelector('#latency-card').checkVisibility()")


def test_nodes_are_shown_by_chain(tab: Tab, service: Service) -> None:
    """Chains with ailing nodes first, and what is wrong with these on hover."""
    assert tab.evaluate("document.querySelector('#nodes-card').checkVisibility()") is False
    service.chart(statistics() | {"nodeHealthData": node_health()})
    tab.wait("nodes.children.length === 2")
    assert text(tab, "#nodes-note") == "2 of 3 answer well"
    assert text(tab, "#nodes").split("\n") == ["Babylon", "0 of 1 no answer", "Union", "2 of 2 120 ms"]
    assert tab.evaluate("[...nodes.children].map((e) => e.className)") == ["ailing", ""]
    assert "https://rpc.example.org unhealthy: refused" in tab.evaluate("nodes.querySelector('button').title")


def tell(service: Service, number: int, **facts: Any) -> None:
    """Publish what became of a transfer."""
    item = fragment(number)
    data = json.dumps([{"sort_order": item.sort_order, **facts}]).encode()
    service.publish(MessageRecord(NOW_MS, "transferUpdates", "transferUpdates", data, item))


def test_outcomes_are_marked_on_their_rows(tab: Tab, service: Service) -> None:
    """As soon as the server knows: arrived, failed or timed out; said in full in the dialog too."""
    service.transfers(*[fragment(number) for number in range(1, 5)])
    shown(tab, 4)
    tell(service, 9, success=True, transfer_recv_timestamp="2026-09-21T12:53:30Z")
    tell(service, 1, transfer_recv_timestamp="2026-09-21T12:55:26Z")
    tell(service, 2, success=False, transfer_recv_timestamp="2026-09-21T12:55:26Z")
    tell(service, 3, transfer_timeout_timestamp="2026-09-21T13:53:30Z")
    tab.wait("feed.querySelectorAll('.outcome:not(:empty)').length === 3")
    marks = tab.evaluate("[...feed.querySelectorAll('.outcome')].map((e) => e.innerText)")
    assert marks == ["", "timed out", "failed", "arrived in 2.1 min"]
    tab.evaluate("feed.lastElementChild.firstElementChild.click()")
    tab.wait("details.open")
    assert "Outcome\narrived in 2.1 min" in text(tab, "#facts")


def test_a_used_row_forgets_the_outcome_of_another(tab: Tab, service: Service) -> None:
    """Rows are used again; and what is told while the list is held is shown when it goes on."""
    service.transfers(fragment(1))
    shown(tab, 1)
    tell(service, 1, transfer_timeout_timestamp="2026-09-21T13:53:30Z")
    tab.wait("feed.querySelector('.outcome').innerText === 'timed out'")
    for start in range(2, 102, 5):
        service.transfers(*[fragment(number) for number in range(start, start + 5)])
    tab.wait("!feed.querySelector('.outcome:not(:empty)')")
    tab.evaluate("pause.click()")
    service.transfers(fragment(102))
    tab.wait("document.querySelector('#live-note').innerText.includes('1 wait')")
    tell(service, 102, success=False)
    tell(service, 101, success=False)
    tab.wait("feed.querySelector('.outcome').innerText === 'failed'")
    tab.evaluate("pause.click()")
    tab.wait("feed.children[1].querySelector('.outcome').innerText === 'failed'")
    assert text(tab, "#feed .outcome") == "failed"


def test_the_filter_is_the_protocols(tab: Tab, service: Service) -> None:
    """Set in the form: the list begins anew with what passes; it is kept in the page's address."""
    service.transfers(fragment(1, symbol="eth"), fragment(2))
    shown(tab, 2)
    tab.evaluate("filter.elements.asset.value = 'ETH'; filter.requestSubmit()")
    assert shown(tab, 1) == ["12.5 ETH"]
    service.transfers(fragment(3), fragment(4, symbol="eth", amount="2"))
    assert shown(tab, 2) == ["2 ETH", "12.5 ETH"]
    assert tab.evaluate("location.search") == "?asset=ETH"
    assert text(tab, "#filter-count") == ": ETH"
    tab.evaluate("filter.reset()")
    assert shown(tab, 4) == ["2 ETH", "12.5 U", "12.5 U", "12.5 ETH"]
    assert tab.evaluate("location.search") == ""
    tab.evaluate("history.back()")
    assert shown(tab, 2) == ["2 ETH", "12.5 ETH"]


def test_a_route_or_wallet_is_a_filter_too(tab: Tab, service: Service) -> None:
    """One click on a figure shows what it counts."""
    other = fragment(1, source="osmosis.osmosis-1", sender="0x" + "11" * 20, receiver="0x" + "22" * 20)
    service.transfers(other, fragment(2))
    shown(tab, 2)
    tab.evaluate("document.querySelector('#routes button').click()")
    assert len(shown(tab, 1)) == 1
    assert tab.evaluate("location.search") == "?from=union.union-1&to=babylon.bbn-1"
    assert tab.evaluate("filter.elements.from.selectedOptions[0].text") == "Union"
    tab.evaluate("document.querySelector('#wallets button').click()")
    tab.wait("location.search.startsWith('?wallet=')")


def test_a_wrong_filter_is_said_in_words(tab: Tab, service: Service) -> None:
    """The list goes on with the filter there was."""
    tab.evaluate("filter.elements.wallet.value = 'nonsense'; filter.requestSubmit()")
    tab.wait("!document.querySelector('#filter-error').hidden")
    assert "'nonsense' is not an address" in text(tab, "#filter-error")
    service.transfers(fragment(1))
    assert shown(tab, 1) == ["12.5 U"]
    assert tab.evaluate("location.search") == ""


def test_a_filter_in_the_address_holds_from_the_first(browser: Browser, service: Service) -> None:
    """Such a page can be sent to others; a wrong one says so and shows everything."""
    service.transfers(fragment(1), fragment(2, symbol="eth"))
    with opened(browser, service, "?asset=eth") as tab:
        assert shown(tab, 1) == ["12.5 ETH"]
        assert tab.evaluate("document.querySelector('#filter-box').open")
    with opened(browser, service, "?wallet=nonsense") as tab:
        shown(tab, 2)
        assert "was not taken" in text(tab, "#filter-error")


def test_empty_and_troubled_states_are_said_in_words(tab: Tab, service: Service) -> None:
    """Nothing is shown by colour alone."""
    assert text(tab, "#feed-empty") == "No transfers yet. The next one appears here."
    tab.evaluate("filter.elements.asset.value = 'NONE'; filter.requestSubmit()")
    tab.wait("document.querySelector('#feed-empty').innerText.startsWith('Nothing passes this filter yet.')")
    service.publish(
        StatusRecord(NOW_MS, b'{"system":"degraded","upstream":"down","notice":"chartData every 9 s"}')
    )
    tab.wait("service.classList.contains('trouble')")
    assert text(tab, "#service") == (
        "The service works with limits; the indexer does not answer: nothing new until it does; "
        "chartData every 9 s"
    )


def test_a_lost_connection_is_told_and_comes_back(tab: Tab, service: Service) -> None:
    """What was missed meanwhile is filled in; screen readers are told once."""
    service.transfers(fragment(1))
    shown(tab, 1)

    def close_all() -> None:
        for client in list(service.edge.parking):
            service.edge.parking.close(client, 4100, "full")

    service.call(close_all)
    tab.wait("!banner.hidden")
    assert text(tab, "#connection") == "Connection lost"
    assert text(tab, "#banner-words").startswith(
        "The connection is lost: what you see may be old. Trying again"
    )
    assert text(tab, "#said") == "The connection is lost. It comes back by itself."
    service.transfers(fragment(2, amount="7"))
    tab.evaluate("again.click()")
    assert shown(tab, 2) == ["7 U", "12.5 U"]
    tab.wait("banner.hidden")
    assert text(tab, "#said") == "The connection is back."
    assert text(tab, "#connection") == "Live"


def test_a_server_that_asks_for_a_key_says_so(browser: Browser) -> None:
    """The page takes the key from its own address; a refusal is explained, not repeated for ever."""
    with Service("API_KEYS=a-key-of-24-characters-xx") as service:
        with browser.tab() as tab:
            tab.goto(f"http://127.0.0.1:{service.port}/")
            tab.wait("document.querySelector('#banner-words').innerText.includes('?key=')")
            assert text(tab, "#connection") == "Stopped"
        service.transfers(fragment(1))
        with opened(browser, service, "?key=a-key-of-24-characters-xx") as tab:
            shown(tab, 1)
            assert not tab.problems


def test_a_gap_is_told_in_its_place(tab: Tab, service: Service) -> None:
    """Never a silent hole."""
    service.transfers(fragment(1))
    shown(tab, 1)
    service.transfers(fragment(2), epoch="nextepoch002")
    tab.wait("document.querySelector('#feed .gap')")
    words = "Some transfers may be missing here: the server has begun a new count."
    assert text(tab, "#feed .gap") == words
    assert EPOCH != "nextepoch002"


def test_pausing_holds_the_list(tab: Tab, service: Service) -> None:
    """For reading in peace; what came meanwhile follows."""
    service.transfers(fragment(1))
    shown(tab, 1)
    tab.evaluate("pause.click()")
    service.transfers(fragment(2), fragment(3))
    tab.wait("document.querySelector('#live-note').innerText === 'Held while you read; 2 wait'")
    assert len(rows(tab)) == 1
    assert tab.evaluate("pause.getAttribute('aria-pressed')") == "true"
    tab.evaluate("pause.click()")
    shown(tab, 3)


def test_the_list_is_one_stop_of_the_keyboard(tab: Tab, service: Service) -> None:
    """Arrow keys go through it, Enter opens a transfer in full, Escape comes back to it."""
    service.transfers(*[fragment(number, amount=str(number)) for number in range(1, 4)])
    shown(tab, 3)
    assert tab.evaluate("document.querySelectorAll('#feed [tabindex=\"0\"]').length") == 1
    tab.evaluate("document.querySelector('#filter-box summary').focus()")
    tab.press("Tab", code=TAB)
    tab.press("ArrowDown", code=DOWN)
    assert tab.evaluate("document.activeElement.querySelector('.amount').innerText") == "2 U"
    service.transfers(fragment(4))
    tab.wait("document.querySelector('#live-note').innerText.includes('1 wait')")
    tab.press("Enter", code=ENTER, text="\r")
    tab.wait("details.open")
    facts = text(tab, "#facts")
    assert WALLET in facts
    assert fragment(2).sort_order in facts.replace("\n", "")
    tab.press("Escape", code=ESCAPE)
    tab.wait("!details.open")
    assert tab.evaluate("document.activeElement.querySelector('.amount').innerText") == "2 U"


def test_many_transfers_leave_the_page_small(tab: Tab, service: Service) -> None:
    """Rows are used again: the list is bounded, whatever comes."""
    for number in range(1, 3001, 5):
        service.transfers(*[fragment(number + more, amount=str(number + more)) for more in range(5)])
    tab.wait("document.querySelector('#feed .amount')?.innerText === '3,000 U'")
    assert 5 <= len(rows(tab)) <= 60
    assert tab.evaluate("document.querySelectorAll('*').length") < 1500


def test_who_wants_no_motion_gets_none(browser: Browser, service: Service) -> None:
    """Neither marks of new rows nor moving bars."""
    with opened(browser, service) as tab:
        tab.prefer(prefers_reduced_motion="reduce")
        service.transfers(fragment(1))
        shown(tab, 1)
        assert tab.evaluate("document.querySelector('#feed li').className") == "fresh"
        assert tab.evaluate("document.getAnimations().length") == 0


@pytest.mark.parametrize("width", [320, 390, 768, 1024, 1440])
def test_every_width_is_readable(browser: Browser, service: Service, width: int) -> None:
    """Nothing sticks out sideways; on a phone what is touched is large enough."""
    with opened(browser, service) as tab:
        service.transfers(fragment(1, amount="123456789.123456789"))
        shown(tab, 1)
        tab.size(width, 800, mobile=width < 700)
        tab.wait(f"innerWidth === {width}")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        if width < 700:
            small = """[...document.querySelectorAll('button, summary, select, input:not([type=radio])')]
                .filter((e) => e.checkVisibility() && e.getBoundingClientRect().height < 40)
                .map((e) => e.outerHTML.slice(0, 80))"""
            assert tab.evaluate(small) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(browser: Browser, service: Service, scheme: str) -> None:
    """At least 4.5 to 1 (WCAG 2.2, 1.4.3) for every pair of colours that is used."""
    with opened(browser, service) as tab:
        tab.prefer(prefers_color_scheme=scheme)
        pairs = [
            *[
                (ink, ground)
                for ink in ("ink", "soft", "accent", "warm", "good", "bad")
                for ground in ("paper", "card")
            ],
            *[("ink", ground) for ground in ("fill", "accent-soft", "warm-soft")],
            ("soft", "fill"),
            ("soft", "accent-soft"),
            ("card", "accent"),
        ]
        names = sorted({name for pair in pairs for name in pair})
        colours = {
            name: tab.evaluate(f"getComputedStyle(document.documentElement).getPropertyValue('--{name}')")
            for name in names
        }
        poor = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in pairs}
        assert {pair: ratio for pair, ratio in poor.items() if ratio < 4.5} == {}


def contrast(one: str, other: str) -> float:
    """Contrast of two colours like #aabbcc (WCAG 2.2)."""
    low, high = sorted((luminance(one), luminance(other)))
    return round((high + 0.05) / (low + 0.05), 2)


def luminance(colour: str) -> float:
    parts = [int(colour.strip()[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_everything_has_a_name(tab: Tab, service: Service) -> None:
    """Controls have labels, sections have headings, ids are unique, one place speaks for screen readers."""
    service.transfers(fragment(1))
    shown(tab, 1)
    unnamed = """[...document.querySelectorAll('input, select, button, summary')]
        .filter((e) => !(e.labels?.length || e.innerText.trim() || e.ariaLabel || e.textContent.trim()))
        .map((e) => e.outerHTML)"""
    assert tab.evaluate(unnamed) == []
    ids = tab.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))
    assert tab.evaluate("[...document.querySelectorAll('[aria-live]')].map((e) => e.id)") == ["said"]
    assert tab.evaluate("document.querySelectorAll('h1').length") == 1
    assert tab.evaluate("document.documentElement.lang") == "en"


def test_a_hundred_a_second_leave_the_browser_idle(tab: Tab, service: Service) -> None:
    """Scripts, styles and layout together take a small part of one core, measured in work and not in time."""
    before, began, number = tab.metrics(), time.monotonic(), 0
    while (passed := time.monotonic() - began) < 2.0:
        while number < passed * 100:
            number += 5
            service.transfers(*[fragment(number - more) for more in range(5)])
        time.sleep(0.02)
    after = tab.metrics()
    spent = sum(
        after[name] - before[name] for name in ("ScriptDuration", "LayoutDuration", "RecalcStyleDuration")
    )
    assert number >= 200
    assert spent < 1.0
