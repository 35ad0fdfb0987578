"""The choices of an analysis of positive expression, and their reasonable combinations.

Each choice has the study's own value, and others that a researcher could defend as well. Combinations that
cannot change the result are left out: a window of smoothing that is no longer than the time between two
samples, a minimum coverage that leaves out the same sessions as another one, and the choice about speech in a
study without sound.

The reading is no choice: the corrected reading is computed from the reference's own sessions, which biases
the comparison (:mod:`pipeline.study.conditions`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import polars as pl

from pipeline.analysis.episodes import EpisodeSettings
from pipeline.analysis.summaries import SummarySettings
from pipeline.records import TIME_EPS_S

SAMPLES, PROBABILITY, EPISODES = ("samples", "probability", "episodes")
"""Values of :attr:`Counting.counted`."""

_COVERAGES = (0.2, 0.5, 0.8)
_SMOOTHING_S = (1.0, 3.0)
_THRESHOLDS = ((0.5, 0.4), (0.6, 0.5))
_DURATIONS_S = (1.0, 2.0)
_EVERY = (1, 2, 5)

# With fewer samples per second, most expressions would fall between two samples.
_LEAST_FPS = 1.0


@dataclass(frozen=True)
class Counting:
    """How positive time is counted.

    :param counted: ``samples``: the time in which happy has the largest probability. ``probability``: the
        mean probability of happy, which estimates the same share without a threshold (Bella et al.,
        *ICDM* 2010). ``episodes``: the time in episodes of happy.
    :param smoothing_s: window of the smoothing, s; ``None`` without smoothing.
    :param enter, leave, min_duration_s: of episodes, as in
        :class:`pipeline.analysis.episodes.EpisodeSettings`; else ``None``.
    """

    counted: str = SAMPLES
    smoothing_s: float | None = None
    enter: float | None = None
    leave: float | None = None
    min_duration_s: float | None = None


@dataclass(frozen=True)
class Measurement:
    """How the number of a session is computed.

    :param without_speech: whether the time in which the patient speaks or chews is left out.
    :param every: 1: all samples; 2: every second sample, as if half as many had been taken.
    """

    counting: Counting = Counting()
    without_speech: bool = False
    every: int = 1


@dataclass(frozen=True)
class Analysis:
    """One analysis of the study.

    :param min_coverage: lowest coverage of a session that counts, 0…1.
    """

    measurement: Measurement
    min_coverage: float


def own_analysis(settings: SummarySettings) -> Analysis:
    """The analysis of ``summaries/conditions.parquet``."""
    return Analysis(Measurement(), settings.min_coverage)


def analyses(settings: SummarySettings, sample_fps: float, sessions: pl.DataFrame) -> list[Analysis]:
    """All reasonable analyses of a study; of each measurement, the study's own minimum coverage comes first.

    :param sample_fps: samples per second; of several rates, the lowest.
    :param sessions: from :func:`pipeline.analysis.summaries.read_sessions`.
    """
    has_speech = bool(sessions["speaking_s"].is_not_null().any())
    levels = _levels(settings.min_coverage, _COVERAGES, 3)
    telling = {tuple(sessions["coverage"] >= level): level for level in reversed(levels)}
    return [
        Analysis(Measurement(counting, without_speech, every), min_coverage)
        for every in _EVERY
        if every == 1 or sample_fps / every >= _LEAST_FPS
        for without_speech in (False, True)[: 1 + has_speech]
        for counting in _countings(settings.episodes, every / sample_fps)
        for min_coverage in sorted(telling.values(), key=lambda level: (level != levels[0], level))
    ]


def _countings(own: EpisodeSettings, step_s: float) -> Iterator[Counting]:
    """:param step_s: time between two samples; a shorter window contains one sample."""
    yield Counting(SAMPLES)
    windows = _levels(own.smoothing_s, _SMOOTHING_S, 2) if own.smoothing_s > 0 else _SMOOTHING_S
    for window_s in sorted(windows):
        if window_s > step_s + TIME_EPS_S:
            yield Counting(SAMPLES, window_s)
    yield Counting(PROBABILITY)
    durations = [shortest for shortest in _DURATIONS_S if shortest >= own.bridge_s]
    for enter, leave in sorted(_levels((own.enter, own.leave), _THRESHOLDS, 2)):
        for shortest in sorted(_levels(own.min_duration_s, durations, 2)):
            yield Counting(EPISODES, own.smoothing_s, enter, leave, shortest)


def episode_settings(own: EpisodeSettings, counting: Counting) -> EpisodeSettings:
    """The study's settings with those of the counting."""
    given = {
        name: value
        for name in ("smoothing_s", "enter", "leave", "min_duration_s")
        if (value := getattr(counting, name)) is not None
    }
    return replace(own, **given)


_Level = TypeVar("_Level")


def _levels(own: _Level, usual: Sequence[_Level], most: int) -> list[_Level]:
    """The study's own value first, and usual ones that differ from it."""
    return [own, *(value for value in usual if value != own)][:most]
