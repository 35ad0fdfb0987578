"""Compute episodes, sessions and measures from the timelines of a folder. Can be repeated at any time.

    episodes/patient_id=P012/S01.parquet    one row for each episode
    summaries/sessions.parquet              one row for each session
    summaries/measures.parquet              one row for each number (long format)

Each number is given in the reading ``raw``, in the reading ``corrected`` if the patient was recorded at rest
(:mod:`pipeline.analysis.baseline_correction`), and in the reading ``adapted`` if the folder has an adaptation
to raters for the session's weights (:mod:`pipeline.analysis.adaptation`).
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

import polars as pl
import pyarrow as pa

from pipeline.analysis.adaptation import Adaptation, with_adaptation
from pipeline.analysis.baseline_correction import OwnBaseline, corrected, own_baseline, resting
from pipeline.analysis.episodes import Episode, EpisodeSettings, Observed, find_episodes, observed
from pipeline.analysis.measures import measure_attention, measure_session
from pipeline.errors import InputError
from pipeline.faces.states import FACINGS
from pipeline.records import IdentityState, Ids
from pipeline.store.coverage import summarize
from pipeline.store.files import state_of_files
from pipeline.store.parquet import DICTIONARY, malformed_as_timeline_error, read_metadata
from pipeline.store.paths import timeline_path
from pipeline.store.result_tables import column, read_derived, rewrite_sessions, write_derived
from pipeline.store.timeline import Timeline, ids_of, no_timeline, read_timeline, written_sessions

RAW, CORRECTED, ADAPTED = READINGS = ("raw", "corrected", "adapted")

CARE_READINGS = (RAW, CORRECTED)
"""Readings on pages for caregivers."""

Key = tuple[str, str, str]
"""Reading, measure, and emotion or group."""

LOW_EXPRESSIVE_SHARE = 0.05
"""Below this share a session is flagged: apathy and Parkinsonism flatten expressions, so results are weak.

