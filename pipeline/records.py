"""The records that pass from one stage to the next."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.reasons import Reason


@dataclass(frozen=True, eq=False)
class Person:
    """A person in a session; or nobody, for a session without a face.

    :param number: 1 is visible longest; 0 is nobody.
    :param tracks: ascending.
    :param role: one of :data:`ROLES`, as used for the timeline; empty for nobody.
    :param seconds: visible time; ``first_s``, ``last_s``: first and last time.
    :param chosen_by, identity: of the session's patient, as in :class:`pipeline.identity.patient.Patient`.
    :param portraits: JPEG files, for nobody of the whole picture; empty if the video is not available.
        ``portrait_s``: their times.
    :param embeddings: (m, D) float32; m is 0 if faces are not compared.
    :param source: begin of a sha256 of the session's tracks, for nobody of its recording; the table is
        invalid for others.
    :param alike: a letter shared by similar people of a patient's sessions.
    :param note: hint for a manual check.
    :param reason: why the session's patient was chosen, or nobody; ``None`` if there was no choice.
    :param seen_with: numbers of the other people of the session that share a picture with this person.
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
    note: Reason | None = None
    portrait_s: tuple[float, ...] = ()
    reason: Reason | None = None
    seen_with: tuple[int, ...] = ()

    @property
    def ids(self) -> tuple[str, str]:
        """Of the patient and the session."""
        return self.patient_id, self.session_id

    def cells(self) -> dict[str, str | int | float]:
        """The person's row of the table that a coordinator corrects, by :data:`PEOPLE_COLUMNS`."""
        return {
            "patient_id": self.patient_id,
            "session_id": self.session_id,
            "person": self.number or "",
            "role": self.role,
            "alike": self.alike,
            "seconds": round(self.seconds),
            "first_s": round(self.first_s, 1),
            "last_s": round(self.last_s, 1),
            "patient_region": "",
            "approved": "",
            "chosen_by": self.chosen_by,
            "identity": self.identity,
            "note": "" if self.note is None else str(self.note),
            "tracks": " ".join(map(str, self.tracks)),
            "source": self.source,
        }


PEOPLE_COLUMNS = (
    *("patient_id", "session_id", "person", "role", "alike", "seconds", "first_s", "last_s"),
    *("patient_region", "approved", "chosen_by", "identity", "note", "tracks", "source"),
)
"""Of the table of people: ``emonext people`` writes it, its page saves it, and ``--apply`` reads it."""

MARKER_CODES = ("eating", "speaking", "care", "visitor", "asleep", "exclude")
"""What a person can mark beside a video with one key; time with the last one does not count."""

EXCLUDE = MARKER_CODES[-1]

MARKER_COLUMNS = ("patient_id", "session_id", "recording", "code", "start_s", "end_s", "saved_at")
"""Of the table of markers that a page saves and ``emonext events`` reads; ``end_s`` is empty for a moment."""

MAX_CODE = 64
"""Characters of a code of one's own; it becomes ``what`` in ``events.csv``."""


UNPLAYABLE_SUFFIXES = (".avi", ".mpg", ".mpeg", ".mts", ".m2ts", ".ts", ".wmv", ".flv")
"""Formats that no browser plays; what a browser plays of the others depends on the codec."""


@dataclass(frozen=True)
class SessionVideo:
    """What the page of a session plays.

    :param files: each file, and the recording's time at which it begins, s; in order of time. Empty: the
        recording is not where it was, or another file has taken its place.
    :param blur: whose faces are blurred: of ``others``, of ``all``, or of ``none`` in the recording itself.
    :param sound: whether a copy has the recording's sound.
    :param outdated: whether there is a copy of an earlier timeline, which is not played.
    """

    files: tuple[tuple[Path, float], ...]
    blur: Literal["others", "all", "none"]
    sound: bool = False
    outdated: bool = False


def recording_id(sha256s: Sequence[str]) -> str:
    """The name of a recording in a table of markers: times count from its start.

    :param sha256s: of its files, in order.
    """
    return hashlib.sha256(" ".join(sha256s).encode()).hexdigest()[:16]


Region = tuple[float, float, float, float]
"""x1, y1, x2, y2 of a part of the picture, as shares of its width and height, 0…1."""


