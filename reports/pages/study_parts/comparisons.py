"""Conditions compared, and change over the weeks: two sections of a study's page."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from reports.figures.study import forest_figure
from reports.pages.study_parts.missing import explained_by_coverage
from reports.study_data import Study
from reports.words import formatting as words
from reports.words.labels import STUDY_READING_WORDS, compared_text
from reports.words.language import Language
from reports.words.plan import mark_text
from reports.words.reasons import by_reason
from reports.words.study import interval, measure_label, p_text


def conditions_section(study: Study, language: Language) -> Mapping[str, Any]:
    table = study.tables.get("conditions")
    if table is None:
        return {"readings": None}
    readings = [
        {"name": name, "title": language.word(title), **_compared(study, rows, language)}
        for name, title in STUDY_READING_WORDS.items()
        if (rows := table.filter(reading=name)).height
    ]
    return {
        "readings": readings,
        "in_blocks": table.filter(patient_id="")["in_blocks"].any(),
        "uneven": language.listed(explained_by_coverage(study, language)),
        "quiet": (table["measure"] == "share_without_speech").any(),
    }


def _compared(study: Study, rows: pl.DataFrame, language: Language) -> dict[str, Any]:
    """Comparisons of the study and of each patient; those without a result apart, by their reason."""
    found = list(_with_quiet(list(_of_study(rows))))
    patients = list(_primary(rows))
    return {
        "rows": [
            {**_comparison(row, language), "mark": mark_text(study.planned, row, language)}
            for row in found
            if not row["reason"]
        ],
        "not_compared": by_reason(
            (
                (
                    row["reason"],
                    f"{_measure(row, language)} ({_conditions_of(row, language)})",
                )
                for row in found
            ),
            language,
        ),
        "forest": _forest(rows, language),
        "patients": [_comparison(row, language) for row in patients if not row["reason"]],
        "patients_not_compared": by_reason(
            (
                (
                    row["reason"],
                    f"{row['patient_id']} ({_conditions_of(row, language)})",
                )
                for row in patients
            ),
            language,
        ),
    }


def _measure(row: Mapping[str, Any], language: Language) -> str:
    """The measure, where the row above does not say of what it is."""
    label = measure_label(row["measure"], row["of"], language)
    if row["measure"] != "share_without_speech":
        return label
    return f"{measure_label('share', row['of'], language)} {label}"


def _conditions_of(row: Mapping[str, Any], language: Language) -> str:
    return compared_text(row["condition"], row["reference"], language)


def _forest(rows: pl.DataFrame, language: Language) -> dict[str, Any] | None:
    """Of the share of positive expression; none where nobody could be compared."""
    shown = rows.filter(measure="share", of="positive").filter(pl.col("difference").is_not_null())
    return forest_figure(shown.to_dicts(), language) if shown.height else None


def _of_study(rows: pl.DataFrame) -> Iterator[dict[str, Any]]:
    return rows.filter(patient_id="").iter_rows(named=True)


def _with_quiet(rows: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Each share, and below it the same without speech."""
    quiet = {(row["of"], row["condition"]): row for row in rows if row["measure"] == "share_without_speech"}
    for row in rows:
        if row["measure"] != "share_without_speech":
            yield row
        if row["measure"] == "share" and (row["of"], row["condition"]) in quiet:
            yield quiet[row["of"], row["condition"]]


def _primary(rows: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """What the forest shows, and who could not be compared."""
    own = rows.filter(pl.col("patient_id") != "").filter(measure="share", of="positive")
    return own.sort("condition", "patient_id").iter_rows(named=True)


def _comparison(row: Mapping[str, Any], language: Language) -> dict[str, Any]:
    def ends(name: str) -> str:
        return interval(row[name], row[f"{name}_low"], row[f"{name}_high"], row["unit"], language)

    return {
        **{name: row[name] for name in ("patient_id", "condition", "reference", "patients")},
        "sessions": f"{row['sessions_reference']}, {row['sessions']}",
        "measure": measure_label(row["measure"], row["of"], language),
        "coverage": "–" if row["coverage"] is None else words.share_text(row["coverage"], 1, language),
        "mean_reference": ends("mean_reference"),
        "mean": ends("mean"),
        "difference": ends("difference"),
        "effect": interval(row["effect"], row["effect_low"], row["effect_high"], "", language),
        "p": p_text(row["p_holm"], language),
        "exact": row["exact"],
    }


def trends_section(study: Study, language: Language) -> Mapping[str, Any]:
    table = study.tables.get("trends")
    if table is None:
        return {"readings": None}
    return {
        "readings": [
            (language.word(title), *_followed(list(_of_study(rows)), language))
            for name, title in STUDY_READING_WORDS.items()
            if (rows := table.filter(reading=name)).height
        ]
    }


def _followed(rows: Sequence[Mapping[str, Any]], language: Language) -> tuple[list[Any], list[Any]]:
    """Changes per week, and those without a result by their reason."""
    labels = ((row["reason"], measure_label(row["measure"], row["of"], language)) for row in rows)
    return [_trend(row, language) for row in rows if not row["reason"]], by_reason(labels, language)


def _trend(row: Mapping[str, Any], language: Language) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("sessions", "patients")},
        "measure": measure_label(row["measure"], row["of"], language),
        "weeks": "–" if row["weeks"] is None else language.number(row["weeks"]),
        "per_week": interval(
            row["per_week"], row["per_week_low"], row["per_week_high"], row["unit"], language, digits=2
        ),
        "p": p_text(row["p_holm"], language),
    }
