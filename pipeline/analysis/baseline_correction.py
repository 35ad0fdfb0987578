"""A person compared with their own calm face.

Old faces at rest read as sad or angry. Where a person was recorded at rest, what their resting face adds to
the logits is taken off again. Raw and corrected probabilities stand side by side, and are never mixed.
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
"""How the votes of ten people fall, on average, on faces that most of them call neutral.

Of the 1,182 such faces in FER2013's validation split, by FER+ (Barsoum et al. 2016).
"""

SMALLEST = 1e-4
"""Below this a probability says no more than "never"; its logarithm would say anything."""

MOST_SHIFT = 3.0
"""No logit is moved by more: the factor of a probability's odds is 20."""

# So many samples of a session are enough to know its median.
_ENOUGH_SAMPLES = 2000


@dataclass(frozen=True)
class OwnBaseline:
    """What is taken off the logits of one person.

    :param shift: (7,) added to the logarithms of the probabilities.
    :param rest_s: seconds of calm that it comes from.
    """

    shift: Floats
    rest_s: float


def resting(samples: Observed) -> Floats:
    """(k, 7) log-probabilities of a stretch of calm, as :func:`own_baseline` wants them; k ≤ 2,000."""
    step = max(1, len(samples.start_s) // _ENOUGH_SAMPLES)
    return np.log(np.maximum(samples.probabilities[::step], SMALLEST))


def own_baseline(calm: Sequence[Floats], rest_s: float) -> OwnBaseline:
    """From stretches in which the person was calm for more than half of the time.

    The median over samples is not moved by the smiles in between, and asks nothing about which emotion it is
    that this face at rest looks like.

    :param calm: one of :func:`resting` for each stretch.
    """
    logits = np.concatenate(calm)
    median = np.median(_centred(logits), axis=0)
    typical = _centred(np.log(np.array([TYPICAL_REST[name] for name in EMOTIONS])))
    return OwnBaseline(np.clip(typical - median, -MOST_SHIFT, MOST_SHIFT), rest_s)


def corrected(samples: Observed, baseline: OwnBaseline) -> Observed:
    """The samples with probabilities as of somebody whose face at rest looks as most do."""
    logits = np.log(np.maximum(samples.probabilities, SMALLEST)) + baseline.shift
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return replace(samples, probabilities=shares / shares.sum(axis=1, keepdims=True))


def _centred(logits: Floats) -> Floats:
    """Logits are known up to a constant: the one with mean 0."""
    centred: Floats = logits - logits.mean(axis=-1, keepdims=True)
    return centred
