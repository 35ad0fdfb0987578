"""Put the codings of raters and the machine on a grid of time steps.

A step gets the label that covers most of the step; time without a label competes like a label. On a tie, the
first in the order of the labels wins. Only steps with the patient's face readable for at least half count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.analysis.episodes import Observed
from pipeline.exchange.code_map import COARSE_LABELS, GROUP_OF, NONE, WITHOUT_EXPRESSION
from pipeline.exchange.rated_extent import intersection, outside, united
from pipeline.exchange.ratings import Rating
from pipeline.records import EMOTIONS
from pipeline.stats.reliability import FEWEST_UNITS
from pipeline.store.timeline import Timeline

Floats = NDArray[np.float64]
Steps = NDArray[np.int8]

LEVELS: Mapping[str, tuple[str, ...]] = {"groups": (*COARSE_LABELS, NONE), "emotions": (*EMOTIONS, NONE)}
"""Level → labels, coarse and fine."""

FEW_SESSIONS = FEWEST_UNITS
"""With fewer sessions, intervals resample blocks of time; those of episodes always resample sessions."""

BLOCK_S = 30.0

MISSING = -1
"""Stands for a step that the coder could not judge."""

MIN_READ = 0.5
"""Smallest share of a step that must be readable, or not judgeable, for the step to count as such."""

Stretches = dict[str, list[tuple[float, float]]]
"""Label → intervals (start, end), s; intervals may overlap."""


@dataclass(frozen=True)
class Coder:
    """A rater, or one kind of machine coding.

    :param kind: ``person``; ``samples``: the largest probability of each sample; ``episodes``.
    :param reading: ``raw`` or ``corrected``; empty for a rater.
    """

    name: str
    kind: str
    reading: str = ""


@dataclass(frozen=True)
class Coding:
    """One coder's coding of one session.

    :param stretches: intervals by emotion, or by group if the rater coded groups.
    :param missing: intervals that the coder could not judge.
    :param uncoded: label of the remaining time of ``within``, or of the session.
    :param levels: the LEVELS that the labels allow.
    """

    stretches: Stretches
    missing: tuple[tuple[float, float], ...] = ()
    uncoded: str = NONE
    within: tuple[tuple[float, float], ...] | None = None
    levels: tuple[str, ...] = ("groups", "emotions")

    def at(self, level: str) -> Stretches:
        """The intervals, with the labels of a level."""
        if level == "emotions":
            return self.stretches
        found: Stretches = {}
        for label, parts in self.stretches.items():
            found.setdefault(GROUP_OF[label], []).extend(parts)
        return found

    def rest(self, level: str) -> str:
        return self.uncoded if level == "emotions" else GROUP_OF[self.uncoded]


@dataclass(frozen=True)
class Grid:
    """The time steps of a session.

    :param edges_s: (m + 1,) bounds of the steps, s.
    :param observed: (m,) whether the face was readable for long enough.
    :param duration_s: length of the session, s.
    """

    edges_s: Floats
    observed: NDArray[np.bool_]
    duration_s: float


def make_edges(timeline: Timeline, step_s: float) -> Floats:
    """(m + 1,) bounds of the steps of a session, s."""
    duration_s = float(timeline.metadata["video"]["duration_s"])
    return step_s * np.arange(int(np.ceil(duration_s / step_s - 1e-9)) + 1, dtype=np.float64)


def make_grid(timeline: Timeline, samples: Observed, step_s: float) -> Grid:
    edges_s = make_edges(timeline, step_s)
    read_s = covered(readable(samples), edges_s)
    parts_s = sum(end - start for start, end in timeline.metadata["session"]["parts"])
    return Grid(edges_s, read_s >= MIN_READ * step_s - 1e-6, float(parts_s))


def covered(stretches: Sequence[tuple[float, float]], edges_s: Floats) -> Floats:
    """(m,) seconds of each step that the intervals cover; overlaps count once."""
    if not stretches:
        return np.zeros(len(edges_s) - 1)
    bounds = np.array(united(stretches))
    before = np.concatenate([[0.0], np.cumsum(bounds[:, 1] - bounds[:, 0])])
    levels = np.stack([before[:-1], before[1:]], axis=1).ravel()
    # rounded, so that shares that are equal up to rounding errors tie
    return np.diff(np.interp(edges_s, bounds.ravel(), levels)).round(6)


def steps(read: Coding, level: str, grid: Grid) -> Steps:
    """(m,) index of each step's label in the level's labels, or :data:`MISSING`."""
    labels, by_label = LEVELS[level], read.at(level)
    seconds = np.stack([covered(by_label.get(label, []), grid.edges_s) for label in labels])
    everything = [part for parts in by_label.values() for part in parts]
    step_s = grid.edges_s[1] - grid.edges_s[0]
    whole = step_s if read.within is None else covered(read.within, grid.edges_s)
    seconds[labels.index(read.rest(level))] += whole - covered(everything, grid.edges_s)
    found = seconds.round(6).argmax(axis=0).astype(np.int8)
    found[covered(read.missing, grid.edges_s) >= MIN_READ * step_s - 1e-6] = MISSING
    return found


Pair = tuple[Steps, Steps]
"""The labels of two coders at the steps of one session that both judged."""


def resampling_units(said: Sequence[Pair], step_s: float) -> tuple[list[Pair], str]:
    """The units of the bootstrap: sessions, or blocks of sessions if there are few; and their name.

    :param said: one pair for each session.
    """
    there = [(one, two) for one, two in said if len(one)]
    if len(there) >= FEW_SESSIONS:
        return there, "sessions"
    length = max(1, round(BLOCK_S / step_s))
    blocks = [
        (one[start : start + length], two[start : start + length])
        for one, two in there
        for start in range(0, len(one), length)
    ]
    return blocks or list(said), "blocks"


def by_person(rating: Rating) -> Coding:
    found: Stretches = {}
    for stretch in rating.stretches:
        found.setdefault(stretch.label, []).append((stretch.start_s, stretch.end_s))
    # a face that sleeps or is turned away has no expression to rate, unless one is coded too
    hidden = [(one.start_s, one.end_s) for one in rating.states if one.label in WITHOUT_EXPRESSION]
    coded = [part for parts in found.values() for part in parts]
    hidden = intersection(united(hidden), outside(united(coded)))
    coarse = {"positive", "negative"} & (found.keys() | {rating.uncoded})
    levels = ("groups",) if coarse else ("groups", "emotions")
    missing = (*rating.unrateable, *hidden, *(outside(rating.rated) if rating.rated else ()))
    return Coding(found, missing, rating.uncoded, rating.rated or None, levels)


def by_samples(samples: Observed) -> Coding:
    """Code each sample by its largest probability."""
    found: Stretches = {}
    largest = samples.probabilities.argmax(axis=1).tolist()
    for emotion, part in zip(largest, _parts(samples), strict=True):
        found.setdefault(EMOTIONS[emotion], []).append(part)
    return Coding(found, within=readable(samples))


def by_episodes(episodes: pl.DataFrame, samples: Observed) -> Coding:
    """Code by episodes; time without an episode is uncertain.

    :param episodes: with the columns emotion, start_s and end_s.
    """
    found: Stretches = {}
    for emotion, start_s, end_s in episodes.select("emotion", "start_s", "end_s").iter_rows():
        found.setdefault(str(emotion), []).append((start_s, end_s))
    return Coding(found, within=readable(samples))


def readable(samples: Observed) -> tuple[tuple[float, float], ...]:
    """Intervals with a readable face."""
    return tuple(united(_parts(samples)))


def _parts(samples: Observed) -> list[tuple[float, float]]:
    return list(zip(samples.start_s.tolist(), samples.end_s.tolist(), strict=True))
