"""Simulated studies for multiverses, with and without an effect of music, and rows of the table."""

from pathlib import Path
from typing import Any

import polars as pl
from small_studies import make_small_study

from pipeline.robustness.multiverse import MULTIVERSE_SCHEMA
from pipeline.store.parquet import as_frame, to_table


def make_small(out: Path, *, patients: int, smiles_with_music: float, seed: int = 0) -> Path:
    """Songs change nothing by themselves."""
    changes = {"SMILES_WITH_MUSIC": smiles_with_music, "_SONG_CHANCE": 0.0}
    return make_small_study(out, patients, seed=seed, **changes)


BLANK: dict[str, Any] = {
    "own": False,
    "counted": "samples",
    "smoothing_s": None,
    "enter": None,
    "leave": None,
    "min_duration_s": None,
    "min_coverage": 0.2,
    "without_speech": False,
    "every": 1,
    "reference": "baseline",
    "condition": "music",
    "reason": "",
    "sessions_reference": 8,
    "sessions": 8,
    "patients": 4,
    "left_out": 0,
    "mean_reference": 10.0,
    "mean": None,
    "difference": None,
    "difference_low": None,
    "difference_high": None,
}


def analysis(difference: float | None = None, half: float = 1.0, **choices: Any) -> dict[str, Any]:
    """A row: a difference with an interval of that half width, or a reason."""
    if difference is None:
        return BLANK | {"reason": "too few"} | choices
    ends = {"difference_low": difference - half, "difference_high": difference + half}
    return BLANK | {"difference": difference, "mean": 10 + difference} | ends | choices


def table_of(*rows: dict[str, Any]) -> pl.DataFrame:
    numbered = [{"analysis": number, **row} for number, row in enumerate(rows, start=1)]
    columns = {name: [row[name] for row in numbered] for name in MULTIVERSE_SCHEMA.names}
    return as_frame(to_table(MULTIVERSE_SCHEMA, columns))
