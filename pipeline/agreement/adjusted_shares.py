"""The study's shares of expression, adjusted for misreading: as raters would have named all of its clips.

    DIR/agreement/adjusted_shares.csv    one row for each condition and group of expressions

The machine's answers to rated clips, held against the raters', tell how often it misreads each group. This
must not be mixed up with the corrected reading, which takes off a patient's own face at rest: here single
moments stay as they were read, and only shares are adjusted. Misreading is assumed to be alike in all
conditions. See :mod:`pipeline.stats.misreading`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from pipeline.agreement.adapting import PATIENTS, RatedStudy, as_rated_samples
from pipeline.agreement.time_grid import MIN_READ
from pipeline.analysis.episodes import Observed, observed
from pipeline.errors import InputError
from pipeline.exchange.code_map import COARSE_LABELS, GROUP_OF
from pipeline.reasons import Reason
from pipeline.records import EMOTIONS, OnProgress
from pipeline.stats.misreading import Confusion, Floats, adjusted_with_interval, columns
from pipeline.stats.recalibration import clip_answers, unchanged
from pipeline.store.counts import percent
from pipeline.store.paths import timeline_path
from pipeline.store.spreadsheet import Cell, as_float, plain, read_decimal, read_table, write_rows
from pipeline.store.timeline import read_timeline, written_sessions

MIN_RATED = 10
"""Minimum of rated clips, and :data:`MIN_PEOPLE` of their patients, for each group."""

MIN_PEOPLE = 4

MAX_CONDITION = 10.0
"""Largest condition number of the confusion: above it, errors of the shares are multiplied too much."""

ALL = ""
"""In place of a condition."""

_GROUP = np.array([COARSE_LABELS.index(GROUP_OF[name]) for name in EMOTIONS])
_GROUPS = len(COARSE_LABELS)


@dataclass(frozen=True)
class AdjustedShare:
    """The share of one group; of the clips of the other groups, if a group is too rare.

    :param condition: :data:`ALL` for the whole study. ``clips``: rated clips of this group.
    :param read, read_low, read_high: the machine's own share, 0…1, and its 95 % interval.
    :param share, low, high: the adjusted one; ``None`` if ``reason`` states why.
    """

    condition: str
    of: str
    clips: int
    read: float
    read_low: float
    read_high: float
    share: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""


def adjusted_shares(
    out: Path, study: RatedStudy, on_progress: OnProgress = lambda done, total: None
) -> list[AdjustedShare]:
    """The shares of the whole study, then of each condition.

    :raises TimelineError: a timeline can't be read.
    """
    length_s = float(np.median([one.clip.end_s - one.clip.start_s for one in study.clips]))
    read: dict[tuple[str, str], Floats] = {}
    ids = written_sessions(out)
    for done, both in enumerate(ids, start=1):
        timeline = read_timeline(timeline_path(out, *both))
        metadata = timeline.metadata
        if metadata["weights"]["sha256"] == study.weights_sha256:
            answers = _answers(observed(timeline), length_s)
            for condition in {ALL, metadata["session"]["condition"]}:
                place = condition, both[0]
                read[place] = read.get(place, np.zeros(_GROUPS)) + answers
        on_progress(done, len(ids))
    conditions = sorted({condition for condition, _ in read})
    people = sorted({patient for _, patient in read})
    rated = _rated(study, people)
    counts = _counts(study)
    found: list[AdjustedShare] = []
    for condition in conditions:
        there = np.stack([read.get((condition, patient), np.zeros(_GROUPS)) for patient in people])
        found += _of_condition(condition, Confusion(rated, there), counts)
    return found


def _answers(samples: Observed, length_s: float) -> Floats:
    """(groups,) number of the session's clips that are mostly read as each; unreadable ones count as none."""
    if not len(samples.seconds):
        return np.zeros(_GROUPS)
    clip = np.floor((samples.start_s + 1e-6) / length_s).astype(np.int64)
    seconds = np.zeros((clip.max() + 1, len(EMOTIONS)))
    np.add.at(seconds, (clip, samples.probabilities.argmax(axis=1)), samples.seconds)
    counts = seconds.sum(axis=1) >= MIN_READ * length_s - 1e-6
    return np.bincount(_GROUP[seconds[counts].round(6).argmax(axis=1)], minlength=_GROUPS).astype(np.float64)


def _rated(study: RatedStudy, people: Sequence[str]) -> Floats:
    """(people, groups, groups) weighted numbers of clips, by the machine's and the raters' answer."""
    samples = as_rated_samples(study.clips, PATIENTS)
    answers = _GROUP[clip_answers(samples, unchanged(len(EMOTIONS)))]
    table = np.zeros((len(people), _GROUPS, _GROUPS))
    for one, answer in zip(study.clips, answers, strict=True):
        votes = np.bincount(_GROUP, one.votes, _GROUPS)
        table[people.index(one.clip.patient_id), answer] += one.clip.weight * votes
    return table


