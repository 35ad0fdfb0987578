"""Format the numbers of a study's results as in a paper."""

from reports.words import formatting as words
from reports.words.labels import EMOTION_WORDS
from reports.words.language import Language, marked

_MEASURES = {
    ("share", "positive"): marked("Positive share"),
    ("share", "neutral"): marked("Neutral share"),
    ("share", "negative"): marked("Negative share"),
    ("valence", ""): marked("Valence"),
    ("coverage", ""): marked("Coverage"),
    **{
        ("share_without_speech", of): marked("… without speech") for of in ("positive", "neutral", "negative")
    },
}


def measure_label(measure: str, of: str, language: Language) -> str:
    """What was measured; whatever a study adds is shown by its name in the table."""
    if (measure, of) in _MEASURES:
        return language.word(_MEASURES[measure, of])
    return f"{measure}, {language.word(EMOTION_WORDS.get(of, of))}" if of else measure


def interval(
    value: float | None,
    low: float | None,
    high: float | None,
    unit: str,
    language: Language,
    digits: int | None = None,
) -> str:
    """``+3.4 (1.2 to 5.6)``: in % with one decimal, else with two."""
    if value is None:
        return "–"
    decimals = (1 if unit == "%" else 2) if digits is None else digits
    shown = words.signed(value, decimals, language)
    if low is None or high is None:
        return shown
    ends = (words.signed(end, decimals, language) for end in (low, high))
    return language.gettext(
        "%(value)s (%(low)s to %(high)s)", **dict(zip(("low", "high"), ends, strict=True)), value=shown
    )


def p_text(p: float | None, language: Language) -> str:
    """``0.012``, ``< 0.001``."""
    if p is None:
        return "–"
    return f"< {language.number(0.001, 3)}" if p < 0.001 else language.number(p, 3)
