"""Identify the patient among the people by reference faces or by a place in the picture."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from pipeline.errors import InputError
from pipeline.identity.clustering import TrackInfo
from pipeline.reasons import Reason
from pipeline.records import IdentityState

# The nearest person must be nearer than the next by this share of the threshold. On the trial clips, the
# nearest faces of one person are 0.05 to 0.24 apart, of two people 0.45 or more.
_CLEARLY = 0.15

# By place: minimum share of a person's samples in the region, and minimum ratio to the next person.
_MOSTLY_THERE, _TIMES_THE_NEXT = 0.5, 2.0


@dataclass(frozen=True)
class Recognition:
    """The result of identification.

    :param people: numbers of the people who are the patient: more than one if one person was counted twice,
        empty if the state is ``unknown``.
    :param reason: for manual checks.
    """

    state: IdentityState
    people: frozenset[int]
    reason: Reason


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
        return _unknown(Reason.of("no_clear_face"))
    _check_lengths(seen, references)
    far = {person: float(cdist(found, references).min()) for person, found in seen.items()}
    nearest = min(far, key=lambda person: (far[person], person))
    because = partial(Reason.of, person=nearest, far=far[nearest], most=same_person)
    if far[nearest] > perhaps:
        return _unknown(because("nobody_near"))
    twice = {
        person
        for person in far
        if far[person] <= same_person and frozenset((nearest, person)) not in together
    }
    chosen = frozenset({nearest} | twice)
    if far[nearest] > same_person:
        return Recognition("to_check", chosen, because("between_limits", least=perhaps))
    others = sorted(far.keys() - chosen, key=lambda person: (far[person], person))
    if not others:
        return Recognition("recognised", chosen, because("nearest_alone"))
    after = {"next": others[0], "further": far[others[0]]}
    if far[others[0]] - far[nearest] < _CLEARLY * same_person:
        return Recognition("to_check", chosen, because("too_alike", **after))
    return Recognition("recognised", chosen, because("nearest", **after))


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
        return _unknown(Reason.of("empty_region"))
    rest = there[second] if second is not None else 0
    because = partial(Reason.of, person=first, times=there[first], all=total[first])
    chosen = frozenset([first])
    if second is not None and there[first] < _TIMES_THE_NEXT * rest:
        return Recognition("to_check", chosen, because("too_many_in_region", next=second, rest=rest))
    if there[first] < _MOSTLY_THERE * total[first]:
        return Recognition("to_check", chosen, because("mostly_elsewhere"))
    return Recognition("recognised", chosen, because("in_region", rest=rest))


def _unknown(reason: Reason) -> Recognition:
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
