"""Track faces through consecutive samples and over short gaps."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pipeline.records import Face, FrameFaces

DEFAULT_MAX_GAP_S = 5.0

# A face continues a track within one face size of the expected place, at a similar size. Seated people move
# less between samples; two people side by side sit further apart.
_MAX_DISTANCE = 1.0
_MAX_SIZE_RATIO = 1.5

# The last movement predicts the next place of a face, but not the place after a longer absence.
_MOVEMENT_LASTS_S = 0.5

# A face that fits two tracks belongs to the one that was just seen, unless the other fits better by this
# share of the limit: a person who covers another's face passes the place where that face was last seen.
_UNSEEN_COSTS = 0.25

# A pause of the session counts as an absence of this length, s: no movement is predicted over a pause, and no
# track ends because of it.
_PAUSE_S = 2 * _MOVEMENT_LASTS_S


@dataclass(frozen=True)
class _Track:
    """Last state of a face: centre (2,) and size in px, speed (2,) in px/s."""

    number: int
    time_s: float
    centre: NDArray[np.float64]
    size: float
    speed: NDArray[np.float64]


def track_faces(samples: Iterable[FrameFaces], max_gap_s: float = DEFAULT_MAX_GAP_S) -> Iterator[FrameFaces]:
    """Assign a track number to each face: 1, 2, 3 … in order of appearance.

    Faces are assigned to tracks by the smallest total distance (Hungarian method). A track ends
    after ``max_gap_s`` without a face; a later face starts a new track.
    """
    tracks: list[_Track] = []
    started = 0
    for sample in samples:
        alive = [track for track in tracks if sample.time_s - track.time_s <= max_gap_s]
        pairs = _assign(alive, sample)
        faces = []
        for row, face in enumerate(sample.faces):
            track = pairs.get(row)
            started += track is None
            number = track.number if track else started
            faces.append(replace(face, track=number))
            alive = [other for other in alive if other is not track]
            alive.append(_seen(face, number, sample.time_s, track))
        tracks = alive
        yield replace(sample, faces=tuple(faces))


def shorten_pauses(samples: Iterable[FrameFaces], parts: Sequence[tuple[float, float]]) -> list[FrameFaces]:
    """Shift the samples' times so that pauses between parts of the session last at most 1 s.

    Time that does not count is no evidence that a person was absent.

    :param parts: the intervals that count, s, ascending.
    """
    edges = [(end, start) for (_, end), (start, _) in pairwise(parts)]
    return [
        replace(
            sample,
            time_s=sample.time_s
            - sum(max(0.0, start - end - _PAUSE_S) for end, start in edges if start <= sample.time_s),
        )
        for sample in samples
    ]


def _assign(tracks: list[_Track], sample: FrameFaces) -> dict[int, _Track]:
    """Position of a face in the sample → its track, for faces that continue a track."""
    if not tracks or not sample.faces:
        return {}
    distance = np.array([[_distance(t, face, sample.time_s) for t in tracks] for face in sample.faces])
    unseen = np.array([sample.time_s - track.time_s > _MOVEMENT_LASTS_S for track in tracks])
    # an impossible pair costs more than all possible ones together, but is finite, as the solver needs
    forbidden = 10.0 * distance.size
    cost = np.where(distance <= 1, distance + _UNSEEN_COSTS * unseen, forbidden)
    rows, columns = linear_sum_assignment(cost)
    return {
        int(row): tracks[column]
        for row, column in zip(rows, columns, strict=True)
        if distance[row, column] <= 1
    }


def _distance(track: _Track, face: Face, time_s: float) -> float:
    """Distance from the expected place as a share of the limit: 0…1 is allowed."""
    unseen_s = time_s - track.time_s
    expected = track.centre + (track.speed * unseen_s if unseen_s <= _MOVEMENT_LASTS_S else 0)
    size = _size(face)
    if max(size / track.size, track.size / size) > _MAX_SIZE_RATIO:
        return np.inf
    allowed = _MAX_DISTANCE * max(size, track.size)
    return float(np.hypot(*(_centre(face) - expected)) / allowed)


def _seen(face: Face, number: int, time_s: float, before: _Track | None) -> _Track:
    centre = _centre(face)
    speed = (centre - before.centre) / (time_s - before.time_s) if before else np.zeros(2)
    return _Track(number, time_s, centre, _size(face), speed)


def _size(face: Face) -> float:
    """Size, px; at least 1, because a box at the picture's edge can have no area."""
    return max(face.face_px, 1.0)


def _centre(face: Face) -> NDArray[np.float64]:
    x1, y1, x2, y2 = face.box_xyxy.astype(np.float64)
    return np.array([(x1 + x2) / 2, (y1 + y2) / 2])
