"""Days, months and weekdays in words."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal, get_args

from babel.dates import format_skeleton, get_day_names

from pipeline.analysis.summaries import has_time
from pipeline.store.counts import clock
from reports.words.language import Language


def moment(recorded_at: datetime, language: Language) -> str:
    """``Monday 2 March 2026, 14:30``; without the time where only the date is known."""
    return _with_time(language.date(recorded_at), recorded_at, language)


def short_moment(recorded_at: datetime, language: Language) -> str:
    """``2 Mar 2026, 14:30``, for tables."""
    return _with_time(language.short_date(recorded_at), recorded_at, language)


Unit = Literal["minute", "second", "hundredth"]
"""How exactly a moment of a session is told."""


@dataclass(frozen=True)
class Clock:
    """Tells moments of a session: the time of day, or where that is not known, the time in the video.

    :param recorded_at: when the session began.
    """

    recorded_at: datetime | None
    language: Language
    unit: Unit = "minute"

    def __call__(self, time_s: float) -> str:
        if self.recorded_at is None or not has_time(self.recorded_at):
            return clock(time_s, 2 if self.unit == "hundredth" else 0)
        return self.language.time(self.recorded_at + timedelta(seconds=time_s), self.unit)


def clock_of(
    statements: Iterable[tuple[Hashable, float]], recorded_at: datetime | None, language: Language
) -> Clock:
    """The coarsest clock by which no two different statements have the same time.

    :param statements: what is said, and of which moment, s; equal statements of one time are told once.
    """
    told = set(statements)
    clocks = [Clock(recorded_at, language, unit) for unit in get_args(Unit)]
    return next((one for one in clocks if not _clash(told, one)), clocks[-1])


def _clash(statements: Iterable[tuple[Hashable, float]], tell: Callable[[float], str]) -> bool:
    said: dict[str, tuple[Hashable, float]] = {}
    for what, time_s in statements:
        other, other_s = said.setdefault(tell(time_s), (what, time_s))
        # at one and the same moment, one thing may end and another begin
        if other != what and other_s != time_s:
            return True
    return False


def _with_time(day: str, recorded_at: datetime, language: Language) -> str:
    return f"{day}, {language.time(recorded_at)}" if has_time(recorded_at) else day


def month(day: date, language: Language) -> str:
    """``March 2026``."""
    return format_skeleton("yMMMM", day, locale=language.locale)


def short_month(day: date, language: Language) -> str:
    """``Mar 2026``."""
    return format_skeleton("yMMM", day, locale=language.locale)


def weekday(number: int, language: Language) -> str:
    """0 is ``Monday``."""
    return str(get_day_names("wide", locale=language.locale)[number])
