"""The session, its settings, and the networks to process it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError
from pipeline.faces.classification import DEFAULT_BATCH_SIZE, ClassifyFaces, ReadStates
from pipeline.faces.detection import DEFAULT_MIN_FACE_PX, CropSpec, Detector
from pipeline.faces.quality import QualityLimits
from pipeline.faces.states import Facing
from pipeline.faces.tracking import DEFAULT_MAX_GAP_S
from pipeline.identity.embedding import Embedder
from pipeline.records import SAMPLE_FPS, Region, Voice
from pipeline.store.paths import faces_path, timeline_path
from pipeline.video.container import VideoInfo
from pipeline.video.decoding import check_sample_fps
from pipeline.video.recording import Span

# Longest time until a new face is detected, s.
KEY_INTERVAL_S = 1.0


if TYPE_CHECKING:
    from pipeline.faces.following import Refiner, Searcher


@dataclass(frozen=True)
class Settings:
    """Settings of the processing, stored with every timeline.

    :param sample_fps: samples per second of video.
    :param min_face_px: smallest face to detect, px.
    :param patient_track: ``longest``, ``largest``, or the number of a track.
    :param max_gap_s: longest absence of a face within one track, s.
    :param identity: face embedder: ``dlib``, or the sha256 of facenet-pytorch's weights.
    :param score_everyone: store the expression of everybody, not only of the patient and of faces that may
        turn out to be the patient.
    :param key_interval_s: time between samples with full detection, s; faces are followed in between.
    """

    sample_fps: float = SAMPLE_FPS
    min_face_px: int = DEFAULT_MIN_FACE_PX
    batch_size: int = DEFAULT_BATCH_SIZE
    patient_track: str = "longest"
    identity: str = "dlib"
    max_gap_s: float = DEFAULT_MAX_GAP_S
    key_interval_s: float = KEY_INTERVAL_S
    score_everyone: bool = False
    quality: QualityLimits = field(default_factory=QualityLimits)

    def __post_init__(self) -> None:
        """:raises InputError: a setting is invalid; checked before any work."""
        check_sample_fps(self.sample_fps)
        if self.patient_track not in ("longest", "largest") and not self.patient_track.isdecimal():
            raise InputError(
                f"`patient_track` {self.patient_track}: give longest, largest or the number of a track."
            )

    @property
    def key_every(self) -> int:
        """Number of samples between full detections."""
        return max(1, round(self.sample_fps * self.key_interval_s))


Hear = Callable[[VideoInfo], Voice]
"""Where a voice is heard in a file, as :class:`pipeline.sound.voice.VoiceReader`."""


def no_embedder() -> Embedder:
    """:raises InputError: always."""
    raise InputError("There is no face embedder.")


@dataclass(frozen=True)
class Networks:
    """The networks of the pipeline, and their metadata.

    :param crop_spec: geometry of the classifier's face crops.
    :param weights: name, sha256 and other metadata of the classifier.
    :param read_states: the face mesh; without it, states are not known.
    :param hear: where a file's voices are heard; without it, speech is not known.
    :param refine: refines approximate boxes, to follow a face; without it, every sample gets full detection.
    :param search: finds askew faces in the turned picture; without it, only nearly upright faces are found.
    :param make_embedder: raises InputError if none is installed; then only photos fail.
    """

    detect: Detector
    classify: ClassifyFaces
    crop_spec: CropSpec
    weights: Mapping[str, Any]
    device: str
    refine: "Refiner | None" = None
    search: "Searcher | None" = None
    read_states: ReadStates | None = None
    hear: Hear | None = None
    make_embedder: Callable[[], Embedder] = no_embedder

    @property
    def detect_in_photos(self) -> Detector:
        """Photos are often stored on their side, and some show somebody who lies."""
        return self.detect if self.search is None else self.search.at_any_angle


@dataclass(frozen=True)
class Session:
    """One recording of one patient, with checked ids.

    :param continued: further files of a split recording; times count through all files.
    :param start_s, end_s: the part of the recording that counts; ``None``: from its start, or to its end.
    :param exclude: intervals that do not count.
    :param patient_face: photos of the patient's face.
    :param patient_region: the region of the patient's seat; used without a photo.
    :param recorded_at: local time. ``condition``: such as baseline or music.
    :param attention_to: where the head is turned when the patient attends, for the measure ``attention``.
    :param consent: ``False``: nothing is processed; ``None``: not stated, so an earlier refusal applies.
    :param notes: notes of the coordinators; not stored in the results.
    """

    patient_id: str
    session_id: str
    video: Path
    continued: tuple[Path, ...] = ()
    start_s: float | None = None
    end_s: float | None = None
    exclude: tuple[Span, ...] = ()
    patient_face: tuple[Path, ...] = ()
    patient_region: Region | None = None
    recorded_at: datetime | None = None
    condition: str = ""
    attention_to: Facing = "camera"
    consent: bool | None = None
    notes: str = ""

    @property
    def ids(self) -> tuple[str, str]:
        """Patient id and session id."""
        return self.patient_id, self.session_id

    @property
    def refused(self) -> bool:
        """Whether the list says that there is no consent."""
        return self.consent is False

    @property
    def videos(self) -> tuple[Path, ...]:
        return (self.video, *self.continued)

    def with_absolute_paths(self) -> "Session":
        """The session with absolute paths, for a process with another working folder."""
        return replace(
            self,
            video=self.video.absolute(),
            continued=tuple(video.absolute() for video in self.continued),
            patient_face=tuple(photo.absolute() for photo in self.patient_face),
        )

    def parts(self, duration_s: float) -> list[Span]:
        """The intervals that count, s.

        :raises InputError: there is none.
        """
        start = 0.0 if self.start_s is None else self.start_s
        end = duration_s if self.end_s is None else min(self.end_s, duration_s)
        edges = [start, *(min(max(edge, start), end) for span in self.exclude for edge in span), end]
        parts = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]
        if not parts:
            raise InputError.about(self.video, "nothing_left", seconds=duration_s)
        return parts

    def timeline_path(self, out: Path) -> Path:
        return timeline_path(out, *self.ids)

    def faces_path(self, out: Path) -> Path:
        return faces_path(out, *self.ids)

    def unfinished_path(self, out: Path) -> Path:
        return out / ".unfinished" / self.patient_id / self.session_id


def choose_detector(settings: Settings, networks: Networks) -> Detector:
    """Full detection of every sample, or only of key samples if the networks can follow a face."""
    if networks.refine is None:
        return networks.detect
    # import here: torch takes seconds to import, and only worker processes need it
    from pipeline.faces.following import Follower

    return Follower(networks.detect, networks.refine, settings.key_every, networks.search)
