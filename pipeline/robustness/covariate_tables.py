"""Rows of ``summaries/characteristics.parquet`` and ``summaries/covariates.parquet``."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa

from pipeline.store.result_tables import column, read_derived

ALL_PATIENTS, SAME_PATIENTS, ADJUSTED = "unadjusted, all", "unadjusted, same", "adjusted"
"""Differences: without adjustment, of all patients and of those of the adjusted model; and adjusted."""

EFFECT, EFFECT_DIFFERENCE = "effect", "effect difference"
"""The difference between conditions in one group; how much it differs between groups, or per SD."""

LEVEL, LEVEL_DIFFERENCE = "level", "level difference"
"""The mean under the reference in one group; how much it differs between groups, or per SD."""


@dataclass(frozen=True)
class Characteristic:
    """A column of numbers, or one category of a column.

    :param level: the category; empty for a column of numbers, and for a column that can't be compared.
    :param patients: patients with a value, or with this category. ``missing``: without a value in the column.
    :param reason: why patients can't be compared by the column; empty if they can.
    """

    column: str
    kind: str
    level: str = ""
    patients: int = 0
    missing: int = 0
    mean: float | None = None
    sd: float | None = None
    median: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Covariate:
    """One number of a model with what is known of the patients; without it if ``reason`` states why.

    Shares are in %, their differences in percentage points.

    :param adjusted_for: columns in the model, separated by " + ". ``parameters``: number of their parameters.
    :param number: which number it is.
    :param column: column that the number is of; empty for a comparison of all patients together.
    :param group, against: the category, and the one it is compared with.
    :param per: for a column of numbers: its standard deviation between patients, which ``value`` is per.
    :param patients_in_group: patients of ``group``. ``left_out``: patients without a value in a column.
    """

    reading: str
    measure: str
    of: str
    unit: str
    reference: str
    condition: str
    adjusted_for: str
    number: str
    column: str = ""
    group: str = ""
    against: str = ""
    per: float | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    patients: int = 0
    patients_in_group: int | None = None
    left_out: int = 0
    sessions_reference: int = 0
    sessions: int = 0
    parameters: int = 0
    df: int | None = None
    patients_sd: float | None = None
    reason: str = ""
    model: str = ""


_NUMBERS = "; ".join(
    (ALL_PATIENTS, SAME_PATIENTS, ADJUSTED, EFFECT, EFFECT_DIFFERENCE, LEVEL, LEVEL_DIFFERENCE)
)

CHARACTERISTICS_SCHEMA = pa.schema(
    [
        column("column", pa.string(), "name of the column of patients.csv"),
        column("kind", pa.string(), "number, if every filled cell is one; else category"),
        column("level", pa.string(), "the category; empty for numbers"),
        column("patients", pa.int32(), "patients with a value, or with this category"),
        column("missing", pa.int32(), "patients without a value in this column"),
        column("mean", pa.float64(), "mean of the patients", "as in patients.csv", nullable=True),
        column(
            "sd", pa.float64(), "standard deviation between patients", "as in patients.csv", nullable=True
        ),
        column("median", pa.float64(), "median of the patients", "as in patients.csv", nullable=True),
        column("reason", pa.string(), "why patients can't be compared by it; empty if they can"),
    ]
)
"""Columns of ``summaries/characteristics.parquet``: those of :class:`Characteristic`."""

COVARIATES_SCHEMA = pa.schema(
    [
        column("reading", pa.string(), "raw"),
        column("measure", pa.string(), "as in measures.parquet"),
        column("of", pa.string(), "an emotion, positive, negative, or empty"),
        column("unit", pa.string(), "of the numbers; a difference of % is in percentage points"),
        column("reference", pa.string(), "the condition compared with"),
        column("condition", pa.string(), "the condition"),
        column("adjusted_for", pa.string(), "columns of patients.csv in the model; empty: none"),
        column("number", pa.string(), f"one of: {_NUMBERS}"),
        column("column", pa.string(), "column of patients.csv that the number is of; empty: all patients"),
        column("group", pa.string(), "the category"),
        column("against", pa.string(), "the category that group is compared with"),
        column("per", pa.float64(), "standard deviation of the column that value is per", nullable=True),
        column("value", pa.float64(), "the number", "as in unit", nullable=True),
        column("low", pa.float64(), "lower end of its 95 % interval", "as in unit", nullable=True),
        column("high", pa.float64(), "upper end of it", "as in unit", nullable=True),
        column("patients", pa.int32(), "patients in the model"),
        column("patients_in_group", pa.int32(), "those of them in group", nullable=True),
        column("left_out", pa.int32(), "compared patients without a value in one of the columns"),
        column("sessions_reference", pa.int32(), "sessions of the reference"),
        column("sessions", pa.int32(), "sessions of the condition"),
        column(
            "parameters", pa.int32(), "parameters of the columns, as many for the level as for the effect"
        ),
        column("df", pa.int32(), "degrees of freedom of the interval", nullable=True),
        column("patients_sd", pa.float64(), "SD of the effect between patients", "as in unit", nullable=True),
        column("reason", pa.string(), "why there is no number; empty where there is"),
        column("model", pa.string(), "what the number and its interval are of"),
    ]
)
"""Columns of ``summaries/covariates.parquet``: those of :class:`Covariate`."""


def read_characteristics(out: Path) -> pl.DataFrame:
    """In :data:`CHARACTERISTICS_SCHEMA`\'s columns; errors as ``read_derived``."""
    return read_derived(out / "summaries" / "characteristics.parquet", CHARACTERISTICS_SCHEMA)


def read_covariates(out: Path) -> pl.DataFrame:
    """In :data:`COVARIATES_SCHEMA`\'s columns; errors as ``read_derived``."""
    return read_derived(out / "summaries" / "covariates.parquet", COVARIATES_SCHEMA)
