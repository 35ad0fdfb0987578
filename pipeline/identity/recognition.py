"""Identify the patient among the people by reference faces or by a place in the picture."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from pipeline.errors import InputError
from pipeline.identity.clustering import TrackInfo
from pipeline.records import IdentityState

# The nearest person must be nearer than the next by this share of the threshold. On the trial clips, the
# nearest faces of one person are 0.05 to 0.24 apart, of two people 0.46 or more.
_CLEARLY = 0.15

# By place: minimum share of a person's samples in the region, and minimum ratio to the next person.
_MOSTLY_THERE, _TIMES_THE_NEXT = 0.5, 2.0


@dataclass(frozen=True)
class Recognition:
    """The result of identification.

    :param people: numbers of the people who are the patient: more than one if one person was counted twice,
        empty if the state is ``unknown``.
    :param reason: one sentence, for manual checks.
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
    """Identify the person of the reference faces.

    A person's distance is that of the nearest pair of the person's faces and the references: expressions and
    angles change, and one good match is enough. Up to ``same_person`` the person is the patient, up to
    ``perhaps`` a manual check is needed. The next person must be clearly further away; a person who is as
    near and never appears together with the nearest one is the same person, counted twice.

    :param people: person → (n, D); people without an embedding are not compared.
    :param references: (m, D), from the same network: photos, and faces from confirmed sessions.
    :param together: pairs of people who appear in one sample.
    :raises InputError: the references come from another network.
    """
    seen = {person: found for person, found in people.items() if len(found)}
    if not seen:
        return _unknown("no face in the video is clear enough to be compared")
    _check_lengths(seen, references)
    far = {person: float(cdist(found, references).min()) for person, found in seen.items()}
    nearest = min(far, key=lambda person: (far[person], person))
    distance = f"person {nearest} is {far[nearest]:.2f} from the reference faces"
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
    """Identify the person whose face's centre is in a region of the picture.

    The patient is the person with the most samples in the region. If these are less than half of the person's
    samples, or less than twice as many as any other person's, a manual check is needed.

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
