"""The numbers of an evaluation in words, as plain text: templates must escape it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from reports.words import formatting as words
from reports.words.formatting import NBSP
from reports.words.labels import EMOTION_ORDER, EMOTION_WORDS

Values = Mapping[str, Any]
"""One object of the evaluation's JSON."""

MISTAKES = 3
"""So many of a matrix's most frequent mistakes are named."""


@dataclass(frozen=True)
class Heading:
    """What a reading is called: ``The set’s labels``, ``head that learnt labels``.

    :param is_key: it is the reading that the page's first sentence gives.
    """

    truth: str
    head: str
    is_key: bool

    def __str__(self) -> str:
        return f"{self.truth}, {self.head}"


def percent(share: float | None, digits: int = 1) -> str:
    """``65.1 %``; ``–`` for none and NaN."""
    return "–" if share is None or math.isnan(share) else f"{100 * share:.{digits}f}{NBSP}%"


def number(value: float | None, digits: int) -> str:
    """``0.045``; ``–`` for none and NaN."""
    return "–" if value is None or math.isnan(value) else f"{value:,.{digits}f}"


def interval(found: Values, digits: int = 1) -> str:
    """``63.6 to 66.7 %``."""
    return f"{number(100 * found['low'], digits)} to {percent(found['high'], digits)}"


def head_in_use(found: Values) -> str:
    """The program reads the head for people's votes where the weights have one."""
    heads = {reading["head"] for reading in found["readings"]}
    return "votes" if "votes" in heads or not heads else "labels"


def key_reading(found: Values) -> Values | None:
    """The head in use, against people's majority if it learnt from people; what robustness is measured by."""
    ranked = [("votes", "majority"), ("votes", "labels"), ("labels", "labels"), ("labels", "majority")]
    readings = {(reading["head"], reading["truth"]): reading for reading in found["readings"]}
    return next((readings[pair] for pair in ranked if pair in readings), None)


def heading(found: Values, reading: Values) -> Heading:
    """What to call a reading; also one of a video."""
    truth = "The set’s labels" if reading["truth"] == "labels" else "Majority of ten people’s votes"
    head = "head that learnt labels" if reading["head"] == "labels" else "head for people’s votes"
    if reading["head"] == head_in_use(found):
        head += " (in use)"
    key = key_reading(found)
    is_key = key is not None and (key["head"], key["truth"]) == (reading["head"], reading["truth"])
    return Heading(truth, head, is_key)


def key_sentence(found: Values) -> str:
    """The evaluation in one sentence."""
    reading = key_reading(found)
    if reading is None:
        return (
            f"No face of this set has a known expression, so nothing can be said about “{found['weights']}”."
        )
    truth = "as most of ten people do" if reading["truth"] == "majority" else "as they are labelled"
    return (
        f"“{found['weights']}” reads {percent(reading['accuracy']['value'])} of "
        f"{words.count_text(reading['count'], 'face')} {truth} "
        f"(95{NBSP}% interval {interval(reading['accuracy'])})."
    )


def mistakes(reading: Values) -> list[str]:
    """The most frequent: ``sad read as neutral (17 faces)``."""
    counts = confusion(reading)
    wrong = [
        (counts[true][chosen], true, chosen)
        for true, chosen in product(EMOTION_ORDER, EMOTION_ORDER)
        if true != chosen and counts[true][chosen]
    ]
    worst = sorted(wrong, key=lambda one: -one[0])[:MISTAKES]
    return [
        f"{EMOTION_WORDS[true]} read as {EMOTION_WORDS[chosen]} ({words.count_text(count, 'face')})"
        for count, true, chosen in worst
    ]


def confusion(reading: Values) -> dict[str, dict[str, int]]:
    """true class → predicted class → faces."""
    labels: Sequence[str] = list(reading["recall"])
    return {
        true: dict(zip(labels, row, strict=True))
        for true, row in zip(labels, reading["confusion"], strict=True)
    }
