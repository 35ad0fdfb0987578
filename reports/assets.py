"""Where pages have their scripts and style from: within each page, or once beside them.

A page runs these very scripts and no other. Within the page they are allowed by their sha256. A browser
checks no sha256 of a file that is opened from disk, so scripts beside the page are allowed by a nonce: a
random word made for each page, which nothing that got into the page's data can know.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pipeline.timeline import atomic
from reports.render import PLOTLY_FILE, content_policy, scripts, style

FOLDER = "assets"
_STYLE_FILE, _DRAW_FILE = "style.css", "draw.js"


@dataclass(frozen=True)
class Assets:
    """Where a page has its scripts and style from.

    :param folder: relative to the page, ``../assets``; none: they are in the page.
    """

    folder: str | None = None

    def of_page(self, *, with_figures: bool) -> dict[str, Any]:
        """What ``page.html`` needs of them."""
        if self.folder is None:
            within = scripts() if with_figures else ()
            return {"policy": content_policy(within), "style": style(), "scripts": within}
        names = (PLOTLY_FILE, _DRAW_FILE) if with_figures else ()
        nonce = secrets.token_urlsafe(16)
        return {
            "policy": content_policy(nonce=nonce),
            "style": Markup(),
            "style_file": f"{self.folder}/{_STYLE_FILE}",
            "script_files": [f"{self.folder}/{name}" for name in names],
            "nonce": nonce,
        }


INLINE = Assets()


def write_assets(reports: Path) -> None:
    """Puts scripts and style into ``assets/``.

    :raises pipeline.errors.OutputError: they can't be written.
    """
    for name, text in zip((PLOTLY_FILE, _DRAW_FILE, _STYLE_FILE), (*scripts(), style()), strict=True):
        with atomic(reports / FOLDER / name) as partial:
            partial.write_text(text, encoding="utf-8", newline="\n")


def has_assets(reports: Path) -> bool:
    """Whether :func:`write_assets` wrote them there."""
    return (reports / FOLDER / PLOTLY_FILE).is_file()


def remove_assets(reports: Path) -> None:
    """Removes what :func:`write_assets` wrote; what else is there stays."""
    for name in (PLOTLY_FILE, _DRAW_FILE, _STYLE_FILE):
        (reports / FOLDER / name).unlink(missing_ok=True)
    if (reports / FOLDER).is_dir() and not any((reports / FOLDER).iterdir()):
        (reports / FOLDER).rmdir()
