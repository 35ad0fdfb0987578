"""The page of one session: an ordered list of named sections."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pipeline.records import EMOTIONS
from pipeline.summary import Span, Summary
from pipeline.timeline import Timeline
from reports import words
from reports.figures import expression_figure, valence_figure
from reports.language import ENGLISH, Language, marked
from reports.look import EMOTION_COLOURS, EMOTION_ORDER, EMOTION_WORDS, INK, STATUS_WORDS, in_words
from reports.reasons import reason_text
from reports.render import content_policy, render, scripts, style, write_page
from reports.series import (
    FIGURE_STEPS_S,
    MAX_FIGURE_STEPS,
    MAX_TABLE_STEPS,
    TABLE_STEPS_S,
    Steps,
    cut,
    step_length,
)

MIN_SPAN_S = 1.0
MAX_SPANS = 20
"""Unseen stretches shorter than the one are counted, not listed; of more than the other, the longest are."""


@dataclass(frozen=True)
class Section:
    """One section of the page.

    :param name: where links lead to, and part of its template's name.
    :param fill: timeline, summary and language → what the template ``section_<name>.html`` shows.
    """

    name: str
    title: str
    fill: Callable[[Timeline, Summary, Language], Mapping[str, Any]]


@dataclass(frozen=True)
class Bar:
    """One row of a table of times.

    :param seconds: of the observed time.
    """

    label: str
    seconds: float
    colour: str


@dataclass(frozen=True)
class Slot:
    """One row of the table that says the same as the timeline's figure.

    :param emotion: the one that led for longest; none where too little was read. ``emotion_s``: for how long.
    """

    start_s: float
    end_s: float
    seen_s: float
    emotion: str | None
    emotion_s: float
    valence: float


def write_session_report(
    timeline: Timeline, summary: Summary, path: Path, language: Language = ENGLISH
) -> Path:
    """Writes the page of one session; returns its path.

    :raises pipeline.errors.OutputError: it can't be written.
    """
    return write_page(path, session_page(timeline, summary, language))


def session_page(timeline: Timeline, summary: Summary, language: Language) -> Markup:
    """The page of one session as HTML."""
    page_scripts = scripts() if summary.observed_s else ()
    return render(
        "session.html",
        language,
        summary=summary,
        answer=words.answer(summary, language),
        sections=[
            (section.name, language.word(section.title), _body(section, timeline, summary, language))
            for section in SECTIONS
        ],
        software_version=timeline.metadata["software_version"],
        policy=content_policy(page_scripts),
        style=style(),
        scripts=page_scripts,
    )


def _body(section: Section, timeline: Timeline, summary: Summary, language: Language) -> Markup:
    return render(f"section_{section.name}.html", language, **section.fill(timeline, summary, language))


def _coverage(timeline: Timeline, summary: Summary, _: Language) -> dict[str, Any]:
    parts, start = [], 0.0
    for status in STATUS_WORDS:
        seconds = summary.status_s[status]
        if seconds > 0:
            share = seconds / summary.duration_s
            parts.append({"status": status, "seconds": seconds, "start": start, "share": share})
            start += share
    return {"parts": parts, "summary": summary, "lost_s": timeline.metadata["seconds_lost"]}


def _timeline(timeline: Timeline, summary: Summary, language: Language) -> dict[str, Any]:
    duration_s = summary.duration_s
    step_s = step_length(duration_s, FIGURE_STEPS_S, MAX_FIGURE_STEPS)
    steps = cut(timeline, step_s)
    slots = cut(timeline, step_length(duration_s, TABLE_STEPS_S, MAX_TABLE_STEPS))
    return {
        "summary": summary,
        "step_s": step_s,
        "expression": expression_figure(steps, language),
        "valence": valence_figure(steps, language),
        "order": EMOTION_ORDER,
        "slots": [_slot(slots, index) for index in range(len(slots.seen_s))],
    }


def _slot(slots: Steps, index: int) -> Slot:
    start_s, end_s, seen_s = slots.edges_s[index], slots.edges_s[index + 1], slots.seen_s[index]
    best = int(slots.emotion_s[index].argmax())
    enough = seen_s >= words.MIN_COVERAGE * (end_s - start_s)
    return Slot(
        start_s=float(start_s),
        end_s=float(end_s),
        seen_s=float(seen_s),
        emotion=EMOTIONS[best] if enough else None,
        emotion_s=float(slots.emotion_s[index, best]),
        valence=float(slots.valence[index]),
    )


def _shares(_: Timeline, summary: Summary, language: Language) -> dict[str, Any]:
    looks = in_words(EMOTION_WORDS, language)

    def emotion(name: str) -> Bar:
        return Bar(looks[name].capitalize(), summary.emotion_s[name], EMOTION_COLOURS[name])

    groups = [
        Bar(language.gettext("Positive (happy)"), summary.positive_s, INK),
        Bar(language.gettext("Neutral"), summary.neutral_s, INK),
        Bar(language.gettext("Negative (sad, afraid, angry or disgusted)"), summary.negative_s, INK),
        Bar(language.gettext("None of these (surprised)"), summary.emotion_s["surprise"], INK),
    ]
    return {
        "summary": summary,
        "too_little": words.seen_too_little(summary),
        "tables": [
            (language.gettext("By expression"), [emotion(name) for name in EMOTION_ORDER]),
            (language.gettext("Taken together"), groups),
        ],
    }


def _unseen(_timeline: Timeline, summary: Summary, _language: Language) -> dict[str, Any]:
    long = [span for span in summary.unseen if _length_s(span) >= MIN_SPAN_S]
    longest = sorted(long, key=_length_s, reverse=True)[:MAX_SPANS]
    short = [span for span in summary.unseen if _length_s(span) < MIN_SPAN_S]
    return {
        "spans": sorted(longest, key=lambda span: span.start_s),
        "left_out": len(long) - len(longest),
        "left_out_s": sum(map(_length_s, long)) - sum(map(_length_s, longest)),
        "short": len(short),
        "short_s": sum(map(_length_s, short)),
        "gap_s": summary.status_s["gap"],
    }


def _length_s(span: Span) -> float:
    # Times are binary fractions: a stretch of five samples of 0.2 s can come out a hair under a second.
    return round(span.end_s - span.start_s, 6)


def _about(timeline: Timeline, _summary: Summary, language: Language) -> dict[str, Any]:
    patient = timeline.metadata["patient"]
    return {"patient": patient, "reason": reason_text(patient["reason"], language)}


def _details(timeline: Timeline, summary: Summary, language: Language) -> dict[str, Any]:
    metadata = timeline.metadata
    return {
        "metadata": metadata,
        "video": metadata["video"],
        "weights": metadata["weights"],
        "settings": metadata["settings"],
        "flat_settings": _flat(metadata["settings"]),
        "summary": summary,
        "samples": timeline.rows.height,
        "warnings": [reason_text(warning, language) for warning in metadata["warnings"]],
        "reason": reason_text(metadata["patient"]["reason"], language),
    }


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"quality": {"max_yaw": 60}}`` → ``{"quality.max_yaw": 60}``."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return flat


SECTIONS = (
    Section("coverage", marked("How much could be seen"), _coverage),
    Section("timeline", marked("The expression over time"), _timeline),
    Section("shares", marked("How long each expression was seen"), _shares),
    Section("unseen", marked("When the face could not be read"), _unseen),
    Section("about", marked("About this report"), _about),
    Section("details", marked("Technical details"), _details),
)
