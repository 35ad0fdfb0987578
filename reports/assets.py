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

from pipeline.store.files import atomic
from reports.render import PLOTLY_FILE, content_policy, own_script, scripts, style

FOLDER = "assets"
_STYLE_FILE, _DRAW_FILE = "style.css", "draw.js"
MARKS_FILE, SEARCH_FILE = "marks.js", "search.js"
"""By which a figure's marks lead to pages; which searches the index."""

_FILES = (PLOTLY_FILE, _DRAW_FILE, MARKS_FILE, SEARCH_FILE, _STYLE_FILE)


@dataclass(frozen=True)
class Assets:
    """Where a page has its scripts and style from.

    :param folder: relative to the page, ``../assets``; none: they are in the page.
    """

    folder: str | None = None

    def of_page(self, *, with_figures: bool, script: str | None = None) -> dict[str, Any]:
        """What ``page.html`` needs of them.

        :param script: one of the page's own, such as :data:`MARKS_FILE`.
        """
        own = (script,) if script else ()
        if self.folder is None:
            within = (*(scripts() if with_figures else ()), *map(own_script, own))
            return {"policy": content_policy(within), "style": style(), "scripts": within}
        names = (*((PLOTLY_FILE, _DRAW_FILE) if with_figures else ()), *own)
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
    own = (own_script(name) for name in (MARKS_FILE, SEARCH_FILE))
    for name, text in zip(_FILES, (*scripts(), *own, style()), strict=True):
        with atomic(reports / FOLDER / name) as partial:
            partial.write_text(text, encoding="utf-8", newline="\n")


def remove_assets(reports: Path) -> None:
    """Removes what :func:`write_assets` wrote; what else is there stays."""
    for name in _FILES:
        (reports / FOLDER / name).unlink(missing_ok=True)
    if (reports / FOLDER).is_dir() and not any((reports / FOLDER).iterdir()):
        (reports / FOLDER).rmdir()
