"""Rate observation scales that carers know, from the episodes. These are machine ratings, not human ratings.

    summaries/scales.parquet    one row for each session, reading, window and item

The scales are defined in ``scales.toml`` (:mod:`pipeline.analysis.scales_file`). Time is counted from the
session's begin. An episode across the end of a window counts in both windows with its parts. A last window
shorter than half of a window is not rated.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.analysis.measures import GROUP_MEMBERS
from pipeline.analysis.scales_file import Scale, Scales, read_scales
from pipeline.analysis.summaries import read_episodes, read_sessions
from pipeline.faces.states import EYES_SHUT
from pipeline.records import Ids
from pipeline.store.coverage import sample_seconds
from pipeline.store.parquet import malformed_as_timeline_error, read_metadata
from pipeline.store.paths import timeline_path
from pipeline.store.result_tables import column, has_settings, read_derived, rewrite_sessions
from pipeline.store.timeline import Timeline, read_timeline

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

# Longest session, s: far above any real one, and low enough to refuse a damaged file before it fills the
# memory.
_MAX_WINDOWS = 100_000


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


def write_scales(
    out: Path, adaptation_sha256: str = "", unchanged: Collection[Ids] = frozenset()
) -> pl.DataFrame:
    """Rate every session from its episodes.

    :param adaptation_sha256: of the adaptation behind the adapted episodes; empty without one.
    :param unchanged: sessions whose rows of the table are kept, if it is of the same scales.
    :returns: the table.
    :raises InputError: the study's own ``scales.toml`` can't be used.
    :raises TimelineError: a table is missing or damaged. :raises OutputError: the table can't be written.
    """
    scales = replace(read_scales(out), adaptation_sha256=adaptation_sha256)
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
