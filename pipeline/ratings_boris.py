"""Ratings from a project of BORIS: each observation is a session, each state event a code."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain
from math import isfinite
from pathlib import Path

from pipeline.codes import CodeMap
from pipeline.errors import InputError
from pipeline.ratings_coded import Coded, CodedSession, SessionNames
from pipeline.spreadsheet import read_text, shown

NOBODY = {"", "no focal subject"}
"""BORIS's subject where none was chosen."""


def read_boris_project(
    path: Path, names: SessionNames, codes: CodeMap
) -> tuple[list[CodedSession], list[str]]:
    """The codes of every observation, and what was left out.

    :raises InputError: not a project of BORIS, a state that does not end, or an unknown session.
    """
    del codes
    sessions: list[CodedSession] = []
    points: Counter[str] = Counter()
    try:
        project = json.loads(read_text(path, "save it in BORIS again"))
        states = {
            behavior["code"]
            for behavior in project["behaviors_conf"].values()
            if "state" in behavior["type"].lower()
        }
        for name, observation in project["observations"].items():
            media = chain.from_iterable((observation.get("file") or {}).values())
            ids, rest = names.of(f"{path}, observation {shown(name)}", name, [str(file) for file in media])
            offset_s = float(observation.get("time offset") or 0)
            events = [
                (float(time) - offset_s, str(subject), str(code), str(modifier))
                for time, subject, code, modifier, *_ in observation["events"]
            ]
            points.update(code for _, _, code, _ in events if code not in states)
            ends = [event for event in events if event[2] in states]
            for subject, coded in paired(ends, f"{path}, observation {shown(name)}").items():
                rater = rest or rater_of(subject, ids[0])
                sessions.append(CodedSession(*ids, rater, tuple(coded), path.name))
    except (json.JSONDecodeError, RecursionError, *_SENSELESS) as error:
        raise InputError(f"{path}: can't be read as a project of BORIS; save it there again.") from error
    return sessions, point_notes(points)


_SENSELESS = (AttributeError, KeyError, OverflowError, TypeError, ValueError)


def rater_of(subject: str, patient_id: str) -> str:
    """A subject is who is watched, in studies that code one person's face often who watches."""
    return "" if subject.strip().lower() in {*NOBODY, patient_id.lower(), "patient"} else subject.strip()


def paired(events: Iterable[tuple[float, str, str, str]], where: str) -> dict[str, list[Coded]]:
    """By subject: a state's events begin and end it in turn, in order of time.

    :param events: (time, subject, code, modifier).
    :raises InputError: a time is none, or the last one of a state begins and never ends.
    """
    begun: dict[tuple[str, str, str], float] = {}
    found: dict[str, list[Coded]] = {"": []}
    for time_s, subject, code, modifier in sorted(events, key=lambda event: event[0]):
        if not isfinite(time_s):
            raise InputError(f"{where}: {shown(code)} has no time; rate a video, not pictures.")
        state = subject, code, modifier
        if state not in begun:
            begun[state] = time_s
        elif (start_s := begun.pop(state)) < time_s:
            found.setdefault(subject, []).append(Coded(start_s, time_s, code))
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
    if not points:
        return []
    named = ", ".join(f"{shown(code)} ({count})" for code, count in sorted(points.items()))
    return [f"point events have no length and were left out: {named}"]
