"""Process one session: video → frames → faces → tracks → emotions → timeline."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError, VideoError
from pipeline.faces.classification import score_emotions
from pipeline.faces.detection import find_faces
from pipeline.faces.tracking import shorten_pauses, track_faces
from pipeline.identity.embedding import Embedder
from pipeline.identity.gallery import StoredFaces, gallery_path, read_references, write_gallery
from pipeline.identity.patient import Patient, by_faces, by_region, by_rule, embed_photos
from pipeline.identity.roles import apply_manual_roles, encrypt_table, patient_from_roles, roles_path
from pipeline.identity.session_people import SessionPeople, people_by_face, people_by_place
from pipeline.processing.chunks import STRETCH_S, Chunk, Chunks
from pipeline.processing.session import Networks, Session, Settings, choose_detector
from pipeline.processing.session_tables import write_session
from pipeline.records import NO_PICTURE, SURE, FrameFaces, Frames, OnProgress
from pipeline.store.parquet import malformed_as_timeline_error, read_metadata, read_table, write_table
from pipeline.store.timeline import SCHEMA_VERSION, Timeline
from pipeline.video.decoding import SampledVideo
from pipeline.video.file_content import Content, check_content, read_content
from pipeline.video.prefetch import read_ahead
from pipeline.video.recording import Recording, open_recording


def process_session(
    session: Session,
    out: Path,
    settings: Settings,
    networks: Networks,
    on_progress: OnProgress = lambda done, total: None,
    fingerprint: str = "",
    content: Content | None = None,
) -> Timeline:
    """Write the timeline and the faces of one session; return the written timeline.

    Finished chunks of a long session are kept, so that an interrupted run continues after the last chunk.

    :param fingerprint: of all inputs; chunks with another fingerprint are not used.
    :param content: of the videos; default: it is read first.
    :raises VideoError: the video can't be opened, no frame can be decoded, or a file was changed meanwhile.
    :raises InputError: no sample lies in the intervals that count, or the chosen track does not exist.
    :raises OutputError: a file can't be written.
    """
    content = content or read_content(session.videos)
    recording = open_recording(session.videos)
    kept = Chunks(session.unfinished_path(out), fingerprint)
    untracked: list[FrameFaces] = []
    decoders: list[str] = []
    pieces = _pieces(recording, session, settings)
    if not pieces:
        part_s = sum(end - start for start, end in session.parts(recording.duration_s))
        raise InputError.about(session.video, "no_sample", part=part_s, rate=settings.sample_fps)
    total = sum(piece.end - piece.first for piece in pieces)
    for number, piece in enumerate(pieces):
        stretch = kept.read(number)
        if stretch is None:
            stretch = _read_piece(piece, settings, networks, lambda done: on_progress(done, total))
            if len(pieces) > 1:
                kept.write(number, stretch)
        untracked += stretch.samples
        decoders += [decoder for decoder in stretch.decoders if decoder not in decoders]
    if not any(sample.decoded for sample in untracked):
        raise VideoError.about(session.video, "no_decoded_frame")
    heard = _with_voice(untracked, recording, settings, networks)
    found = find_patient(heard, session, settings, networks, recording, out)
    check_content(session.videos, content)  # before anything is written that names it
    roles = roles_path(out, *session.ids)
    hand = patient_from_roles(found.samples, roles, content.sha256s)
    patient = apply_manual_roles(found.patient, hand)
    if found.embed is not None and patient.state in SURE:
        own = found.people.faces_of(patient.tracks)
        write_gallery(out, session.ids, StoredFaces.by(found.embed, own, patient.chosen_by))
    elif found.embed is not None and (patient.chosen_by != "hand" or not patient.tracks):
        write_gallery(out, session.ids, None)  # of a patient whom a person named, faces are kept
    for kept_table in (roles, gallery_path(out, *session.ids)):
        encrypt_table(kept_table)
    metadata = _metadata(session, settings, networks, recording, decoders, content.sha256s)
    metadata["fingerprint"] = fingerprint
    timeline = write_session(out, *session.ids, found.samples, patient, metadata)
    kept.remove()
    return timeline


def update_details(session: Session, out: Path) -> Mapping[str, Any] | None:
    """Write details that changed in the list, such as the date, into tables with unchanged samples.

    :returns: the timeline's metadata; ``None`` if they are up to date.
    :raises TimelineError: a table can't be read. :raises OutputError: a table can't be written.
    """
    path = session.timeline_path(out)
    metadata = read_metadata(path)
    with malformed_as_timeline_error(path):
        details = {**metadata["session"], **_details(session)}
        if details == metadata["session"]:
            return None
    metadata = {**metadata, "session": details}
    for table in (session.faces_path(out), path):  # in the same order as when written
        write_table(table, read_table(table), metadata)
    return metadata


def run_stages(frames: Iterable[Frames], settings: Settings, networks: Networks) -> Iterator[FrameFaces]:
    """The stages that use pictures, in order: frames → faces → emotions."""
    detect, meshed = choose_detector(settings, networks), networks.read_states is not None
    faces = find_faces(read_ahead(frames), detect, networks.crop_spec, for_mesh=meshed)
    return score_emotions(faces, networks.classify, settings.batch_size, networks.read_states)


@dataclass(frozen=True)
class _Piece:
    """Consecutive samples of one file.

    :param first, end: range of samples, counted in the file.
    :param sample, frame, start_s: samples, frames and seconds before the file.
    """

    video: SampledVideo
    first: int
    end: int
    sample: int
    frame: int
    start_s: float

    def placed(self, sample: FrameFaces) -> FrameFaces:
        """Convert a sample number of the file to one of the recording."""
        return replace(
            sample,
            sample=self.sample + sample.sample,
            frame=self.frame + sample.frame,
            time_s=self.start_s + sample.time_s,
        )


def _pieces(recording: Recording, session: Session, settings: Settings) -> list[_Piece]:
    """Divide each file into pieces. Without seeking, a file is one piece, which is decoded from its start."""
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
    piece: _Piece, settings: Settings, networks: Networks, on_sample: Callable[[int], None]
) -> Chunk:
    """Process a piece independently of earlier pieces, so that an interrupted run gives the same result."""
    video = piece.video
    video.decoders.clear()
    samples = []
    for sample in run_stages(video.read(piece.first, piece.end), settings, networks):
        samples.append(piece.placed(_without_pictures(sample)))
        on_sample(samples[-1].sample + 1)
    return Chunk(samples, list(video.decoders))


def _with_voice(
    samples: list[FrameFaces], recording: Recording, settings: Settings, networks: Networks
) -> list[FrameFaces]:
    """Each sample with the probability that a voice is heard in its time."""
    if networks.hear is None:
        return samples
    # import here: torch takes seconds to import, and only worker processes need it
    from pipeline.sound.voice import voice_at

    time_s = np.array([sample.time_s for sample in samples])
    voice = np.full(len(samples), np.nan, np.float32)
    for info, (start_s, _) in zip(recording.files, recording.starts, strict=True):
        inside = (start_s <= time_s) & (time_s < start_s + info.duration_s)
        voice[inside] = voice_at(networks.hear(info), time_s[inside] - start_s, 1 / settings.sample_fps)
    known = (None if np.isnan(value) else value for value in voice.tolist())
    return [replace(sample, voice=value) for sample, value in zip(samples, known, strict=True)]


@dataclass(frozen=True, eq=False)
class Found:
    """The patient of a session.

    :param samples: with tracks, divided where a track changes to another person.
    :param embed: ``None`` without a face embedder.
    """

    patient: Patient
    samples: Sequence[FrameFaces]
    people: SessionPeople
    embed: Embedder | None


def find_patient(
    samples: list[FrameFaces],
    session: Session,
    settings: Settings,
    networks: Networks,
    recording: Recording,
    out: Path,
) -> Found:
    """Find the patient by photos, region, or the patient's earlier sessions; else by the rule of the
    settings. With a face embedder, tracks are people by their faces, whatever chooses the patient.

    Tracks continue over time that does not count, so that excluding an interval does not change identities.

    :param samples: without tracks.
    :param out: results folder, which may have faces of confirmed sessions.
    :raises InputError: a photo is not usable, or the chosen track does not exist.
    """
    parts = session.parts(recording.duration_s)
    tracked = list(track_faces(shorten_pauses(samples, parts), settings.max_gap_s))
    embed = _embedder(session, networks)
    patient: Patient | None = None
    if embed is None:
        people = people_by_place(tracked)
    else:
        photos, gallery = _references(session, networks, out, embed)  # first: a photo may be of no use
        people = people_by_face(tracked, recording, embed)
        if len(photos) or len(gallery):
            patient = by_faces(people, photos, gallery, embed)
    if patient is None and session.patient_region is not None:
        patient = by_region(people, session.patient_region, recording)
    if patient is None:
        starts = np.array([start for start, _ in parts])
        part_of = np.searchsorted(starts, [sample.time_s for sample in samples], "right").tolist()
        patient = by_rule(people, settings.patient_track, part_of)
    whole = [replace(one, faces=two.faces) for one, two in zip(samples, people.samples, strict=True)]
    return Found(patient, whole, people, embed)


def _embedder(session: Session, networks: Networks) -> Embedder | None:
    """The face embedder; ``None`` if none is installed, and no photo needs one."""
    try:
        return networks.make_embedder()
    except InputError:
        if session.patient_face:
            raise
        return None


def _references(
    session: Session, networks: Networks, out: Path, embed: Embedder
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(p, D) of the photos, and (g, D) of the patient's other sessions: none if only a region is given."""
    gallery = read_references(out, *session.ids, embed)
    if session.patient_face:
        return embed_photos(session.patient_face, networks.detect_in_photos, embed), gallery
    return gallery[:0], gallery[:0] if session.patient_region is not None else gallery


