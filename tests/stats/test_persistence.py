"""Statistics over restarts."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stats.traffic import NOW, Traffic
from unionws.builtin.statistics import register_statistics
from unionws.clock import ManualClock
from unionws.extensions import Statistic
from unionws.model import JSON, EnrichedTransfer
from unionws.settings import Settings
from unionws.stats.collector import Collector
from unionws.stats.persistence import RETRY_SECONDS, SAVE_SECONDS, Keeper
from unionws.stats.statefile import Mark

DAY = 86_400


def collector(*more: Statistic) -> Collector:
    chosen = Settings()
    return Collector(chosen, [*register_statistics(chosen), *more], now=NOW - 61 * DAY, limit=10_000_000)


def mark(seq: int = 0) -> Mark:
    return Mark(seq, "", NOW, NOW)


class Run:
    """A collector and its file, as one run of the service has them."""

    def __init__(self, path: Path, clock: ManualClock, *more: Statistic) -> None:
        self.collector = collector(*more)
        self.keeper = Keeper(path, clock)
        kept = self.keeper.load()
        if kept is not None:
            assert self.collector.restore(kept.states)

    def save(self, seq: int = 0) -> None:
        """Save as the service does, and wait for it."""
        self.keeper.save(self.collector, mark(seq))
        while not self.keeper.due():
            if self.keeper._running is None:
                return

    def close(self) -> None:
        self.keeper.close(self.collector, mark())

    def crash(self) -> None:
        self.keeper.close(self.collector, None)


def days(seed: int) -> list[list[EnrichedTransfer]]:
    """60 days in batches, most of them in the last two hours."""
    traffic = Traffic(seed=seed, wallets=250)  # few enough to be told exactly, restarts or not
    items = [*traffic.over(NOW - 60 * DAY, NOW, 300), *traffic.over(NOW - 7200, NOW, 300)]
    items.sort(key=lambda item: item.event_time + random.Random(seed).uniform(0, 8))
    return [items[start : start + 6] for start in range(0, len(items), 6)]


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 99),
    stops=st.lists(
        st.tuples(st.integers(0, 99), st.sampled_from(["save", "close", "crash"])), min_size=1, max_size=5
    ),
)
def test_restarts_anywhere_change_no_figure(
    tmp_path_factory: pytest.TempPathFactory, seed: int, stops: list[tuple[int, str]]
) -> None:
    """Saves, closes and crashes (what came after the last save is counted again) leave no trace."""
    path = tmp_path_factory.mktemp("run") / "statistics.db"
    clock = ManualClock(NOW)
    straight, run = collector(), Run(path, clock)
    batches = days(seed)
    plan = dict(stops)
    saved = 0
    for number, batch in enumerate(batches):
        now = batch[-1].event_time
        straight.observe(batch, now)
        run.collector.observe(batch, now)
        if number % 20 == 0:
            straight.snapshot(now)
            run.collector.snapshot(now)
        kind = plan.get(number)
        if kind == "save":
            run.save()
            saved = number + 1
        elif kind == "close":
            run.close()
            run, saved = Run(path, clock), number + 1
        elif kind == "crash":
            run.crash()
            run = Run(path, clock)
            for again in batches[saved : number + 1]:
                run.collector.observe(again, again[-1].event_time)
    for moment in (NOW, NOW + 3600, NOW + 20 * DAY):
        found, expected = run.collector.snapshot(moment).data, straight.snapshot(moment).data
        assert {**found, "rev": 0} == {**expected, "rev": 0}
    run.crash()


def test_a_save_writes_only_what_changed(tmp_path: Path) -> None:
    """Of 60 days of buckets, a transfer touches a few."""
    run = Run(tmp_path / "s.db", ManualClock(NOW))
    for batch in days(1):
        run.collector.observe(batch, NOW)
    everything = sum(len(parts) for parts in run.collector.state(whole=True).values())
    run.collector.observe(days(2)[0][:1], NOW)
    changed = sum(len(parts) for parts in run.collector.state(whole=False).values())
    assert everything > 3_000
    assert changed < 60
    run.crash()


class Counter:
    """A plugin's statistic."""

    def __init__(self) -> None:
        self.count = 0
        self.broken = False

    def observe(self, batch: object, now: float) -> None:
        self.count += 1

    def snapshot(self, now: float) -> dict[str, JSON]:
        return {"count": self.count}

    def state(self, *, whole: bool) -> dict[str, JSON]:
        return {"": object() if self.broken else self.count}

    def restore(self, parts: dict[str, JSON]) -> None:
        self.count = parts[""] + 0


