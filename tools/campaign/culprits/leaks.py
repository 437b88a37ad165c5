"""It keeps 12 MB more for each batch of transfers, once there is a file ``on`` beside it."""

from pathlib import Path

from unionws import hookimpl

ON = Path(__file__).with_name("on")
SIZE = 1_000_000
kept = []


@hookimpl
def enriched(transfers):
    if ON.exists():
        kept.append([list(transfers), [b"x" * SIZE for _ in range(12)]])
