"""Read ratings from BORIS projects, and write episodes as a project to be corrected.

In a rater's project each observation is a session, each state event a code.
BORIS counts an observation's time over the consecutive files of the first player, and adds the observation's
time offset, or the creation date of the file. The time in a file of player n is the first player's time minus
the offset of player n (``sync_time`` in BORIS 8).
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from math import inf, isfinite, nan
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.exchange.code_map import CodeMap
from pipeline.exchange.coded import (
    Coded,
    CodedSession,
    Medium,
    SessionNames,
    Span,
    is_patient,
    is_sound,
    of_others,
    refuse_role,
    signed_seconds,
)
from pipeline.exchange.exported import Exported, milliseconds
from pipeline.records import EMOTIONS, STATES
from pipeline.store.files import atomic
from pipeline.store.spreadsheet import read_text, shown

NOBODY = {"", "no focal subject"}
"""BORIS's subject if none was chosen."""

FIRST_PLAYER = "1"

LIVE = "was coded live, not with the video's clock; code the video, or take it away"


@dataclass(frozen=True)
class StateEvent:
    """Begin or end of a state.

    :param status: ``START`` or ``STOP``; empty if the file does not state it.
    """

    time_s: float
    subject: str
    code: str
    modifier: str
    status: str = ""


def read_boris_project(
    path: Path, names: SessionNames, codes: CodeMap
) -> tuple[list[CodedSession], list[str]]:
    """Read the codes of every observation, and notes on omitted codes.

    :raises InputError: no BORIS project, a state without an end, or an unknown session.
    """
    del codes
    found: list[OfSubject] = []
    points: Counter[str] = Counter()
    undefined: Counter[str] = Counter()
    try:
        project = json.loads(read_text(path, "save it in BORIS again"))
        behaviors = {behavior["code"]: behavior["type"] for behavior in project["behaviors_conf"].values()}
        states = {code for code, kind in behaviors.items() if "state" in kind.lower()}
        for name, observation in project["observations"].items():
            where = f"{path}, observation {shown(name)}"
            if observation.get("type") == "IMAGES":
                raise InputError(f"{where}: codes pictures; rate a video, not pictures.")
            if observation.get("type") == "LIVE":
                raise InputError(f"{where}: {LIVE}.")
            media = list(_media(observation, where))
            ids, rest = names.of(where, name, [medium.name for medium in media])
            shift_s = names.shift_s(where, ids, media) - _offset_s(observation, where)
            events = [
                StateEvent(_seconds(time) + shift_s, str(subject), str(code), str(modifier))
                for time, subject, code, modifier, *_ in observation["events"]
            ]
            undefined.update(event.code for event in events if event.code not in behaviors)
            points.update(event.code for event in events if event.code in behaviors.keys() - states)
            rated = _rated(observation, names.shift_s(where, ids, media))
            for subject, coded in paired([one for one in events if one.code in states], where).items():
                found.append((subject, CodedSession(*ids, rest, tuple(coded), path.name, rated)))
    except (json.JSONDecodeError, RecursionError, *_MALFORMED) as error:
        raise InputError(f"{path}: can't be read as a BORIS project; save it in BORIS again.") from error
    notes = [f"not among the project's behaviors, and left out: {_counted(undefined)}"] if undefined else []
    sessions, others = of_patients(path, found)
    return sessions, [*point_notes(points), *notes, *others]


_MALFORMED = (AttributeError, KeyError, OverflowError, TypeError, ValueError)


OfSubject = tuple[str, CodedSession]
"""BORIS's subject, and the codes of it; ``rater`` is that of the observation's name."""


