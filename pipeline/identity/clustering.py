"""Group tracks into people.

A track ends when a face is lost for long; a person may have several tracks. Tracks are grouped by their
embeddings (:mod:`pipeline.identity.embedding`). If it is not clear that two tracks are one person, they stay
two people: a missing episode lowers the coverage, which is visible; a carer's smile that counts as the
patient's is not.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import cdist

from pipeline.records import Face, FrameFaces

# Two groups of portraits of one track are clearly two people if their nearest pair is further apart than
# this many times ``same_person``. In the sessions of tests/manual/two_people.py, expressions of one person
# are 0.40 to 0.47 apart, the most alike two people 0.42 to 0.55.
_TWO_PEOPLE = 1.25

# A face is "still" if its centre stays within this share of its size in 95 % of the samples: a photo on a
# wall stays within 0.008, a woman who sits calmly moves by 0.026 in eight seconds. Compared within one
# minute, because a camera may be moved; shorter times than the last value (s) are not judged.
_STILL, _STILL_WINDOW_S, _STILL_S = 0.012, 60.0, 5.0

# Limits for linking by place only: absence (s), distance (face sizes), ratio of sizes. The tracker bridges 5
# s; a seat that is empty for longer may be taken by another person.
_PLACE_GAP_S, _PLACE_DISTANCE, _PLACE_SIZE_RATIO = 10.0, 0.5, 1.25

# No other person may be this near (face sizes), from this long before to this long after (s).
_ALONE_DISTANCE, _ALONE_S = 3.0, 2.0

# Samples whose median gives the place of a face at the begin or end of its track.
_END_SAMPLES = 5


@dataclass(frozen=True, eq=False)
class TrackInfo:
    """Data of a track for identification; at least one sample.

    :param present: (s,) int64, numbers of the track's samples, ascending.
    :param time_s: (s,) float64, times of these samples.
    :param centres: (s, 2) float64 px, centres of the face.
    :param face_px: median √(width · height) of the box, px.
    :param embeddings: (n, D) float32 of its portraits; n may be 0.
    :param still: whether the face never moves, like a photo on a wall.
    """

    track: int
    present: NDArray[np.int64]
    time_s: NDArray[np.float64]
    centres: NDArray[np.float64]
    face_px: float
    embeddings: NDArray[np.float32]
    still: bool = False

    @property
    def samples(self) -> int:
        return len(self.present)

    @property
    def first_s(self) -> float:
        return float(self.time_s[0])

    @property
    def last_s(self) -> float:
        return float(self.time_s[-1])

    @property
    def centre(self) -> NDArray[np.float64]:
        """(2,) median px."""
        return np.median(self.centres, axis=0)


def describe_tracks(
    samples: Iterable[FrameFaces], embeddings: Mapping[int, NDArray[np.float32]]
) -> list[TrackInfo]:
    """The data of each track, in order of track numbers.

    :param samples: with tracks; no pictures are needed.
    :param embeddings: track → (n, D), for tracks with portraits.
    """
    found: dict[int, list[tuple[int, float, Face]]] = {}
    for sample in samples:
        for face in sample.faces:
            if face.track is not None:
                found.setdefault(face.track, []).append((sample.sample, sample.time_s, face))
    none = np.zeros((0, 0), np.float32)
    return [_describe(track, seen, embeddings.get(track, none)) for track, seen in sorted(found.items())]


def link_tracks(tracks: Iterable[TrackInfo], same_person: float) -> dict[int, int]:
    """Track → person: 1, 2 … by time on screen, longest first.

    Joins groups of tracks, nearest first, while their nearest pair of faces is at most ``same_person`` apart;
    never two that appear in one sample. A track without an embedding joins by place and time if that is safe.
    The order of the tracks does not matter.

    :param same_person: threshold of the :class:`pipeline.identity.embedding.Embedder`.
    """
    groups = [_Group.of(track) for track in sorted(tracks, key=lambda track: track.track)]
    people = _join_by_place(_join_by_face(groups, same_person))
    people.sort(key=lambda person: (-len(person.present), person.first_s, person.tracks[0].track))
    return {track.track: number for number, person in enumerate(people, 1) for track in person.tracks}


def identities(
    embeddings: NDArray[np.float32], same_person: float, stretch: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Number the people of a track's portraits: all 0, unless the track changed to another person.

    Two groups of portraits are two people if their nearest pair is clearly further apart than
    ``same_person`` (single linkage), because expression and angle change gradually. If it is only a little
    further, they are two expressions of one person if they alternate while nobody can have taken over the
    track, else two people who look alike. A single outlier, such as a hand before the face, gets the number
    of the portrait before or after it, whose group is nearer.

    :param embeddings: (n, D), in order of time.
    :param stretch: (n,) number of the stretch in which nobody can have taken over the track, ascending; if
        not known, people who look alike are one.
    :returns: (n,) int64, from 0 in order of time.
    """
    if len(embeddings) < 4:
        return np.zeros(len(embeddings), np.int64)
    tree = linkage(embeddings, "single")
    groups = clearly = fcluster(tree, _TWO_PEOPLE * same_person, "distance")
    if stretch is not None:
        groups = _without_alternation(fcluster(tree, same_person, "distance"), clearly, stretch)
    known = np.flatnonzero(np.bincount(groups)[groups] > 1)
    if not len(known):
        return np.zeros(len(embeddings), np.int64)
    for outlier in np.setdiff1d(np.arange(len(groups)), known):
        place = np.searchsorted(known, outlier)
        beside = {*groups[known[max(place - 1, 0) : place + 1]].tolist()}
        far = {
            group: cdist(embeddings[[outlier]], embeddings[known[groups[known] == group]]) for group in beside
        }
        groups[outlier] = min(far, key=lambda group: float(far[group].min()))
    _, first, number = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[number]


