"""Which of a session's tracks are the patient's: by a photo, by place, or by a plain rule.

Where a study gave a photo or a region, "unknown" is an answer: then nobody counts as the patient.
"""

import statistics
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pipeline.errors import InputError
from pipeline.faces.detection import Detector
from pipeline.identity.clustering import SURELY_OTHERS, TrackInfo, best_faces, describe_tracks, link_tracks
from pipeline.identity.embedding import Embedder, align
from pipeline.identity.recognition import Recognition, in_region, recognise
from pipeline.records import Face, FrameFaces
from pipeline.store.counts import number_of
from pipeline.video.recording import Recording

Region = tuple[float, float, float, float]
"""x1, y1, x2, y2 as shares of the upright picture, 0…1."""

# A photo is made smaller to this longer side before a face is looked for: phones make them much larger.
_PHOTO_PX = 1600


@dataclass(frozen=True)
class Patient:
    """Whose tracks are the patient's.

    :param tracks: none where nobody was seen, or nobody recognised.
    :param chosen_by: ``hand``, ``photo``, ``region``, ``longest``, ``largest``, or the number of a track.
    :param confidence: 0 where unknown, else 0.5…0.9 (not a probability); up to 1 where a person said who it
        is; none for a rule.
    :param reason: one sentence, for whoever checks it; empty for a rule.
    :param roles: of tracks, as a person gave them.
    """

    tracks: frozenset[int]
    chosen_by: str
    confidence: float | None = None
    reason: str = ""
    roles: Mapping[int, str] = field(default_factory=dict)

    def role_of(self, track: int | None) -> str:
        """One of :data:`pipeline.records.ROLES`. A rule does not know who the others are."""
        if track in self.tracks:
            return "patient"
        if self.chosen_by == "hand":
            return self.roles.get(track or 0, "unknown")
        return "other" if self.tracks and self.confidence is not None else "unknown"


def by_rule(samples: Sequence[FrameFaces], wish: str, parts: Sequence[int] = ()) -> Patient:
    """The track that the rule names; where none of the patient's is seen in a whole part, also that part's.

    After a pause somebody may sit elsewhere, and is a new track then. Whoever was seen together with the
    patient is not taken.

    :param wish: ``longest`` (seen in the most samples), ``largest`` (nearest to the camera: the largest
        median face), or the number of a track.
    :param parts: of each sample, the number of its part of the session; without, there is one part.
    :raises InputError: there is no such track.
    """
    seen = [
        {face.track: face.face_px for face in sample.faces if face.track is not None} for sample in samples
    ]
    if wish.isdecimal():
        tracks = set[int]().union(*seen)
        if int(wish) not in tracks:
            raise InputError(
                f"--patient-track {wish}: this video has {number_of(len(tracks), 'track')}, "
                "and none of that number."
            )
        return Patient(frozenset([int(wish)]), wish)
    chosen = _first_by(wish, seen)
    if parts:
        for part in sorted(set(parts), key=lambda part: (-parts.count(part), part)):
            within = [faces for faces, number in zip(seen, parts, strict=True) if number == part]
            if any(chosen & faces.keys() for faces in within):
                continue
            others = set[int]().union(*(faces.keys() for faces in seen if chosen & faces.keys()))
            chosen |= _first_by(wish, [_without(faces, others) for faces in within])
    return Patient(frozenset(chosen), wish)


def _first_by(wish: str, seen: Iterable[Mapping[int, float]]) -> set[int]:
    """The one track that the rule names; none where there is none.

    :param seen: of each sample, track → size of its face, px.
    """
    sizes: dict[int, list[float]] = defaultdict(list)
    for faces in seen:
        for track, face_px in faces.items():
            sizes[track].append(face_px)
    rule = len if wish == "longest" else statistics.median
    return {max(sizes, key=lambda track: rule(sizes[track]))} if sizes else set()


def _without(faces: Mapping[int, float], others: Container[int]) -> dict[int, float]:
    return {track: face_px for track, face_px in faces.items() if track not in others}


def by_region(samples: Sequence[FrameFaces], region: Region, recording: Recording) -> Patient:
    """The person who is mostly in that part of the picture."""
    tracks = describe_tracks(samples, {})
    person_of = link_tracks(tracks, same_person=0.0)
    found = in_region(tracks, person_of, region, recording.width, recording.height)
    return _patient(found, person_of, "region")


def by_photo(
    samples: Sequence[FrameFaces],
    photos: Sequence[Path],
    recording: Recording,
    detect: Detector,
    embed: Embedder,
) -> tuple[Patient, list[FrameFaces]]:
    """The person whom the photos show, and the samples with their tracks set right.

    Of each track some faces are looked at again in the video. Where two in a row are of different people, as
    after a cut in which they swapped seats, the track is parted at the sample from which on it is the other.

    :raises InputError: a photo can't be read, or does not show exactly one face.
    """

    def look(sample: FrameFaces, face: Face) -> NDArray[np.float32] | None:
        picture = recording.picture_at(sample.frame)
        return None if picture is None else embed(align(picture, face.landmarks)[None])[0]

    references = embed(np.stack([_face_of(photo, detect) for photo in photos]))
    portraits = {track: list(_looked_at(faces, look)) for track, faces in best_faces(samples).items()}
    parted = _part(samples, portraits, look, SURELY_OTHERS * embed.same_person)
    embeddings: dict[int, list[NDArray[np.float32]]] = defaultdict(list)
    for track, row in portraits.items():
        for sample, embedding in row:
            embeddings[_track_at(parted, track, sample)].append(embedding)
    whole = _renumbered(samples, parted)
    tracks = describe_tracks(whole, {track: np.stack(row) for track, row in embeddings.items()})
    person_of = link_tracks(tracks, embed.same_person)
    found = recognise(_by_person(tracks, person_of), references, embed.same_person)
    return _patient(found, person_of, "photo"), whole


_Look = Callable[[FrameFaces, Face], NDArray[np.float32] | None]

_Parts = dict[int, list[tuple[int, int]]]
"""Track → its parts: from which sample on, and their number as a track; the first keeps its number."""


def _looked_at(
    faces: Iterable[tuple[FrameFaces, Face]], look: _Look
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """The sample's number and the embedding of each that could be decoded again."""
    for sample, face in faces:
        embedding = look(sample, face)
        if embedding is not None:
            yield sample.sample, embedding


def _part(
    samples: Sequence[FrameFaces],
    portraits: dict[int, list[tuple[int, NDArray[np.float32]]]],
    look: _Look,
    others: float,
) -> _Parts:
    """Where each track becomes another person's.

    :param others: distance from which on two portraits surely show two people.
    """
    number = max((face.track or 0 for sample in samples for face in sample.faces), default=0)
    parts: _Parts = {}
    for track, row in sorted(portraits.items()):
        parts[track] = [(0, track)]
        for (start, one), (end, two) in pairwise(row):
            if np.linalg.norm(one - two) > others:
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
    """The first sample of the second person, by halving: the first face is of one, the last of the other."""
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
    """Person → (n, D), of all their tracks that have portraits."""
    of: dict[int, list[NDArray[np.float32]]] = defaultdict(list)
    for track in tracks:
        if len(track.embeddings):
            of[person_of[track.track]].append(track.embeddings)
    return {person: np.concatenate(parts) for person, parts in of.items()}


def _patient(found: Recognition, person_of: dict[int, int], chosen_by: str) -> Patient:
    tracks = frozenset(track for track, person in person_of.items() if person == found.person)
    return Patient(tracks, chosen_by, found.confidence, found.reason)


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
