"""What passes from one stage to the next."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Person:
    """One person of one session.

    :param number: 1 is on the screen longest.
    :param tracks: ascending.
    :param role: one of :data:`ROLES`, by which the timeline goes.
    :param seconds: on the screen; ``first_s``, ``last_s``: from when to when.
    :param chosen_by, identity: of the session's patient, as in :class:`pipeline.identity.patient.Patient`.
    :param portraits: JPEG files; none where the video is not there any more.
    :param embeddings: (m, D) float32; m is 0 where faces are not compared.
    :param source: begin of a sha256 of the session's tracks: the table is of no use with others.
    :param alike: a letter that those of a patient's sessions share who look the same.
    :param note: what is to be looked at.
    """

    patient_id: str
    session_id: str
    number: int
    tracks: tuple[int, ...]
    role: str
    seconds: float
    first_s: float
    last_s: float
    chosen_by: str
    identity: str
    portraits: tuple[bytes, ...]
    embeddings: NDArray[np.float32]
    source: str
    alike: str = ""
    note: str = ""


Ids = tuple[str, str]
"""Of a patient and of a session."""

OnProgress = Callable[[int, int], None]
"""Called with what is done, and with what there is in all."""

EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The seven classes of a timeline, in FER2013's order."""

NEGATIVE = ("angry", "disgust", "fear", "sad")

TIME_EPS_S = 1e-6
"""Times are binary fractions: 3,000 samples of 0.2 s can come out a hair under 600 s."""

NO_PICTURE: NDArray[np.uint8] = np.zeros((0, 0, 3), np.uint8)
"""Of a face whose picture is not kept."""

ROLES = ("patient", "caregiver", "other", "unknown")
"""Who a track is. Nobody is a caregiver unless somebody said so."""

IdentityState = Literal["confirmed", "recognised", "to_check", "unknown"]
"""Whether it is the patient: ``confirmed`` by a person, ``recognised`` by the program; ``to_check`` by a
person, while the rows are of the most likely one; ``unknown``: the rows are of nobody."""

SURE: tuple[IdentityState, ...] = ("confirmed", "recognised")
"""Identities that nobody needs to check."""

UNSURE: tuple[IdentityState, ...] = ("to_check", "unknown")

STATUSES = ("ok", "no_face", "other_person", "low_quality", "decode_error")


_HAPPY = EMOTIONS.index("happy")
_NEGATIVE = [EMOTIONS.index(name) for name in NEGATIVE]

Real = TypeVar("Real", bound=np.floating)


def valence(probabilities: NDArray[Real]) -> NDArray[Real]:
    """(…, 7) → (…): happy less the strongest of the negative ones, −1…1."""
    return probabilities[..., _HAPPY] - probabilities[..., _NEGATIVE].max(axis=-1)


@dataclass(frozen=True)
class Frames:
    """Consecutive samples of a video.

    :param sample: (B,) int64, position on the sampling grid.
    :param index: (B,) int64, position of the frame in the container, in order of presentation.
    :param time_s: (B,) float64, presentation time in seconds from the start of the container.
    :param images: (B, H, W, 3) uint8 RGB, upright.
    :param decoded: (B,) bool; where false the image is black and says nothing.
    """

    sample: NDArray[np.int64]
    index: NDArray[np.int64]
    time_s: NDArray[np.float64]
    images: NDArray[np.uint8]
    decoded: NDArray[np.bool_]


@dataclass(frozen=True)
class Face:
    """One face in one sample.

    :param box_xyxy: (4,) float32, px of the upright picture; may reach beyond its edges.
    :param detection: the detector's probability that this is a face, 0…1.
    :param landmarks: (5, 2) float32 px: eyes, nose, corners of the mouth; left ones first as seen.
    :param crop: (S, S, 3) uint8 RGB, what the classifier sees; a copy.
    :param face_px: √(width · height) of the box, px.
    :param sharpness: variance of the Laplacian of the grey crop, whose levels are 0…255.
    :param brightness: mean grey level of the crop, 0…1.
    :param yaw, pitch, roll: degrees, approximate.
    :param track: which face followed through time this is; none before tracking.
    :param probabilities: (7,) float32 in the order of :data:`EMOTIONS`; none before classification.
    """

    box_xyxy: NDArray[np.float32]
    detection: float
    landmarks: NDArray[np.float32]
    crop: NDArray[np.uint8]
    face_px: float
    sharpness: float
    brightness: float
    yaw: float
    pitch: float
    roll: float
    track: int | None = None
    probabilities: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class FrameFaces:
    """One sample and the faces in it; none is a record too."""

    sample: int
    frame: int
    time_s: float
    decoded: bool
    faces: tuple[Face, ...] = ()
