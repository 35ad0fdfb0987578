"""Clips that were drawn from a study for raters, and what the raters said of them.

    DIR/rating/clips.parquet    the drawn clips; encrypted with the folder
    DIR/ratings/*.csv           tables that the raters' pages save

A clip holds one answer of a rater: the expression that is there for most of it.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from shlex import quote

import polars as pl
import pyarrow as pa

from pipeline.errors import InputError
from pipeline.exchange.code_map import UNRATEABLE
from pipeline.records import EMOTIONS, Ids
from pipeline.store.counts import number_of
from pipeline.store.parquet import DICTIONARY, as_frame, read_table
from pipeline.store.result_tables import column
from pipeline.store.spreadsheet import first_lines, plain, shown
from pipeline.store.spreadsheet import read_table as read_rows

CANT_TELL = UNRATEABLE

ANSWERS = (*EMOTIONS, CANT_TELL)
"""What a rater can say of a clip."""

GRADED = tuple(name for name in EMOTIONS if name != "neutral")
"""Answers that have an intensity."""

INTENSITIES = ("slight", "moderate", "strong")

FLAGS = ("covered", "speaking", "asleep")
"""What a rater can say besides: the face is partly covered, speaks or chews, sleeps."""

CLIPS_SCHEMA = pa.schema(
    [
        column("draw", pa.string(), "random name of the draw"),
        column("clip", pa.int32(), "1, 2 … within the draw, in random order"),
        column("patient_id", pa.string(), "pseudonym of the patient"),
        column("session_id", pa.string(), "session of that patient"),
        column("condition", pa.string(), "as the study names it; may be empty"),
        column("start_s", pa.float64(), "begin in the recording", "s"),
        column("end_s", pa.float64(), "end in the recording", "s"),
        column("machine", DICTIONARY, "the expression that was read for most of the clip when it was drawn"),
        column("certainty", pa.float64(), "mean probability of that expression", "0…1"),
        column("weight", pa.float64(), "number of clips of the study for which this one stands"),
        column("raters", pa.list_(pa.string()), "who rates it"),
        column("x", pa.float64(), "middle of the patient's face, median of the clip", "px", nullable=True),
        column("y", pa.float64(), "likewise, from the top", "px", nullable=True),
        column("face_px", pa.float64(), "longer side of the face, median of the clip", "px", nullable=True),
    ]
)
"""Columns of ``rating/clips.parquet``."""

RATED_COLUMNS = (
    *("draw", "clip", "rater", "patient_id", "session_id", "start_s", "end_s"),
    *("code", "intensity", *FLAGS, "saved_at"),
)
"""Columns of the tables that raters' pages save."""


@dataclass(frozen=True)
class Clip:
    """A drawn clip; fields as in :data:`CLIPS_SCHEMA`."""

    draw: str
    clip: int
    patient_id: str
    session_id: str
    condition: str
    start_s: float
    end_s: float
    machine: str
    certainty: float
    weight: float
    raters: tuple[str, ...]
    x: float | None = None
    y: float | None = None
    face_px: float | None = None

    @property
    def ids(self) -> Ids:
        return self.patient_id, self.session_id

    @property
    def key(self) -> tuple[str, int]:
        return self.draw, self.clip


@dataclass(frozen=True)
class RatedClip:
    """One rater's answer to one clip.

    :param code: one of :data:`ANSWERS`.
    :param intensity: one of :data:`INTENSITIES`, or empty; of :data:`GRADED` answers only.
    :param flags: some of :data:`FLAGS`.
    """

    clip: Clip
    rater: str
    code: str
    intensity: str = ""
    flags: frozenset[str] = frozenset()


def clips_path(out: Path) -> Path:
    return out / "rating" / "clips.parquet"


def read_clips(out: Path) -> list[Clip]:
    """All clips that were drawn in this folder.

    :raises InputError: none were drawn. :raises TimelineError: the table is damaged.
    """
    path = clips_path(out)
    if not path.exists():
        raise InputError(
            f"{path}: no clips were drawn in this folder; run `emonext rate {quote(str(out))}` first."
        )
    table = read_table(path)
    if not table.schema.equals(CLIPS_SCHEMA):
        raise InputError(
            f"{path}: of another version; move the folder away and run `emonext rate {quote(str(out))}`."
        )
    rows = as_frame(table).with_columns(pl.col("machine").cast(pl.String)).iter_rows(named=True)
    return [Clip(**{**row, "raters": tuple(row["raters"])}) for row in rows]


