"""Options of a folder's pages, and the last options."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pipeline.store.files import atomic
from reports.assets import FOLDER, INLINE, Assets
from reports.words.language import SOURCE, Language, language, languages

MANY_SESSIONS = 20
"""Pages with their own scripts and style, 1.2 MB each, make larger folders slow to write and to copy."""

_FILE = "options.json"


@dataclass(frozen=True)
class ReportOptions:
    """Options of the pages.

    :param language: one of :func:`reports.words.language.languages`.
    :param assets: scripts and style in each page, or once in ``reports/assets/``; ``auto``: shared in a
        folder of more than :data:`MANY_SESSIONS` sessions.
    :param thumbnails: small pictures of moments: none, with all faces blurred, or with the patient's face
        shown.
    :param video: what pages of sessions play: a blurred copy of ``review``, where there is one; the recording
        itself, with everybody's face and voice; or nothing.
    """

    language: str = SOURCE
    assets: Literal["auto", "inline", "shared"] = "auto"
    thumbnails: Literal["off", "blur", "plain"] = "off"
    video: Literal["copy", "original", "off"] = "copy"

    def of_folder(self, sessions: int) -> "ReportOptions":
        """The options for a folder of this many sessions."""
        if self.assets != "auto":
            return self
        return replace(self, assets="shared" if sessions > MANY_SESSIONS else "inline")

    def assets_of(self, folders_up: int) -> Assets:
        """The assets of a page this many folders below ``reports/``."""
        return Assets("../" * folders_up + FOLDER) if self.assets == "shared" else INLINE


def last_options(out: Path) -> ReportOptions:
    """The last options of the folder's pages, or else the defaults, so that new pages look the same.

    Pictures of faces are never repeated without a new request.
    """
    try:
        stored = json.loads((out / "reports" / _FILE).read_text("utf-8"))
        language, assets, video = stored["language"], stored["assets"], stored.get("video", "copy")
        is_known = assets in ("auto", "inline", "shared") and video in ("copy", "original", "off")
        if is_known and language in languages():
            return ReportOptions(language, assets, video=video)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        pass
    return ReportOptions()


def language_of(out: Path, name: str | None) -> Language:
    """The language of a new page of the folder.

    :param name: ``None``: that of the last pages.
    :raises reports.errors.ReportError: there is none of that name.
    """
    return language(name or last_options(out).language)


def write_options(out: Path, options: ReportOptions) -> None:
    """Stores the options for :func:`last_options`.

    :raises pipeline.errors.OutputError: the file can't be written.
    """
    lasting = {"language": options.language, "assets": options.assets, "video": options.video}
    with atomic(out / "reports" / _FILE) as partial:
        partial.write_text(json.dumps(lasting), "utf-8")
