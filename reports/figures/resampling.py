"""Resample a timeline to steps that can be drawn: an hour has more samples than a screen has pixels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.records import EMOTIONS
from pipeline.store.coverage import LIKELY, knows_speech, sample_seconds
from pipeline.store.timeline import Timeline

Floats = NDArray[np.float64]

FIGURE_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600)
TABLE_STEPS_S = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
MAX_FIGURE_STEPS = 900
MAX_TABLE_STEPS = 15

# Upper limit of steps; the longest steps are ten minutes.
_MAX_STEPS = 100_000

_NOTHING_S = 1e-6


@dataclass(frozen=True)
class Steps:
    """A session divided into n steps of equal length; the last may be shorter.

    :param edges_s: (n + 1,) bounds of the steps, s.
    :param seen_s: (n,) seconds of each step with a readable expression. ``resting_s``: with eyes shut for
        long. ``moving_s``: speaking or chewing; 0 if that is mostly unknown.
    :param emotion_s: (n, 7) seconds in which each emotion was the likeliest, in the order of EMOTIONS.
    :param probabilities: (n, 7) time-weighted means, 0…1; NaN without observed time.
    :param valence: (n,) time-weighted mean, −1…1; NaN without observed time.
    """

    edges_s: Floats
    seen_s: Floats
    resting_s: Floats
    moving_s: Floats
    emotion_s: Floats
    probabilities: Floats
    valence: Floats

    @property
    def length_s(self) -> Floats:
        """(n,) seconds."""
        return np.diff(self.edges_s)


def step_length(duration_s: float, lengths_s: Sequence[int], at_most: int) -> int:
    """The shortest length, s, that gives at most ``at_most`` steps, or else the longest length."""
    return next((length for length in lengths_s if duration_s <= length * at_most), lengths_s[-1])


def cut(timeline: Timeline, step_s: float) -> Steps:
    """Divide the timeline into steps of ``step_s`` seconds. Samples are weighted by their duration.

    :raises ValueError: the timeline claims to last for weeks.
    """
    duration_s = float(timeline.metadata["video"]["duration_s"])
    if not 0 <= duration_s <= _MAX_STEPS * step_s:
        raise ValueError(f"{duration_s} s is no length of a session")
    # a rest of a few hundredths, such as sound that outlasts the picture, belongs to the last step
    edges_s = np.append(np.arange(0, max(duration_s - step_s / 20, step_s / 20), step_s), duration_s)
    rows = timeline.rows
    start_s, seconds = rows["time_s"].to_numpy(), sample_seconds(timeline)
    status = rows["status"].cast(pl.String)
    read, resting = (status == "ok").to_numpy(), (status == "eyes_shut").to_numpy().astype(float)
    emotion = rows["emotion"].cast(pl.String)

    def total(values: NDArray[np.floating]) -> Floats:
        return _integrate(start_s, seconds, np.where(read, values, 0.0), edges_s)

    seen_s = total(np.ones(len(start_s)))
    resting_s = _integrate(start_s, seconds, resting, edges_s)
    moves = pl.max_horizontal("speaking", "chewing") >= LIKELY
    moving = rows.select(moves.fill_null(value=False)).to_series().to_numpy() & knows_speech(timeline)
    moving_s = _integrate(start_s, seconds, moving.astype(float), edges_s)
    emotion_s = [total((emotion == name).fill_null(False).to_numpy().astype(float)) for name in EMOTIONS]
    probabilities = [_mean(total(rows[f"p_{name}"].to_numpy()), seen_s) for name in EMOTIONS]
    valence = _mean(total(rows["valence"].to_numpy()), seen_s)
    expression = np.stack(emotion_s, 1), np.stack(probabilities, 1), valence
    return Steps(edges_s, seen_s, resting_s, moving_s, *expression)


def _integrate(start_s: Floats, seconds: Floats, values: Floats, edges_s: Floats) -> Floats:
    """(n,) the integral of a step function over each step, exact also where a sample crosses an edge.

    :param values: one per sample, constant from its start and for its seconds; zero in between.
    """
    if not len(start_s):
        return np.zeros(len(edges_s) - 1)
    after = np.cumsum(values * seconds)
    before = after - values * seconds
    knots_s = np.stack([start_s, start_s + seconds], 1).ravel()
    integral: Floats = np.diff(np.interp(edges_s, knots_s, np.stack([before, after], 1).ravel()))
    return integral


def _mean(total: Floats, seen_s: Floats) -> Floats:
    return np.divide(total, seen_s, out=np.full_like(total, np.nan), where=seen_s > _NOTHING_S)
