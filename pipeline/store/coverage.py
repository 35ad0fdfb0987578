"""Summarise a timeline in a few numbers. Every share is of the observed time and has a coverage."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from pipeline.faces.states import FACINGS, LIKELY
from pipeline.records import EMOTIONS, FAULTS, NEGATIVE, STATUSES, TIME_EPS_S
from pipeline.store.timeline import Timeline

MIN_OBSERVED_S = 10.0
MIN_COVERAGE = 0.2
"""Minimum for showing shares; with less, shares would not describe the session."""


MIN_HEARD = 0.9
"""Minimum share of the readable samples with known speech; with less, nothing is said about speech."""


@dataclass(frozen=True)
class Span:
    """An interval with one status, in seconds from the start of the recording.

    :param emotion: the likeliest emotion in the whole interval; ``None`` unless requested and status ``ok``.
    """

    start_s: float
    end_s: float
    status: str
    emotion: str | None = None


@dataclass(frozen=True)
class Summary:
    """Summary of one session.

    :param duration_s: length of the session: the parts of the video that count.
    :param observed_s: seconds with a readable expression of the patient (status ``ok``).
    :param coverage: share of the session in which the face was readable, shut eyes included, 0…1.
    :param status_s: seconds of each status; time between samples that are too far apart is ``gap``. The sum
        is duration_s.
    :param fault_s: seconds of ``low_quality`` by its first reason; the sum is ``status_s["low_quality"]``.
    :param emotion_s: seconds in which each emotion was the likeliest; the sum is observed_s.
    :param positive_s: happy; ``negative_s``: angry, disgust, fear or sad; ``neutral_s``: neutral.
        Surprise is in no group.
    :param mean_valence: time-weighted, −1…1; ``None`` if nothing was observed.
    :param unseen: intervals in which the face was not readable, in order.
    :param resting: intervals with eyes shut for long, in order.
    :param facing_s: seconds with the head turned to each of FACINGS; empty if that is not known.
    :param speaking_s, chewing_s: seconds with a readable face that speaks, or chews; ``None`` if that is not
        known of nearly all the observed time, as without sound.
    """

    patient_id: str
    session_id: str
    duration_s: float
    observed_s: float
    coverage: float
    status_s: Mapping[str, float]
    fault_s: Mapping[str, float]
    emotion_s: Mapping[str, float]
    positive_s: float
    neutral_s: float
    negative_s: float
    mean_valence: float | None
    unseen: tuple[Span, ...]
    resting: tuple[Span, ...] = ()
    speaking_s: float | None = None
    chewing_s: float | None = None
    facing_s: Mapping[str, float] = field(default_factory=dict)


def summarize(timeline: Timeline) -> Summary:
    """Seconds, shares and unobserved intervals of one timeline."""
    duration_s = sum(end - start for start, end in _parts(timeline))
    rows = _rows(timeline)
    status_s = _seconds_by(rows, "status", STATUSES)
    gap_s = duration_s - sum(status_s.values())
    status_s["gap"] = gap_s if gap_s > TIME_EPS_S else 0.0
    emotion_s = _seconds_by(rows, "emotion", EMOTIONS)
    observed_s, knows = status_s["ok"], knows_speech(timeline)
    observed = rows.filter(pl.col("status") == "ok")
    others = [span for span in _spans(rows, "status") if span.status != "ok"]
    valence_s = observed["valence"].to_numpy() @ observed["seconds"].to_numpy()
    return Summary(
        patient_id=timeline.rows["patient_id"][0],
        session_id=timeline.rows["session_id"][0],
        duration_s=duration_s,
        observed_s=observed_s,
        coverage=(observed_s + status_s["eyes_shut"]) / duration_s if duration_s else 0.0,
        status_s=status_s,
        fault_s=_seconds_by(rows, "fault", FAULTS),
        emotion_s=emotion_s,
        positive_s=emotion_s["happy"],
        neutral_s=emotion_s["neutral"],
        negative_s=sum(emotion_s[name] for name in NEGATIVE),
        mean_valence=float(valence_s) / observed_s if observed_s else None,
        unseen=tuple(span for span in others if span.status != "eyes_shut"),
        resting=tuple(span for span in others if span.status == "eyes_shut"),
        speaking_s=_seconds_of(rows, "speaking") if knows else None,
        chewing_s=_seconds_of(rows, "chewing") if knows else None,
        facing_s=_seconds_by(rows, "facing", FACINGS) if rows["facing"].is_not_null().any() else {},
    )


def spans(timeline: Timeline) -> list[Span]:
    """Divide the timeline into intervals of one emotion, or of one status without emotion.

    No interval reaches over time that does not count.
    """
    return _spans(_rows(timeline), "status", "emotion")


def sample_seconds(timeline: Timeline) -> np.ndarray:
    """(n,) float64: seconds of the session that each sample represents.

    A sample lasts until the next one, but at most two steps of the grid or of the video's frame rate,
    whichever is coarser: a hole in the recording is unobserved.
    """
    video, settings = timeline.metadata["video"], timeline.metadata["settings"]
    time_s = timeline.rows["time_s"].to_numpy()
    step_s = max(1 / settings["sample_fps"], 1 / video["frame_rate"])
    until = np.append(time_s[1:], video["duration_s"])
    ends = np.array([end for _, end in _parts(timeline)])
    own_end = ends[np.minimum(np.searchsorted(ends, time_s, side="right"), len(ends) - 1)]
    until = np.minimum(until, own_end)
    return np.clip(until - time_s, 0, 2 * step_s)


def _parts(timeline: Timeline) -> list[tuple[float, float]]:
    """The intervals of the video that count, s."""
    return [(start, end) for start, end in timeline.metadata["session"]["parts"]]


def _rows(timeline: Timeline) -> pl.DataFrame:
    ends_s = [end for _, end in _parts(timeline)]
    return timeline.rows.select(
        "time_s",
        "valence",
        "speaking",
        "chewing",
        pl.col("status", "fault", "emotion", "facing").cast(pl.String),
    ).with_columns(
        pl.Series("seconds", sample_seconds(timeline)),
        pl.Series("part", np.searchsorted(ends_s, timeline.rows["time_s"], side="right")),
    )


def _seconds_by(rows: pl.DataFrame, column: str, names: tuple[str, ...]) -> dict[str, float]:
    found = dict(rows.group_by(column, maintain_order=True).agg(pl.col("seconds").sum()).iter_rows())
    return {name: float(found.get(name, 0.0)) for name in names}


def knows_speech(timeline: Timeline) -> bool:
    """Whether it is known of nearly all readable samples whether the person speaks."""
    read = timeline.rows.filter(pl.col("status").cast(pl.String) == "ok")
    return bool(len(read)) and bool(read["speaking"].is_not_null().mean() >= MIN_HEARD)  # type: ignore[operator]


def _seconds_of(rows: pl.DataFrame, state: str) -> float:
    """Seconds in which the state is likelier than not."""
    return float(rows.filter(pl.col(state) >= LIKELY)["seconds"].sum())


def _spans(rows: pl.DataFrame, *same: str) -> list[Span]:
    """Intervals of consecutive rows with equal values in these columns."""
    runs = (
        rows.with_columns(run=pl.struct("part", *same).rle_id(), end_s=pl.col("time_s") + pl.col("seconds"))
        .group_by("run", maintain_order=True)
        .agg(pl.col("time_s").first(), pl.col("end_s").last(), *(pl.col(name).first() for name in same))
    )
    return [Span(start, end, *values) for _, start, end, *values in runs.iter_rows()]


def seen_too_little(summary: Summary) -> bool:
    """Whether coverage is too low for shares."""
    return summary.observed_s < MIN_OBSERVED_S or summary.coverage < MIN_COVERAGE
