"""/metrics: names, labels, figures of all processes; and that dashboard and alerts ask for what there is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.talking import Talker
from tests.web.serving import EPOCH, NOW_MS, Service, fragment
from unionws.measure import BOUNDS, Histogram
from unionws.model import StateRecord

CONF = Path(__file__).resolve().parents[2] / "conf"
SUFFIXES = ("_bucket", "_sum", "_count", "_total")


def dump(*seconds: float) -> dict[str, Any]:
    histogram = Histogram()
    for second in seconds:
        histogram.observe(second)
    return histogram.dump()


WELL = {"state": "active", "calls": 7, "failures": 0, "slow": 0, "ms": 1500.0, "mb": 2.0}
OFF = {"state": "switched off", "calls": 9, "failures": 5, "slow": 1, "ms": 20.0, "mb": 0.0}
OTHER = {
    "plugins": {"acme": OFF},
    "clients": 40, "room": 1000, "groups": 3, "slow": 1, "backlogBytes": 500, "httpConnections": 0,
    "opened": 50, "sends": 1000, "frames": 9, "deflates": 0, "blocked": 0, "skipped": 0,
    "protocolErrors": 2, "pongTimeouts": 0, "memoryMB": 20.5, "cpuSeconds": 1.5, "pid": 1,
    "queuesNearlyFull": 0, "refused": {"over_capacity": 3}, "gone": {"1006": 9},
    "measures": {"delivery": dump(0.002, 3.0), "lag": dump(0.2)},
}  # fmt: skip
VIEWS = {
    "upstream": {
        "state": "ok", "polls": 9, "failures": 1, "lateRows": 2, "duplicates": 3, "lastSuccess": NOW_MS,
        "transport": {"durations": dump(0.2)},
    },
    "position": {"seq": 77},
    "scheduler": {"queued": 4},
    "history": {"fileBytes": 1000, "logBytes": 10, "unstored": 0, "givenUp": 0},
    "process": {"pid": 2, "memoryMB": 30.0, "cpuSeconds": 2.0, "lag": dump(0.001)},
    "edges": {"e1": OTHER},
    "plugins": {"plugins": [{"name": "acme", **WELL}]},
    "metrics": {
        "metrics": [
            {"name": "acme_jobs_total", "help": "Jobs.", "kind": "counter", "samples": [[{"a": "b"}, 5]]},
        ]
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with Service() as running:
        running.publish(StateRecord(NOW_MS, EPOCH, 77, "", VIEWS))
        yield running


def scrape(service: Service) -> dict[str, Any]:
    """Families by name, as Prometheus reads them."""
    status, headers, body = service.get("/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain")
    return {family.name: family for family in text_string_to_metric_families(body.decode())}


def values(family: Any, label: str) -> dict[str, float]:
    return {sample.labels[label]: sample.value for sample in family.samples if label in sample.labels}


def test_every_process_is_in_it(service: Service) -> None:
    """The edge that is asked, the others by their reports, and ingest."""
    with Talker(service.port) as client:
        client.until("status")
        found = scrape(service)
    assert values(found["unionws_clients"], "edge") == {"e0": 1, "e1": 40}
    assert set(values(found["unionws_process_resident_memory_bytes"], "process")) == {"e0", "e1", "ingest"}
    assert values(found["unionws_process_cpu_seconds"], "process")["ingest"] == 2.0
    assert found["unionws_edges"].samples[0].value == 2
    assert found["unionws_transfers_published"].samples[0].value == 77


def test_reasons_add_up_over_edges(service: Service) -> None:
    """Refusals by reason and closes by code are totals."""
    service.edge.gate.refused["over_capacity"] += 1
    found = scrape(service)
    assert values(found["unionws_connections_refused"], "reason")["over_capacity"] == 4
    assert values(found["unionws_connections_closed"], "code")["1006"] >= 9


def test_histograms_are_cumulative(service: Service) -> None:
    """Buckets count what is below them, ``+Inf`` all; delivery is measured for transfers."""
    with Talker(service.port) as client:
        client.until("status")
        before = scrape(service)["unionws_delivery_delay_seconds"]
        service.transfers(fragment(1))
        client.until("transfers")
        after = scrape(service)["unionws_delivery_delay_seconds"]
    buckets = list(values(after, "le").values())
    assert buckets == sorted(buckets)
    assert len(buckets) == len(BOUNDS) + 1
    assert buckets[-1] == values(before, "le")["+Inf"] + 1


def test_names_follow_the_conventions(service: Service) -> None:
    """One prefix, base units, no unit that is not one; counters end in _total, and all have a help text."""
    given = {item["name"] for item in service.call(service.edge.metrics)} | {"acme_jobs_total"}
    for name, family in scrape(service).items():
        assert name.startswith("unionws_") or {name, f"{name}_total"} & given
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
        assert family.documentation
        assert not re.search(r"_(ms|millis|kb|mb|percent)$", name)
        if family.type == "counter":
            assert all(sample.name.endswith(("_total", "_created")) for sample in family.samples)


def test_plugins_give_figures_too(service: Service) -> None:
    """What a plugin registered stands beside ours."""
    assert values(scrape(service)["acme_jobs"], "a") == {"b": 5}


def test_how_plugins_do_is_told_by_process(service: Service) -> None:
    """One that was switched off in one edge alone is seen there."""
    found = scrape(service)

    def of(name: str) -> dict[str, float]:
        assert {sample.labels["plugin"] for sample in found[f"unionws_plugin_{name}"].samples} == {"acme"}
        return values(found[f"unionws_plugin_{name}"], "process")

    assert of("switched_off") == {"ingest": 0, "e1": 1}
    assert (of("calls")["e1"], of("failures")["e1"], of("slow_calls")["e1"]) == (9, 5, 1)
    assert (of("seconds")["ingest"], of("held_bytes")["ingest"]) == (1.5, 2e6)


def test_upstream_and_history(service: Service) -> None:
    """Freshness and state are there to be alerted on."""
    found = scrape(service)
    assert values(found["unionws_upstream_state"], "state") == {"ok": 1, "stale": 0, "down": 0}
    assert found["unionws_upstream_last_success_age_seconds"].samples[0].value >= 0
    assert found["unionws_history_writable"].samples[0].value == 1


def test_a_scrape_before_the_first_word_of_ingest_works() -> None:
    """An edge alone has metrics of its own."""
    with Service() as alone:
        alone.edge.views = {}
        found = scrape(alone)
    assert found["unionws_history_writable"].samples[0].value == 0
    assert values(found["unionws_upstream_state"], "state")["down"] == 1


def known(service: Service) -> set[str]:
    status, _, body = service.get("/metrics")
    assert status == 200
    names = set(re.findall(r"^(unionws_[a-z_]+)", body.decode(), re.MULTILINE))
    return names | {name.removesuffix(suffix) for name in names for suffix in SUFFIXES}


def asked(text: str) -> set[str]:
    return set(re.findall(r"\bunionws_[a-z_]+", text))


def test_the_dashboard_asks_for_metrics_there_are(service: Service) -> None:
    """No panel is empty because of a name; nothing important is left out."""
    board = json.loads((CONF / "grafana-dashboard.json").read_text("utf-8"))
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    wanted = asked(" ".join(queries))
    assert wanted
    assert wanted - known(service) == set()
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_the_alerts_ask_for_metrics_there_are(service: Service) -> None:
    """Every alert can fire, and says what to do."""
    text = (CONF / "alerts.yml").read_text("utf-8")
    rules = text.split("- alert: ")[1:]
    assert len(rules) >= 8
    for rule in rules:
        expression = re.search(r"expr: (.+)", rule)
        assert expression is not None
        assert asked(expression[1]) - known(service) == set()
        assert "summary:" in rule
        assert "description:" in rule


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool: apt-get install prometheus")
@pytest.mark.parametrize("command", [("rules", "alerts.yml"), ("config", "prometheus.yml")])
def test_prometheus_accepts_its_files(command: tuple[str, str]) -> None:
    """Rules and settings are valid by Prometheus's own check."""
    done = subprocess.run(
        ["promtool", "check", *command], cwd=CONF, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
