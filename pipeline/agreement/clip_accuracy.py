"""Agreement on the clips that were drawn from a study, weighted back to all of its readable time.

Each clip counts with its weight, the number of clips of the study for which it stands
(:mod:`pipeline.agreement.clip_sampling`). The machine's answers are read from the timelines as they are now.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.agreement.clip_sampling import UNSURE, machine_answers
from pipeline.agreement.machine_coding import MachineCoder
from pipeline.agreement.rated_clips import FLAGS, Clip, RatedClip
from pipeline.agreement.states import MACHINE
from pipeline.errors import InputError
from pipeline.exchange.code_map import COARSE_LABELS, GROUP_OF, UNRATEABLE
from pipeline.records import EMOTIONS, Ids
from pipeline.stats.reliability import Figure, Floats, kappa
from pipeline.stats.weighted_share import Sample, WeightedShare
from pipeline.store.paths import timeline_path
from pipeline.store.timeline import read_timeline

LABELS: Mapping[str, tuple[str, ...]] = {"groups": COARSE_LABELS, "emotions": EMOTIONS}

Answers = Mapping[tuple[str, int], str]
"""Clip, by its key → the answer of one reader, one of EMOTIONS."""


@dataclass(frozen=True)
class ClipLabel:
    """Agreement on one label; shares are of the study's readable time.

    :param first, second: share of the label by reader.
    :param of_second: share of the clips with this label by the second reader that the first labels alike: if
        the second is a rater and the first the machine, its sensitivity. ``of_first``: likewise of the first
        reader's; the machine's positive predictive value.
    """

    label: str
    first: WeightedShare | None
    second: WeightedShare | None
    of_second: WeightedShare | None
    of_first: WeightedShare | None


@dataclass(frozen=True)
class ClipComparison:
    """Agreement of two readers on the clips that both answered.

    :param first, second: a rater, or the machine in one reading.
    :param level: ``groups`` or ``emotions``.
    :param same: share of the study's readable time with the same label.
    :param by_patient, by_condition: the same for parts of the study.
    """

    first: str
    second: str
    level: str
    clips: int
    patients: int
    same: WeightedShare
    kappa: Figure
    labels: tuple[ClipLabel, ...]
    by_patient: tuple[tuple[str, WeightedShare], ...]
    by_condition: tuple[tuple[str, WeightedShare], ...]


@dataclass(frozen=True)
class ClipRater:
    """What a rater answered.

    :param unclear: share of the time in which the rater could not tell. ``flags``: share with each of FLAGS.
    """

    rater: str
    clips: int
    asked: int
    unclear: WeightedShare
    flags: tuple[tuple[str, WeightedShare], ...]


@dataclass(frozen=True)
class ClipAgreement:
    """All results of rated clips.

    :param drawn: number of clips that were drawn. ``seconds``: their length, s.
    """

    drawn: int
    seconds: float
    raters: tuple[ClipRater, ...]
    comparisons: tuple[ClipComparison, ...]
    notes: tuple[str, ...] = ()


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
    answers: defaultdict[str, dict[tuple[str, int], str]] = defaultdict(dict)
    for one in rated:
        if one.code != UNRATEABLE:
            answers[one.rater][one.clip.key] = one.code
    clips = {one.clip.key: one.clip for one in rated}
    machine, gone = _machine(out, list(clips.values()), on_session)
    unread = f"{gone} of the rated clips can't be read by the machine any more, and are left out"
    raters = sorted({one.rater for one in rated})
    pairs = [*((one, rater) for one in machine for rater in raters), *combinations(raters, 2)]
    readers: Mapping[str, Answers] = {**answers, **machine}
    found = [
        comparison
        for first, second in pairs
        for level in LABELS
        if (comparison := _compare(clips, readers, first, second, level))
    ]
    return ClipAgreement(
        len(drawn),
        max(clip.end_s - clip.start_s for clip in drawn),
        tuple(_rater(rater, drawn, rated) for rater in raters),
        tuple(found),
        (*notes, *([unread] if gone else [])),
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
    for done, (ids, own) in enumerate(sorted(by_session.items()), start=1):
        readings = coder.samples(ids, read_timeline(timeline_path(out, *ids)))
        for reading, samples in readings.items():
            for clip in own:
                seconds = clip.end_s - clip.start_s
                (answer,), _ = machine_answers(samples, np.array([clip.start_s]), seconds)
                if answer >= 0:
                    found[reading][clip.key] = EMOTIONS[answer]
                elif reading == MACHINE:
                    gone += 1
        on_session(done, len(by_session))
    return dict(found), gone


def _compare(
    clips: Mapping[tuple[str, int], Clip],
    readers: Mapping[str, Answers],
    first: str,
    second: str,
    level: str,
) -> ClipComparison | None:
    one, two = readers.get(first, {}), readers.get(second, {})
    both = [clips[key] for key in sorted(one.keys() & two.keys())]
    if not both:
        return None
    said = np.array([[_label(each[clip.key], level) for clip in both] for each in (one, two)])
    sample, everywhere = sample_of(both), np.ones(len(both), bool)
    same = sample.share(said[0] == said[1], everywhere)
    assert same is not None
    return ClipComparison(
        first,
        second,
        level,
        len(both),
        len({clip.patient_id for clip in both}),
        same,
        kappa(_tables(sample, said, LABELS[level])),
        tuple(_labels(sample, said, LABELS[level])),
        tuple(_parts(sample, said, [clip.patient_id for clip in both])),
        tuple(_parts(sample, said, [clip.condition for clip in both])),
    )


def _label(answer: str, level: str) -> str:
    return GROUP_OF[answer] if level == "groups" else answer


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
        ("clips", np.arange(len(clips))),
    ]
    return Sample(weights, _codes(strata), units)


def _codes(names: Sequence[object]) -> NDArray[np.int64]:
    known = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return np.array([known[name] for name in names], np.int64)


def _tables(sample: Sample, said: NDArray[np.str_], labels: Sequence[str]) -> Floats:
    """(clusters, labels, labels) weight of each pair of labels."""
    _, cluster = sample.clusters(np.ones(len(sample.weights), bool))
    place = {label: at for at, label in enumerate(labels)}
    tables = np.zeros((int(cluster.max()) + 1, len(labels), len(labels)))
    first, second = (np.array([place[label] for label in each]) for each in said.tolist())
    np.add.at(tables, (cluster, first, second), sample.weights)
    return tables


def _labels(sample: Sample, said: NDArray[np.str_], labels: Sequence[str]) -> Iterator[ClipLabel]:
    everywhere = np.ones(len(sample.weights), bool)
    for label in labels:
        one, two = said == label
        if one.any() or two.any():
            yield ClipLabel(
                label,
                sample.share(one, everywhere),
                sample.share(two, everywhere),
                sample.share(one, two),
                sample.share(two, one),
            )


def _parts(
    sample: Sample, said: NDArray[np.str_], names: Sequence[str]
) -> Iterator[tuple[str, WeightedShare]]:
    for name in sorted(set(names)):
        own = sample.share(said[0] == said[1], np.array(names) == name)
        assert own is not None
        yield name, own


def _rater(rater: str, drawn: Sequence[Clip], rated: Sequence[RatedClip]) -> ClipRater:
    own = [one for one in rated if one.rater == rater]
    sample, everywhere = sample_of([one.clip for one in own]), np.ones(len(own), bool)
    unclear = sample.share(np.array([one.code == UNRATEABLE for one in own]), everywhere)
    flags = [
        (flag, share)
        for flag in FLAGS
        if (share := sample.share(np.array([flag in one.flags for one in own]), everywhere))
    ]
    assert unclear is not None
    asked = sum(rater in clip.raters for clip in drawn)
    return ClipRater(rater, len(own), asked, unclear, tuple(flags))