A convention, not a measured threshold.
"""


@dataclass(frozen=True)
class SummarySettings:
    """Settings of the summaries, stored with each table.

    :param min_coverage, min_observed_s: minimum for a session to get numbers.
    :param baseline_condition: the condition of sessions in which patients were calm.
    :param min_rest_s: minimum of observed calm time for a patient's own baseline, s.
    :param adjust: columns of ``patients.csv`` by which comparisons are adjusted together.
    :param adaptation_sha256: of the adaptation behind the adapted reading; empty without one.
    """

    episodes: EpisodeSettings = field(default_factory=EpisodeSettings)
    min_coverage: float = 0.2
    min_observed_s: float = 10.0
    baseline_condition: str = "baseline"
    min_rest_s: float = 60.0
    adjust: tuple[str, ...] = ()
    adaptation_sha256: str = ""

    def __post_init__(self) -> None:
        """:raises InputError: a setting is not usable."""
        if not 0 <= self.min_coverage <= 1 or self.min_observed_s < 0 or self.min_rest_s < 0:
            raise InputError("`min_coverage`: from 0 to 1; min_observed_s and min_rest_s: 0 s or more.")


@dataclass(frozen=True)
class Number:
    """A value, and its 95 % interval if there is one."""

    value: float
    low: float | None = None
    high: float | None = None


_IDS = [
    column("patient_id", pa.string(), "pseudonym of the patient"),
    column("session_id", pa.string(), "session of that patient"),
]
_READING = column("reading", DICTIONARY, "raw; corrected by the person's own calm face; or adapted to raters")

EPISODES_SCHEMA = pa.schema(
    [
        *_IDS,
        _READING,
        column("episode", pa.int32(), "1, 2 … in order of start, for each reading"),
        column("emotion", DICTIONARY, "one of the seven"),
        column("start_s", pa.float64(), "presentation time of its first sample", "s"),
        column("end_s", pa.float64(), "end of its last sample", "s"),
        column("peak_s", pa.float64(), "time of its highest probability", "s"),
        column("observed_s", pa.float64(), "seconds with a readable face; bridged gaps do not count", "s"),
        column("mean_p", pa.float32(), "mean of its smoothed probability", "0…1"),
        column("peak_p", pa.float32(), "the largest of it", "0…1"),
    ]
)
"""Columns of ``episodes/``."""

SESSIONS_SCHEMA = pa.schema(
    [
        *_IDS,
        column("recorded_at", pa.timestamp("ms"), "local time", nullable=True),
        column("condition", pa.string(), "as the study names it; may be empty"),
        column("duration_s", pa.float64(), "length of the parts that count", "s"),
        column("observed_s", pa.float64(), "seconds with a readable expression", "s"),
        column("eyes_shut_s", pa.float64(), "seconds with eyes shut for long: asleep or resting", "s"),
        column(
            "speaking_s",
            pa.float64(),
            "seconds in which the person speaks; null if mostly unknown, as without sound",
            "s",
            nullable=True,
        ),
        column(
            "chewing_s",
            pa.float64(),
            "seconds in which the person chews; null if mostly unknown, as without sound",
            "s",
            nullable=True,
        ),
        *(
            column(
                f"facing_{way}_s", pa.float64(), f"seconds with the head turned {where}", "s", nullable=True
            )
            for way, where in (
                ("camera", "to the camera"),
                ("left", "to the picture's left"),
                ("right", "to its right"),
                ("down", "down"),
            )
        ),
        column("attention_to", pa.string(), "where an attentive patient faces, by the list; see attention"),
        column("coverage", pa.float64(), "(observed_s + eyes_shut_s) / duration_s", "0…1"),
        column("enough", pa.bool_(), "whether coverage is high enough for numbers"),
        column("corrected", pa.bool_(), "whether there is a corrected reading"),
        column("adapted", pa.bool_(), "whether there is a reading adapted to the study's raters"),
        column("rest_s", pa.float64(), "seconds of calm behind the person's own baseline", "s"),
        column(
            "low_expressivity",
            pa.bool_(),
            f"other than neutral for less than {LOW_EXPRESSIVE_SHARE:.0%}; null if coverage is too low",
            nullable=True,
        ),
        column("identity", pa.string(), "whether it is the patient: " + ", ".join(get_args(IdentityState))),
    ]
)
"""Columns of ``summaries/sessions.parquet``."""

MEASURES_SCHEMA = pa.schema(
    [
        *_IDS,
        _READING,
        column(
            "measure",
            pa.string(),
            "what was measured. share: of the observed time; share_without_speech: of that in which the "
            "person neither speaks nor chews; attention: of the time awake with a known pose, turned to "
            "attention_to",
        ),
        column("of", pa.string(), "an emotion, positive (happy), negative (the four), or empty: of all"),
        column("value", pa.float64(), "null if it cannot be computed", "as in unit", nullable=True),
        column("low", pa.float64(), "lower end of the 95 % interval", "as in unit", nullable=True),
        column("high", pa.float64(), "upper end of it", "as in unit", nullable=True),
        column("unit", pa.string(), "of value, low and high"),
    ]
)
"""Columns of ``summaries/measures.parquet``."""


def has_time(recorded_at: datetime | None) -> bool:
    """Whether the time of day is known; a date alone is read as midnight."""
    return recorded_at is not None and recorded_at.time() != time.min


@dataclass(frozen=True)
class Source:
    """What the rows of a session were computed from, apart from the settings.

    :param files: state of its timeline and of its episodes. ``baseline``: of the patient's own baseline.
    """

    files: str
    baseline: str


def summarize_folder(
    out: Path,
    settings: SummarySettings | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    adaptation: Adaptation | None = None,
    earlier: Mapping[Ids, Source] = MappingProxyType({}),
) -> dict[Ids, Source]:
    """Write ``episodes/`` and ``summaries/`` from all timelines.

    :param on_progress: called with (sessions done, sessions in all).
    :param adaptation: for the adapted reading of sessions with its weights.
    :param earlier: sources of the rows that the tables hold now, with the same settings and adaptation; the
        rows of sessions with the same sources are kept.
    :returns: the sources of all sessions.
    :raises InputError: there is no timeline.
    :raises TimelineError: a timeline can't be read. :raises OutputError: a file can't be written.
    """
    sha256 = adaptation.sha256 if adaptation else ""
    settings = replace(settings or SummarySettings(), adaptation_sha256=sha256)
    ids = written_sessions(out)
    if not ids:
        raise InputError(no_timeline(out))
    by_patient: dict[str, dict[Ids, Source]] = {}
    for both, source in earlier.items():
        by_patient.setdefault(both[0], {})[both] = source
    sources: dict[Ids, Source] = {}
    sessions: dict[Ids, list[dict[str, Any]]] = {}
    measures: dict[Ids, list[dict[str, Any]]] = {}
    for patient_id, of_patient in groupby(ids, key=lambda both: both[0]):
        own = list(of_patient)
        files = {both: _files(out, both) for both in own}
        before = by_patient.get(patient_id, {})
        if files == {both: source.files for both, source in before.items()}:
            sources |= before
            on_progress(len(sources), len(ids))
            continue
        read = {both: _timeline_state(out, both) for both in own}
        baseline = baseline_of([timeline_path(out, *both) for both in own], settings)
        state = _baseline_state(baseline)
        for both in own:
            sources[both] = Source(files[both], state)
            if sources[both] != before.get(both):
                timeline = read_timeline(path := timeline_path(out, *both))
                ids_of(path, timeline)
                with malformed_as_timeline_error(path):
                    found = _summarize(timeline, baseline, adaptation, settings)
                sessions[both], measures[both] = [found.session], found.measures
                write_derived(episodes_path(out, *both), EPISODES_SCHEMA, found.episodes, settings)
                # of a timeline that was replaced meanwhile, the rows are not kept
                is_same = _timeline_state(out, both) == read[both]
                sources[both] = Source(_files(out, both) if is_same else "", state)
            on_progress(len(sources), len(ids))
    there = {episodes_path(out, *both) for both in ids}
    for gone in set(out.glob("episodes/patient_id=*/*.parquet")) - there:
        gone.unlink()
    rewrite_sessions(out / "summaries" / "measures.parquet", MEASURES_SCHEMA, ids, measures, settings)
    rewrite_sessions(out / "summaries" / "sessions.parquet", SESSIONS_SCHEMA, ids, sessions, settings)
    return sources


def _baseline_state(baseline: OwnBaseline | None) -> str:
    """Hashed: the stamp is not encrypted, and the shift is a result of the patient's face."""
    if baseline is None:
        return ""
    return hashlib.sha256(repr((baseline.shift.tolist(), baseline.rest_s)).encode()).hexdigest()


