"""Select the faces of a track that are compared with others."""

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from pipeline.records import Face, FrameFaces

# Portraits per track: one per minute, but at least four a second in a short track, up to 16; and the best of
# at most 12 looks. Each portrait needs decoding the video again, so there are fewer if there are many tracks.
_PORTRAIT_S, _A_SECOND, _FEWEST, _MOST, _MOST_LOOKS = 60.0, 4.0, 16, 60, 12
_MOST_TRACKS, _MOST_IN_ALL, _LEAST_MOST = 100, 400, 4

# Angles within one step (degrees) count as one look.
_LOOK_STEP = 20.0

# Smallest size (px) and largest angle (degrees) of a portrait. Scaled down, faces of the trial clips keep
# their distances down to 24 px; at 20 px, the distances of one person grow from 0.30 to 0.41.
_MIN_PORTRAIT_PX, _MAX_YAW, _MAX_PITCH = 24.0, 60.0, 60.0

# Sharpness (variance of the Laplacian) with half of the best score, and size (px) with the best score.
_HALF_SHARP, _ENOUGH_PX = 50.0, 80.0

# Another person can take over a track where the face is not seen for a moment, moves by more than this
# share of its size, changes its size or its brightness by more than this, or where another face comes nearer
# than this (face sizes) or leaves. Of each track, this many of the longest stretches between such moments are
# looked at.
_MOVED, _SIZE_RATIO, _BRIGHTNESS, _NEAR, _MOST_SURE = 0.3, 1.2, 0.06, 1.5, 30

Seen = tuple[FrameFaces, Face]
"""A face in its sample."""


def portrait_quality(face: Face) -> float:
    """Quality of a face for identification, 0…1: frontal, sharp, large, high detection probability.

    0 is not usable. Roll does not matter, because chips are upright.
    """
    if face.face_px < _MIN_PORTRAIT_PX:
        return 0.0
    frontal = max(0.0, 1 - abs(face.yaw) / _MAX_YAW) * max(0.0, 1 - abs(face.pitch) / _MAX_PITCH)
    sharp = face.sharpness / (face.sharpness + _HALF_SHARP)
    return frontal * sharp * min(1.0, face.face_px / _ENOUGH_PX) * face.detection


def best_faces(samples: Iterable[FrameFaces]) -> dict[int, list[tuple[FrameFaces, Face]]]:
    """Select good faces of each track as portraits, in order of time; longest tracks first.

    Takes the best face of each part of the track; the best face of each look, because distances to a photo
    depend on angle and expression; and two faces between moments at which another person can have taken over
    the track. Tracks without a usable face are left out, and the shortest ones if there are very many.
    """
    seen: dict[int, list[Seen]] = {}
    for sample in samples:
        for face in sample.faces:
            if face.track is not None:
                seen.setdefault(face.track, []).append((sample, face))
    longest = sorted(seen, key=lambda track: (-len(seen[track]), track))[:_MOST_TRACKS]
    most = max(_LEAST_MOST, _MOST_IN_ALL // max(1, len(longest)))
    chosen = {track: _best_of(seen[track], most) for track in longest}
    return {track: faces for track, faces in chosen.items() if faces}


def sure_from(faces: list[Seen]) -> list[int]:
    """Where in a track a stretch begins in which nobody can have taken over the track; 0 is the first.

    :param faces: of one track, in order of time; at least one.
    """
    step_s = float(np.median(np.diff([sample.time_s for sample, _ in faces]))) if len(faces) > 1 else 0.0
    return [0, *(n for n, pair in enumerate(pairwise(faces), 1) if _doubtful(*pair, 1.5 * step_s))]


def _best_of(faces: list[Seen], most: int) -> list[Seen]:
    """:param most: number of parts, of looks and of stretches."""
    best = [
        *_best_of_parts(faces, most),
        *_best_of_looks(faces)[:most],
        *_best_between_doubts(faces, min(_MOST_SURE, most)),
    ]
    chosen = {sample.sample: (sample, face) for sample, face in best}
    return [chosen[number] for number in sorted(chosen)]


def _best(faces: Iterable[Seen]) -> list[Seen]:
    """The best of these faces, if one of them is usable."""
    best = max(faces, key=lambda seen: portrait_quality(seen[1]), default=None)
    return [best] if best is not None and portrait_quality(best[1]) else []


def _best_of_parts(faces: list[Seen], most: int) -> list[Seen]:
    start_s, lasts_s = faces[0][0].time_s, faces[-1][0].time_s - faces[0][0].time_s
    wanted = max(lasts_s / _PORTRAIT_S, min(_FEWEST, _A_SECOND * lasts_s))
    count = math.floor(min(wanted, _MOST, most)) or 1
    parts: list[list[Seen]] = [[] for _ in range(count)]
    for seen in faces:
        parts[min(int((seen[0].time_s - start_s) / max(lasts_s, 1e-9) * count), count - 1)].append(seen)
    return [seen for part in parts for seen in _best(part)]


def _best_of_looks(faces: list[Seen]) -> list[Seen]:
    looks: dict[Any, list[Seen]] = {}
    for seen in faces:
        looks.setdefault(_look(seen[1]), []).append(seen)
    best = [seen for look in looks.values() for seen in _best(look)]
    return sorted(best, key=lambda seen: -portrait_quality(seen[1]))[:_MOST_LOOKS]


def _best_between_doubts(faces: list[Seen], most: int) -> list[Seen]:
    """Of each half of the longest stretches without doubt; none of a single stretch."""
    stretches = [faces[start:end] for start, end in pairwise([*sure_from(faces), len(faces)])]
    if len(stretches) < 2:
        return []
    longest = sorted(stretches, key=len, reverse=True)[:most]
    halves = [half for part in longest for half in (part[: len(part) // 2], part[len(part) // 2 :])]
    return [seen for half in halves for seen in _best(half)]


def _doubtful(before: Seen, after: Seen, most_s: float) -> bool:
    """Whether the second face may be of another person than the first."""
    (one, face), (two, next_face) = before, after
    smaller, larger = sorted((max(face.face_px, 1.0), max(next_face.face_px, 1.0)))
    return (
        two.time_s - one.time_s > most_s
        or _distance(face, next_face) > _MOVED * larger
        or larger > _SIZE_RATIO * smaller
        or abs(face.brightness - next_face.brightness) > _BRIGHTNESS
        or _has_near(before) != _has_near(after)
    )


def _has_near(seen: Seen) -> bool:
    sample, face = seen
    others = (other for other in sample.faces if other is not face)
    return any(_distance(face, other) < _NEAR * max(face.face_px, other.face_px) for other in others)


def _distance(one: Face, two: Face) -> float:
    centres = [(face.box_xyxy[:2] + face.box_xyxy[2:]) / 2 for face in (one, two)]
    return float(np.hypot(*(centres[0] - centres[1])))


def _look(face: Face) -> tuple[int, int, int | None]:
    """The look of a face: its angle and expression."""
    emotion = None if face.probabilities is None else int(face.probabilities.argmax())
    return round(face.yaw / _LOOK_STEP), round(face.pitch / _LOOK_STEP), emotion
