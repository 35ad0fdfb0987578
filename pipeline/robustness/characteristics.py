"""Describe the patients of a study: each column of ``patients.csv``, and who has no row in it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.analysis.patients import PatientColumn, PatientTable, levels
from pipeline.robustness.covariate_tables import Characteristic


@dataclass(frozen=True)
class RowsOfPatients:
    """Which patients have a row in ``patients.csv``, stored with the characteristics.

    :param without_row: patients with a session and without a row.
    :param without_session: ids of rows without a session.
    """

    patients: int
    without_row: tuple[str, ...]
    without_session: tuple[str, ...]


def rows_of_patients(table: PatientTable, here: Sequence[str]) -> RowsOfPatients:
    without_row = tuple(patient for patient in here if patient not in table.patients)
    return RowsOfPatients(len(here), without_row, tuple(sorted(set(table.patients) - set(here))))


def describe_patients(columns: Sequence[PatientColumn], patients: int) -> list[Characteristic]:
    """One row per column of numbers, and per category; of a column that can't be compared, no values."""
    found: list[Characteristic] = []
    for column in columns:
        values = list(column.values.values())
        blank = Characteristic(
            column.name,
            column.kind,
            patients=len(values),
            missing=patients - len(values),
            reason=column.unusable,
        )
        if column.unusable:
            found.append(blank)
        elif column.kind == "number":
            numbers = np.array(values, dtype=float)
            mean, sd, median = (
                float(one) for one in (numbers.mean(), numbers.std(ddof=1), np.median(numbers))
            )
            found.append(replace(blank, mean=mean, sd=sd, median=median))
        else:
            found += [replace(blank, level=level, patients=count) for level, count in levels(column)]
    return found
