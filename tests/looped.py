"""An event loop in a thread, so that tests can read real sockets in plain, blocking steps."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
PATIENCE = 10.0


class LoopThread:
    """Runs a loop until the ``with`` block ends."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def run(self, made: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine run on the loop."""
        return asyncio.run_coroutine_threadsafe(made, self._loop).result(PATIENCE)

    def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """The result of a function called on the loop."""

        async def within() -> T:
            return function(*args, **kwargs)

        return self.run(within())

    def until(self, condition: Callable[[], Any]) -> None:
        """Wait until something is true on the loop."""

        async def within() -> None:
            while not condition():
                await asyncio.sleep(0.002)

        self.run(within())

    def __enter__(self) -> LoopThread:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
