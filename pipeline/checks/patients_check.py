"""Check a ``patients.csv`` beside the list of sessions, before there is a results folder for it."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pipeline.analysis.patients import PATIENTS_FILE, read_patients
from pipeline.errors import InputError


@dataclass(frozen=True)
class CheckedPatients:
    """:param problems: one line each. ``without_row``: patients of the list without a row in the file."""

    path: Path
    problems: tuple[str, ...]
    without_row: tuple[str, ...] = ()


def check_patients(listed: Path, patients: Collection[str]) -> CheckedPatients | None:
    """Check the file in the folder of a list of sessions; ``None`` if there is none.

    :param patients: patients of the list.
    """
    path = listed.with_name(PATIENTS_FILE)
    if not path.exists():
        return None
    try:
        table = read_patients(path)
    except InputError as error:
        return CheckedPatients(path, (str(error),))
    unknown = sorted(set(table.patients) - set(patients))
    lines = [
        *map(str, table.problems),
        *(f"{patient}: no session of this patient in {listed.name}." for patient in unknown),
    ]
    without_row = tuple(sorted(set(patients) - set(table.patients)))
    return CheckedPatients(path, tuple(f"{path}: {line}" for line in lines), without_row)
