"""What pages with a video share: the player beside the timeline, and the markers that a person sets there."""

from collections.abc import Sequence
from typing import Any

from pipeline.records import EXCLUDE, MARKER_COLUMNS, recording_id
from pipeline.store.coverage import spans
from pipeline.store.timeline import Timeline
from reports.render import choices_key
from reports.session_data import Film, SessionMaterial
from reports.words.formatting import command_line, milliseconds
from reports.words.labels import EMOTION_WORDS, STATUS_WORDS, in_words
from reports.words.language import Language
from reports.words.watching import CODE_KEYS, CODE_WORDS, MARKER_SCRIPT_WORDS, PLAYER_SCRIPT_WORDS

_STEP_MS = 5000

# An hour has about two thousand stretches; more than these would be as large as the figures.
_MAX_SAID = 8000


def played(films: Sequence[Film]) -> list[dict[str, Any]]:
    """As the script that plays them reads them."""
    return [{"url": film.url, "start_ms": milliseconds(film.start_s)} for film in films]


def marker_values(timeline: Timeline, folder: str, language: Language) -> dict[str, Any]:
    """For ``markers.html``. The browser keeps markers by the recording: they outlive a new timeline.

    :param folder: of the results, as the command names it.
    """
    rows = timeline.rows
    session = {
        "patient_id": rows["patient_id"][0],
        "session_id": rows["session_id"][0],
        "recording": recording_id([file["sha256"] for file in timeline.metadata["video"]["files"]]),
    }
    file = f"markers_{session['patient_id']}_{session['session_id']}.csv"
    words = in_words(CODE_WORDS, language)
    return {
        "file": file,
        "command": command_line("emonext", "events", folder, f"~/Downloads/{file}"),
        "data": {
            "key": choices_key("markers", session),
            "file": file,
            "session": session,
            "codes": [{"code": code, "key": CODE_KEYS[code], "word": words[code]} for code in CODE_WORDS],
            "columns": MARKER_COLUMNS,
            "exclude": EXCLUDE,
            "words": in_words(MARKER_SCRIPT_WORDS, language),
        },
    }


def video(material: SessionMaterial, language: Language) -> dict[str, Any] | None:
    """The section of a session's page; none where it plays nothing."""
    shown = material.video
    if shown is None:
        return None
    facts, summary = material.facts, material.summary
    moments = sorted([*facts.good, *facts.hard], key=lambda one: one.start_s) if facts else []
    stops_ms = [(milliseconds(one.start_s), milliseconds(one.end_s)) for one in moments]
    return {
        "films": shown.films,
        "format": shown.unplayable_format,
        "outdated": shown.outdated,
        "command": command_line("emonext", "review", shown.folder, summary.patient_id, summary.session_id),
        "report": command_line("emonext", "report", shown.folder, "--video", "copy")
        if shown.blur == "none"
        else "",
        "stops": stops_ms,
        "review": material.review,
        "data": {
            "films": played(shown.films),
            "stops_ms": stops_ms,
            "step_ms": _STEP_MS,
            "plays": True,
            "words": in_words(PLAYER_SCRIPT_WORDS, language),
            **_said(material, language),
        },
    }


def _said(material: SessionMaterial, language: Language) -> dict[str, Any]:
    """What was read from which moment on; nothing where that would make the page too large."""
    looks, states = in_words(EMOTION_WORDS, language), in_words(STATUS_WORDS, language)
    found = spans(material.timeline)
    said: dict[int, str] = {}
    for span in found if len(found) <= _MAX_SAID else ():
        said[milliseconds(span.start_s)] = looks[span.emotion] if span.emotion else states[span.status]
        said[milliseconds(span.end_s)] = ""  # until the next one begins, which is at the same time mostly
    return {"said_ms": list(said), "said": list(said.values())}


def markers(material: SessionMaterial, language: Language) -> dict[str, Any] | None:
    """The section below the video; none where there is nothing to play."""
    if material.video is None or not material.playable:
        return None
    return {"markers": marker_values(material.timeline, material.video.folder, language)}
