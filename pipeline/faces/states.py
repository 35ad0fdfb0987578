"""From the points of a person's face and the sound: eyes shut, speaking, chewing, looking away."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pipeline.records import TIME_EPS_S

Floats = NDArray[np.float64]

Facing = Literal["camera", "left", "right", "down"]
FACINGS: tuple[Facing, ...] = get_args(Facing)
"""Where the head is turned, as the camera sees it; left is the picture's left."""

# An open eye, as the distance of the lids ÷ the eye's width: the median of 948 faces of people over 60. A
# person's own open eye is their 90th percentile, but no less than this: somebody who sleeps all the time must
# not count as awake.
_OPEN_EYE, _OWN_SHARE = 0.30, 90

EYES_SHUT = 0.5
"""Below this share of the person's own open eye, eyes count as shut."""

RESTING_S = 3.0
"""Eyes that stay shut for as long are no blink: the person sleeps or rests."""

LIKELY = 0.5
"""From this probability on, a person counts as laughing, speaking or chewing."""

# A longer step between two samples is a pause.
_PAUSE_STEPS = 2

# Turned further, the far eye is hidden, degrees.
_EYES_YAW = 45.0

# The camera sees who looks at it within these angles, degrees.
_FACING_YAW, _FACING_PITCH = 25.0, -25.0

# Time around a sample in which the mouth's movement is measured, s, and the fewest samples in it.
_MOTION_S, _FEWEST = 1.0, 3

# Standard deviation of the jaw's opening: of a still mouth, less than the first (real clips: 0.011 in 9 of 10
# samples; with a hand before it, 0.017); of a talking or chewing one, more than the second (made clips: 0.03)
_STILL, _MOVING = 0.012, 0.022

# Chewing goes on in cycles of these lengths, s (Po et al. 2011: 0.9 to 2.1 a second). Within so many seconds
# and samples, a sine explains less than the first share of the variance of random movement, and more than the
# second share of regular movement.
_CYCLES_S = tuple(np.geomspace(0.48, 1.2, 12).tolist())
_CHEWING_S, _FEWEST_OF_CYCLE = 4.0, 10
_RANDOM, _REGULAR = 0.45, 0.65


@dataclass(frozen=True)
class Readings:
    """A person's face at each sample of a session; not a number where it is not known.

    :param time_s: (n,) ascending.
    :param eye_opening, jaw_open: (n,) as in :class:`pipeline.records.FaceState`.
    :param yaw, pitch: (n,) degrees.
    :param voice: (n,) probability that somebody's voice is heard.
    :param happy: (n,) probability of the class happy.
    """

    time_s: Floats
    eye_opening: Floats
    jaw_open: Floats
    yaw: Floats
    pitch: Floats
    voice: Floats
    happy: Floats


@dataclass(frozen=True)
class States:
    """What the face does at each sample besides its expression; not a number where it is not known.

    :param eyes_open: (n,) opening of the eyes ÷ that of the person's own open eyes.
    :param resting: (n,) bool, whether the eyes stay shut for :data:`RESTING_S` or more; not while the person
        laughs or speaks.
    :param mouth_motion: (n,) standard deviation of the jaw's opening within a second.
    :param speaking: (n,) a voice is heard while the mouth moves, 0…1.
    :param chewing: (n,) the mouth moves in regular cycles without a voice, 0…1.
    :param facing: one of :data:`FACINGS` for each sample, or ``None``.
    """

    eyes_open: Floats
    resting: NDArray[np.bool_]
    mouth_motion: Floats
    speaking: Floats
    chewing: Floats
    facing: Sequence[Facing | None]


