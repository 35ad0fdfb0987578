"""Evaluate weights: accuracy, confusion, calibration, and robustness to image corruptions."""

import math
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax
from scipy.stats import bootstrap
from sklearn.metrics import confusion_matrix, recall_score

from emonext.calibration import abstaining, calibration_error, cross_fitted, reliability
from emonext.checkpoint import Card, Weights
from emonext.corruptions import CORRUPTIONS
from emonext.datasets.data import FaceSet
from emonext.errors import DataError
from emonext.inference import Head, Scores, predict, predict_ten_crops
from emonext.model import LABELS
from emonext.preprocessing import to_grey
from emonext.results import AsUsed, Covers, Evaluation, Group, Interval, Reading, Robustness, Truth
from emonext.training.covers import draw_covers

BOOTSTRAP_RESAMPLES = 1000

# Probability from which an answer is called sure.
SURE = 0.8

CLASSES = range(len(LABELS))

# Faces, at most, that are read in bf16 too.
_BF16_FACES = 512

Progress = Callable[[int, int], None]
"""Called with (done, total)."""

Recut = Callable[[NDArray[np.uint8]], tuple[NDArray[np.uint8], NDArray[np.bool_]]]
"""(N, H, W) grey faces → (N, S, S, 3) crops from a video, and an (N,) mask of the detected faces."""


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

    :param by: a column of the set, such as ``age_group``; evaluate each of its values, whole numbers in
        groups of ten.
    :param recut: crops the pictures from a video; ``None`` omits this part.
    :param robustness: measure under every corruption.
    :raises DataError: the set is empty or has no such column.
    """
    pairs = _pairs(weights.card, data)
    if not pairs:
        raise DataError("there is no labelled face to evaluate on.")
    if by is not None and by not in data.groups:
        raise DataError(f"`by` {by}: no such column; the data has {', '.join(data.groups) or 'none'}.")
    corrupted = 2 * sum(len(one.levels) for one in CORRUPTIONS) + 2 * weights.card.architecture.covered
    runner = _Runner(weights, data, device, on_progress, passes=13 + (corrupted if robustness else 0))
    start = time.perf_counter()
    one = runner.one_crop(data.images)
    seconds = time.perf_counter() - start
    mirrored, ten = runner.mirrored(data.images), runner.ten_crops()
    used = head_in_use(weights.card)
    # processors without bf16 emulate it, up to twenty times slower
    some = np.unique(np.linspace(0, len(data) - 1, _BF16_FACES).round().astype(int))
    return Evaluation(
        weights=weights.card.name,
        sha256=weights.sha256,
        count=len(data),
        readings=[_read(weights.card, data, one, mirrored, ten, head, truth) for head, truth in pairs],
        faces_per_s=len(data) / seconds,
        bf16_agreement=float(
            (one.of(used).argmax(1)[some] == runner.in_bf16(some).of(used).argmax(1)).mean()
        ),
        groups=_by_group(weights.card, data, mirrored.of(used), pairs[-1], by) if by else [],
        as_used=_as_used(runner, *recut(data.images), mirrored, pairs) if recut else [],
        robustness=_robustness(runner, weights.card, *pairs[-1]) if robustness else [],
        covers=_covers(runner, weights.card, mirrored) if robustness else None,
    )


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


def _read(
    card: Card, data: FaceSet, one: Scores, mirrored: Scores, ten: Scores, head: Head, truth: Truth
) -> Reading:
    target = _truth(data, truth)
    known = target >= 0
    target, chosen, unseen = target[known], one.of(head)[known].argmax(axis=1), data.unseen[known]
    temperature = _temperature(card, head)
    logits, shares = _judged(data, truth, mirrored.of(head))
    probability = softmax(logits / temperature, axis=1)
    return Reading(
        head=head,
        truth=truth,
        count=len(target),
        accuracy=_interval(target, chosen, _share_right),
        accuracy_unseen=accuracy(one.of(head)[known][unseen], target[unseen]),
        accuracy_mirrored=_interval(target, mirrored.of(head)[known].argmax(axis=1), _share_right),
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
        abstaining=abstaining(softmax(mirrored.of(head)[known] / temperature, axis=1), target),
    )


def _temperature(card: Card, head: Head) -> float:
    return card.votes_temperature if head == "votes" else card.temperature


def _judged(
    data: FaceSet, truth: Truth, logits: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits and shares of the faces that count in the calibration; with votes, also without a majority."""
    shares = data.votes if truth == "majority" else one_hot(data.labels)
    judged = shares.sum(axis=1) > 0
    return logits[judged], shares[judged]


def _truth(data: FaceSet, truth: Truth) -> NDArray[np.int64]:
    return data.labels if truth == "labels" else data.majority


# scikit-learn's functions check their input in each of a thousand resamples: hundred times as long
def _share_right(truth: NDArray[np.int64], chosen: NDArray[np.int64]) -> float:
    return float((truth == chosen).mean())


