"""Records what the source brings, for SOURCE=replay: setting RECORD_FILE."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import TextIOWrapper
from pathlib import Path

from unionws.extensions import Setting
from unionws.hookspecs import hookimpl
from unionws.model import Chain, EnrichedTransfer
from unionws.pluginservice import Service
from unionws.source.recording import line_of


class Recorder:
    """Appends to the file from the first transfer on; an existing recording is continued."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._file: TextIOWrapper | None = None
        self._now: Callable[[], float] | None = None

    @hookimpl
    def register_settings(self) -> Sequence[Setting]:
        return [Setting("RECORD_FILE", "", "File to record all transfers to; empty: none.")]

    @hookimpl
    def startup(self, service: Service) -> None:
        path = service.settings.extra["RECORD_FILE"]
        self._path, self._now = Path(path) if path else None, service.now

    @hookimpl
    def chains_listed(self, chains: Sequence[Chain]) -> None:
        if self._path is not None and self._now is not None:
            self._write(self._path, line_of(self._now(), chains=chains))

    @hookimpl
    def enriched(self, transfers: Sequence[EnrichedTransfer]) -> None:
        if self._path is not None and self._now is not None:
            self._write(self._path, line_of(self._now(), transfers=[item.transfer for item in transfers]))

    def _write(self, path: Path, line: str) -> None:
        if self._file is None:
            self._file = path.open("a", encoding="utf-8")
        self._file.write(line)
        self._file.flush()

    @hookimpl
    def shutdown(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = self._path = None
