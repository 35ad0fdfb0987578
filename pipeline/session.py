"""One session: a video → the patient's timeline and every face, in Parquet."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.ahead import read_ahead
from pipeline.container import VideoInfo, probe, sha256_of
from pipeline.embedding import DlibEmbedder, Embedder
from pipeline.emotions import DEFAULT_BATCH_SIZE, ClassifyFaces, score_emotions
from pipeline.errors import InputError, VideoError
from pipeline.faces import DEFAULT_MIN_FACE_PX, Detector, Framing, find_faces
from pipeline.patient import Patient, Region, by_photo, by_region, by_rule
from pipeline.records import EMOTIONS, NEGATIVE, Face, FrameFaces, Frames
from pipeline.stretches import NO_PICTURE, STRETCH_S, Stretch, Stretches
from pipeline.summary import summarize
from pipeline.timeline import (
    FACES_SCHEMA,
    SCHEMA_VERSION,
    TIMELINE_SCHEMA,
    Timeline,
    as_frame,
    to_table,
    write_table,
)
from pipeline.tracks import DEFAULT_MAX_GAP_S, track_faces
from pipeline.video import SampledVideo, Span, check_sample_fps

if TYPE_CHECKING:
    from pipeline.following import Refiner

OnProgress = Callable[[int, int], None]
"""Called with (samples done, samples in all)."""

# Whoever comes in is seen after this at the latest, s.
KEY_INTERVAL_S = 1.0


@dataclass(frozen=True)
class QualityLimits:
    """Below these a face is seen but not judged (status ``low_quality``).

    The smallest face is half the resolution of FER2013, on which the classifier was trained. The others
    keep the shared trial clips' legible faces and leave out faces darkened or blurred beyond recognition.
    """

    min_face_px: float = 24.0
    min_sharpness: float = 12.0
    min_brightness: float = 0.1
    max_brightness: float = 0.95
    max_yaw: float = 60.0

    def accept(self, face: Face) -> bool:
        return not self.faults(face)

    def faults(self, face: Face) -> list[str]:
        """What keeps a face from being judged, in words."""
        within = {
            "too small": face.face_px >= self.min_face_px,
            "blurred": face.sharpness >= self.min_sharpness,
            "too dark": face.brightness >= self.min_brightness,
            "too bright": face.brightness <= self.max_brightness,
            "turned away": abs(face.yaw) <= self.max_yaw,
        }
        return [fault for fault, fine in within.items() if not fine]


@dataclass(frozen=True)
class Settings:
    """How sessions are processed. Stored with every timeline.

    :param sample_fps: samples per second of video.
    :param min_face_px: smallest face that is looked for.
    :param patient_track: ``longest``, ``largest``, or the number of a track.
    :param max_gap_s: a face that is away for longer comes back as a new track.
    :param key_interval_s: from one sample with full detection to the next; in between faces are followed.
    """

    sample_fps: float = 5.0
    min_face_px: int = DEFAULT_MIN_FACE_PX
    batch_size: int = DEFAULT_BATCH_SIZE
    patient_track: str = "longest"
    max_gap_s: float = DEFAULT_MAX_GAP_S
    key_interval_s: float = KEY_INTERVAL_S
    quality: QualityLimits = field(default_factory=QualityLimits)

    def __post_init__(self) -> None:
        """:raises InputError: a setting is not usable; better now than after an hour of work."""
        check_sample_fps(self.sample_fps)
        if self.patient_track not in ("longest", "largest") and not self.patient_track.isdecimal():
            raise InputError(
                f"--patient-track {self.patient_track}: give longest, largest or the number of a track."
            )

    @property
    def key_every(self) -> int:
        """Samples from one with full detection to the next."""
        return max(1, round(self.sample_fps * self.key_interval_s))


@dataclass(frozen=True)
class Instruments:
    """The two trained parts that are put into the pipeline, and what is to be said of them.

    :param framing: how the classifier wants its faces cut.
    :param weights: name, sha256 and whatever else identifies the classifier.
    :param refine: the detector's second half, which follows a face once it is found; without it every sample
        gets full detection.
    :param make_embedder: called where a session comes with photos of the patient.
    """

    detect: Detector
    classify: ClassifyFaces
    framing: Framing
    weights: Mapping[str, Any]
    device: str
    refine: "Refiner | None" = None
    make_embedder: Callable[[], Embedder] = DlibEmbedder


@dataclass(frozen=True)
class Session:
    """One recorded video of one patient; both ids have been checked.

    :param start_s, end_s: the part of the video that counts; none is from its start, or to its end.
    :param exclude: stretches of it that don't.
    :param patient_face: photos of the patient's face.
    :param patient_region: where the patient sits; used where there is no photo.
    :param recorded_at: local time. ``condition``: such as baseline or music.
    :param consent: without it nothing is processed.
    :param notes: the coordinators' own; they are stored nowhere.
    """

    patient_id: str
    session_id: str
    video: Path
    start_s: float | None = None
    end_s: float | None = None
    exclude: tuple[Span, ...] = ()
    patient_face: tuple[Path, ...] = ()
    patient_region: Region | None = None
    recorded_at: datetime | None = None
    condition: str = ""
    consent: bool = True
    notes: str = ""

    def parts(self, duration_s: float) -> list[Span]:
        """The stretches that count, s.

        :raises InputError: there are none.
        """
        start, end = self.start_s or 0.0, min(self.end_s or duration_s, duration_s)
        edges = [start, *(min(max(edge, start), end) for span in self.exclude for edge in span), end]
        parts = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]
        if not parts:
            raise InputError(
                f"{self.video}: nothing is left of its {duration_s:.1f} s by start_s, end_s, exclude."
            )
        return parts

    def timeline_path(self, out: Path) -> Path:
        return self._parquet(out, "timelines")

    def faces_path(self, out: Path) -> Path:
        return self._parquet(out, "faces")

    def unfinished_path(self, out: Path) -> Path:
        return out / ".unfinished" / self.patient_id / self.session_id

    def _parquet(self, out: Path, kind: str) -> Path:
        return out / kind / f"patient_id={self.patient_id}" / f"{self.session_id}.parquet"


def process_session(
    session: Session,
    out: Path,
    settings: Settings,
    instruments: Instruments,
    on_progress: OnProgress = lambda done, total: None,
    fingerprint: str = "",
) -> Timeline:
    """Writes the timeline and the faces of one session; returns the timeline as written.

    Finished stretches of a long session are kept: a run that was stopped goes on from the last of them.

    :param fingerprint: of all that the result depends on; stretches of another one are not used.
    :raises VideoError: the video can't be opened, or not one frame can be decoded.
    :raises InputError: the chosen track does not exist.
    :raises OutputError: a file can't be written.
    """
    info = probe(session.video)
    video = SampledVideo(info, settings.sample_fps, settings.key_every, session.parts(info.duration_s))
    kept = Stretches(session.unfinished_path(out), fingerprint)
    untracked: list[FrameFaces] = []
    decoders: list[str] = []
    bounds = _stretches(video)
    for number, (first, end) in enumerate(bounds):
        stretch = kept.read(number)
        if stretch is None:
            stretch = _read_stretch(video, first, end, settings, instruments, on_progress)
            if len(bounds) > 1:
                kept.write(number, stretch)
        untracked += stretch.samples
        decoders += [decoder for decoder in stretch.decoders if decoder not in decoders]
    if not any(sample.decoded for sample in untracked):
        raise VideoError(f"{session.video}: not one frame can be decoded.")
    samples = list(track_faces(untracked, settings.max_gap_s))
    patient, samples = find_patient(samples, session, settings, instruments, info)
    timeline_table = to_table(
        TIMELINE_SCHEMA, _timeline_rows(session, samples, patient.tracks, settings.quality)
    )
    metadata = _metadata(session, settings, instruments, info, decoders)
    metadata |= {"patient": _describe_patient(patient, samples)}
    metadata |= _findings(Timeline(as_frame(timeline_table), metadata), info)
    write_table(session.faces_path(out), to_table(FACES_SCHEMA, _face_rows(session, samples)), metadata)
    write_table(session.timeline_path(out), timeline_table, metadata)
    kept.remove()
    return Timeline(as_frame(timeline_table), metadata)


def run_stages(
    frames: Iterable[Frames], settings: Settings, instruments: Instruments
) -> Iterator[FrameFaces]:
    """The stages that see pictures, in their order: frames → faces → emotions."""
    faces = find_faces(read_ahead(frames), choose_detector(settings, instruments), instruments.framing)
    return score_emotions(faces, instruments.classify, settings.batch_size)


def _stretches(video: SampledVideo) -> list[tuple[int, int]]:
    """First sample and end of each. What can't be sought in is one: it would be decoded from its start."""
    instants = video.info.time_s[video.index]
    number = np.floor(instants / STRETCH_S) if video.info.seekable else np.zeros(len(video))
    starts = np.flatnonzero(np.diff(number, prepend=-1)).tolist()
    return list(zip(starts, [*starts[1:], len(video)], strict=True))