def _macro_f1(truth: NDArray[np.int64], chosen: NDArray[np.int64]) -> float:
    """Mean over the classes of 2 · hits / (true + chosen); 0 for a class that is neither."""
    count = len(LABELS)
    hits = np.bincount(truth[truth == chosen], minlength=count)
    either = np.bincount(truth, minlength=count) + np.bincount(chosen, minlength=count)
    return float((2 * hits / np.maximum(either, 1)).mean())


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
    return _share_right(truth[known], scores[known].argmax(axis=1)) if known.any() else math.nan


# --- groups, video, poor pictures -----------------------------------------------------------------------


def _by_group(
    card: Card, data: FaceSet, scores: NDArray[np.float32], pair: tuple[Head, Truth], by: str
) -> list[Group]:
    head, kind = pair
    chosen, values, truth = scores.argmax(axis=1), _by_tens(data.groups[by]), _truth(data, kind)
    groups = [(name, (values == name) & (truth >= 0)) for name in np.unique(values)]

    def error(rows: NDArray[np.bool_]) -> float:
        logits, shares = _judged(data.select(rows), kind, scores[rows])
        return calibration_error(reliability(softmax(logits / _temperature(card, head), axis=1), shares))

    return [
        Group(
            name=str(name),
            count=int(rows.sum()),
            accuracy=_interval(truth[rows], chosen[rows], _share_right),
            recall=_recall(truth[rows], chosen[rows]),
            ece=error(rows),
        )
        for name, rows in groups
        if rows.any()
    ]


def _by_tens(values: NDArray[np.str_]) -> NDArray[np.str_]:
    """Whole numbers, such as ages, as groups of ten: ``60–69``; other values unchanged."""
    if not all(value.isdecimal() for value in values):
        return values
    tens = [int(value) // 10 * 10 for value in values]
    return np.array([f"{ten}–{ten + 9}" for ten in tens])


def _as_used(
    runner: "_Runner",
    crops: NDArray[np.uint8],
    found: NDArray[np.bool_],
    mirrored: Scores,
    pairs: list[tuple[Head, Truth]],
) -> list[AsUsed]:
    again = runner.mirrored(crops[found])
    rows = [(head, truth, _truth(runner.data, truth)[found]) for head, truth in pairs if found.any()]
    return [
        AsUsed(
            head=head,
            truth=truth,
            found=float(found.mean()),
            accuracy=accuracy(again.of(head), target),
            benchmark=accuracy(mirrored.of(head)[found], target),
        )
        for head, truth, target in rows
    ]


def _robustness(runner: "_Runner", card: Card, head: Head, truth: Truth) -> list[Robustness]:
    data, target = runner.data, _truth(runner.data, truth)

    def measure(images: NDArray[np.uint8]) -> tuple[float, float, float]:
        scores = runner.mirrored(images)
        readable = scores.covered <= card.covered_limit
        sure = softmax(scores.of(head) / _temperature(card, head), axis=1).max(axis=1) >= SURE
        told = readable & sure
        error = 1 - accuracy(scores.of(head)[told], target[told])
        return accuracy(scores.of(head), target), float(readable.mean()), error

    found = []
    for corruption in CORRUPTIONS:
        levels = [measure(corruption.apply(data.images, level)) for level in corruption.levels]
        columns = [list(column) for column in zip(*levels, strict=True)]
        found.append(Robustness(corruption.name, corruption.unit, list(corruption.levels), *columns))
    return found


def _covers(runner: "_Runner", card: Card, mirrored: Scores) -> Covers | None:
    if not card.architecture.covered:
        return None
    data = runner.data
    clean = to_grey(torch.from_numpy(data.images))
    drawn, share = draw_covers(clean, 1.0, torch.Generator().manual_seed(0))
    covered = runner.mirrored((255 * drawn[:, 0]).round().to(torch.uint8).numpy())
    used = head_in_use(card)
    other = covered.of(used).argmax(axis=1) != mirrored.of(used).argmax(axis=1)
    changed = other & (share.numpy() >= 1 / 3)
    flagged = covered.covered > card.covered_limit
    return Covers(
        false_flags=float((mirrored.covered > card.covered_limit).mean()),
        changed=int(changed.sum()),
        flagged=float(flagged[changed].mean()) if changed.any() else math.nan,
    )


class _Runner:
    """A network over a set, counting faces for the progress."""

    def __init__(
        self, weights: Weights, data: FaceSet, device: torch.device, on_progress: Progress, passes: int
    ) -> None:
        self.data = data
        self._card, self._model = weights.card, weights.model.to(device)
        self._device, self._on_progress = device, on_progress
        self._done, self._total = 0, passes * len(data) + min(len(data), _BF16_FACES)

    def one_crop(self, images: NDArray[np.uint8]) -> Scores:
        return self._count(predict, images, 1)

    def mirrored(self, images: NDArray[np.uint8]) -> Scores:
        return self._count(partial(predict, mirrored=True), images, 2)

    def ten_crops(self) -> Scores:
        return self._count(predict_ten_crops, self.data.images, 10)

    def in_bf16(self, rows: NDArray[np.int64]) -> Scores:
        with torch.autocast(self._device.type, torch.bfloat16):
            return self.one_crop(self.data.images[rows])

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
