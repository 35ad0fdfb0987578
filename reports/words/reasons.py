"""Reasons of a session's state, and findings about a recording, in the page's language.

Messages of the operating system and of FFmpeg stay in English, and the page marks them as English.
"""

from collections.abc import Iterable
from functools import reduce

from markupsafe import Markup, escape

from pipeline.reasons import DECIMALS, Reason, Value, sentence
from reports.words.language import SOURCE, Language, marked

_TWO = marked("%(one)s; %(other)s")


def reasons_text(reasons: Iterable[Reason], language: Language) -> str:
    """Several reasons as one text; empty without a reason.

    :returns: safe to be shown: what is no ``Markup`` is escaped by the template.
    """
    if language.name == SOURCE:
        return sentence(reasons)
    joined = escape(language.word(_TWO))
    texts = [_translated(reason, language) for reason in reasons]
    return reduce(lambda one, other: joined % {"one": one, "other": other}, texts) if texts else ""


def reason_text(reason: Reason | None, language: Language) -> str:
    """One reason, as :func:`reasons_text`."""
    return reasons_text(() if reason is None else (reason,), language)


def _translated(reason: Reason, language: Language) -> Markup:
    if reason.code == "text":
        return Markup('<span lang="en">{}</span>').format(str(reason))
    text = escape(language.word(reason.text))
    return text % {name: _written(name, value, language) for name, value in reason.values.items()}


def _written(name: str, value: Value, language: Language) -> str:
    if isinstance(value, Reason):
        return _translated(value, language)
    if not isinstance(value, float):
        return language.word(value) if name == "fault" and isinstance(value, str) else str(value)
    decimals = DECIMALS[name]
    return language.plain(value) if decimals is None else language.number(value, decimals)