def is_clip_table(path: Path) -> bool:
    """Whether a file was saved by a rater's page.

    :raises InputError: a table can't be read.
    """
    if path.suffix.lower() != ".csv":
        return False
    return any({"draw", "clip", "rater", "code"} <= {*cells} for cells in first_lines(path))


def read_rated_clips(
    paths: Sequence[Path], clips: Mapping[tuple[str, int], Clip]
) -> tuple[list[RatedClip], list[str]]:
    """The answers in tables of raters' pages, and notes on how they were read.

    A rater may save several times: of two answers to one clip the one saved later counts, which is noted if
    they differ.

    :param clips: the drawn clips by their key.
    :raises InputError: a table can't be read, has an unknown answer, or its rows are mixed up.
    """
    latest: dict[tuple[str, int, str], tuple[datetime, RatedClip]] = {}
    changed: defaultdict[str, set[tuple[str, int]]] = defaultdict(set)
    sessions = {clip.ids for clip in clips.values()}
    notes = []
    for path in paths:
        strange = 0
        (_, header), *lines = read_rows(path)
        for number, cells in lines:
            row = dict(zip(header, (plain(cell).strip() for cell in cells), strict=False))
            clip = clips.get((row.get("draw", ""), _number(path, number, row)))
            if clip is None:
                strange += 1
                continue
            named = row.get("patient_id", ""), row.get("session_id", "")
            if named != clip.ids and named in sessions:
                raise InputError(
                    f"{path}: row {number}: clip {clip.clip} is of {' '.join(clip.ids)}, not of "
                    f"{' '.join(named)}; the rows were mixed up: save the page again."
                )
            rated = _rated(path, number, row, clip)
            key, saved_at = (*clip.key, rated.rater), _saved_at(row)
            if key in latest and rated != latest[key][1]:
                _check_saved_at(path, number, row, min(saved_at, latest[key][0]))
                changed[rated.rater].add(clip.key)
            if key not in latest or saved_at >= latest[key][0]:
                latest[key] = saved_at, rated
        if strange:
            notes.append(
                f"{path.name}: {strange} of its clips were not drawn in this folder, and are left out"
            )
    notes += [
        f"{rater}: {number_of(len(keys), 'clip')} answered twice and differently, by one person or by two of "
        "the same name; the answers saved last count"
        for rater, keys in sorted(changed.items())
    ]
    found = [rated for _, rated in latest.values()]
    return sorted(found, key=lambda one: (*one.clip.key, one.rater)), notes


def _saved_at(row: Mapping[str, str]) -> datetime:
    """Also without the T, as a spreadsheet writes it; the earliest time if it is in another form."""
    try:
        return datetime.fromisoformat(row.get("saved_at", "")).replace(tzinfo=None)
    except ValueError:
        return datetime.min


def _check_saved_at(path: Path, number: int, row: Mapping[str, str], earlier: datetime) -> None:
    """:raises InputError: of two different answers, it isn't known which one was saved later."""
    if earlier == datetime.min:
        raise InputError(
            f"{path}: row {number}: {shown(row.get('rater', ''))} answered clip {row['clip']} twice and "
            "differently, and the column saved_at does not tell when; keep only the newest table."
        )


def _number(path: Path, number: int, row: Mapping[str, str]) -> int:
    try:
        return int(row.get("clip", ""))
    except ValueError as error:
        raise InputError(
            f"{path}: row {number}: {shown(row.get('clip', ''))} is not a clip number; save the page again."
        ) from error


def _rated(path: Path, number: int, row: Mapping[str, str], clip: Clip) -> RatedClip:
    code, rater, intensity = (row.get(name, "") for name in ("code", "rater", "intensity"))
    if not rater or code not in ANSWERS or intensity not in ("", *INTENSITIES):
        wrong = shown(rater if not rater else code if code not in ANSWERS else intensity)
        raise InputError(
            f"{path}: row {number}: {wrong} is no answer of a rater's page; save the page again, "
            "and do not change the table."
        )
    # as for other codes, no rater has the machine's name
    rater = f"rater {rater}" if rater.lower().startswith("machine") else rater
    strength = intensity if code in GRADED else ""
    return RatedClip(clip, rater, code, strength, frozenset(_flags(path, number, row)))


def _flags(path: Path, number: int, row: Mapping[str, str]) -> Iterator[str]:
    for flag in FLAGS:
        said = row.get(flag, "")
        if said.lower() not in ("", "yes"):
            raise InputError(
                f"{path}: row {number}: {shown(said)} is no answer of a rater's page; save the page again, "
                "and do not change the table."
            )
        if said:
            yield flag
