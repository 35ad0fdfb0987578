"""The page of a study, for researchers: included and excluded sessions, results and methods.

Drawn from ``status.parquet`` and the tables below ``summaries/``. If a table is missing, the section names
the command that writes it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any, get_args

import polars as pl
from markupsafe import Markup

from pipeline.records import UNSURE, IdentityState
from pipeline.robustness.multiverse_results import Verdict, verdicts
from pipeline.store.coverage import MIN_COVERAGE, MIN_OBSERVED_S
from pipeline.store.status import stored_reasons
from pipeline.study.event_locked import EventSettings
from reports.assets import INLINE, Assets
from reports.figures.multiverse import specification_curve
from reports.figures.study import coverage_figure, event_figure
from reports.pages.sections import Section, render_sections
from reports.pages.study_parts.comparisons import conditions_section, trends_section
from reports.pages.study_parts.missing import missing_section
from reports.pages.study_parts.patients import fill_patients
from reports.render import render
from reports.study_data import Study
from reports.words import formatting as words
from reports.words.adaptation import adaptation_words
from reports.words.labels import IDENTITY_WORDS, STATE_COUNTS, STUDY_READING_WORDS, compared_text, in_words
from reports.words.language import SOURCE, Language, marked
from reports.words.multiverse import (
    CHOICE_TITLES,
    level_text,
    moves_text,
    span_text,
    verdict_text,
)
from reports.words.plan import plan_values
from reports.words.reasons import reason_text, reasons_text, result_reason
from reports.words.study import interval, methods_summary

URGENT = ("failed", "to_check", "interrupted", "partial", "skipped", "waiting", "running")
"""States that need a reason, in this order."""


def study_page(study: Study, language: Language, assets: Assets = INLINE) -> Markup:
    """The page as HTML."""
    return render(
        "study.html",
        language,
        answer=_answer(study, language),
        has_agreement=study.has_agreement,
        sections=render_sections(SECTIONS, "study", study, language),
        software_version=study.about["version"],
        **assets.of_page(with_figures=True),
    )


def _answer(study: Study, language: Language) -> str:
    patients, sessions = study.sessions["patient_id"].n_unique(), study.sessions.height
    return language.gettext(
        "There are timelines of %(sessions)s of %(patients)s; in %(enough)s of them the face could "
        "be read long enough to say something.",
        sessions=language.ngettext("%(count)s\u00a0session", "%(count)s\u00a0sessions", sessions),
        patients=language.ngettext("%(count)s\u00a0patient", "%(count)s\u00a0patients", patients),
        enough=language.number(int(study.sessions["enough"].sum())),
    )


def _finished(study: Study, language: Language) -> Mapping[str, Any]:
    counts = Counter(study.status["state"])
    rows = [row for state in URGENT for row in study.status.filter(state=state).iter_rows(named=True)]
    return {
        "counts": [
            (state, language.ngettext(*forms, counts[state]))
            for state, forms in STATE_COUNTS.items()
            if counts[state]
        ],
        "rows": _by_reason(rows, language),
        "lost_s": study.status["seconds_lost"].sum(),
    }


def _by_reason(rows: Sequence[Mapping[str, Any]], language: Language) -> list[dict[str, Any]]:
    """Sessions of one state and for one reason are told together."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["state"], _reasons_text(row, language)), []).append(row)
    return [
        {
            "state": state,
            "why": why,
            "sessions": [(row["patient_id"], row["session_id"]) for row in those],
            "lost_s": sum(lost)
            if (lost := [s for row in those if (s := row["seconds_lost"]) is not None])
            else None,
        }
        for (state, why), those in found.items()
    ]


def _reasons_text(row: Mapping[str, Any], language: Language) -> str:
    return reasons_text(stored_reasons(row["reasons"]), language)


