"""Pages that a command makes once, such as reviews, say so when a session has changed since."""

import re
from collections.abc import Mapping
from pathlib import Path

from pipeline.records import Ids
from pipeline.store.timeline import Timeline, reading_digest
from reports.render import write_page

_HIDDEN, _SHOWN = '<p class="outdated" hidden>', '<p class="outdated">'
"""As in the template ``outdated.html``."""


def made_of(digests: Mapping[Ids, str]) -> list[str]:
    """What a page keeps of the timelines that it shows, for :func:`tell_outdated`.

    :param digests: of :func:`pipeline.store.timeline.reading_digest`.
    """
    return ["/".join([*ids, digest]) for ids, digest in digests.items()]


def tell_outdated(page: Path, ids: Ids, timeline: Timeline) -> bool:
    """Show on a page that the session has changed since.

    :param page: need not be there. ``timeline``: of the session now.
    :returns: whether the page is there and shows this timeline.
    :raises pipeline.errors.OutputError: the page can't be written.
    """
    try:
        html = page.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    kept = re.search(rf'<meta name="timeline" content="{re.escape("/".join(ids))}/(\w+)">', html)
    if kept is None or kept[1] == reading_digest(timeline):
        return kept is not None
    if _HIDDEN in html:
        write_page(page, html.replace(_HIDDEN, _SHOWN, 1))
    return False
