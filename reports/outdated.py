"""Pages that a command makes once, such as reviews, say so when what they show has changed since."""

import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from pipeline.records import Ids
from reports.render import write_page

_HIDDEN, _SHOWN = '<p class="outdated" hidden>', '<p class="outdated">'
"""As in the template ``outdated.html``."""

_KEPT = re.compile(r'<meta name="timeline" content="([^/"]+)/([^/"]+)/(\w+)">')


def made_of(digests: Mapping[Ids, str]) -> list[str]:
    """What a page keeps of the sessions that it shows, for :func:`tell_outdated`."""
    return ["/".join([*ids, digest]) for ids, digest in digests.items()]


def tell_outdated(page: Path, digests_of: Callable[[Collection[Ids]], Mapping[Ids, str]]) -> bool:
    """Show on a page whether one of its sessions has changed since, or is gone.

    :param page: need not be there.
    :param digests_of: returns the digests of the page's sessions now, without those that are gone.
    :returns: whether the page is there and is not outdated.
    :raises pipeline.errors.OutputError: the page can't be written.
    """
    try:
        html = page.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    kept = {(patient_id, session_id): digest for patient_id, session_id, digest in _KEPT.findall(html)}
    if not kept:
        return False
    digests = digests_of(kept.keys())
    is_current = all(digests.get(ids) == digest for ids, digest in kept.items())
    wrong, right = (_SHOWN, _HIDDEN) if is_current else (_HIDDEN, _SHOWN)
    if wrong in html:
        write_page(page, html.replace(wrong, right, 1))
    return is_current
