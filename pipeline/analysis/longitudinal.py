"""A patient's sessions in order of time, and comparisons between them, from the summaries.

A session is one observation, regardless of length: its samples are not independent. Sessions with too little
coverage have no numbers, and never count as zero.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any

import numpy as np
import polars as pl
from scipy import stats

from pipeline.analysis.summaries import (
    CARE_READINGS,
    CORRECTED,
    RAW,
    Key,
    Number,
    has_time,
    numbers_by_session,
)

TIME_PARTS = ("positive", "surprise", "neutral", "negative")
"""Groups that divide the observed time. Surprise is neither positive nor negative."""

MIN_RECENT, MAX_RECENT, MIN_EARLIER = 3, 10, 5
"""Recent sessions: the last quarter, within these limits; with fewer sessions before, no comparison."""

MIN_MEANT = 3
"""Minimum of sessions for an interval of their mean."""

MIN_OF_KIND = 3
"""Minimum of sessions of a condition, and of the reference, for a comparison."""

MIN_IN_SLOT = 5
"""Minimum of sessions in a time of day or on a weekday, and outside it, for a comparison."""

MIN_SMOOTHED = 8
"""Minimum of sessions for a moving median."""

_CHANCE = 0.05

DAYTIMES = {"morning": (5, 12), "afternoon": (12, 17), "evening": (17, 22), "night": (22, 5)}
"""Begin and end of each time of day, full hours, local time."""


@dataclass(frozen=True)
class SessionPoint:
    """One session, from the tables.

    :param recorded_at: local time; ``None`` if unknown. ``condition``: may be empty.
    :param enough: whether coverage is high enough for numbers; otherwise ``balance`` and ``shares`` are
        empty.
    :param balance: by reading: mean valence, −1…1.
    :param shares: by reading, then by :data:`TIME_PARTS` and emotions: share of the observed time, 0…1.
    :param reading: the reading for comparisons, the same for all sessions of the patient.
    """

    session_id: str
    recorded_at: datetime | None
    condition: str
    duration_s: float
    observed_s: float
    coverage: float
    enough: bool
    identity: str
    balance: Mapping[str, Number]
    shares: Mapping[str, Mapping[str, Number]]
    reading: str = RAW

    @property
    def own_shares(self) -> Mapping[str, Number]:
        """The shares in :attr:`reading`."""
        return self.shares.get(self.reading, {})

    @property
    def own_balance(self) -> Number | None:
        """The balance in :attr:`reading`."""
        return self.balance.get(self.reading)

    @property
    def time_known(self) -> bool:
        return has_time(self.recorded_at)


@dataclass(frozen=True)
class PatientHistory:
    """All sessions of a patient, in order of time; if a date is missing, in order of ids.

    :param reference: the condition of calm sessions, with which other conditions are compared.
    """

    patient_id: str
    visits: tuple[SessionPoint, ...]
    reference: str

    @property
    def dated(self) -> bool:
        return all(visit.recorded_at is not None for visit in self.visits)

    @property
    def seen(self) -> tuple[SessionPoint, ...]:
        """The sessions with enough coverage."""
        return tuple(visit for visit in self.visits if visit.enough)

    @property
    def reading(self) -> str:
        """``corrected`` if every session has this reading, else ``raw``."""
        return self.visits[0].reading if self.visits else RAW

    @property
    def readings(self) -> tuple[str, ...]:
        """The readings for caregivers with numbers."""
        return tuple(name for name in CARE_READINGS if any(name in visit.balance for visit in self.visits))


@dataclass(frozen=True)
class Difference:
    """Difference of the means of two groups of sessions, first − second.

    :param value: with a 95 % interval, which is simultaneous for all comparisons unless there is ``p``.
    :param p: p-value of a test, corrected for the number of tests.
    """

    first: float
    second: float
    counts: tuple[int, int]
    value: Number
    p: float | None = None

    @property
    def direction(self) -> int:
        """1: more, −1: less, 0: compatible with chance."""
        low, high = self.value.low, self.value.high
        if low is None or high is None or (self.p is not None and self.p >= _CHANCE):
            return 0
        return (low > 0) - (high < 0)


@dataclass(frozen=True)
class Slot:
    """Sessions on one weekday at one time of day.

    :param against_usual: mean balance of these sessions minus that of all sessions; ``None`` without numbers.
    """

    sessions: int
    seen: int
    against_usual: float | None


def histories(sessions: pl.DataFrame, measures: pl.DataFrame, reference: str) -> tuple[PatientHistory, ...]:
    """The history of each patient, in order of ids.

    :param sessions, measures: tables of :mod:`pipeline.analysis.summaries`.
    """
    numbers = numbers_by_session(measures.filter(pl.col("measure").is_in(["valence", "share"])))
    rows = sessions.sort("patient_id", "session_id").iter_rows(named=True)
    return tuple(
        PatientHistory(
            patient_id, _in_one_reading(_in_order(_visit(row, numbers) for row in theirs)), reference
        )
        for patient_id, theirs in groupby(rows, key=lambda row: str(row["patient_id"]))
    )


def _in_one_reading(visits: tuple[SessionPoint, ...]) -> tuple[SessionPoint, ...]:
    seen = [visit for visit in visits if visit.enough]
    is_corrected = bool(seen) and all(CORRECTED in visit.balance for visit in seen)
    return tuple(replace(visit, reading=CORRECTED) for visit in visits) if is_corrected else visits


def _in_order(visits: Iterable[SessionPoint]) -> tuple[SessionPoint, ...]:
    found = tuple(visits)
    if any(visit.recorded_at is None for visit in found):
        return found
    return tuple(sorted(found, key=lambda visit: (visit.recorded_at or datetime.min, visit.session_id)))


def _visit(row: Mapping[str, Any], numbers: Mapping[tuple[str, str], Mapping[Key, Number]]) -> SessionPoint:
    balance: dict[str, Number] = {}
    shares: dict[str, dict[str, Number]] = {}
    own = numbers.get((row["patient_id"], row["session_id"]), {}) if row["enough"] else {}
    for (reading, measure, of), number in own.items():
        if measure == "valence":
            balance[reading] = number
        else:
            shares.setdefault(reading, {})[of] = number
    names = (
        "session_id",
        "recorded_at",
        "condition",
        "duration_s",
        "observed_s",
        "coverage",
        "enough",
        "identity",
    )
    return SessionPoint(**{name: row[name] for name in names}, balance=balance, shares=shares)


def compare(first: Sequence[float], second: Sequence[float], compared: int = 1) -> Difference | None:
    """Difference of two means (Welch's t); ``None`` with fewer than two values, or without variation.

    :param compared: number of comparisons; the interval covers all of them together (Bonferroni).
    """
    if min(len(first), len(second)) < 2:
        return None
    means = float(np.mean(first)), float(np.mean(second))
    if np.ptp(first) == 0 and np.ptp(second) == 0:
        return None
    welch = stats.ttest_ind(first, second, equal_var=False).confidence_interval(1 - 0.05 / compared)
    number = Number(means[0] - means[1], float(welch.low), float(welch.high))
    return Difference(*means, (len(first), len(second)), number)


def mean_of(values: Sequence[float]) -> Number | None:
    """Mean over sessions, with Student's 95 % interval if there are three or more, not all equal."""
    if not values:
        return None
    value = float(np.mean(values))
    if len(values) < MIN_MEANT or np.ptp(values) == 0:
        return Number(value)
    half = float(stats.t.ppf(0.975, len(values) - 1)) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Number(value, value - half, value + half)


def shares_of(visits: Iterable[SessionPoint], of: str, reading: str | None = None) -> list[float]:
    """One value per session with numbers; by default in the patient's reading."""
    found = (visit.shares.get(reading or visit.reading, {}).get(of) for visit in visits)
    return [number.value for number in found if number is not None]


def recent_change(history: PatientHistory) -> tuple[Sequence[SessionPoint], Mapping[str, Difference]] | None:
    """The recent sessions, and their shares of positive, neutral and negative compared with all earlier ones.

    ``None`` with too few sessions or a missing date.
    """
    seen = history.seen
    recent = min(max(MIN_RECENT, len(seen) // 4), MAX_RECENT)
    if not history.dated or len(seen) - recent < MIN_EARLIER:
        return None
    last, before = seen[-recent:], seen[:-recent]
    found = {
        of: compare(shares_of(last, of), shares_of(before, of), 3)
        for of in ("positive", "neutral", "negative")
    }
    return last, {of: difference for of, difference in found.items() if difference is not None}


def conditions(history: PatientHistory) -> dict[str, tuple[SessionPoint, ...]]:
    """Sessions by condition, the reference first; sessions without a condition are left out."""
    found: dict[str, list[SessionPoint]] = {}
    for visit in history.visits:
        if visit.condition:
            found.setdefault(visit.condition, []).append(visit)
    ordered = sorted(found, key=lambda name: (name != history.reference, name))
    return {name: tuple(found[name]) for name in ordered}


def against_reference(comparisons: pl.DataFrame | None, patient_id: str) -> dict[str, dict[str, Difference]]:
    """Condition → positive and negative → difference to the reference, in the raw reading.

    :param comparisons: ``summaries/conditions.parquet``; ``None`` if it does not exist.
    """
    if comparisons is None:
        return {}
    rows = comparisons.filter(patient_id=patient_id, reading=RAW, measure="share", reason="").filter(
        pl.col("of").is_in(["positive", "negative"])
        & pl.col("difference").is_not_null()
        & (pl.min_horizontal("sessions", "sessions_reference") >= MIN_OF_KIND)
    )
    found: dict[str, dict[str, Difference]] = {}
    for row in rows.sort("of", descending=True).iter_rows(named=True):
        names = ("difference", "difference_low", "difference_high")
        found.setdefault(row["condition"], {})[row["of"]] = Difference(
            first=row["mean"] / 100,
            second=row["mean_reference"] / 100,
            counts=(row["sessions"], row["sessions_reference"]),
            value=Number(*(row[name] / 100 for name in names)),
            p=1.0 if row["p_holm"] is None else row["p_holm"],
        )
    return found


def underpowered_conditions(history: PatientHistory) -> list[str]:
    """Conditions with too few sessions, of the condition or of the reference, for a comparison."""
    seen = {name: sum(visit.enough for visit in visits) for name, visits in conditions(history).items()}
    base = seen.pop(history.reference, 0)
    return [name for name, count in seen.items() if min(count, base) < MIN_OF_KIND]


def daytime(moment: datetime) -> str:
    """``morning``, ``afternoon``, ``evening`` or ``night``."""
    return next((name for name, (start, end) in DAYTIMES.items() if start <= moment.hour < end), "night")


def by_weekday_and_daytime(history: PatientHistory) -> dict[tuple[int, str], Slot]:
    """Sessions by weekday (0 is Monday) and time of day, if both are known."""
    found: dict[tuple[int, str], list[SessionPoint]] = {}
    for visit in history.visits:
        if visit.recorded_at is not None and visit.time_known:
            found.setdefault((visit.recorded_at.weekday(), daytime(visit.recorded_at)), []).append(visit)
    all_of_them = balances(history.visits)
    usual = float(np.mean(all_of_them)) if all_of_them else 0.0
    return {key: _slot(visits, usual) for key, visits in found.items()}


def _slot(visits: Sequence[SessionPoint], usual: float) -> Slot:
    seen = balances(visits)
    return Slot(len(visits), len(seen), float(np.mean(seen)) - usual if seen else None)


def balances(visits: Iterable[SessionPoint], reading: str | None = None) -> list[float]:
    """The balances of sessions; see :func:`shares_of`."""
    found = (visit.balance.get(reading or visit.reading) for visit in visits)
    return [number.value for number in found if number is not None]


def good_times(history: PatientHistory) -> dict[str | int, Difference]:
    """Compare each time of day and weekday with all others, if there are enough sessions."""
    timed = [visit for visit in history.seen if visit.recorded_at is not None and visit.time_known]
    dated = [visit for visit in history.seen if visit.recorded_at is not None]
    groups: dict[str | int, tuple[list[SessionPoint], list[SessionPoint]]] = {}
    for name in DAYTIMES:
        groups[name] = _divided(
            timed, [daytime(visit.recorded_at or datetime.min) == name for visit in timed]
        )
    for day in range(7):
        groups[day] = _divided(
            dated, [(visit.recorded_at or datetime.min).weekday() == day for visit in dated]
        )
    enough = {name: both for name, both in groups.items() if min(map(len, both)) >= MIN_IN_SLOT}
    found = {
        name: compare(balances(inside), balances(outside), len(enough))
        for name, (inside, outside) in enough.items()
    }
    return {name: difference for name, difference in found.items() if difference is not None}


def _divided(
    visits: Sequence[SessionPoint], inside: Sequence[bool]
) -> tuple[list[SessionPoint], list[SessionPoint]]:
    pairs = list(zip(visits, inside, strict=True))
    return [visit for visit, yes in pairs if yes], [visit for visit, yes in pairs if not yes]


def moving_median(values: Sequence[float]) -> list[float]:
    """Moving median over five values, or a tenth of all if that is more; fewer at the ends."""
    half = max(2, len(values) // 20)
    return [float(np.median(values[max(0, k - half) : k + half + 1])) for k in range(len(values))]
