"""Days, months and weekdays in words."""

from datetime import date, datetime, time

from babel.dates import format_skeleton, get_day_names

from reports.language import Language


def moment(recorded_at: datetime, language: Language) -> str:
    """``Monday 2 March 2026, 14:30``; without the time where only the date is known."""
    day = language.date(recorded_at)
    return day if recorded_at.time() == time.min else f"{day}, {language.time(recorded_at)}"


def short_moment(recorded_at: datetime, language: Language) -> str:
    """``2 Mar 2026, 14:30``, for tables."""
    day = language.short_date(recorded_at)
    return day if recorded_at.time() == time.min else f"{day}, {language.time(recorded_at)}"


def day_and_month(day: date, language: Language) -> str:
    """``2 Mar``."""
    return format_skeleton("MMMd", day, locale=language.locale)


def month(day: date, language: Language) -> str:
    """``March 2026``."""
    return format_skeleton("yMMMM", day, locale=language.locale)


def short_month(day: date, language: Language) -> str:
    """``Mar 2026``."""
    return format_skeleton("yMMM", day, locale=language.locale)


def weekday(number: int, language: Language) -> str:
    """0 is ``Monday``."""
    return str(get_day_names("wide", locale=language.locale)[number])
