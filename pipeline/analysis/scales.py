"""Rate observation scales that carers know, from the episodes. These are machine ratings, not human ratings.

    summaries/scales.parquet    one row for each session, reading, window and item

``scales.toml`` defines the scales (windows, items, bands): the file beside this module, or a file of that
name in the results folder. Time is counted from the session's begin. An episode across the end of a window
counts in both windows with its parts. A last window shorter than half of a window is not rated.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.analysis.measures import GROUP_MEMBERS
from pipeline.analysis.summaries import read_episodes, read_sessions
from pipeline.errors import InputError
from pipeline.faces.states import EYES_SHUT
from pipeline.records import EMOTIONS, Ids
from pipeline.store.coverage import sample_seconds
from pipeline.store.parquet import malformed_as_timeline_error, read_metadata
from pipeline.store.paths import timeline_path
from pipeline.store.result_tables import column, has_settings, read_derived, rewrite_sessions
from pipeline.store.spreadsheet import read_toml, shown
from pipeline.store.timeline import Timeline, read_timeline

SCALES_FILE = "scales.toml"

ITEM, BESIDE, NOT_ASSESSED, BUDGET = "item", "beside", "not assessed", "time budget"
"""Kinds of rows: a rated item of the scale; an expression without an item; an item that a face cannot show;
and the time of positive, neutral and negative expression."""

NOT_IN_VIEW = "not in view"
"""Words for a window with too little observed time; its score is the form's code for "not in view"."""

_BUDGETS = {
    "positive": GROUP_MEMBERS["positive"],
    "neutral": ("neutral",),
    "negative": GROUP_MEMBERS["negative"],
}

_LEAST_WINDOW_S, _MOST_S = 1, 10**6

# Longest session, s: far above any real one, and low enough to refuse a damaged file before it fills the
# memory.
_MAX_WINDOWS = 100_000

# Tolerance for sums of binary fractions, so that 80 samples of 0.2 s are 16 s.
_DIGITS = 3


@dataclass(frozen=True)
class Band:
    """Durations with the same score: below ``below_s``, or at most ``up_to_s``; with neither, all."""

    score: int
    words: str
    below_s: float | None = None
    up_to_s: float | None = None

    def holds(self, seconds: float) -> bool:
        if self.below_s is not None:
            return seconds < self.below_s
        return self.up_to_s is None or seconds <= self.up_to_s


@dataclass(frozen=True)
class Scale:
    """The definition of a scale.

    :param key: name in the file. ``source``: publication.
    :param min_coverage: minimum coverage of a window, 0…1; below it, the rating is ``not_in_view``.
    :param items: item → the expression that represents the item.
    :param bands: in order; the first that holds a duration gives the score.
    :param beside: expressions without an item. ``not_assessed``: items without an expression.
    :param eyes_open: the item for which the time with open eyes stands; empty: none.
    """

    key: str
    name: str
    source: str
    window_s: float
    min_coverage: float
    not_in_view: int
    items: Mapping[str, str]
    bands: tuple[Band, ...]
    beside: tuple[str, ...] = ()
    not_assessed: tuple[str, ...] = ()
    eyes_open: str = ""

    def band(self, seconds: float) -> Band:
        """The band of the summed duration of an item's episodes in a window."""
        rounded = round(seconds, _DIGITS)
        return next(band for band in self.bands if band.holds(rounded))


@dataclass(frozen=True)
class Scales:
    """The content of the file, stored with the ratings."""

    scales: tuple[Scale, ...]
    file: str


SCALES_SCHEMA = pa.schema(
    [
        column("patient_id", pa.string(), "pseudonym of the patient"),
        column("session_id", pa.string(), "session of that patient"),
        column("reading", pa.string(), "raw; corrected by the person's own calm face; or adapted to raters"),
        column("scale", pa.string(), "its name in scales.toml"),
        column("window", pa.int32(), "1, 2 … from the session's begin"),
        column("start_s", pa.float64(), "begin of the window in the video", "s"),
        column("end_s", pa.float64(), "end of the window in the video", "s"),
        column("coverage", pa.float64(), "observed part of the window", "0…1"),
        column("kind", pa.string(), f"{ITEM}, {BESIDE}, {NOT_ASSESSED}, {BUDGET}"),
        column("item", pa.string(), "item of the scale, expression, or positive, neutral, negative"),
        column("emotion", pa.string(), "expression that stands for it; empty: several, or none"),
        column("seconds", pa.float64(), "summed episodes within the window", "s", nullable=True),
        column("score", pa.int8(), "by the bands; a machine's rating; null without one", nullable=True),
        column("words", pa.string(), "what the score, or its absence, means"),
    ]
)
"""Columns of ``summaries/scales.parquet``."""