def _read_stretch(
    video: SampledVideo,
    first: int,
    end: int,
    settings: Settings,
    instruments: Instruments,
    on_progress: OnProgress,
) -> Stretch:
    """Whatever came before it: a run that was stopped ends as one that was not."""
    video.decoders.clear()
    samples = []
    for sample in run_stages(video.read(first, end), settings, instruments):
        samples.append(_without_pictures(sample))
        on_progress(first + len(samples), len(video))
    return Stretch(samples, list(video.decoders))


def choose_detector(settings: Settings, instruments: Instruments) -> Detector:
    """Full detection of every sample, or of key samples where the instruments can follow a face."""
    if instruments.refine is None or settings.key_every == 1:
        return instruments.detect
    # it needs torch, which takes seconds to import: only the processes that do the work need it
    from pipeline.following import Follower

    return Follower(instruments.detect, instruments.refine, settings.key_every)


def find_patient(
    samples: list[FrameFaces],
    session: Session,
    settings: Settings,
    instruments: Instruments,
    info: VideoInfo,
) -> tuple[Patient, list[FrameFaces]]:
    """By the session's photos or its region, where it has them; else by the settings' rule.

    :returns: who it is, and the samples: photos tell where a track goes from one person to another.
    :raises InputError: a photo is of no use, or the chosen track does not exist.
    """
    if session.patient_face:
        embed = instruments.make_embedder()
        return by_photo(samples, session.patient_face, info, instruments.detect, embed)
    if session.patient_region is not None:
        return by_region(samples, session.patient_region, info), samples
    return by_rule(samples, settings.patient_track), samples


