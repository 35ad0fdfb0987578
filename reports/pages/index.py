"""The index page of all sessions of a folder."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from types import MappingProxyType
from urllib.parse import quote

from markupsafe import Markup

from pipeline.analysis.longitudinal import PatientHistory
from pipeline.reasons import Reason
from pipeline.store.coverage import Summary
from reports.assets import SEARCH_FILE, Assets
from reports.render import render
from reports.words import formatting as words
from reports.words.labels import STATE_COUNTS
from reports.words.language import Language
from reports.words.reasons import reasons_text


@dataclass(frozen=True)
class IndexEntry:
    """One session.

    :param state: ``done``, ``partial``, ``failed`` or ``skipped``. ``reasons``: may be empty.
    :param summary: in the reading of the session's page; ``None`` without a timeline.
    :param link: the session's page, relative to the index, or ``None``.
    :param enough: whether coverage is high enough for shares.
    """

    patient_id: str
    session_id: str
    state: str
    reasons: tuple[Reason, ...]
    summary: Summary | None
    link: str | None
    enough: bool = False


@dataclass(frozen=True)
class Picture:
    """A patient's balance, 200 wide and 40 high; the line is broken where too little was seen."""

    label: str
    lines: tuple[str, ...]
    dots: tuple[tuple[str, str], ...]


MAX_OPEN = 40
"""Of more sessions than this the lists are folded, so that a study's patients are seen at one look."""

MAX_DOTS = 20
"""Of more sessions than this the small picture is a line without marks."""


def index_page(
    entries: Iterable[IndexEntry],
    language: Language,
    assets: Assets,
    histories: Mapping[str, PatientHistory] = MappingProxyType({}),
    *,
    has_study: bool = False,
) -> Markup:
    """The index as HTML, in order of patient and session.

    :param histories: of the patients who have a page of their own. ``has_study``: the study has one.
    """
    ordered = sorted(entries, key=_patient_and_session)
    groups = [(patient, list(rows)) for patient, rows in groupby(ordered, key=lambda entry: entry.patient_id)]
    return render(
        "index.html",
        language,
        patients=[
            {
                "id": patient,
                "link": f"{quote(patient)}/index.html" if patient in histories else None,
                "picture": _picture(histories[patient], language) if patient in histories else None,
                "overview": _read(rows, language),
                "sessions": _states(rows, language),
                "entries": rows,
            }
            for patient, rows in groups
        ],
        overview=_overview(ordered, len(groups), language),
        open=len(ordered) <= MAX_OPEN,
        study_link="study.html" if has_study else None,
        reasons_text=partial(reasons_text, language=language),
        **assets.of_page(with_figures=False, own=[SEARCH_FILE] if ordered else ()),
    )


def _picture(history: PatientHistory, language: Language) -> Picture | None:
    """In the reading of the patient's page; none where no session was seen enough."""
    balances = [visit.own_balance.value if visit.own_balance else None for visit in history.visits]
    seen = [balance for balance in balances if balance is not None]
    if not seen:
        return None
    reach = max(0.2, *map(abs, seen))
    step = 190 / max(len(balances) - 1, 1)
    places = [
        None if balance is None else (f"{5 + step * k:.1f}", f"{20 - 17 * balance / reach:.1f}")
        for k, balance in enumerate(balances)
    ]
    lines = [[place for place in run if place] for drawn, run in groupby(places, key=bool) if drawn]
    above = sum(balance > 0 for balance in seen)
    return Picture(
        label=language.ngettext(
            "Balance in %(count)s session: above the middle, more positive than negative, in %(above)s.",
            "Balance in %(count)s sessions: above the middle, more positive than negative, in %(above)s.",
            len(seen),
            above=language.number(above),
        ),
        lines=tuple(" ".join(",".join(place) for place in run) for run in lines if len(run) > 1),
        dots=tuple(place for run in lines for place in run if len(run) == 1 or len(balances) <= MAX_DOTS),
    )


def _read(rows: Sequence[IndexEntry], language: Language) -> str:
    """How much of a patient's sessions could be read."""
    found = [row.summary for row in rows if row.summary is not None]
    if not found:
        return ""
    share = words.share_text(sum(s.observed_s for s in found), sum(s.duration_s for s in found), language)
    return language.gettext("Face could be read for %(share)s of the time", share=share)


def _patient_and_session(entry: IndexEntry) -> tuple[str, str]:
    return entry.patient_id, entry.session_id


def _overview(entries: Sequence[IndexEntry], patients: int, language: Language) -> str:
    """``4 sessions of 2 patients: 3 done, 1 failed.``"""
    if not entries:
        return language.gettext("There is no session yet.")
    return language.gettext(
        "%(sessions)s of %(patients)s: %(states)s.",
        sessions=language.ngettext("%(count)s\u00a0session", "%(count)s\u00a0sessions", len(entries)),
        patients=language.ngettext("%(count)s\u00a0patient", "%(count)s\u00a0patients", patients),
        states=_counted(entries, language),
    )


def _states(entries: Sequence[IndexEntry], language: Language) -> str:
    """``8 sessions: 7 done, 1 failed``."""
    sessions = language.ngettext("%(count)s\u00a0session", "%(count)s\u00a0sessions", len(entries))
    return language.gettext("%(sessions)s: %(states)s", sessions=sessions, states=_counted(entries, language))


def _counted(entries: Sequence[IndexEntry], language: Language) -> str:
    found = Counter(entry.state for entry in entries)
    return ", ".join(
        language.ngettext(*forms, found[state]) for state, forms in STATE_COUNTS.items() if found[state]
    )