def _timeline_state(out: Path, ids: Ids) -> str:
    return state_of_files([timeline_path(out, *ids)])


def _files(out: Path, ids: Ids) -> str:
    return state_of_files([timeline_path(out, *ids), episodes_path(out, *ids)])


def read_sessions(out: Path) -> pl.DataFrame:
    """In :data:`SESSIONS_SCHEMA`'s columns.

    :raises TimelineError: the table is missing, damaged, or of another version.
    """
    return read_derived(out / "summaries" / "sessions.parquet", SESSIONS_SCHEMA)


def read_measures(out: Path) -> pl.DataFrame:
    """In :data:`MEASURES_SCHEMA`'s columns; errors as :func:`read_sessions`."""
    return read_derived(out / "summaries" / "measures.parquet", MEASURES_SCHEMA)


def numbers_by_session(measures: pl.DataFrame) -> dict[tuple[str, str], dict[Key, Number]]:
    """Patient and session → all numbers that are not missing.

    :param measures: as :func:`read_measures` gives them.
    """
    found: dict[tuple[str, str], dict[Key, Number]] = {}
    columns = ("patient_id", "session_id", "reading", "measure", "of", "value", "low", "high")
    known = measures.filter(pl.col("value").is_not_null()).select(columns)
    for patient, session, reading, measure, of, *number in known.iter_rows():
        found.setdefault((patient, session), {})[reading, measure, of] = Number(*number)
    return found


def read_episodes(out: Path, patient_id: str, session_id: str) -> pl.DataFrame:
    """In :data:`EPISODES_SCHEMA`'s columns; errors as :func:`read_sessions`."""
    return read_derived(episodes_path(out, patient_id, session_id), EPISODES_SCHEMA)


