"""One session: a video → the patient's timeline and every face, in Parquet."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import InputError, VideoError
from pipeline.faces.classification import DEFAULT_BATCH_SIZE, ClassifyFaces, score_emotions
from pipeline.faces.detection import DEFAULT_MIN_FACE_PX, Detector, Framing, find_faces
from pipeline.faces.quality import QualityLimits
from pipeline.faces.tracking import DEFAULT_MAX_GAP_S, shorten_pauses, track_faces
from pipeline.identity.embedding import DlibEmbedder, Embedder
from pipeline.identity.patient import Patient, Region, by_photo, by_region, by_rule
from pipeline.identity.roles import by_hand, encrypt_roles, roles_path, settle
from pipeline.processing.chunks import STRETCH_S, Stretch, Stretches
from pipeline.processing.session_tables import write_session
from pipeline.records import NO_PICTURE, FrameFaces, Frames
from pipeline.store.parquet import read_metadata, read_table, understood, write_table
from pipeline.store.timeline import SCHEMA_VERSION, Timeline, faces_path, timeline_path
from pipeline.video.container import sha256_of
from pipeline.video.decoding import SampledVideo, check_sample_fps
from pipeline.video.prefetch import read_ahead
from pipeline.video.recording import Recording, Span, open_recording

if TYPE_CHECKING:
    from pipeline.faces.following import Refiner

OnProgress = Callable[[int, int], None]
"""Called with (samples done, samples in all)."""

# Whoever comes in is seen after this at the latest, s.
KEY_INTERVAL_S = 1.0


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
    recording = open_recording(session.videos)
    kept = Stretches(session.unfinished_path(out), fingerprint)
    untracked: list[FrameFaces] = []
    decoders: list[str] = []
    pieces = _pieces(recording, session, settings)
    total = sum(piece.end - piece.first for piece in pieces)
    for number, piece in enumerate(pieces):
        stretch = kept.read(number)
        if stretch is None:
            stretch = _read_piece(piece, settings, instruments, lambda done: on_progress(done, total))
            if len(pieces) > 1:
                kept.write(number, stretch)
        untracked += stretch.samples
        decoders += [decoder for decoder in stretch.decoders if decoder not in decoders]
    if not any(sample.decoded for sample in untracked):
        raise VideoError(f"{session.video}: not one frame can be decoded.")
    patient, samples = find_patient(untracked, session, settings, instruments, recording)
    roles = roles_path(out, *session.ids)
    patient = settle(patient, by_hand(samples, roles))
    encrypt_roles(roles)
    metadata = _metadata(session, settings, instruments, recording, decoders) | {"fingerprint": fingerprint}
    timeline = write_session(out, *session.ids, samples, patient, metadata)
    kept.remove()
    return timeline


def update_details(session: Session, out: Path) -> Mapping[str, Any] | None:
    """Puts the list's date and condition into the tables of a session whose pictures are as they were.

    :returns: the timeline's metadata; None where they say so already.
    :raises TimelineError: a table can't be read. :raises OutputError: it can't be written.
    """
    path = session.timeline_path(out)
    metadata = read_metadata(path)
    recorded_at = session.recorded_at.isoformat() if session.recorded_at else None
    with understood(path):
        details = {**metadata["session"], "recorded_at": recorded_at, "condition": session.condition}
        if details == metadata["session"]:
            return None
    metadata = {**metadata, "session": details}
    for table in (session.faces_path(out), path):  # in the order in which they were written
        write_table(table, read_table(table), metadata)
    return metadata


def run_stages(
    frames: Iterable[Frames], settings: Settings, instruments: Instruments
) -> Iterator[FrameFaces]:
    """The stages that see pictures, in their order: frames → faces → emotions."""
    faces = find_faces(read_ahead(frames), choose_detector(settings, instruments), instruments.framing)
    return score_emotions(faces, instruments.classify, settings.batch_size)


@dataclass(frozen=True)
class _Piece:
    """Consecutive samples of one file.

    :param first, end: its samples, counted in the file.
    :param sample, frame, start_s: what lies before the file.
    """

    video: SampledVideo
    first: int
    end: int
    sample: int
    frame: int
    start_s: float

    def placed(self, sample: FrameFaces) -> FrameFaces:
        """A sample counted in the file → in the recording."""
        return replace(
            sample,
            sample=self.sample + sample.sample,
            frame=self.frame + sample.frame,
            time_s=self.start_s + sample.time_s,
        )


def _pieces(recording: Recording, session: Session, settings: Settings) -> list[_Piece]:
    """Stretches of each file. What can't be sought in is one: it would be decoded from its start."""
    pieces: list[_Piece] = []
    before = 0
    parts = session.parts(recording.duration_s)
    for video, start_s, frame in recording.sampled(settings.sample_fps, settings.key_every, parts):
        instants = video.info.time_s[video.index]
        number = np.floor(instants / STRETCH_S) if video.info.seekable else np.zeros(len(video))
        starts = np.flatnonzero(np.diff(number, prepend=-1)).tolist()
        ends = [*starts[1:], len(video)]
        pieces += [
            _Piece(video, *bounds, before, frame, start_s) for bounds in zip(starts, ends, strict=True)
        ]
        before += len(video)
    return pieces