def write_scales(out: Path, unchanged: Collection[Ids] = frozenset()) -> pl.DataFrame:
    """Rate every session from its episodes.

    :param unchanged: sessions whose rows of the table are kept, if it is of the same scales.
    :returns: the table.
    :raises InputError: the study's own ``scales.toml`` can't be used.
    :raises TimelineError: a table is missing or damaged. :raises OutputError: the table can't be written.
    """
    scales = read_scales(out)
    kept = unchanged if has_settings(_path(out), scales) else frozenset()
    ids = read_sessions(out).select("patient_id", "session_id").rows()
    fresh = {}
    for both in ids:
        if both not in kept:
            with malformed_as_timeline_error(timeline_path(out, *both)):
                fresh[both] = list(_rate_session(out, both, scales))
    rewrite_sessions(_path(out), SCALES_SCHEMA, ids, fresh, scales)
    return read_ratings(out)


def _rate_session(out: Path, ids: Ids, scales: Scales) -> Iterator[dict[str, Any]]:
    timeline, episodes = read_timeline(timeline_path(out, *ids)), read_episodes(out, *ids)
    named = dict(zip(("patient_id", "session_id"), ids, strict=True))
    for scale in scales.scales:
        windows = list(_windows(timeline, scale))
        for reading in ("raw", *sorted(set(episodes["reading"]) - {"raw"})):
            of_reading = episodes.filter(reading=reading)
            for window in windows:
                yield from ({**named, "reading": reading, **row} for row in _rate(scale, window, of_reading))


def read_ratings(out: Path) -> pl.DataFrame:
    """In :data:`SCALES_SCHEMA`'s columns; errors as :func:`pipeline.store.result_tables.read_derived`."""
    return read_derived(_path(out), SCALES_SCHEMA)


def rated_scales(out: Path) -> dict[str, str]:
    """Key → name of the rated scales; empty without any.

    :raises TimelineError: the table is damaged.
    """
    path = _path(out)
    if not path.exists():
        return {}
    metadata = read_metadata(path)
    with malformed_as_timeline_error(path):
        return {scale["key"]: scale["name"] for scale in metadata["settings"]["scales"]}


def _path(out: Path) -> Path:
    return out / "summaries" / "scales.parquet"


# --- ratings


@dataclass(frozen=True)
class Window:
    """A time window of a session.

    :param counted_s: its time inside the parts that count. ``observed_s``: with a readable face.
    :param eyes_open_s: with open eyes; ``None`` if eyes could not be read in the session.
    """

    number: int
    start_s: float
    end_s: float
    counted_s: float
    observed_s: float
    eyes_open_s: float | None

    @property
    def coverage(self) -> float:
        return min(self.observed_s / self.counted_s, 1.0)


def _windows(timeline: Timeline, scale: Scale) -> Iterator[Window]:
    """The windows of which at least half counts."""
    parts = np.array(timeline.metadata["session"]["parts"], np.float64)
    # a sleeper is in view
    rows, seconds = timeline.rows, sample_seconds(timeline)
    in_view = rows["status"].cast(pl.String).is_in(["ok", "eyes_shut"]).to_numpy()
    awake = (rows["eyes_open"] >= EYES_SHUT).fill_null(False).to_numpy()
    stretches = np.stack([rows["time_s"].to_numpy(), rows["time_s"].to_numpy() + seconds], 1)
    seen, open_eyed = stretches[in_view], stretches[in_view & awake]
    known = rows["eyes_open"].is_not_null().any()
    start_s, last_s = float(parts[0, 0]), float(parts[-1, 1])
    if not last_s - start_s <= _MAX_WINDOWS * scale.window_s:
        raise ValueError(f"{last_s} s is no end of a session")
    number = 1
    while start_s < last_s:
        end_s = min(start_s + scale.window_s, last_s)
        counted_s = _overlap(parts, start_s, end_s)
        if counted_s >= scale.window_s / 2:
            awake_s = _overlap(open_eyed, start_s, end_s) if known else None
            yield Window(number, start_s, end_s, counted_s, _overlap(seen, start_s, end_s), awake_s)
        start_s, number = start_s + scale.window_s, number + 1


