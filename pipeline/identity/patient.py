"""Find the patient's tracks in a session, and how certain they are: by faces, by place, or by a rule."""

import statistics
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy.spatial.distance import cdist

from pipeline.errors import InputError
from pipeline.faces.detection import Detector
from pipeline.identity.clustering import TrackInfo, best_faces, describe_tracks, identities, link_tracks
from pipeline.identity.embedding import Embedder, align
from pipeline.identity.recognition import Recognition, in_region, recognise
from pipeline.reasons import Reason
from pipeline.records import Face, FrameFaces, IdentityState, Region
from pipeline.store.counts import number_of
from pipeline.video.recording import Recording

_RULES = ("longest", "largest")

# A rule is uncertain if another person is visible for longer than a false detection or a short moment.
_SOMEBODY_SAMPLES, _SOMEBODY_SHARE = 3, 0.02

NO_EMBEDDINGS: NDArray[np.float32] = np.zeros((0, 0), np.float32)

# Larger photos, as from phones, are reduced to this longer side before face detection, px.
_PHOTO_PX = 1600


@dataclass(frozen=True)
class Patient:
    """The patient's tracks.

    :param tracks: empty if no face was detected, or no person recognised.
    :param chosen_by: ``hand``, ``photo``, ``gallery`` (faces of earlier confirmed sessions),
        ``region``, ``longest``, ``largest``, or the number of a track.
    :param state: how certain the choice is.
    :param reason: for manual checks; ``None`` if a rule chose the only person.
    :param roles: manual roles of tracks.
    :param photos: distance of each photo to the patient's nearest face.
    """

    tracks: frozenset[int]
    chosen_by: str
    state: IdentityState
    reason: Reason | None = None
    roles: Mapping[int, str] = field(default_factory=dict)
    photos: tuple[float, ...] = ()

    def role_of(self, track: int | None) -> str:
        """One of :data:`pipeline.records.ROLES`; the others are known where the patient is."""
        if track in self.tracks:
            return "patient"
        if track in self.roles or self.state == "confirmed":
            return self.roles.get(track or 0, "unknown")
        return "other" if self.state == "recognised" and self.chosen_by not in _RULES else "unknown"


def by_rule(samples: Sequence[FrameFaces], wish: str, parts: Sequence[int] = ()) -> Patient:
    """Choose the person by a rule. In a part of the session without this person, choose another one too.

    After a pause, the patient may sit elsewhere. A person who appeared together with the patient is never
    chosen. If other people are visible too, the rule cannot distinguish them, and a person must check.

    :param wish: ``longest`` (seen in the most samples), ``largest`` (nearest to the camera: the largest
        median face), or the number of a track.
    :param parts: number of the session's part, for each sample; by default there is one part.
    :raises InputError: there is no such track.
    """
    tracks = describe_tracks(samples, {})
    if wish.isdecimal():
        if int(wish) not in {track.track for track in tracks}:
            raise InputError(
                f"`patient_track` {wish}: this video has {number_of(len(tracks), 'track')}, "
                "and none of that number."
            )
        return Patient(frozenset([int(wish)]), wish, "recognised")
    person_of = link_tracks(tracks, same_person=0.0)
    seen = [
        {person_of[face.track]: face.face_px for face in sample.faces if face.track is not None}
        for sample in samples
    ]
    chosen = _first_by(wish, seen)
    if parts:
        for part in sorted(set(parts), key=lambda part: (-parts.count(part), part)):
            within = [faces for faces, number in zip(seen, parts, strict=True) if number == part]
            if any(chosen & faces.keys() for faces in within):
                continue
            others = set[int]().union(*(faces.keys() for faces in seen if chosen & faces.keys()))
            chosen |= _first_by(wish, [_without(faces, others) for faces in within])
    if not chosen:
        return Patient(frozenset(), wish, "unknown", Reason.of("no_face"))
    return _checked(_ruled(tracks, person_of, chosen, wish), tracks)


def _ruled(tracks: Sequence[TrackInfo], person_of: Mapping[int, int], chosen: set[int], wish: str) -> Patient:
    """Whether another person is visible for long enough to be the patient."""
    samples: dict[int, int] = defaultdict(int)
    for track in tracks:
        samples[person_of[track.track]] += track.samples
    own = sum(samples[person] for person in chosen)
    least = max(_SOMEBODY_SAMPLES, _SOMEBODY_SHARE * own)
    others = [person for person in samples.keys() - chosen if samples[person] >= least]
    own_tracks = frozenset(track for track, person in person_of.items() if person in chosen)
    if not others:
        return Patient(own_tracks, wish, "recognised")
    return Patient(own_tracks, wish, "to_check", Reason.of("several_people", count=len(others) + 1))


