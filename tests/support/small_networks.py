"""A small network and its card."""

from pathlib import Path

from emonext import LABELS, Architecture, Card, Preprocessing

SMALL = Architecture((1, 1, 1, 1), (16, 16, 32, 32), 64)

CARD = Card(
    name="small",
    architecture=SMALL,
    preprocessing=Preprocessing(64, 68, face_scale=1.1, face_shift=(0.0, -0.01), mean=0.5, std=0.25),
    temperature=1.5,
    licence="none",
    data="made up",
    recipe="untrained",
    metrics={"labels_labels_accuracy": 0.125},
)

OTHER_ORDER = (*LABELS[:4], "neutral", "sad", "surprise")
"""Classes in another order than this program's."""


def beside(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")