def episodes_path(out: Path, patient_id: str, session_id: str) -> Path:
    """Path of a session's episodes."""
    return out / "episodes" / f"patient_id={patient_id}" / f"{session_id}.parquet"


# --- one session


@dataclass(frozen=True)
class _Summarized:
    """Rows of one session."""

    ids: tuple[str, str]
    session: dict[str, Any]
    measures: list[dict[str, Any]]
    episodes: list[dict[str, Any]]


def baseline_of(paths: Sequence[Path], settings: SummarySettings) -> OwnBaseline | None:
    """The baseline of the patient of these timelines; ``None`` if too little calm time was observed."""
    calm, rest_s = [], 0.0
    for path in paths:
        metadata = read_metadata(path)
        with malformed_as_timeline_error(path):
            if metadata["session"]["condition"] != settings.baseline_condition:
                continue
        samples = observed(read_timeline(path))
        calm.append(resting(samples))
        rest_s += float(samples.seconds.sum())
    return own_baseline(calm, rest_s) if rest_s and rest_s >= settings.min_rest_s else None


def readings_of(
    timeline: Timeline, baseline: OwnBaseline | None, adaptation: Adaptation | None, patient_id: str
) -> dict[str, Observed]:
    """The readable samples of a timeline in each reading that it has."""
    samples = observed(timeline)
    readings = {RAW: samples}
    if baseline:
        readings[CORRECTED] = corrected(samples, baseline)
    if adaptation and timeline.metadata["weights"]["sha256"] == adaptation.weights_sha256:
        readings[ADAPTED] = with_adaptation(samples, adaptation, patient_id)
    return readings


def _summarize(
    timeline: Timeline,
    baseline: OwnBaseline | None,
    adaptation: Adaptation | None,
    settings: SummarySettings,
) -> _Summarized:
    summary, session = summarize(timeline), timeline.metadata["session"]
    patient = timeline.metadata["patient"]
    enough = 0 < summary.observed_s >= settings.min_observed_s and summary.coverage >= settings.min_coverage
    ids = {"patient_id": summary.patient_id, "session_id": summary.session_id}
    attention = measure_attention(timeline)
    readings = readings_of(timeline, baseline, adaptation, summary.patient_id)
    measures: list[dict[str, Any]] = []
    episodes: list[dict[str, Any]] = []
    expressive: float | None = None
    for reading, probabilities in readings.items():
        found = find_episodes(probabilities, settings.episodes)
        begin_s = session["parts"][0][0]
        numbers = measure_session(probabilities, found, begin_s=begin_s, enough=enough, attention=attention)
        measures += [ids | {"reading": reading} | vars(number) for number in numbers]
        episodes += list(_episode_rows(ids | {"reading": reading}, found))
        # from the corrected reading, if there is one: a face that looks sad at rest is not expressive
        if reading in CARE_READINGS:
            expressive = next(one.value for one in numbers if one.measure == "expressive_share")
    recorded_at = session["recorded_at"]
    return _Summarized(
        ids=(summary.patient_id, summary.session_id),
        session=ids
        | {
            "recorded_at": datetime.fromisoformat(recorded_at) if recorded_at else None,
            "condition": session["condition"],
            "duration_s": summary.duration_s,
            "observed_s": summary.observed_s,
            "eyes_shut_s": summary.status_s["eyes_shut"],
            "speaking_s": summary.speaking_s,
            "chewing_s": summary.chewing_s,
            "attention_to": session["attention_to"],
            **{f"facing_{way}_s": summary.facing_s.get(way) for way in FACINGS},
            "coverage": summary.coverage,
            "enough": enough,
            "corrected": baseline is not None,
            "adapted": ADAPTED in readings,
            "rest_s": baseline.rest_s if baseline else 0.0,
            "low_expressivity": None if expressive is None else expressive < LOW_EXPRESSIVE_SHARE,
            "identity": patient["identity"],
        },
        measures=measures,
        episodes=episodes,
    )


def _episode_rows(same: Mapping[str, str], episodes: Sequence[Episode]) -> Iterator[dict[str, Any]]:
    for number, episode in enumerate(episodes, start=1):
        yield {**same, "episode": number, **vars(episode)}
