"""Agreement between raters and the machine, and between raters: per time step and per episode.

Only time with a readable patient face is compared. Every result has an interval and the number of seconds and
sessions. Raw and corrected readings are compared separately.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.agreement.episode_matching import Matched, match
from pipeline.agreement.machine_coding import MachineCoder
from pipeline.agreement.results import Agreement, Comparison, Disagreement, OneClass, RatedTime, Several
from pipeline.agreement.states import compare_states, read_state_sessions, state_disagreements
from pipeline.agreement.time_grid import (
    BLOCK_S,
    FEW_SESSIONS,
    LEVELS,
    MISSING,
    Coder,
    Coding,
    Grid,
    Steps,
    by_person,
    make_grid,
    readable,
    resampling_units,
    steps,
)
from pipeline.errors import InputError
from pipeline.exchange.code_map import NONE
from pipeline.exchange.coded import Span
from pipeline.exchange.rated_extent import intersection, total_s, united
from pipeline.exchange.ratings import Rating, Ratings
from pipeline.records import Ids
from pipeline.stats.reliability import (
    Counts,
    alpha,
    confusion,
    correlation,
    kappa,
    library,
    share,
)
from pipeline.store.paths import timeline_path
from pipeline.store.timeline import read_timeline

ORDERED = ("negative", "neutral", "positive")
"""Labels with an order, for weighted kappa."""


@dataclass(frozen=True)
class _Session:
    ids: tuple[str, str]
    parts: tuple[tuple[float, float], ...]
    grid: Grid
    readable: tuple[tuple[float, float], ...]
    reads: Mapping[Coder, Coding]
    steps: Mapping[tuple[Coder, str], Steps]


def agree(
    out: Path,
    ratings: Ratings,
    step_s: float = 1.0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Agreement:
    """Compare all pairs of coders.

    :param step_s: length of a time step, s.
    :param on_progress: called with (steps done, total steps).
    :raises InputError: a package is missing, or no rated session has a readable face.
    """
    if not 0.1 <= step_s <= 60:
        raise InputError(f"`step_s` {step_s:g}: from 0.1 to 60 seconds.")
    for name in ("sklearn.metrics", "krippendorff", "pingouin"):
        library(name)  # fail now, not after minutes
    rated = sorted({rating.ids for rating in ratings.ratings if rating.has_expressions})
    in_states = read_state_sessions(out, ratings, step_s)
    states = tuple(compare_states(in_states, step_s))
    if not rated and not states:
        raise InputError(
            f"{out}: no rating has a usable code; there is nothing to compare. Check the ratings."
        )
    machine, sessions = MachineCoder(out), []
    for done, ids in enumerate(rated, start=1):
        sessions.append(_read_session(out, ids, machine, ratings, step_s))
        on_progress(done, 2 * len(rated))
    if not states and not any(session.grid.observed.any() for session in sessions):
        raise InputError(f"{out}: no rated session has a readable face; there is nothing to compare.")
    pairs = list(_pairs(sessions))
    comparisons: list[Comparison] = []
    for done, (first, second) in enumerate(pairs, start=1):
        comparisons += _compare(sessions, first, second)
        on_progress(len(rated) + round(len(rated) * done / len(pairs)), 2 * len(rated))
    if not any(one.seconds for one in comparisons) and not any(one.seconds for one in states):
        raise InputError(f"{out}: the rated time has no readable face; there is nothing to compare.")
    parts = {session.ids: session.parts for session in sessions}
    parts |= {session.ids: session.parts for session in in_states}
    apart = [*_disagreements(sessions, pairs), *state_disagreements(in_states)]
    return Agreement(
        step_s,
        ratings.raters,
        tuple(_rated_time(rater, ratings, parts) for rater in ratings.raters),
        tuple((*session.ids, _covered(session.grid)) for session in sessions),
        tuple(comparisons),
        states,
        tuple(_several(sessions)),
        tuple(sorted(apart, key=_longest_first)),
        ratings.notes,
    )


def _read_session(
    out: Path, ids: tuple[str, str], machine: MachineCoder, ratings: Ratings, step_s: float
) -> _Session:
    timeline = read_timeline(timeline_path(out, *ids))
    people = {
        Coder(rating.rater, "person"): by_person(rating)
        for rating in ratings.ratings
        if rating.ids == ids and rating.has_expressions
    }
    samples, reads = machine.reads(ids, timeline)
    grid, everybody = make_grid(timeline, samples, step_s), {**reads, **people}
    said = {
        (reader, level): steps(read, level, grid)
        for reader, read in everybody.items()
        for level in read.levels
    }
    parts = tuple((float(start), float(end)) for start, end in timeline.metadata["session"]["parts"])
    return _Session(ids, parts, grid, readable(samples), everybody, said)


def _rated_time(rater: str, ratings: Ratings, parts: Mapping[Ids, Sequence[Span]]) -> RatedTime:
    own = [rating for rating in ratings.ratings if rating.rater == rater]
    usable = [rating for rating in own if rating.is_usable]
    return RatedTime(
        rater,
        len(usable),
        sum(_within_s(rating.rated or parts[rating.ids], parts[rating.ids]) for rating in usable),
        sum(_within_s(_coded(rating), parts[rating.ids]) for rating in usable),
        all(rating.rated and not rating.is_assumed for rating in usable),
        len(own) - len(usable),
    )


def _coded(rating: Rating) -> list[tuple[float, float]]:
    return [(stretch.start_s, stretch.end_s) for stretch in (*rating.stretches, *rating.states)]


def _within_s(spans: Sequence[tuple[float, float]], parts: Sequence[tuple[float, float]]) -> float:
    return float(total_s(intersection(united(spans), parts)))


def _covered(grid: Grid) -> float:
    step_s = float(grid.edges_s[1] - grid.edges_s[0])
    return min(float(grid.observed.sum()) * step_s / grid.duration_s, 1.0) if grid.duration_s else 0.0


def _readers(sessions: Sequence[_Session]) -> list[Coder]:
    """The machine's codings first, then raters by name."""
    found = {reader for session in sessions for reader in session.reads}
    kinds = ("samples", "episodes", "person")
    return sorted(
        found, key=lambda one: (one.kind == "person", one.reading != "raw", kinds.index(one.kind), one.name)
    )


