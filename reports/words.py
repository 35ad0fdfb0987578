"""Numbers and results in plain words. Nothing here is HTML; what it returns still has to be escaped."""

import math

from pipeline.summary import Summary
from reports.look import EMOTION_ORDER, EMOTION_WORDS

MIN_OBSERVED_S = 10.0
MIN_COVERAGE = 0.2
"""With less than either, shares would describe a few glimpses rather than the session, and are not shown."""

NBSP = "\u00a0"


def seconds_text(seconds: float) -> str:
    """``8 s``, ``1 min 44 s``, ``1 h 02 min``; ``under 1 s`` where it would round to nothing."""
    whole = round(seconds)
    if whole == 0:
        return f"under{NBSP}1{NBSP}s" if seconds > 0 else f"0{NBSP}s"
    if whole < 60:
        return f"{whole}{NBSP}s"
    if whole < 3600:
        return f"{whole // 60}{NBSP}min{NBSP}{whole % 60:02}{NBSP}s"
    minutes = round(seconds / 60)
    return f"{minutes // 60}{NBSP}h{NBSP}{minutes % 60:02}{NBSP}min"


def share_text(part: float, whole: float) -> str:
    """A percentage without decimals, which never rounds to nothing or to all; ``–`` of nothing."""
    if whole <= 0:
        return "–"
    percent = 100 * part / whole
    if 0 < percent < 0.5:
        return f"under{NBSP}1{NBSP}%"
    if 99.5 <= percent < 100 - 1e-9:
        return f"over{NBSP}99{NBSP}%"
    return f"{percent:.0f}{NBSP}%"


def clock(seconds: float) -> str:
    """A moment of the video: ``0:42``, ``12:05``, ``1:02:03``."""
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02}"
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def signed(value: float, digits: int) -> str:
    """``+0.3``, ``−0.3``, ``0.0``; ``–`` for NaN."""
    if math.isnan(value):
        return "–"
    rounded = round(value, digits)
    return f"{rounded:+.{digits}f}".replace("-", "−") if rounded else f"{0:.{digits}f}"


def seen_too_little(summary: Summary) -> bool:
    """Whether shares would mislead."""
    return summary.observed_s < MIN_OBSERVED_S or summary.coverage < MIN_COVERAGE


def answer(summary: Summary) -> str:
    """The session in one or two sentences; never a diagnosis."""
    recorded = seconds_text(summary.duration_s)
    if summary.observed_s == 0:
        return (
            f"In the {recorded} recorded, the face could not be read at any time, "
            "so nothing can be said about the expression."
        )
    seen = f"{seconds_text(summary.observed_s)} ({share_text(summary.observed_s, summary.duration_s)})"
    if seen_too_little(summary):
        return (
            f"Of the {recorded} recorded, the face could be read for only {seen}. "
            "It was seen too little to say how the expression looked."
        )
    return f"Of the {recorded} recorded, the face could be read for {seen}. {_looked(summary)}"


def count_text(number: int, thing: str) -> str:
    """``1 session``, ``3 sessions``."""
    return f"{number}{NBSP}{thing}" if number == 1 else f"{number}{NBSP}{thing}s"


def sentence(reason: str) -> str:
    """A reason with a capital letter."""
    return reason[:1].upper() + reason[1:]


def _looked(summary: Summary) -> str:
    ranked = sorted(EMOTION_ORDER, key=lambda name: -summary.emotion_s[name])
    first, others = ranked[0], [name for name in ranked[1:] if summary.emotion_s[name] >= 1]
    share = share_text(summary.emotion_s[first], summary.observed_s)
    if not others:
        always = "all the time" if summary.emotion_s[first] == summary.observed_s else "nearly all the time"
        return f"In that time the expression looked {EMOTION_WORDS[first]} {always} ({share})."
    most = (
        "most of the time" if summary.emotion_s[first] > summary.observed_s / 2 else "more than anything else"
    )
    parts = [f"{EMOTION_WORDS[first]} {most} ({share})"]
    parts += [f"{EMOTION_WORDS[name]} for {seconds_text(summary.emotion_s[name])}" for name in others]
    return f"In that time the expression looked {_joined(parts)}."


def _joined(parts: list[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
