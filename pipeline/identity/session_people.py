"""Find the people of a session: divide tracks where the person changes, and link the tracks of a person."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from pipeline.identity.clustering import TrackInfo, describe_tracks, identities, link_tracks
from pipeline.identity.embedding import Embedder, align
from pipeline.identity.portraits import best_faces, sure_from
from pipeline.records import Face, FrameFaces
from pipeline.video.recording import Recording


@dataclass(frozen=True, eq=False)
class SessionPeople:
    """The people of a session.

    :param samples: with tracks of one person each, as far as is known.
    :param tracks: in order of their numbers. ``person_of``: track → person.
    """

    samples: Sequence[FrameFaces]
    tracks: Sequence[TrackInfo]
    person_of: Mapping[int, int]

    def embeddings(self) -> dict[int, NDArray[np.float32]]:
        """Person → (n, D), of all tracks with portraits."""
        of: dict[int, list[NDArray[np.float32]]] = defaultdict(list)
        for track in self.tracks:
            if len(track.embeddings):
                of[self.person_of[track.track]].append(track.embeddings)
        return {person: np.concatenate(parts) for person, parts in of.items()}

    def faces_of(self, tracks: Collection[int]) -> NDArray[np.float32]:
        """(n, D) embeddings of these tracks; n may be 0."""
        found = [track.embeddings for track in self.tracks if track.track in tracks and len(track.embeddings)]
        return np.concatenate(found) if found else np.zeros((0, 0), np.float32)

    def together(self) -> set[frozenset[int]]:
        """Pairs of people who appear in one sample."""
        seen = {
            frozenset(self.person_of[f.track] for f in s.faces if f.track is not None) for s in self.samples
        }
        return {frozenset(pair) for people in seen for pair in combinations(people, 2)}


def people_by_place(samples: Sequence[FrameFaces]) -> SessionPeople:
    """Link tracks by place and time alone; a track in which the person changes stays whole."""
    tracks = describe_tracks(samples, {})
    return SessionPeople(samples, tracks, link_tracks(tracks, same_person=0.0))


def people_by_face(samples: Sequence[FrameFaces], recording: Recording, embed: Embedder) -> SessionPeople:
    """Link tracks by their faces. Some faces of each track are decoded again.

    If the faces of a track are of two people, for example after a cut, or after one covered the other, the
    track is divided at the first sample of the second person.

    :raises VideoError: the video can't be opened any more.
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
    return SessionPeople(whole, tracks, link_tracks(tracks, embed.same_person))


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
        if not row:
            continue
        faces = list(_faces_of(samples, track))
        sure = [faces[n][0].sample for n in sure_from(faces)]
        stretch = np.searchsorted(sure, [sample for sample, _ in row], "right")
        seen = np.stack([embedding for _, embedding in row])
        person = identities(seen, same_person, stretch)
        for n in np.flatnonzero(np.diff(person)):
            number += 1
            between = [found for found in faces if row[n][0] <= found[0].sample <= row[n + 1][0]]
            one, two = seen[person == person[n]], seen[person == person[n + 1]]
            parts[track].append((_switch(between, one, two, look), number))
    return parts


def _switch(
    between: list[tuple[FrameFaces, Face]],
    one: NDArray[np.float32],
    two: NDArray[np.float32],
    look: _Look,
) -> int:
    """The first sample of the second person, by bisection.

    :param one, two: (n, D) and (m, D), all portraits of the two: expressions of one person differ.
    """
    low, high = 0, len(between) - 1
    while high - low > 1:
        middle = (low + high) // 2
        seen = look(*between[middle])
        if seen is not None and cdist(seen[None], one).min() < cdist(seen[None], two).min():
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
