"""Ten faces with a hand-computed evaluation, and a network that answers by their grey level."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emonext import LABELS, Architecture, Card, EmoNeXt, Preprocessing
from emonext.checkpoint import Weights
from emonext.datasets.data import FaceSet
from emonext.results import Evaluation, Reading

CPU = torch.device("cpu")
SHAPE = Architecture((1, 1, 1, 1), (16, 16, 32, 32), 32)
CARD = Card("by-grey", SHAPE, Preprocessing(16, 16), temperature=2.0, votes_temperature=3.0)
TWO_HEADS = replace(CARD, architecture=replace(SHAPE, votes=True))


# Ten faces: their labels, what most people said, what each head takes them for, whether they have no twin.
TRUTH = np.array([0, 0, 0, 1, 3, 3, 3, 3, 4, 6])
MAJORITY = np.array([0, 0, 4, -1, 3, 3, 3, 6, -1, 6])
CHOSEN = np.array([0, 0, 4, 0, 3, 3, 3, 6, 4, 6])
VOTED = np.array([0, 0, 4, 1, 3, 3, 6, 6, 4, 2])
UNSEEN = np.array([1, 0, 1, 1, 1, 1, 0, 0, 1, 1], bool)
AGES = np.array(["old", "old", "young", "old", "old", "young", "young", "old", "young", "young"])


# --- helpers --------------------------------------------------------------------------------------------


class ByGrey(EmoNeXt):
    """One head takes a face for class k whose upper rows are of grey 40·k; the other looks at its lower rows.

    The logits fall with the square of the distance.

    :param confused: in bf16, take the labels of faces lighter than 120 for the class below.
    """

    def __init__(self, *, order: tuple[str, ...] = LABELS, confused: bool = False) -> None:
        nn.Module.__init__(self)
        self.covered = None
        self.columns, self.confused = [LABELS.index(label) for label in order], confused

    def features(self, x: Tensor) -> Tensor:
        light = torch.stack([x[:, :, :5].mean(dim=(1, 2, 3)), x[:, :, -5:].mean(dim=(1, 2, 3))], dim=1)
        if self.confused and torch.is_autocast_enabled("cpu"):
            light[:, 0] -= (light[:, 0] * 255 > 120).float() * 40 / 255
        return light

    def logits(self, features: Tensor) -> Tensor:
        return -((features[:, :1] * 255 / 40 - torch.arange(7)) ** 2)[:, self.columns]

    def vote_logits(self, features: Tensor) -> Tensor:
        return -((features[:, 1:] * 255 / 40 - torch.arange(7)) ** 2)


def weights(card: Card) -> Weights:
    """A network that answers in the order of its card."""
    return Weights(ByGrey(order=card.labels), card, "5ha256")


def pictures(
    above: NDArray[np.int64], below: NDArray[np.int64], *, side: int = 48, colour: bool = False
) -> NDArray[np.uint8]:
    """Faces that :class:`ByGrey` takes for the classes ``above`` by one head, and ``below`` by the other."""
    images = np.zeros((len(above), side, side), np.uint8)
    images[:, : side // 2], images[:, side // 2 :] = (40 * one[:, None, None] for one in (above, below))
    return coloured(images) if colour else images


def coloured(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return images[..., None].repeat(3, axis=3)


def face_set(truth: NDArray[np.int64], chosen: NDArray[np.int64]) -> FaceSet:
    """Faces with labels alone, which both heads take for ``chosen``."""
    n = len(truth)
    votes = np.zeros((n, 7), np.float32)
    return FaceSet(pictures(chosen, chosen), truth, votes, np.full(n, -1), np.ones(n, bool))


def without(truth: str) -> FaceSet:
    """:data:`DATA`, but with no face of which its ``labels`` or ``majority`` are known; "" for all of it."""
    return replace(DATA, **{truth: np.full(10, -1)}) if truth else DATA


def labels_reading(found: Evaluation) -> Reading:
    reading = found.reading("labels", "labels")
    assert reading is not None
    return reading


def plain(found: Evaluation) -> dict[str, object]:
    """Without the speed, which differs each time."""
    return {**found.to_dict(), "faces_per_s": 0}


def _votes() -> NDArray[np.float32]:
    """Seven of ten people see the majority; of the disputed faces, one is torn and one has no votes."""
    votes = np.zeros((10, 7), np.float32)
    votes[np.arange(10), MAJORITY] = 0.7
    votes[np.arange(10), (MAJORITY + 2) % 7] = 0.3
    votes[3], votes[8] = [0.5, 0.5, 0, 0, 0, 0, 0], 0
    return votes


VOTES = _votes()
DATA = FaceSet(pictures(CHOSEN, VOTED), TRUTH, VOTES, MAJORITY, UNSEEN)
