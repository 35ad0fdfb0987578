"""How a folder's pages are made, and how they were made last."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reports.assets import FOLDER, INLINE, Assets, has_assets
from reports.words.language import LOCALES, SOURCE

_LANGUAGE = re.compile(r'<html lang="(\w+)"')
_BEGINNING = 200


@dataclass(frozen=True)
class ReportOptions:
    """How pages are made.

    :param language: a key of :data:`reports.words.language.LOCALES`.
    :param assets: scripts and style in each page, or once in ``reports/assets/``.
    :param thumbnails: small pictures of moments: none, with all faces blurred, or with the patient's shown.
    """

    language: str = SOURCE
    assets: Literal["inline", "shared"] = "inline"
    thumbnails: Literal["off", "blur", "plain"] = "off"

    def assets_of(self, folders_up: int) -> Assets:
        """Those of a page so many folders below ``reports/``."""
        return Assets("../" * folders_up + FOLDER) if self.assets == "shared" else INLINE


def last_options(out: Path) -> ReportOptions:
    """As the folder's pages were made last, or else the defaults: a page made anew stays as it was.

    But pictures of faces come only where they are asked for.
    """
    reports = out / "reports"
    try:
        with (reports / "index.html").open(encoding="utf-8", errors="replace") as index:
            found = _LANGUAGE.search(index.read(_BEGINNING))
    except OSError:
        return ReportOptions()
    language = found[1] if found and found[1] in LOCALES else SOURCE
    return ReportOptions(language, "shared" if has_assets(reports) else "inline")
