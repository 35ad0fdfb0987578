"""Which of the people is the patient: by reference faces, or by a place in the picture."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from pipeline.errors import InputError
from pipeline.identity.clustering import TrackInfo
from pipeline.records import IdentityState

# The nearest person must be nearer than the next by this share of the threshold for one person: on the shared
# clips one person's nearest faces are 0.05 to 0.24 apart, two people's 0.46 and more.
_CLEARLY = 0.15

# By place: minimum share of a person's samples in the region, and minimum ratio to the next person.
_MOSTLY_THERE, _TIMES_THE_NEXT = 0.5, 2.0


@dataclass(frozen=True)
class Recognition:
    """The result of identification.

    :param people: numbers of the people who are taken for the patient: more than one where one person was
        counted twice, none where the state is ``unknown``.
    :param reason: one sentence, for whoever checks it.
    """

    state: IdentityState
    people: frozenset[int]
    reason: str


def recognise(
    people: Mapping[int, NDArray[np.float32]],
    references: NDArray[np.float32],
    same_person: float,
    perhaps: float,
    together: Collection[frozenset[int]] = (),
) -> Recognition:
    """The person whom the reference faces show.

    A person's distance is that of the nearest pair of their faces and the references: expressions and angles
    change, and one good match is enough. Up to ``same_person`` it is the patient, up to ``perhaps`` somebody
    has to check it. The next person has to be clearly further away; whoever is as near and never seen
    together with the nearest is the same person, counted twice.

    :param people: person → (n, D); those without an embedding can't be compared.
    :param references: (m, D), from the same network: photos, and faces from sessions that were confirmed.
    :param together: pairs of people who are seen in one sample.
    :raises InputError: the references come from another network.
    """
    seen = {person: found for person, found in people.items() if len(found)}
    if not seen:
        return _unknown("no face in the video is clear enough to be compared")
    _check_lengths(seen, references)
    far = {person: float(cdist(found, references).min()) for person, found in seen.items()}
    nearest = min(far, key=lambda person: (far[person], person))
    distance = f"person {nearest} is {far[nearest]:.2f} from the reference photos"
    if far[nearest] > perhaps:
        return _unknown(f"{distance}, and nobody nearer; one person is {same_person:.2f} at most")
    twice = {
        person
        for person in far
        if far[person] <= same_person and frozenset((nearest, person)) not in together
    }
    found = Recognition("recognised", frozenset({nearest} | twice), "")
    others = sorted(far.keys() - found.people, key=lambda person: (far[person], person))
    if far[nearest] > same_person:
        limits = f"one person is {same_person:.2f} at most, two are {perhaps:.2f} at least"
        return replace(found, state="to_check", reason=f"{distance}; {limits}")
    if others and far[others[0]] - far[nearest] < _CLEARLY * same_person:
        alike = f"{distance}, and person {others[0]} {far[others[0]]:.2f}: too alike to choose"
        return replace(found, state="to_check", reason=alike)
    after = f"the next, person {others[0]}, {far[others[0]]:.2f}" if others else "nobody else is seen"
    return replace(found, reason=f"{distance}; {after}; one person is {same_person:.2f} at most")


def in_region(
    tracks: Iterable[TrackInfo],
    person_of: Mapping[int, int],
    region: Sequence[float],
    width: int,
    height: int,
) -> Recognition:
    """The person whose face's centre is in a part of the picture.

    It is the one who is there in most samples. If that is less than half of their own samples, or less than
    twice as many as anybody else's, somebody has to check it.

    :param person_of: track → person, from :func:`link_tracks`.
    :param region: x1, y1, x2, y2 as shares of the picture, 0…1.
    :param width, height: of the upright picture, px.
    :raises InputError: the region is invalid.
    """
    x1, y1, x2, y2 = _check_region(region)
    there: dict[int, int] = {}
    total: dict[int, int] = {}
    for track in tracks:
        person, place = person_of[track.track], track.centres / (width, height)
        inside = ((place >= (x1, y1)) & (place <= (x2, y2))).all(axis=1)
        there[person] = there.get(person, 0) + int(inside.sum())
        total[person] = total.get(person, 0) + track.samples
    first, second = ([*sorted(there, key=lambda person: (-there[person], person)), None, None])[:2]
    if first is None or not there[first]:
        return _unknown("nobody is seen in the region")
    rest = there[second] if second is not None else 0
    times = f"person {first} is in the region in {there[first]} of {total[first]} samples"
    found = Recognition("to_check", frozenset([first]), "")
    if there[first] < _TIMES_THE_NEXT * rest:
        return replace(found, reason=f"{times}, and person {second} in {rest}: too many to choose")
    if there[first] < _MOSTLY_THERE * total[first]:
        return replace(found, reason=f"{times}: mostly elsewhere")
    return replace(found, state="recognised", reason=f"{times}, anybody else in {rest} at most")


def _unknown(reason: str) -> Recognition:
    return Recognition("unknown", frozenset(), reason)


def _check_lengths(people: Mapping[int, NDArray[np.float32]], references: NDArray[np.float32]) -> None:
    for found in people.values():
        if found.shape[1] != references.shape[1]:
            raise InputError(
                f"the references have {references.shape[1]} numbers a face, this session {found.shape[1]}: "
                "they come from different networks. Make the references again with this one."
            )


def _check_region(region: Sequence[float]) -> tuple[float, float, float, float]:
    given = ",".join(f"{edge:g}" for edge in region)
    if len(region) == 4:
        x1, y1, x2, y2 = region
        if 0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1:
            return x1, y1, x2, y2
    raise InputError(
        f"region {given}: give x1,y1,x2,y2 as shares of the picture from 0 to 1, left before right and top "
        "before bottom."
    )
