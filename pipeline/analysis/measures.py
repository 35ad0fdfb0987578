"""Compute the measures of a session, each with a 95 % interval; no number if coverage is too low."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.analysis.episodes import Episode, Observed
from pipeline.records import EMOTIONS, NEGATIVE, valence
from pipeline.stats.block_bootstrap import effective_count, mean_interval, rate_interval, share_interval
from pipeline.store.coverage import sample_seconds
from pipeline.store.timeline import Timeline

Floats = NDArray[np.float64]

GROUP_MEMBERS = {"positive": ("happy",), "negative": NEGATIVE}
"""People agree best at this level (98–99 %); neutral is a separate class, and surprise is in no group."""

MIN_QUIET_S = 10.0
"""Least time without speech and chewing for shares of it."""

_MINUTE_S = 60.0
_MIN_MINUTES = 3
_NEUTRAL = EMOTIONS.index("neutral")


@dataclass(frozen=True)
class Measure:
    """One measure of a session.

    :param measure: name of the measure. ``of``: an emotion or a group of :data:`GROUP_MEMBERS`; empty: all.
    :param value: ``None`` if it cannot be computed. ``low``, ``high``: 95 % interval, or ``None``.
    """

    measure: str
    of: str
    unit: str
    value: float | None = None
    low: float | None = None
    high: float | None = None


def measure_session(
    samples: Observed,
    episodes: Sequence[Episode],
    *,
    begin_s: float,
    enough: bool,
    attention: Measure | None = None,
) -> list[Measure]:
    """All measures of a session, in a fixed order.

    :param begin_s: begin of the session in the video; latencies count from here, also over unobserved time.
    :param attention: from :func:`measure_attention`.
    :param enough: whether coverage is high enough; otherwise every value is ``None``.
    """
    if not enough:
        return [Measure(name, of, unit) for name, of, unit in measure_names()]
    by_name = {(found.measure, found.of): found for found in _measures(samples, episodes, begin_s)}
    if attention is not None:
        by_name[attention.measure, attention.of] = attention
    return [by_name.get((name, of), Measure(name, of, unit)) for name, of, unit in measure_names()]


def measure_attention(timeline: Timeline) -> Measure | None:
    """The share of the time with a known pose in which the face is turned to where the study's list says.

    Time with eyes shut for long does not count.
    A face turned away so far that it is not found does not count, so the true share is lower where the face
    was often out of view.

    :returns: ``None`` if the pose is never known.
    """
    seconds = sample_seconds(timeline)
    awake = timeline.rows["status"].cast(pl.String) != "eyes_shut"
    known = (timeline.rows["facing"].is_not_null() & awake).to_numpy() & (seconds > 0)
    if not known.any():
        return None
    rows, seconds = timeline.rows.filter(known), seconds[known]
    there = (rows["facing"] == timeline.metadata["session"]["attention_to"]).to_numpy()
    count = effective_count(rows["yaw"].to_numpy().astype(np.float64), seconds)
    value = float(there @ seconds / seconds.sum())
    return Measure("attention", "", "0…1", value, *share_interval(there, seconds, count))


def measure_names() -> Iterator[tuple[str, str, str]]:
    """Measure, emotion or group, and unit of every measure."""
    for name, unit in (("seconds", "s"), ("share", "0…1"), ("share_without_speech", "0…1")):
        yield from ((name, of, unit) for of in (*EMOTIONS, *GROUP_MEMBERS))
    for name, unit in (("episodes_per_min", "1/min"), ("latency_s", "s"), ("longest_s", "s")):
        yield from ((name, of, unit) for of in EMOTIONS)
    yield "valence", "", "−1…1"
    yield "switches_per_min", "", "1/min"
    yield "switch_variance", "", "1/min²"
    yield "expressivity", "", "0…1"
    yield "expressive_share", "", "0…1"
    yield "attention", "", "0…1"


def _measures(samples: Observed, episodes: Sequence[Episode], begin_s: float) -> Iterator[Measure]:
    p = samples.probabilities
    balance = valence(p)
    count = effective_count(balance, samples.seconds)
    yield from _shares(samples, count)
    yield from _shares_without_speech(samples)
    for emotion in EMOTIONS:
        of_it = [episode for episode in episodes if episode.emotion == emotion]
        starts = _events_at(samples, [episode.start_s for episode in of_it])
        yield _rate("episodes_per_min", emotion, starts, samples)
        if of_it:
            yield Measure("latency_s", emotion, "s", of_it[0].start_s - begin_s)
            yield Measure("longest_s", emotion, "s", max(e.end_s - e.start_s for e in of_it))
    yield _mean("valence", "−1…1", balance, samples)
    yield _mean("expressivity", "0…1", 1 - p[:, _NEUTRAL], samples)
    yield from _switches(samples, episodes)
    away = _within(samples, [episode for episode in episodes if episode.emotion != "neutral"])
    yield _share("expressive_share", "", away, samples, count)


def _shares(samples: Observed, count: float) -> Iterator[Measure]:
    largest = samples.probabilities.argmax(axis=1)
    for of in (*EMOTIONS, *GROUP_MEMBERS):
        members = [EMOTIONS.index(name) for name in GROUP_MEMBERS.get(of, (of,))]
        share = _share("share", of, np.isin(largest, members), samples, count)
        yield share
        yield _times(share, float(samples.seconds.sum()))


def _shares_without_speech(samples: Observed) -> Iterator[Measure]:
    """Shares of the time in which the person neither speaks nor chews: both move the face as emotions do."""
    quiet = samples.quiet
    if quiet is None:
        return
    rest = Observed(samples.start_s[quiet], samples.seconds[quiet], samples.probabilities[quiet])
    if rest.seconds.sum() < MIN_QUIET_S:
        return
    count = effective_count(valence(rest.probabilities), rest.seconds)
    for measure in _shares(rest, count):
        if measure.measure == "share":
            yield replace(measure, measure="share_without_speech")


def _share(name: str, of: str, present: NDArray[np.bool_], samples: Observed, count: float) -> Measure:
    value = float(present @ samples.seconds / samples.seconds.sum())
    return Measure(name, of, "0…1", value, *share_interval(present, samples.seconds, count))


def _times(share: Measure, observed_s: float) -> Measure:
    """A share as seconds of the observed time."""
    assert share.value is not None and share.low is not None and share.high is not None  # noqa: PT018
    scaled = (observed_s * part for part in (share.value, share.low, share.high))
    return Measure("seconds", share.of, "s", *scaled)


def _mean(name: str, unit: str, values: Floats, samples: Observed) -> Measure:
    low, high = mean_interval(values, samples.seconds)
    least, most = (-1.0, 1.0) if unit.startswith("−") else (0.0, 1.0)
    value = float(values @ samples.seconds / samples.seconds.sum())
    return Measure(name, "", unit, value, max(low, least), min(high, most))


def _switches(samples: Observed, episodes: Sequence[Episode]) -> Iterator[Measure]:
    """Number of changes between consecutive episodes of different emotions (Chen et al. 2022, *Aging*)."""
    at = [later.start_s for earlier, later in pairwise(episodes) if earlier.emotion != later.emotion]
    events = _events_at(samples, at)
    yield _rate("switches_per_min", "", events, samples)
    minute = (samples.start_s // _MINUTE_S).astype(int)
    seen_s = np.bincount(minute, samples.seconds)
    full = seen_s >= _MINUTE_S / 2
    if full.sum() >= _MIN_MINUTES:
        per_minute = np.bincount(minute, events)[full] / (seen_s[full] / _MINUTE_S)
        yield Measure("switch_variance", "", "1/min²", float(per_minute.var(ddof=1)))


def _rate(name: str, of: str, events: Floats, samples: Observed) -> Measure:
    minutes = samples.seconds / _MINUTE_S
    value = float(events.sum() / minutes.sum())
    return Measure(name, of, "1/min", value, *rate_interval(events, minutes))


def _events_at(samples: Observed, times_s: Sequence[float]) -> Floats:
    """(m,) number of events at each sample; the times are starts of samples."""
    return np.bincount(np.searchsorted(samples.start_s, times_s), minlength=len(samples.start_s)).astype(
        float
    )


def _within(samples: Observed, episodes: Sequence[Episode]) -> NDArray[np.bool_]:
    """(m,) whether a sample lies in one of the episodes, which do not overlap."""
    inside = np.zeros(len(samples.start_s), bool)
    for episode in episodes:
        start, end = np.searchsorted(samples.start_s, [episode.start_s, episode.end_s])
        inside[start:end] = True
    return inside
