"""Format the numbers of a study's results as in a paper."""

from reports.study_data import Study
from reports.words import formatting as words
from reports.words.labels import EMOTION_WORDS, condition_word
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


# --- the methods in short


def methods_summary(study: Study, language: Language) -> list[str]:
    """How sessions were read and conditions compared; the whole text is for papers, in English."""
    return [" ".join([_read(study, language), *_compared(study, language)]), _limits(language)]


def _read(study: Study, language: Language) -> str:
    rates = language.listed([language.plain(float(rate)) for rate in study.made["sample_fps"]])
    settings = study.about["settings"]
    return language.gettext(
        "Each video was read at %(rates)s images per second; the classifier gave each readable face of the "
        "patient the probabilities of seven expressions. Shares are of the time in which the face could be "
        "read. Sessions count of which at least %(coverage)s and %(seconds)s\u00a0s could be read, and "
        "episodes of %(episode)s\u00a0s or longer.",
        rates=rates,
        coverage=words.share_text(settings["min_coverage"], 1.0, language),
        seconds=language.plain(settings["min_observed_s"]),
        episode=language.plain(settings["episodes.min_duration_s"]),
    )


def _compared(study: Study, language: Language) -> list[str]:
    table = study.tables.get("conditions")
    if table is None or not table["difference"].count():
        return []
    return [
        language.gettext(
            "Conditions were compared with “%(reference)s” by mixed models, patients with themselves; p is "
            "by permutation, corrected for the number of tests (Holm).",
            reference=condition_word(table["reference"][0], language),
        )
    ]


def _limits(language: Language) -> str:
    return language.gettext(
        "All numbers are automated estimates of what a face shows, not of what a person feels."
    )
