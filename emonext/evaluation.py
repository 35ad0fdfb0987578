"""How good a set of weights is: accuracy, recall by class, confusion, calibration."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss, recall_score
from torch import Tensor

from emonext.checkpoint import Weights
from emonext.data import FaceSet
from emonext.errors import DataError
from emonext.model import LABELS, EmoNeXt
from emonext.preprocessing import Preprocessing

BATCH_SIZE = 128

Progress = Callable[[int, int], None]
"""Called with (done, total)."""


@dataclass(frozen=True)
class Evaluation:
    """Measured on one labelled set.

    :param accuracy: one centre crop.
    :param accuracy_unseen: the same, on the pictures without a twin in the training split.
    :param accuracy_ten_crops: probabilities averaged over ten crops.
    :param recall: of each class, by label.
    :param confusion: (7, 7) counts, true class × predicted class.
    :param log_loss: mean negative log-likelihood, nats, after the temperature.
    :param faces_per_s: one crop, on this device.
    """

    count: int
    accuracy: float
    accuracy_unseen: float
    accuracy_ten_crops: float
    macro_f1: float
    recall: dict[str, float]
    confusion: list[list[int]]
    log_loss: float
    temperature: float
    faces_per_s: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def evaluate(
    weights: Weights, data: FaceSet, device: torch.device, on_progress: Progress = lambda done, total: None
) -> Evaluation:
    """Runs the network over the set, once with one crop and once with ten.

    :raises DataError: the set is empty.
    """
    if not len(data):
        raise DataError("there is no labelled face to evaluate on.")
    model, prepare = weights.model.to(device), weights.card.preprocessing
    total = 2 * len(data)
    start = time.perf_counter()
    one = predict(model, prepare, data.images, device, lambda done: on_progress(done, total))
    seconds = time.perf_counter() - start
    one = one[:, weights.card.columns]
    ten = predict_ten_crops(
        model, prepare, data.images, device, lambda done: on_progress(len(data) + done, total)
    )[:, weights.card.columns]
    truth, chosen = data.labels, one.argmax(axis=1)
    classes = range(len(LABELS))
    recall = recall_score(truth, chosen, labels=classes, average=None, zero_division=0)
    probabilities = np.exp(log_softmax(one / weights.card.temperature, axis=1))
    return Evaluation(
        count=len(data),
        accuracy=float(accuracy_score(truth, chosen)),
        accuracy_unseen=float(accuracy_score(truth[data.unseen], chosen[data.unseen])),
        accuracy_ten_crops=float(accuracy_score(truth, ten.argmax(axis=1))),
        macro_f1=float(f1_score(truth, chosen, labels=classes, average="macro", zero_division=0)),
        recall=dict(zip(LABELS, map(float, recall), strict=True)),
        confusion=confusion_matrix(truth, chosen, labels=classes).tolist(),
        log_loss=float(log_loss(truth, probabilities, labels=classes)),
        temperature=weights.card.temperature,
        faces_per_s=len(data) / seconds,
    )


def predict(
    model: EmoNeXt,
    prepare: Preprocessing,
    images: NDArray[np.uint8],
    device: torch.device,
    on_progress: Callable[[int], None] = lambda done: None,
) -> NDArray[np.float32]:
    """(N, H, W) grey uint8 → (N, 7) logits of the centre crop, in the weights' own order."""
    return _in_batches(lambda faces: model(prepare(faces)), images, device, on_progress)


def predict_ten_crops(
    model: EmoNeXt,
    prepare: Preprocessing,
    images: NDArray[np.uint8],
    device: torch.device,
    on_progress: Callable[[int], None] = lambda done: None,
) -> NDArray[np.float32]:
    """(N, H, W) grey uint8 → (N, 7) probabilities averaged over the ten crops, likewise."""

    def average(faces: Tensor) -> Tensor:
        crops = prepare.ten_crops(faces)
        each = model(crops.flatten(0, 1)).float().softmax(dim=1)
        return each.view(*crops.shape[:2], -1).mean(dim=1)

    return _in_batches(average, images, device, on_progress)


@torch.inference_mode()
def _in_batches(
    run: Callable[[Tensor], Tensor],
    images: NDArray[np.uint8],
    device: torch.device,
    on_progress: Callable[[int], None],
) -> NDArray[np.float32]:
    rows = [np.zeros((0, len(LABELS)), np.float32)]
    for start in range(0, len(images), BATCH_SIZE):
        batch = torch.from_numpy(images[start : start + BATCH_SIZE]).to(device)
        rows.append(run(batch).float().cpu().numpy())
        on_progress(min(start + BATCH_SIZE, len(images)))
    return np.concatenate(rows)


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The temperature that minimises the log loss (Guo et al. 2017, *On Calibration of Modern Networks*).

    :param logits: (N, 7). :param labels: (N,).
    """
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logits / np.exp(log_temperature), axis=1)
        return float(-scaled[rows, labels].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))