def infer_states(of: Readings) -> States:
    """The states of one person's face."""
    moving = _around(of.time_s, of.jaw_open, _MOTION_S, np.std, fewest=_FEWEST)
    lips = np.clip((moving - _STILL) / (_MOVING - _STILL), 0, 1)
    # half a second of voice within a second is speech, with pauses between the words
    voice = np.minimum(2 * _around(of.time_s, of.voice, _MOTION_S, np.mean), 1)
    chewing = lips * (1 - voice)
    speaking = lips * voice
    eyes_open = _eyes_open(of)
    # a laugh narrows the eyes too; comparing with what is not known is false
    shut = (eyes_open < EYES_SHUT) & ~(of.happy >= LIKELY) & ~(speaking >= LIKELY)
    return States(
        eyes_open=eyes_open,
        resting=_long(of.time_s, shut, RESTING_S),
        mouth_motion=moving,
        speaking=speaking,
        chewing=chewing * _regular(of, chewing > 0),
        facing=[_facing(yaw, pitch) for yaw, pitch in zip(of.yaw.tolist(), of.pitch.tolist(), strict=True)],
    )


def _eyes_open(of: Readings) -> Floats:
    seen = np.where(np.abs(of.yaw) <= _EYES_YAW, of.eye_opening, np.nan)
    if np.isnan(seen).all():
        return seen
    return np.asarray(seen / max(_OPEN_EYE, float(np.nanpercentile(seen, _OWN_SHARE))))


def _long(time_s: Floats, where: NDArray[np.bool_], least_s: float) -> NDArray[np.bool_]:
    """(n,) the samples of stretches that last at least so long; a pause in the recording ends a stretch."""
    found = np.zeros(len(where), bool)
    rows = np.flatnonzero(where)
    step_s = float(np.median(np.diff(time_s))) if len(time_s) > 1 else 0.0
    apart = (np.diff(rows) > 1) | (np.diff(time_s[rows]) > _PAUSE_STEPS * step_s)
    for stretch in np.split(rows, np.flatnonzero(apart) + 1):
        if len(stretch):
            lasts_s = time_s[stretch[-1]] + step_s - time_s[stretch[0]]
            found[stretch] = lasts_s >= least_s - TIME_EPS_S
    return found


def _around(
    time_s: Floats, values: Floats, window_s: float, reduce: Callable[[Floats], Any], fewest: int = 1
) -> Floats:
    """(n,) from the known values in a window around each sample.

    Not a number where the sample's own value is not known, or fewer than ``fewest`` are.
    """
    known = ~np.isnan(values)
    times, read = time_s[known], values[known]
    first = np.searchsorted(times, times - window_s / 2 - TIME_EPS_S)
    end = np.searchsorted(times, times + window_s / 2 + TIME_EPS_S)
    found = np.full(len(values), np.nan)
    found[known] = [reduce(read[a:b]) if b - a >= fewest else np.nan for a, b in zip(first, end, strict=True)]
    return found


def _regular(of: Readings, where: NDArray[np.bool_]) -> Floats:
    """(n,) how regularly the jaw moves, 0…1; 0 elsewhere than ``where``.

    The share of the movement's variance that a sine explains, of the length of cycle that explains most.
    """
    known = ~np.isnan(of.jaw_open)
    times, opening = of.time_s[known], of.jaw_open[known]
    found = np.zeros(len(of.time_s))
    for at in np.flatnonzero(where & known).tolist():
        near = slice(*np.searchsorted(times, of.time_s[at] + np.array([-0.5, 0.5]) * _CHEWING_S))
        if len(times[near]) >= _FEWEST_OF_CYCLE:
            found[at] = max(_explained(times[near], opening[near], cycle) for cycle in _CYCLES_S)
    return np.clip((found - _RANDOM) / (_REGULAR - _RANDOM), 0, 1)


def _explained(time_s: Floats, values: Floats, cycle_s: float) -> float:
    """The share of the variance that a sine of this length explains."""
    phase = 2 * np.pi * time_s / cycle_s
    waves = np.stack([np.ones_like(phase), np.sin(phase), np.cos(phase)], axis=1)
    rest = values - waves @ np.linalg.lstsq(waves, values, rcond=None)[0]
    return 1 - float(rest.var() / max(values.var(), 1e-12))


def _facing(yaw: float, pitch: float) -> Facing | None:
    if np.isnan(yaw) or np.isnan(pitch):
        return None
    if abs(yaw) > _FACING_YAW:
        return "right" if yaw > 0 else "left"
    return "down" if pitch < _FACING_PITCH else "camera"