def _checked(patient: Patient, tracks: Iterable[TrackInfo]) -> Patient:
    """Require a manual check if the face never moves: it may be a photo on a wall."""
    if patient.state == "recognised" and any(t.still for t in tracks if t.track in patient.tracks):
        return replace(patient, state="to_check", reason=Reason.of("still_face"))
    return patient


def _first_by(wish: str, seen: Iterable[Mapping[int, float]]) -> set[int]:
    """The person chosen by the rule; ``None`` without a face.

    :param seen: for each sample, person → size of the face, px.
    """
    sizes: dict[int, list[float]] = defaultdict(list)
    for faces in seen:
        for person, face_px in faces.items():
            sizes[person].append(face_px)
    rule = len if wish == "longest" else statistics.median
    return {max(sizes, key=lambda person: rule(sizes[person]))} if sizes else set()


def _without(faces: Mapping[int, float], others: Container[int]) -> dict[int, float]:
    return {person: face_px for person, face_px in faces.items() if person not in others}


def by_region(samples: Sequence[FrameFaces], region: Region, recording: Recording) -> Patient:
    """Choose the person who is mostly in this part of the picture."""
    tracks = describe_tracks(samples, {})
    person_of = link_tracks(tracks, same_person=0.0)
    found = in_region(tracks, person_of, region, recording.width, recording.height)
    return _checked(_patient(found, person_of, "region"), tracks)


@dataclass(frozen=True, eq=False)
class Found:
    """The result of a comparison of faces.

    :param samples: the samples, with corrected tracks.
    :param embeddings: (n, D) of the patient's faces; n is 0 unless the patient is certain.
    :param network: name of the embedder.
    """

    patient: Patient
    samples: Sequence[FrameFaces]
    embeddings: NDArray[np.float32] = field(default_factory=lambda: NO_EMBEDDINGS)
    network: str = ""


def by_faces(
    samples: Sequence[FrameFaces],
    photos: NDArray[np.float32],
    gallery: NDArray[np.float32],
    recording: Recording,
    embed: Embedder,
) -> Found:
    """Choose the person of the photos, or of faces from the patient's earlier sessions.

    Some faces of each track are decoded again. If they are of two people, for example after a cut, the track
    is divided at the first sample of the second person.

    :param photos: (p, D), from :func:`embed_photos`. ``gallery``: (g, D), of confirmed sessions.
    """

    def look(sample: FrameFaces, face: Face) -> NDArray[np.float32] | None:
        picture = recording.picture_at(sample.frame)
        return None if picture is None else embed(align(picture, face.landmarks)[None])[0]

    portraits = {track: list(_looked_at(faces, look)) for track, faces in best_faces(samples).items()}
    parted = _part(samples, portraits, look, embed.same_person)
    embeddings: dict[int, list[NDArray[np.float32]]] = defaultdict(list)
    for track, row in portraits.items():
        for sample, embedding in row:
            embeddings[_track_at(parted, track, sample)].append(embedding)
    whole = _renumbered(samples, parted)
    tracks = describe_tracks(whole, {track: np.stack(row) for track, row in embeddings.items()})
    person_of = link_tracks(tracks, embed.same_person)
    people = _by_person(tracks, person_of)
    references = np.concatenate([part for part in (photos, gallery) if len(part)])
    found = recognise(people, references, embed.same_person, embed.perhaps, _together(whole, person_of))
    patient = _checked(_patient(found, person_of, "photo" if len(photos) else "gallery"), tracks)
    none = np.zeros((0, references.shape[1]), np.float32)
    own = np.concatenate([none, *(people[person] for person in sorted(found.people) if person in people)])
    fits = cdist(photos, own).min(axis=1).round(2).tolist() if len(photos) and len(own) else []
    sure = own if patient.state == "recognised" else none
    return Found(replace(patient, photos=tuple(fits)), whole, sure, embed.name)


def embed_photos(photos: Sequence[Path], detect: Detector, embed: Embedder) -> NDArray[np.float32]:
    """(p, D) embeddings, one row per photo.

    :raises InputError: a photo can't be read, or does not show exactly one face.
    """
    return embed(np.stack([_face_of(photo, detect) for photo in photos]))


