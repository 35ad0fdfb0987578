"""The page on which a coordinator says who is who: everybody who is on the screen. It shows faces.

The page saves the table that ``emonext people`` reads with ``--apply``. The browser keeps roles by row
number, and no names.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any

from markupsafe import Markup

from pipeline.records import PEOPLE_COLUMNS, ROLES, SURE, Ids, Person, Seat, Still
from pipeline.store.counts import clock
from pipeline.store.spreadsheet import Decimal, as_text, separator
from reports.assets import INLINE
from reports.forms.drawing import DRAWING_FILES, picture, proposal
from reports.render import choices_key, data_uri, render, write_page
from reports.words.formatting import command_line, seconds_text, share_text
from reports.words.labels import IDENTITY_WORDS, in_words
from reports.words.language import ENGLISH, Language
from reports.words.people import CHOICE_WORDS, ROLE_WORDS, SCRIPT_WORDS
from reports.words.reasons import reason_text

SCRIPT_FILE = "people.js"


def write_people_page(
    people: Sequence[Person],
    table: Path,
    path: Path,
    language: Language = ENGLISH,
    stills: Mapping[Ids, Still] = MappingProxyType({}),
    decimal: Decimal = "point",
) -> Path:
    """Write the page; return its path.

    :param people: in the order of the table's rows.
    :param table: the folder's own; what the page saves has the same name.
    :param stills: of sessions, for the helper that shows where the patient sits.
    :param decimal: of the table that the page saves.
    :raises pipeline.errors.OutputError: it can't be written.
    """
    folder = path.parent.resolve().name
    return write_page(path, people_page(people, table.name, language, folder, stills, decimal))


def people_page(
    people: Sequence[Person],
    table: str,
    language: Language = ENGLISH,
    folder: str = "study",
    stills: Mapping[Ids, Still] = MappingProxyType({}),
    decimal: Decimal = "point",
) -> Markup:
    """The page as HTML: sessions to check, then the others, each by patient and session.

    :param folder: the study's folder, for the command; its name alone.
    """
    rows = sorted(enumerate(people), key=lambda row: (*row[1].ids, row[1].number))
    groups = groupby(rows, key=lambda row: row[1].ids)
    sessions = [
        _session(number, list(of_session), language, stills.get(ids))
        for number, (ids, of_session) in enumerate(groups)
    ]
    to_check = [session for session in sessions if session["identity"] not in SURE]
    others = [session for session in sessions if session["identity"] in SURE]
    return render(
        "people.html",
        language,
        to_check=to_check,
        patients_to_check=_patients(to_check),
        others=others,
        other_patients=_patients(others),
        others_count=language.ngettext("%(count)s\u00a0session", "%(count)s\u00a0sessions", len(others)),
        compared=any(person.alike for person in people),
        roles=ROLES,
        role_words=in_words(ROLE_WORDS, language),
        identity_words=in_words(IDENTITY_WORDS, language),
        table=table,
        command=command_line("emonext", "people", folder, "--apply", table),
        data=_data(people, sessions, table, language, decimal),
        **INLINE.of_page(with_figures=False, own=(*DRAWING_FILES, SCRIPT_FILE)),
    )


def _patients(sessions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each patient with the first of these sessions, and how many there are; none if there is one patient."""
    found = [
        {"patient_id": patient_id, "first": rows[0]["number"], "count": len(rows)}
        for patient_id, of_patient in groupby(sessions, key=lambda session: session["patient_id"])
        for rows in [list(of_patient)]
    ]
    return found if len(found) > 1 else []


def _session(
    number: int, rows: Sequence[tuple[int, Person]], language: Language, still: Still | None
) -> dict[str, Any]:
    """What the template shows of a session.

    :param rows: its people, each with the number of its row in the table.
    """
    first = rows[0][1]
    return {
        "number": number,
        "patient_id": first.patient_id,
        "session_id": first.session_id,
        "identity": first.identity if first.identity in IDENTITY_WORDS else "unknown",
        "proposal": _proposal([person for _, person in rows], language),
        "reason": reason_text(first.reason, language) if first.number else "",
        "people": [_person(row, person, language) for row, person in rows],
        "still": picture(still, language.gettext("The session at %(time)s", time=clock(still.time_s)))
        if still
        else None,
        "proposals": [_seat(who, seat, language) for who, seat in sorted(still.seats.items())]
        if still
        else [],
    }


def _proposal(people: Sequence[Person], language: Language) -> str:
    if not people[0].number:
        return language.gettext("No face was found. Is it the right recording, and can the patient be seen?")
    chosen = [str(person.number) for person in people if person.role == "patient"]
    if not chosen:
        return language.gettext("Proposal: nobody is the patient.")
    by = CHOICE_WORDS.get(people[0].chosen_by, CHOICE_WORDS["track"])
    return language.gettext(
        "Proposal: the patient is person %(numbers)s (%(how)s).",
        numbers=language.listed(chosen),
        how=language.word(by),
    )


def _person(row: int, person: Person, language: Language) -> dict[str, Any]:
    times = person.portrait_s or (person.first_s,) * len(person.portraits)
    return {
        "row": row,
        "number": person.number,
        "alike": person.alike,
        "role": person.role,
        "note": reason_text(person.note, language),
        "seen": language.gettext(
            "On the screen for %(seconds)s, from %(first)s to %(last)s.",
            seconds=seconds_text(person.seconds, language),
            first=clock(person.first_s),
            last=clock(person.last_s),
        ),
        "portraits": [
            {"uri": data_uri(jpeg), "time": clock(time_s)}
            for jpeg, time_s in zip(person.portraits, times, strict=True)
        ],
    }


def _seat(person: int, seat: Seat, language: Language) -> dict[str, Any]:
    others = language.listed(list(map(str, seat.others)))
    return proposal(
        person,
        seat,
        language.gettext("Where person %(number)s sits", number=person),
        language.gettext(
            "The face is there for %(share)s of the time in which this person is seen.",
            share=share_text(seat.share, 1.0, language),
        ),
        language.gettext("Also there: person %(others)s.", others=others) if seat.others else "",
    )


def _data(
    people: Sequence[Person],
    sessions: Sequence[Mapping[str, Any]],
    table: str,
    language: Language,
    decimal: Decimal,
) -> dict[str, Any]:
    """What the script needs. ``key`` changes with anything that the choices are about."""
    row_of = {(*p.ids, p.number): row for row, p in enumerate(people)}
    about: dict[str, Any] = {
        "file": table,
        "columns": PEOPLE_COLUMNS,
        "rows": [[as_text(person.cells()[name], decimal) for name in PEOPLE_COLUMNS] for person in people],
        "with": [
            [row_of[*p.ids, number] for number in p.seen_with if (*p.ids, number) in row_of] for p in people
        ],
        "sessions": [
            {
                "rows": [person["row"] for person in session["people"]],
                "check": session["identity"] not in SURE,
            }
            for session in sessions
        ],
    }
    return {
        **about,
        "separator": separator(decimal),
        "roles": ROLES,
        "key": choices_key("people", about),
        "words": in_words(SCRIPT_WORDS, language),
    }
