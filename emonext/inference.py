"""Run a network over many faces in batches; return the outputs of both heads."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emonext.checkpoint import Card
from emonext.model import LABELS, EmoNeXt
from emonext.preprocessing import Preprocessing

BATCH_SIZE = 128

Head = Literal["labels", "votes"]
"""``labels``: trained on FER2013's labels; ``votes``: trained on ten people's votes."""


@dataclass(frozen=True)
class Scores:
    """Outputs of a network for N faces, in the network's order of classes.

    :param labels: (N, 7), of the head for FER2013's labels: logits, or probabilities averaged over ten crops.
    :param votes: (N, 7), of the head for people's votes.
    """

    labels: NDArray[np.float32]
    votes: NDArray[np.float32]

    def ordered(self, card: Card) -> "Scores":
        """The same in LABELS' order. The head for votes always uses this order."""
        labels = self.labels[:, card.columns]
        return Scores(labels, self.votes if card.architecture.votes else labels)

    def of(self, head: Head) -> NDArray[np.float32]:
        return self.labels if head == "labels" else self.votes


def predict(
    model: EmoNeXt,
    prepare: Preprocessing,
    images: NDArray[np.uint8],
    device: torch.device,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Scores:
    """(N, H, W) grey or (N, H, W, 3) RGB uint8 → logits of the centre crop."""
    return _in_batches(lambda faces: _both_heads(model, prepare(faces)), images, device, on_progress)


def predict_ten_crops(
    model: EmoNeXt,
    prepare: Preprocessing,
    images: NDArray[np.uint8],
    device: torch.device,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Scores:
    """(N, H, W) grey or (N, H, W, 3) RGB uint8 → probabilities averaged over the ten crops."""

    def average(faces: Tensor) -> Tensor:
        crops = prepare.ten_crops(faces)
        each = _both_heads(model, crops.flatten(0, 1)).softmax(dim=-1)
        return each.view(2, *crops.shape[:2], -1).mean(dim=2)

    return _in_batches(average, images, device, on_progress)


def _both_heads(model: EmoNeXt, x: Tensor) -> Tensor:
    """(N, 3, S, S) → (2, N, 7) float32: of labels, of votes."""
    features = model.features(x)
    return torch.stack([model.logits(features), model.vote_logits(features)]).float()


@torch.inference_mode()
def _in_batches(
    run: Callable[[Tensor], Tensor],
    images: NDArray[np.uint8],
    device: torch.device,
    on_progress: Callable[[int], None],
) -> Scores:
    rows = [np.zeros((2, 0, len(LABELS)), np.float32)]
    for start in range(0, len(images), BATCH_SIZE):
        batch = torch.from_numpy(images[start : start + BATCH_SIZE]).to(device)
        rows.append(run(batch).cpu().numpy())
        on_progress(min(start + BATCH_SIZE, len(images)))
    labels, votes = np.concatenate(rows, axis=1)
    return Scores(labels, votes)
