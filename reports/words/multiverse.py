"""Sentences and labels of a multiverse."""

from collections.abc import Mapping
from typing import Any

from pipeline.robustness.multiverse_choices import EPISODES, PROBABILITY
from pipeline.robustness.multiverse_results import Verdict
from reports.words import formatting as words
from reports.words.language import Language, marked

CHOICE_TITLES = {
    "counting": marked("How positive time is counted"),
    "min_coverage": marked("Lowest coverage of a session"),
    "without_speech": marked("Time with speech or chewing"),
    "every": marked("Samples"),
}
"""Of each choice of :data:`pipeline.robustness.multiverse_results.CHOICES`, in this order."""

_MOVED_BY = {
    "counting": marked("how positive time is counted"),
    "min_coverage": marked("the lowest coverage of a session"),
    "without_speech": marked("whether time with speech or chewing counts"),
    "every": marked("the number of samples"),
}


def verdict_text(verdict: Verdict, language: Language) -> str:
    """In how many analyses the sign holds, and in how many the interval excludes zero."""
    count = language.number(verdict.analyses)
    if not verdict.computed:
        return language.gettext("None of %(count)s analyses could be computed.", count=count)
    if verdict.own is None:
        told = language.gettext(
            "The study’s own analysis could not be computed. The difference is above zero in %(above)s and "
            "below zero in %(below)s of %(count)s analyses; the interval excludes zero in %(apart)s.",
            above=language.number(verdict.above),
            below=language.number(verdict.below),
            count=count,
            apart=language.number(verdict.apart_above + verdict.apart_below),
        )
        return " ".join([told, *_missing(verdict, language)])
    told = language.gettext(
        "The sign holds in %(same)s of %(count)s analyses; the interval excludes zero in %(apart)s.",
        same=language.number(verdict.same_sign),
        count=count,
        apart=language.number(verdict.apart),
    )
    return " ".join([told, *_opposite(verdict, language), *_missing(verdict, language)])


def _opposite(verdict: Verdict, language: Language) -> list[str]:
    if not verdict.apart_opposite:
        return []
    return [
        language.ngettext(
            "In %(count)s, it excludes zero on the other side.",
            "In %(count)s, it excludes zero on the other side.",
            verdict.apart_opposite,
        )
    ]


def _missing(verdict: Verdict, language: Language) -> list[str]:
    missing = verdict.analyses - verdict.computed
    if not missing:
        return []
    return [
        language.ngettext("%(count)s could not be computed.", "%(count)s could not be computed.", missing)
    ]


def span_text(verdict: Verdict, language: Language) -> str:
    """From the lowest difference to the highest, beside the study's own; empty without a result."""
    if verdict.lowest is None or verdict.highest is None or verdict.median is None:
        return ""
    return language.gettext(
        "Differences go from %(lowest)s to %(highest)s percentage points, with a median of %(median)s; the "
        "study’s own is %(own)s.",
        lowest=words.signed(verdict.lowest, 1, language),
        highest=words.signed(verdict.highest, 1, language),
        median=words.signed(verdict.median, 1, language),
        own="–" if verdict.own is None else words.signed(verdict.own, 1, language),
    )


def moves_text(verdict: Verdict, language: Language) -> str:
    """Which choice moves the difference most; empty if no choice can be told from the others."""
    if not verdict.moves:
        return ""
    (first, points), *others = verdict.moves.items()
    told = language.gettext(
        "What moves the difference most is %(choice)s: by %(points)s points on average, all else the same.",
        choice=language.word(_MOVED_BY[first]),
        points=language.number(points, 1),
    )
    then = [f"{language.word(_MOVED_BY[name])} ({language.number(value, 1)})" for name, value in others]
    if not then:
        return told
    return told + " " + language.gettext("Then: %(others)s.", others=", ".join(then))


def level_text(choice: str, row: Mapping[str, Any], language: Language) -> str:
    """The value that an analysis has for a choice.

    :param row: of the table.
    """
    if choice == "counting":
        return _counting(row, language)
    if choice == "min_coverage":
        return words.share_text(row["min_coverage"], 1, language)
    if choice == "without_speech":
        return language.gettext("left out") if row["without_speech"] else language.gettext("counted")
    if row["every"] == 1:
        return language.gettext("all")
    return language.gettext("one in %(count)s", count=language.number(row["every"]))


def _counting(row: Mapping[str, Any], language: Language) -> str:
    if row["counted"] == PROBABILITY:
        return language.gettext("mean probability of happy")
    if row["counted"] == EPISODES:
        return language.gettext(
            "episodes of %(seconds)s\u00a0s or longer, from %(enter)s down to %(leave)s",
            seconds=language.plain(row["min_duration_s"]),
            enter=language.plain(row["enter"]),
            leave=language.plain(row["leave"]),
        )
    if row["smoothing_s"] is None:
        return language.gettext("happy most likely, sample by sample")
    return language.gettext(
        "happy most likely, smoothed over %(seconds)s\u00a0s", seconds=language.plain(row["smoothing_s"])
    )
