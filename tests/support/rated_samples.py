"""Simulated rated clips with known truth.

A clip shows one expression, drawn from its patient's own habits. The face gives a noisy signal for each
expression; part of the noise is shared by all clips of a session (light, angle), part by all samples of the
clip. The exact posterior of a sample, given the average patient's habits, is what a calibrated machine says;
a biased machine says a distorted version, of some patients more than of others. Raters name the expression
that was shown.
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
    """The machine says p ∝ (posterior / e^offset)^temperature: adapting with both undoes it.

    :param own: standard deviation, over patients, of a patient's own part of the offset of sad.
    :param alike: patients have the same habits.
    """

    temperature: float = 1.0
    sad: float = 0.0
    own: float = 0.0
    alike: bool = False

    @property
    def offsets(self):
        found = np.zeros(len(EMOTIONS))
        found[EMOTIONS.index("sad")] = self.sad
        return found - found.mean()

    def own_offsets(self, seed: int, patients: int):
        """(patients, 7) on top of :attr:`offsets`."""
        found = np.zeros((patients, len(EMOTIONS)))
        found[:, EMOTIONS.index("sad")] = np.random.default_rng((seed, 1)).normal(0, self.own, patients)
        return found - found.mean(axis=1, keepdims=True)


def rated_samples(
    seed: int, clips: int, patients: int = 12, sessions: int = 4, distortion: Distortion | None = None
) -> RatedSamples:
    """Clips whose machine answer is not neutral are three times as likely to be drawn."""
    random, distortion = np.random.default_rng(seed), distortion or Distortion()
    usual = np.array([USUAL[name] for name in EMOTIONS])
    habits = random.dirichlet(_HABITS * usual, patients)
    if distortion.alike:
        habits[:] = usual
    offsets = distortion.offsets + distortion.own_offsets(seed, patients)
    shared = random.normal(0, _SESSION, (patients, sessions, len(usual)))
    own = np.sqrt(1 - _SESSION**2 - _SAMPLE**2)
    logs, votes, weights, cluster, of_session = [], [], [], [], []
    while len(votes) < clips:
        patient, session = random.integers(patients), random.integers(sessions)
        truth = random.choice(len(usual), p=habits[patient])
        signal = shared[patient, session] + random.normal(0, own, len(usual))
        signal = signal + random.normal(0, _SAMPLE, (SAMPLES, len(usual)))
        signal[:, truth] += _SIGNAL
        said = distortion.temperature * (np.log(usual) + _SIGNAL * signal - offsets[patient])
        said -= np.log(np.exp(said).sum(axis=1, keepdims=True))
        answer = np.bincount(said.argmax(axis=1), minlength=len(usual)).argmax()
        chance = 0.3 if answer == EMOTIONS.index("neutral") else 0.9
        if random.random() < chance:
            logs.append(np.maximum(said, np.log(1e-4)))
            votes.append(np.eye(len(usual))[truth])
            weights.append(1 / chance)
            cluster.append(patient)
            of_session.append(patient * sessions + session)
    return RatedSamples(
        np.concatenate(logs),
        np.full(clips * SAMPLES, 4 / SAMPLES),
        np.arange(clips) * SAMPLES,
        np.array(votes),
        np.array(weights),
        np.array(cluster),
        np.array(of_session),
    )
