"""``unionws serve --dev``: the service is started again whenever a plugin or the settings change."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from types import FrameType

from unionws.discovery import GROUP

LOOK_EVERY = 0.3
STOPS_WITHIN = 15.0

Seen = dict[Path, float]


def watched(places: Sequence[Path]) -> Iterator[Path]:
    """Every Python file at or under some places."""
    for place in places:
        if place.is_dir():
            yield from (path for path in place.rglob("*.py") if "__pycache__" not in path.parts)
        elif place.is_file():
            yield place


def times(places: Sequence[Path]) -> Seen:
    """When each of those files was changed."""
    found: Seen = {}
    for path in watched(places):
        try:
            found[path] = path.stat().st_mtime
        except OSError:  # it went away meanwhile
            continue
    return found


def module_place(name: str) -> list[Path]:
    """Where a plugin named in PLUGINS is; nothing when it cannot be found."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return []
    if spec is None or spec.origin is None:
        return []
    origin = Path(spec.origin)
    return [origin.parent if origin.name == "__init__.py" else origin]


def installed_places() -> list[Path]:
    """Where plugins are that were installed with an entry point, such as by ``pip install -e``."""
    return [place for point in entry_points(group=GROUP) for place in module_place(point.module)]


class Restarter:
    """Runs a command, and again after each change.

    Args:
        command: what serves.
        places: files and folders to look at.
        say: told what happens.
    """

    def __init__(self, command: Sequence[str], places: Sequence[Path], say: Callable[[str], None]) -> None:
        self._command, self._places, self._say = list(command), list(places), say
        self.starts = 0

    def run(self) -> int:
        """Until interrupted; a command that ends by itself is started again by the next change."""
        process = self._start()
        seen = times(self._places)
        try:
            while True:
                time.sleep(LOOK_EVERY)
                now = times(self._places)
                if now != seen:
                    self._say(f"changed: {', '.join(sorted(path.name for path in _changed(seen, now)))}")
                    self._stop(process)
                    process, seen = self._start(), now
        except KeyboardInterrupt:
            return 130
        finally:
            self._stop(process)

    def _start(self) -> subprocess.Popen[bytes]:
        self.starts += 1
        return subprocess.Popen(self._command)

    @staticmethod
    def _stop(process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        try:
            process.wait(STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _changed(before: Seen, now: Seen) -> list[Path]:
    return [path for path in {**before, **now} if before.get(path) != now.get(path)]


def serve_again(arguments: Sequence[str], places: Sequence[Path]) -> int:
    """Serve with these arguments of ``unionws``, without ``--dev``, again after each change."""
    signal.signal(signal.SIGTERM, _interrupt)
    command = [sys.executable, "-m", "unionws", *(word for word in arguments if word != "--dev")]
    return Restarter(command, places, lambda text: print(f"unionws: {text}", file=sys.stderr)).run()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Ending by SIGTERM without a word would leave the service behind, holding its port and state."""
    raise KeyboardInterrupt