def _without_pictures(sample: FrameFaces) -> FrameFaces:
    """The sample without its crops, which are not needed any more and would accumulate."""
    return replace(
        sample, faces=tuple(replace(face, crop=NO_PICTURE, mesh_crop=NO_PICTURE) for face in sample.faces)
    )


def _metadata(
    session: Session,
    settings: Settings,
    networks: Networks,
    recording: Recording,
    decoders: list[str],
    sha256s: Sequence[str],
) -> dict[str, Any]:
    first = recording.files[0]
    return {
        "schema_version": SCHEMA_VERSION,
        "software_version": version("emonext-care"),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": networks.device,
        "video": {
            "duration_s": recording.duration_s,
            "missing_s": recording.missing_s,
            "first_picture_s": float(first.time_s[0]),
            "without_picture_s": recording.without_picture_s,
            "notes": [note.write() for note in recording.notes],
            "width": recording.width,
            "height": recording.height,
            "frame_rate": recording.frame_rate,
            "frames": recording.frames,
            "codec": first.codec,
            "rotation": first.orientation.degrees,
            "decoder": "+".join(decoders),
            "files": [
                {"name": info.path.name, "sha256": sha256, "start_s": start_s}
                for info, (start_s, _), sha256 in zip(recording.files, recording.starts, sha256s, strict=True)
            ],
        },
        "session": {
            "parts": session.parts(recording.duration_s),
            **_details(session),
        },
        "weights": dict(networks.weights),
        "settings": asdict(settings),
    }


def _details(session: Session) -> dict[str, str | None]:
    """What the list says of a session that no sample depends on."""
    return {
        "recorded_at": session.recorded_at.isoformat() if session.recorded_at else None,
        "condition": session.condition,
        "attention_to": session.attention_to,
    }
