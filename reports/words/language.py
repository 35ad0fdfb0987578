"""The languages of the pages: texts by gettext, and the formats of numbers, lists and dates.

Templates and modules contain English. Translations are in ``reports/locale/<language>/*.po``, one file per
page; texts of several pages are in ``common.po``.
"""

import gettext
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date as Date
from datetime import datetime
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from io import BytesIO
from typing import Any, Literal

from babel import Locale
from babel.dates import format_date, format_skeleton, format_time
from babel.lists import format_list
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

from reports.errors import ReportError

SOURCE = "en"
LOCALES = {SOURCE: "en_GB", "fr": "fr_FR"}
"""A language's name, as ``--lang`` and ``<html lang>`` give it, and whose numbers and dates it has."""


def marked(text: str) -> str:
    """Mark a text for translation; return it unchanged."""
    return text


def counted(one: str, many: str) -> tuple[str, str]:
    """Mark both forms of a text with a number for translation; return them unchanged."""
    return one, many


@dataclass(frozen=True, eq=False)
class Language:
    """One language; as :func:`language` returns it, the same object each time.

    :param name: a key of :data:`LOCALES`.
    """

    name: str
    locale: Locale
    translations: gettext.NullTranslations

    def gettext(self, text: str, **values: Any) -> str:
        """The text in this language, ``%(name)s`` replaced; a percent sign is written ``%%``."""
        return self.translations.gettext(text) % values

    def ngettext(self, one: str, many: str, count: int, **values: Any) -> str:
        """The form that goes with a number, ``%(count)s`` and others replaced."""
        return self.translations.ngettext(one, many, count) % {"count": self.number(count), **values}

    def word(self, text: str) -> str:
        """A :func:`marked` text, in which nothing is replaced."""
        return self.translations.gettext(text)

    def number(self, value: float, digits: int = 0) -> str:
        """``1,234`` or ``0.3``; in French ``1 234`` and ``0,3``."""
        # nothing is neither above nor below zero
        return format_decimal(round(value, digits) or 0, f"#,##0.{'0' * digits}".rstrip("."), self.locale)

    def plain(self, value: float) -> str:
        """At most two decimals, and none that is zero: ``29.97``, ``5``."""
        return format_decimal(value, "#,##0.##", self.locale)

    def listed(self, parts: Sequence[str]) -> str:
        """``happy, sad and afraid``."""
        return format_list(parts, "standard", self.locale)

    def date(self, day: Date) -> str:
        """``Monday 2 March 2026``."""
        return self._day(day, "full").replace(",", "")

    def long_date(self, day: Date) -> str:
        """``2 March 2026``."""
        return self._day(day, "long")

    def short_date(self, day: Date) -> str:
        """``2 Mar 2026``."""
        return self._day(day, "medium")

    def day_and_month(self, day: Date) -> str:
        """``2 Mar``."""
        return self._with_ordinal(format_skeleton("MMMd", day, locale=self.locale))

    def _day(self, day: Date, form: Literal["medium", "long", "full"]) -> str:
        return self._with_ordinal(format_date(day, form, self.locale))

    def _with_ordinal(self, day: str) -> str:
        # Babel's French lacks the one ordinal that it has: le 1er mars
        return re.sub(r"\b1 ", "1er ", day, count=1) if self.locale.language == "fr" else day

    def time(self, moment: datetime) -> str:
        """The time of day: ``14:05``."""
        return format_time(moment, "short", locale=self.locale)


@cache
def language(name: str) -> Language:
    """:raises ReportError: there is none of that name."""
    if name not in LOCALES:
        raise ReportError(f"`language` {name}: there is no such language; choose {' or '.join(LOCALES)}.")
    return Language(name, Locale.parse(LOCALES[name]), _translations(name))


def _translations(name: str) -> gettext.NullTranslations:
    texts = gettext.NullTranslations()
    if name == SOURCE:
        return texts
    for file in reversed(catalogues(name)):
        more = gettext.GNUTranslations(_compiled(file))
        more.add_fallback(texts)
        texts = more
    return texts


def catalogues(name: str) -> list[Traversable]:
    """The files that hold a language's texts."""
    folder = resources.files("reports") / "locale" / name
    return sorted(
        (file for file in folder.iterdir() if file.name.endswith(".po")), key=lambda file: file.name
    )


def _compiled(file: Traversable) -> BytesIO:
    compiled = BytesIO()
    write_mo(compiled, read_po(BytesIO(file.read_bytes())))
    compiled.seek(0)
    return compiled


ENGLISH = language(SOURCE)
"""The language of the sources, and of the pages for raters and of evaluations."""
