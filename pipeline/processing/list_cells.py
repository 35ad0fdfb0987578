"""Parse the cells of a list of sessions: a value, or an InputError with the reason."""

import os
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.faces.states import FACINGS
from pipeline.records import Region
from pipeline.store.ids import check_id
from pipeline.store.spreadsheet import (
    MAX_SHOWN,
    NUMBER,
    as_float,
    is_file,
    read_seconds,
    shown,
)

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")


_MAX_CONDITION = 64

MONTHS = 12


_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?)?")


# A region within the first hundredth of the picture is written in shares, 0…1.
_ONE_PERCENT = 0.01


YES_OR_NO = dict.fromkeys(("yes", "y", "true", "1", "oui", "ja"), True) | dict.fromkeys(
    ("no", "n", "false", "0", "non", "nein"), False
)


def _read_id(column: str, cell: str) -> str:
    try:
        return check_id(column, cell[:MAX_SHOWN])  # a cut id is still refused, with a shorter message
    except InputError as error:
        raise InputError(str(error).removeprefix(f"{column} ")) from error


def as_on_disk(path: Path) -> Path:
    """The path in the spelling of the file system: macOS stores é as e and an accent; editors write é."""
    if str(path).isascii() or os.path.lexists(path) or path.parent == path:
        return path
    folder, name = as_on_disk(path.parent), unicodedata.normalize("NFC", path.name)
    try:
        there = [one for one in folder.iterdir() if unicodedata.normalize("NFC", one.name) == name]
    except (OSError, ValueError):
        there = []
    return there[0] if len(there) == 1 else folder / path.name


def _read_file(cell: str, folder: Path) -> Path:
    if not cell:
        raise InputError("empty; give the path of a file, from the list's folder.")
    path = as_on_disk(folder / cell)
    if not is_file(path):
        advice = "write / between folders" if "\\" in cell else "give its path from the list's folder"
        raise InputError(f"{shown(cell)} is not there; {advice}.")
    return path


def _read_pictures(cell: str, folder: Path) -> tuple[Path, ...]:
    pictures = tuple(_read_file(part.strip(), folder) for part in cell.rstrip("; ").split(";"))
    for picture in pictures:
        if picture.suffix.lower() not in PICTURE_SUFFIXES:
            raise InputError(f"{shown(picture.name)} is no picture; give {', '.join(PICTURE_SUFFIXES)}.")
    return pictures


def is_date(cell: str) -> bool:
    """Whether the cell is a valid date such as 2026-03-01 or 2026-03-01T14:30."""
    try:
        return bool(_DATE.fullmatch(cell) and datetime.fromisoformat(cell))
    except ValueError:
        return False  # a day such as 2026-02-30


def _read_date(cell: str) -> datetime:
    if is_date(cell):
        return datetime.fromisoformat(cell)
    raise InputError(f"{shown(cell)} is no date here; write 2026-03-01 or 2026-03-01T14:30, in local time.")


def _read_condition(cell: str) -> str:
    if len(cell) > _MAX_CONDITION:
        raise InputError(f"{len(cell)} characters; write at most {_MAX_CONDITION}, and the rest in notes.")
    if any(unicodedata.category(character) == "Cc" for character in cell):
        raise InputError(f"{shown(cell)} holds a line break or another control character; take it out.")
    return cell


def _read_stretches(cell: str) -> tuple[tuple[float, float], ...]:
    stretches = tuple(_read_stretch(part.strip()) for part in cell.rstrip("; ").split(";"))
    if any(later[0] < earlier[1] for earlier, later in pairwise(stretches)):
        raise InputError(f"{shown(cell)}: write intervals in order of time, without overlap.")
    return stretches


def _read_stretch(text: str) -> tuple[float, float]:
    # spreadsheets turn a hyphen into a dash, and 10-12 into a date
    start, _, end = text.replace("–", "-").partition("-")
    try:
        start_s, end_s = read_seconds(start.strip()), read_seconds(end.strip())
    except InputError as error:
        raise InputError(
            f"{shown(text)} is no interval; write seconds like 120-180;300-310, in cells formatted as text."
        ) from error
    if start_s >= end_s:
        raise InputError(f"{shown(text)} does not end after its start.")
    return start_s, end_s


def read_region(cell: str) -> Region:
    """:raises InputError: the cell is no region, or its edges are shares, not per cents."""
    numbers = _four(cell)
    if not all(NUMBER.fullmatch(number) for number in numbers):
        raise InputError(
            f"{shown(cell)} is no region; write left,top,right,bottom in % of the picture: 0,10,55.5,100."
        )
    x1, y1, x2, y2 = (as_float(number) / 100 for number in numbers)
    if not (x1 < x2 <= 1 and y1 < y2 <= 1):
        raise InputError(f"{shown(cell)}: left before right, upper before lower, none above 100 %.")
    if max(x2, y2) <= _ONE_PERCENT:
        raise InputError(f"{shown(cell)}: values from 0 to 1; write % of the picture: 0,10,55.5,100.")
    return x1, y1, x2, y2


def _four(cell: str) -> Sequence[str]:
    """Parse four numbers: ``10,20,55,90``, or with decimal commas ``10,5;20;55;90`` or ``10,5 20 55 90``."""
    if len(cell) > MAX_SHOWN:  # collapse blanks: the regular expressions are slow for long runs
        return ("",) * 4
    ways = (r"\s*;\s*",) if ";" in cell else (r"\s*,\s*|\s+", r"\s+")
    splits = (re.split(way, cell) for way in ways)
    return next((parts for parts in splits if len(parts) == 4), ("",) * 4)


def _read_facing(cell: str) -> str:
    if cell.casefold() not in FACINGS:
        raise InputError(f"{shown(cell)} is no direction; write {', '.join(FACINGS[:-1])} or {FACINGS[-1]}.")
    return cell.casefold()


def _read_consent(cell: str) -> bool:
    if cell.casefold() not in YES_OR_NO:
        raise InputError(
            f"{shown(cell)} is no answer; write yes or no." if cell else "empty; write yes or no."
        )
    return YES_OR_NO[cell.casefold()]


READERS: Mapping[str, Callable[[str, Path], Any]] = {
    "patient_id": lambda cell, folder: _read_id("patient_id", cell),
    "session_id": lambda cell, folder: _read_id("session_id", cell),
    "video": _read_file,
    "recorded_at": lambda cell, folder: _read_date(cell),
    "condition": lambda cell, folder: _read_condition(cell),
    "start_s": lambda cell, folder: read_seconds(cell),
    "end_s": lambda cell, folder: read_seconds(cell),
    "exclude": lambda cell, folder: _read_stretches(cell),
    "patient_face": _read_pictures,
    "patient_region": lambda cell, folder: read_region(cell),
    "attention_to": lambda cell, folder: _read_facing(cell),
    "consent": lambda cell, folder: _read_consent(cell),
    "notes": lambda cell, folder: cell,
}


ABSENT: Mapping[str, Any] = {
    "recorded_at": None,
    "condition": "",
    "start_s": None,
    "end_s": None,
    "exclude": (),
    "patient_face": (),
    "patient_region": None,
    "attention_to": "camera",
    "consent": None,
    "notes": "",
}