def of_patients(path: Path, found: Iterable[OfSubject]) -> tuple[list[CodedSession], list[str]]:
    """The codes of patients, by rater; and notes on the subjects.

    BORIS means the observed person by the subject, but studies of one person's face often enter the rater
    there. So a subject is a rater if no subject of the file is the patient and the name states no rater.

    :raises InputError: the name states the rater, and none of several subjects is the patient; or the only
        subject has another role.
    """
    found = [("" if subject.strip().lower() in NOBODY else subject.strip(), one) for subject, one in found]
    names_patient = any(is_patient(subject, one.patient_id) for subject, one in found)
    sessions: list[CodedSession] = []
    others: Counter[str] = Counter()
    unknown: defaultdict[CodedSession, set[str]] = defaultdict(set)
    for subject, one in found:
        if one.coded and not names_patient and one.rater:
            unknown[replace(one, coded=())].add(subject)
        elif one.coded and not names_patient:
            refuse_role(f"{path}, {' '.join(one.ids)}", "subject", subject, one.patient_id)
        if subject and names_patient and not is_patient(subject, one.patient_id):
            others[subject] += len(one.coded)
            one = replace(one, coded=())  # the patient was watched, too
        sessions.append(one if names_patient or one.rater else one.by(subject))
    notes: list[str] = []
    for one, subjects in unknown.items():
        where = f"{path}, {' '.join(one.ids)}"
        _, said = of_others(where, "subject", {name: name for name in subjects}, one.patient_id)
        notes += [f"{' '.join(one.ids)}: {note}" for note in said]
    coded = {(one.ids, one.rater) for one in sessions if one.coded}
    sessions = [one for one in dict.fromkeys(sessions) if one.coded or (one.ids, one.rater) not in coded]
    if others:
        notes.append(f"codes of other subjects than the patient were left out: {_counted(others)}")
    raters = sorted({shown(subject) for subject, one in found if subject and one.coded and not one.rater})
    if raters and not names_patient:
        notes.append(f"no subject is named as the patient, so they count as raters: {', '.join(raters)}")
    return sessions, notes


def paired(events: Iterable[StateEvent], where: str) -> dict[str, list[Coded]]:
    """Pair begin and end of each state, by subject; events in order of time alternate.

    :raises InputError: a time is invalid; a state ends without a begin, begins twice, or never ends.
    """
    begun: dict[tuple[str, str, str], float] = {}
    found: dict[str, list[Coded]] = {"": []}
    events = list(events)
    for event in events:
        if not isfinite(event.time_s):
            raise InputError(f"{where}: {shown(event.code)} has no time; rate a video, not pictures.")
    for event in sorted(events, key=lambda event: event.time_s):
        state = event.subject, event.code, event.modifier
        if event.status == ("STOP" if state not in begun else "START"):
            what = "ends without a begin" if state not in begun else "begins again before its end"
            raise InputError(
                f"{where}: {shown(event.code)} {what} at {event.time_s:g} s; correct it in BORIS."
            )
        if state not in begun:
            begun[state] = event.time_s
        else:
            found.setdefault(event.subject, []).append(Coded(begun.pop(state), event.time_s, event.code))
    if begun:
        (_, code, _), time_s = min(begun.items(), key=lambda item: item[1])
        raise InputError(
            f"{where}: {shown(code)} begins at {time_s:g} s and never ends; end it in BORIS "
            "(“Fix unpaired state events”)."
        )
    if len(found) > 1 and not found[""]:
        del found[""]
    return found


def point_notes(points: Mapping[str, int]) -> list[str]:
    return [f"point events have no length and were left out: {_counted(points)}"] if points else []


def _counted(codes: Mapping[str, int]) -> str:
    return ", ".join(f"{shown(code)} ({count})" for code, count in sorted(codes.items()))


def media_of_players(
    players: Mapping[str, Sequence[str]],
    lengths_s: Mapping[str, float],
    offsets_s: Mapping[str, float | None],
    has_video: Mapping[str, bool],
) -> Iterator[Medium]:
    """The files of all players, with their times at time 0 of the observation, without the time offset.

    :param offsets_s: offset of each player but the first; ``None`` if unknown. BORIS ignores the offset of a
        player with several files, so such times are unknown.
    """
    for player, files in players.items():
        origin_s = 0.0 if player == FIRST_PLAYER else _minus(offsets_s.get(player, 0.0))
        if origin_s and len(files) > 1:
            origin_s = None
        for place, file in enumerate(files):
            yield Medium(file, origin_s, is_sound(file) or not has_video.get(file, True), place == 0)
            length_s = lengths_s.get(file)
            origin_s = None if origin_s is None or length_s is None else origin_s - length_s


def _minus(number: float | None) -> float | None:
    return None if number is None else -number


