"""Draw clips from a study for raters, so that their answers can be weighted back to the whole study.

The study's readable time is cut into clips of equal length. Clips of rare answers, of unsure ones, and of
patients and conditions with little time get a larger chance, and each clip has at least a quarter of the
chance that it would have in a draw purely at random. The draw is systematic with unequal chances (Madow 1949,
*Ann Math Statist*): the clips lie in order of answer, certainty, patient and condition on a line, each as
long as its chance, and every n-th part of the line takes the clip that lies there. The weight of a drawn
clip, one over its chance, is the number of clips for which it stands (Horvitz & Thompson 1952, *JASA*).
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.agreement.rated_clips import CLIPS_SCHEMA, Clip, clips_path
from pipeline.agreement.time_grid import MIN_READ
from pipeline.analysis.episodes import Observed, observed
from pipeline.errors import InputError
from pipeline.records import EMOTIONS, SURE, Ids
from pipeline.store.ids import check_id
from pipeline.store.parquet import to_table, write_table
from pipeline.store.paths import timeline_path
from pipeline.store.timeline import Timeline, read_timeline

Floats = NDArray[np.float64]

RANDOM_PART = 0.25
"""Share of each clip's chance that is the same for all clips."""

UNSURE = 0.6
"""Certainty below which an answer counts as unsure."""


@dataclass(frozen=True)
class DrawSettings:
    """Settings of a draw.

    :param clips: number of clips. ``seconds``: length of each, s.
    :param raters: ids of the raters. ``overlap``: number of clips that all of them rate; the others are
        divided among them.
    :param seed: of the random numbers; the same seed and study give the same draw.
    """

    clips: int = 60
    seconds: float = 4.0
    raters: tuple[str, ...] = ("rater",)
    overlap: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """:raises InputError: a setting is not usable."""
        if not 1 <= self.clips <= 2000:
            raise InputError(f"`clips` {self.clips}: give 1 to 2000.")
        if not 1 <= self.seconds <= 20:
            raise InputError(f"`seconds` {self.seconds:g}: give 1 to 20.")
        if not 0 <= self.overlap <= self.clips:
            raise InputError(f"`overlap` {self.overlap}: give 0 to the number of clips, {self.clips}.")
        for rater in self.raters:
            check_id("`rater`", rater)
            if rater.lower().startswith("machine"):
                raise InputError(f"`rater` {rater}: reserved for the machine; choose another pseudonym.")
        if len({rater.lower() for rater in self.raters}) < len(self.raters):
            raise InputError(f"`rater` {', '.join(self.raters)}: give each rater once.")


@dataclass(frozen=True, eq=False)
class Frame:
    """The clips of a study from which some are drawn: a table with a row for each.

    :param rows: patient_id, session_id, condition, start_s, end_s, machine, certainty.
    :param left_out: session → why none of its clips can be drawn.
    """

    rows: pl.DataFrame
    left_out: dict[Ids, str]


def find_frame(
    out: Path,
    sessions: pl.DataFrame,
    seconds: float,
    unavailable: Callable[[Ids], str],
    on_session: Callable[[int, int], None] = lambda done, total: None,
) -> Frame:
    """All clips of the sessions with enough coverage in which the patient is known.

    :param sessions: from :func:`pipeline.analysis.summaries.read_sessions`.
    :param unavailable: why a session's recording can't be shown, or an empty text.
    :raises TimelineError: a timeline can't be read.
    """
    found, left_out = [], {}
    for done, row in enumerate(sessions.iter_rows(named=True), start=1):
        ids = (row["patient_id"], row["session_id"])
        why = _why_left_out(row) or unavailable(ids)
        if why:
            left_out[ids] = why
        else:
            timeline = read_timeline(timeline_path(out, *ids))
            names = dict(
                zip(("patient_id", "session_id", "condition"), (*ids, row["condition"]), strict=True)
            )
            clips = clips_of(timeline, seconds)
            found.append(clips.with_columns(pl.lit(value).alias(name) for name, value in names.items()))
        on_session(done, sessions.height)
    return Frame(pl.concat(found) if found else pl.DataFrame(), left_out)


def _why_left_out(row: dict[str, object]) -> str:
    if row["identity"] not in SURE:
        return "it is not certain who the patient is; run `emonext people`"
    return "" if row["enough"] else "too little was seen"


