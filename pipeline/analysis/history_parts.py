"""The parts of a patient's history: months, weeks or runs of sessions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from pipeline.analysis.longitudinal import TIME_PARTS, PatientHistory, SessionPoint, balances, mean_of
from pipeline.analysis.summaries import READINGS, Number


@dataclass(frozen=True)
class Part:
    """Sessions taken together, for pictures that have no room for each.

    :param first: the first one; ``sessions``: how many; ``seen``: how many of them seen enough.
    :param shares: in their own reading, of the observed time of those.
    :param balance: by reading, the mean of theirs.
    """

    first: SessionPoint
    sessions: int
    seen: int
    duration_s: float
    observed_s: float
    shares: Mapping[str, float]
    balance: Mapping[str, Number]


def parts(course: PatientHistory, most: int) -> tuple[str, tuple[Part, ...]]:
    """What a picture shows side by side, at most so many (or, over many years, months): ``session``, ``week``
    or ``month``; ``ten`` sessions where it is not known when they were."""
    visits = course.visits
    if len(visits) <= most:
        return "session", tuple(_part([visit]) for visit in visits)
    if not course.dated:
        return "ten", tuple(_part(visits[k : k + 10]) for k in range(0, len(visits), 10))
    weeks = [list(group) for _, group in groupby(visits, key=lambda visit: _date(visit).isocalendar()[:2])]
    if len(weeks) <= most:
        return "week", tuple(map(_part, weeks))
    months = groupby(visits, key=lambda visit: (_date(visit).year, _date(visit).month))
    return "month", tuple(_part(list(group)) for _, group in months)


def _date(visit: SessionPoint) -> datetime:
    return visit.recorded_at or datetime.min


def _part(visits: Sequence[SessionPoint]) -> Part:
    seen = [visit for visit in visits if visit.own_shares]
    observed_s = sum(visit.observed_s for visit in seen)
    shares = {
        of: sum(visit.own_shares[of].value * visit.observed_s for visit in seen if of in visit.own_shares)
        / observed_s
        for of in TIME_PARTS
        if observed_s
    }
    return Part(
        first=visits[0],
        sessions=len(visits),
        seen=len(seen),
        duration_s=sum(visit.duration_s for visit in visits),
        observed_s=sum(visit.observed_s for visit in visits),
        shares=shares,
        balance={name: mean for name in READINGS if (mean := mean_of(balances(visits, name))) is not None},
    )
