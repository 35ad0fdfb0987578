"""Divide a patient's history into months, weeks or runs of sessions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from pipeline.analysis.longitudinal import TIME_PARTS, PatientHistory, SessionPoint, balances, mean_of
from pipeline.analysis.summaries import CARE_READINGS, Number


@dataclass(frozen=True)
class Part:
    """A group of sessions, for figures without room for each session.

    :param first: the first session; ``sessions``: number of sessions; ``seen``: number with enough coverage.
    :param shares: shares of the observed time of the latter, in the patient's reading.
    :param balance: by reading: mean of the sessions' balances.
    """

    first: SessionPoint
    sessions: int
    seen: int
    duration_s: float
    observed_s: float
    shares: Mapping[str, float]
    balance: Mapping[str, Number]


def parts(history: PatientHistory, most: int) -> tuple[str, tuple[Part, ...]]:
    """Divide the history into at most ``most`` parts (over many years: months): ``session``, ``week`` or
    ``month``; ``ten`` sessions if a date is missing."""
    visits = history.visits
    if len(visits) <= most:
        return "session", tuple(_part([visit]) for visit in visits)
    if not history.dated:
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
        balance={
            name: mean for name in CARE_READINGS if (mean := mean_of(balances(visits, name))) is not None
        },
    )
