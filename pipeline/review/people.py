"""List the people of every session, to be confirmed or corrected by a person who knows them.

The program proposes roles; a coordinator checks small pictures, and confirms or corrects the roles in a
table; the timelines of these sessions are then rewritten from ``faces/``.
"""

import hashlib
import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import InputError, TimelineError, VideoError, raise_error
from pipeline.identity.clustering import TrackInfo, describe_tracks, identities, link_tracks
from pipeline.identity.embedding import Embedder, align
from pipeline.identity.portraits import best_faces
from pipeline.identity.recognition import recognise
from pipeline.processing.other_sessions import OnUnreadable
from pipeline.processing.session_tables import read_roles, read_samples
from pipeline.reasons import Reason, read_reason
from pipeline.records import SURE, FrameFaces, Ids, OnProgress, Person
from pipeline.stats.spread import spread
from pipeline.store.coverage import sample_seconds
from pipeline.store.parquet import malformed_as_timeline_error
from pipeline.store.paths import faces_path, timeline_path
from pipeline.store.status import Outcome, read_outcomes
from pipeline.store.timeline import Timeline, no_timeline, read_timeline, sha256s, written_sessions
from pipeline.video.recording import open_recording

# Faces per track that are compared, and pictures per person that are shown; each needs decoding the video.
_MOST_COMPARED, _MOST_SHOWN, _SHOWN_PX = 12, 6, 192

# The longer side of a whole picture, at most.
_WHOLE_PX = 480

# How far a picture reaches beyond the face, in sides of its box: hair and clothes help to know somebody.
_SHOWN_MARGIN = 0.4

# Linking by place and time is impossible between sessions.
_NEVER_S = 1e9


@dataclass(frozen=True, eq=False)
class FacePictures:
    """A track's best faces, out of the video.

    :param chips: (n, 150, 150, 3) uint8 RGB, as faces are compared.
    :param portraits: for a person to look at: time in s, and a JPEG file.
    """

    chips: NDArray[np.uint8]
    portraits: tuple[tuple[float, bytes], ...]


def find_people(
    out: Path,
    embed: Embedder | None,
    on_session: OnProgress = lambda done, total: None,
    on_unreadable: OnUnreadable = raise_error,
) -> list[Person]:
    """Find the people of every session of a folder: sessions to check first, then by patient and session.

    Faces are decoded from the videos. With ``embed``, tracks are linked by face, and people across the
    patient's sessions; without it, tracks are linked by place and time only.

    :param on_unreadable: called with a table that can't be read, while other sessions go on; default: raise
        the error.
    :raises InputError: there is no session.
    :raises TimelineError: no session can be read.
    """
    before = read_outcomes(out)
    # sessions to check come first
    sessions = sorted(sessions_with_timeline(out), key=lambda ids: _identity(before.get(ids)) in SURE)
    people: list[Person] = []
    for done, ids in enumerate(sessions, start=1):
        try:
            with malformed_as_timeline_error(timeline_path(out, *ids)):
                people += list(_people_of(out, ids, videos_of(before.get(ids)), embed))
        except TimelineError as error:
            if done == len(sessions) and not people:
                raise
            on_unreadable(error)
        on_session(done, len(sessions))
    if embed is None:
        return people
    by_patient: dict[str, list[Person]] = defaultdict(list)
    for person in people:
        by_patient[person.patient_id].append(person)
    found = [person for row in by_patient.values() for person in _noted(_lettered(row, embed), embed)]
    place = {ids: number for number, ids in enumerate(sessions)}
    return sorted(found, key=lambda person: place[person.patient_id, person.session_id])


def sessions_with_timeline(out: Path) -> list[Ids]:
    found = written_sessions(out)
    if not found:
        raise InputError(no_timeline(out))
    return found


def _identity(before: Outcome | None) -> str:
    return (before.identity if before else None) or ""


def videos_of(before: Outcome | None) -> list[Path]:
    return [Path(video) for video in before.videos] if before else []


