"""The events as values."""

from __future__ import annotations

import dataclasses
from typing import get_args

import pytest

import unionws.client
from unionws.client.events import Event, Gap


def test_every_event_is_exported_and_frozen() -> None:
    """Whoever iterates can name and match each event, and none changes afterwards."""
    for kind in get_args(Event):
        assert getattr(unionws.client, kind.__name__) is kind
        assert kind.__dataclass_params__.frozen
    with pytest.raises(dataclasses.FrozenInstanceError):
        Gap(1, 2, "missed").reason = "other"  # type: ignore[misc]
