"""The page for checking one session: the video beside the timeline.

It plays the annotated copy. The recording itself shows all people, and its path may contain a name, so the
page contains the path only on request.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from pipeline.store.coverage import LIKELY, Span, spans, summarize
from pipeline.store.timeline import Timeline
from reports.errors import ReportError
from reports.figures.resampling import FIGURE_STEPS_S, MAX_FIGURE_STEPS, cut, step_length
from reports.figures.session import expression_figure
from reports.render import content_policy, render, review_script, scripts, style, write_page
from reports.words.labels import EMOTION_WORDS, STATUS_WORDS
from reports.words.language import ENGLISH

MIN_STRETCH_S = 2.0
"""Shorter ones are not listed."""

_FIGURE_PX = 300
"""Low enough that a screen holds it together with the video."""


@dataclass(frozen=True)
class Film:
    """A file that the page plays or leads to.

    :param url: relative to the page, or absolute.
    :param start_s: the recording's time at which it begins.
    """

    url: str
    start_s: float


def write_review_page(
    timeline: Timeline,
    path: Path,
    *,
    blur: str | None,
    face_threshold: float,
    recording: Sequence[Film] = (),
    sound: bool = False,
) -> Path:
    """Writes the page; returns its path.

    :param path: beside the annotated copy, which is named after the session.
    :param blur: whose faces are blurred in the copy: ``others``, ``all`` or ``none``; without a copy, none.
    :param face_threshold: what the detector was less sure of is no face to it, 0…1.
    :param recording: the recording's own files, where the page may lead to them.
    :param sound: whether the copy has the recording's sound.
    :raises ReportError: there is nothing to play.
    :raises pipeline.errors.OutputError: it can't be written.
    """
    if blur is None and not recording:
        raise ReportError(
            f"{path.parent}: holds no annotated copy of this timeline; leave out --no-video, "
            "or add --original to play the recording itself, which shows everybody."
        )
    return write_page(path, review_page(timeline, blur, face_threshold, recording, sound=sound))


def review_page(
    timeline: Timeline,
    blur: str | None,
    face_threshold: float,
    recording: Sequence[Film],
    *,
    sound: bool = False,
) -> Markup:
    """The page as HTML."""
    summary = summarize(timeline)
    copy = Film(f"{quote(summary.session_id)}.mp4", 0.0)
    films = [copy] if blur else recording
    duration_s = float(timeline.metadata["video"]["duration_s"])
    step_s = step_length(duration_s, FIGURE_STEPS_S, MAX_FIGURE_STEPS)
    expression = expression_figure(cut(timeline, step_s), ENGLISH)
    expression["layout"]["height"] = _FIGURE_PX
    page_scripts = (*scripts(), review_script())
    return render(
        "review.html",
        ENGLISH,
        summary=summary,
        blur=blur,
        face_threshold=face_threshold,
        settings=timeline.metadata["settings"],
        films=films,
        recording=recording,
        sound=sound,
        stretches=[_moment(span) for span in spans(timeline) if _is_long(span)],
        min_stretch_s=MIN_STRETCH_S,
        step_s=step_s,
        expression=expression,
        data=_data(timeline, films),
        software_version=timeline.metadata["software_version"],
        policy=content_policy(page_scripts, "'self' file:"),
        style=style(),
        scripts=page_scripts,
    )


def _is_long(span: Span) -> bool:
    # times are binary fractions: ten samples of 0.2 s can come out a hair under two seconds
    return round(span.end_s - span.start_s, 6) >= MIN_STRETCH_S


def _moment(span: Span) -> dict[str, Any]:
    """:returns: the span, and where it begins and ends as the script counts."""
    return {"span": span, "start_ms": _milliseconds(span.start_s), "end_ms": _milliseconds(span.end_s)}


def _data(timeline: Timeline, films: Sequence[Film]) -> dict[str, Any]:
    """What the script needs: the files, and of each sample its time and what is said of it."""
    rows = timeline.rows
    return {
        "films": [{"url": film.url, "start_ms": _milliseconds(film.start_s)} for film in films],
        "sample_ms": [_milliseconds(time_s) for time_s in rows["time_s"]],
        "said": [_said(row) for row in rows.iter_rows(named=True)],
    }


def _said(row: dict[str, Any]) -> str:
    if row["emotion"] is None:
        return STATUS_WORDS[row["status"]]
    said = f"{EMOTION_WORDS[row['emotion']].capitalize()} {100 * row['p_' + row['emotion']]:.0f} %"
    return ", ".join([said, *(state for state in ("speaking", "chewing") if (row[state] or 0) >= LIKELY)])


def _milliseconds(time_s: float) -> int:
    """Rounded up: a hair before its time a video still shows the picture before."""
    return ceil(round(1000 * time_s, 3))
