"""Numbers and results as plain text: templates must escape it."""

import math
import os
import shlex
import subprocess

from pipeline.store.counts import number_of
from reports.words.language import Language

NBSP = "\u00a0"


def seconds_text(seconds: float, language: Language) -> str:
    """``8 s``, ``1 min 44 s``, ``1 h 02 min``; ``under 1 s`` where it would round to nothing."""
    whole = round(seconds)
    if whole == 0:
        return language.gettext("under\u00a01\u00a0s") if seconds > 0 else f"0{NBSP}s"
    if whole < 60:
        return f"{whole}{NBSP}s"
    if whole < 3600:
        return f"{whole // 60}{NBSP}min{NBSP}{whole % 60:02}{NBSP}s"
    minutes = round(seconds / 60)
    return f"{minutes // 60}{NBSP}h{NBSP}{minutes % 60:02}{NBSP}min"


def share_text(part: float, whole: float, language: Language) -> str:
    """A percentage without decimals, which never rounds to nothing or to all; ``–`` of nothing."""
    if whole <= 0:
        return "–"
    percent = 100 * part / whole
    if 0 < percent < 0.5:
        return language.gettext("under\u00a01\u00a0%%")
    if 99.5 <= percent < 100 - 1e-9:
        return language.gettext("over\u00a099\u00a0%%")
    return f"{percent:.0f}{NBSP}%"


def signed(value: float, digits: int, language: Language) -> str:
    """``+0.3``, ``−0.3``, ``0.0``; ``–`` for NaN."""
    if math.isnan(value):
        return "–"
    rounded = round(value, digits)
    sign = "+" if rounded > 0 else "−" if rounded < 0 else ""
    return sign + language.number(abs(rounded), digits)


def interval_text(low: float, high: float, language: Language) -> str:
    """Two shares: ``18–27 %``."""
    if high < 0.005:
        return share_text(high, 1.0, language)
    return f"{100 * low:.0f}–{100 * high:.0f}{NBSP}%"


def count_text(number: int, thing: str) -> str:
    """``1 session``, ``3 sessions``, on one line; for pages that are in English only."""
    return number_of(number, thing).replace(" ", NBSP)


def sentence(text: str) -> str:
    """The text with a capital letter; what follows stays as it is."""
    return text[:1].upper() + text[1:]


def command_line(*words: str) -> str:
    """A command to copy, quoted for this system's command line."""
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def milliseconds(time_s: float) -> int:
    """As the scripts count, rounded up: a hair before its time a video still shows the picture before."""
    return math.ceil(round(1000 * time_s, 3))
