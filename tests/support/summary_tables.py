"""Hand-made summary tables, in the format of ``emonext summarize``."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
NEGATIVE = ("angry", "disgust", "fear", "sad")
CONDITIONS = ("baseline", "music", "baseline", "garden")

SESSIONS_SCHEMA = {
    "patient_id": pl.String,
    "session_id": pl.String,
    "recorded_at": pl.Datetime("ms"),
    "condition": pl.String,
    "duration_s": pl.Float64,
    "observed_s": pl.Float64,
    "coverage": pl.Float64,
    "enough": pl.Boolean,
    "corrected": pl.Boolean,
    "rest_s": pl.Float64,
    "low_expressivity": pl.Boolean,
    "identity": pl.String,
}
MEASURES_SCHEMA = {
    "patient_id": pl.String,
    "session_id": pl.String,
    "reading": pl.String,
    "measure": pl.String,
    "of": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "unit": pl.String,
}


def session_row(session_id: str = "S01", patient_id: str = "P1", **other: Any) -> dict[str, Any]:
    """A session of ten minutes, half of them seen, on Monday 2 March 2026."""
    return {
        "patient_id": patient_id,
        "session_id": session_id,
        "recorded_at": datetime(2026, 3, 2, 10, 30),
        "condition": "",
        "duration_s": 600.0,
        "observed_s": 300.0,
        "coverage": 0.5,
        "enough": True,
        "corrected": False,
        "rest_s": 0.0,
        "low_expressivity": False,
        "identity": "confirmed",
        **other,
    }


def measure_rows(
    row: dict[str, Any], positive: float, negative: float, reading: str = "raw"
) -> Iterator[dict[str, Any]]:
    """The rows of one session: what is neither is neutral but for two hundredths, which are surprise."""
    shares = dict.fromkeys(EMOTIONS, 0.0) | {
        "happy": positive,
        "sad": 0.75 * negative,
        "angry": 0.25 * negative,
    }
    shares |= {"surprise": 0.02, "neutral": max(0.98 - positive - negative, 0.0)}
    shares |= {"positive": positive, "negative": negative}
    ids = {"patient_id": row["patient_id"], "session_id": row["session_id"], "reading": reading}
    for of, share in shares.items():
        yield _measure(ids, "share", of, share if row["enough"] else None, "1")
    yield _measure(ids, "valence", "", positive - negative if row["enough"] else None, "−1…1")


def _measure(ids: dict[str, Any], measure: str, of: str, value: float | None, unit: str) -> dict[str, Any]:
    around = {"low": None, "high": None} if value is None else {"low": value - 0.05, "high": value + 0.05}
    return ids | {"measure": measure, "of": of, "value": value, "unit": unit} | around


def tables(
    rows: Sequence[dict[str, Any]], measures: Sequence[dict[str, Any]]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows as the tables of sessions and of measures."""
    return pl.DataFrame(rows, SESSIONS_SCHEMA), pl.DataFrame(measures, MEASURES_SCHEMA)


def made(
    patients: int, sessions: int, every: timedelta = timedelta(days=7), seed: int = 0
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Patients who smile more with music; every eleventh session is read too little."""
    random = np.random.default_rng(seed)
    rows, measures = [], []
    for patient in range(1, patients + 1):
        for number in range(sessions):
            day = datetime(2025, 1, 6) + number * every + timedelta(days=patient % 5)
            coverage = 0.1 if number % 11 == 5 else float(random.uniform(0.4, 0.95))
            row = session_row(
                f"S{number + 1:03}",
                f"P{patient:03}",
                recorded_at=day + timedelta(hours=int(random.choice([10, 11, 15, 19])), minutes=5),
                condition=CONDITIONS[number % 4],
                observed_s=600 * coverage,
                coverage=coverage,
                enough=coverage >= 0.2,
                corrected=patient % 3 != 0,
                identity="recognised" if number % 3 else "to_check",
            )
            rows.append(row)
            positive = float(
                np.clip(random.normal(0.24 if row["condition"] == "music" else 0.12, 0.04), 0.01, 0.6)
            )
            negative = float(np.clip(random.normal(0.2, 0.05), 0.01, 0.35))
            measures += measure_rows(row, positive, negative)
            if row["corrected"]:
                measures += measure_rows(row, positive, 0.5 * negative, "corrected")
    return tables(rows, measures)