def _without_alternation(
    groups: NDArray[np.int64], clearly: NDArray[np.int64], stretch: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Join groups that are not clearly two people, and alternate within one stretch.

    :param groups, clearly, stretch: (n,) of each portrait, in order of time.
    """
    joined = groups.copy()
    for number, person in {*zip(stretch.tolist(), clearly.tolist(), strict=True)}:
        within = joined[(stretch == number) & (clearly == person)]
        if np.count_nonzero(np.diff(within)) > 1:
            joined[np.isin(joined, within)] = within[0]
    return joined


def _is_still(time_s: NDArray[np.float64], centres: NDArray[np.float64], face_px: float) -> bool:
    if time_s[-1] - time_s[0] < _STILL_S:
        return False
    starts = np.flatnonzero(np.diff(np.floor((time_s - time_s[0]) / _STILL_WINDOW_S), prepend=-1))
    windows = np.split(centres, starts[1:])
    moved = [np.percentile(np.hypot(*(part - np.median(part, axis=0)).T), 95) for part in windows]
    return bool(np.median(moved) < _STILL * face_px)


def _describe(track: int, seen: list[tuple[int, float, Face]], embeddings: NDArray[np.float32]) -> TrackInfo:
    sample, time_s, faces = zip(*seen, strict=True)
    boxes = np.array([face.box_xyxy for face in faces], np.float64)
    # the mean of the landmarks is steadier than the box
    marks = np.array([face.landmarks.mean(axis=0) for face in faces], np.float64)
    face_px = float(np.median([face.face_px for face in faces]))
    return TrackInfo(
        track=track,
        present=np.array(sample, np.int64),
        time_s=np.array(time_s, np.float64),
        centres=(boxes[:, :2] + boxes[:, 2:]) / 2,
        face_px=face_px,
        embeddings=embeddings,
        still=_is_still(np.array(time_s), marks, face_px),
    )


@dataclass(frozen=True, eq=False)
class _Group:
    """Tracks of one person, ascending.

    :param present: (s,) ascending.
    :param embeddings: (n, D).
    """

    tracks: tuple[TrackInfo, ...]
    present: NDArray[np.int64]
    embeddings: NDArray[np.float32]

    @classmethod
    def of(cls, track: TrackInfo) -> "_Group":
        return cls((track,), track.present, track.embeddings)

    @classmethod
    def joined(cls, groups: Iterable["_Group"]) -> "_Group":
        members = sorted((track for group in groups for track in group.tracks), key=lambda track: track.track)
        embeddings = [track.embeddings for track in members if len(track.embeddings)]
        return cls(
            tuple(members),
            np.unique(np.concatenate([track.present for track in members])),
            np.concatenate(embeddings) if embeddings else members[0].embeddings,
        )

    @property
    def first_s(self) -> float:
        return min(track.first_s for track in self.tracks)


def _meet(groups: Sequence[_Group]) -> bool:
    """Whether two of the groups appear in one sample."""
    row = sorted(groups, key=lambda group: group.present[0])
    if all(one.present[-1] < two.present[0] for one, two in pairwise(row)):
        return False
    present = np.concatenate([group.present for group in row])
    return len(np.unique(present)) < len(present)


def _join_by_face(groups: list[_Group], same_person: float) -> list[_Group]:
    """Join the nearest two groups repeatedly: single linkage (Sneath 1957).

    Groups that must not be joined have an infinite distance, which joined groups inherit.
    """
    faces = [group for group in groups if len(group.embeddings)]
    members = [[group] for group in faces]
    distance = np.full((len(faces), len(faces)), np.inf)
    for (i, one), (j, two) in combinations(enumerate(faces), 2):
        if not _meet([one, two]):
            distance[i, j] = distance[j, i] = cdist(one.embeddings, two.embeddings).min()
    while len(faces) and (least := distance.min()) <= same_person:
        i, j = np.argwhere(distance == least)[0]
        members[i], members[j] = members[i] + members[j], []
        apart = np.isinf(distance[[i, j]]).any(axis=0)
        distance[i] = np.where(apart, np.inf, distance[[i, j]].min(axis=0))
        distance[:, i] = distance[i]
        distance[j, :] = distance[:, j] = np.inf
    others = [group for group in groups if group not in faces]
    return others + [_Group.joined(parts) if len(parts) > 1 else parts[0] for parts in members if parts]


def _join_by_place(groups: list[_Group]) -> list[_Group]:
    """Join each group without an embedding to the only person that place and time allow, if there is one.

    Connected groups without an embedding are treated together: if they fit two people, or appear in one
    sample, none of them joins.
    """
    loose = [group for group in groups if not len(group.embeddings)]
    known = [group for group in groups if len(group.embeddings)]
    people: list[_Group] = []
    everyone = [track for group in groups for track in group.tracks]
    joining: dict[int, list[_Group]] = {number: [] for number in range(len(known))}
    for bundle in _bundles(loose, everyone):
        owners = [n for n, group in enumerate(known) if any(_fit(group, one, everyone) for one in bundle)]
        if len(owners) > 1 or _meet(bundle):
            people.extend(bundle)
        elif owners:
            joining[owners[0]].extend(bundle)
        else:
            people.append(_Group.joined(bundle))
    for number, group in enumerate(known):
        # two bundles that fit the same person may appear in one sample
        parts = [group, *joining[number]]
        people.extend(parts if _meet(parts) else [_Group.joined(parts)])
    return people


def _bundles(groups: list[_Group], everyone: list[TrackInfo]) -> list[list[_Group]]:
    """Groups connected by place and time, directly or through others."""
    left, bundles = list(groups), []
    while left:
        bundle = [left.pop(0)]
        for member in bundle:
            found = [group for group in left if _fit(member, group, everyone)]
            left = [group for group in left if group not in found]
            bundle.extend(found)
        bundles.append(bundle)
    return bundles


def _fit(one: _Group, two: _Group, everyone: list[TrackInfo]) -> bool:
    return any(_goes_on(a, b, everyone) for a in one.tracks for b in two.tracks)


def _goes_on(one: TrackInfo, two: TrackInfo, everyone: list[TrackInfo]) -> bool:
    """Whether the later track begins where the earlier one ended, with no other person near."""
    before, after = sorted((one, two), key=lambda track: track.first_s)
    if not 0 < after.first_s - before.last_s <= _PLACE_GAP_S:
        return False
    smaller, larger = sorted((one.face_px, two.face_px))
    ended, began = before.centres[-_END_SAMPLES:], after.centres[:_END_SAMPLES]
    moved = np.hypot(*(np.median(began, axis=0) - np.median(ended, axis=0)))
    if larger > _PLACE_SIZE_RATIO * smaller or moved > _PLACE_DISTANCE * larger:
        return False
    place = np.median(np.concatenate([ended, began]), axis=0)
    others = [track for track in everyone if track is not one and track is not two]
    return not any(_comes_near(other, before.last_s, after.first_s, place, larger) for other in others)


def _comes_near(
    track: TrackInfo, from_s: float, to_s: float, place: NDArray[np.float64], face_px: float
) -> bool:
    during = (track.time_s >= from_s - _ALONE_S) & (track.time_s <= to_s + _ALONE_S)
    away = np.hypot(*(track.centres[during] - place).T)
    return bool((away <= _ALONE_DISTANCE * face_px).any())
