"""Match the episodes of two coders.

An episode is matched ("met") if the other coder has an overlapping episode of the same label, and IoU-matched
if their intersection over union is at least :data:`MIN_IOU`. Episodes of which less than half was readable,
or was judged by the other coder, are ignored. Intervals resample sessions with episodes; with few such
sessions there is no interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.agreement.time_grid import Coding
from pipeline.exchange.rated_extent import united
from pipeline.stats.reliability import Figure, share

MIN_IOU = 0.3
"""Intersection over union, as for temporal detection (ActivityNet's lowest thresholds are 0.3 to 0.5)."""

Parts = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class MatchRate:
    """Share of one coder's episodes that the other coder has too.

    :param episodes: number of episodes.
    :param iou_matched: share with an IoU of at least MIN_IOU. ``met``: share with any overlap.
    """

    episodes: int
    iou_matched: Figure
    met: Figure


@dataclass(frozen=True)
class Matched:
    """:param first: the first coder's episodes, matched by the second's. ``second``: the reverse."""

    label: str
    first: MatchRate
    second: MatchRate


def match(
    sessions: Sequence[tuple[Coding, Coding, Parts]], level: str, labels: Sequence[str]
) -> tuple[Matched, ...]:
    """Match rates of all labels together (empty label), then of each label that occurs.

    :param sessions: for each session the two codings, and the time with a readable face.
    """
    counted = {label: _count(sessions, level, label) for label in labels}
    counted = {label: counts for label, counts in counted.items() if counts[:, :, 0].any()}
    both = sum(counted.values(), np.zeros((len(sessions), 2, 3), np.int64))
    return tuple(
        Matched(label, _met(counts[:, 0]), _met(counts[:, 1]))
        for label, counts in [("", both), *counted.items()]
    )


def _met(counts: NDArray[np.int64]) -> MatchRate:
    """:param counts: (sessions, 3): episodes, IoU-matched, met."""
    episodes = counts[:, 0]
    return MatchRate(int(episodes.sum()), share(counts[:, 1], episodes), share(counts[:, 2], episodes))


def _count(sessions: Sequence[tuple[Coding, Coding, Parts]], level: str, label: str) -> NDArray[np.int64]:
    """(sessions, 2, 3)"""
    found = np.zeros((len(sessions), 2, 3), np.int64)
    for place, (first, second, read) in enumerate(sessions):
        one, two = (united(reader.at(level).get(label, [])) for reader in (first, second))
        found[place, 0] = _against(one, two, _judged(read, second))
        found[place, 1] = _against(two, one, _judged(read, first))
    return found


def _judged(read: Parts, reader: Coding) -> tuple[Parts, Parts]:
    return united(list(read)), united(list(reader.missing))


def _against(own: Parts, others: Parts, judged: tuple[Parts, Parts]) -> tuple[int, int, int]:
    read, missing = judged
    counts = [0, 0, 0]
    for start, end in own:
        if sum(_shared(start, end, read)) - sum(_shared(start, end, missing)) < (end - start) / 2:
            continue
        shared = _shared(start, end, others)
        unions = [
            end - start + other[1] - other[0] - both for other, both in zip(others, shared, strict=True)
        ]
        iou = [both / union for both, union in zip(shared, unions, strict=True)]
        counts[0] += 1
        counts[1] += max(iou, default=0.0) >= MIN_IOU
        counts[2] += max(shared, default=0.0) > 0
    return counts[0], counts[1], counts[2]


def _shared(start: float, end: float, parts: Parts) -> list[float]:
    return [max(min(end, other[1]) - max(start, other[0]), 0.0) for other in parts]
