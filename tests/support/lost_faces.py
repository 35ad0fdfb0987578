"""Timelines of simulated sessions with known expressions, in which faces are lost in a known way."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from timelines import SAMPLE_S, make_timeline

from pipeline.store.parquet import as_frame, to_table
from pipeline.store.timeline import TIMELINE_SCHEMA, Timeline

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

Loss = Literal["at random", "by pose and light", "beyond 40 degrees", "by expression"]


@dataclass(frozen=True)
class Lost:
    """A session of which everything is known.

    :param shown: (n,) expression of each sample, also where it was not read. ``read``: (n,)
    """

    timeline: Timeline
    shown: NDArray[np.str_]
    read: Bools

    def true_share(self, emotion: str) -> float:
        return float((self.shown == emotion).mean())

    def raw_share(self, emotion: str) -> float:
        return float((self.shown == emotion)[self.read].mean())


def lose(random: np.random.Generator, loss: Loss, samples: int = 3000, more_smiles: float = 0.0) -> Lost:
    """A session in which the patient smiles more when turned to the side, to the person there, in less light.

    Pose and light change over seconds. By pose and light, a face is lost the more often the further it is
    turned and the darker it is; beyond 40 degrees, also never read. Half of the lost faces are still found
    (``low_quality``).
    """
    yaw = 22 * _slow(random, samples, 8) + 6
    light = 0.5 + 0.1 * _slow(random, samples, 15)
    turned, dark = np.abs(yaw) / 20 - 1, (0.5 - light) / 0.1
    mood = _slow(random, samples, 3)
    smiles = mood + 0.6 * turned + 0.3 * dark + more_smiles > 1.0
    sad = ~smiles & (mood < -1.3)
    shown = np.where(smiles, "happy", np.where(sad, "sad", "neutral"))
    by_pose = -1.4 + 1.0 * turned + 0.6 * dark
    chance_lost = {
        "at random": np.full(samples, -1.0),
        "by pose and light": by_pose,
        "beyond 40 degrees": np.where(np.abs(yaw) < 40, by_pose, np.inf),
        "by expression": np.where(smiles, 0.5, -1.5),
    }[loss]
    read = _slow(random, samples, 2) > chance_lost * 0.8
    return Lost(_timeline(random, shown, read, yaw, light), shown, read)


def _slow(random: np.random.Generator, samples: int, seconds: float) -> Floats:
    """(n,) normal, with an autocorrelation that fades over so many seconds."""
    stays = float(np.exp(-SAMPLE_S / seconds))
    steps = random.normal(0, np.sqrt(1 - stays**2), samples)
    steps[0] = random.normal()
    return np.asarray(lfilter([1.0], [1.0, -stays], steps))


def _timeline(
    random: np.random.Generator, shown: NDArray[np.str_], read: Bools, yaw: Floats, light: Floats
) -> Timeline:
    found = read | (random.random(len(read)) < 0.5)
    status = np.where(read, shown, np.where(found, "low_quality", "no_face"))
    made = make_timeline([(name, 1) for name in status.tolist()])
    noisy = {
        "yaw": yaw + random.normal(0, 3, len(yaw)),
        "brightness": np.clip(light + random.normal(0, 0.01, len(yaw)), 0, 1),
        "face_px": np.full(len(yaw), 120.0),
    }
    rows: dict[str, list[Any]] = {name: made.rows[name].to_list() for name in TIMELINE_SCHEMA.names}
    for name, values in noisy.items():
        rows[name] = [value if there else None for value, there in zip(values.tolist(), found, strict=True)]
    return Timeline(as_frame(to_table(TIMELINE_SCHEMA, rows)), made.metadata)
