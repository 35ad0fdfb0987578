"""One session: a video → the patient's timeline and every face, in Parquet."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError
from pipeline.faces.classification import DEFAULT_BATCH_SIZE, ClassifyFaces
from pipeline.faces.detection import DEFAULT_MIN_FACE_PX, CropSpec, Detector
from pipeline.faces.quality import QualityLimits
from pipeline.faces.tracking import DEFAULT_MAX_GAP_S
from pipeline.identity.embedding import DlibEmbedder, Embedder
from pipeline.identity.patient import Region
from pipeline.store.paths import faces_path, timeline_path
from pipeline.video.decoding import check_sample_fps
from pipeline.video.recording import Span

# Whoever comes in is seen after this at the latest, s.
KEY_INTERVAL_S = 1.0


if TYPE_CHECKING:
    from pipeline.faces.following import Refiner


@dataclass(frozen=True)
class Settings:
    """How sessions are processed. Stored with every timeline.

    :param sample_fps: samples per second of video.
    :param min_face_px: smallest face that is looked for.
    :param patient_track: ``longest``, ``largest``, or the number of a track.
    :param max_gap_s: a face that is away for longer comes back as a new track.
    :param identity: what compares faces with photos: ``dlib``, or facenet-pytorch's weights by their sha256.
    :param key_interval_s: from one sample with full detection to the next; in between faces are followed.
    """

    sample_fps: float = 5.0
    min_face_px: int = DEFAULT_MIN_FACE_PX
    batch_size: int = DEFAULT_BATCH_SIZE
    patient_track: str = "longest"
    identity: str = "dlib"
    max_gap_s: float = DEFAULT_MAX_GAP_S
    key_interval_s: float = KEY_INTERVAL_S
    quality: QualityLimits = field(default_factory=QualityLimits)

    def __post_init__(self) -> None:
        """:raises InputError: a setting is not usable; better now than after an hour of work."""
        check_sample_fps(self.sample_fps)
        if self.patient_track not in ("longest", "largest") and not self.patient_track.isdecimal():
            raise InputError(
                f"`patient_track` {self.patient_track}: give longest, largest or the number of a track."
            )

    @property
    def key_every(self) -> int:
        """Samples from one with full detection to the next."""
        return max(1, round(self.sample_fps * self.key_interval_s))


@dataclass(frozen=True)
class Networks:
    """The two trained parts that are put into the pipeline, and what is to be said of them.

    :param framing: how the classifier wants its faces cut.
    :param weights: name, sha256 and whatever else identifies the classifier.
    :param refine: the detector's second half, which follows a face once it is found; without it every sample
        gets full detection.
    :param make_embedder: called where a session comes with photos of the patient.
    """

    detect: Detector
    classify: ClassifyFaces
    framing: CropSpec
    weights: Mapping[str, Any]
    device: str
    refine: "Refiner | None" = None
    make_embedder: Callable[[], Embedder] = DlibEmbedder


@dataclass(frozen=True)
class Session:
    """One recording of one patient; both ids have been checked.

    :param continued: further files, where the camera split the recording; times count through all of them.
    :param start_s, end_s: the part of the recording that counts; none is from its start, or to its end.
    :param exclude: stretches of it that don't.
    :param patient_face: photos of the patient's face.
    :param patient_region: where the patient sits; used where there is no photo.
    :param recorded_at: local time. ``condition``: such as baseline or music.
    :param consent: with a refusal nothing is processed; None where nobody said, and an earlier refusal holds.
    :param notes: the coordinators' own; they are stored nowhere.
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
    consent: bool | None = None
    notes: str = ""

    @property
    def ids(self) -> tuple[str, str]:
        """The patient's and its own."""
        return self.patient_id, self.session_id

    @property
    def refused(self) -> bool:
        """Whether the list says that there is no consent."""
        return self.consent is False

    @property
    def videos(self) -> tuple[Path, ...]:
        return (self.video, *self.continued)

    def with_absolute_paths(self) -> "Session":
        """The same session for a process whose working folder may be another."""
        return replace(
            self,
            video=self.video.absolute(),
            continued=tuple(video.absolute() for video in self.continued),
            patient_face=tuple(photo.absolute() for photo in self.patient_face),
        )

    def parts(self, duration_s: float) -> list[Span]:
        """The stretches that count, s.

        :raises InputError: there are none.
        """
        start = 0.0 if self.start_s is None else self.start_s
        end = duration_s if self.end_s is None else min(self.end_s, duration_s)
        edges = [start, *(min(max(edge, start), end) for span in self.exclude for edge in span), end]
        parts = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]
        if not parts:
            raise InputError(
                f"{self.video}: nothing is left of its {duration_s:.1f} s by start_s, end_s, exclude."
            )
        return parts

    def timeline_path(self, out: Path) -> Path:
        return timeline_path(out, *self.ids)

    def faces_path(self, out: Path) -> Path:
        return faces_path(out, *self.ids)

    def unfinished_path(self, out: Path) -> Path:
        return out / ".unfinished" / self.patient_id / self.session_id


def choose_detector(settings: Settings, instruments: Networks) -> Detector:
    """Full detection of every sample, or of key samples where the instruments can follow a face."""
    if instruments.refine is None or settings.key_every == 1:
        return instruments.detect
    # it needs torch, which takes seconds to import: only the processes that do the work need it
    from pipeline.faces.following import Follower

    return Follower(instruments.detect, instruments.refine, settings.key_every)
