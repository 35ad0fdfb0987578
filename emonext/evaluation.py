"""Evaluate weights: accuracy, confusion, calibration, and robustness to image corruptions.

A network has a head for FER2013's labels and, if it was trained on votes, a head for people's votes. A data
set may have both kinds of truth. Each useful pair of head and truth is one :class:`Reading`.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax
from scipy.stats import bootstrap
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score

from emonext.calibration import Abstaining, Bin, abstaining, calibration_error, cross_fitted, reliability
from emonext.checkpoint import Card, Weights
from emonext.corruptions import CORRUPTIONS
from emonext.datasets.data import FaceSet
from emonext.errors import DataError
from emonext.inference import Head, Scores, predict, predict_ten_crops
from emonext.model import LABELS

BOOTSTRAP_RESAMPLES = 1000

CLASSES = range(len(LABELS))

Progress = Callable[[int, int], None]
"""Called with (done, total)."""

Truth = Literal["labels", "majority"]

Recut = Callable[[NDArray[np.uint8]], tuple[NDArray[np.uint8], NDArray[np.bool_]]]
"""(N, H, W) grey faces → (N, S, S, 3) crops from a video, and an (N,) mask of the detected faces."""


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Reading:
    """Results of one head against one kind of truth, with one crop unless the name says ten.

    :param head: ``labels`` (trained on FER2013's labels) or ``votes`` (trained on ten people's votes).
    :param truth: ``labels`` of the data set, or the ``majority`` of the votes.
    :param count: faces that have such a truth.
    :param accuracy_unseen: on the pictures without a duplicate in the training split.
    :param recall: of each class, by label.
    :param confusion: (7, 7) counts, true class × predicted class.
    :param temperature: of the weights' card, for this head.
    :param log_loss: mean negative log-likelihood, nats, after the temperature.
    :param ece_raw: expected calibration error without temperature, 0…1. With votes, over all
        faces with votes; the accuracy of an answer is the share of people who gave this answer.
    :param ece: after the card's temperature.
    :param ece_cross_fitted: each fifth of the faces with a temperature fitted to the other four.
    :param reliability: by confidence after the temperature; empty bins are left out.
    """

    head: Head
    truth: Truth
    count: int
    accuracy: Interval
    accuracy_unseen: float
    accuracy_ten_crops: float
    macro_f1: Interval
    recall: dict[str, float]
    confusion: list[list[int]]
    temperature: float
    log_loss: float
    ece_raw: float
    ece: float
    ece_cross_fitted: float
    reliability: list[Bin]
    abstaining: list[Abstaining]


@dataclass(frozen=True)
class Group:
    """Results for one group of people in the set, for the head in use."""

    name: str
    count: int
    accuracy: Interval
    recall: dict[str, float]


@dataclass(frozen=True)
class AsUsed:
    """The same faces cropped by the benchmark, and by the pipeline from a compressed video.

    :param found: share of the faces that the detector finds.
    :param accuracy: on the detected faces, with the pipeline's crops.
    :param benchmark: on the same faces, with the benchmark's crops.
    """

    head: Head
    truth: Truth
    found: float
    accuracy: float
    benchmark: float


@dataclass(frozen=True)
class Robustness:
    """Accuracy under one corruption, from mild to severe, for the head in use."""

    name: str
    unit: str
    levels: list[float]
    accuracy: list[float]


@dataclass(frozen=True)
class Evaluation:
    """All results on one labelled set.

    :param faces_per_s: one crop, on this device.
    :param bf16_agreement: share of the faces that get the same class in bf16 as in float32.
    """

    weights: str
    sha256: str
    count: int
    readings: list[Reading]
    faces_per_s: float
    bf16_agreement: float
    groups: list[Group] = field(default_factory=list)
    as_used: list[AsUsed] = field(default_factory=list)
    robustness: list[Robustness] = field(default_factory=list)

    def reading(self, head: Head, truth: Truth) -> Reading | None:
        """The reading of this head and truth; ``None`` if the data or the weights lack one."""
        return next((r for r in self.readings if (r.head, r.truth) == (head, truth)), None)

    def metrics(self) -> dict[str, float]:
        """The metrics of a model card, named ``HEAD_TRUTH_metric``."""
        return {
            f"{reading.head}_{reading.truth}_{name}": value
            for reading in self.readings
            for name, value in {
                "accuracy": reading.accuracy.value,
                "accuracy_unseen": reading.accuracy_unseen,
                "accuracy_ten_crops": reading.accuracy_ten_crops,
                "macro_f1": reading.macro_f1.value,
                "ece_cross_fitted": reading.ece_cross_fitted,
                "log_loss": reading.log_loss,
            }.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; NaN becomes null."""
        return _plain(asdict(self))


