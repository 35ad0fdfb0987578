"""The page of agreement between raters and the machine, with links to disagreements."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from pipeline.agreement.results import (
    Agreement,
    ClipAgreement,
    ClipComparison,
    Comparison,
    Disagreement,
    RatedTime,
    StateComparison,
)
from pipeline.agreement.states import MACHINE
from pipeline.agreement.time_grid import BLOCK_S, FEW_SESSIONS
from pipeline.records import STATES
from pipeline.stats.reliability import Figure
from pipeline.stats.weighted_share import WeightedShare
from reports.render import content_policy, render, style, write_page
from reports.words import formatting as words
from reports.words.labels import EMOTION_ORDER, EMOTION_WORDS
from reports.words.language import ENGLISH

LEVEL_TITLES = {"groups": "Positive, neutral, negative", "emotions": "Seven expressions"}

LISTED = 100
"""Maximum number of disagreements on the page; the table has all."""

LABEL_WORDS = {
    **EMOTION_WORDS,
    "positive": "positive",
    "negative": "negative",
    "none": "no label",
    **{word: word for state in STATES for word in (state, f"not {state}")},
}

_LABEL_ORDER = ("positive", "negative", *EMOTION_ORDER, "none")

# Kappas on expressions in the first sentence.
_TOLD = 4

_BEFORE_S = 2.0
"""A review link begins this long before a disagreement, s."""


def write_agreement_page(found: Agreement, path: Path, review: Path) -> Path:
    """Writes the page; returns its path.

    :param path: in a folder beside ``review``.
    :param review: the folder of review pages: what has one is linked.
    :raises pipeline.errors.OutputError: it can't be written.
    """
    return write_page(path, agreement_page(found, review))


def agreement_page(found: Agreement, review: Path) -> Markup:
    """The page as HTML."""
    leading = [one for one in found.comparisons if _is_leading(one)]
    shown = [one for one in found.disagreements if one.first in (MACHINE, *found.people)]
    return render(
        "agreement.html",
        ENGLISH,
        found=found,
        answer=lead(found),
        levels=[
            (level, title, [one for one in found.comparisons if one.level == level])
            for level, title in LEVEL_TITLES.items()
        ],
        clip_levels=[
            (title, [one for one in found.clips.comparisons if one.level == level] if found.clips else [])
            for level, title in LEVEL_TITLES.items()
        ],
        more_clips=partial(_more_clips, found.clips),
        ends=_ends,
        cluster_words=ENGLISH.listed(_clusters(found.clips)),
        several=found.several,
        details=[one for one in found.comparisons if one.first.kind != "samples" or one in leading],
        listed=[_listed(one, review) for one in shown[:LISTED]],
        more=len(shown) - LISTED,
        coverage=_mean([coverage for _, _, coverage in found.sessions]),
        block_s=BLOCK_S,
        few=FEW_SESSIONS,
        ordered=_ordered,
        label_words=LABEL_WORDS,
        number=_number,
        interval=_interval,
        place=_place,
        percent=_percent,
        policy=content_policy(),
        style=style(),
    )


def lead(found: Agreement) -> str:
    """Agreement of the raw reading with each rater, and between raters, on groups and on states."""
    clips = [_clips_lead(found.clips)] if found.clips else []
    if found.clips and not (found.comparisons or found.states):
        return clips[0]
    coarse = [one for one in found.comparisons if one.level == "groups"]
    machine = [one for one in coarse if one.first.kind == "samples" and one.first.reading == "raw"]
    people = [one for one in coarse if one.first.kind == "person"]
    sentences = []
    if found.comparisons:
        kappas = [f"{_kappa(one.kappa)} between {_pair(one)}" for one in [*machine, *people][:_TOLD]]
        sentences.append(
            f"On positive, neutral and negative, kappa is {ENGLISH.listed(kappas) or 'not known'}."
        )
    states = [one for one in found.states if one.first == MACHINE]
    known = [one for one in states if one.kappa.value is not None]
    if known:
        kappas = [f"{_kappa(one.kappa)} on {one.state} (with {one.second})" for one in known]
        sentences.append(f"Between the machine and people, kappa is {ENGLISH.listed(kappas)}.")
    return " ".join([*clips, *sentences, _compared(machine or states)])


def _clips_lead(clips: ClipAgreement) -> str:
    """Of all the readable time of the study: the raw reading with each rater, and raters among themselves."""
    coarse = [one for one in clips.comparisons if one.level == "groups"]
    shown = [one for one in coarse if one.first == MACHINE or not one.first.startswith(MACHINE)]
    if not shown:
        return "No clip has two answers: nothing could be compared."
    told = [
        f"{_share(one.same)} between {'the machine' if one.first == MACHINE else one.first} and {one.second}"
        for one in shown[:_TOLD]
    ]
    return (
        "On positive, neutral and negative, the answers are the same in "
        f"{ENGLISH.listed(told)}, weighted back to the study’s readable time."
    )


def _share(one: WeightedShare) -> str:
    return f"{_percent(one.value)} ({_ends(one)})"


def _ends(one: WeightedShare) -> str:
    return f"{100 * one.low:.0f} to {_percent(one.high)}"


def _more_clips(clips: ClipAgreement | None, one: ClipComparison) -> str:
    """How many more clips halve the interval of the same answers."""
    if one.same.more is None:
        return f"More clips would not halve the interval, because the {one.same.over} differ from each other."
    more = max(round((one.same.more - 1) * one.clips / 10) * 10, 10)
    if clips and clips.drawn + more > clips.of:
        return f"The study’s {clips.of:,} clips are too few to halve the interval."
    return f"About {more:,} more clips would halve the interval of the same answers."


def _clusters(clips: ClipAgreement | None) -> list[str]:
    """The units between which the variances are, the largest first."""
    used = {one.same.over for one in clips.comparisons} if clips else set()
    return [name for name in ("patients", "sessions", "clips") if name in used]


def rated_lines(found: Agreement) -> list[str]:
    """How much each rater rated and coded, one line each."""
    return [f"{one.rater}: {_rated(one)}" for one in found.rated]


def _rated(one: RatedTime) -> str:
    unusable = f"no usable code in {words.count_text(one.unusable, 'session')}" if one.unusable else ""
    if not one.sessions:
        return f"– ({unusable})"
    stated = "as stated" if one.is_stated else "from the first code to the last where nothing says otherwise"
    sessions = words.count_text(one.sessions, "session")
    said = f"rated {one.rated_s:,.0f} s of {sessions} ({stated}), coded {one.coded_s:,.0f} s"
    return f"{said}; {unusable}" if unusable else said


def _pair(one: Comparison) -> str:
    first = "the machine (raw)" if one.first.kind == "samples" else one.first.name
    return f"{first} and {one.second.name}"


def _kappa(figure: Figure) -> str:
    if figure.value is None:
        return figure.why
    span = f" ({_interval(figure)})" if figure.low is not None else ""
    return f"{_number(figure)}{span}"


def _compared(comparisons: Sequence[Comparison | StateComparison]) -> str:
    if not comparisons:
        return "Nothing could be compared."
    most = max(comparisons, key=lambda one: one.seconds)
    sessions = words.count_text(most.sessions, "session")
    part = f", {_percent(most.coverage)} of their time" if isinstance(most, Comparison) else ""
    return f"Compared were {most.seconds:,.0f} s of {sessions}{part}."


def _is_leading(one: Comparison) -> bool:
    """People among themselves, and with the machine's largest probability, raw or corrected."""
    return one.first.kind in ("samples", "person")