def _people_of(out: Path, ids: Ids, videos: Sequence[Path], embed: Embedder | None) -> Iterator[Person]:
    timeline, samples = read_session(out, ids)
    if not any(sample.faces for sample in samples):
        yield _nobody(ids, timeline, samples, videos)
        return
    pictures, note = face_pictures(samples, videos)
    embeddings = {track: embed(found.chips) for track, found in pictures.items()} if embed else {}
    tracks = {info.track: info for info in describe_tracks(samples, embeddings)}
    person_of = link_tracks(tracks.values(), embed.same_person if embed else 0.0)
    lasts_s, roles = sample_seconds(timeline), read_roles(faces_path(out, *ids))
    patient = timeline.metadata["patient"]
    seen_with = _seen_with(samples, person_of)
    for number in sorted(set(person_of.values())):
        own = [tracks[track] for track, person in sorted(person_of.items()) if person == number]
        present = np.unique(np.concatenate([info.present for info in own]))
        taken = [pictures[info.track] for info in own if info.track in pictures]
        portraits = sorted(portrait for found in taken for portrait in found.portraits)
        shown = [portraits[n] for n in spread(len(portraits), _MOST_SHOWN)]
        mixed = embed is not None and any(_is_mixed(info.embeddings, embed) for info in own)
        yield Person(
            patient_id=ids[0],
            session_id=ids[1],
            number=number,
            tracks=tuple(info.track for info in own),
            role=roles[max(own, key=lambda info: info.samples).track],
            seconds=float(lasts_s[present].sum()),
            first_s=min(info.first_s for info in own),
            last_s=max(info.last_s for info in own),
            chosen_by=patient["chosen_by"],
            identity=patient["identity"],
            portraits=tuple(jpeg for _, jpeg in shown),
            portrait_s=tuple(time_s for time_s, _ in shown),
            embeddings=concatenated([info.embeddings for info in own if len(info.embeddings)]),
            source=people_digest(timeline, samples),
            note=Reason.of("mixed_person") if mixed else note,
            reason=read_reason(patient["reason"]),
            seen_with=tuple(sorted(seen_with[number])),
        )


def _nobody(ids: Ids, timeline: Timeline, samples: Sequence[FrameFaces], videos: Sequence[Path]) -> Person:
    """The row of a session without a face, with pictures of the whole recording."""
    patient = timeline.metadata["patient"]
    pictures, note = _scenes([samples[n] for n in spread(len(samples), _MOST_SHOWN)], videos)
    return Person(
        patient_id=ids[0],
        session_id=ids[1],
        number=0,
        tracks=(),
        role="",
        seconds=0.0,
        first_s=0.0,
        last_s=0.0,
        chosen_by=patient["chosen_by"],
        identity=patient["identity"],
        portraits=tuple(jpeg for _, jpeg in pictures),
        portrait_s=tuple(time_s for time_s, _ in pictures),
        embeddings=np.zeros((0, 0), np.float32),
        source=people_digest(timeline, samples),
        note=note,
        reason=read_reason(patient["reason"]),
    )


def _scenes(
    samples: Sequence[FrameFaces], videos: Sequence[Path]
) -> tuple[list[tuple[float, bytes]], Reason | None]:
    """Time in s and JPEG of these samples' whole pictures; or the reason why not."""
    if not videos:
        return [], Reason.of("video_unknown")
    found = []
    try:
        recording = open_recording(videos)
        for sample in samples:
            if (picture := recording.picture_at(sample.frame)) is not None:
                found.append((sample.time_s, small_jpeg(picture)))
    except VideoError:
        return [], Reason.of("video_moved")
    return found, None


def _seen_with(samples: Sequence[FrameFaces], person_of: Mapping[int, int]) -> dict[int, set[int]]:
    """Person → those who are in a picture together with them."""
    found: dict[int, set[int]] = defaultdict(set)
    for sample in samples:
        there = {person_of[face.track] for face in sample.faces if face.track is not None}
        for person in there:
            found[person] |= there - {person}
    return found


def face_pictures(
    samples: Sequence[FrameFaces], videos: Sequence[Path]
) -> tuple[dict[int, FacePictures], Reason | None]:
    """Track → its best faces from the videos; or the reason why not."""
    if not videos:
        return {}, Reason.of("video_unknown")
    try:
        recording = open_recording(videos)
        found = {
            track: [
                (align(picture, face.landmarks), (sample.time_s, _portrait(picture, face.box_xyxy)))
                for sample, face in (faces[n] for n in spread(len(faces), _MOST_COMPARED))
                if (picture := recording.picture_at(sample.frame)) is not None
            ]
            for track, faces in best_faces(samples).items()
        }
    except VideoError:
        return {}, Reason.of("video_moved")
    return {
        track: FacePictures(np.stack([chip for chip, _ in row]), tuple(portrait for _, portrait in row))
        for track, row in found.items()
        if row
    }, None


