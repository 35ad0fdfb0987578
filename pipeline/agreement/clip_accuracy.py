"""Agreement on the clips that were drawn from a study, weighted back to all of its readable time.

Each clip counts with its weight, the number of clips of the study for which it stands
(:mod:`pipeline.agreement.clip_sampling`). The machine's answers are read from the timelines as they are now.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.agreement.clip_sampling import UNSURE, machine_answers, shows_same
from pipeline.agreement.machine_coding import MachineCoder
from pipeline.agreement.rated_clips import FLAGS, Clip, RatedClip
from pipeline.agreement.results import ClipAgreement, ClipComparison, ClipLabel, ClipRater
from pipeline.agreement.states import MACHINE
from pipeline.errors import InputError
from pipeline.exchange.code_map import COARSE_LABELS, GROUP_OF, UNRATEABLE
from pipeline.records import EMOTIONS, Ids
from pipeline.stats.reliability import Floats, kappa
from pipeline.stats.weighted_share import Sample, WeightedShare
from pipeline.store.counts import number_of
from pipeline.store.paths import timeline_path
from pipeline.store.timeline import read_timeline, written_sessions

LABELS: Mapping[str, tuple[str, ...]] = {"groups": COARSE_LABELS, "emotions": EMOTIONS}

Answers = Mapping[tuple[str, int], str]
"""Clip, by its key → the answer of one reader, one of EMOTIONS."""


def compare_clips(
    out: Path,
    drawn: Sequence[Clip],
    rated: Sequence[RatedClip],
    notes: Sequence[str] = (),
    on_session: Callable[[int, int], None] = lambda done, total: None,
) -> ClipAgreement:
    """Compare the machine with each rater, and raters with each other.

    :raises InputError: no clip was rated. :raises TimelineError: a timeline can't be read.
    """
    if not rated:
        raise InputError(f"{out}: no clip was rated; there is nothing to compare.")
    judged = {one.clip.key: one.clip for one in rated}
    machine, gone = _machine(out, list(judged.values()), on_session)
    unread = (
        f"{number_of(gone, 'rated clip')} left out: the machine reads no face there any more, or the patient "
        "is another person than when the clips were drawn"
    )
    return replace(compare_answers(drawn, rated, machine), notes=(*notes, *([unread] if gone else [])))


def compare_answers(
    drawn: Sequence[Clip], rated: Sequence[RatedClip], machine: Mapping[str, Answers]
) -> ClipAgreement:
    """Compare each reading of the machine with each rater, and raters with each other.

    :param machine: answers by reading, the raw one first.
    """
    raters = sorted({one.rater for one in rated})
    answers: Mapping[str, Answers] = {
        rater: {one.clip.key: one.code for one in rated if one.rater == rater and one.code != UNRATEABLE}
        for rater in raters
    }
    pairs = [*((one, rater) for one in machine for rater in raters), *combinations(raters, 2)]
    readers = {**answers, **machine}
    found = [
        comparison
        for first, second in pairs
        if (said := _said(asked_of(drawn, rated, {first, second} & {*raters}), readers, first, second))
        for level in LABELS
        if (comparison := _compare(said, first, second, level))
    ]
    first = [clip.weight for clip in drawn if clip.draw == drawn[0].draw]
    return ClipAgreement(
        len(drawn),
        round(sum(first)),
        max(clip.end_s - clip.start_s for clip in drawn),
        tuple(_rater(rater, drawn, rated) for rater in raters),
        tuple(found),
    )


def _machine(
    out: Path, clips: Sequence[Clip], on_session: Callable[[int, int], None]
) -> tuple[dict[str, dict[tuple[str, int], str]], int]:
    """Reading of the machine → its answers; and the number of clips without a raw answer."""
    coder, gone = MachineCoder(out), 0
    by_session: defaultdict[Ids, list[Clip]] = defaultdict(list)
    for clip in clips:
        by_session[clip.ids].append(clip)
    found: defaultdict[str, dict[tuple[str, int], str]] = defaultdict(dict)
    there = set(written_sessions(out))
    for done, (ids, own) in enumerate(sorted(by_session.items()), start=1):
        if ids not in there:
            gone += len(own)
            continue
        timeline = read_timeline(timeline_path(out, *ids))
        readings = coder.samples(ids, timeline)
        same = [clip for clip in own if shows_same(clip, timeline)]
        gone += len(own) - len(same)
        for reading, samples in readings.items():
            for clip in same:
                seconds = clip.end_s - clip.start_s
                (answer,), _ = machine_answers(samples, np.array([clip.start_s]), seconds)
                if answer >= 0:
                    found[reading][clip.key] = EMOTIONS[answer]
                elif reading == MACHINE:
                    gone += 1
        on_session(done, len(by_session))
    return dict(found), gone


@dataclass(frozen=True, eq=False)
class _Said:
    """The answers of two readers to the clips that were asked of both.

    :param answers: (2, n) of EMOTIONS; ``both``: (n,) whether both answered.
    """

    clips: Sequence[Clip]
    answers: NDArray[np.str_]
    both: NDArray[np.bool_]


def asked_of(drawn: Sequence[Clip], rated: Sequence[RatedClip], raters: Set[str]) -> list[Clip]:
    """The clips that all these raters were asked to judge, or judged.

    Clips without an answer belong to the sample too: which ones have an answer is left to chance.
    """
    judged: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
    for one in rated:
        judged[one.clip.key].add(one.rater)
    return [clip for clip in drawn if raters <= {*clip.raters} | judged[clip.key]]


def _said(clips: Sequence[Clip], readers: Mapping[str, Answers], first: str, second: str) -> _Said | None:
    """``None`` if no clip has an answer of both."""
    answers = np.array(
        [[readers.get(one, {}).get(clip.key, "") for clip in clips] for one in (first, second)]
    )
    both: NDArray[np.bool_] = (answers != "").all(axis=0) if clips else np.zeros(0, bool)
    return _Said(clips, answers, both) if both.any() else None


def _compare(said: _Said, first: str, second: str, level: str) -> ClipComparison | None:
    answers = np.array([[_label(answer, level) for answer in each] for each in said.answers.tolist()])
    sample = sample_of(said.clips)
    same = sample.share(answers[0] == answers[1], said.both)
    if same is None:
        return None
    return ClipComparison(
        first,
        second,
        level,
        int(said.both.sum()),
        len({clip.patient_id for clip, both in zip(said.clips, said.both, strict=True) if both}),
        same,
        kappa(_tables(sample, answers, said.both, LABELS[level])),
        tuple(_labels(sample, answers, said.both, LABELS[level])),
        tuple(_parts(sample, answers, said.both, [clip.patient_id for clip in said.clips])),
        tuple(_parts(sample, answers, said.both, [clip.condition for clip in said.clips])),
    )


def _label(answer: str, level: str) -> str:
    return GROUP_OF[answer] if answer and level == "groups" else answer


def sample_of(clips: Sequence[Clip]) -> Sample:
    """The clips as a weighted sample, whose clusters are patients, or sessions if there are few patients.

    Strata are the machine's answers with their certainty when the clips were drawn. The weights of each draw
    add up to the whole study: with several draws, each counts by its number of clips.
    """
    draws = np.array([clip.draw for clip in clips])
    weights = np.array([clip.weight for clip in clips])
    for name in set(draws.tolist()):
        own = draws == name
        weights[own] *= own.mean() / weights[own].sum()
    strata = [(clip.machine, clip.certainty < UNSURE) for clip in clips]
    units = [
        ("patients", _codes([clip.patient_id for clip in clips])),
        ("sessions", _codes([clip.ids for clip in clips])),
        # several draws may take the same clip
        ("clips", _codes([(clip.ids, clip.start_s) for clip in clips])),
    ]
    return Sample(weights, _codes(strata), units)


def _codes(names: Sequence[object]) -> NDArray[np.int64]:
    known = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return np.array([known[name] for name in names], np.int64)


def _tables(sample: Sample, said: NDArray[np.str_], both: NDArray[np.bool_], labels: Sequence[str]) -> Floats:
    """(clusters, labels, labels) weight of each pair of labels."""
    _, cluster = sample.clusters(both)
    place = {label: at for at, label in enumerate(labels)}
    tables = np.zeros((int(cluster.max()) + 1, len(labels), len(labels)))
    first, second = (np.array([place[label] for label in each]) for each in said[:, both].tolist())
    np.add.at(tables, (cluster[both], first, second), sample.weights[both])
    return tables


def _labels(
    sample: Sample, said: NDArray[np.str_], both: NDArray[np.bool_], labels: Sequence[str]
) -> Iterator[ClipLabel]:
    # the strata are the machine's answers: within them its shares would look certain
    plain = replace(sample, strata=np.zeros(len(both), np.int64))
    for label in labels:
        one, two = said == label
        if one.any() or two.any():
            yield ClipLabel(
                label,
                plain.share(one, both),
                plain.share(two, both),
                sample.share(one, two & both),
                sample.share(two, one & both),
            )


def _parts(
    sample: Sample, said: NDArray[np.str_], both: NDArray[np.bool_], names: Sequence[str]
) -> Iterator[tuple[str, WeightedShare]]:
    for name in sorted(set(names)):
        if own := sample.share(said[0] == said[1], both & (np.array(names) == name)):
            yield name, own


def _rater(rater: str, drawn: Sequence[Clip], rated: Sequence[RatedClip]) -> ClipRater:
    asked = asked_of(drawn, rated, {rater})
    own = {one.clip.key: one for one in rated if one.rater == rater}
    sample, answered = sample_of(asked), np.array([clip.key in own for clip in asked])

    def share(is_so: Callable[[RatedClip], bool]) -> WeightedShare | None:
        so = np.array([clip.key in own and is_so(own[clip.key]) for clip in asked])
        return sample.share(so, answered)

    return ClipRater(
        rater,
        len(own),
        len(asked),
        share(lambda one: one.code == UNRATEABLE),
        tuple((flag, share(partial(_has, flag))) for flag in FLAGS),
    )


def _has(flag: str, one: RatedClip) -> bool:
    return flag in one.flags