def evaluate(
    weights: Weights,
    data: FaceSet,
    device: torch.device,
    on_progress: Progress = lambda done, total: None,
    *,
    by: str | None = None,
    recut: Recut | None = None,
    robustness: bool = False,
) -> Evaluation:
    """Evaluate the network on the set with one crop, ten crops and bf16, and with the optional parts.

    :param by: a column of the set, such as ``age_group``; evaluate each of its values.
    :param recut: crops the pictures from a video; ``None`` omits this part.
    :param robustness: measure under every corruption.
    :raises DataError: the set is empty or has no such column.
    """
    pairs = _pairs(weights.card, data)
    if not pairs:
        raise DataError("there is no labelled face to evaluate on.")
    if by is not None and by not in data.groups:
        raise DataError(f"`by` {by}: no such column; the data has {', '.join(data.groups) or 'none'}.")
    runner = _Runner(weights, data, device, on_progress, passes=12 + (30 if robustness else 0))
    start = time.perf_counter()
    one = runner.one_crop(data.images)
    seconds = time.perf_counter() - start
    ten = runner.ten_crops()
    used = head_in_use(weights.card)
    return Evaluation(
        weights=weights.card.name,
        sha256=weights.sha256,
        count=len(data),
        readings=[_read(weights.card, data, one, ten, head, truth) for head, truth in pairs],
        faces_per_s=len(data) / seconds,
        bf16_agreement=float((one.of(used).argmax(1) == runner.in_bf16().of(used).argmax(1)).mean()),
        groups=_by_group(data, one.of(used), pairs[-1][1], by) if by else [],
        as_used=_as_used(runner, *recut(data.images), one, pairs) if recut else [],
        robustness=_robustness(runner, *pairs[-1]) if robustness else [],
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def head_in_use(card: Card) -> Head:
    """The head that :class:`emonext.Classifier` uses: votes, if the weights were trained on votes."""
    return "votes" if card.architecture.votes else "labels"


def _pairs(card: Card, data: FaceSet) -> list[tuple[Head, Truth]]:
    """Pairs of head and truth: labels with both heads; the majority with the head in use, which is last."""
    labelled, voted = (data.labels >= 0).any(), (data.majority >= 0).any()
    pairs: list[tuple[Head, Truth]] = []
    if labelled:
        pairs.append(("labels", "labels"))
    if labelled and card.architecture.votes:
        pairs.append(("votes", "labels"))
    if voted:
        pairs.append((head_in_use(card), "majority"))
    return pairs


def _read(card: Card, data: FaceSet, one: Scores, ten: Scores, head: Head, truth: Truth) -> Reading:
    target = _truth(data, truth)
    known = target >= 0
    target, chosen, unseen = target[known], one.of(head)[known].argmax(axis=1), data.unseen[known]
    temperature = card.votes_temperature if head == "votes" else card.temperature
    # with votes, faces without a majority count in the calibration too
    shares = data.votes if truth == "majority" else one_hot(data.labels)
    judged = shares.sum(axis=1) > 0
    logits, shares = one.of(head)[judged], shares[judged]
    probability = softmax(logits / temperature, axis=1)
    return Reading(
        head=head,
        truth=truth,
        count=len(target),
        accuracy=_interval(target, chosen, accuracy_score),
        accuracy_unseen=accuracy(one.of(head)[known][unseen], target[unseen]),
        accuracy_ten_crops=accuracy(ten.of(head)[known], target),
        macro_f1=_interval(target, chosen, _macro_f1),
        recall=_recall(target, chosen),
        confusion=confusion_matrix(target, chosen, labels=CLASSES).tolist(),
        temperature=temperature,
        log_loss=float(-(shares * log_softmax(logits / temperature, axis=1)).sum(axis=1).mean()),
        ece_raw=calibration_error(reliability(softmax(logits, axis=1), shares)),
        ece=calibration_error(reliability(probability, shares)),
        ece_cross_fitted=calibration_error(reliability(cross_fitted(logits, shares), shares)),
        reliability=reliability(probability, shares),
        abstaining=abstaining(softmax(one.of(head)[known] / temperature, axis=1), target),
    )


def _truth(data: FaceSet, truth: Truth) -> NDArray[np.int64]:
    return data.labels if truth == "labels" else data.majority


def _macro_f1(truth: NDArray[np.int64], chosen: NDArray[np.int64]) -> float:
    return float(f1_score(truth, chosen, labels=CLASSES, average="macro", zero_division=0))


def _recall(truth: NDArray[np.int64], chosen: NDArray[np.int64]) -> dict[str, float]:
    recall = recall_score(truth, chosen, labels=CLASSES, average=None, zero_division=0)
    return dict(zip(LABELS, map(float, recall), strict=True))


def _interval(
    truth: NDArray[np.int64], chosen: NDArray[np.int64], statistic: Callable[..., float]
) -> Interval:
    """Percentile bootstrap over the faces."""
    value = float(statistic(truth, chosen))
    if len(truth) < 2:
        return Interval(value, 0.0, 1.0)
    ends = bootstrap(
        (truth, chosen),
        statistic,
        paired=True,
        vectorized=False,
        n_resamples=BOOTSTRAP_RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Interval(value, float(ends.low), float(ends.high))


def one_hot(labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """(N,) classes → (N, 7); a row of zeros for −1."""
    return (labels[:, None] == np.arange(len(LABELS))).astype(np.float32)


def accuracy(scores: NDArray[np.float32], truth: NDArray[np.int64]) -> float:
    """Share of the faces whose highest score is the true class; class −1 does not count. NaN without any."""
    known = truth >= 0
    return float(accuracy_score(truth[known], scores[known].argmax(axis=1))) if known.any() else math.nan


# --- groups, video, poor pictures -----------------------------------------------------------------------


def _by_group(data: FaceSet, scores: NDArray[np.float32], kind: Truth, by: str) -> list[Group]:
    chosen, values, truth = scores.argmax(axis=1), data.groups[by], _truth(data, kind)
    groups = [(name, (values == name) & (truth >= 0)) for name in np.unique(values)]
    return [
        Group(
            name=str(name),
            count=int(rows.sum()),
            accuracy=_interval(truth[rows], chosen[rows], accuracy_score),
            recall=_recall(truth[rows], chosen[rows]),
        )
        for name, rows in groups
        if rows.any()
    ]


def _as_used(
    runner: "_Runner",
    crops: NDArray[np.uint8],
    found: NDArray[np.bool_],
    one: Scores,
    pairs: list[tuple[Head, Truth]],
) -> list[AsUsed]:
    again = runner.one_crop(crops[found])
    rows = [(head, truth, _truth(runner.data, truth)[found]) for head, truth in pairs if found.any()]
    return [
        AsUsed(
            head=head,
            truth=truth,
            found=float(found.mean()),
            accuracy=accuracy(again.of(head), target),
            benchmark=accuracy(one.of(head)[found], target),
        )
        for head, truth, target in rows
    ]


def _robustness(runner: "_Runner", head: Head, truth: Truth) -> list[Robustness]:
    data, target = runner.data, _truth(runner.data, truth)

    def measure(images: NDArray[np.uint8]) -> float:
        return accuracy(runner.one_crop(images).of(head), target)

    return [
        Robustness(
            name=corruption.name,
            unit=corruption.unit,
            levels=list(corruption.levels),
            accuracy=[measure(corruption.apply(data.images, level)) for level in corruption.levels],
        )
        for corruption in CORRUPTIONS
    ]


class _Runner:
    """A network over a set, counting faces for the progress."""

    def __init__(
        self, weights: Weights, data: FaceSet, device: torch.device, on_progress: Progress, passes: int
    ) -> None:
        self.data = data
        self._card, self._model = weights.card, weights.model.to(device)
        self._device, self._on_progress = device, on_progress
        self._done, self._total = 0, passes * len(data)

    def one_crop(self, images: NDArray[np.uint8]) -> Scores:
        return self._count(predict, images, 1)

    def ten_crops(self) -> Scores:
        return self._count(predict_ten_crops, self.data.images, 10)

    def in_bf16(self) -> Scores:
        with torch.autocast(self._device.type, torch.bfloat16):
            return self.one_crop(self.data.images)

    def _count(self, run: Callable[..., Scores], images: NDArray[np.uint8], passes: int) -> Scores:
        before = self._done
        self._done += passes * len(images)
        found = run(
            self._model,
            self._card.preprocessing,
            images,
            self._device,
            lambda done: self._on_progress(min(before + passes * done, self._total), self._total),
        )
        return found.ordered(self._card)
