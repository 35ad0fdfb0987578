"""Collect the results of one session from a folder's tables, for the reports.

Tables that are missing, or older than the session's timeline, are left out.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.analysis.events import EVENTS_FILE, Event, read_events
from pipeline.analysis.highlights import Moment, clearest_moments
from pipeline.analysis.scales import rated_scales, read_ratings
from pipeline.analysis.summaries import (
    CARE_READINGS,
    CORRECTED,
    RAW,
    Key,
    Number,
    episodes_path,
    numbers_by_session,
    read_episodes,
    read_measures,
    read_sessions,
)
from pipeline.analysis.typical_range import COMPARED, MIN_OTHERS, is_unusual, usual_range
from pipeline.errors import InputError
from pipeline.records import Ids
from pipeline.store.paths import timeline_path


@dataclass(frozen=True)
class Unusual:
    """A share that differs from the patient's other sessions.

    :param of: ``positive``, ``negative``, or empty for all expressions but neutral.
    :param low, high: the patient's usual range.
    """

    of: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Rated:
    """One machine rating of a scale; a row of :data:`pipeline.analysis.scales.SCALES_SCHEMA`."""

    reading: str
    scale: str
    window: int
    start_s: float
    end_s: float
    coverage: float
    kind: str
    item: str
    seconds: float | None
    score: int | None
    words: str


@dataclass(frozen=True)
class SessionFacts:
    """The results of a session beyond its timeline.

    :param enough: whether coverage is high enough for numbers.
    :param reading: the reading used in sentences: corrected, if there is one.
    :param numbers: by :data:`Key`; missing numbers are left out.
    :param rest_s: seconds of calm behind the correction.
    :param still: whether the face was almost always neutral, so that results are weak; ``None`` if unknown.
    :param others: number of the patient's other sessions with enough coverage.
    :param unusual: differences from these sessions; also empty if there are too few.
    :param good, hard: the clearest moments, in order of time. ``events``: events, in order of time.
    :param rated: ratings by scale. ``scale_names``: names of the scales.
    """

    enough: bool
    reading: str
    numbers: Mapping[Key, Number]
    rest_s: float
    still: bool | None
    others: int
    unusual: tuple[Unusual, ...]
    good: tuple[Moment, ...]
    hard: tuple[Moment, ...]
    events: tuple[Event, ...]
    rated: tuple[Rated, ...]
    scale_names: Mapping[str, str]

    @property
    def is_corrected(self) -> bool:
        return self.reading == CORRECTED

    @property
    def can_compare(self) -> bool:
        """Whether there are enough other sessions."""
        return self.others >= MIN_OTHERS


class FolderFacts:
    """Gives the facts of every session of a folder; reads each table once."""

    def __init__(self, out: Path) -> None:
        self._out = out

    def of(self, patient_id: str, session_id: str) -> SessionFacts | None:
        """The facts of one session; ``None`` if its tables are missing or older than its timeline.

        :raises pipeline.errors.TimelineError: a table is damaged.
        """
        ids = patient_id, session_id
        if ids not in self._sessions or not is_current(self._out, *ids):
            return None
        session = self._sessions[ids]
        reading = CORRECTED if session["corrected"] else RAW
        others = [
            other
            for other, row in self._sessions.items()
            if other[0] == patient_id and other != ids and row["enough"]
        ]
        numbers = self._numbers.get(ids, {})
        good, hard = clearest_moments(read_episodes(self._out, *ids), reading)
        return SessionFacts(
            enough=session["enough"],
            reading=reading,
            numbers=numbers,
            rest_s=session["rest_s"],
            still=session["low_expressivity"],
            others=len(others),
            unusual=tuple(self._unusual(numbers, reading, others)),
            good=tuple(good),
            hard=tuple(hard),
            events=tuple(self._events.get(ids, ())),
            rated=tuple(self._scales.get(ids, ())),
            scale_names=self._scale_names,
        )

    def state_of(self, patient_id: str, session_id: str) -> str:
        """A state that differs if the facts of the session may differ; no file of the session is read."""
        ids = patient_id, session_id
        known = self._states.get(patient_id), is_current(self._out, *ids)
        return repr((known, self._events.get(ids), sorted(self._scale_names.items())))

    @cached_property
    def _states(self) -> dict[str, str]:
        """Patient → state of the patient's rows in the tables."""
        found: dict[str, list[bytes]] = {}
        readers = {"sessions": read_sessions, "measures": read_measures, "scales": read_ratings}
        for name, read in readers.items():
            if (self._out / "summaries" / f"{name}.parquet").exists():
                for (patient_id,), rows in read(self._out).partition_by("patient_id", as_dict=True).items():
                    found.setdefault(str(patient_id), []).append(rows.hash_rows().to_numpy().tobytes())
        return {patient_id: hashlib.sha256(b"|".join(rows)).hexdigest() for patient_id, rows in found.items()}

    def _unusual(self, numbers: Mapping[Key, Number], reading: str, others: Sequence[Ids]) -> list[Unusual]:
        unusual = []
        for measure, of in COMPARED:
            key = (reading, measure, of)
            theirs = [found[key].value for other in others if key in (found := self._numbers.get(other, {}))]
            usual = usual_range(theirs)
            if key in numbers and usual and is_unusual(numbers[key].value, theirs):
                unusual.append(Unusual(of, numbers[key].value, *usual))
        return unusual

    @cached_property
    def _sessions(self) -> dict[Ids, dict[str, Any]]:
        if not (self._out / "summaries" / "sessions.parquet").exists():
            return {}
        return {(row["patient_id"], row["session_id"]): row for row in read_sessions(self._out).to_dicts()}

    @cached_property
    def _events(self) -> dict[Ids, list[Event]]:
        """The events in order of time; rows with errors are left out."""
        listed = self._out / EVENTS_FILE
        if not listed.exists():
            return {}
        try:
            events, _ = read_events(listed, dict.fromkeys(self._sessions, ((0.0, math.inf),)))
        except InputError:  # `pipeline.results.derive` reports these errors
            return {}
        found: dict[Ids, list[Event]] = {}
        for event in sorted(events, key=lambda event: event.time_s):
            found.setdefault(event.ids, []).append(event)
        return found

    @cached_property
    def _scales(self) -> dict[Ids, list[Rated]]:
        if not (self._out / "summaries" / "scales.parquet").exists():
            return {}
        columns = [field.name for field in fields(Rated)]
        rated = read_ratings(self._out).filter(pl.col("reading").is_in(CARE_READINGS))
        rows = rated.select("patient_id", "session_id", *columns)
        found: dict[Ids, list[Rated]] = {}
        for patient, session, *values in rows.iter_rows():
            found.setdefault((patient, session), []).append(Rated(*values))
        return found

    @cached_property
    def _scale_names(self) -> dict[str, str]:
        return rated_scales(self._out)

    @cached_property
    def _numbers(self) -> dict[Ids, dict[Key, Number]]:
        if not (self._out / "summaries" / "measures.parquet").exists():
            return {}
        return numbers_by_session(read_measures(self._out))


def is_current(out: Path, patient_id: str, session_id: str) -> bool:
    """Whether the summaries are newer than the session's timeline."""
    timeline = timeline_path(out, patient_id, session_id)
    episodes = episodes_path(out, patient_id, session_id)
    return episodes.exists() and episodes.stat().st_mtime_ns >= timeline.stat().st_mtime_ns
