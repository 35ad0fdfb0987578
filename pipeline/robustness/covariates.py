"""Compare conditions with what is known of the patients: adjusted, and by group.

    summaries/characteristics.parquet    each column of patients.csv: counts, or mean and SD
    summaries/covariates.parquet         adjusted beside unadjusted differences; effects and levels by group

A patient-level covariate hardly changes a comparison within patients: patients are their own controls. The
model therefore has each covariate twice, for the level (between patients) and for the effect of the condition
(condition × covariate), both centred at the mean of the patients, each patient once:

    value = b0 + b1·condition + b2·(x − mean) + b3·condition·(x − mean) + patient (intercept, slope) + error

b1 is the adjusted difference, at average covariates; b3 is how the effect differs between patients, b2 how
the level under the reference does. Numbers enter per standard deviation, categories as indicators.

The patients are the sample: a model needs ``patients_per_parameter`` patients for each parameter of its
columns (Austin & Steyerberg, *J Clin Epidemiol* 2015, found two enough for unbiased coefficients and correct
intervals of a linear regression; with five, intervals have a usable width), and ``min_group`` patients in
each category. Each column enters a model alone, and those that the user names a further one together.

Everything here is exploratory: patients are not assigned their age. There are intervals and no p-values,
because a study of a dozen patients has many columns and next to no power, and because the permutation within
patients that tests the conditions can't test differences between patients.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl

from pipeline.analysis.patients import (
    EMPTY,
    ONE_VALUE,
    PATIENTS_FILE,
    SINGLE_OUT,
    PatientColumn,
    levels,
    read_patients,
)
from pipeline.analysis.summaries import RAW, read_measures, read_sessions
from pipeline.errors import NotEnoughError
from pipeline.robustness.characteristics import describe_patients, rows_of_patients
from pipeline.robustness.covariate_design import Coded, coded_column
from pipeline.robustness.covariate_tables import (
    ADJUSTED,
    ALL_PATIENTS,
    CHARACTERISTICS_SCHEMA,
    COVARIATES_SCHEMA,
    EFFECT,
    EFFECT_DIFFERENCE,
    LEVEL,
    LEVEL_DIFFERENCE,
    SAME_PATIENTS,
    Covariate,
)
from pipeline.stats.mixed_model import Fit, fit_study
from pipeline.store.ids import folded
from pipeline.store.result_tables import write_derived
from pipeline.store.spreadsheet import did_you_mean, shown
from pipeline.study.comparison_tables import STUDY
from pipeline.study.conditions import as_arrays, check_conditions, with_both
from pipeline.study.session_rows import ComparisonSettings, by_measure

BETWEEN = " + "
"""Between the names of columns in ``adjusted_for``."""


@dataclass(frozen=True)
class CovariateSettings:
    """Settings of the models.

    :param adjust: columns that enter a model together; each usable column enters one alone in any case.
    :param patients_per_parameter: least number of patients for each parameter of the columns.
    :param min_group: least number of patients of a category.
    """

    comparison: ComparisonSettings = field(default_factory=ComparisonSettings)
    adjust: tuple[str, ...] = ()
    patients_per_parameter: int = 5
    min_group: int = 3


def write_covariates(out: Path, settings: CovariateSettings) -> tuple[str, ...]:
    """Write both tables from ``patients.csv`` and the tables of ``emonext summarize``.

    :returns: the errors of ``patients.csv``, and columns of ``settings.adjust`` that can't be used.
    :raises InputError: ``patients.csv`` can't be used. :raises TimelineError: a table is missing or damaged.
    :raises OutputError: a table can't be written.
    """
    path = out / PATIENTS_FILE
    table = read_patients(path)
    sessions, measures = read_sessions(out), read_measures(out)
    here = list(sessions["patient_id"].unique().sort())
    columns = [column.of(here) for column in table.columns]
    folder = out / "summaries"
    known = map(vars, describe_patients(columns, len(here)))
    rows = rows_of_patients(table, here)
    write_derived(folder / "characteristics.parquet", CHARACTERISTICS_SCHEMA, known, rows)
    found = map(vars, compare_by_covariates(sessions, measures, columns, settings))
    write_derived(folder / "covariates.parquet", COVARIATES_SCHEMA, found, settings)
    problems = (*map(str, table.problems), *_not_adjusted(columns, settings.adjust))
    return tuple(f"{path}: {problem}" for problem in problems)


def _not_adjusted(columns: Sequence[PatientColumn], adjust: Sequence[str]) -> Iterator[str]:
    for name in adjust:
        column = _named(columns, name)
        if column is None:
            yield f"`adjust` {shown(name)}: no such column" + (
                did_you_mean(name, [one.name for one in columns]) if columns else "."
            )
        elif column.unusable:
            yield f"`adjust` {shown(name)}: patients can't be compared by it ({column.unusable})."


def _named(columns: Sequence[PatientColumn], name: str) -> PatientColumn | None:
    return next((column for column in columns if folded(column.name) == folded(name)), None)


def compare_by_covariates(
    sessions: pl.DataFrame,
    measures: pl.DataFrame,
    columns: Sequence[PatientColumn],
    settings: CovariateSettings,
) -> list[Covariate]:
    """Compare each condition with the reference, for each measure and set of columns; raw reading.

    :param sessions, measures: from :func:`pipeline.analysis.summaries.read_sessions` and ``read_measures``.
    :param columns: of ``patients.csv``; those by which patients can't be compared are left out.
    """
    sets = list(_sets(columns, settings.adjust))
    comparison = settings.comparison
    found: list[Covariate] = []
    for rows in by_measure(sessions, measures.filter(reading=RAW), comparison) if sets else ():
        for condition in sorted({*rows["condition"].unique()} - {comparison.reference, ""}):
            found += _compare(rows, condition, sets, settings)
    return found


def _sets(columns: Sequence[PatientColumn], adjust: Sequence[str]) -> Iterator[tuple[PatientColumn, ...]]:
    """Each usable column, and those of ``adjust`` together."""
    usable = [column for column in columns if not column.unusable]
    yield from ((column,) for column in usable)
    wanted = [column for name in dict.fromkeys(map(folded, adjust)) if (column := _named(usable, name))]
    if len(wanted) > 1:
        yield tuple(wanted)


def _compare(
    rows: pl.DataFrame, condition: str, sets: Sequence[Sequence[PatientColumn]], settings: CovariateSettings
) -> Iterator[Covariate]:
    comparison = settings.comparison
    both = rows.filter(pl.col("condition").is_in([comparison.reference, condition]))
    compared = with_both(both.filter("used"), comparison)
    first = rows.row(0, named=True)
    blank = Covariate(
        **{name: first[name] for name in ("reading", "measure", "of", "unit")},
        reference=comparison.reference,
        condition=condition,
        adjusted_for="",
        number=ALL_PATIENTS,
    )
    try:
        check_conditions(both, compared, STUDY, condition, comparison)
    except NotEnoughError as reason:
        yield replace(blank, reason=str(reason))
        return
    everybody = _unadjusted(blank, compared)
    yield everybody
    for columns in sets:
        yield from _adjusted(blank, everybody, compared, columns, settings)


def _unadjusted(blank: Covariate, rows: pl.DataFrame) -> Covariate:
    blank = _counted(blank, rows)
    values, other, patients, weights = as_arrays(rows, blank.condition)
    design = np.column_stack([np.ones(len(other)), other])
    try:
        return _number(blank, fit_study(values, design, 1, patients, weights), [0.0, 1.0])
    except NotEnoughError as reason:
        return replace(blank, reason=str(reason))


def _adjusted(
    blank: Covariate,
    everybody: Covariate,
    rows: pl.DataFrame,
    columns: Sequence[PatientColumn],
    settings: CovariateSettings,
) -> Iterator[Covariate]:
    """The numbers of one model, after the unadjusted difference of the same patients.

    :param blank: without numbers. ``everybody``: the unadjusted difference of all patients.
    """
    of_known = rows.filter(
        pl.all_horizontal(pl.col("patient_id").is_in(list(column.values)) for column in columns)
    )
    blank = replace(
        _counted(blank, of_known),
        adjusted_for=BETWEEN.join(column.name for column in columns),
        number=ADJUSTED,
        left_out=everybody.patients - of_known["patient_id"].n_unique(),
    )
    patients = sorted(of_known["patient_id"].unique())
    of_patients = [column.of(patients) for column in columns]
    try:
        _check_patients(of_patients, len(patients), settings)
        coded = [coded_column(column, patients) for column in of_patients]
        fit = _fit(blank, of_known, patients, coded)
    except NotEnoughError as reason:
        yield replace(blank, reason=str(reason))
        return
    same = replace(blank, number=SAME_PATIENTS)
    # nobody left out: the same sessions, and the same fit
    yield (
        _unadjusted(same, of_known)
        if blank.left_out
        else replace(everybody, adjusted_for=blank.adjusted_for, number=SAME_PATIENTS)
    )
    parameters = sum(one.values.shape[1] for one in coded)
    blank = replace(blank, parameters=parameters)
    yield _number(blank, fit, [0.0, 1.0, *[0.0] * (2 * parameters)])
    before = 0
    for one in coded:
        yield from _of_column(blank, fit, one, before, parameters)
        before += one.values.shape[1]


def _counted(blank: Covariate, rows: pl.DataFrame) -> Covariate:
    is_other = rows["condition"] == blank.condition
    return replace(
        blank,
        patients=rows["patient_id"].n_unique(),
        sessions_reference=int((~is_other).sum()),
        sessions=int(is_other.sum()),
    )


def _check_patients(columns: Sequence[PatientColumn], patients: int, settings: CovariateSettings) -> None:
    """:raises NotEnoughError: too few patients for the columns, with the reason."""
    for column in columns:
        if column.unusable:
            raise NotEnoughError.of(_UNUSABLE[column.unusable], column=column.name)
        smallest, least = levels(column)[-1], settings.min_group
        if column.kind == "category" and smallest[1] < least:
            raise NotEnoughError.of(
                "small_group", column=column.name, group=smallest[0], patients=smallest[1], wanted=least
            )
    parameters = sum(1 if column.kind == "number" else len(levels(column)) - 1 for column in columns)
    wanted = settings.patients_per_parameter * parameters
    if patients < wanted:
        raise NotEnoughError.of("few_for_parameters", patients=patients, wanted=wanted, parameters=parameters)


_UNUSABLE = {EMPTY: "no_value", ONE_VALUE: "one_value", SINGLE_OUT: "all_different"}


# --- the model


def _fit(blank: Covariate, rows: pl.DataFrame, patients: Sequence[str], coded: Sequence[Coded]) -> Fit:
    """Columns of the design: 1, condition, the covariates, condition × the covariates."""
    values, other, whose, weights = as_arrays(rows, blank.condition)
    place = {patient: number for number, patient in enumerate(patients)}
    of_session = np.array([place[patient] for patient in rows["patient_id"]])
    known = np.column_stack([one.values for one in coded])[of_session]
    design = np.column_stack([np.ones(len(other)), other, known, known * other[:, None]])
    return fit_study(values, design, 1, whose, weights, covariates=known.shape[1])


def _of_column(blank: Covariate, fit: Fit, coded: Coded, before: int, parameters: int) -> Iterator[Covariate]:
    """:param before: parameters of the model before those of the column."""
    for one in coded.contrasts:
        weights = np.zeros(parameters)
        weights[before : before + len(one.weights)] = one.weights
        nothing, inside = np.zeros(parameters), float(one.inside)
        of_group = replace(
            blank,
            column=coded.name,
            group=one.group,
            against=one.against,
            per=coded.per,
            patients_in_group=one.patients,
        )
        for number, contrast in (
            (EFFECT if one.inside else EFFECT_DIFFERENCE, [0.0, inside, *nothing, *weights]),
            (LEVEL if one.inside else LEVEL_DIFFERENCE, [inside, 0.0, *weights, *nothing]),
        ):
            yield _number(replace(of_group, number=number), fit, contrast)


def _number(blank: Covariate, fit: Fit, contrast: Sequence[float]) -> Covariate:
    found = fit.interval(*contrast)
    return replace(
        blank,
        value=found.value,
        low=found.low,
        high=found.high,
        df=fit.df,
        patients_sd=fit.slope_sd,
        model=fit.model,
    )
