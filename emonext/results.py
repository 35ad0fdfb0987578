"""The results of an evaluation, as records.

A network has a head for FER2013's labels and, if it was trained on votes, a head for people's votes. A data
set may have both kinds of truth. Each useful pair of head and truth is one :class:`Reading`.
"""

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from emonext.calibration import Abstaining, Bin
from emonext.inference import Head

Truth = Literal["labels", "majority"]


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Reading:
    """Results of one head against one kind of truth.

    ``accuracy``, ``accuracy_unseen``, ``macro_f1``, ``recall`` and ``confusion`` are those of one crop, as in
    the literature. The rest, from ``temperature`` on, is measured as in :class:`emonext.Classifier`: with the
    mean logits of face and mirror image.

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
    accuracy_mirrored: Interval
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
    """Results for one group of people in the set, read as in :class:`emonext.Classifier`."""

    name: str
    count: int
    accuracy: Interval
    recall: dict[str, float]
    ece: float


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
    """Results under one corruption, from mild to severe, read as in :class:`emonext.Classifier`.

    :param readable: share of the faces that are read: less than the card's ``covered_limit`` is hidden.
    :param accuracy: of all faces. :param sure_error: share of wrong answers among those with a probability
        of :data:`SURE` or more, of readable faces; NaN without any.
    """

    name: str
    unit: str
    levels: list[float]
    accuracy: list[float]
    readable: list[float]
    sure_error: list[float]


@dataclass(frozen=True)
class Covers:
    """How well unreadable faces are found: things are drawn before the faces.

    :param false_flags: share of the faces as they are that are called covered.
    :param changed: number of faces that are covered by a third or more and get another answer for it.
    :param flagged: share of those that are called covered.
    """

    false_flags: float
    changed: int
    flagged: float


@dataclass(frozen=True)
class Evaluation:
    """All results on one labelled set.

    :param faces_per_s: one crop, on this device.
    :param bf16_agreement: share of up to 512 faces that get the same class in bf16 as in float32.
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
    covers: Covers | None = None

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
                "accuracy_mirrored": reading.accuracy_mirrored.value,
                "accuracy_ten_crops": reading.accuracy_ten_crops,
                "macro_f1": reading.macro_f1.value,
                "ece_cross_fitted": reading.ece_cross_fitted,
                "log_loss": reading.log_loss,
            }.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; NaN becomes null."""
        return _plain(asdict(self))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value
