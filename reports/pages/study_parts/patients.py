"""The section of the study page on what is known of the patients, and comparisons adjusted for it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from pipeline.analysis.patients import EMPTY, ONE_VALUE, SINGLE_OUT
from pipeline.robustness.covariate_tables import (
    ADJUSTED,
    ALL_PATIENTS,
    EFFECT,
    EFFECT_DIFFERENCE,
    LEVEL,
    LEVEL_DIFFERENCE,
    SAME_PATIENTS,
)
from pipeline.robustness.covariates import BETWEEN
from reports.study_data import Study
from reports.words.labels import compared_text, condition_word
from reports.words.language import Language, marked
from reports.words.reasons import result_reason
from reports.words.study import interval, measure_label

_KINDS = {"number": marked("a number"), "category": marked("groups")}
_REASONS = {
    EMPTY: marked("no value"),
    ONE_VALUE: marked("one value only"),
    SINGLE_OUT: marked("as many groups as patients"),
}
_FIRST = ("share", "positive")
"""The measure shown first; the others are folded."""

_CHANCE = 0.05
"""Share of 95 % intervals that leave out zero by chance."""

Row = Mapping[str, Any]


def fill_patients(study: Study, language: Language) -> Mapping[str, Any]:
    known, table = study.tables.get("characteristics"), study.tables.get("covariates")
    if known is None or table is None:
        return {"columns": None}
    compared = table.filter(pl.col("adjusted_for") != "")
    everybody = {_what(row): row for row in table.filter(number=ALL_PATIENTS).iter_rows(named=True)}
    first = (pl.col("measure") == _FIRST[0]) & (pl.col("of") == _FIRST[1])
    differences = compared.filter(number=EFFECT_DIFFERENCE).filter(pl.col("value").is_not_null())
    return {
        "columns": [_column(rows, language) for _, rows in known.group_by("column", maintain_order=True)],
        "patients": study.rows_of_patients["patients"],
        "without_row": language.listed(study.rows_of_patients["without_row"]),
        "without_session": language.listed(study.rows_of_patients["without_session"]),
        "left_out": study.rows_of_patients["without_row"],
        "first": [_compared(rows, everybody, language) for rows in _comparisons(compared.filter(first))],
        "others": [_compared(rows, everybody, language) for rows in _comparisons(compared.filter(~first))],
        "differences": differences.height,
        "by_chance": language.number(_CHANCE * differences.height, 1),
    }


def _column(rows: pl.DataFrame, language: Language) -> dict[str, Any]:
    first = rows.row(0, named=True)
    return {
        "name": first["column"],
        "kind": language.word(_KINDS[first["kind"]]),
        "patients": int(rows["patients"].sum()),
        "missing": first["missing"],
        "reason": language.word(_REASONS[first["reason"]]) if first["reason"] else "",
        "numbers": "" if first["reason"] else _numbers(rows.to_dicts(), language),
    }


def _numbers(rows: Sequence[Row], language: Language) -> str:
    """``mean 81.2, SD 6.0, median 82.0``, or ``f 8, m 4``."""
    if rows[0]["kind"] == "category":
        return ", ".join(f"{row['level']} {row['patients']}" for row in rows)
    mean, sd, median = (language.number(rows[0][name], 1) for name in ("mean", "sd", "median"))
    return language.gettext("mean %(mean)s, SD %(sd)s, median %(median)s", mean=mean, sd=sd, median=median)


def _comparisons(table: pl.DataFrame) -> Iterator[pl.DataFrame]:
    yield from (rows for _, rows in table.group_by("measure", "of", "condition", maintain_order=True))


def _compared(
    rows: pl.DataFrame, everybody: Mapping[tuple[str, ...], Row], language: Language
) -> dict[str, Any]:
    """Both tables of one measure and two conditions; models with several columns come first."""
    first = rows.row(0, named=True)
    models = [model for _, model in rows.group_by("adjusted_for", maintain_order=True)]
    models.sort(key=lambda model: BETWEEN not in model["adjusted_for"][0])
    return {
        "title": f"{measure_label(first['measure'], first['of'], language)}, "
        + compared_text(first["condition"], first["reference"], language),
        "reference": condition_word(first["reference"], language),
        "everybody": _interval(everybody[_what(first)], language),
        "patients": everybody[_what(first)]["patients"],
        "adjusted": [_beside(model, language) for model in models],
        "groups": [row for model in models for row in _groups(model, language)],
    }


def _what(row: Row) -> tuple[str, ...]:
    return tuple(row[name] for name in ("measure", "of", "condition"))


def _beside(rows: pl.DataFrame, language: Language) -> dict[str, Any]:
    """The adjusted difference beside the unadjusted one of the same patients."""
    by_number = {row["number"]: row for row in rows.filter(column="").iter_rows(named=True)}
    adjusted = by_number[ADJUSTED]
    same = by_number.get(SAME_PATIENTS)
    return {
        "adjusted_for": adjusted["adjusted_for"],
        "patients": adjusted["patients"],
        "left_out": adjusted["left_out"],
        "reason": result_reason(adjusted["reason"], language),
        "unadjusted": _interval(same, language) if same else "–",
        "adjusted": _interval(adjusted, language),
    }


def _groups(rows: pl.DataFrame, language: Language) -> Iterator[dict[str, Any]]:
    """The effect and the level of each group, and how much they differ between groups or per SD."""
    levels = {(row["column"], row["group"], row["number"]): row for row in rows.iter_rows(named=True)}
    for (column, group, number), row in levels.items():
        if number in (EFFECT, EFFECT_DIFFERENCE):
            level = levels[column, group, LEVEL if number == EFFECT else LEVEL_DIFFERENCE]
            yield {
                "column": column,
                "with": row["adjusted_for"] if BETWEEN in row["adjusted_for"] else "",
                "group": _group(row, language),
                "is_difference": number == EFFECT_DIFFERENCE,
                "patients": row["patients" if row["patients_in_group"] is None else "patients_in_group"],
                "level": _interval(level, language),
                "effect": _interval(row, language),
            }


def _group(row: Row, language: Language) -> str:
    if row["per"] is not None:
        return language.gettext("per %(sd)s more (1 SD)", sd=language.number(row["per"], 1))
    return f"{row['group']} − {row['against']}" if row["against"] else str(row["group"])


def _interval(row: Row, language: Language) -> str:
    return interval(row["value"], row["low"], row["high"], row["unit"], language)
