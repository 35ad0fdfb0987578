"""Columns of ``patients.csv`` as columns of a design, and the numbers that are read from a fit of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.analysis.patients import PatientColumn, levels
from pipeline.stats.mixed_model import Floats


@dataclass(frozen=True)
class Contrast:
    """What a number of a column is made of.

    :param weights: (k,) of the column's parameters. ``inside``: whether it is of one group, not a difference.
    :param patients: patients of ``group``.
    """

    weights: tuple[float, ...]
    inside: bool
    group: str = ""
    against: str = ""
    patients: int | None = None


@dataclass(frozen=True, eq=False)
class Coded:
    """A column as numbers.

    :param values: (patients, k), centred. ``per``: standard deviation that they are per.
    """

    name: str
    values: Floats
    contrasts: tuple[Contrast, ...]
    per: float | None = None


def coded_column(column: PatientColumn, patients: Sequence[str]) -> Coded:
    values = [column.values[patient] for patient in patients]
    if column.kind == "number":
        numbers = np.array(values, dtype=float)
        sd = float(numbers.std(ddof=1))
        scaled = (numbers - numbers.mean()) / sd
        return Coded(column.name, scaled[:, None], (Contrast((1.0,), inside=False),), sd)
    groups = levels(column)
    others = [level for level, _ in groups[1:]]
    indicators = np.array([[float(value == level) for level in others] for value in values])
    shares = indicators.mean(axis=0)
    return Coded(column.name, indicators - shares, tuple(_contrasts(groups, shares)))


def _contrasts(groups: Sequence[tuple[str, int]], shares: Floats) -> Iterator[Contrast]:
    """Each group, and each less the largest."""
    largest = groups[0][0]
    indicators = np.vstack([np.zeros(len(shares)), np.eye(len(shares))])
    for (group, count), indicator in zip(groups, indicators, strict=True):
        yield Contrast(tuple(indicator - shares), inside=True, group=group, patients=count)
    for (group, count), indicator in zip(groups[1:], indicators[1:], strict=True):
        yield Contrast(tuple(indicator), inside=False, group=group, against=largest, patients=count)
