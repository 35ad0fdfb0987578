"""Measure the positive expression of each session in all ways of a multiverse; timelines are read once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pipeline.analysis.episodes import Episode, EpisodeSettings, Observed, find_episodes, observed, smoothed
from pipeline.analysis.measures import GROUP_MEMBERS, MIN_QUIET_S
from pipeline.analysis.summaries import SummarySettings
from pipeline.records import EMOTIONS, TIME_EPS_S
from pipeline.robustness.multiverse_choices import (
    EPISODES,
    PROBABILITY,
    Counting,
    Measurement,
    episode_settings,
)
from pipeline.store.coverage import summarize
from pipeline.store.parquet import malformed_as_timeline_error
from pipeline.store.paths import timeline_path
from pipeline.store.timeline import Timeline, read_timeline, written_sessions

_POSITIVE = [EMOTIONS.index(name) for name in GROUP_MEMBERS["positive"]]


@dataclass(frozen=True)
class Measured:
    """The sessions of a study in every measurement.

    :param sessions: ``every`` → one row per session, with the columns that comparisons use but ``enough``.
    :param values: measurement → share of positive expression of each session, 0…1; ``None`` if unknown.
    """

    sessions: Mapping[int, pl.DataFrame]
    values: Mapping[Measurement, list[float | None]]


def measure_sessions(
    out: Path,
    ways: Sequence[Measurement],
    settings: SummarySettings,
    on_session: Callable[[], None],
) -> Measured:
    """Measure all sessions, one after the other.

    :param ways: each once, in the order of :func:`pipeline.robustness.multiverse_choices.analyses`.
    :raises TimelineError: a timeline can't be read.
    """
    rows: dict[int, list[dict[str, Any]]] = {way.every: [] for way in ways}
    values: dict[Measurement, list[float | None]] = {way: [] for way in ways}
    for ids in written_sessions(out):
        path = timeline_path(out, *ids)
        timeline = read_timeline(path)
        with malformed_as_timeline_error(path):
            for every, own_ways in groupby(ways, lambda way: way.every):
                thin = thinned(timeline, every)
                rows[every].append(_session_row(thin))
                for way, value in _values(observed(thin), list(own_ways), settings.episodes):
                    values[way].append(value)
        on_session()
    return Measured({every: pl.DataFrame(found, _SESSION) for every, found in rows.items()}, values)


def thinned(timeline: Timeline, every: int) -> Timeline:
    """The timeline as if only every n-th sample of the grid had been taken.

    What was derived from neighbouring samples (speech, chewing, shut eyes) stays as it was.
    """
    settings = timeline.metadata["settings"]
    slower = {**settings, "sample_fps": settings["sample_fps"] / every}
    return Timeline(
        timeline.rows.filter(pl.col("sample") % every == 0), {**timeline.metadata, "settings": slower}
    )


_SESSION = pl.Schema(
    {
        "patient_id": pl.String(),
        "session_id": pl.String(),
        "recorded_at": pl.Datetime("ms"),
        "condition": pl.String(),
        "duration_s": pl.Float64(),
        "observed_s": pl.Float64(),
        "speaking_s": pl.Float64(),
        "chewing_s": pl.Float64(),
        "coverage": pl.Float64(),
    }
)


def _session_row(timeline: Timeline) -> dict[str, Any]:
    summary, session = summarize(timeline), timeline.metadata["session"]
    recorded_at = session["recorded_at"]
    return {
        **{name: getattr(summary, name, None) for name in _SESSION},
        "recorded_at": datetime.fromisoformat(recorded_at) if recorded_at else None,
        "condition": session["condition"],
    }


def _values(
    samples: Observed, ways: Sequence[Measurement], own: EpisodeSettings
) -> Iterator[tuple[Measurement, float | None]]:
    """Share of positive expression in each way; all ways have the same ``every``."""
    for without_speech, own_ways in groupby(ways, lambda way: way.without_speech):
        listed = list(own_ways)
        counted = _quiet(samples) if without_speech else samples
        if counted is None or not counted.seconds.sum() > 0:
            yield from ((way, None) for way in listed)
            continue
        shares = positive_shares(counted, [way.counting for way in listed], own)
        yield from ((way, shares[way.counting]) for way in listed)


def _quiet(samples: Observed) -> Observed | None:
    """The samples without speech and chewing, which then count as unobserved."""
    quiet = samples.quiet
    if quiet is None or samples.seconds[quiet].sum() < MIN_QUIET_S:
        return None
    return Observed(samples.start_s[quiet], samples.seconds[quiet], samples.probabilities[quiet])


def positive_shares(
    samples: Observed, countings: Sequence[Counting], own: EpisodeSettings
) -> dict[Counting, float]:
    """Share of positive expression in the observed time, 0…1.

    :param samples: at least one. ``own``: the study's settings of what the countings leave open.
    """
    observed_s = samples.seconds.sum()
    shares: dict[Counting, float] = {}
    for counting in countings:
        if counting.counted == EPISODES:
            continue
        if counting.counted == PROBABILITY:
            present = samples.probabilities[:, _POSITIVE].sum(axis=1)
        else:
            present = np.isin(_smoothed(samples, counting, own).argmax(axis=1), _POSITIVE)
        shares[counting] = float(present @ samples.seconds / observed_s)
    in_episodes = (counting for counting in countings if counting.counted == EPISODES)
    for counting, found in _episodes(samples, in_episodes, own):
        seconds = sum(one.observed_s for one in found if one.emotion in GROUP_MEMBERS["positive"])
        shares[counting] = float(seconds / observed_s)
    return shares


def _smoothed(samples: Observed, counting: Counting, own: EpisodeSettings) -> np.ndarray:
    """(m, 7) probabilities."""
    if counting.smoothing_s is None:
        return samples.probabilities
    return smoothed(samples, replace(own, smoothing_s=counting.smoothing_s))


def _episodes(
    samples: Observed, countings: Iterator[Counting], own: EpisodeSettings
) -> Iterator[tuple[Counting, list[Episode]]]:
    """The episodes of each counting, found once per threshold, because short ones are left out last."""
    for _, together in groupby(countings, lambda one: (one.smoothing_s, one.enter, one.leave)):
        by_duration = sorted(together, key=lambda one: one.min_duration_s or 0.0)
        found = find_episodes(samples, episode_settings(own, by_duration[0]))
        for counting in by_duration:
            shortest_s = (counting.min_duration_s or 0.0) - TIME_EPS_S
            yield counting, [one for one in found if one.end_s - one.start_s >= shortest_s]
