"""Columns of ``patients.csv`` for the ``participants.tsv`` of a BIDS data set, which may be published.

Left out are columns by which a patient could be singled out: categories of which each patient has another,
such as notes. Ages of 89 and above are written as ``89+``, as BIDS recommends (Modality agnostic files,
``participants.tsv``); HIPAA's Safe Harbor (45 CFR 164.514(b)(2)(i)(C)) asks for it above 89.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.analysis.patients import (
    PATIENTS_FILE,
    SINGLE_OUT,
    PatientColumn,
    is_age,
    levels,
    read_patients,
)
from pipeline.errors import InputError
from pipeline.store.ids import folded

OLDEST = 89
"""Ages from here on are one group, in years."""

# BIDS has names of its own for these columns, in lower case, and words for the values of one.
_BIDS_NAMES = ("age", "sex", "group", "handedness", "species", "strain")
_SEXES = {
    **dict.fromkeys(("f", "female", "w", "weiblich", "woman", "femme", "féminin"), "female"),
    **dict.fromkeys(("m", "male", "männlich", "man", "h", "homme", "masculin"), "male"),
    **dict.fromkeys(("o", "other", "d", "divers", "autre"), "other"),
}


@dataclass(frozen=True)
class ParticipantColumns:
    """:param described: name of each column → its description for ``participants.json``.
    :param cells: patient → cells in the order of the columns; ``None`` where a value is missing.
    """

    described: dict[str, dict[str, Any]] = field(default_factory=dict)
    cells: dict[str, list[Any]] = field(default_factory=dict)

    def of(self, patient_id: str) -> list[Any]:
        return self.cells.get(patient_id, [None] * len(self.described))


def participant_columns(out: Path, patients: Sequence[str]) -> ParticipantColumns:
    """The columns of the folder's ``patients.csv``; none if there is no such file, or it can't be used."""
    path = out / PATIENTS_FILE
    try:
        table = read_patients(path) if path.exists() else None
    except InputError:  # told when the summaries were written
        table = None
    columns = [column.of(patients) for column in table.columns] if table else []
    kept = [column for column in columns if column.values and column.unusable != SINGLE_OUT]
    return ParticipantColumns(
        {_name(column): _described(column) for column in kept},
        {patient: [_value(column, patient) for column in kept] for patient in patients},
    )


def _name(column: PatientColumn) -> str:
    return folded(column.name) if folded(column.name) in _BIDS_NAMES else column.name


def _value(column: PatientColumn, patient: str) -> float | str | None:
    value = column.values.get(patient)
    if value is None:
        return None
    if is_age(column.name) and isinstance(value, float) and value >= OLDEST:
        return f"{OLDEST}+"
    return _sex(value) if _name(column) == "sex" else value


def _sex(value: float | str) -> float | str:
    return _SEXES.get(folded(str(value)), value)


def _described(column: PatientColumn) -> dict[str, Any]:
    told: dict[str, Any] = {"Description": f"{column.name}, as the study's {PATIENTS_FILE} has it"}
    if is_age(column.name) and column.kind == "number":
        return told | {"Description": f"{told['Description']}; {OLDEST}+ from {OLDEST} on", "Units": "year"}
    if column.kind == "category":
        values = sorted(
            {str(_sex(level)) if _name(column) == "sex" else level for level, _ in levels(column)}
        )
        return told | {"Levels": {value: value for value in values}}
    return told
