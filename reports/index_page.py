"""The page over all sessions of a folder."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from markupsafe import Markup

from pipeline.summary import Summary
from reports import words
from reports.look import STATE_WORDS
from reports.render import content_policy, render, style, write_page


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


def write_index(entries: Iterable[IndexEntry], path: Path) -> Path:
    """Writes the index, in order of patient and session; returns its path.

    :raises pipeline.errors.OutputError: it can't be written.
    """
    return write_page(path, index_page(entries))


def index_page(entries: Iterable[IndexEntry]) -> Markup:
    """The index as HTML."""
    ordered = sorted(entries, key=_patient_and_session)
    patients = [
        (patient, list(rows)) for patient, rows in groupby(ordered, key=lambda entry: entry.patient_id)
    ]
    return render(
        "index.html",
        patients=patients,
        overview=_overview(ordered, len(patients)),
        reason_text=words.sentence,
        too_little=words.seen_too_little,
        policy=content_policy(),
        style=style(),
    )


def _patient_and_session(entry: IndexEntry) -> tuple[str, str]:
    return entry.patient_id, entry.session_id


def _overview(entries: Sequence[IndexEntry], patients: int) -> str:
    """``4 sessions of 2 patients: 3 done, 1 failed.``"""
    if not entries:
        return "There is no session yet."
    found = Counter(entry.state for entry in entries)
    states = [f"{found[state]} {STATE_WORDS[state].lower()}" for state in STATE_WORDS if found[state]]
    sessions, people = words.count_text(len(entries), "session"), words.count_text(patients, "patient")
    return f"{sessions} of {people}: {', '.join(states)}."
