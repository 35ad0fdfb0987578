"""Simulated rated clips with known truth.

A clip shows one expression, drawn from its patient's own habits. The face gives a noisy signal for each
expression; part of the noise is shared by all clips of a session (light, angle), part by all samples of the
clip. The exact posterior of a sample, given the average patient's habits, is what a calibrated machine says;
a biased machine says a distorted version. Raters name the expression that was shown.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.records import EMOTIONS
from pipeline.stats.recalibration import RatedSamples

SAMPLES = 8
"""Of a clip of 4 s."""

USUAL = {
    "angry": 0.06,
    "disgust": 0.02,
    "fear": 0.03,
    "happy": 0.2,
    "sad": 0.12,
    "surprise": 0.05,
    "neutral": 0.52,
}
_SIGNAL, _SESSION, _SAMPLE = 1.3, 0.5, 0.15
_HABITS = 25.0


@dataclass(frozen=True)
class Distortion:
    """The machine says p ∝ (posterior / e^offset)^temperature: adapting with both undoes it."""

    temperature: float = 1.0
    sad: float = 0.0

    @property
    def offsets(self):
        found = np.zeros(len(EMOTIONS))
        found[EMOTIONS.index("sad")] = self.sad
        return found - found.mean()


def rated_samples(
    seed: int, clips: int, patients: int = 12, sessions: int = 4, distortion: Distortion | None = None
) -> RatedSamples:
    """Clips whose machine answer is not neutral are three times as likely to be drawn."""
    random, distortion = np.random.default_rng(seed), distortion or Distortion()
    usual = np.array([USUAL[name] for name in EMOTIONS])
    habits = random.dirichlet(_HABITS * usual, patients)
    shared = random.normal(0, _SESSION, (patients, sessions, len(usual)))
    own = np.sqrt(1 - _SESSION**2 - _SAMPLE**2)
    logs, votes, weights, cluster = [], [], [], []
    while len(votes) < clips:
        patient, session = random.integers(patients), random.integers(sessions)
        truth = random.choice(len(usual), p=habits[patient])
        signal = shared[patient, session] + random.normal(0, own, len(usual))
        signal = signal + random.normal(0, _SAMPLE, (SAMPLES, len(usual)))
        signal[:, truth] += _SIGNAL
        said = distortion.temperature * (np.log(usual) + _SIGNAL * signal - distortion.offsets)
        said -= np.log(np.exp(said).sum(axis=1, keepdims=True))
        answer = np.bincount(said.argmax(axis=1), minlength=len(usual)).argmax()
        chance = 0.3 if answer == EMOTIONS.index("neutral") else 0.9
        if random.random() < chance:
            logs.append(np.maximum(said, np.log(1e-4)))
            votes.append(np.eye(len(usual))[truth])
            weights.append(1 / chance)
            cluster.append(patient)
    return RatedSamples(
        np.concatenate(logs),
        np.full(clips * SAMPLES, 4 / SAMPLES),
        np.arange(clips) * SAMPLES,
        np.array(votes),
        np.array(weights),
        np.array(cluster),
    )