def _pairs(sessions: Sequence[_Session]) -> Iterator[tuple[Coder, Coder]]:
    for first, second in combinations(_readers(sessions), 2):
        if second.kind == "person" and any({first, second} <= session.reads.keys() for session in sessions):
            yield first, second


def _compare(sessions: Sequence[_Session], first: Coder, second: Coder) -> Iterator[Comparison]:
    shared = [session for session in sessions if {first, second} <= session.reads.keys()]
    for level in LEVELS:
        if all(level in session.reads[one].levels for session in shared for one in (first, second)):
            yield _comparison(shared, first, second, level)


def _comparison(sessions: Sequence[_Session], first: Coder, second: Coder, level: str) -> Comparison:
    labels = LEVELS[level]
    step_s = float(sessions[0].grid.edges_s[1])
    said = [_both(session, first, second, level) for session in sessions]
    units, over = resampling_units(said, step_s)
    tables = np.stack([confusion(*unit, len(labels)) for unit in units])
    by_session = np.stack([confusion(*one, len(labels)) for one in said])
    total = tables.sum(axis=0)
    ordered = (
        tables[np.ix_(range(len(tables)), *[[labels.index(one) for one in ORDERED]] * 2)]
        if level == "groups"
        else None
    )
    whole_s = sum(session.grid.duration_s for session in sessions)
    return Comparison(
        first,
        second,
        level,
        labels,
        sessions=sum(bool(len(one)) for one, _ in said),
        seconds=float(total.sum() * step_s),
        coverage=min(float(total.sum() * step_s) / whole_s, 1.0) if whole_s else 0.0,
        over=over,
        same=share(np.trace(tables, axis1=1, axis2=2), tables.sum(axis=(1, 2))),
        kappa=kappa(tables),
        weighted=kappa(ordered, "quadratic") if ordered is not None else None,
        weighted_s=float(ordered.sum() * step_s) if ordered is not None else 0.0,
        classes=tuple(_classes(tables, by_session, labels, step_s)),
        matrix=tuple(tuple(row) for row in (total * step_s).tolist()),
        episodes=_episodes(sessions, first, second, level),
    )


def _both(session: _Session, first: Coder, second: Coder, level: str) -> tuple[Steps, Steps]:
    """The labels of both coders at the steps that both judged."""
    one, two = session.steps[first, level], session.steps[second, level]
    counts = session.grid.observed & (one != MISSING) & (two != MISSING)
    return one[counts], two[counts]


