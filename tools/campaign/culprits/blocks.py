"""Ingest waits 5 s in it for each record, once there is a file ``on`` beside it."""

import time
from pathlib import Path

from unionws import hookimpl

ON = Path(__file__).with_name("on")


@hookimpl
def published():
    if ON.exists():
        time.sleep(5)
