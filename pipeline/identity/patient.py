"""Find the patient's tracks in a session, and how certain they are: by faces, by place, or by a rule."""

import statistics
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy.spatial.distance import cdist

from pipeline.errors import InputError
from pipeline.faces.detection import Detector
from pipeline.identity.clustering import TrackInfo
from pipeline.identity.embedding import Embedder, align
from pipeline.identity.recognition import Recognition, in_region, recognise
from pipeline.identity.session_people import SessionPeople
from pipeline.reasons import Reason
from pipeline.records import IdentityState, Region
from pipeline.video.recording import Recording

_RULES = ("longest", "largest")

# A rule is uncertain if another person is visible for longer than a false detection or a short moment.
_SOMEBODY_SAMPLES, _SOMEBODY_SHARE = 3, 0.02

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
        is_known = self.state in ("recognised", "hardly_seen")
        return "other" if is_known and self.chosen_by not in _RULES else "unknown"


def by_rule(people: SessionPeople, wish: str, parts: Sequence[int] = ()) -> Patient:
    """Choose the person by a rule. In a part of the session without this person, choose another one too.

    After a pause, the patient may sit elsewhere. A person who appeared together with the patient is never
    chosen. If other people are visible too, the rule cannot distinguish them, and a person must check.

    :param wish: ``longest`` (seen in the most samples), ``largest`` (nearest to the camera: the largest
        median face), or the number of a track.
    :param parts: number of the session's part, for each sample; by default there is one part.
    :raises InputError: there is no such track.
    """
    person_of = people.person_of
    if wish.isdecimal():
        if int(wish) not in person_of:
            raise InputError.of("no_such_track", track=wish, count=len(person_of))
        return Patient(frozenset([int(wish)]), wish, "recognised")
    seen = [
        {person_of[face.track]: face.face_px for face in sample.faces if face.track is not None}
        for sample in people.samples
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
    return _checked(_ruled(people, chosen, wish), people.tracks)


def _ruled(people: SessionPeople, chosen: set[int], wish: str) -> Patient:
    """Whether another person is visible for long enough to be the patient."""
    samples: dict[int, int] = defaultdict(int)
    for track in people.tracks:
        samples[people.person_of[track.track]] += track.samples
    own = sum(samples[person] for person in chosen)
    least = max(_SOMEBODY_SAMPLES, _SOMEBODY_SHARE * own)
    others = [person for person in samples.keys() - chosen if samples[person] >= least]
    own_tracks = frozenset(track for track, person in people.person_of.items() if person in chosen)
    if not others:
        return Patient(own_tracks, wish, "recognised")
    return Patient(own_tracks, wish, "to_check", Reason.of("several_people", count=len(others) + 1))


def _checked(patient: Patient, tracks: Iterable[TrackInfo]) -> Patient:
    """Require a manual check if the face never moves: it may be a photo on a wall."""
    if patient.state == "recognised" and any(t.still for t in tracks if t.track in patient.tracks):
        return replace(patient, state="to_check", reason=Reason.of("still_face"))
    return patient


def _first_by(wish: str, seen: Iterable[Mapping[int, float]]) -> set[int]:
    """The person chosen by the rule; empty without a face.

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


def by_region(people: SessionPeople, region: Region, recording: Recording) -> Patient:
    """Choose the person who is mostly in this part of the picture."""
    found = in_region(people.tracks, people.person_of, region, recording.width, recording.height)
    return _checked(_patient(found, people.person_of, "region"), people.tracks)


def by_faces(
    people: SessionPeople, photos: NDArray[np.float32], gallery: NDArray[np.float32], embed: Embedder
) -> Patient:
    """Choose the person of the photos, or of faces from the patient's earlier sessions.

    :param people: from :func:`pipeline.identity.session_people.people_by_face`.
    :param photos: (p, D), from :func:`embed_photos`. ``gallery``: (g, D), of confirmed sessions.
    """
    seen = people.embeddings()
    references = np.concatenate([part for part in (photos, gallery) if len(part)])
    found = recognise(seen, references, embed.same_person, embed.perhaps, people.together())
    by = "photo" if len(photos) else "gallery"
    patient = _checked(_patient(found, people.person_of, by), people.tracks)
    own = people.faces_of(patient.tracks)
    fits = cdist(photos, own).min(axis=1).round(2).tolist() if len(photos) and len(own) else []
    return replace(patient, photos=tuple(fits))


def embed_photos(photos: Sequence[Path], detect: Detector, embed: Embedder) -> NDArray[np.float32]:
    """(p, D) embeddings, one row per photo.

    :raises InputError: a photo can't be read, or does not show exactly one face.
    """
    return embed(np.stack([_face_of(photo, detect) for photo in photos]))


def _patient(found: Recognition, person_of: Mapping[int, int], chosen_by: str) -> Patient:
    tracks = frozenset(track for track, person in person_of.items() if person in found.people)
    return Patient(tracks, chosen_by, found.state, found.reason)


def _face_of(photo: Path, detect: Detector) -> NDArray[np.uint8]:
    """(150, 150, 3) uint8 RGB: the photo's only face."""
    try:
        with Image.open(photo) as opened:
            upright = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _photo_error(InputError.about(photo, "no_photo")) from error
    upright.thumbnail((_PHOTO_PX, _PHOTO_PX))
    picture = np.array(upright)
    (found,) = detect(picture[None])
    if len(found.landmarks) != 1:
        raise _photo_error(InputError.about(photo, "faces_in_photo", count=len(found.landmarks)))
    return align(picture, found.landmarks[0])


def _photo_error(error: InputError) -> InputError:
    """The error with a reason that names no file."""
    assert error.reason
    error.reason = Reason.of("photo", reason=error.reason)
    return error