def _coverage(study: Study, language: Language) -> Mapping[str, Any]:
    by_patient = study.sessions.group_by("patient_id", maintain_order=True).agg(
        pl.len().alias("sessions"),
        pl.col("enough").sum(),
        pl.col("corrected").any(),
        pl.col("coverage").median(),
        pl.col("coverage").min().alias("lowest"),
        pl.col("observed_s").sum(),
        pl.col("low_expressivity").sum().alias("flat"),
    )
    coverages = study.sessions["coverage"].to_list()
    return {
        "figure": coverage_figure(coverages, language),
        "median": _median_text(median(coverages), language) if coverages else "",
        "rows": list(by_patient.iter_rows(named=True)),
        "min_coverage": study.about["settings"].get("min_coverage", MIN_COVERAGE),
        "min_observed_s": study.about["settings"].get("min_observed_s", MIN_OBSERVED_S),
    }


def _median_text(coverage: float, language: Language) -> str:
    """A sentence that is true of every median, also of none and all."""
    if coverage <= 0:
        return language.gettext("In at least half of the sessions the face could not be read at any time.")
    if coverage >= 1 - 1e-9:
        return language.gettext("In at least half of the sessions the face could be read all the time.")
    return language.gettext(
        "The median is %(median)s: at least half of the sessions have that coverage or more.",
        median=words.share_text(coverage, 1, language),
    )


def _identity(study: Study, language: Language) -> Mapping[str, Any]:
    of = {state: pl.col("identity") == state for state in get_args(IdentityState)}
    found = study.sessions.group_by("patient_id", maintain_order=True).agg(
        pl.len().alias("sessions"), *(is_it.sum().alias(state) for state, is_it in of.items())
    )
    return {
        "rows": list(found.iter_rows(named=True)),
        "identity_words": in_words(IDENTITY_WORDS, language),
        "sure": (~study.sessions["identity"].is_in(UNSURE)).sum(),
        "sessions": study.sessions.height,
    }


def _plan(study: Study, language: Language) -> Mapping[str, Any] | None:
    return plan_values(study.planned, language)


def _multiverse(study: Study, language: Language) -> Mapping[str, Any] | None:
    table = study.tables.get("multiverse")
    if table is None:
        compared = study.tables.get("conditions")
        is_possible = compared is not None and compared.filter(patient_id="")["difference"].count() > 0
        return {"conditions": None} if is_possible else None
    return {
        "titles": [language.word(title) for title in CHOICE_TITLES.values()],
        "conditions": [
            _analyses(verdict, table.filter(condition=verdict.condition), language)
            for verdict in verdicts(table)
        ],
    }


def _analyses(verdict: Verdict, table: pl.DataFrame, language: Language) -> dict[str, Any]:
    computed = table.filter(pl.col("difference").is_not_null()).to_dicts()
    return {
        "title": compared_text(verdict.condition, verdict.reference, language),
        "verdict": verdict_text(verdict, language),
        "span": span_text(verdict, language),
        "moves": moves_text(verdict, language),
        "reasons": {result_reason(text, language): count for text, count in verdict.reasons.items()},
        "figure": specification_curve(computed, language) if computed else None,
        "rows": [_analysis(row, language) for row in table.iter_rows(named=True)],
    }


def _analysis(row: Mapping[str, Any], language: Language) -> dict[str, Any]:
    difference = row["difference"], row["difference_low"], row["difference_high"]
    return {
        **{name: row[name] for name in ("own", "patients")},
        "reason": result_reason(row["reason"], language),
        "levels": [level_text(choice, row, language) for choice in CHOICE_TITLES],
        "sessions": f"{row['sessions_reference']}, {row['sessions']}",
        "difference": interval(*difference, "%", language),
    }


def _events(study: Study, language: Language) -> Mapping[str, Any]:
    table = study.tables.get("events")
    if table is None:
        return {"kinds": None}
    positive = table.filter(measure="share", of="positive").sort("from_s")
    kinds = [(what, rows) for (what,), rows in positive.group_by("what", maintain_order=True)]
    return {
        "least": EventSettings.clusters,
        "kinds": [
            {
                "title": what or language.gettext("All events"),
                "events": rows["events"].max(),
                "pairs": rows["pairs"].max(),
                "patients": rows["patients"].max(),
                "figure": event_figure(rows.to_dicts(), language) if rows["value_low"].count() else None,
                "rows": [_bin(row, language) for row in rows.iter_rows(named=True)],
            }
            for what, rows in sorted(kinds, key=lambda kind: str(kind[0]))
        ],
    }


