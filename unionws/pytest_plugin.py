"""Fixtures for plugin authors: ``pytest_plugins = ["unionws.pytest_plugin"]`` in conftest.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import pytest

from unionws.clock import ManualClock
from unionws.testing import Server, running_server


@pytest.fixture
def unionws_server() -> Iterator[Callable[..., Server]]:
    """Starts servers, as :func:`unionws.testing.running_server` does; they end with the test."""
    with ExitStack() as stack:

        def start(*plugins: object, **settings: Any) -> Server:
            made: AbstractContextManager[Server] = running_server(plugins, settings)
            return stack.enter_context(made)

        yield start


@pytest.fixture
def manual_clock() -> ManualClock:
    """A clock that stands still until it is moved."""
    return ManualClock()
