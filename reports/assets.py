"""Scripts and style of the pages: inline in each page, or shared in one folder.

A page runs only these scripts. Inline scripts are allowed by their sha256. Browsers do not check the sha256
of files opened from disk, so shared scripts are allowed by a nonce: a random word per page, which injected
data can't know.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pipeline.store.files import atomic
from reports.render import PLOTLY_FILE, content_policy, own_script, scripts, style

FOLDER = "assets"
_STYLE_FILE, _DRAW_FILE = "style.css", "draw.js"
MARKS_FILE, INDEX_FILE = "marks.js", "index.js"
"""Scripts that link a figure's marks to pages, and that filter the index."""


PLAYER_FILES = ("player.js", "choices.js", "markers.js")
"""Scripts of a page with a video: they play it beside the timeline, and keep what a person marks there."""

NO_MEDIA = "'none'"
MEDIA = "'self' file:"
"""Where a page's videos may come from: nowhere, or files of this computer."""

_OWN = (MARKS_FILE, INDEX_FILE, *PLAYER_FILES)
_FILES = (PLOTLY_FILE, _DRAW_FILE, *_OWN, _STYLE_FILE)


@dataclass(frozen=True)
class Assets:
    """Location of a page's scripts and style.

    :param folder: relative to the page, such as ``../assets``; ``None``: inline.
    """

    folder: str | None = None

    def of_page(
        self, *, with_figures: bool, own: Sequence[str] = (), media: str = NO_MEDIA
    ) -> dict[str, Any]:
        """Values for ``page.html``.

        :param own: the page's own scripts, such as :data:`MARKS_FILE`.
        :param media: where the page's videos may come from.
        """
        if self.folder is None:
            within = (*(scripts() if with_figures else ()), *map(own_script, own))
            return {"policy": content_policy(within, media), "style": style(), "scripts": within}
        names = (*((PLOTLY_FILE, _DRAW_FILE) if with_figures else ()), *own)
        nonce = secrets.token_urlsafe(16)
        return {
            "policy": content_policy(media=media, nonce=nonce),
            "style": Markup(),
            "style_file": f"{self.folder}/{_STYLE_FILE}",
            "script_files": [f"{self.folder}/{name}" for name in names],
            "nonce": nonce,
        }


INLINE = Assets()


def write_assets(reports: Path) -> None:
    """Write scripts and style to ``assets/``.

    :raises pipeline.errors.OutputError: a file can't be written.
    """
    own = map(own_script, _OWN)
    for name, text in zip(_FILES, (*scripts(), *own, style()), strict=True):
        with atomic(reports / FOLDER / name) as partial:
            partial.write_text(text, encoding="utf-8", newline="\n")


def remove_assets(reports: Path) -> None:
    """Remove the files of :func:`write_assets`; other files stay."""
    for name in _FILES:
        (reports / FOLDER / name).unlink(missing_ok=True)
    if (reports / FOLDER).is_dir() and not any((reports / FOLDER).iterdir()):
        (reports / FOLDER).rmdir()
