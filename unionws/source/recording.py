"""Recordings of a source: one JSON line for each batch of transfers or chain list, with its time.

::

    {"at": 1760000000.25, "chains": [{"universal_chain_id": "union.union-1", ...}, ...]}
    {"at": 1760000000.75, "transfers": [{"sort_order": "...", "source_chain": {...}, ...}, ...]}

Fields are those of the model; what is unknown is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ujson

from unionws.errors import UnionwsError
from unionws.model import Chain, Rpc, Transfer

MAX_LINE = 16 * 1024 * 1024


class RecordingError(UnionwsError):
    """A recording cannot be read; the text names the file and the line."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What came at one time (Unix seconds): transfers, or a chain list."""

    at: float
    transfers: tuple[Transfer, ...] = ()
    chains: tuple[Chain, ...] = ()


def line_of(at: float, *, transfers: Sequence[Transfer] = (), chains: Sequence[Chain] = ()) -> str:
    """One line of a recording, its newline included."""
    body: dict[str, Any] = {"at": round(at, 3)}
    if transfers:
        body["transfers"] = [_known(asdict(transfer)) for transfer in transfers]
    if chains:
        body["chains"] = [_known(asdict(chain)) for chain in chains]
    text: str = ujson.dumps(body, ensure_ascii=False, escape_forward_slashes=False)
    return text + "\n"


def _known(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is None, empty or false: those are the defaults."""
    return {
        name: _known(value) if isinstance(value, dict) else value
        for name, value in fields.items()
        if value or (value == 0 and value is not False)
    }


def read(path: Path) -> Iterator[Moment]:
    """The moments of a recording, in the order of the file.

    Raises:
        RecordingError: the file cannot be read, or a line is not one of a recording.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(iter(lambda: lines.readline(MAX_LINE), ""), 1):
                yield _moment(path, number, line)
    except (OSError, UnicodeDecodeError) as error:
        raise RecordingError(f"recording {path}: {error}") from error


def _moment(path: Path, number: int, line: str) -> Moment:
    try:
        body = ujson.loads(line)
        return Moment(
            float(body["at"]),
            tuple(_transfer(row) for row in body.get("transfers", ())),
            tuple(_chain(row) for row in body.get("chains", ())),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RecordingError(f"recording {path} line {number}: {type(error).__name__}: {error}") from error


def _transfer(row: dict[str, Any]) -> Transfer:
    sides = {side: _chain(row[side]) for side in ("source_chain", "destination_chain")}
    return Transfer(**{**row, **sides})


def _chain(row: dict[str, Any]) -> Chain:
    return Chain(**{**row, "rpcs": tuple(Rpc(**rpc) for rpc in row.get("rpcs", ()))})
