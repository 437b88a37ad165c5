"""It keeps 4 MB more for each batch of transfers, once there is a file ``on`` beside it."""

from pathlib import Path

from unionws import hookimpl

ON = Path(__file__).with_name("on")
kept = []


@hookimpl
def enriched(transfers):
    if ON.exists():
        kept.append([list(transfers), [bytes(1000) for _ in range(4000)]])
