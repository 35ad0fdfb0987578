"""Simulated studies of few patients and short sessions; what takes time is the length of sessions."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.checks import demo_study

PATIENTS, MINUTES = 4, 4


def make_small_study(out: Path, patients: int = PATIENTS, *, seed: int = 0, **constants: Any) -> Path:
    """Eight sessions of four minutes for each patient.

    :param constants: of :mod:`pipeline.checks.demo_study`, with other values.
    """
    changes = {"LENGTH_S": 60.0 * MINUTES, **constants}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in changes.items():
            patch.setattr(demo_study, name, value)
        demo_study.make_study(out, seed=seed, patients=patients)
    return out
