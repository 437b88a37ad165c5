"""A statistic that calculates for 5 s per batch, once there is a file ``on`` beside it."""

import time
from pathlib import Path

from unionws import Statistic, hookimpl

ON = Path(__file__).with_name("on")


class Spin:
    def observe(self, batch, now):
        until = time.monotonic() + 5 * ON.exists()
        while time.monotonic() < until:
            pass

    def snapshot(self, now):
        return {}


@hookimpl
def register_statistics():
    return [Statistic("acme.spin", Spin())]