def _classes(tables: Counts, by_session: Counts, labels: Sequence[str], step_s: float) -> Iterator[OneClass]:
    """Results for each label that a coder used."""
    total = tables.sum(axis=0)
    compared = by_session.sum(axis=(1, 2))
    for place, label in enumerate(labels):
        if total[place].sum() + total[:, place].sum():
            said = np.stack([by_session[:, place].sum(axis=1), by_session[:, :, place].sum(axis=1)], axis=1)
            yield OneClass(
                label,
                float(total[place].sum() * step_s),
                float(total[:, place].sum() * step_s),
                kappa(_against_rest(tables, place)),
                correlation(said[compared > 0] / compared[compared > 0, None]),
            )


def _against_rest(tables: Counts, place: int) -> Counts:
    """(units, 2, 2): this label against all others."""
    own = tables[:, place, place]
    row, column = tables[:, place].sum(axis=1), tables[:, :, place].sum(axis=1)
    rest = tables.sum(axis=(1, 2)) - row - column + own
    return np.stack([own, row - own, column - own, rest], axis=1).reshape(-1, 2, 2)


def _episodes(sessions: Sequence[_Session], first: Coder, second: Coder, level: str) -> tuple[Matched, ...]:
    if first.kind == "samples":
        return ()
    triples = [(session.reads[first], session.reads[second], session.readable) for session in sessions]
    # a label assumed for uncoded time has no episodes
    granted = {session.reads[one].rest(level) for session in sessions for one in (first, second)}
    return match(triples, level, [label for label in LEVELS[level] if label not in {*granted, NONE}])


def _several(sessions: Sequence[_Session]) -> Iterator[Several]:
    """Krippendorff's alpha of the raters alone, and with each coding of the machine."""
    readers = _readers(sessions)
    people = [reader for reader in readers if reader.kind == "person"]
    machine = [reader for reader in readers if reader.kind != "person"]
    for together in [people, *([one, *people] for one in machine)]:
        if len(together) < 2:
            continue
        for level in LEVELS:
            able = [
                reader
                for reader in together
                if all(level in one.reads[reader].levels for one in sessions if reader in one.reads)
            ]
            if able == together:
                yield _together(sessions, together, level)


def _together(sessions: Sequence[_Session], readers: Sequence[Coder], level: str) -> Several:
    step_s = float(sessions[0].grid.edges_s[1])
    counts = [_counts(session, readers, level) for session in sessions]
    counts = [one for one in counts if len(one)]
    over = "sessions" if len(counts) >= FEW_SESSIONS else "blocks"
    length = max(1, round(BLOCK_S / step_s))
    units = (
        counts
        if over == "sessions"
        else [one[at : at + length] for one in counts for at in range(0, len(one), length)]
    )
    return Several(
        tuple(reader.name for reader in readers),
        level,
        len(counts),
        float(sum(map(len, counts)) * step_s),
        over,
        alpha(units),
    )


def _counts(session: _Session, readers: Sequence[Coder], level: str) -> NDArray[np.int64]:
    """(steps with at least two judgements, labels): number of coders that chose each label."""
    labels = len(LEVELS[level])
    said = [session.steps[one, level] for one in readers if one in session.reads]
    one_hot = [(each[:, None] == np.arange(labels)) & session.grid.observed[:, None] for each in said]
    counts: NDArray[np.int64] = np.sum(one_hot, axis=0, dtype=np.int64)
    return counts[counts.sum(axis=1) > 1] if said else np.zeros((0, labels), np.int64)


def _disagreements(
    sessions: Sequence[_Session], pairs: Sequence[tuple[Coder, Coder]]
) -> Iterator[Disagreement]:
    """Disagreements at the finest level that both coders have."""
    for session in sessions:
        for first, second in pairs:
            if {first, second} <= session.reads.keys():
                yield from _runs(session, first, second)


def _longest_first(run: Disagreement) -> tuple[float, str, str, float]:
    return run.start_s - run.end_s, run.patient_id, run.session_id, run.start_s


def _runs(session: _Session, first: Coder, second: Coder) -> Iterator[Disagreement]:
    both = set(session.reads[first].levels) & set(session.reads[second].levels)
    level = "emotions" if "emotions" in both else "groups"
    labels = LEVELS[level]
    one, two = session.steps[first, level], session.steps[second, level]
    apart = session.grid.observed & (one != MISSING) & (two != MISSING) & (one != two)
    code = np.where(apart, one.astype(np.int64) * len(labels) + two, -1)
    bounds = np.flatnonzero(np.diff(code, prepend=-2, append=-2))
    edges_s = session.grid.edges_s
    for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        if code[start] >= 0:
            yield Disagreement(
                *session.ids,
                first.name,
                second.name,
                float(edges_s[start]),
                float(edges_s[end]),
                labels[one[start]],
                labels[two[start]],
            )
