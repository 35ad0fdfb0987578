"""The numbers of an evaluation in words, as plain text: templates must escape it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from reports.words.formatting import NBSP
from reports.words.labels import EMOTION_ORDER, EMOTION_WORDS, in_words
from reports.words.language import Language, marked

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


@dataclass(frozen=True)
class Format:
    """The numbers of an evaluation in a language."""

    language: Language

    def percent(self, share: float | None, digits: int = 1) -> str:
        """``65.1 %``; ``–`` for none and NaN."""
        if share is None or math.isnan(share):
            return "–"
        return f"{self.language.number(100 * share, digits)}{NBSP}%"

    def number(self, value: float | None, digits: int = 0) -> str:
        """``0.045``; ``–`` for none and NaN."""
        return "–" if value is None or math.isnan(value) else self.language.number(value, digits)

    def interval(self, found: Values, digits: int = 1) -> str:
        """``63.6 to 66.7 %``."""
        low, high = self.number(100 * found["low"], digits), self.percent(found["high"], digits)
        return self.language.gettext("%(low)s to %(high)s", low=low, high=high)

    def faces(self, count: int) -> str:
        """``1 face``, ``1,200 faces``."""
        return self.language.ngettext("%(count)s\u00a0face", "%(count)s\u00a0faces", count)

    def corruption(self, text: str) -> str:
        """The name or the unit of a corruption."""
        return self.language.word(CORRUPTION_WORDS.get(text, text))


CORRUPTION_WORDS = {
    "blur": marked("blur"),
    "σ, px of 48": marked("σ, px of 48"),
    "darkness": marked("darkness"),
    "share of the light": marked("share of the light"),
    "low resolution": marked("low resolution"),
    "px of the side": marked("px of the side"),
    "compression": marked("compression"),
    "JPEG quality": marked("JPEG quality"),
    "rotation": marked("rotation"),
    "degrees": marked("degrees"),
    "occlusion": marked("occlusion"),
    "share of the area": marked("share of the area"),
}
"""Names and units of :data:`emonext.corruptions.CORRUPTIONS`."""


def head_in_use(found: Values) -> str:
    """The program reads the head for people's votes where the weights have one."""
    heads = {reading["head"] for reading in found["readings"]}
    return "votes" if "votes" in heads or not heads else "labels"


def key_reading(found: Values) -> Values | None:
    """The head in use, against people's majority if it learnt from people; what robustness is measured by."""
    ranked = [("votes", "majority"), ("votes", "labels"), ("labels", "labels"), ("labels", "majority")]
    readings = {(reading["head"], reading["truth"]): reading for reading in found["readings"]}
    return next((readings[pair] for pair in ranked if pair in readings), None)


def heading(found: Values, reading: Values, language: Language) -> Heading:
    """What to call a reading; also one of a video."""
    truth = language.word(_TRUTHS[reading["truth"]])
    head = language.word(_HEADS[reading["head"]])
    if reading["head"] == head_in_use(found):
        head = language.gettext("%(head)s (in use)", head=head)
    key = key_reading(found)
    is_key = key is not None and (key["head"], key["truth"]) == (reading["head"], reading["truth"])
    return Heading(truth, head, is_key)


_TRUTHS = {
    "labels": marked("The set’s labels"),
    "majority": marked("Majority of ten people’s votes"),
}
_HEADS = {"labels": marked("head that learnt labels"), "votes": marked("head for people’s votes")}


def key_sentence(found: Values, language: Language) -> str:
    """The evaluation in one sentence."""
    reading, shown = key_reading(found), Format(language)
    if reading is None:
        return language.gettext(
            "No face of this set has a known expression, so nothing can be said about “%(weights)s”.",
            weights=found["weights"],
        )
    values = {
        "weights": found["weights"],
        "share": shown.percent(reading["accuracy"]["value"]),
        "faces": shown.faces(reading["count"]),
        "interval": shown.interval(reading["accuracy"]),
    }
    if reading["truth"] == "majority":
        return language.gettext(
            "“%(weights)s” reads %(share)s of %(faces)s as most of ten people do (95\u00a0%% interval "
            "%(interval)s).",
            **values,
        )
    return language.gettext(
        "“%(weights)s” reads %(share)s of %(faces)s as they are labelled (95\u00a0%% interval %(interval)s).",
        **values,
    )


def mistakes(reading: Values, language: Language) -> list[str]:
    """The most frequent: ``sad read as neutral (17 faces)``."""
    counts, looks = confusion(reading), in_words(EMOTION_WORDS, language)
    wrong = [
        (counts[true][chosen], true, chosen)
        for true, chosen in product(EMOTION_ORDER, EMOTION_ORDER)
        if true != chosen and counts[true][chosen]
    ]
    worst = sorted(wrong, key=lambda one: -one[0])[:MISTAKES]
    return [
        language.gettext(
            "%(truth)s read as %(chosen)s (%(faces)s)",
            truth=looks[true],
            chosen=looks[chosen],
            faces=Format(language).faces(count),
        )
        for count, true, chosen in worst
    ]


def confusion(reading: Values) -> dict[str, dict[str, int]]:
    """true class → predicted class → faces."""
    labels: Sequence[str] = list(reading["recall"])
    return {
        true: dict(zip(labels, row, strict=True))
        for true, row in zip(labels, reading["confusion"], strict=True)
    }
