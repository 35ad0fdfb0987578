"""Sessions of simulated studies with known differences between conditions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PATIENT_SD, SESSION_SD = 8.0, 10.0


@dataclass(frozen=True)
class Made:
    """One measure of a study, of which half of each patient's sessions are of the second condition.

    :param values, other, patients, weights: (n,)
    """

    values: Floats
    other: Floats
    patients: Floats
    weights: Floats

    @property
    def design(self) -> Floats:
        return np.column_stack([np.ones(len(self.other)), self.other])


def made(
    random: np.random.Generator,
    *,
    patients: int = 12,
    sessions: int = 8,
    effect: float = 0.0,
    effect_sd: float = 0.0,
    skewed: bool = False,
    alike: bool = False,
) -> Made:
    """Percentages; less is known where less was seen.

    :param effect: of the second condition, in points; it differs between patients by ``effect_sd``.
    :param skewed: errors are exponential, as shares near zero are. :param alike: all sessions weigh the same.
    """
    whose = np.repeat(np.arange(patients), sessions).astype(np.float64)
    other = np.tile(np.arange(sessions) % 2, patients).astype(np.float64)
    coverage = np.ones(len(whose)) if alike else random.uniform(0.3, 1.0, len(whose))
    noise = random.exponential(1, len(whose)) - 1 if skewed else random.normal(0, 1, len(whose))
    level = random.normal(40, PATIENT_SD, patients)[whose.astype(int)]
    own = random.normal(effect, effect_sd, patients)[whose.astype(int)] if effect_sd else effect
    values = level + own * other + SESSION_SD * noise / np.sqrt(coverage / coverage.mean())
    return Made(values, other, whose, coverage)


def as_tables(
    study: Made, conditions: Sequence[str] = ("baseline", "music"), reading: str = "raw"
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Its tables of sessions and measures, a session a week; the measure is the share of ``positive``."""
    rows = []
    seen: dict[float, int] = {}
    for value, other, patient, weight in zip(
        study.values, study.other, study.patients, study.weights, strict=True
    ):
        seen[patient] = number = seen.get(patient, 0) + 1
        rows.append(
            {
                "patient_id": f"P{int(patient) + 1:02}",
                "session_id": f"S{number:02}",
                "recorded_at": datetime(2026, 3, 2, 10) + timedelta(weeks=number - 1),
                "condition": conditions[int(other)],
                "duration_s": 600.0,
                "observed_s": 600 * float(weight),
                "speaking_s": None,
                "chewing_s": None,
                "coverage": float(weight),
                "enough": True,
                "reading": reading,
                "measure": "share",
                "of": "positive",
                "value": float(value) / 100,
                "unit": "0…1",
            }
        )
    both = pl.DataFrame(rows)
    ids = ["patient_id", "session_id"]
    seconds = ["duration_s", "observed_s", "speaking_s", "chewing_s"]
    return (
        both.select(*ids, "recorded_at", "condition", *seconds, "coverage", "enough"),
        both.select(*ids, "reading", "measure", "of", "value", "unit"),
    )