def _is_mixed(embeddings: NDArray[np.float32], embed: Embedder) -> bool:
    """Whether a track changed from one person to another."""
    return len(np.unique(identities(embeddings, embed.same_person))) > 1


def _lettered(people: Sequence[Person], embed: Embedder) -> list[Person]:
    """The people of one patient, with a letter for similar people: A appears in most sessions."""
    sessions = sorted({person.session_id for person in people})
    # treat each session as one sample, so that two people of one session are never linked
    known = [
        TrackInfo(
            track=number,
            present=np.array([sessions.index(person.session_id)]),
            time_s=np.array([_NEVER_S * sessions.index(person.session_id)]),
            centres=np.zeros((1, 2)),
            face_px=1.0,
            embeddings=person.embeddings,
        )
        for number, person in enumerate(people)
        if len(person.embeddings)
    ]
    letters = link_tracks(known, embed.same_person)
    return [
        replace(person, alike=_letter(letters[number]) if number in letters else "")
        for number, person in enumerate(people)
    ]


def _noted(people: Sequence[Person], embed: Embedder) -> list[Person]:
    """The people of one patient, with a note if another person looks like the patient of certain sessions."""
    sure = [p for p in people if p.role == "patient" and p.identity in SURE and len(p.embeddings)]
    if not sure:
        return list(people)
    references = np.concatenate([person.embeddings for person in sure])
    sessions = ", ".join(sorted({person.session_id for person in sure}))
    by_session: dict[str, dict[int, NDArray[np.float32]]] = defaultdict(dict)
    for person in people:
        by_session[person.session_id][person.number] = person.embeddings
    found = {
        name: recognise(row, references, embed.same_person, embed.perhaps) for name, row in by_session.items()
    }
    noted = []
    for person in people:
        like = found[person.session_id].people if found[person.session_id].state == "recognised" else ()
        alike = person.number in like
        if like and person.identity != "confirmed" and alike != (person.role == "patient"):
            others = ", ".join(map(str, sorted(like)))
            other = Reason.of("other_looks_like", others=others, sessions=sessions)
            person = replace(person, note=Reason.of("looks_like", sessions=sessions) if alike else other)
        noted.append(person)
    return noted


def people_digest(timeline: Timeline, samples: Sequence[FrameFaces]) -> str:
    """Changes with the tracks of a session; without a face, with its recording."""
    places = [
        (sample.sample, face.track or 0, *face.box_xyxy.tolist())
        for sample in samples
        for face in sample.faces
    ]
    content = np.array(places, np.float64).tobytes() if places else "".join(sha256s(timeline)).encode()
    return hashlib.sha256(content).hexdigest()[:12]


def read_session(out: Path, ids: Ids) -> tuple[Timeline, list[FrameFaces]]:
    timeline = read_timeline(timeline_path(out, *ids))
    return timeline, read_samples(timeline, faces_path(out, *ids))


def _letter(number: int) -> str:
    """1 → A, 26 → Z, 27 → AA."""
    letters = ""
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _portrait(picture: NDArray[np.uint8], box_xyxy: NDArray[np.float32]) -> bytes:
    """The square around a face; beyond the picture's edge it is black."""
    centre = (box_xyxy[:2] + box_xyxy[2:]) / 2
    half = max(1.0, (0.5 + _SHOWN_MARGIN) * float(max(box_xyxy[2:] - box_xyxy[:2])))
    edges = np.concatenate([np.floor(centre - half), np.ceil(centre + half)]).astype(int).tolist()
    return _jpeg(Image.fromarray(picture).crop(edges).resize((_SHOWN_PX, _SHOWN_PX)))


def small_jpeg(picture: NDArray[np.uint8]) -> bytes:
    """A whole picture as JPEG, reduced."""
    shown = Image.fromarray(picture)
    shown.thumbnail((_WHOLE_PX, _WHOLE_PX))
    return _jpeg(shown)


def _jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    return file.getvalue()


def concatenated(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)
