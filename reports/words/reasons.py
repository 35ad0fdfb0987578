"""Reasons in the page's language: of a session's state, of a missing result, and findings on a recording.

Frequent messages of the operating system and of FFmpeg are translated. Others are shown as they are, and the
page marks them as English.
"""

from collections.abc import Iterable
from functools import reduce

from markupsafe import Markup, escape

from pipeline.reasons import DECIMALS, Reason, Value, from_sentence, sentence
from reports.words.labels import GROUP_WORDS
from reports.words.language import SOURCE, Language, marked
from reports.words.study import measure_label

_TWO = marked("%(one)s; %(other)s")
_MESSAGE = marked("message “%(text)s”")

_SYSTEM_MESSAGES = {
    # of a file or a disk
    "No such file or directory": marked("No such file or directory"),
    "Permission denied": marked("Permission denied"),
    "Operation not permitted": marked("Operation not permitted"),
    "Is a directory": marked("Is a directory"),
    "Not a directory": marked("Not a directory"),
    "No space left on device": marked("No space left on device"),
    "Disk quota exceeded": marked("Disk quota exceeded"),
    "Read-only file system": marked("Read-only file system"),
    "Input/output error": marked("Input/output error"),
    "Stale file handle": marked("Stale file handle"),
    "File name too long": marked("File name too long"),
    "Too many open files": marked("Too many open files"),
    "Cannot allocate memory": marked("Cannot allocate memory"),
    # of FFmpeg
    "Invalid data found when processing input": marked("Invalid data found when processing input"),
    "End of file": marked("End of file"),
    "Decoder not found": marked("Decoder not found"),
    "Invalid argument": marked("Invalid argument"),
}


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


def result_reason(sentence: str, language: Language) -> str:
    """The reason of a missing result, from the English sentence of a table; as :func:`reasons_text`."""
    return reason_text(from_sentence(sentence), language) if sentence else ""


def by_reason(rows: Iterable[tuple[str, str]], language: Language) -> list[tuple[str, list[str]]]:
    """Reasons of missing results, each once, with what has it.

    :param rows: English sentence, or nothing where there is a result; and what it is of.
    """
    found: dict[str, list[str]] = {}
    for text, what in rows:
        if text:
            found.setdefault(text, []).append(what)
    return [(result_reason(text, language), what) for text, what in found.items()]


def _translated(reason: Reason, language: Language) -> Markup:
    if reason.code == "text":
        return _message(str(reason), language)
    text = escape(language.word(reason.text))
    return text % {name: _written(name, value, language) for name, value in reason.values.items()}


def _message(text: str, language: Language) -> Markup:
    if text in _SYSTEM_MESSAGES:
        return escape(language.word(_SYSTEM_MESSAGES[text]))
    shown = Markup('<span lang="en">{}</span>').format(text)
    return escape(language.word(_MESSAGE)) % {"text": shown}


def _written(name: str, value: Value, language: Language) -> str:
    if isinstance(value, Reason):
        return _translated(value, language)
    if isinstance(value, float):
        decimals = DECIMALS[name]
        return language.plain(value) if decimals is None else language.number(value, decimals)
    if name == "fault":
        return language.word(str(value))
    if name == "groups":
        return language.listed(
            [language.word(GROUP_WORDS.get(of, of)).lower() for of in str(value).split(", ")]
        )
    if name == "measure":
        measure, _, of = str(value).partition(" ")
        return measure_label(measure, of, language)
    return str(value)
