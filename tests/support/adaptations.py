"""Made adaptations."""

from typing import Any

from pipeline.analysis.adaptation import Adaptation, OwnOffsets, PatientOffsets
from pipeline.records import EMOTIONS
from pipeline.stats.recalibration import Change, HeldOutTest

MADE_STUDY = "0" * 64
"""The weights of the made study."""


def make_own_offsets(*patients: str) -> PatientOffsets:
    """Of the given patients, each a little less sad; none: tested, but refused."""
    offsets = dict.fromkeys(EMOTIONS, 0.0) | {"sad": -0.6, "happy": 0.6}
    test = HeldOutTest(
        5,
        60,
        Change(0.74, 0.79, 0.05, -0.02, 0.12, 0.02),
        Change(0.80, 0.72, -0.08, -0.2, 0.04, 0.03),
    )
    return PatientOffsets({one: OwnOffsets(offsets, 12, 3) for one in patients}, 0.5, test)


def make_adaptation(weights_sha256: str = MADE_STUDY, **changes: Any) -> Adaptation:
    """Less sad and more neutral, and half as sure."""
    offsets = dict.fromkeys(EMOTIONS, 0.0) | {"sad": -1.2, "neutral": 1.2}
    test = HeldOutTest(
        12,
        100,
        Change(0.71, 0.78, 0.07, -0.01, 0.15, 0.03),
        Change(0.91, 0.74, -0.17, -0.3, -0.04, 0.1),
    )
    fields = {
        "temperature": 2.0,
        "offsets": offsets,
        "weights_sha256": weights_sha256,
        "clips": 100,
        "raters": 2,
        "patients": 12,
        "sessions": 60,
        "prior_log_t": 0.5,
        "prior_offset": 0.5,
        "unit": "patients",
        "test": test,
    }
    return Adaptation(**(fields | changes))
