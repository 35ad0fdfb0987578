"""Agreement on what a face does besides its expression: speaking, chewing, asleep, away.

Each state is compared by itself, because a face may smile while it speaks. The machine is compared where it
knows the state, raters with one another wherever both rated. A session counts for a rater who coded any state
in it, or who codes states in others and states what was rated of this one: then time without the code is time
without the state.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.agreement.results import Disagreement, StateComparison
from pipeline.agreement.time_grid import (
    MIN_READ,
    MISSING,
    Floats,
    Steps,
    covered,
    make_edges,
    resampling_units,
)
from pipeline.exchange.coded import Span
from pipeline.exchange.rated_extent import intersection, outside, united
from pipeline.exchange.ratings import Rating, Ratings
from pipeline.faces.states import LIKELY
from pipeline.records import STATES, Ids
from pipeline.stats.reliability import confusion, kappa, share
from pipeline.store.coverage import sample_seconds
from pipeline.store.paths import timeline_path
from pipeline.store.timeline import Timeline, read_timeline

MACHINE = "machine"

Said = Mapping[tuple[str, str], Steps]
"""(Reader, state) → (m,) 1 in steps with the state, 0 in others, or MISSING."""


@dataclass(frozen=True)
class StateSession:
    """The readers of one session.

    :param parts: the parts of the recording that count, s.
    :param edges_s: (m + 1,) bounds of the steps.
    """

    ids: Ids
    parts: tuple[Span, ...]
    edges_s: Floats
    said: Said


def read_state_sessions(out: Path, ratings: Ratings, step_s: float) -> list[StateSession]:
    """Every session in which somebody looked for states.

    :raises TimelineError: a timeline can't be read.
    """
    by_session: defaultdict[Ids, list[Rating]] = defaultdict(list)
    coded: defaultdict[str, set[str]] = defaultdict(set)
    for rating in ratings.ratings:
        if rating.has_states:
            by_session[rating.ids].append(rating)
            coded[rating.rater] |= {one.label for one in rating.states}
    return [_session(out, ids, own, coded, step_s) for ids, own in sorted(by_session.items())]


def compare_states(sessions: Sequence[StateSession], step_s: float) -> Iterator[StateComparison]:
    """The machine with each rater, and raters with each other, for each state that they code."""
    readers = sorted({reader for session in sessions for reader, _ in session.said}, key=_machine_first)
    for state in STATES:
        for first, second in combinations(readers, 2):
            both = [
                _both(session.said[first, state], session.said[second, state])
                for session in sessions
                if {(first, state), (second, state)} <= session.said.keys()
            ]
            if both and second != MACHINE:
                yield _comparison(state, first, second, both, step_s)


def state_disagreements(sessions: Sequence[StateSession]) -> Iterator[Disagreement]:
    """Runs of steps in which one reader sees a state and another does not."""
    for session in sessions:
        readers = sorted(session.said, key=lambda both: _machine_first(both[0]))
        for (first, state), (second, other) in combinations(readers, 2):
            if state == other:
                yield from _runs(session, state, first, second)


def _machine_first(reader: str) -> tuple[bool, str]:
    return reader != MACHINE, reader


def _session(
    out: Path, ids: Ids, ratings: Sequence[Rating], coded: Mapping[str, set[str]], step_s: float
) -> StateSession:
    timeline = read_timeline(timeline_path(out, *ids))
    edges_s = make_edges(timeline, step_s)
    parts = tuple((float(start), float(end)) for start, end in timeline.metadata["session"]["parts"])
    said = {
        (rating.rater, state): _by_person(rating, state, parts, edges_s)
        for rating in ratings
        for state in coded[rating.rater]
    }
    wanted = {state for _, state in said}
    said |= {(MACHINE, state): _by_machine(timeline, state, edges_s) for state in wanted}
    return StateSession(ids, parts, edges_s, said)


def _by_person(rating: Rating, state: str, parts: Sequence[Span], edges_s: Floats) -> Steps:
    rated = intersection(united(rating.rated or parts), outside(united(rating.unrateable)))
    return _steps([(one.start_s, one.end_s) for one in rating.states if one.label == state], rated, edges_s)


def _by_machine(timeline: Timeline, state: str, edges_s: Floats) -> Steps:
    known, there = _machine_says(timeline, state)
    start_s = timeline.rows["time_s"].to_numpy()
    spans = np.stack([start_s, start_s + sample_seconds(timeline)], axis=1)
    return _steps(_spans(spans[known & there]), _spans(spans[known]), edges_s)


def _machine_says(timeline: Timeline, state: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(n,) where the state is known, and where it is there."""
    towards = timeline.metadata["session"]["attention_to"]
    column, there = {
        "asleep": ("eyes_open", pl.col("status") == "eyes_shut"),
        "away": ("facing", pl.col("facing") != towards),
        "speaking": ("speaking", pl.col("speaking") >= LIKELY),
        "chewing": ("chewing", pl.col("chewing") >= LIKELY),
    }[state]
    found = timeline.rows.select(known=pl.col(column).is_not_null(), there=there.fill_null(value=False))
    return found["known"].to_numpy(), found["there"].to_numpy()


def _spans(bounds: Floats) -> list[Span]:
    return [(start, end) for start, end in bounds.tolist()]


def _steps(there: Sequence[Span], known: Sequence[Span], edges_s: Floats) -> Steps:
    there_s, known_s = covered(there, edges_s), covered(known, edges_s)
    found = (there_s >= known_s / 2).astype(np.int8)
    found[known_s < MIN_READ * (edges_s[1] - edges_s[0]) - 1e-6] = MISSING
    return found


def _both(first: Steps, second: Steps) -> tuple[Steps, Steps]:
    counts = (first != MISSING) & (second != MISSING)
    return first[counts], second[counts]


def _comparison(
    state: str, first: str, second: str, both: Sequence[tuple[Steps, Steps]], step_s: float
) -> StateComparison:
    units, over = resampling_units(both, step_s)
    tables = np.stack([confusion(*unit, 2) for unit in units])
    total = tables.sum(axis=0)
    return StateComparison(
        state,
        first,
        second,
        sessions=sum(bool(len(one)) for one, _ in both),
        seconds=float(total.sum() * step_s),
        first_s=float(total[1].sum() * step_s),
        second_s=float(total[:, 1].sum() * step_s),
        over=over,
        same=share(np.trace(tables, axis1=1, axis2=2), tables.sum(axis=(1, 2))),
        kappa=kappa(tables),
    )


def _runs(session: StateSession, state: str, first: str, second: str) -> Iterator[Disagreement]:
    one, two = session.said[first, state], session.said[second, state]
    apart = np.where((one != MISSING) & (two != MISSING) & (one != two), one, MISSING)
    bounds = np.flatnonzero(np.diff(apart, prepend=-2, append=-2))
    words = (f"not {state}", state)
    for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        if apart[start] != MISSING:
            start_s, end_s = float(session.edges_s[start]), float(session.edges_s[end])
            yield Disagreement(
                *session.ids, first, second, start_s, end_s, words[one[start]], words[two[start]]
            )
