"""The page over all sessions of a folder."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

from markupsafe import Markup

from pipeline.summary import Summary
from reports import words
from reports.assets import INLINE, Assets
from reports.language import ENGLISH, Language
from reports.look import STATE_COUNTS
from reports.reasons import reason_text
from reports.render import render, write_page


@dataclass(frozen=True)
class IndexEntry:
    """One session.

    :param state: ``done``, ``partial``, ``failed`` or ``skipped``. ``reason``: why it is so, or empty.
    :param summary: none where there is no timeline. ``link``: its page, relative to the index, or none.
    """

    patient_id: str
    session_id: str
    state: str
    reason: str
    summary: Summary | None
    link: str | None


def write_index(
    entries: Iterable[IndexEntry], path: Path, language: Language = ENGLISH, assets: Assets = INLINE
) -> Path:
    """Writes the index, in order of patient and session; returns its path.

    :raises pipeline.errors.OutputError: it can't be written.
    """
    return write_page(path, index_page(entries, language, assets))


def index_page(entries: Iterable[IndexEntry], language: Language, assets: Assets) -> Markup:
    """The index as HTML."""
    ordered = sorted(entries, key=_patient_and_session)
    patients = [
        (patient, list(rows)) for patient, rows in groupby(ordered, key=lambda entry: entry.patient_id)
    ]
    return render(
        "index.html",
        language,
        patients=patients,
        overview=_overview(ordered, len(patients), language),
        reason_text=partial(reason_text, language=language),
        too_little=words.seen_too_little,
        **assets.of_page(with_figures=False),
    )


def _patient_and_session(entry: IndexEntry) -> tuple[str, str]:
    return entry.patient_id, entry.session_id


def _overview(entries: Sequence[IndexEntry], patients: int, language: Language) -> str:
    """``4 sessions of 2 patients: 3 done, 1 failed.``"""
    if not entries:
        return language.gettext("There is no session yet.")
    found = Counter(entry.state for entry in entries)
    counts = [(forms, found[state]) for state, forms in STATE_COUNTS.items() if found[state]]
    return language.gettext(
        "%(sessions)s of %(patients)s: %(states)s.",
        sessions=language.ngettext("%(count)s\u00a0session", "%(count)s\u00a0sessions", len(entries)),
        patients=language.ngettext("%(count)s\u00a0patient", "%(count)s\u00a0patients", patients),
        states=", ".join(language.ngettext(*forms, count) for forms, count in counts),
    )