def status_of(sample: FrameFaces, patient: Face | None, quality: QualityLimits) -> str:
    """One of :data:`pipeline.records.STATUSES`."""
    if not sample.decoded:
        return "decode_error"
    if patient is None:
        return "other_person" if sample.faces else "no_face"
    return "ok" if quality.accept(patient) else "low_quality"


def _without_pictures(sample: FrameFaces) -> FrameFaces:
    """The sample without its crops: they are no longer needed, and would add up over an hour."""
    return replace(sample, faces=tuple(replace(face, crop=NO_PICTURE) for face in sample.faces))


def _timeline_rows(
    session: Session, samples: list[FrameFaces], tracks: frozenset[int], quality: QualityLimits
) -> dict[str, list[Any]]:
    rows: dict[str, list[Any]] = {name: [] for name in TIMELINE_SCHEMA.names}
    for sample in samples:
        patient = next((face for face in sample.faces if face.track in tracks), None)
        status = status_of(sample, patient, quality)
        values = _sample_values(session, sample) | {"status": status}
        values |= _face_values(patient) if patient else {}
        values |= _emotion_values(patient) if patient and status == "ok" else {}
        _append(rows, values)
    return rows


def _face_rows(session: Session, samples: list[FrameFaces]) -> dict[str, list[Any]]:
    rows: dict[str, list[Any]] = {name: [] for name in FACES_SCHEMA.names}
    for sample in samples:
        for face in sample.faces:
            _append(rows, _sample_values(session, sample) | _face_values(face) | _emotion_values(face))
    return rows


def _append(rows: dict[str, list[Any]], values: Mapping[str, Any]) -> None:
    for name, column in rows.items():
        column.append(values.get(name))


def _sample_values(session: Session, sample: FrameFaces) -> dict[str, Any]:
    return {
        "patient_id": session.patient_id,
        "session_id": session.session_id,
        "sample": sample.sample,
        "time_s": sample.time_s,
        "frame": sample.frame,
    }


def _face_values(face: Face) -> dict[str, Any]:
    box = dict(zip(("x1", "y1", "x2", "y2"), face.box_xyxy.tolist(), strict=True))
    return box | {name: getattr(face, name) for name in _FACE_COLUMNS}


_FACE_COLUMNS = ("track", "detection", "face_px", "sharpness", "brightness", "yaw", "pitch", "roll")


def _emotion_values(face: Face) -> dict[str, Any]:
    if face.probabilities is None:
        return {}
    of = dict(zip(EMOTIONS, face.probabilities.tolist(), strict=True))
    return {f"p_{name}": value for name, value in of.items()} | {
        "emotion": max(of, key=lambda name: of[name]),
        "valence": of["happy"] - max(of[name] for name in NEGATIVE),
    }


def _metadata(
    session: Session, settings: Settings, instruments: Instruments, info: VideoInfo, decoders: list[str]
) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "software_version": version("emonext-care"),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": instruments.device,
        "video": {
            "name": info.path.name,
            "sha256": sha256_of(info.path),
            "duration_s": info.duration_s,
            "width": info.width,
            "height": info.height,
            "frame_rate": info.frame_rate,
            "frames": len(info.time_s),
            "codec": info.codec,
            "rotation": info.rotation,
            "decoder": "+".join(decoders),
        },
        "session": {
            "parts": session.parts(info.duration_s),
            "recorded_at": session.recorded_at.isoformat() if session.recorded_at else None,
            "condition": session.condition,
        },
        "weights": dict(instruments.weights),
        "settings": asdict(settings),
    }


def _describe_patient(patient: Patient, samples: list[FrameFaces]) -> dict[str, Any]:
    """Who was taken for the patient, how, and among how many."""
    tracks = {face.track for sample in samples for face in sample.faces}
    return {
        "track": min(patient.tracks, default=None),
        "also": sorted(patient.tracks)[1:],
        "chosen_by": patient.chosen_by,
        "tracks": len(tracks),
        "confidence": patient.confidence,
        "reason": patient.reason,
    }


def _findings(timeline: Timeline, info: VideoInfo) -> dict[str, Any]:
    """Coverage, what was lost of the video, and what a reader must be told."""
    summary = summarize(timeline)
    lost_s = info.missing_s + summary.status_s["decode_error"]
    warnings = []
    patient = timeline.metadata["patient"]
    if not patient["tracks"]:
        warnings.append("no face was found in this video")
    elif patient["track"] is None:
        warnings.append(f"the patient was not recognised: {patient['reason']}")
    if lost_s:
        warnings.append(f"{lost_s:.1f} s of the video could not be decoded")
    return {"coverage": summary.coverage, "seconds_lost": lost_s, "warnings": warnings}
