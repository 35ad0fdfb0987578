"""How a folder's pages are made, and how they were made last."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.store.files import atomic
from reports.assets import FOLDER, INLINE, Assets
from reports.words.language import LOCALES, SOURCE

_FILE = "options.json"


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
    try:
        stored = json.loads((out / "reports" / _FILE).read_text("utf-8"))
        language, assets = stored["language"], stored["assets"]
        if language in LOCALES and assets in ("inline", "shared"):
            return ReportOptions(language, assets)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        pass
    return ReportOptions()


def write_options(out: Path, options: ReportOptions) -> None:
    """Stores the options for :func:`last_options`.

    :raises pipeline.errors.OutputError: the file can't be written.
    """
    with atomic(out / "reports" / _FILE) as partial:
        partial.write_text(json.dumps({"language": options.language, "assets": options.assets}), "utf-8")