def _counts(study: RatedStudy) -> dict[str, tuple[int, int]]:
    """Of each group: number of clips that most raters named so, and of their patients."""
    named = [
        (int(np.bincount(_GROUP, one.votes, _GROUPS).argmax()), one.clip.patient_id) for one in study.clips
    ]
    return {
        group: (
            sum(place == number for number, _ in named),
            len({patient for number, patient in named if place == number}),
        )
        for place, group in enumerate(COARSE_LABELS)
    }


def _of_condition(
    condition: str, cases: Confusion, counts: dict[str, tuple[int, int]]
) -> Iterator[AdjustedShare]:
    rare = {group for group, (clips, people) in counts.items() if clips < MIN_RATED or people < MIN_PEOPLE}
    known = [place for place, group in enumerate(COARSE_LABELS) if group not in rare]
    there = cases.read.sum(axis=1) > 0
    if there.sum() < 2:
        return
    # without its own patients, a condition still has everybody's confusion
    used = Confusion(cases.rated[:, :, known], cases.read)
    _, own = adjusted_with_interval(Confusion(np.ones((len(cases.read), _GROUPS, 1)), cases.read))
    why = _why_not(rare, used.rated.sum(axis=0))
    shares = None if why else adjusted_with_interval(used)[0]
    for place, group in enumerate(COARSE_LABELS):
        blank = AdjustedShare(
            condition,
            group,
            counts[group][0],
            read=float(own.value[place]),
            read_low=float(own.low[place]),
            read_high=float(own.high[place]),
        )
        if shares is None or group in rare:
            reason = _too_rare(group, counts) if group in rare else why
            yield AdjustedShare(**{**asdict(blank), "reason": reason})
        else:
            at = known.index(place)
            values = (float(each[at]) for each in (shares.value, shares.low, shares.high))
            yield AdjustedShare(
                **{**asdict(blank), **dict(zip(("share", "low", "high"), values, strict=True))}
            )


def _why_not(rare: set[str], rated: Floats) -> str:
    """Why no share can be adjusted; surprise alone may be too rare."""
    if missing := rare - {"surprise"}:
        return str(Reason.of("few_rated_of", groups=", ".join(sorted(missing))))
    condition = float(np.linalg.cond(columns(rated)))
    if condition > MAX_CONDITION:
        return str(Reason.of("misread", condition_number=round(condition)))
    return ""


def _too_rare(group: str, counts: dict[str, tuple[int, int]]) -> str:
    clips, people = counts[group]
    code = "few_surprised" if group == "surprise" else "few_rated"
    values = {"clips": clips, "patients": people, "wanted": MIN_RATED, "wanted_patients": MIN_PEOPLE}
    return str(Reason(code, values))


def _path(out: Path) -> Path:
    return out / "agreement" / "adjusted_shares.csv"


def write_adjusted_shares(out: Path, shares: Sequence[AdjustedShare]) -> Path:
    """:raises OutputError: the file can't be written."""
    rows = ({name: _cell(value) for name, value in asdict(one).items()} for one in shares)
    return write_rows(_path(out), [field.name for field in fields(AdjustedShare)], rows, read_decimal(out))


def _cell(value: Cell) -> Cell:
    return round(value, 4) if isinstance(value, float) else value


def read_adjusted_shares(out: Path) -> list[AdjustedShare]:
    """The shares as they were written; empty if there are none, or a timeline is newer.

    :raises InputError: the table can't be read.
    """
    if not _path(out).exists():
        return []
    written_ns = _path(out).stat().st_mtime_ns
    if any(timeline_path(out, *ids).stat().st_mtime_ns > written_ns for ids in written_sessions(out)):
        return []
    (_, header), *lines = read_table(_path(out))
    try:
        return [_read(dict(zip(header, map(plain, cells), strict=True))) for _, cells in lines]
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{_path(out)}: not as `adapt` wrote it.") from error


def _read(row: dict[str, str]) -> AdjustedShare:
    texts = {name: row.pop(name) for name in ("condition", "of", "reason")}
    numbers = {name: as_float(cell) if cell else None for name, cell in row.items() if name != "clips"}
    return AdjustedShare(**texts, clips=int(row["clips"]), **numbers)  # type: ignore[arg-type]


def lines(shares: Sequence[AdjustedShare]) -> Iterator[str]:
    """A line for each share of the whole study."""
    for one in (one for one in shares if one.condition == ALL):
        read = f"read {percent(one.read)} [{percent(one.read_low)}, {percent(one.read_high)}]"
        if one.share is None or one.low is None or one.high is None:
            yield f"{one.of.capitalize()}: {read}; not adjusted for misreading: {one.reason}."
        else:
            ends = f"{percent(one.low)}, {percent(one.high)}"
            yield f"{one.of.capitalize()}: {read}; adjusted for misreading: {percent(one.share)} [{ends}]."
