"""The languages of the pages: texts by gettext, and the formats of numbers, lists and dates.

Templates and modules contain English. Translations are in ``reports/locale/<language>/*.po``, one file per
page; texts of several pages are in ``common.po``. A folder is a language; the header of its ``common.po``
(``Language: fr_FR``) names whose numbers and dates it has.
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
from babel.dates import format_date, format_skeleton, format_time, get_time_format
from babel.lists import format_list
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, get_decimal_symbol, get_group_symbol

from reports.errors import ReportError

SOURCE = "en"
_SOURCE_LOCALE = "en_GB"


def marked(text: str) -> str:
    """Mark a text for translation; return it unchanged."""
    return text


def counted(one: str, many: str) -> tuple[str, str]:
    """Mark both forms of a text with a number for translation; return them unchanged."""
    return one, many


@dataclass(frozen=True, eq=False)
class Language:
    """One language; as :func:`language` returns it, the same object each time.

    :param name: one of :func:`languages`, as ``--lang`` and ``<html lang>`` give it.
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

    @property
    def separators(self) -> str:
        """The decimal mark and the mark of thousands, as Plotly takes them: ``.,``."""
        return get_decimal_symbol(self.locale) + get_group_symbol(self.locale)

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

    def time(self, moment: datetime, unit: Literal["minute", "second", "hundredth"] = "minute") -> str:
        """The time of day: ``14:05``, ``14:05:09`` or ``14:05:09.25``."""
        if unit == "hundredth":
            seconds = f"ss'{get_decimal_symbol(self.locale)}'SS"
            return format_time(moment, str(get_time_format("medium", self.locale)).replace("ss", seconds))
        return format_time(moment, "short" if unit == "minute" else "medium", locale=self.locale)


def languages() -> list[str]:
    """The names: English, then that of each folder of translations."""
    folders = sorted(folder.name for folder in _translated().iterdir() if (folder / _COMMON).is_file())
    return [SOURCE, *folders]


@cache
def language(name: str) -> Language:
    """:raises ReportError: there is none of that name."""
    if name not in languages():
        raise ReportError(f"`language` {name}: there is no such language; choose {' or '.join(languages())}.")
    if name == SOURCE:
        return Language(name, Locale.parse(_SOURCE_LOCALE), gettext.NullTranslations())
    return Language(name, _locale(name), _translations(name))


def _locale(name: str) -> Locale:
    found = _read(_translated() / name / _COMMON).locale
    if found is None:
        raise ReportError(f"reports/locale/{name}/{_COMMON}: its header names no language.")
    return found


def _translations(name: str) -> gettext.NullTranslations:
    texts = gettext.NullTranslations()
    for file in reversed(catalogues(name)):
        more = gettext.GNUTranslations(_compiled(file))
        more.add_fallback(texts)
        texts = more
    return texts


def catalogues(name: str) -> list[Traversable]:
    """The files that hold a language's texts."""
    files = (file for file in (_translated() / name).iterdir() if file.name.endswith(".po"))
    return sorted(files, key=lambda file: file.name)


_COMMON = "common.po"


def _translated() -> Traversable:
    return resources.files("reports") / "locale"


def _read(file: Traversable) -> Catalog:
    return read_po(BytesIO(file.read_bytes()))


def _compiled(file: Traversable) -> BytesIO:
    compiled = BytesIO()
    write_mo(compiled, _read(file))
    compiled.seek(0)
    return compiled


ENGLISH = language(SOURCE)
"""The language of the sources."""