def clips_of(timeline: Timeline, seconds: float) -> pl.DataFrame:
    """start_s, end_s, machine and certainty of each clip with a readable face for at least half of it."""
    samples = observed(timeline)
    starts = [
        start_s + seconds * np.arange(int((end_s - start_s) / seconds + 1e-9))
        for start_s, end_s in timeline.metadata["session"]["parts"]
    ]
    start_s = np.concatenate([np.zeros(0), *starts])
    machine, certainty = machine_answers(samples, start_s, seconds)
    known = machine >= 0
    return pl.DataFrame(
        {
            "start_s": start_s[known],
            "end_s": start_s[known] + seconds,
            "machine": [EMOTIONS[answer] for answer in machine[known]],
            "certainty": certainty[known],
        },
        schema={"start_s": pl.Float64, "end_s": pl.Float64, "machine": pl.String, "certainty": pl.Float64},
    )


def machine_answers(samples: Observed, start_s: Floats, seconds: float) -> tuple[NDArray[np.int64], Floats]:
    """The expression that is read for most of each clip, and its mean probability.

    :param start_s: (m,) begins of clips that do not overlap, ascending.
    :returns: (m,) index in EMOTIONS, −1 where less than half is readable; (m,) 0…1, NaN likewise.
    """
    clips, labels = len(start_s), len(EMOTIONS)
    read_s, p_s = np.zeros((clips, labels)), np.zeros((clips, labels))
    # a sample belongs to the clip in which its middle lies
    middle_s = samples.start_s + samples.seconds / 2
    clip = np.searchsorted(start_s, middle_s, side="right") - 1
    inside = (clip >= 0) & (middle_s < start_s[clip] + seconds) if clips else np.zeros(len(clip), bool)
    clip, lasting_s, p = clip[inside], samples.seconds[inside], samples.probabilities[inside]
    np.add.at(read_s, (clip, p.argmax(axis=1)), lasting_s)
    np.add.at(p_s, clip, p * lasting_s[:, None])
    whole_s = read_s.sum(axis=1)
    answers = read_s.round(6).argmax(axis=1)
    known = whole_s >= MIN_READ * seconds - 1e-6
    certainty = np.full(clips, np.nan)
    np.divide(p_s[np.arange(clips), answers], whole_s, out=certainty, where=known)
    return np.where(known, answers, -1), certainty


def draw(frame: Frame, settings: DrawSettings, earlier: int = 0) -> list[Clip]:
    """Draw clips.

    :param earlier: number of earlier draws of this study: each is drawn anew from all clips.
    :raises InputError: there is no clip.
    """
    rows = frame.rows
    if not rows.height:
        raise InputError(f"No clip can be drawn: {_why_none(frame)}.")
    random = np.random.default_rng((settings.seed, earlier))
    order = _strata(rows, random)
    rows = rows[order]
    chances = inclusion_chances(rows, min(settings.clips, rows.height))
    taken = systematic(chances, random)
    drawn = rows[taken].with_columns(weight=1 / chances[taken])
    raters = divided(len(taken), settings, random)
    name = _name(drawn, settings)
    # in random order: a rater who stops early has judged clips of all kinds
    shown = random.permutation(len(taken))
    clips = zip(drawn[shown].iter_rows(named=True), (raters[place] for place in shown), strict=True)
    return [
        Clip(draw=name, clip=number, raters=of_clip, **row) for number, (row, of_clip) in enumerate(clips, 1)
    ]


def _why_none(frame: Frame) -> str:
    if not frame.left_out:
        return "no session shows the patient's readable face for long enough"
    ids, why = next(iter(frame.left_out.items()))
    return f"{' '.join(ids)}: {why}"


def _strata(rows: pl.DataFrame, random: np.random.Generator) -> NDArray[np.int64]:
    """The order of the line: by answer, certainty, patient and condition, and at random within."""
    ordered = rows.with_columns(
        place=pl.int_range(pl.len()),
        unsure=pl.col("certainty") < UNSURE,
        chance=pl.lit(pl.Series(random.random(rows.height))),
    ).sort("machine", "unsure", "patient_id", "condition", "chance")
    return ordered["place"].to_numpy()