def test_a_plugins_statistic_is_kept_like_our_own(tmp_path: Path) -> None:
    """It appears under ext with what it had."""
    path, clock = tmp_path / "s.db", ManualClock(NOW)
    run = Run(path, clock, Statistic("acme.count", Counter()))
    for _ in range(3):
        run.collector.observe([], NOW)
    run.close()
    run = Run(path, clock, Statistic("acme.count", Counter()))
    assert run.collector.snapshot(NOW).data["ext"] == {"acme.count": {"count": 3}}
    run.crash()


def test_a_plugin_with_no_state_to_store_spoils_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Ours are saved; the plugin is named in the log, and keeps what was saved of it before."""
    path, clock, counter = tmp_path / "s.db", ManualClock(NOW), Counter()
    run = Run(path, clock, Statistic("acme.count", counter))
    run.save()
    counter.broken = True
    run.collector.observe(days(1)[0], NOW)
    run.close()
    assert [record.fields["statistic"] for record in caplog.records] == ["acme.count"]  # type: ignore[attr-defined]
    run = Run(path, clock, Statistic("acme.count", Counter()))
    data = run.collector.snapshot(NOW).data
    assert (data["currentRates"]["totalTracked"], data["ext"]) == (6, {"acme.count": {"count": 0}})
    run.crash()


def test_a_plugin_that_takes_no_state_back_starts_afresh(caplog: pytest.LogCaptureFixture) -> None:
    """One of ours that does not is told to the caller: its figures cannot be relied on."""
    fresh = collector(Statistic("acme.count", Counter()))
    assert fresh.restore({"acme.count": {"": "no number"}})
    assert not fresh.restore({"rates": {"total": "no number"}})
    assert set(fresh.failures()) == {"acme.count", "rates"}
    assert len(caplog.records) == 2


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be looked at" * 50, b""])
def test_a_file_that_is_no_database_is_set_aside(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """It is kept under another name and the log says so; an empty one is as good as none."""
    path = tmp_path / "statistics.db"
    path.write_bytes(content)
    keeper = Keeper(path, ManualClock(NOW))
    assert keeper.load() is None
    assert keeper.problem is None
    aside = list(tmp_path.glob("statistics.aside-*"))
    assert [file.read_bytes() for file in aside] == ([content] if content else [])
    assert [record.message for record in caplog.records] == ["statistics set aside"] * len(aside)
    keeper.close(collector(), mark(3))
    keeper = Keeper(path, ManualClock(NOW))
    kept = keeper.load()
    keeper.close(collector(), None)
    assert kept is not None
    assert kept.mark.seq == 3


def test_saves_are_apart_and_a_failed_one_is_followed_by_everything(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder that goes away costs no figure: when it is back, all of them are written."""
    folder, clock = tmp_path / "state", ManualClock(NOW)
    folder.mkdir()
    run = Run(folder / "s.db", clock)
    assert not run.keeper.due()
    clock.advance(SAVE_SECONDS)
    assert run.keeper.due()
    run.collector.observe(days(1)[0], NOW)
    run.save(1)
    assert not run.keeper.due()
    (folder / "s.db").unlink()
    folder.rename(tmp_path / "gone")
    run.save(2)
    assert run.keeper.problem is not None
    (tmp_path / "gone").rename(folder)
    clock.advance(RETRY_SECONDS)
    assert run.keeper.due()
    run.save(3)
    assert run.keeper.problem is None
    run.crash()
    again = Run(folder / "s.db", clock)
    assert again.collector.snapshot(NOW).data["currentRates"]["totalTracked"] == 6
    again.crash()
    messages = [record.message for record in caplog.records]
    assert messages == ["statistics are not being saved", "statistics are being saved again"]
