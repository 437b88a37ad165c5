"""Ingest calculates for seconds in one call into C, once there is a file ``on`` beside it.

Nothing in Python can end such a call: only a process of its own keeps deliveries apart from it.
"""

import hashlib
from pathlib import Path

from unionws import hookimpl

ON = Path(__file__).with_name("on")
ITERATIONS = 15_000_000


@hookimpl
def published():
    if ON.exists():
        hashlib.pbkdf2_hmac("sha256", b"stuck", b"", ITERATIONS)
