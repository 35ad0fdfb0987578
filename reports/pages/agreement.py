"""The page of agreement between raters and the machine, with links to disagreements."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from pipeline.agreement.results import (
    Agreement,
    Comparison,
    Disagreement,
    RatedTime,
)
from pipeline.agreement.states import MACHINE
from pipeline.agreement.time_grid import BLOCK_S, FEW_SESSIONS
from pipeline.records import Ids
from reports.outdated import made_of
from reports.render import content_policy, render, style, write_page
from reports.words import agreement as words
from reports.words.formatting import command_line, count_text
from reports.words.labels import EMOTION_ORDER, in_words
from reports.words.language import ENGLISH, Language, marked
from reports.words.reasons import result_reason

LEVEL_TITLES = {
    "groups": marked("Positive, neutral, negative"),
    "emotions": marked("Seven expressions"),
}

LISTED = 100
"""Maximum number of disagreements on the page; the table has all."""

_LABEL_ORDER = ("positive", "negative", *EMOTION_ORDER, "none")

_BEFORE_S = 2.0
"""A review link begins this long before a disagreement, s."""


def write_agreement_page(
    found: Agreement,
    path: Path,
    review: Path,
    language: Language = ENGLISH,
    digests: Mapping[Ids, str] = MappingProxyType({}),
) -> Path:
    """Writes the page; returns its path.

    :param path: in a folder of the study beside ``review``.
    :param review: the folder of review pages: what has one is linked.
    :param digests: of :func:`pipeline.results.derive.coding_digests`, of the compared sessions.
    :raises pipeline.errors.OutputError: it can't be written.
    """
    folder = path.absolute().parent.parent.name
    return write_page(path, agreement_page(found, review, language, digests, folder))


def agreement_page(
    found: Agreement,
    review: Path,
    language: Language = ENGLISH,
    digests: Mapping[Ids, str] = MappingProxyType({}),
    folder: str = "DIR",
) -> Markup:
    """The page as HTML."""
    leading = [one for one in found.comparisons if _is_leading(one)]
    shown = [one for one in found.disagreements if one.first in (MACHINE, *found.people)]
    titles = in_words(LEVEL_TITLES, language)
    name = partial(words.reader_name, language=language)
    return render(
        "agreement.html",
        language,
        found=found,
        timelines=made_of(digests),
        command=command_line("emonext", "agree", folder),
        answer=words.lead(found, language),
        levels=[
            (level, title, [one for one in found.comparisons if one.level == level])
            for level, title in titles.items()
        ],
        level_words=in_words(words.LEVEL_WORDS, language),
        clip_levels=[
            (title, [one for one in found.clips.comparisons if one.level == level] if found.clips else [])
            for level, title in titles.items()
        ],
        more_clips=partial(words.more_clips, found.clips, language=language),
        ends=partial(words.ends, language=language),
        cluster_words=words.units_text(found.clips, language),
        several=found.several,
        details=[one for one in found.comparisons if one.first.kind != "samples" or one in leading],
        listed=[_listed(one, review) for one in shown[:LISTED]],
        more=len(shown) - LISTED,
        coverage=_mean([coverage for _, _, coverage in found.sessions]),
        block_s=BLOCK_S,
        few=FEW_SESSIONS,
        ordered=_ordered,
        label_words=in_words(words.LABEL_WORDS, language),
        reader=name,
        readers=lambda names: " · ".join(map(name, names)),
        why=lambda one: result_reason(one.why, language),
        number=partial(words.number, language=language),
        interval=partial(words.interval, language=language),
        between=partial(words.between, language=language),
        place=_place,
        percent=partial(words.percent, language=language),
        policy=content_policy(),
        style=style(),
    )


def rated_lines(found: Agreement) -> list[str]:
    """How much each rater rated and coded, one line each; in English, for the command line."""
    return [f"{one.rater}: {_rated(one)}" for one in found.rated]


def _rated(one: RatedTime) -> str:
    unusable = f"no usable code in {count_text(one.unusable, 'session')}" if one.unusable else ""
    if not one.sessions:
        return f"– ({unusable})"
    stated = "as stated" if one.is_stated else "from the first code to the last where nothing says otherwise"
    sessions = count_text(one.sessions, "session")
    said = f"rated {one.rated_s:,.0f} s of {sessions} ({stated}), coded {one.coded_s:,.0f} s"
    return f"{said}; {unusable}" if unusable else said


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


def _place(value: float) -> str:
    """Where on a line from −0.2 to 1, in per cent of its length."""
    return f"{100 * (min(max(value, -0.2), 1.0) + 0.2) / 1.2:.2f}%"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