def _read_piece(
    piece: _Piece, settings: Settings, instruments: Instruments, on_sample: Callable[[int], None]
) -> Stretch:
    """Whatever came before it: a run that was stopped ends as one that was not."""
    video = piece.video
    video.decoders.clear()
    samples = []
    for sample in run_stages(video.read(piece.first, piece.end), settings, instruments):
        samples.append(piece.placed(_without_pictures(sample)))
        on_sample(samples[-1].sample + 1)
    return Stretch(samples, list(video.decoders))


def choose_detector(settings: Settings, instruments: Instruments) -> Detector:
    """Full detection of every sample, or of key samples where the instruments can follow a face."""
    if instruments.refine is None or settings.key_every == 1:
        return instruments.detect
    # it needs torch, which takes seconds to import: only the processes that do the work need it
    from pipeline.faces.following import Follower

    return Follower(instruments.detect, instruments.refine, settings.key_every)


def find_patient(
    samples: list[FrameFaces],
    session: Session,
    settings: Settings,
    instruments: Instruments,
    recording: Recording,
) -> tuple[Patient, list[FrameFaces]]:
    """By the session's photos or its region, where it has them; else by the settings' rule.

    Tracks go on over time that does not count: leaving out a stretch does not change who is who.

    :param samples: their faces have no tracks yet.
    :returns: who it is, and the samples with tracks: photos tell where one goes over to another person.
    :raises InputError: a photo is of no use, or the chosen track does not exist.
    """
    parts = session.parts(recording.duration_s)
    tracked = list(track_faces(shorten_pauses(samples, parts), settings.max_gap_s))
    if session.patient_face:
        embed = instruments.make_embedder()
        patient, tracked = by_photo(tracked, session.patient_face, recording, instruments.detect, embed)
    elif session.patient_region is not None:
        patient = by_region(tracked, session.patient_region, recording)
    else:
        starts = np.array([start for start, _ in parts])
        part_of = np.searchsorted(starts, [sample.time_s for sample in samples], "right").tolist()
        patient = by_rule(tracked, settings.patient_track, part_of)
    return patient, [replace(one, faces=two.faces) for one, two in zip(samples, tracked, strict=True)]


def _without_pictures(sample: FrameFaces) -> FrameFaces:
    """The sample without its crops: they are no longer needed, and would add up over an hour."""
    return replace(sample, faces=tuple(replace(face, crop=NO_PICTURE) for face in sample.faces))


def _metadata(
    session: Session, settings: Settings, instruments: Instruments, recording: Recording, decoders: list[str]
) -> dict[str, Any]:
    first = recording.files[0]
    return {
        "schema_version": SCHEMA_VERSION,
        "software_version": version("emonext-care"),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": instruments.device,
        "video": {
            "duration_s": recording.duration_s,
            "missing_s": recording.missing_s,
            "first_picture_s": float(first.time_s[0]),
            "without_picture_s": recording.without_picture_s,
            "notes": recording.notes,
            "width": recording.width,
            "height": recording.height,
            "frame_rate": recording.frame_rate,
            "frames": recording.frames,
            "codec": first.codec,
            "rotation": first.orientation.degrees,
            "decoder": "+".join(decoders),
            "files": [
                {"name": info.path.name, "sha256": sha256_of(info.path), "start_s": start_s}
                for info, (start_s, _) in zip(recording.files, recording.starts, strict=True)
            ],
        },
        "session": {
            "parts": session.parts(recording.duration_s),
            "recorded_at": session.recorded_at.isoformat() if session.recorded_at else None,
            "condition": session.condition,
        },
        "weights": dict(instruments.weights),
        "settings": asdict(settings),
    }