def _listed(one: Disagreement, review: Path) -> dict[str, Any]:
    """:returns: it, and where its review begins; none where there is none."""
    page = review / one.patient_id / f"{one.session_id}.html"
    start_s = max(one.start_s - _BEFORE_S, 0.0)
    folder = quote(review.name)
    link = f"../{folder}/{quote(one.patient_id)}/{quote(one.session_id)}.html#t={start_s:g}"
    return {"run": one, "link": link if page.is_file() else None}


def _ordered(one: Comparison) -> Iterator[tuple[int, str]]:
    """Position and label of what either of them used, from top to bottom."""
    used = [
        (place, label)
        for place, label in enumerate(one.labels)
        if sum(one.matrix[place]) + sum(row[place] for row in one.matrix)
    ]
    return iter(sorted(used, key=lambda both: _LABEL_ORDER.index(both[1])))


def _number(figure: Figure, digits: int = 2) -> str:
    return "–" if figure.value is None else words.signed(figure.value, digits, ENGLISH).replace("+", "")


def _interval(figure: Figure) -> str:
    if figure.low is None or figure.high is None:
        return "–"
    ends = (words.signed(end, 2, ENGLISH).replace("+", "") for end in (figure.low, figure.high))
    return " to ".join(ends)


def _place(value: float) -> str:
    """Where on a line from −0.2 to 1, in per cent of its length."""
    return f"{100 * (min(max(value, -0.2), 1.0) + 0.2) / 1.2:.2f}%"


def _percent(part: float | None) -> str:
    return "–" if part is None else words.share_text(part, 1.0, ENGLISH)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
