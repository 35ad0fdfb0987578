"""The page of one patient over all sessions, for carers: plain words, then figures, then details.

Drawn only from the summaries, so that it stays fast and short with hundreds of sessions.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any

import polars as pl
from markupsafe import Markup

import pipeline.analysis.longitudinal as over_time
from pipeline.analysis import history_parts
from pipeline.analysis.history_parts import Part
from pipeline.analysis.longitudinal import DAYTIMES, PatientHistory, SessionPoint, Slot
from pipeline.analysis.summaries import CARE_READINGS, CORRECTED, RAW, Number
from pipeline.records import UNSURE
from reports.assets import INLINE, MARKS_FILE, Assets
from reports.figures.patient import (
    Mark,
    balance_figure,
    beside_figure,
    condition_symbols,
    conditions_figure,
    part_marks,
    session_marks,
    shares_figure,
    visit_link,
)
from reports.pages.sections import Section, render_sections
from reports.render import render
from reports.words import dates
from reports.words import formatting as words
from reports.words import patient as patient_words
from reports.words.labels import (
    EMOTION_COLOURS,
    EMOTION_ORDER,
    EMOTION_WORDS,
    GROUP_COLOURS,
    GROUP_WORDS,
    in_words,
)
from reports.words.language import Language, marked

MAX_SIDE_BY_SIDE = 60
"""With more sessions, weeks or months are shown side by side, and the list is folded by month."""

MIN_SHOWN = 3
"""Minimum number of sessions for a field of the table of days and times."""

EVEN = 0.03
"""A balance that differs by less from the person's usual one is shown as usual."""


ALL = "list"
"""Anchor of the list that is not folded."""


def patient_page(
    history: PatientHistory,
    language: Language,
    about: Mapping[str, Any],
    comparisons: pl.DataFrame | None = None,
    assets: Assets = INLINE,
) -> Markup:
    """The page as HTML.

    :param about: ``version`` of the software and ``settings`` of the summaries, for the details.
    :param comparisons: ``summaries/conditions.parquet``; none where it was not made.
    """
    differences = over_time.against_reference(comparisons, history.patient_id)
    said = patient_words.findings(history, differences, language)
    return render(
        "patient.html",
        language,
        patient_id=history.patient_id,
        unsure=sum(visit.identity == "to_check" for visit in history.visits),
        answer=patient_words.answer(history, language),
        usual=_usual(history, language),
        said=said,
        is_corrected=history.reading == CORRECTED,
        sections=render_sections(SECTIONS, "patient", history, language, about=about),
        software_version=about["version"],
        **assets.of_page(with_figures=bool(history.seen), own=[MARKS_FILE] if history.seen else ()),
    )


def _usual(history: PatientHistory, language: Language) -> list[tuple[str, list[dict[str, Any]]]]:
    """For each reading its name and the parts of a usual session, which add up to 1."""
    titles = {"raw": language.gettext("As it was read"), "corrected": language.gettext("Corrected")}
    groups = in_words(GROUP_WORDS, language)
    found = []
    for reading in history.readings:
        parts, start = [], 0.0
        for of, label in groups.items():
            mean = _mean(history.seen, of, reading)
            if mean is not None:
                look = {"of": of, "label": label, "colour": GROUP_COLOURS[of]}
                parts.append(look | {"share": mean.value, "start": start})
                start += mean.value
        found.append((titles[reading], parts))
    return found


def _balance(history: PatientHistory, language: Language) -> Mapping[str, Any] | None:
    if not history.seen:
        return None
    symbols = {
        patient_words.condition_label(name, history.reference, language)
        if name
        else language.gettext("no kind given"): symbol
        for name, symbol in condition_symbols(history).items()
    }
    return {
        "figure": balance_figure(session_marks(history, history.reading, language), language),
        "symbols": symbols,
        "visits": _rows(history.visits, history, language) if len(history.visits) <= MAX_SIDE_BY_SIDE else [],
        "too_little": len(history.visits) - len(history.seen),
        "smoothed": len(history.seen) >= over_time.MIN_SMOOTHED,
        "dated": history.dated,
    }


