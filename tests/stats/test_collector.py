"""The collector against brute force, and its behaviour around it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
import ujson

from tests.stats.reference import LENGTH, Reference
from tests.stats.traffic import NOW, Traffic, transfer
from unionws.app import load_plugins
from unionws.builtin.statistics import register_statistics
from unionws.extensions import Statistic
from unionws.model import EnrichedTransfer
from unionws.settings import Settings
from unionws.stats.assets import Assets
from unionws.stats.collector import Collector
from unionws.stats.flow import Flow
from unionws.stats.rates import FIELDS
from unionws.stats.sketches import RELATIVE_ERROR
from unionws.stats.wallets import SUFFIXES

DAY = 86_400
UPTIME = "serverUptimeSeconds"


def collector(since: float = NOW - 61 * DAY, short: str = "1m") -> Collector:
    settings = Settings(SHORT_WINDOW=short)
    return Collector(settings, register_statistics(settings), now=since, limit=1_000_000)


def arrivals(items: list[EnrichedTransfer], seed: int) -> Iterator[tuple[float, list[EnrichedTransfer]]]:
    """Batches in order of arrival: a fifth of the rows comes 2–8 s late, a few come hours late."""
    draw = random.Random(seed)
    delays = [draw.uniform(2, 8) if draw.random() < 0.2 else 0.3 for _ in items]
    delays = [draw.uniform(60, 30_000) if draw.random() < 0.01 else delay for delay in delays]
    order = sorted(zip(items, delays, strict=True), key=lambda pair: pair[0].event_time + pair[1])
    for start in range(0, len(order), 7):
        batch = order[start : start + 7]
        last, delay = batch[-1]
        yield last.event_time + delay, [item for item, _ in batch]


def dense_at_the_end(count: int) -> list[EnrichedTransfer]:
    """60 days of transfers, half of them in the last hour."""
    traffic = Traffic()
    spans = ((60 * DAY, 0.3), (2 * DAY, 0.2), (3600, 0.3), (600, 0.2))
    items = [x for age, part in spans for x in traffic.over(NOW - age, NOW, int(count * part))]
    return sorted(items, key=lambda item: item.event_time)


def differences(found: Any, expected: Any, path: str) -> Iterator[str]:
    """Where two JSON values differ, for a message one can read."""
    if type(found) is dict and type(expected) is dict and found.keys() == expected.keys():
        for key in found:
            yield from differences(found[key], expected[key], f"{path}.{key}")
    elif type(found) is list and type(expected) is list and len(found) == len(expected):
        for number, pair in enumerate(zip(found, expected, strict=True)):
            yield from differences(*pair, f"{path}[{number}]")
    elif found != expected:
        yield f"{path}: {found} instead of {expected}"


def assert_agree(data: Any, reference: Reference, now: float) -> None:
    lists = reference.lists(now)
    for key, expected in lists.items():
        found = {k: v for k, v in data[key].items() if k != UPTIME} if "Data" in key else data[key]
        assert not list(differences(found, expected, key))
    rates, wallets = data["currentRates"], data["activeWalletRates"]
    assert rates["totalTracked"] == reference.total
    for key in LENGTH:
        source = reference.short if key == "1m" else key
        assert rates[FIELDS[key]] == reference.count(source, now)
        if reference.comparable(source, now):
            before = reference.count(source, now, before=True)
            change = round((rates[FIELDS[key]] - before) / before * 100, 2) if before else None
            assert change is None or rates[FIELDS[key] + "Change"] == change
        else:
            assert FIELDS[key] + "Change" not in rates
        for name, roles in NAMES.items():
            assert_close(wallets[name + SUFFIXES[key]], reference.distinct(roles, source, now))


NAMES = {"senders": ["sender"], "receivers": ["receiver"], "total": ["sender", "receiver"]}


def assert_close(estimate: int, exact: int) -> None:
    tolerance = 0 if exact <= 300 else 3 * RELATIVE_ERROR * exact
    assert abs(estimate - exact) <= tolerance


@pytest.mark.parametrize("short", ["1m", "5m"])
def test_agrees_with_brute_force_over_sixty_days_with_late_rows(short: str) -> None:
    """Every list, count and change equals a recount of all transfers; distinct wallets are in bound."""
    since = NOW - 45 * DAY
    counted, reference = collector(since, short), Reference(since, short)
    checks = [NOW - 30 * DAY, NOW - 3601, NOW - 7]
    for now, batch in arrivals(dense_at_the_end(2400), seed=3):
        while checks and checks[0] < now:
            assert_agree(counted.snapshot(checks[0]).data, reference, checks.pop(0))
        counted.observe(batch, now)
        reference.observe(batch, now)
    assert_agree(counted.snapshot(NOW + 40_000).data, reference, NOW + 40_000)


def test_steps_of_the_clock_lose_and_double_nothing() -> None:
    """An hour back and forth again, in either direction, gives the figures of a clock that never moved."""
    counted, reference = collector(), Reference(NOW - 61 * DAY)
    steps = [0.0] * 30 + [3600.0] * 30 + [0.0] * 30 + [-3600.0] * 30 + [0.0] * 30
    traffic = Traffic(seed=5)
    for number, step in enumerate(steps):
        now = NOW + 2 * number
        batch = [traffic.at(now - 0.5), traffic.at(now - 3)]
        counted.observe(batch, now + step)
        reference.observe(batch, now + step)
        snapshot = counted.snapshot(now + step)
        if number % 15 == 7:
            assert_agree(snapshot.data, reference, now + step)
    assert counted.snapshot(now).data["currentRates"]["txPerHour"] == 2 * len(steps)


def test_rows_outside_all_windows_count_in_the_total_only() -> None:
    """Rows from the far future, the far past or without a real time are tracked, in no window."""
    counted = collector()
    counted.observe([transfer(NOW + 3 * 3600), transfer(NOW - 62 * DAY), transfer(float("nan"))], NOW)
    counted.observe([transfer(NOW + 50)], NOW)
    rates = counted.snapshot(NOW).data["currentRates"]
    assert (rates["totalTracked"], rates["txPer30Days"], rates["txPer30Seconds"]) == (4, 1, 1)


def test_an_unchanged_second_is_no_new_revision() -> None:
    """Uptime alone changes neither rev nor bytes; a transfer, or one leaving a window, does."""
    counted = collector()
    first = counted.snapshot(NOW)
    again = counted.snapshot(NOW + 1)
    assert (first.rev, again.rev, again.chart) == (1, 1, first.chart)
    assert again.data["currentRates"][UPTIME] == first.data["currentRates"][UPTIME] + 1
    assert not counted.changed(1)
    counted.observe([transfer(NOW + 1)], NOW + 1)
    assert counted.snapshot(NOW + 2).rev == 2
    assert counted.changed(1)
    assert counted.snapshot(NOW + 3).rev == 2
    assert counted.snapshot(NOW + 40).rev == 3


def test_bytes_are_the_data_and_the_rates() -> None:
    """chart is data encoded, rates is its currentRates; text stays UTF-8."""
    counted = collector()
    counted.observe([transfer(NOW, symbol="µU€")], NOW)
    snapshot = counted.snapshot(NOW)
    assert ujson.loads(snapshot.chart) == snapshot.data
    assert ujson.loads(snapshot.rates) == snapshot.data["currentRates"]
    assert "µU€".encode() in snapshot.chart


class Broken:
    """Raises in one of its calls, or answers what it is given."""

    def __init__(self, call: str, answer: Any = None) -> None:
        self.call = call
        self.answer = answer
        self.calls = 0

    def observe(self, batch: object, now: float) -> None:
        if self.call == "observe":
            self.calls += 1
            raise RuntimeError("broken on purpose")

    def snapshot(self, now: float) -> Any:
        if self.call == "snapshot":
            self.calls += 1
            raise RuntimeError("broken on purpose")
        return self.answer or {}


@pytest.mark.parametrize("answer", [{"a": float("nan")}, {"a": [float("inf")]}, {"a": object()}, [1]])
def test_a_plugin_that_answers_no_json_is_left_out(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    """NaN, infinity, objects and lists are refused and named; the rest of the snapshot goes on."""
    settings = Settings()
    bad = Statistic("acme.bad", Broken("", answer))
    good = Statistic("acme.good", Broken("", {"n": 1}))
    counted = Collector(settings, [bad, *register_statistics(settings), good], now=NOW)
    counted.observe([transfer(NOW)], NOW)
    data = counted.snapshot(NOW).data
    assert data["ext"] == {"acme.good": {"n": 1}}
    assert data["currentRates"]["txPerMinute"] == 1
    assert counted.failures() == {"acme.bad": {"failures": 1, "off": False}}
    assert [record.fields["statistic"] for record in caplog.records] == ["acme.bad"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("call", ["observe", "snapshot"])
def test_five_failures_in_a_row_switch_a_statistic_off(call: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is called five times and never again."""
    broken = Broken(call)
    counted = Collector(Settings(), [Statistic("acme.bad", broken)], now=NOW)
    for second in range(9):
        counted.observe([transfer(NOW)], NOW + second)
        counted.snapshot(NOW + second)
    assert broken.calls == 5
    assert counted.failures() == {"acme.bad": {"failures": 5, "off": True}}


