"""Days, months and weekdays in words."""

from datetime import date, datetime, timedelta

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


def in_session(time_s: float, recorded_at: datetime | None, language: Language) -> str:
    """A moment of a session: the time of day, or where that is not known, the time in the video."""
    if recorded_at is None or not has_time(recorded_at):
        return clock(time_s)
    return language.time(recorded_at + timedelta(seconds=time_s))


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