@dataclass(frozen=True, eq=False)
class Seat:
    """A place in the picture in which a person sits.

    :param region: as ``patient_region`` of a list.
    :param share: of the samples in which the person is seen, those with their face's centre in the region.
    :param others: numbers of other people whose faces are in it too.
    """

    region: Region
    share: float
    others: tuple[int, ...] = ()


@dataclass(frozen=True)
class SeenFace:
    """A face on a still picture.

    :param box: as shares of the picture; may reach beyond its edges.
    :param face_px: size in the recording, px.
    :param faults: of :data:`FAULTS`, why it can't be read; empty if it can.
    """

    box: Region
    face_px: float
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Still:
    """One picture of a session, with as many of its people as can be seen at once.

    :param jpeg: at most 480 px wide, or none where the video is not there any more.
    :param seats: by the number of the person, or of the place.
    :param faces: the faces of this picture, where they were looked for.
    """

    jpeg: bytes | None
    time_s: float
    seats: Mapping[int, Seat]
    faces: tuple[SeenFace, ...] = ()


@dataclass(frozen=True, eq=False)
class ListedRow:
    """A row of a list of sessions, existing or proposed, and the picture on which its seat is drawn.

    :param patient_id, session_id, condition, recorded_at: as written in the list, or else ids as far as the
        file's name shows them; empty where they are not known.
    :param from_name: the ids are those that the file's name shows.
    :param consent: as the list states it; ``None`` where it states nothing.
    :param region: where the patient sits; ``None`` without one.
    :param still: ``None`` where no picture was taken.
    """

    patient_id: str = ""
    session_id: str = ""
    condition: str = ""
    consent: bool | None = None
    region: Region | None = None
    still: Still | None = None
    from_name: bool = False
    recorded_at: str = ""


Verdict = Literal["good", "could be better", "will not work"]


@dataclass(frozen=True)
class Finding:
    """Result of one check of a recording.

    :param name: of the check, in English.
    :param measured: the measured value.
    :param advice: one thing to change; ``None`` if the verdict is good.
    """

    name: str
    verdict: Verdict
    measured: Reason
    advice: Reason | None = None


@dataclass(frozen=True, eq=False)
class CheckedRecording:
    """A recording of a folder, and its rows in the list of sessions.

    :param video: as the list writes it, or else its path from the folder, with / between folders.
    :param size_bytes: of the file: a sign that a table is about this recording.
    :param findings: empty where the recording was not opened, or can't be read.
    :param problem: why it can't be read.
    :param refused: it was not opened, because a list states no consent.
    """

    video: str
    size_bytes: int
    rows: tuple[ListedRow, ...]
    findings: tuple[Finding, ...] = ()
    problem: Reason | None = None
    refused: bool = False


ANSWER_COLUMNS = (
    *("recording", "bytes", "patient_id", "session_id", "recorded_at"),
    *("condition", "consent", "patient_region"),
)
"""Of the table that the page of ``emonext preflight`` saves, and ``emonext study apply`` reads. It has no
column ``video``: beside the recordings it must not be taken for a second list."""

Ids = tuple[str, str]
"""Patient id and session id."""

SAMPLE_FPS = 5.0
"""Samples per second of video, by default."""

OnProgress = Callable[[int, int], None]
"""Called with (done, total)."""

EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The seven classes of a timeline, in FER2013's order."""

NEGATIVE = ("angry", "disgust", "fear", "sad")

STATES = ("speaking", "chewing", "asleep", "away")
"""What a face does besides its expression, as raters code it; ``away``: turned away."""

TIME_EPS_S = 1e-6
"""Tolerance for times, s: in binary fractions, 3,000 samples of 0.2 s can be slightly less than 600 s."""

NO_PICTURE: NDArray[np.uint8] = np.zeros((0, 0, 3), np.uint8)
"""Crop of a face whose picture is not stored."""

ROLES = ("patient", "caregiver", "other", "unknown")
"""Roles of a track. Only a manual role can be "caregiver"."""

IdentityState = Literal["confirmed", "recognised", "hardly_seen", "to_check", "unknown"]
"""Certainty of the patient: ``confirmed`` by a person; ``recognised`` by the program; ``hardly_seen``:
recognised, but too little was read; ``to_check``: a person must check, and the rows are of the most likely
person; ``unknown``: the rows are of no person."""