def _together(samples: Iterable[FrameFaces], person_of: Mapping[int, int]) -> set[frozenset[int]]:
    """Pairs of people who appear in one sample."""
    seen = {frozenset(person_of[f.track] for f in s.faces if f.track is not None) for s in samples}
    return {frozenset(pair) for people in seen for pair in combinations(people, 2)}


_Look = Callable[[FrameFaces, Face], NDArray[np.float32] | None]

_Parts = dict[int, list[tuple[int, int]]]
"""Track → its parts: first sample, and track number; the first part keeps the track's number."""


def _looked_at(
    faces: Iterable[tuple[FrameFaces, Face]], look: _Look
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Sample number and embedding of each face that could be decoded again."""
    for sample, face in faces:
        embedding = look(sample, face)
        if embedding is not None:
            yield sample.sample, embedding


def _part(
    samples: Sequence[FrameFaces],
    portraits: dict[int, list[tuple[int, NDArray[np.float32]]]],
    look: _Look,
    same_person: float,
) -> _Parts:
    """The samples at which a track changes to another person."""
    number = max((face.track or 0 for sample in samples for face in sample.faces), default=0)
    parts: _Parts = {}
    for track, row in sorted(portraits.items()):
        parts[track] = [(0, track)]
        found = np.stack([embedding for _, embedding in row]) if row else NO_EMBEDDINGS
        person = identities(found, same_person).tolist()
        for ((start, one), before), ((end, two), after) in pairwise(zip(row, person, strict=True)):
            if before != after:
                number += 1
                between = [found for found in _faces_of(samples, track) if start <= found[0].sample <= end]
                parts[track].append((_switch(between, one, two, look), number))
    return parts


def _switch(
    between: list[tuple[FrameFaces, Face]],
    one: NDArray[np.float32],
    two: NDArray[np.float32],
    look: _Look,
) -> int:
    """The first sample of the second person, by bisection."""
    low, high = 0, len(between) - 1
    while high - low > 1:
        middle = (low + high) // 2
        seen = look(*between[middle])
        if seen is not None and np.linalg.norm(seen - one) < np.linalg.norm(seen - two):
            low = middle
        else:
            high = middle
    return between[high][0].sample


def _faces_of(samples: Iterable[FrameFaces], track: int) -> Iterator[tuple[FrameFaces, Face]]:
    return ((sample, face) for sample in samples for face in sample.faces if face.track == track)


def _track_at(parts: _Parts, track: int, sample: int) -> int:
    return [number for start, number in parts.get(track, [(0, track)]) if start <= sample][-1]


def _renumbered(samples: Sequence[FrameFaces], parts: _Parts) -> list[FrameFaces]:
    def set_right(face: Face, sample: int) -> Face:
        return face if face.track is None else replace(face, track=_track_at(parts, face.track, sample))

    return [
        replace(sample, faces=tuple(set_right(face, sample.sample) for face in sample.faces))
        for sample in samples
    ]


def _by_person(tracks: Iterable[TrackInfo], person_of: dict[int, int]) -> dict[int, NDArray[np.float32]]:
    """Person → (n, D), embeddings of all tracks with portraits."""
    of: dict[int, list[NDArray[np.float32]]] = defaultdict(list)
    for track in tracks:
        if len(track.embeddings):
            of[person_of[track.track]].append(track.embeddings)
    return {person: np.concatenate(parts) for person, parts in of.items()}


def _patient(found: Recognition, person_of: dict[int, int], chosen_by: str) -> Patient:
    tracks = frozenset(track for track, person in person_of.items() if person in found.people)
    return Patient(tracks, chosen_by, found.state, found.reason)


def _face_of(photo: Path, detect: Detector) -> NDArray[np.uint8]:
    """(150, 150, 3) uint8 RGB: the photo's only face."""
    try:
        with Image.open(photo) as opened:
            upright = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{photo}: can't be read as a picture; save it again as JPEG or PNG.") from error
    upright.thumbnail((_PHOTO_PX, _PHOTO_PX))
    picture = np.array(upright)
    (found,) = detect(picture[None])
    if len(found.landmarks) != 1:
        raise InputError(
            f"{photo}: shows {number_of(len(found.landmarks), 'face')}; "
            "give a photo with the patient's face alone."
        )
    return align(picture, found.landmarks[0])