def _shares(history: PatientHistory, language: Language) -> Mapping[str, Any] | None:
    if not history.visits:
        return None
    kind, found, links = _parts(history)
    return {
        "figure": shares_figure(kind, found, links, language),
        "kind": kind,
        "groups": list(in_words(GROUP_WORDS, language).items()),
        "group_colours": GROUP_COLOURS,
        "rows": [
            {
                "label": patient_words.part_label(kind, part, language),
                "link": link,
                "sessions": part.sessions,
                "coverage": words.share_text(part.observed_s, part.duration_s, language),
                "shares": [
                    words.share_text(part.shares[of], 1, language) if of in part.shares else None
                    for of in GROUP_WORDS
                ],
            }
            for part, link in zip(found, links, strict=True)
        ],
        "seen": bool(history.seen),
    }


def _parts(history: PatientHistory) -> tuple[str, tuple[Part, ...], list[str]]:
    """What stands side by side, and where each leads: to its page, or into the list."""
    kind, found = history_parts.parts(history, MAX_SIDE_BY_SIDE)
    folded = _is_folded(history)
    return (
        kind,
        found,
        [visit_link(p.first) if kind == "session" else f"#{_fold(p.first, folded)}" for p in found],
    )


def _times(history: PatientHistory, language: Language) -> Mapping[str, Any] | None:
    found = over_time.by_weekday_and_daytime(history)
    if not found:
        return None
    times = [name for name in DAYTIMES if any(slot == name for _, slot in found)]
    return {
        "times": [patient_words.daytime_text(name, language) for name in times],
        "rows": [
            (dates.weekday(day, language).capitalize(), [_cell(found.get((day, name))) for name in times])
            for day in range(7)
            if any(weekday == day for weekday, _ in found)
        ],
        "min_shown": MIN_SHOWN,
        "without_time": sum(not visit.time_known for visit in history.visits),
    }


def _cell(slot: Slot | None) -> dict[str, Any] | None:
    """How a field of the table looks: towards positive or negative, and how strongly."""
    if slot is None:
        return None
    shown = slot.against_usual if slot.seen >= MIN_SHOWN else None
    towards = None if shown is None else (shown > EVEN) - (shown < -EVEN)
    return {
        "sessions": slot.sessions,
        "towards": towards,
        "strength": 0.0 if shown is None else min(0.15 + 2 * abs(shown), 0.7),
    }


def _conditions(history: PatientHistory, language: Language) -> Mapping[str, Any] | None:
    """In the raw reading: the correction is made from sessions of the reference, so it favours them."""
    found = over_time.conditions(history)
    means = {
        name: {of: mean for of in ("positive", "negative") if (mean := _mean(visits, of, RAW)) is not None}
        for name, visits in found.items()
    }
    if len(found) < 2 or not any(means.values()):
        return None
    labels = {name: patient_words.condition_label(name, history.reference, language) for name in found}
    return {
        "is_corrected": history.reading == CORRECTED,
        "figure": conditions_figure(found, labels, language),
        "rows": [
            {
                "label": labels[name],
                "sessions": len(visits),
                "seen": sum(visit.enough for visit in visits),
                "positive": patient_words.with_interval(means[name].get("positive"), language),
                "negative": patient_words.with_interval(means[name].get("negative"), language),
            }
            for name, visits in found.items()
        ],
    }


def _mean(visits: tuple[SessionPoint, ...], of: str, reading: str | None = None) -> Number | None:
    return over_time.mean_of(over_time.shares_of(visits, of, reading))