def _bin(row: Mapping[str, Any], language: Language) -> dict[str, Any]:
    def in_percent(name: str) -> list[float | None]:
        return [None if row[end] is None else 100 * row[end] for end in (name, f"{name}_low", f"{name}_high")]

    value, matched = in_percent("value")[0], row["matched"]
    difference, low, high = in_percent("difference")
    return {
        "when": words.signed(row["from_s"], 0, language),
        "events": row["events"],
        "pairs": row["pairs"],
        "value": "–" if value is None else words.share_text(value, 100, language),
        "matched": "–" if matched is None else words.share_text(matched, 1, language),
        "difference": interval(difference, low, high, "%", language),
    }


def _scales(study: Study, language: Language) -> Mapping[str, Any]:
    table = study.tables.get("scales")
    if table is None:
        return {"scales": None}
    rated = table.filter(kind="item")
    return {
        "scales": [
            {
                "name": language.word(study.scale_names.get(str(scale), str(scale))),
                "readings": [
                    {"title": language.word(title), **_counts(rows, language)}
                    for reading, title in STUDY_READING_WORDS.items()
                    if (rows := of_scale.filter(reading=reading)).height
                ],
            }
            for (scale,), of_scale in rated.group_by("scale", maintain_order=True)
        ]
    }


def _counts(rows: pl.DataFrame, language: Language) -> dict[str, Any]:
    """Windows by item and band, in the order of the bands' scores."""
    bands = rows.select("score", "words").unique().sort("score", "words", nulls_last=True)["words"].to_list()
    counts = Counter(rows.select("item", "words").rows())
    items = rows["item"].unique(maintain_order=True).to_list()
    return {
        "bands": [language.word(words) for words in bands],
        "rows": [(language.word(item), [counts[item, words] for words in bands]) for item in items],
        "windows": rows.select("patient_id", "session_id", "window").n_unique(),
    }


def _adapted(study: Study, language: Language) -> Mapping[str, Any] | None:
    if study.adaptation is None and not study.adjusted:
        return None
    return adaptation_words(study.adaptation, study.adjusted, language)


def _methods(study: Study, language: Language) -> Mapping[str, Any]:
    """The paragraphs alone: what the results are stands above."""
    told = (study.methods or "").partition("## Results")[0].split("\n\n")
    return {
        "summary": [] if language.name == SOURCE else methods_summary(study, language),
        "paragraphs": [text.strip() for text in told if text.strip() and not text.startswith("#")],
    }


def _details(study: Study, language: Language) -> Mapping[str, Any]:
    return {
        "made": study.made,
        "about": study.about,
        "warnings": _by_text(
            (f"{patient} {session}", reason_text(reason, language))
            for patient, session, reason in study.warnings
        ),
        "errors": _by_text(
            (f"{row['patient_id']} {row['session_id']}", _reasons_text(row, language))
            for row in study.status.filter(state="failed").iter_rows(named=True)
        ),
        "problems": study.problems,
    }


def _by_text(told: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    """Each text once, with its sessions."""
    found: dict[str, list[str]] = {}
    for session, text in told:
        found.setdefault(text, []).append(session)
    return [
        {"text": text, "count": len(those), "sessions": ", ".join(those)} for text, those in found.items()
    ]


SECTIONS = (
    Section("finished", marked("Who finished, who did not, and why"), _finished),
    Section("coverage", marked("How much could be read"), _coverage),
    Section("identity", marked("Whether it was the patient"), _identity),
    Section("conditions", marked("Conditions compared"), conditions_section),
    Section("missing", marked("How much the unseen time could matter"), missing_section),
    Section("multiverse", marked("What the conclusion hangs on"), _multiverse),
    Section("plan", marked("Planned and not planned"), _plan),
    Section("patients", marked("Who the patients are, and whether it matters"), fill_patients),
    Section("trends", marked("Change over the weeks"), trends_section),
    Section("events", marked("Around events"), _events),
    Section("adaptation", marked("Adapted to raters"), _adapted),
    Section("scales", marked("Scales, filled in by the machine"), _scales),
    Section("methods", marked("Methods"), _methods),
    Section("details", marked("Settings, versions, warnings and errors"), _details),
)
