"""Lists of sessions as saved by spreadsheets."""

import csv
import io
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.processing.sessions_list import Study


def write(
    folder: Path, *rows: Mapping[str, str], delimiter: str = ";", end: str = "\r\n", bom: str = ""
) -> Path:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", delimiter=delimiter, lineterminator=end)
    writer.writeheader()
    writer.writerows(rows)
    return put(folder, (bom + text.getvalue()).encode())


def put(folder: Path, content: bytes | str) -> Path:
    path = folder / "sessions.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def places(study: Study) -> list[tuple[int, str]]:
    return [(problem.row, problem.column) for problem in study.problems]


COLUMNS = [
    *("patient_id", "session_id", "video", "recorded_at", "condition", "start_s", "end_s", "exclude"),
    *("patient_face", "patient_region", "attention_to", "consent", "notes"),
]

PLAIN = {"patient_id": "P1", "session_id": "S1", "video": "a.mp4"}
Read = Callable[..., Study]

names_of_all_alphabets = pytest.mark.skipif(
    sys.getfilesystemencoding() != "utf-8", reason="file names of this system are not in UTF-8"
)


def value(read: Read, column: str, cell: str) -> Any:
    """What becomes of a cell that is right."""
    study = read(PLAIN | {column: cell})
    assert not study.problems
    (session,) = study.sessions
    return getattr(session, column)


def reason(read: Read, column: str, cell: str) -> str:
    """Why a cell is refused; nothing else is, and its session is left out."""
    study = read(PLAIN | {column: cell})
    assert places(study) == [(2, column)]
    assert study.sessions == ()
    return study.problems[0].reason


# --- a new list


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter=","))


# --- whatever comes


def damage(content: bytes, rng: np.random.Generator) -> bytes:
    """A few bytes changed, put in, taken out or repeated."""
    damaged = bytearray(content)
    favourites = b";,\"'\r\n\0\xff\xef:-=0 9\t/"
    for _ in range(rng.integers(1, 8)):
        place = int(rng.integers(len(damaged)))
        byte = int(rng.choice(list(favourites))) if rng.random() < 0.7 else int(rng.integers(256))
        match rng.integers(4):
            case 0:
                damaged[place] = byte
            case 1:
                damaged.insert(place, byte)
            case 2:
                del damaged[place : place + int(rng.integers(1, 20))]
            case _:
                damaged[place:place] = damaged[place : place + int(rng.integers(1, 60))]
    return bytes(damaged)
