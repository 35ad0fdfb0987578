"""A hand-made evaluation."""

import math
from dataclasses import replace
from typing import Any

from emonext.calibration import Abstaining, Bin
from emonext.model import LABELS
from emonext.results import AsUsed, Covers, Evaluation, Group, Interval, Reading, Robustness

# Counts of 100 angry, no disgusted, 8 afraid … faces; rows are the truth, in LABELS' order.
CONFUSION = [
    [71, 0, 3, 2, 7, 7, 10],
    [0, 0, 0, 0, 0, 0, 0],
    [0, 0, 3, 0, 0, 4, 1],
    [1, 0, 0, 1700, 2, 12, 60],
    [2, 0, 1, 5, 37, 1, 17],
    [2, 0, 0, 0, 0, 64, 2],
    [0, 0, 0, 9, 12, 4, 212],
]


RECALL = {
    name: row[k] / max(sum(row), 1) for k, (name, row) in enumerate(zip(LABELS, CONFUSION, strict=True))
}


BINS = [Bin(10, 0.35, 0.2), Bin(40, 0.6, 0.55), Bin(160, 0.95, 0.9)]


ANSWERS = [
    Abstaining(0.0, 1.0, 0.856),
    Abstaining(0.1, 1.0, 0.856),
    Abstaining(0.5, 0.94, 0.887),
    Abstaining(0.7, 0.74, 0.934),
    Abstaining(0.95, 0.0, None),
]


_READABLE, _SURE_ERROR = [0.95, 0.9, 0.1], [0.02, 0.03, math.nan]


ROBUSTNESS = [
    Robustness(name, unit, levels, accuracy, _READABLE, _SURE_ERROR)
    for name, unit, levels, accuracy in (
        ("blur", "σ, px of 48", [0.5, 1.0, 2.5], [0.84, 0.8, 0.6]),
        ("compression", "JPEG quality", [50, 20, 7], [0.85, 0.82, 0.7]),
        ("rotation", "degrees", [10, 30, 50], [0.83, 0.7, 0.4]),
        ("occlusion", "share of the area", [0.05, 0.25, 0.45], [0.82, 0.69, 0.48]),
    )
]


def make_reading(**changes: Any) -> Reading:
    """The key reading of an evaluation with votes."""
    reading = Reading(
        head="votes",
        truth="majority",
        count=2251,
        accuracy=Interval(0.856, 0.83, 0.883),
        accuracy_unseen=0.857,
        accuracy_mirrored=Interval(0.866, 0.84, 0.892),
        accuracy_ten_crops=0.861,
        macro_f1=Interval(0.734, 0.7, 0.77),
        recall=RECALL,
        confusion=CONFUSION,
        temperature=0.75,
        log_loss=0.839,
        ece_raw=0.024,
        ece=0.084,
        ece_cross_fitted=0.021,
        reliability=BINS,
        abstaining=ANSWERS,
    )
    return replace(reading, **changes)


def make_evaluation(**changes: Any) -> Evaluation:
    """Three readings, and every part that can be asked for."""
    by_label_head = make_reading(
        head="labels",
        truth="labels",
        count=3589,
        accuracy=Interval(0.651, 0.636, 0.667),
        accuracy_mirrored=Interval(0.661, 0.646, 0.677),
        ece=0.077,
    )
    by_vote_head = make_reading(
        truth="labels",
        count=3589,
        accuracy=Interval(0.606, 0.589, 0.622),
        accuracy_mirrored=Interval(0.611, 0.594, 0.627),
        ece=0.202,
    )
    found = Evaluation(
        weights="atto",
        sha256="ab12" * 16,
        count=3589,
        readings=[by_label_head, by_vote_head, make_reading()],
        faces_per_s=66.4,
        bf16_agreement=0.9987,
        groups=[
            Group("under 40", 358, Interval(0.601, 0.55, 0.651), RECALL, 0.031),
            Group("65 and over", 25, Interval(0.52, 0.32, 0.72), RECALL, 0.112),
        ],
        as_used=[AsUsed("votes", "majority", found=0.931, accuracy=0.787, benchmark=0.849)],
        robustness=ROBUSTNESS,
        covers=Covers(false_flags=0.051, changed=412, flagged=0.83),
    )
    return replace(found, **changes)