def inclusion_chances(rows: pl.DataFrame, clips: int) -> Floats:
    """(n,) chance of each clip to be drawn; their sum is ``clips``.

    Answers with their certainty get chances by the square root of their time, and so do patients with their
    condition within them: between equal numbers and numbers in proportion.
    """
    answer, group = ["machine", pl.col("certainty") < UNSURE], ["patient_id", "condition"]
    sized = rows.with_columns(
        _in_answer=pl.len().over(answer), _in_group=pl.len().over([*answer, *group])
    ).with_columns(
        _root=pl.col("_in_group").sqrt() / pl.col("_in_group"),
    )
    within = sized["_root"] / sized.select(pl.col("_root").sum().over(answer))["_root"]
    answers = sized["_in_answer"].sqrt()
    sizes = (within * answers).to_numpy()
    sizes = RANDOM_PART / rows.height + (1 - RANDOM_PART) * sizes / sizes.sum()
    return _at_most_one(sizes, clips)


def _at_most_one(sizes: Floats, clips: int) -> Floats:
    """Chances in proportion to the sizes; what would exceed 1 is certain, and the rest share what is left."""
    certain = np.zeros(len(sizes), bool)
    while True:
        left = clips - int(certain.sum())
        chances = np.where(certain, 1.0, left * sizes / sizes[~certain].sum() if left else 0.0)
        beyond = ~certain & (chances > 1 - 1e-12)
        if not beyond.any():
            return chances
        certain |= beyond


def systematic(chances: Floats, random: np.random.Generator) -> NDArray[np.int64]:
    """Places of a systematic draw: one at each whole number of a line with a random begin."""
    ends = np.cumsum(chances)
    count = round(float(ends[-1]))
    ends[-1] = count  # not a rounding error less
    return np.searchsorted(ends, random.random() + np.arange(count), side="right")


def divided(clips: int, settings: DrawSettings, random: np.random.Generator) -> list[tuple[str, ...]]:
    """The raters of each clip; clips are in the order of the line, so that each rater gets all kinds."""
    overlap = min(settings.overlap, clips)
    begin = random.random()
    for_all = {int((place + begin) * clips / overlap) for place in range(overlap)}
    turn = cycle(random.permutation(settings.raters).tolist())
    return [settings.raters if place in for_all else (next(turn),) for place in range(clips)]


def _name(drawn: pl.DataFrame, settings: DrawSettings) -> str:
    """The same for the same clips and raters; starts with a letter, so that no spreadsheet reads a number."""
    text = repr((drawn.rows(), settings))
    return "d" + hashlib.sha256(text.encode()).hexdigest()[:10]


def with_faces(out: Path, clips: Sequence[Clip]) -> list[Clip]:
    """The clips with the place of the patient's face.

    :raises TimelineError: a timeline can't be read.
    """
    faces: dict[tuple[str, int], tuple[float, float, float] | None] = {}
    for ids in sorted({clip.ids for clip in clips}):
        timeline = read_timeline(timeline_path(out, *ids))
        faces |= {clip.key: _face(timeline, clip) for clip in clips if clip.ids == ids}
    placed = ((clip, faces[clip.key]) for clip in clips)
    return [replace(clip, x=face[0], y=face[1], face_px=face[2]) if face else clip for clip, face in placed]


def shows_same(clip: Clip, timeline: Timeline) -> bool:
    """Whether the patient's face is still where it was when the clip was drawn.

    It is not after another person became the patient: then raters judged somebody else.
    """
    face = _face(timeline, clip)
    if clip.x is None or clip.y is None or clip.face_px is None or face is None:
        return True
    return float(np.hypot(clip.x - face[0], clip.y - face[1])) <= clip.face_px


def _face(timeline: Timeline, clip: Clip) -> tuple[float, float, float] | None:
    """Middle and longer side of the patient's face, px, medians of the clip; ``None`` without a face."""
    inside = pl.col("time_s").is_between(clip.start_s, clip.end_s, closed="left")
    boxes = timeline.rows.filter(inside).select("x1", "y1", "x2", "y2").drop_nulls().to_numpy()
    if not len(boxes):
        return None
    x, y = np.median((boxes[:, :2] + boxes[:, 2:]) / 2, axis=0)
    return float(x), float(y), float(np.median((boxes[:, 2:] - boxes[:, :2]).max(axis=1)))


def write_clips(out: Path, clips: Sequence[Clip]) -> Path:
    """Write the table of drawn clips, of all draws.

    :raises OutputError: it can't be written.
    """
    columns = {name: [getattr(clip, name) for clip in clips] for name in CLIPS_SCHEMA.names}
    columns["raters"] = [list(raters) for raters in columns["raters"]]
    path = clips_path(out)
    write_table(path, to_table(CLIPS_SCHEMA, columns), {})
    return path
