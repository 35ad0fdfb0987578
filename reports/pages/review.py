"""The page for checking one session: the video beside the timeline.

It plays the annotated copy. The recording itself shows all people, and its path may contain a name, so the
page contains the path only on request.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from pipeline.store.coverage import LIKELY, Span, spans, summarize
from pipeline.store.timeline import Timeline, reading_digest
from reports.assets import INLINE, MEDIA, PLAYER_FILES
from reports.errors import ReportError
from reports.figures.resampling import FIGURE_STEPS_S, MAX_FIGURE_STEPS, cut, step_length
from reports.figures.session import expression_figure
from reports.outdated import made_of
from reports.pages.player import marker_values, played
from reports.render import render, write_page
from reports.session_data import Film
from reports.words import formatting as words
from reports.words.formatting import command_line, milliseconds
from reports.words.labels import EMOTION_WORDS, STATUS_WORDS, in_words
from reports.words.language import ENGLISH, Language, marked

MIN_STRETCH_S = 2.0
"""Shorter ones are not listed."""

_FIGURE_PX = 300
"""Low enough that a screen holds it together with the video."""


def write_review_page(
    timeline: Timeline,
    path: Path,
    *,
    blur: str | None,
    face_threshold: float,
    recording: Sequence[Film] = (),
    language: Language = ENGLISH,
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
            f"{path.parent}: holds no annotated copy of this timeline; run review without --no-video, "
            "or add --original to play the recording itself, which shows everybody."
        )
    # DIR/review/PATIENT/SESSION.html
    folder = path.resolve().parents[2].name
    return write_page(
        path, review_page(timeline, blur, face_threshold, recording, folder, language, sound=sound)
    )


def review_page(
    timeline: Timeline,
    blur: str | None,
    face_threshold: float,
    recording: Sequence[Film],
    folder: str,
    language: Language = ENGLISH,
    *,
    sound: bool = False,
) -> Markup:
    """The page as HTML.

    :param folder: name of the results folder, for the commands that the page names.
    """
    summary = summarize(timeline)
    copy = Film(f"{quote(summary.session_id)}.mp4", 0.0)
    films = [copy] if blur else recording
    duration_s = float(timeline.metadata["video"]["duration_s"])
    step_s = step_length(duration_s, FIGURE_STEPS_S, MAX_FIGURE_STEPS)
    expression = expression_figure(cut(timeline, step_s), language)
    expression["layout"]["height"] = _FIGURE_PX
    stretches = [_moment(span) for span in spans(timeline) if _is_long(span)]
    return render(
        "review.html",
        language,
        summary=summary,
        blur=blur,
        face_threshold=face_threshold,
        settings=timeline.metadata["settings"],
        films=films,
        recording=recording,
        sound=sound,
        stretches=stretches,
        min_stretch_s=MIN_STRETCH_S,
        step_s=step_s,
        expression=expression,
        data=_data(timeline, films, [(one["start_ms"], one["end_ms"]) for one in stretches], language),
        markers=marker_values(timeline, folder, language),
        software_version=timeline.metadata["software_version"],
        timelines=made_of({(summary.patient_id, summary.session_id): reading_digest(timeline)}),
        review_command=command_line("emonext", "review", folder, summary.patient_id, summary.session_id),
        **INLINE.of_page(with_figures=True, own=PLAYER_FILES, media=MEDIA),
    )


def _is_long(span: Span) -> bool:
    # times are binary fractions: ten samples of 0.2 s can come out a hair under two seconds
    return round(span.end_s - span.start_s, 6) >= MIN_STRETCH_S


def _moment(span: Span) -> dict[str, Any]:
    """:returns: the span, and where it begins and ends as the script counts."""
    return {"span": span, "start_ms": milliseconds(span.start_s), "end_ms": milliseconds(span.end_s)}


def _data(
    timeline: Timeline, films: Sequence[Film], stops_ms: Sequence[tuple[int, int]], language: Language
) -> dict[str, Any]:
    """What the script needs: the files, and of each sample its time and what is said of it."""
    rows, looks = timeline.rows, {kind: in_words(table, language) for kind, table in _LOOKS.items()}
    return {
        "films": played(films),
        "stops_ms": stops_ms,
        "step_ms": 0,
        "plays": False,
        "words": in_words(SCRIPT_WORDS, language),
        "said_ms": [milliseconds(time_s) for time_s in rows["time_s"]],
        "said": [_said(row, looks, language) for row in rows.iter_rows(named=True)],
    }


SCRIPT_WORDS = {"sample": marked("sample {number}")}
"""What the page's script shows; it replaces the names in braces."""

_LOOKS = {
    "status": STATUS_WORDS,
    "emotion": EMOTION_WORDS,
    "moving": {"speaking": marked("speaking"), "chewing": marked("chewing")},
}


def _said(row: dict[str, Any], looks: Mapping[str, Mapping[str, str]], language: Language) -> str:
    if row["emotion"] is None:
        return looks["status"][row["status"]]
    sure = words.share_text(row[f"p_{row['emotion']}"], 1.0, language)
    said = f"{words.sentence(looks['emotion'][row['emotion']])} {sure}"
    return ", ".join(
        [said, *(word for state, word in looks["moving"].items() if (row[state] or 0) >= LIKELY)]
    )
