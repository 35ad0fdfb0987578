"""What each section of a session's page shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl

from pipeline.analysis.highlights import Moment
from pipeline.analysis.summaries import Number
from pipeline.reasons import read_reason, read_reasons
from pipeline.records import EMOTIONS, NEGATIVE, TIME_EPS_S
from pipeline.store.coverage import MIN_COVERAGE, Span, Summary
from reports.figures.resampling import (
    FIGURE_STEPS_S,
    MAX_FIGURE_STEPS,
    MAX_TABLE_STEPS,
    TABLE_STEPS_S,
    Steps,
    cut,
    step_length,
)
from reports.figures.session import expression_figure, valence_figure
from reports.render import data_uri
from reports.session_data import SessionMaterial
from reports.study_data import flat
from reports.words import formatting as words
from reports.words.dates import Clock, clock_of
from reports.words.labels import (
    EMOTION_ORDER,
    EMOTION_WORDS,
    FAULT_WORDS,
    READING_WORDS,
    STATUS_WORDS,
    in_words,
)
from reports.words.language import Language, marked
from reports.words.reasons import reason_text
from reports.words.session import HAPPY_MOMENTS, NEGATIVE_MOMENTS, without_speech
from reports.words.watching import marker_word

MIN_SPAN_S = 1.0
MAX_SPANS = 20
"""Unseen stretches shorter than the one are counted, not listed; of more than the other, the longest are."""

_SHORT_WORDS = {"raw": marked("estimated"), "corrected": marked("own calm face")}
"""The same where there is little room."""

_SURE = ((0.8, marked("very clear")), (0.65, marked("clear")), (0.0, marked("less clear")))
"""From which mean probability on a moment is called how."""


@dataclass(frozen=True)
class Bar:
    """One cell of a table of shares.

    :param seconds: of the observed time. ``share``: of it, 0…1, with its 95 % interval or none.
    """

    seconds: float
    share: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Slot:
    """One row of the table that says the same as the timeline's figure.

    :param emotion: the one that led for longest; none where too little was read. ``emotion_s``: for how long.
    :param resting: whether eyes were shut for long in most of it. ``moving_s``: for how long the person spoke
        or chewed.
    """

    start_s: float
    end_s: float
    seen_s: float
    emotion: str | None
    emotion_s: float
    valence: float
    resting: bool
    moving_s: float


def coverage(material: SessionMaterial, language: Language) -> dict[str, Any]:
    summary = material.summary
    parts, start = [], 0.0
    for status in STATUS_WORDS:
        seconds = summary.status_s[status]
        if seconds > 0:
            share = seconds / summary.duration_s
            parts.append({"status": status, "seconds": seconds, "start": start, "share": share})
            start += share
    metadata = material.timeline.metadata
    undecoded_s = metadata["video"]["missing_s"] + summary.status_s["decode_error"]
    return {
        "parts": parts,
        "summary": summary,
        "left_out": language.listed(material.left_out),
        "resting_s": summary.status_s["eyes_shut"],
        "faults": [(fault, seconds) for fault, seconds in summary.fault_s.items() if seconds > 0],
        "damaged": undecoded_s > 0,
        "without_picture": metadata["seconds_lost"] - undecoded_s > TIME_EPS_S,
    }


def moments(material: SessionMaterial, language: Language) -> dict[str, Any] | None:
    """The clearest ones; none where nothing is known of episodes."""
    if material.facts is None:
        return None
    groups = [
        (language.word(HAPPY_MOMENTS), material.facts.good),
        (language.word(NEGATIVE_MOMENTS), material.facts.hard),
    ]
    return {
        "groups": [(title, [_moment(one, material, language) for one in found]) for title, found in groups],
        "some": bool(material.facts.good or material.facts.hard),
        "time_known": material.is_time_known,
        "review": material.review,
        "pictures": material.pictures,
        "corrected": material.facts.is_corrected,
    }


def _moment(moment: Moment, material: SessionMaterial, language: Language) -> dict[str, Any]:
    jpegs = material.pictures.jpegs if material.pictures else {}
    jpeg = jpegs.get(moment.peak_s)
    return {
        "emotion": moment.emotion,
        "start_s": moment.start_s,
        "lasted_s": moment.end_s - moment.start_s,
        "spoken": Clock(material.recorded_at, language, "second")(moment.start_s),
        "sure": language.word(next(word for least, word in _SURE if moment.mean_p >= least)),
        "picture": jpeg and data_uri(jpeg),
        "is_all_blurred": moment.peak_s in jpegs and jpeg is None,
    }


def timeline(material: SessionMaterial, language: Language) -> dict[str, Any]:
    duration_s = material.summary.duration_s
    step_s = step_length(duration_s, FIGURE_STEPS_S, MAX_FIGURE_STEPS)
    steps = cut(material.timeline, step_s)
    slots = cut(material.timeline, step_length(duration_s, TABLE_STEPS_S, MAX_TABLE_STEPS))
    events = [(event.what, event.time_s) for event in material.events]
    tell = clock_of(events, material.recorded_at, language)
    return {
        "summary": material.summary,
        "unclear": material.is_unclear,
        "left_out": material.left_out,
        "corrected": material.facts is not None and material.facts.is_corrected,
        "step_s": step_s,
        "expression": expression_figure(steps, language, [event.time_s for event in material.events]),
        "valence": valence_figure(steps, language),
        "order": EMOTION_ORDER,
        "spoke": bool(steps.moving_s.any()),
        "slots": [_slot(slots, index) for index in range(len(slots.seen_s))],
        "events": [(tell(time_s), marker_word(what, language), time_s) for what, time_s in events],
    }


def _slot(slots: Steps, index: int) -> Slot:
    start_s, end_s, seen_s = slots.edges_s[index], slots.edges_s[index + 1], slots.seen_s[index]
    best = int(slots.emotion_s[index].argmax())
    enough = seen_s >= MIN_COVERAGE * (end_s - start_s)
    return Slot(
        start_s=float(start_s),
        end_s=float(end_s),
        seen_s=float(seen_s),
        emotion=EMOTIONS[best] if enough else None,
        emotion_s=float(slots.emotion_s[index, best]),
        valence=float(slots.valence[index]),
        resting=bool(slots.resting_s[index] >= (end_s - start_s) / 2),
        moving_s=float(slots.moving_s[index]),
    )


def shares(material: SessionMaterial, language: Language) -> dict[str, Any]:
    looks = in_words(EMOTION_WORDS, language)
    groups = {
        "positive": language.gettext("Positive (happy)"),
        "neutral": language.gettext("Neutral"),
        "negative": language.gettext("Negative (sad, afraid, angry or disgusted)"),
        "surprise": language.gettext("None of these (surprised)"),
    }
    readings = _readings(material)
    tables = [
        (language.gettext("Taken together"), groups),
        (language.gettext("By expression"), {name: looks[name].capitalize() for name in EMOTION_ORDER}),
    ]
    return {
        "summary": material.summary,
        "unclear": material.is_unclear,
        "too_little": not material.enough,
        "readings": [language.word(READING_WORDS[reading]) for reading in readings],
        "short": [language.word(_SHORT_WORDS[reading]) for reading in readings],
        "tables": [
            (title, [(of, label, [bars[of] for bars in readings.values()]) for of, label in rows.items()])
            for title, rows in tables
        ],
        "stacks": [_stacks(material, reading, bars) for reading, bars in readings.items()],
        "intervals": any(bar.low is not None for bars in readings.values() for bar in bars.values()),
        "interval": partial(words.interval_text, language=language),
        "rest_s": material.facts.rest_s if material.facts else 0,
        "without_speech": without_speech(material, language),
    }


def _stacks(
    material: SessionMaterial, reading: str, bars: Mapping[str, Bar]
) -> list[list[tuple[str, float]]]:
    """Emotions and shares: of all time read, and of that without speech and chewing if this is known."""
    numbers = material.facts.numbers if material.facts else {}
    quiet = [
        (name, number.value)
        for name in EMOTION_ORDER
        if (number := numbers.get((reading, "share_without_speech", name)))
    ]
    whole = [(name, bars[name].share) for name in EMOTION_ORDER]
    return [whole, quiet] if len(quiet) == len(whole) else [whole]


def _readings(material: SessionMaterial) -> dict[str, dict[str, Bar]]:
    """By reading, then by emotion or group: ``raw`` always, ``corrected`` where there is one."""
    facts, summary = material.facts, material.summary
    if facts is None or ("raw", "share", "happy") not in facts.numbers:
        return {"raw": _own_bars(summary)}
    readings = ("raw", "corrected") if facts.is_corrected else ("raw",)
    names = (*EMOTION_ORDER, "positive", "negative")
    return {
        reading: {of: _bar(facts.numbers[reading, "share", of], summary.observed_s) for of in names}
        for reading in readings
    }


def _bar(share: Number, observed_s: float) -> Bar:
    return Bar(share.value * observed_s, share.value, share.low, share.high)


def _own_bars(summary: Summary) -> dict[str, Bar]:
    """Without intervals."""
    seconds = {
        **summary.emotion_s,
        "positive": summary.positive_s,
        "negative": sum(summary.emotion_s[name] for name in NEGATIVE),
    }
    observed_s = summary.observed_s
    return {of: Bar(part, part / observed_s if observed_s else 0.0) for of, part in seconds.items()}


def unseen(material: SessionMaterial, language: Language) -> dict[str, Any] | None:
    """The longest stretches; none where nobody was followed because it is not certain who the patient is."""
    if material.is_unclear:
        return None
    summary = material.summary
    long = [span for span in summary.unseen if _length_s(span) >= MIN_SPAN_S]
    longest = sorted(long, key=_length_s, reverse=True)[:MAX_SPANS]
    short = [span for span in summary.unseen if _length_s(span) < MIN_SPAN_S]
    spans = sorted(longest, key=lambda span: span.start_s)
    return {
        "spans": [(span, language.listed(_faults(span, material, language))) for span in spans],
        "left_out": len(long) - len(longest),
        "left_out_s": sum(map(_length_s, long)) - sum(map(_length_s, longest)),
        "short": len(short),
        "short_s": sum(map(_length_s, short)),
        "gap_s": summary.status_s["gap"],
        "resting_s": summary.status_s["eyes_shut"],
    }


def _faults(span: Span, material: SessionMaterial, language: Language) -> list[str]:
    """Why the face was not readable in this stretch, the longest reasons first; empty for another status."""
    if span.status != "low_quality":
        return []
    inside = pl.col("time_s").is_between(span.start_s - TIME_EPS_S, span.end_s - TIME_EPS_S)
    faults = material.timeline.rows.filter(inside)["fault"].cast(pl.String).drop_nulls()
    ordered = faults.value_counts(sort=True)["fault"].to_list()
    return [language.word(FAULT_WORDS[fault]) for fault in ordered]


def _length_s(span: Span) -> float:
    # Times are binary fractions: a stretch of five samples of 0.2 s can come out a hair under a second.
    return round(span.end_s - span.start_s, 6)


def about(material: SessionMaterial, language: Language) -> dict[str, Any]:
    patient = material.timeline.metadata["patient"]
    return {"patient": patient, "reason": reason_text(read_reason(patient["reason"]), language)}


def details(material: SessionMaterial, language: Language) -> dict[str, Any]:
    metadata = material.timeline.metadata
    return {
        "metadata": metadata,
        "video": metadata["video"],
        "weights": metadata["weights"],
        "settings": metadata["settings"],
        "flat_settings": flat(metadata["settings"]),
        "summary": material.summary,
        "samples": material.timeline.rows.height,
        "warnings": [reason_text(reason, language) for reason in read_reasons(metadata["warnings"])],
        "reason": reason_text(read_reason(metadata["patient"]["reason"]), language),
        "in_folder": material.in_folder,
    }
