"""The index page of all sessions of a folder."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from urllib.parse import quote

from markupsafe import Markup

from pipeline.analysis.longitudinal import PatientHistory
from pipeline.reasons import Reason
from pipeline.store.status import STATE_REASONS
from reports.assets import INDEX_FILE, Assets
from reports.index_data import NOTHING_KNOWN, IndexEntry, Overview
from reports.pages.tasks import find_tasks
from reports.render import render
from reports.words import formatting as words
from reports.words.labels import IDENTITY_WORDS, STATE_COUNTS, STATE_WORDS, condition_word, in_words
from reports.words.language import Language, marked
from reports.words.reasons import reason_text, reasons_text


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

NEEDED = "needed"
"""The filter's choice of sessions that need a person."""

COLUMNS = {
    "session": marked("Session"),
    "condition": marked("Kind"),
    "length": marked("Length"),
    "read": marked("Face could be read"),
    # coverage, all that the status knows, counts closed eyes
    "seen": marked("Face could be seen"),
    "identity": marked("Is it the patient?"),
    "shares": marked("Positive"),
    "state": marked("State"),
}


def index_page(
    entries: Iterable[IndexEntry], language: Language, assets: Assets, overview: Overview = NOTHING_KNOWN
) -> Markup:
    """The index as HTML: what a person has to do, then every session, by patient."""
    ordered = sorted(entries, key=lambda entry: (entry.patient_id, entry.session_id))
    groups = [(patient, list(rows)) for patient, rows in groupby(ordered, key=lambda entry: entry.patient_id)]
    histories = overview.histories
    tasks = find_tasks(ordered, overview.commands, language)
    columns = _columns(ordered, language)
    needed = {
        (entry.patient_id, entry.session_id)
        for task in tasks
        for _, sessions in task.sessions
        for entry in sessions
        if task.is_urgent
    }
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
        tasks=tasks,
        needed=needed,
        urgent=_urgent(len(needed), language),
        overview=_overview(ordered, len(groups), language),
        open=len(ordered) <= MAX_OPEN,
        about=overview,
        columns=columns,
        labels=_labels(columns, language),
        conditions=_conditions(ordered, language),
        states=_choices(ordered, needed, language),
        parts=_parts(ordered),
        identity_words=in_words(IDENTITY_WORDS, language),
        state_reason=lambda state: reason_text(Reason.of(state), language) if state in STATE_REASONS else "",
        reasons_text=partial(reasons_text, language=language),
        **assets.of_page(with_figures=False, own=[INDEX_FILE] if ordered else ()),
    )


def _columns(entries: Sequence[IndexEntry], language: Language) -> dict[str, str]:
    """Names of the columns that are not empty, by what they hold."""
    has_results = any(entry.summary for entry in entries)
    known = {
        "session": True,
        "condition": any(entry.condition for entry in entries),
        "length": True,
        "read": has_results,
        "seen": not has_results,
        "identity": any(entry.identity for entry in entries),
        "shares": has_results,
        "state": True,
    }
    return {name: language.word(COLUMNS[name]) for name, is_known in known.items() if is_known}


def _labels(columns: Mapping[str, str], language: Language) -> dict[str, str]:
    """CSS place of a cell → the name of its column, for narrow screens."""
    of_one = ("condition", "length", "read", "seen", "identity")
    named = {f".{name}": columns[name] for name in of_one if name in columns}
    shares = map(language.word, ("Positive", "Neutral", "Negative"))
    return named | {f".number:nth-last-child({4 - k})": word for k, word in enumerate(shares)}


def _conditions(entries: Sequence[IndexEntry], language: Language) -> dict[str, str]:
    return {name: condition_word(name, language) for name in sorted({e.condition for e in entries} - {""})}


def _choices(entries: Sequence[IndexEntry], needed: Sized, language: Language) -> dict[str, str]:
    """States to choose from; first, whether a person is needed."""
    found = {entry.state for entry in entries}
    states = {state: language.word(word) for state, word in STATE_WORDS.items() if state in found}
    return ({NEEDED: language.gettext("A person is needed")} if needed else {}) | states


def _urgent(count: int, language: Language) -> str:
    """How many sessions need a person; empty if none does."""
    if not count:
        return ""
    return language.ngettext("%(count)s session needs a person", "%(count)s sessions need a person", count)


def _parts(entries: Sequence[IndexEntry]) -> list[tuple[str, str, str]]:
    """State, start and width in % of the strip of all sessions."""
    counts = Counter(entry.state for entry in entries)
    found, before = [], 0
    for state in STATE_COUNTS:
        if counts[state]:
            start, width = (f"{100 * n / len(entries):.2f}%" for n in (before, counts[state]))
            found.append((state, start, width))
            before += counts[state]
    return found


def _picture(history: PatientHistory, language: Language) -> Picture | None:
    """In the reading of the patient's page; none where no session could be read long enough."""
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
