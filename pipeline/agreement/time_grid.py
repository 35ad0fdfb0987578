"""Sessions second by second: what each reader, a person or the machine, says of each step of a grid.

A step's label is that which covers most of it; time without a label counts as one too. Between two that cover
the same, the first in the order of the labels is taken. Only steps of which the patient's face could be read
for at least half count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.analysis.episodes import Observed
from pipeline.exchange.code_map import COARSE_LABELS, GROUP_OF, NONE
from pipeline.exchange.rated_extent import outside, united
from pipeline.exchange.ratings import Rating
from pipeline.records import EMOTIONS
from pipeline.store.timeline import Timeline

Floats = NDArray[np.float64]
Steps = NDArray[np.int8]

LEVELS: Mapping[str, tuple[str, ...]] = {"groups": (*COARSE_LABELS, NONE), "emotions": (*EMOTIONS, NONE)}
"""The labels that are told apart, coarse and fine."""

MISSING = -1
"""Instead of a label where a reader could not judge."""

MIN_READ = 0.5
"""So much of a step must have been read, and so much could not be judged, for it to count as such."""

Stretches = dict[str, list[tuple[float, float]]]
"""Label → (start, end) in s; they may overlap."""


@dataclass(frozen=True)
class Coder:
    """A person, or a way of taking the machine's answer.

    :param kind: ``person``; ``samples``: the largest probability of each sample; ``episodes``.
    :param reading: ``raw`` or ``corrected``; empty of a person.
    """

    name: str
    kind: str
    reading: str = ""


@dataclass(frozen=True)
class Coding:
    """What a reader says of one session.

    :param stretches: by emotion, or by group where a person coded so.
    :param missing: where the reader could not judge.
    :param uncoded: the label of the rest: of ``within``, or of the whole session.
    :param levels: those of LEVELS that the labels allow.
    """

    stretches: Stretches
    missing: tuple[tuple[float, float], ...] = ()
    uncoded: str = NONE
    within: tuple[tuple[float, float], ...] | None = None
    levels: tuple[str, ...] = ("groups", "emotions")

    def at(self, level: str) -> Stretches:
        """The stretches in the labels of a level."""
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
    """The steps of a session.

    :param edges_s: (m + 1,) bounds of the steps.
    :param observed: (m,) whether the face could be read for long enough.
    :param duration_s: of the session.
    """

    edges_s: Floats
    observed: NDArray[np.bool_]
    duration_s: float


def make_grid(timeline: Timeline, samples: Observed, step_s: float) -> Grid:
    duration_s = float(timeline.metadata["video"]["duration_s"])
    edges_s = step_s * np.arange(int(np.ceil(duration_s / step_s - 1e-9)) + 1, dtype=np.float64)
    read_s = covered(readable(samples), edges_s)
    parts_s = sum(end - start for start, end in timeline.metadata["session"]["parts"])
    return Grid(edges_s, read_s >= MIN_READ * step_s - 1e-6, float(parts_s))


def covered(stretches: Sequence[tuple[float, float]], edges_s: Floats) -> Floats:
    """(m,) seconds of each step that the stretches cover; where they overlap, once."""
    if not stretches:
        return np.zeros(len(edges_s) - 1)
    bounds = np.array(united(stretches))
    before = np.concatenate([[0.0], np.cumsum(bounds[:, 1] - bounds[:, 0])])
    levels = np.stack([before[:-1], before[1:]], axis=1).ravel()
    # rounded, so that equal shares are equal whatever they were summed from
    return np.diff(np.interp(edges_s, bounds.ravel(), levels)).round(6)


def steps(read: Coding, level: str, grid: Grid) -> Steps:
    """(m,) position of each step's label in the level's labels, or :data:`MISSING`."""
    labels, by_label = LEVELS[level], read.at(level)
    seconds = np.stack([covered(by_label.get(label, []), grid.edges_s) for label in labels])
    everything = [part for parts in by_label.values() for part in parts]
    step_s = grid.edges_s[1] - grid.edges_s[0]
    whole = step_s if read.within is None else covered(read.within, grid.edges_s)
    seconds[labels.index(read.rest(level))] += whole - covered(everything, grid.edges_s)
    found = seconds.round(6).argmax(axis=0).astype(np.int8)
    found[covered(read.missing, grid.edges_s) >= MIN_READ * step_s - 1e-6] = MISSING
    return found


def by_person(rating: Rating) -> Coding:
    found: Stretches = {}
    for stretch in rating.stretches:
        found.setdefault(stretch.label, []).append((stretch.start_s, stretch.end_s))
    coarse = {"positive", "negative"} & (found.keys() | {rating.uncoded})
    levels = ("groups",) if coarse else ("groups", "emotions")
    missing = (*rating.unrateable, *(outside(rating.rated) if rating.rated else ()))
    return Coding(found, missing, rating.uncoded, rating.rated or None, levels)


def by_samples(samples: Observed) -> Coding:
    """The largest probability of each sample."""
    found: Stretches = {}
    largest = samples.probabilities.argmax(axis=1).tolist()
    for emotion, part in zip(largest, _parts(samples), strict=True):
        found.setdefault(EMOTIONS[emotion], []).append(part)
    return Coding(found, within=readable(samples))


def by_episodes(episodes: pl.DataFrame, samples: Observed) -> Coding:
    """Where there is no episode, the machine is not sure.

    :param episodes: with the columns emotion, start_s and end_s.
    """
    found: Stretches = {}
    for emotion, start_s, end_s in episodes.select("emotion", "start_s", "end_s").iter_rows():
        found.setdefault(str(emotion), []).append((start_s, end_s))
    return Coding(found, within=readable(samples))


def readable(samples: Observed) -> tuple[tuple[float, float], ...]:
    """Where the face could be read."""
    return tuple(united(_parts(samples)))


def _parts(samples: Observed) -> list[tuple[float, float]]:
    return list(zip(samples.start_s.tolist(), samples.end_s.tolist(), strict=True))
