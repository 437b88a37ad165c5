"""The edge waits 5 s in it for each client that comes or goes, once there is a file ``on`` beside it."""

import threading
from pathlib import Path

from unionws import hookimpl

ON = Path(__file__).with_name("on")


@hookimpl
def client_opened():
    if ON.exists():
        threading.Event().wait(5)


@hookimpl
def client_closed():
    if ON.exists():
        threading.Event().wait(5)