def _media(observation: Mapping[str, Any], where: str) -> Iterator[Medium]:
    info = observation.get("media_info") or {}
    offsets = {
        player: _finite(offset, where, "a player's offset")
        for player, offset in (info.get("offset") or {}).items()
    }
    lengths = {file: _seconds(length) for file, length in (info.get("length") or {}).items()}
    lengths = {file: length_s for file, length_s in lengths.items() if 0 < length_s < inf}
    if observation.get("time offset second player"):  # BORIS before version 7
        offsets["2"] = _finite(observation["time offset second player"], where, "a player's offset")
    players = {
        str(player): [str(file) for file in files]
        for player, files in (observation.get("file") or {}).items()
    }
    yield from media_of_players(players, lengths, offsets, info.get("hasVideo") or {})


def _offset_s(observation: Mapping[str, Any], where: str) -> float:
    """The offset that BORIS added to the time of the first player's files, s."""
    offset_s = _finite(observation.get("time offset") or 0, where, "its time offset")
    if not observation.get("media_creation_date_as_offset"):
        return offset_s
    files = [str(file) for file in (observation.get("file") or {}).get(FIRST_PLAYER, [])]
    made_at = (observation.get("media_info") or {}).get("media_creation_time") or {}
    if len(files) != 1 or files[0] not in made_at:
        raise InputError(
            f"{where}: its times count from the dates at which several or unknown files were made; "
            "in BORIS, take back the media creation date as offset."
        )
    return offset_s + _finite(made_at[files[0]], where, "its media creation date")


def _rated(observation: Mapping[str, Any], shift_s: float) -> tuple[Span, ...]:
    """The observation's interval, without time offset; an end of 0 means the end of the media."""
    start_s, end_s = (float(time) for time in observation.get("observation time interval") or (0, 0))
    if not start_s and not end_s:
        return ()
    return ((start_s + shift_s, end_s + shift_s if end_s else inf),)


def _finite(value: object, where: str, what: str) -> float:
    """:raises InputError: the value is no time."""
    seconds = _seconds(value)
    if not isfinite(seconds):
        raise InputError(f"{where}: {what} is no time ({shown(str(value))}); correct it in BORIS.")
    return seconds


def _seconds(value: object) -> float:
    """Seconds; NaN if the value is no time."""
    if isinstance(value, int | float):
        return float(value)
    try:
        return signed_seconds(str(value))
    except InputError:
        return nan


PROJECT_FORMAT = "7.0"
"""BORIS's number for the form of its projects, which all of its versions 7 and 8 read."""

_KEYS = {
    "angry": "a",
    "disgust": "d",
    "fear": "f",
    "happy": "h",
    "sad": "s",
    "surprise": "u",
    "neutral": "n",
    "speaking": "t",
    "chewing": "c",
    "asleep": "z",
    "away": "w",
}
"""The keys that a rater presses."""

_VERSION = version("emonext-care")
_FRAME = "NA"  # what BORIS itself writes where it does not know the frame


def write_boris(sessions: Iterable[Exported], path: Path, reading: str) -> Path:
    """One project, to lie beside the recordings.

    :raises OutputError: it can't be written.
    """
    project = {
        "time_format": "hh:mm:ss",
        "project_date": _now(),
        "project_name": "Emonext Care",
        "project_description": f"Episodes ({reading}) of Emonext Care {_VERSION}, to be corrected",
        "project_format_version": PROJECT_FORMAT,
        "subjects_conf": {},
        "behaviors_conf": {str(place): _behavior(name) for place, name in enumerate((*EMOTIONS, *STATES))},
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


def _behavior(code: str) -> Mapping[str, Any]:
    """A behaviour with a begin and an end. An emotion excludes the other emotions: its begin is their end."""
    others = [other for other in EMOTIONS if other != code] if code in EMOTIONS else []
    return {
        "type": "State event",
        "key": _KEYS[code],
        "code": code,
        "description": "",
        "color": "",
        "category": "",
        "modifiers": {},
        "excluded": ",".join(others),
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
    """Begin and end of each: time, subject, code, modifier, comment, frame."""
    found = []
    for emotion, start_s, end_s in session.of(reading).select("emotion", "start_s", "end_s").iter_rows():
        start, end = milliseconds(start_s) / 1000, milliseconds(end_s) / 1000
        if start < end:
            found += [[at, "", emotion, "", "", _FRAME] for at in (start, end)]
    return sorted(found, key=lambda event: event[0])
