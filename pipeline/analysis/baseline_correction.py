"""Correct probabilities by the patient's own calm face.

Classifiers read old faces at rest as sad or angry. If a patient was recorded at rest, the contribution of
the resting face to the logits is subtracted. Raw and corrected probabilities are never mixed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.analysis.episodes import Observed
from pipeline.records import EMOTIONS

Floats = NDArray[np.float64]

TYPICAL_REST = {
    "angry": 0.028,
    "disgust": 0.008,
    "fear": 0.005,
    "happy": 0.029,
    "sad": 0.078,
    "surprise": 0.019,
    "neutral": 0.833,
}
"""Mean distribution of ten people's votes on faces with a neutral majority.

Of the 1,182 such faces in FER2013's validation split, by FER+ (Barsoum et al. 2016).
"""

SMALLEST = 1e-4
"""Smaller probabilities are set to this value, because their logarithm carries no information."""

MOST_SHIFT = 3.0
"""Largest shift of a logit: a factor of 20 on the odds."""

# Number of samples that suffices for a session's median.
_ENOUGH_SAMPLES = 2000


@dataclass(frozen=True)
class OwnBaseline:
    """The correction for one patient.

    :param shift: (7,) added to the logarithms of the probabilities.
    :param rest_s: seconds of calm behind the correction.
    """

    shift: Floats
    rest_s: float


def resting(samples: Observed) -> Floats:
    """(k, 7) log-probabilities of a calm session, for :func:`own_baseline`; k ≤ 2,000."""
    step = max(1, len(samples.start_s) // _ENOUGH_SAMPLES)
    return np.log(np.maximum(samples.probabilities[::step], SMALLEST))


def own_baseline(calm: Sequence[Floats], rest_s: float) -> OwnBaseline:
    """Compute the correction from sessions in which the patient was calm for more than half of the time.

    The median over samples is robust against smiles in between, and makes no assumption about which emotion
    the resting face resembles.

    :param calm: one array of :func:`resting` per session.
    """
    logits = np.concatenate(calm)
    median = np.median(_centred(logits), axis=0)
    typical = _centred(np.log(np.array([TYPICAL_REST[name] for name in EMOTIONS])))
    return OwnBaseline(np.clip(typical - median, -MOST_SHIFT, MOST_SHIFT), rest_s)


def corrected(samples: Observed, baseline: OwnBaseline) -> Observed:
    """The samples with corrected probabilities."""
    logits = np.log(np.maximum(samples.probabilities, SMALLEST)) + baseline.shift
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return replace(samples, probabilities=shares / shares.sum(axis=1, keepdims=True))


def _centred(logits: Floats) -> Floats:
    """Logits, shifted to mean 0: they are known only up to a constant."""
    centred: Floats = logits - logits.mean(axis=-1, keepdims=True)
    return centred
