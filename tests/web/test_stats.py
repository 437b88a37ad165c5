"""/stats, /stats/enhanced, /scheduler and /buckets, field by field."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.talking import Talker
from tests.web.serving import EPOCH, NOW_MS, Service, fragment, numbers
from unionws.model import StateRecord, TransfersRecord

CHART = {
    "currentRates": {"txPerMinute": 3, "dataAvailability": {"hasMinute": True}},
    "activeWalletRates": {"sendersLastMin": 1},
    "popularRoutes": [{"count": 3, "route": "a->b"}],
    "popularRoutesTimeScale": {"1m": []},
    "activeSenders": [{"count": 1, "address": "0xaa"}],
    "activeSendersTimeScale": {"1m": []},
    "activeReceivers": [{"count": 2, "address": "0xbb"}],
    "activeReceiversTimeScale": {"1m": []},
    "chainFlowData": {"chains": []},
    "assetVolumeData": {"assets": []},
    "dataAvailability": {"hasMinute": True},
}
VIEWS = {
    "upstream": {"state": "ok", "isInitialFetch": False},
    "position": {"epoch": EPOCH, "seq": 4, "cursor": "c-4"},
    "scheduler": {
        "enhancedSchedulerEnabled": True,
        "activityStats": {
            "last30s": 1,
            "last5min": 2,
            "last1hr": 3,
            "totalTracked": 4,
            "activityLevel": 0.1,
        },
        "queued": 6,
        "nextDueMs": 250,
    },
    "buckets": {"seconds": 10},
}


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with Service() as running:
        running.publish(StateRecord(NOW_MS, EPOCH, 0, "", VIEWS))
        running.chart(CHART)
        yield running


def test_stats_of_the_contract(service: Service) -> None:
    """Every key, filled from ingest's state, the newest chart and this edge."""
    with Talker(service.port) as client:
        client.next()
        told = service.json("/stats")
    assert told["lastSortOrder"] == "c-4"
    assert told["isInitialFetch"] is False
    assert told["scheduledTransfers"] == 6
    assert told["clientCount"] == 1
    assert told["transferRates"] == CHART["currentRates"]
    for name in ("popularRoutes", "activeSenders", "activeReceivers"):
        assert told[name] == CHART[name]
    assert isinstance(told["uptime"], float)


def test_performance_of_the_contract(service: Service) -> None:
    """Counts are integers; each process is listed."""
    performance = service.json("/stats")["performance"]
    for name in ("goroutines", "gcCount", "broadcastWorkers", "clientShards"):
        assert isinstance(performance[name], int)
    assert performance["memoryMB"] > 1
    assert performance["broadcastWorkers"] == 1
    assert [process["name"] for process in performance["processes"]] == ["e0"]


def test_config_has_old_names_beside_new_ones(service: Service) -> None:
    """SPREAD_TIME_MS and FUTURE_BUFFER_SECONDS are still read by some."""
    config = service.json("/stats")["config"]
    assert config["SPREAD_TIME_MS"] == config["SPREAD_MS"] == 3000
    assert config["FUTURE_BUFFER_SECONDS"] == config["FUTURE_BUFFER_MS"] / 1000 == 1
    assert {"POLL_INTERVAL", "MAINNET_ONLY", "GRAPHQL_ENDPOINT"} <= set(config)


def test_enhanced_stats_have_everything(service: Service) -> None:
    """The same plus the rest of the chart."""
    plain, enhanced = service.json("/stats"), service.json("/stats/enhanced")
    assert set(plain) < set(enhanced)
    for name in set(CHART) - {"currentRates"}:
        assert enhanced[name] == CHART[name]


def test_stats_before_the_first_chart() -> None:
    """Empty, in the right shapes."""
    with Service() as service:
        told = service.json("/stats/enhanced")
    assert (told["transferRates"], told["popularRoutes"], told["clientCount"]) == ({}, [], 0)


def test_scheduler_of_the_contract(service: Service) -> None:
    """As ingest reported it."""
    told = service.json("/scheduler")
    assert told.pop("timestamp") > NOW_MS - 10**12
    assert told == VIEWS["scheduler"]


def test_buckets_are_filled() -> None:
    """The transfers of so many minutes, newest first, as clients got them."""
    with Service() as service:
        now = int(time.time() * 1000)
        for seq, age_minutes in ((1, 50), (2, 4), (3, 0)):
            published = now - age_minutes * 60_000
            item = fragment(seq)
            service.publish(TransfersRecord(EPOCH, seq, item.sort_order, False, published, (item,)))
        recent = service.json("/buckets?minutes=5")["recentTransfers"]
        hour = service.json("/buckets?minutes=60")
    assert (recent["minutesRequested"], recent["transferCount"]) == (5, 2)
    assert numbers(recent["transfers"]) == [3, 2]
    assert recent["transfers"][0]["source_chain"]["universal_chain_id"] == "union.union-1"
    assert hour["recentTransfers"]["transferCount"] == 3
    assert "bucketStats" in hour


@pytest.mark.parametrize("minutes", ["0", "61", "-1", "abc", "", "1.5", "%C2%B2", "00601234", "9" * 5000])
def test_minutes_have_bounds(service: Service, minutes: str) -> None:
    """A whole number from 1 to 60."""
    assert service.get(f"/buckets?minutes={minutes}")[0] == 400
