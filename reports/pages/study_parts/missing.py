"""How much the unseen time could matter: the section of a study's page, and the caveat on its comparisons."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from reports.figures.missing import missing_figure
from reports.study_data import Study
from reports.words import formatting as words
from reports.words.labels import GROUP_WORDS, compared_text, condition_word
from reports.words.language import Language
from reports.words.reasons import result_reason
from reports.words.study import interval, measure_label


def missing_section(study: Study, language: Language) -> Mapping[str, Any]:
    """What the template shows."""
    table = study.tables.get("missing_compared")
    if table is None:
        return {"rows": None}
    compared = table.filter(reason="")
    positive = compared.filter(of="positive").to_dicts()
    return {
        "rows": [_row(row, language) for row in compared.iter_rows(named=True)],
        "not_compared": [
            row | {"reason": result_reason(row["reason"], language)}
            for row in table.filter((pl.col("reason") != "") & (pl.col("of") == "positive")).to_dicts()
        ],
        "figure": missing_figure(positive, language) if positive else None,
        "sentences": [tipping_sentence(row, language) for row in positive],
        "weighted": _weighted_sessions(study, language),
    }


def explained_by_coverage(study: Study, language: Language) -> list[str]:
    """The differences, known to be other than zero, that the amount that was seen may explain.

    They would be zero if the unseen time differed alike from the seen time in both conditions.
    """
    table = study.tables.get("missing_compared")
    if table is None:
        return []
    apart = pl.col("difference_low") * pl.col("difference_high") > 0
    found = table.filter(apart & pl.col("alike_shift").is_not_null())
    return [_explained(row, language) for row in found.iter_rows(named=True)]


def _explained(row: Mapping[str, Any], language: Language) -> str:
    expression = language.word(GROUP_WORDS[row["of"]]).lower()
    shift = words.signed(row["alike_shift"], 0, language)
    return f"{compared_text(row['condition'], row['reference'], language)} ({expression}, {shift})"


def tipping_sentence(row: Mapping[str, Any], language: Language) -> str:
    """How the unseen time would have to be for the difference in positive expression to be zero."""
    values = {
        **{name: condition_word(row[name], language) for name in ("condition", "reference")},
        "difference": words.signed(row["difference"], 1, language),
    }
    if row["difference_low"] * row["difference_high"] <= 0:
        return language.gettext(
            "%(condition)s − %(reference)s: the difference in the seen time is %(difference)s points, and "
            "its interval includes zero.",
            **values,
        )
    if row["tipping"] is None or row["tipping_reference"] is None:
        return language.gettext(
            "%(condition)s − %(reference)s: the difference in the seen time is %(difference)s points. "
            "Whatever the unseen time was, the difference lies between %(low)s and %(high)s.",
            low=words.signed(row["bound_low"], 1, language),
            high=words.signed(row["bound_high"], 1, language),
            **values,
        )
    return language.gettext(
        "%(condition)s − %(reference)s: the difference in the seen time is %(difference)s points. It would "
        "be zero over the whole time if it were %(apart)s points in the unseen time: a positive face in "
        "%(other)s of that time with %(condition)s, and in %(own)s with %(reference)s.",
        apart=words.signed(row["tipping"] - row["tipping_reference"], 0, language),
        other=words.share_text(row["tipping"], 100, language),
        own=words.share_text(row["tipping_reference"], 100, language),
        **values,
    )


def _row(row: Mapping[str, Any], language: Language) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("condition", "reference")},
        "weighted_reason": result_reason(row["weighted_reason"], language),
        "measure": measure_label("share", row["of"], language),
        "unseen": _two(row["unseen_reference"], row["unseen"], 1, language),
        "difference": _difference(row, "difference", language),
        "weighted": _difference(row, "weighted_difference", language),
        "bounds": _bounds(row, language),
        "zero_if": _two(row["tipping_reference"], row["tipping"], 100, language),
        "means": [
            _means(row, name, end, language) for name, end in (("reference", "_reference"), ("condition", ""))
        ],
    }


def _means(row: Mapping[str, Any], name: str, end: str, language: Language) -> dict[str, str]:
    weighted = row[f"weighted_mean{end}"]
    return {
        "name": language.gettext("Reference") if name == "reference" else language.gettext("Condition"),
        "seen": _percent(row[f"mean{end}"], language),
        "weighted": "–" if weighted is None else _percent(weighted, language),
        "none": _percent(row[f"mean{end}_none"], language),
        "all": _percent(row[f"mean{end}_all"], language),
    }


def _percent(value: float, language: Language) -> str:
    return f"{language.number(value, 1)}{words.NBSP}%"


def _two(one: float | None, other: float | None, whole: float, language: Language) -> str:
    """Of the reference, then of the condition; ``–`` where there is nothing."""
    if one is None and other is None:
        return "–"
    return ", ".join(
        "–" if part is None else words.share_text(part, whole, language) for part in (one, other)
    )


def _difference(row: Mapping[str, Any], name: str, language: Language) -> str:
    return interval(row[name], row[f"{name}_low"], row[f"{name}_high"], "%", language)


def _bounds(row: Mapping[str, Any], language: Language) -> str:
    """The bounds, and in brackets the interval of the true difference."""
    names = {"low": "bound_low", "high": "bound_high", "least": "truth_low", "most": "truth_high"}
    return language.gettext(
        "%(low)s to %(high)s (%(least)s to %(most)s)",
        **{place: words.signed(row[name], 1, language) for place, name in names.items()},
    )


def _weighted_sessions(study: Study, language: Language) -> str:
    """How many sessions have weighted shares."""
    table = study.tables.get("missing")
    if table is None:
        return ""
    sessions = table.filter(of="positive")
    return language.gettext(
        "%(weighted)s of %(sessions)s have weighted shares; summaries/missing.parquet gives the reasons of "
        "the others.",
        weighted=language.number(int((sessions["reason"] == "").sum())),
        sessions=language.ngettext("%(count)s\u00a0session", "%(count)s\u00a0sessions", sessions.height),
    )
