"""How a folder's pages are made, and how they were made last."""

import re
from dataclasses import dataclass
from pathlib import Path

from reports.language import LOCALES, SOURCE

_LANGUAGE = re.compile(r'<html lang="(\w+)"')
_BEGINNING = 200


@dataclass(frozen=True)
class ReportOptions:
    """How pages are made.

    :param language: a key of :data:`reports.language.LOCALES`.
    """

    language: str = SOURCE


def last_options(out: Path) -> ReportOptions:
    """As the folder's pages were made last, or else the defaults: a page made anew keeps its language."""
    try:
        with (out / "reports" / "index.html").open(encoding="utf-8", errors="replace") as index:
            found = _LANGUAGE.search(index.read(_BEGINNING))
    except OSError:
        return ReportOptions()
    return ReportOptions(found[1]) if found and found[1] in LOCALES else ReportOptions()