def _baseline(history: PatientHistory, language: Language) -> Mapping[str, Any] | None:
    if not history.seen:
        return None
    both = [visit for visit in history.seen if CORRECTED in visit.balance]
    if not both:
        return {"figure": None, "is_corrected": False}
    looks = in_words(EMOTION_WORDS, language)
    groups = in_words(GROUP_WORDS, language)
    lines = [
        ("positive", groups["positive"], GROUP_COLOURS["positive"]),
        ("negative", groups["negative"], GROUP_COLOURS["negative"]),
    ]
    lines += [(name, looks[name].capitalize(), EMOTION_COLOURS[name]) for name in EMOTION_ORDER]
    return {
        "figure": beside_figure({name: _marks(history, name, language) for name in CARE_READINGS}, language),
        "is_corrected": history.reading == CORRECTED,
        "sessions": len(both),
        "rows": [
            (
                label,
                colour,
                [
                    patient_words.with_interval(_mean(tuple(both), of, reading), language)
                    for reading in CARE_READINGS
                ],
            )
            for of, label, colour in lines
        ],
    }


def _marks(history: PatientHistory, reading: str, language: Language) -> list[Mark]:
    """Of the sessions that have both readings; of many sessions, by week or month."""
    both = replace(history, visits=tuple(visit for visit in history.seen if CORRECTED in visit.balance))
    kind, found, links = _parts(both)
    if kind == "session":
        return session_marks(both, reading, language)
    return part_marks(kind, found, links, reading, language)


def _sessions(history: PatientHistory, language: Language) -> Mapping[str, Any]:
    folded = _is_folded(history)
    newest_first = reversed(history.visits)
    folds = [
        (fold, list(group)) for fold, group in groupby(newest_first, key=lambda visit: _fold(visit, folded))
    ]
    return {
        "folds": [
            (fold, _fold_title(visits, history, language), _rows(visits, history, language))
            for fold, visits in folds
        ],
        "folded": folded,
        "conditions": any(visit.condition for visit in history.visits),
        "timed": any(visit.recorded_at for visit in history.visits),
    }


def _is_folded(history: PatientHistory) -> bool:
    return history.dated and len(history.visits) > MAX_SIDE_BY_SIDE


def _fold(visit: SessionPoint, folded: bool) -> str:
    """Where the list's part of the session begins."""
    return f"m{visit.recorded_at:%Y-%m}" if folded else ALL


def _fold_title(visits: list[SessionPoint], history: PatientHistory, language: Language) -> str:
    first = visits[0].recorded_at
    if first is None or not history.dated:
        return language.gettext("All sessions")
    return dates.month(first, language).capitalize()


def _rows(visits: Any, history: PatientHistory, language: Language) -> list[dict[str, Any]]:
    return [
        {
            "id": visit.session_id,
            "link": visit_link(visit),
            "when": "" if visit.recorded_at is None else dates.short_moment(visit.recorded_at, language),
            "condition": visit.condition
            and patient_words.condition_label(visit.condition, history.reference, language),
            "part": visit.observed_s / visit.duration_s if visit.duration_s else 0.0,
            "read": words.share_text(visit.observed_s, visit.duration_s, language),
            "enough": visit.enough,
            "balance": patient_words.balance_text(visit.own_balance, language),
            "shares": [_share(visit, of, language) for of in ("positive", "neutral", "negative")],
        }
        for visit in visits
    ]


def _share(visit: SessionPoint, of: str, language: Language) -> str:
    found = visit.own_shares.get(of)
    return "–" if found is None else words.share_text(found.value, 1, language)


def _about(history: PatientHistory, _: Language) -> Mapping[str, Any]:
    return {
        "sessions": len(history.visits),
        "sure": sum(visit.identity not in UNSURE for visit in history.visits),
    }


def _details(_: PatientHistory, language: Language) -> Mapping[str, Any]:
    return {
        "limits": over_time,
        "daytimes": [
            (patient_words.daytime_text(name, language), f"{start}:00–{end}:00")
            for name, (start, end) in DAYTIMES.items()
        ],
    }


SECTIONS = (
    Section("balance", marked("Positive and negative, session by session"), _balance),
    Section("shares", marked("What was seen, and how much of it"), _shares),
    Section("conditions", marked("Music and other kinds of session"), _conditions),
    Section("times", marked("Days and times"), _times),
    Section("baseline", marked("Beside this person’s own calm face"), _baseline),
    Section("sessions", marked("All sessions"), _sessions),
    Section("about", marked("About this report"), _about),
    Section("details", marked("How it was made"), _details),
)
