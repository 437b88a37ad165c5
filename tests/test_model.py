from __future__ import annotations

import dataclasses
import inspect

import pytest

from unionws import model

CLASSES = [value for value in vars(model).values() if dataclasses.is_dataclass(value)]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_what_flows_between_stages_is_frozen_and_slotted(kind: type) -> None:
    """No stage can change what another one holds, and instances stay small."""
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert "__slots__" in vars(kind)
    assert inspect.getdoc(kind)


def test_a_transfer_needs_only_its_key_and_chains() -> None:
    """Everything else may be null upstream and is None here."""
    transfer = model.Transfer("1", model.Chain("a"), model.Chain("b"))
    optional = [item.name for item in dataclasses.fields(transfer)][3:]
    assert all(getattr(transfer, name) is None for name in optional)