SURE: tuple[IdentityState, ...] = ("confirmed", "recognised")
"""Identities that need no manual check."""

UNSURE: tuple[IdentityState, ...] = ("to_check", "unknown")
"""Identities with which the rows may be of another person, or are of none."""

FAULTS = ("too small", "blurred", "too dark", "too bright", "turned away", "covered")
"""The reasons for the status ``low_quality``."""

STATUSES = ("ok", "eyes_shut", "no_face", "other_person", "low_quality", "decode_error")


_HAPPY = EMOTIONS.index("happy")
_NEGATIVE = [EMOTIONS.index(name) for name in NEGATIVE]

Real = TypeVar("Real", bound=np.floating)


def valence(probabilities: NDArray[Real]) -> NDArray[Real]:
    """(…, 7) → (…): probability of happy minus the largest negative probability, −1…1."""
    return probabilities[..., _HAPPY] - probabilities[..., _NEGATIVE].max(axis=-1)


@dataclass(frozen=True, eq=False)
class Voice:
    """Where somebody's voice is heard in a file.

    :param window: (n,) int64 ascending, number of a window of time from the file's time zero; windows
        without sound are missing.
    :param probability: (n,) float32, that a voice is heard in it.
    """

    window: NDArray[np.int64]
    probability: NDArray[np.float32]


@dataclass(frozen=True)
class Frames:
    """Consecutive samples of a video.

    :param sample: (B,) int64, position on the sampling grid.
    :param index: (B,) int64, position of the frame in the container, in order of presentation.
    :param time_s: (B,) float64, presentation time in seconds from the start of the container.
    :param images: (B, H, W, 3) uint8 RGB, upright.
    :param decoded: (B,) bool; if false, the image is black and invalid.
    """

    sample: NDArray[np.int64]
    index: NDArray[np.int64]
    time_s: NDArray[np.float64]
    images: NDArray[np.uint8]
    decoded: NDArray[np.bool_]


@dataclass(frozen=True)
class FaceState:
    """What else a face does, from its points (:mod:`pipeline.faces.mesh`).

    :param eye_opening: distance of the lids ÷ distance of the eye's corners, of both eyes.
    :param mouth_open: distance of the lips' inner edges ÷ distance of the mouth's inner corners.
    :param jaw_open: distance of the lower lip from the nose ÷ distance of the eyes' outer corners. Speech and
        chewing move it, with open or closed lips.
    """

    eye_opening: float
    mouth_open: float
    jaw_open: float


@dataclass(frozen=True)
class Face:
    """One face in one sample.

    :param box_xyxy: (4,) float32, px of the upright picture; may reach beyond its edges.
    :param detection: the detector's probability that this is a face, 0…1.
    :param landmarks: (5, 2) float32 px: eyes, nose, corners of the mouth; left ones first as seen.
    :param crop: (S, S, 3) uint8 RGB, the classifier's input; a copy.
    :param face_px: √(width · height) of the box, px.
    :param sharpness: variance of the Laplacian of the grey crop, whose levels are 0…255.
    :param brightness: mean grey level of the crop, 0…1.
    :param yaw, pitch, roll: degrees, approximate; by the face mesh if there is a ``state``.
    :param covered: how far the face is hidden, 0…1; above 0.5, the expression can't be read. 0 before
        classification, and with weights that cannot tell.
    :param state: eyes and mouth by the face mesh; ``None`` before classification, of small faces, and
        where the mesh finds no face.
    :param mesh_crop: (192, 192, 3) uint8 RGB, the mesh's input.
    :param track: number of the face's track; ``None`` before tracking.
    :param probabilities: (7,) float32 in the order of :data:`EMOTIONS`; ``None`` before classification.
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
    covered: float = 0.0
    state: FaceState | None = None
    mesh_crop: NDArray[np.uint8] = field(default_factory=lambda: NO_PICTURE)
    track: int | None = None
    probabilities: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class FrameFaces:
    """One sample and its faces; there may be none.

    :param voice: probability that a voice is heard; ``None`` without sound.
    """

    sample: int
    frame: int
    time_s: float
    decoded: bool
    faces: tuple[Face, ...] = ()
    voice: float | None = None
