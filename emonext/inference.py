"""Run a network over many faces in batches; return the outputs of its heads.

Pictures larger than ``crop_px`` are reduced to it first, because the pipeline cuts faces at that size.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.v2.functional import resize

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
    :param covered: (N,), of the head that tells how far the face is hidden; −∞ without such a head.
    """

    labels: NDArray[np.float32]
    votes: NDArray[np.float32]
    covered: NDArray[np.float32]

    def ordered(self, card: Card) -> "Scores":
        """The same in LABELS' order. The head for votes always uses this order."""
        labels = self.labels[:, card.columns]
        return replace(self, labels=labels, votes=self.votes if card.architecture.votes else labels)

    def of(self, head: Head) -> NDArray[np.float32]:
        return self.labels if head == "labels" else self.votes


def predict(
    model: EmoNeXt,
    prepare: Preprocessing,
    images: NDArray[np.uint8],
    device: torch.device,
    on_progress: Callable[[int], None] = lambda done: None,
    *,
    mirrored: bool = False,
) -> Scores:
    """(N, H, W) grey or (N, H, W, 3) RGB uint8 → logits of the centre crop.

    :param mirrored: average the logits of the face and of its mirror image, as in
        :class:`emonext.Classifier`.
    """
    run = mirrored_heads if mirrored else _heads
    return _in_batches(prepare, lambda faces: run(model, prepare(faces)), images, device, on_progress)


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
        heads = _heads(model, crops.flatten(0, 1)).view(*crops.shape[:2], -1)
        classes = [part.softmax(dim=-1) for part in heads[..., :-1].split(len(LABELS), dim=-1)]
        return torch.cat([*classes, heads[..., -1:]], dim=-1).mean(dim=1)

    return _in_batches(prepare, average, images, device, on_progress)


def mirrored_heads(model: EmoNeXt, x: Tensor) -> Tensor:
    """(N, 3, S, S) → (N, 15) float32 logits: labels, votes and cover; means of face and mirror image."""
    return _heads(model, with_mirror_images(x)).view(2, len(x), -1).mean(dim=0)


def with_mirror_images(x: Tensor) -> Tensor:
    """(N, 3, S, S) → (2N, 3, S, S): the pictures, then their mirror images."""
    return torch.cat([x, x.flip(-1)]).contiguous(memory_format=torch.channels_last)


def _heads(model: EmoNeXt, x: Tensor) -> Tensor:
    features = model.features(x)
    classes = [model.logits(features), model.vote_logits(features)]
    return torch.cat([*classes, model.covered_logit(features)[:, None]], dim=1).float()


@torch.inference_mode()
def _in_batches(
    prepare: Preprocessing,
    run: Callable[[Tensor], Tensor],
    images: NDArray[np.uint8],
    device: torch.device,
    on_progress: Callable[[int], None],
) -> Scores:
    rows = [np.zeros((0, 2 * len(LABELS) + 1), np.float32)]
    for start in range(0, len(images), BATCH_SIZE):
        batch = _reduced(torch.from_numpy(images[start : start + BATCH_SIZE]).to(device), prepare.crop_px)
        rows.append(run(batch).cpu().numpy())
        on_progress(min(start + BATCH_SIZE, len(images)))
    labels, votes, covered = np.split(np.concatenate(rows), [len(LABELS), 2 * len(LABELS)], axis=1)
    return Scores(labels, votes, covered[:, 0])


def _reduced(images: Tensor, side: int) -> Tensor:
    """(N, H, W) or (N, H, W, 3) uint8 → the same with H and W of at most ``side``."""
    if max(images.shape[1:3]) <= side:
        return images
    if images.ndim == 3:
        return resize(images[:, None], [side, side])[:, 0]
    return resize(images.permute(0, 3, 1, 2), [side, side]).permute(0, 2, 3, 1)
