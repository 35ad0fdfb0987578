"""Agreement between raters and the machine in words, as plain text: templates must escape it."""

from collections.abc import Sequence

from pipeline.agreement.results import (
    Agreement,
    ClipAgreement,
    ClipComparison,
    Comparison,
    StateComparison,
)
from pipeline.agreement.states import MACHINE
from pipeline.stats.reliability import Figure
from pipeline.stats.weighted_share import WeightedShare
from reports.words import formatting as words
from reports.words.labels import EMOTION_WORDS
from reports.words.language import Language, marked
from reports.words.reasons import result_reason

LEVEL_WORDS = {
    "groups": marked("positive, neutral, negative"),
    "emotions": marked("seven expressions"),
}

LABEL_WORDS = {
    **EMOTION_WORDS,
    "positive": marked("positive"),
    "negative": marked("negative"),
    "none": marked("no label"),
    "speaking": marked("speaking"),
    "chewing": marked("chewing"),
    "asleep": marked("asleep"),
    "away": marked("away"),
    "not speaking": marked("not speaking"),
    "not chewing": marked("not chewing"),
    "not asleep": marked("not asleep"),
    "not away": marked("not away"),
}

_READERS = {
    MACHINE: marked("machine"),
    "machine, corrected": marked("machine, corrected"),
    "machine, adapted": marked("machine, adapted"),
    "machine, episodes": marked("machine, episodes"),
    "machine, corrected, episodes": marked("machine, corrected, episodes"),
    "machine, adapted, episodes": marked("machine, adapted, episodes"),
}

_UNITS = {"patients": marked("patients"), "sessions": marked("sessions"), "clips": marked("clips")}

# Kappas on expressions in the first sentence.
_TOLD = 4


def reader_name(name: str, language: Language) -> str:
    """A rater's name, or what the machine's reading is called."""
    return language.word(_READERS[name]) if name in _READERS else name


def lead(found: Agreement, language: Language) -> str:
    """Agreement of the raw reading with each rater, and between raters, on groups and on states."""
    clips = [_clips_lead(found.clips, language)] if found.clips else []
    if found.clips and not (found.comparisons or found.states):
        return clips[0]
    coarse = [one for one in found.comparisons if one.level == "groups"]
    machine = [one for one in coarse if one.first.kind == "samples" and one.first.reading == "raw"]
    people = [one for one in coarse if one.first.kind == "person"]
    sentences = []
    if found.comparisons:
        kappas = [_of_two(one, language) for one in [*machine, *people][:_TOLD]]
        sentences.append(
            language.gettext(
                "On positive, neutral and negative, kappa is %(kappas)s.",
                kappas=language.listed(kappas) or language.gettext("not known"),
            )
        )
    states = [one for one in found.states if one.first == MACHINE]
    known = [one for one in states if one.kappa.value is not None]
    if known:
        kappas = [
            language.gettext(
                "%(kappa)s on %(state)s (with %(who)s)",
                kappa=_kappa(one.kappa, language),
                state=language.word(LABEL_WORDS[one.state]),
                who=one.second,
            )
            for one in known
        ]
        sentences.append(
            language.gettext(
                "Between the machine and people, kappa is %(kappas)s.", kappas=language.listed(kappas)
            )
        )
    return " ".join([*clips, *sentences, _compared(machine or states, language)])


def _of_two(one: Comparison, language: Language) -> str:
    first = language.gettext("the machine (raw)") if one.first.kind == "samples" else one.first.name
    return _between(_kappa(one.kappa, language), first, one.second.name, language)


def _between(value: str, first: str, second: str, language: Language) -> str:
    return language.gettext(
        "%(value)s between %(first)s and %(second)s", value=value, first=first, second=second
    )


def _clips_lead(clips: ClipAgreement, language: Language) -> str:
    """Of all the readable time of the study: the raw reading with each rater, and raters among themselves."""
    coarse = [one for one in clips.comparisons if one.level == "groups"]
    shown = [one for one in coarse if one.first == MACHINE or not one.first.startswith(MACHINE)]
    if not shown:
        return language.gettext("No clip has two answers: nothing could be compared.")
    machine = language.gettext("the machine")
    told = [
        _between(
            _share(one.same, language),
            machine if one.first == MACHINE else one.first,
            one.second,
            language,
        )
        for one in shown[:_TOLD]
    ]
    return language.gettext(
        "On positive, neutral and negative, the answers are the same in %(shares)s, weighted back to the "
        "study’s readable time.",
        shares=language.listed(told),
    )


def _share(one: WeightedShare, language: Language) -> str:
    return f"{percent(one.value, language)} ({ends(one, language)})"


def ends(one: WeightedShare, language: Language) -> str:
    """``55 to 71 %``."""
    return language.gettext(
        "%(low)s to %(high)s", low=language.number(100 * one.low), high=percent(one.high, language)
    )


def more_clips(clips: ClipAgreement | None, one: ClipComparison, language: Language) -> str:
    """How many more clips halve the interval of the same answers."""
    if one.same.more is None:
        return language.gettext(
            "More clips would not halve the interval: the results differ between %(units)s.",
            units=language.word(_UNITS[one.same.over]),
        )
    more = max(round((one.same.more - 1) * one.clips / 10) * 10, 10)
    if clips and clips.drawn + more > clips.of:
        return language.gettext(
            "The study’s %(count)s clips are too few to halve the interval.", count=language.number(clips.of)
        )
    return language.gettext(
        "About %(count)s more clips would halve the interval of the same answers.",
        count=language.number(more),
    )


def units_text(clips: ClipAgreement | None, language: Language) -> str:
    """The units between which the variances are, the largest first."""
    used = {one.same.over for one in clips.comparisons} if clips else set()
    return language.listed([language.word(word) for name, word in _UNITS.items() if name in used])


def _kappa(figure: Figure, language: Language) -> str:
    if figure.value is None:
        return result_reason(figure.why, language)
    span = f" ({interval(figure, language)})" if figure.low is not None else ""
    return f"{number(figure, language)}{span}"


def _compared(comparisons: Sequence[Comparison | StateComparison], language: Language) -> str:
    if not comparisons:
        return language.gettext("Nothing could be compared.")
    most = max(comparisons, key=lambda one: one.seconds)
    values = {
        "seconds": language.number(most.seconds),
        "sessions": language.ngettext("%(count)s\u00a0session", "%(count)s\u00a0sessions", most.sessions),
    }
    if isinstance(most, StateComparison):
        return language.gettext("Compared were %(seconds)s\u00a0s of %(sessions)s.", **values)
    return language.gettext(
        "Compared were %(seconds)s\u00a0s of %(sessions)s, %(share)s of their time.",
        share=percent(most.coverage, language),
        **values,
    )


def number(figure: Figure, language: Language, digits: int = 2) -> str:
    """``0.45``; ``–`` for none."""
    return "–" if figure.value is None else words.signed(figure.value, digits, language).replace("+", "")


def interval(figure: Figure, language: Language) -> str:
    """``0.30 to 0.61``; ``–`` for none."""
    if figure.low is None or figure.high is None:
        return "–"
    low, high = (words.signed(end, 2, language).replace("+", "") for end in (figure.low, figure.high))
    return language.gettext("%(low)s to %(high)s", low=low, high=high)


def percent(part: float | None, language: Language) -> str:
    """``45 %``; ``–`` for none."""
    return "–" if part is None else words.share_text(part, 1.0, language)


def between(low: float | None, high: float | None, language: Language) -> str:
    """Two shares: ``40 % to 52 %``."""
    return language.gettext("%(low)s to %(high)s", low=percent(low, language), high=percent(high, language))
