"""The sources that come with unionws: the indexer, and recordings of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from unionws.extensions import Feed, Intake, Setting, Source
from unionws.hookspecs import hookimpl
from unionws.source.indexer import Indexer
from unionws.source.replay import Replay


@hookimpl
def register_settings() -> Sequence[Setting]:
    return [
        Setting("REPLAY_FILE", "", "Recording that SOURCE=replay plays; see RECORD_FILE."),
        Setting(
            "REPLAY_SPEED",
            1.0,
            "How many times as fast as it was recorded; 0: without any pause.",
            low=0,
            high=1_000_000,
        ),
        Setting("REPLAY_LOOP", False, "Begin again at the end of the recording."),
    ]


@hookimpl
def register_sources() -> Sequence[Source]:
    return [
        Source("indexer", "The Union indexer, polled over GraphQL.", Indexer),
        Source("replay", "A recording, played at any speed.", open_replay),
    ]


def open_replay(intake: Intake) -> Feed:
    """The recording that REPLAY_FILE names."""
    extra = intake.settings.extra
    return Replay(intake, Path(extra["REPLAY_FILE"]), extra["REPLAY_SPEED"], extra["REPLAY_LOOP"])
