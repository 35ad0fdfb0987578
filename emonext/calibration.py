"""Calibration of probabilities: temperature, reliability bins, and abstaining below a confidence."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from scipy.stats import binned_statistic
from sklearn.model_selection import KFold

# Guo et al. 2017 use 15 bins of equal width.
BINS = 15
FOLDS = 5

THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(20))


@dataclass(frozen=True)
class Bin:
    """Faces of similar confidence: their number, mean confidence and accuracy."""

    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Abstaining:
    """Result of answering only at or above a confidence: share of faces answered, and their accuracy."""

    threshold: float
    answered: float
    accuracy: float | None


def fit_temperature(logits: NDArray[np.float32], shares: NDArray[np.float32]) -> float:
    """The temperature that minimises the log loss (Guo et al. 2017, *On Calibration of Modern Networks*).

    :param logits: (N, 7). :param shares: (N, 7) probabilities of the truth; rows of zeros are ignored.
        Without other rows, the temperature is 1.
    """
    if not shares.any():
        return 1.0

    def loss(log_temperature: float) -> float:
        return float(-(shares * log_softmax(logits / np.exp(log_temperature), axis=1)).sum(axis=1).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))


def cross_fitted(logits: NDArray[np.float32], shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, 7) probabilities; each fold's temperature is fitted on the other folds."""
    if len(logits) < FOLDS:
        return softmax(logits, axis=1)
    probability = np.empty_like(logits)
    for others, fold in KFold(FOLDS, shuffle=True, random_state=0).split(logits):
        temperature = fit_temperature(logits[others], shares[others])
        probability[fold] = softmax(logits[fold] / temperature, axis=1)
    return probability


def reliability(probability: NDArray[np.float32], shares: NDArray[np.float32]) -> list[Bin]:
    """Group the faces by confidence in :data:`BINS` bins of equal width; omit empty bins.

    :param shares: (N, 7) probabilities of the truth. With votes, the accuracy of an answer is the share
        of people who gave this answer.
    """
    chosen, confidence = probability.argmax(axis=1), probability.max(axis=1)
    right = shares[np.arange(len(shares)), chosen]
    means, _, number = binned_statistic(confidence, [confidence, right], "mean", bins=BINS, range=(0, 1))
    counts = np.bincount(number - 1, minlength=BINS)
    return [
        Bin(int(count), float(sure), float(share))
        for count, sure, share in zip(counts, *means, strict=True)
        if count
    ]


def calibration_error(bins: list[Bin]) -> float:
    """Expected calibration error (Guo et al. 2017): mean |confidence − accuracy|, weighted by faces."""
    total = sum(one.count for one in bins)
    return sum(one.count * abs(one.confidence - one.accuracy) for one in bins) / total


def abstaining(probability: NDArray[np.float32], truth: NDArray[np.int64]) -> list[Abstaining]:
    right, confidence = probability.argmax(axis=1) == truth, probability.max(axis=1)
    answered = [confidence >= threshold for threshold in THRESHOLDS]
    return [
        Abstaining(threshold, float(rows.mean()), float(right[rows].mean()) if rows.any() else None)
        for threshold, rows in zip(THRESHOLDS, answered, strict=True)
    ]
