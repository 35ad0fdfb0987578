"""Fit the head that tells which faces can't be read, after the network is trained.

During training, the head sees faces as they are trained on: upright and in fair light. Here, the network
stays as it is, and the head becomes a logistic regression on its features. The faces are also turned, hidden
by a rectangle and darkened, until their answers begin to fail.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from emonext.corruptions import CORRUPTIONS
from emonext.inference import with_mirror_images
from emonext.model import EmoNeXt
from emonext.preprocessing import Preprocessing, to_grey
from emonext.training.augmentation import HIDDEN_SHARE, Augmentation
from emonext.training.covers import draw_covers

# Faces that are drawn from the training set, and the number that share one level of a corruption.
_FACES, _GROUP = 6_000, 100

_RIDGE = 1e-4

_BATCH = 128

# By the name of a corruption: a number from 0 to 1 → a level, and a level → how far a face is hidden by it,
# before this share is clipped to 0…1. In between, the answers of the shipped weights begin to fail.
_HIDING: Mapping[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "rotation": (lambda u: 60 * u, lambda degrees: (degrees - 25) / 12),
    "occlusion": (lambda u: 0.05 + 0.55 * u, lambda share: share / HIDDEN_SHARE),
    "darkness": (lambda u: 0.01 * 50**u, lambda light: (0.06 - light) / 0.04),
    "blur": (lambda u: 0.3 + 2.7 * u, lambda sigma: sigma - 1.5),
}


def fit_covered_head(
    model: EmoNeXt, prepare: Preprocessing, images: NDArray[np.uint8], augment: Augmentation, seed: int = 0
) -> None:
    """Replace the weights of the head for covered faces.

    :param model: with such a head, in evaluation mode.
    :param images: (N, H, W) grey faces of the training set.
    :param augment: as in training; it also covers faces and takes their detail.
    """
    assert model.covered is not None
    chosen = np.random.default_rng(seed).permutation(len(images))[:_FACES]
    parts = [
        (_features(model, prepare, faces), hidden)
        for faces, hidden in _hidden_faces(images[chosen], augment, seed)
    ]
    features = torch.cat([part for part, _ in parts]).cpu().double()
    # a row for the face, and one for its mirror image
    hidden = torch.cat([share for _, share in parts]).repeat_interleave(2).double()
    weight, bias = _logistic_regression(features.flatten(0, 1), hidden)
    with torch.no_grad():
        model.covered.weight.copy_(weight[None])
        model.covered.bias.copy_(bias)


def _hidden_faces(
    images: NDArray[np.uint8], augment: Augmentation, seed: int
) -> Iterator[tuple[NDArray[np.uint8], Tensor]]:
    """The faces as they are, and with each fault: (N, H, W), and (N,) how far each face is hidden, 0…1."""
    yield images, torch.zeros(len(images))
    generator = torch.Generator().manual_seed(seed)
    grey = to_grey(torch.from_numpy(images))
    yield _joined([augment(batch, grey.shape[-1], generator) for batch in grey.split(_BATCH)])
    covered, share = _joined([draw_covers(batch, 1.0, generator) for batch in grey.split(_BATCH)])
    yield covered, (share / HIDDEN_SHARE).clamp(max=1)
    random = np.random.default_rng(seed)
    for corruption in CORRUPTIONS:
        if corruption.name in _HIDING:
            level_of, hides = _HIDING[corruption.name]
            faces, hidden = [], []
            for group in np.array_split(images, max(1, len(images) // _GROUP)):
                level = level_of(random.uniform())
                faces.append(corruption.apply(group, level))
                hidden.append(torch.full((len(group),), hides(level)))
            yield np.concatenate(faces), torch.cat(hidden).clamp(0, 1)


def _joined(batches: Sequence[tuple[Tensor, Tensor]]) -> tuple[NDArray[np.uint8], Tensor]:
    """(n, 1, H, W) in 0…1 and (n,) each → (N, H, W) uint8 and (N,)."""
    grey, hidden = map(torch.cat, zip(*batches, strict=True))
    return (255 * grey[:, 0]).round().to(torch.uint8).numpy(), hidden


@torch.inference_mode()
def _features(model: EmoNeXt, prepare: Preprocessing, images: NDArray[np.uint8]) -> Tensor:
    """(N, 2, D): of each face and of its mirror image."""
    device = next(model.parameters()).device
    found = []
    for batch in torch.from_numpy(images).split(_BATCH):
        both = with_mirror_images(prepare(batch.to(device)))
        found.append(model.features(both).unflatten(0, (2, len(batch))).transpose(0, 1).float())
    return torch.cat(found)


def _logistic_regression(features: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Ridge-penalised fit of P(hidden): weights (D,) and bias; targets may lie between 0 and 1."""
    mean, spread = features.mean(dim=0), features.std(dim=0).clamp_min(1e-6)
    scaled = (features - mean) / spread
    weight = torch.zeros(features.shape[1], dtype=features.dtype, requires_grad=True)
    bias = torch.zeros((), dtype=features.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        fit = F.binary_cross_entropy_with_logits(scaled @ weight + bias, target)
        total: Tensor = fit + _RIDGE * weight.square().sum()
        total.backward()
        return total

    optimizer.step(loss)
    weight, bias = weight.detach() / spread, bias.detach()
    return weight, bias - weight @ mean