def _rate(scale: Scale, window: Window, episodes: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Rows of a window, without the ids."""
    same = {
        "scale": scale.key,
        "window": window.number,
        "start_s": window.start_s,
        "end_s": window.end_s,
        "coverage": window.coverage,
    }
    in_view = window.coverage >= scale.min_coverage

    def row(kind: str, item: str, emotions: Sequence[str], score: int | None, words: str) -> dict[str, Any]:
        return {
            **same,
            "kind": kind,
            "item": item,
            "emotion": emotions[0] if len(emotions) == 1 else "",
            "seconds": _seconds(episodes, emotions, window) if emotions and in_view else None,
            "score": score,
            "words": words,
        }

    def rated(seconds: float) -> tuple[int, str]:
        band = scale.band(seconds)
        return (band.score, band.words) if in_view else (scale.not_in_view, NOT_IN_VIEW)

    for item, emotion in scale.items.items():
        yield row(ITEM, item, [emotion], *rated(_seconds(episodes, [emotion], window)))
    awake_s = window.eyes_open_s
    if scale.eyes_open and awake_s is None:
        yield row(NOT_ASSESSED, scale.eyes_open, [], None, "not assessed")
    elif scale.eyes_open and awake_s is not None:
        yield row(ITEM, scale.eyes_open, [], *rated(awake_s)) | {"seconds": awake_s if in_view else None}
    unrated = "no item of the scale" if in_view else NOT_IN_VIEW
    for emotion in scale.beside:
        yield row(BESIDE, emotion, [emotion], None, unrated)
    for item in scale.not_assessed:
        yield row(NOT_ASSESSED, item, [], None, "not assessed")
    for group, emotions in _BUDGETS.items():
        yield row(BUDGET, group, emotions, None, unrated)


def _seconds(episodes: pl.DataFrame, emotions: Sequence[str], window: Window) -> float:
    chosen = episodes.filter(pl.col("emotion").is_in(list(emotions)))
    return _overlap(chosen.select("start_s", "end_s").to_numpy(), window.start_s, window.end_s)


def _overlap(stretches: NDArray[np.float64], start_s: float, end_s: float) -> float:
    """:param stretches: (n, 2) begin and end, s."""
    overlap_s = np.minimum(stretches[:, 1], end_s) - np.maximum(stretches[:, 0], start_s)
    return float(np.maximum(overlap_s, 0.0).sum())


# --- the file


def read_scales(out: Path) -> Scales:
    """Read the study's own scales, or else the program's.

    :raises InputError: the file is no TOML, or a table is no scale.
    """
    own = out / SCALES_FILE
    path = own if own.exists() else Path(__file__).with_name(SCALES_FILE)
    found = read_toml(path, "window_s = 600")
    scales = []
    for key, table in found.items():
        try:
            scales.append(_scale(key, table))
        except ValueError as error:
            raise InputError(
                f"{path}: {shown(key)} is no scale: {error}; compare it with {SCALES_FILE} of the program."
            ) from error
    if not scales:
        raise InputError(f"{path}: holds no scale; remove it, or copy the program's.")
    return Scales(tuple(scales), own.name if path == own else "that of the program")


def _scale(key: str, table: Any) -> Scale:
    """:raises ValueError: what is wrong with it."""
    _check_names("it", table, Scale)
    bands = enumerate(_must("bands", table["bands"], _LIST), start=1)
    scale = Scale(
        key=key,
        name=_must("name", table["name"], _TEXT),
        source=_must("source", table["source"], _TEXT),
        window_s=float(_must("window_s", table["window_s"], _WINDOW)),
        min_coverage=float(_must("min_coverage", table["min_coverage"], _SHARE)),
        not_in_view=_must("not_in_view", table["not_in_view"], _SCORE),
        items={
            item: _must(f"items, {shown(item)}", emotion, _EMOTION)
            for item, emotion in _must("items", table["items"], _TABLE).items()
        },
        bands=tuple(_band(f"band {number}", band) for number, band in bands),
        beside=_each("beside", table.get("beside", []), _EMOTION),
        not_assessed=_each("not_assessed", table.get("not_assessed", []), _TEXT),
        eyes_open=_must("eyes_open", table["eyes_open"], _TEXT) if "eyes_open" in table else "",
    )
    _check_bands(scale.bands)
    return scale


def _band(where: str, table: Any) -> Band:
    """:raises ValueError: what is wrong with it."""
    _check_names(where, table, Band)
    ends = {
        name: float(_must(f"{where}, {name}", table[name], _SECONDS))
        for name in ("below_s", "up_to_s")
        if name in table
    }
    score = _must(f"{where}, score", table["score"], _SCORE)
    return Band(score, _must(f"{where}, words", table["words"], _TEXT), **ends)


def _check_names(where: str, table: Any, shape: type[Scale] | type[Band]) -> None:
    """:raises ValueError: the value is no table, or its keys are not the fields of the class."""
    names = {field.name: field.default is MISSING for field in fields(shape) if field.name != "key"}
    for name in sorted(_must(where, table, _TABLE).keys() ^ names.keys()):
        if name not in names:
            raise ValueError(f"{where} has {shown(name)}, and may have {', '.join(names)}")
        if names[name]:
            raise ValueError(f"{where} has no {shown(name)}")


def _check_bands(bands: Sequence[Band]) -> None:
    """:raises ValueError: the bands are not in order, or do not cover all durations."""
    if not bands or bands[-1].below_s is not None or bands[-1].up_to_s is not None:
        raise ValueError("the last band must have no end")
    for number, band in enumerate(bands[:-1], start=1):
        if (band.below_s is None) == (band.up_to_s is None):
            raise ValueError(f"band {number} must have one of below_s and up_to_s")
    ends = [end for band in bands for end in (band.below_s, band.up_to_s) if end is not None]
    if ends != sorted(set(ends)):
        raise ValueError("bands must be in order of their ends")


@dataclass(frozen=True)
class _Kind:
    """A kind of value in the file: a description, and a check."""

    words: str
    fits: Callable[[Any], bool]


def _number(words: str, within: Callable[[float], bool]) -> _Kind:
    return _Kind(
        words, lambda value: type(value) in (int, float) and within(value)
    )  # bool is a subclass of int


_TEXT = _Kind("a text", lambda value: isinstance(value, str) and bool(value.strip()))
_LIST = _Kind("a list", lambda value: isinstance(value, list))
_TABLE = _Kind("a table", lambda value: isinstance(value, dict))
_EMOTION = _Kind(f"one of {', '.join(EMOTIONS)}", lambda value: value in EMOTIONS)
_SCORE = _Kind("a whole number from -128 to 127", lambda value: type(value) is int and -128 <= value <= 127)
_SHARE = _number("a number above 0 and at most 1", lambda value: 0 < value <= 1)
_SECONDS = _number(f"a number of seconds up to {_MOST_S}", lambda value: 0 <= value <= _MOST_S)
_WINDOW = _number(
    f"a number of seconds from {_LEAST_WINDOW_S} to {_MOST_S}",
    lambda value: _LEAST_WINDOW_S <= value <= _MOST_S,
)


def _must(where: str, value: Any, be: _Kind) -> Any:
    """Return the value.

    :raises ValueError: the value is of another kind.
    """
    if not be.fits(value):
        raise ValueError(f"{where} must be {be.words}, not {shown(repr(value), quoted=False)}")
    return value


def _each(where: str, values: Any, be: _Kind) -> tuple[Any, ...]:
    return tuple(_must(where, value, be) for value in _must(where, values, _LIST))