def test_a_failing_built_in_statistic_leaves_its_keys_empty_but_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The page finds every key in its shape even when nothing works."""
    healthy = Collector(Settings(), register_statistics(Settings()), now=NOW).snapshot(NOW).data
    names = ("rates", "wallets", "flow", "routes", "chainFlow", "assetVolume")
    broken = [Statistic(name, Broken("snapshot")) for name in names]
    data = Collector(Settings(), broken, now=NOW).snapshot(NOW).data
    assert data == healthy
    assert caplog.records


@pytest.mark.parametrize("call", ["too_low_by", "inner", "make"])
def test_what_fails_around_a_snapshot_leaves_the_rest_of_it(
    call: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Bounds and lists in lists are left out then; counts, and all else, are there."""

    def broken(*_: Any) -> Any:
        raise RuntimeError("broken on purpose")

    counted = collector()
    counted.observe([transfer(NOW)], NOW)
    targets = {"too_low_by": (Flow, "too_low_by"), "inner": (Assets, "inner"), "make": (Assets, "_routes")}
    monkeypatch.setattr(*targets[call], broken)
    snapshot = counted.snapshot(NOW)
    (asset,) = snapshot.data["assetVolumeData"]["assets"]
    assert (asset["transferCount"], bool(asset["topRoutes"])) == (1, call == "too_low_by")
    assert ujson.loads(snapshot.chart) == snapshot.data
    assert "broken on purpose" in caplog.text


def test_lists_in_lists_come_through_what_watches_plugins() -> None:
    """As the service registers them, too."""
    host = load_plugins(Settings(PLUGINS_DIR=""))
    counted = Collector(Settings(), host.collect("register_statistics", Statistic), now=NOW)
    counted.observe([transfer(NOW)], NOW)
    data = counted.snapshot(NOW).data
    assert data["assetVolumeData"]["assets"][0]["topRoutes"]
    assert data["chainFlowData"]["chains"][0]["topAssets"]
