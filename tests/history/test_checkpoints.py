from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from tests.history.factory import Service
from unionws.history.checkpoints import EVERY_ROWS, EVERY_SECONDS, Checkpoints


def run(service: Service, checkpoints: Checkpoints, now: float) -> None:
    connection = service.store._database.connection
    checkpoints.tick(connection, now)
    checkpoints.stop()


def copied(service: Service) -> int:
    return service.folder.database.stat().st_size


@pytest.fixture
def service(tmp_path: Path):  # type: ignore[no-untyped-def]
    service = Service(tmp_path / "s").open()
    service.publish(*range(500))
    yield service
    service.stop()


def test_the_log_is_copied_after_enough_rows(service: Service) -> None:
    """Not before, and not twice for the same rows."""
    checkpoints, before = Checkpoints(service.folder.database), copied(service)
    checkpoints.wrote(EVERY_ROWS - 1)
    run(service, checkpoints, 1.0)
    assert copied(service) == before
    checkpoints.wrote(1)
    run(service, checkpoints, 2.0)
    assert copied(service) > before


def test_a_quiet_stream_is_copied_after_a_while(service: Service) -> None:
    """Few rows do not stay in the log for ever."""
    checkpoints, before = Checkpoints(service.folder.database), copied(service)
    checkpoints.wrote(1)
    run(service, checkpoints, EVERY_SECONDS)
    assert copied(service) > before


def test_a_failed_checkpoint_is_told_and_tried_again(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """The writer goes on meanwhile."""
    connection = service.store._database.connection
    checkpoints = Checkpoints(service.folder.path / "none" / "history.db")
    checkpoints.wrote(EVERY_ROWS)
    checkpoints.tick(connection, 1.0)
    with caplog.at_level(logging.WARNING, "unionws.history"):
        for _ in range(500):
            checkpoints.tick(connection, 2.0)
            if caplog.messages:
                break
            time.sleep(0.005)
    assert caplog.messages == ["checkpoint failed"]
    checkpoints.stop()
