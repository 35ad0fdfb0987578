"""Export episodes as a BORIS project: seven expressions as state events, one observation per session."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.exchange.exported import Exported, milliseconds
from pipeline.records import EMOTIONS
from pipeline.store.files import atomic

PROJECT_FORMAT = "7.0"
"""Project format version, which BORIS 7 and 8 read."""

_KEYS = {"angry": "a", "disgust": "d", "fear": "f", "happy": "h", "sad": "s", "surprise": "u", "neutral": "n"}
"""Key for each behaviour."""

_VERSION = version("emonext-care")
_FRAME = "NA"  # BORIS's value for an unknown frame


def write_boris(sessions: Iterable[Exported], path: Path, reading: str) -> Path:
    """Write one project, for the folder of the recordings.

    :raises OutputError: it can't be written.
    """
    project = {
        "time_format": "hh:mm:ss",
        "project_date": _now(),
        "project_name": "Emonext Care",
        "project_description": f"Episodes ({reading}) of Emonext Care {_VERSION}, to be corrected",
        "project_format_version": PROJECT_FORMAT,
        "subjects_conf": {},
        "behaviors_conf": {str(place): _behavior(name) for place, name in enumerate(EMOTIONS)},
        "observations": {session.name: _observation(session, reading) for session in sessions},
        "behavioral_categories": [],
        "independent_variables": {},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
    }
    with atomic(path) as partial:
        partial.write_text(json.dumps(project, indent=1), encoding="utf-8")
    return path


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _behavior(emotion: str) -> Mapping[str, Any]:
    """A state event that excludes all others."""
    return {
        "type": "State event",
        "key": _KEYS[emotion],
        "code": emotion,
        "description": "",
        "color": "",
        "category": "",
        "modifiers": {},
        "excluded": ",".join(other for other in EMOTIONS if other != emotion),
        "coding map": "",
    }


def _observation(session: Exported, reading: str) -> Mapping[str, Any]:
    names = [media.name for media in session.media]
    by_file = {media.name: media.end_s - media.start_s for media in session.media}
    recorded_at = session.facts["recorded_at"]
    return {
        "file": {str(player): names if player == 1 else [] for player in range(1, 9)},
        "type": "MEDIA",
        "date": recorded_at.strftime("%Y-%m-%dT%H:%M:%S.000") if recorded_at else _now() + ".000",
        "description": "",
        "time offset": 0,
        "events": _events(session, reading),
        "observation time interval": [0, 0],
        "independent_variables": {},
        "visualize_spectrogram": False,
        "visualize_waveform": False,
        "media_creation_date_as_offset": False,
        "media_scan_sampling_duration": 0,
        "image_display_duration": 1,
        "close_behaviors_between_videos": False,
        "media_info": {
            "length": by_file,
            "fps": dict.fromkeys(names, session.frame_rate),
            "hasVideo": dict.fromkeys(names, True),
            "hasAudio": dict.fromkeys(names, False),
            "offset": {"1": 0.0},
        },
    }


def _events(session: Exported, reading: str) -> list[list[Any]]:
    """Begin and end of each episode: time, subject, code, modifier, comment, frame."""
    found = []
    for emotion, start_s, end_s in session.of(reading).select("emotion", "start_s", "end_s").iter_rows():
        start, end = milliseconds(start_s) / 1000, milliseconds(end_s) / 1000
        if start < end:
            found += [[at, "", emotion, "", "", _FRAME] for at in (start, end)]
    return sorted(found, key=lambda event: event[0])
