"""Pages that a command makes once, such as reviews, say so when what they show has changed since."""

import re
from collections.abc import Mapping
from pathlib import Path

from pipeline.records import Ids
from reports.render import write_page

_HIDDEN, _SHOWN = '<p class="outdated" hidden>', '<p class="outdated">'
"""As in the template ``outdated.html``."""

_KEPT = re.compile(r'<meta name="timeline" content="([^/"]+)/([^/"]+)/(\w+)">')


def made_of(digests: Mapping[Ids, str]) -> list[str]:
    """What a page keeps of the sessions that it shows, for :func:`tell_outdated`."""
    return ["/".join([*ids, digest]) for ids, digest in digests.items()]


def shown_sessions(page: Path) -> list[Ids]:
    """The sessions that a page shows; none, if it is not there."""
    return [(patient_id, session_id) for patient_id, session_id, _ in _KEPT.findall(_read(page))]


def tell_outdated(page: Path, digests: Mapping[Ids, str]) -> bool:
    """Show on a page whether one of its sessions has changed since, or is gone.

    :param page: need not be there. ``digests``: of its sessions now.
    :returns: whether the page is there and shows this.
    :raises pipeline.errors.OutputError: the page can't be written.
    """
    html = _read(page)
    kept = {(patient_id, session_id): digest for patient_id, session_id, digest in _KEPT.findall(html)}
    is_current = all(digests.get(ids) == digest for ids, digest in kept.items())
    wrong, right = (_SHOWN, _HIDDEN) if is_current else (_HIDDEN, _SHOWN)
    if kept and wrong in html:
        write_page(page, html.replace(wrong, right, 1))
    return bool(kept) and is_current


def _read(page: Path) -> str:
    try:
        return page.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
