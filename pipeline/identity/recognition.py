"""Which of the people is the patient, by reference photos or by a place in the picture."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from pipeline.errors import InputError
from pipeline.identity.clustering import TrackInfo, is_mixed

# The patient must be nearer than the next person by this share of the threshold. On the shared clips one
# person's portraits are about 0.3 apart, and two people's 0.5 and more: two whose distances differ by less
# than 0.07 are one person twice, or a doubt.
_CLEARLY = 0.15

# By place: what share of their own samples a person must be there, and how many times as long as the next.
_MOSTLY_THERE, _TIMES_THE_NEXT = 0.5, 2.0

# What is recognised by program is never certain: no threshold here was set on people with dementia.
_LEAST, _MOST_CONFIDENT, _ENOUGH_PORTRAITS = 0.5, 0.9, 5


@dataclass(frozen=True)
class Recognition:
    """Who the patient is.

    :param person: number of the person; none is "unknown".
    :param confidence: 0 where unknown, else 0.5…0.9; not a probability.
    :param reason: one sentence, for whoever checks it.
    """

    person: int | None
    confidence: float
    reason: str


def recognise(
    people: Mapping[int, NDArray[np.float32]], references: NDArray[np.float32], same_person: float
) -> Recognition:
    """The person whom reference photos, or an earlier session's portraits, show; unknown in doubt.

    A person's distance is the median over all pairs of portrait and reference. The nearest person is the one
    if that is at most ``same_person`` and clearly smaller than the next person's distance. The confidence is
    0.5 + 0.4 · the least of: nearness (0 at the threshold, 1 at half of it), lead over the next person as a
    share of the threshold, and portraits out of five.

    :param people: person → (n, D); those without an embedding can't be the one.
    :param references: (m, D), from the same network.
    :raises InputError: the references come from another network.
    """
    seen = {person: found for person, found in people.items() if len(found)}
    if not len(references):
        return _unknown("no face was found in the reference photos")
    if not seen:
        return _unknown("no face in the video is clear enough to be compared")
    _check_lengths(seen, references)
    if is_mixed(references, same_person):
        return _unknown("the reference photos show more than one person")
    far = {person: float(np.median(cdist(found, references))) for person, found in seen.items()}
    nearest, *others = sorted(far, key=lambda person: (far[person], person))
    distance, lead = far[nearest], (far[others[0]] - far[nearest] if others else math.inf)
    said = f"person {nearest} is {distance:.2f} from the reference photos"
    if not distance <= same_person:
        return _unknown(f"{said}, and nobody nearer; one person is {same_person:.2f} at most")
    if lead < _CLEARLY * same_person:
        return _unknown(f"{said}, and person {others[0]} {far[others[0]]:.2f}: too alike to choose")
    if is_mixed(seen[nearest], same_person):
        return _unknown(f"{said}, but shows more than one face")
    nearness = 2 * (1 - distance / same_person)
    confidence = _confidence(nearness, lead / same_person, len(seen[nearest]) / _ENOUGH_PORTRAITS)
    after = f"; the next, person {others[0]}, {far[others[0]]:.2f}" if others else "; nobody else is seen"
    return Recognition(nearest, confidence, f"{said}{after}; one person is {same_person:.2f} at most")


def in_region(
    tracks: Iterable[TrackInfo],
    person_of: Mapping[int, int],
    region: Sequence[float],
    width: int,
    height: int,
) -> Recognition:
    """The person by place: whose face's centre is in a part of the picture; unknown in doubt.

    It is the one who is there in most samples, if that is at least half of their own, and twice as many as
    anybody else's. The confidence is 0.5 + 0.4 · the lesser of: how far that share is above the half, and
    one minus the next person's samples there as a share of theirs.

    :param person_of: track → person, from :func:`link_tracks`.
    :param region: x1, y1, x2, y2 as shares of the picture, 0…1.
    :param width, height: of the upright picture, px.
    :raises InputError: the region is not one.
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
    share = there[first] / total[first]
    rest = there[second] if second is not None else 0
    said = f"person {first} is in the region in {there[first]} of {total[first]} samples"
    if there[first] < _TIMES_THE_NEXT * rest:
        return _unknown(f"{said}, and person {second} in {rest}: too many to choose")
    if share < _MOSTLY_THERE:
        return _unknown(f"{said}: mostly elsewhere")
    confidence = _confidence((share - _MOSTLY_THERE) / (1 - _MOSTLY_THERE), 1 - rest / there[first])
    return Recognition(first, confidence, f"{said}, anybody else in {rest} at most")


def _unknown(reason: str) -> Recognition:
    return Recognition(None, 0.0, reason)


def _confidence(*arguments: float) -> float:
    """As good as the weakest argument; each counts from 0 to 1."""
    weakest = min(1.0, max(0.0, min(arguments)))
    return round(_LEAST + (_MOST_CONFIDENT - _LEAST) * weakest, 2)


def _check_lengths(people: Mapping[int, NDArray[np.float32]], references: NDArray[np.float32]) -> None:
    for found in people.values():
        if found.shape[1] != references.shape[1]:
            raise InputError(
                f"the references have {references.shape[1]} numbers a face, this session {found.shape[1]}: "
                "they come from different networks. Make the references again with this one."
            )


def _check_region(region: Sequence[float]) -> tuple[float, float, float, float]:
    said = ",".join(f"{edge:g}" for edge in region)
    if len(region) == 4:
        x1, y1, x2, y2 = region
        if 0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1:
            return x1, y1, x2, y2
    raise InputError(
        f"region {said}: give x1,y1,x2,y2 as shares of the picture from 0 to 1, left before right and top "
        "before bottom."
    )
