"""The page on which a coordinator draws where the patient sits in each recording. It shows faces.

The page saves rows of the list of sessions. The browser keeps rectangles by row number, and no names.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pipeline.errors import InputError
from pipeline.records import ListedSeat, Seat
from pipeline.store.counts import clock
from pipeline.store.folders import SESSIONS_FILE
from pipeline.store.spreadsheet import Decimal, as_text, separator
from reports.assets import INLINE
from reports.forms.drawing import DRAWING_FILES, picture, proposal, region_text
from reports.render import choices_key, render, write_page
from reports.words.formatting import command_line, share_text
from reports.words.labels import in_words
from reports.words.language import ENGLISH, Language
from reports.words.seats import SCRIPT_WORDS

SCRIPT_FILE = "seats.js"

_COLUMNS = ("patient_id", "session_id", "video", "patient_region")
_NEW_COLUMNS = (*_COLUMNS, "consent")
"""Of a list that does not exist yet: only a person can state consent."""

_TO_COPY = "seats.csv"


def check_page_path(path: Path) -> None:
    """:raises InputError: the path is not that of a page, and may be that of a recording."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{path}: no page; give a name that ends with .html.")


def write_seats_page(
    rows: Sequence[ListedSeat],
    path: Path,
    folder: Path,
    listed: Path | None,
    language: Language = ENGLISH,
    decimal: Decimal = "point",
) -> Path:
    """Write the page; return its path.

    :param folder: of the recordings. ``listed``: its list, if there is one.
    :param decimal: of the table that the page saves.
    :raises pipeline.errors.OutputError: the page can't be written.
    """
    named = listed.name if listed else None
    return write_page(path, seats_page(rows, folder.resolve().name, named, language, decimal))


def seats_page(
    rows: Sequence[ListedSeat],
    folder: str,
    listed: str | None = None,
    language: Language = ENGLISH,
    decimal: Decimal = "point",
) -> Markup:
    """The page as HTML, in the order of the rows.

    :param folder: of the recordings; its name alone. ``listed``: name of its list.
    """
    file = _TO_COPY if listed else SESSIONS_FILE
    return render(
        "seats.html",
        language,
        recordings=[_recording(number, row, language) for number, row in enumerate(rows)],
        folder=folder,
        listed=listed,
        file=file,
        command=command_line("emonext", "study", "check", folder),
        data=_data(rows, file, _COLUMNS if listed else _NEW_COLUMNS, language, decimal),
        **INLINE.of_page(with_figures=False, own=(*DRAWING_FILES, SCRIPT_FILE)),
    )


def _recording(number: int, row: ListedSeat, language: Language) -> dict[str, Any]:
    still = row.still
    alt = language.gettext("The recording at %(time)s", time=clock(still.time_s)) if still else ""
    return {
        "number": number,
        "patient_id": row.patient_id,
        "session_id": row.session_id,
        "video": row.video,
        "still": picture(still, alt) if still else None,
        "proposals": [_place(place, seat, language) for place, seat in sorted(still.seats.items())]
        if still
        else [],
    }


def _place(place: int, seat: Seat, language: Language) -> dict[str, Any]:
    others = language.listed(list(map(str, seat.others)))
    return proposal(
        place,
        seat,
        language.gettext("Place %(number)s", number=place),
        language.gettext(
            "A face is there in %(share)s of the pictures.", share=share_text(seat.share, 1.0, language)
        ),
        language.gettext("Faces of place %(others)s are there too.", others=others) if seat.others else "",
    )


def _data(
    rows: Sequence[ListedSeat], file: str, columns: Sequence[str], language: Language, decimal: Decimal
) -> dict[str, Any]:
    """What the script needs. ``key`` changes with anything that the rectangles are about."""
    about: dict[str, Any] = {
        "file": file,
        "columns": columns,
        "rows": [[as_text(_cells(row).get(name, "")) for name in columns] for row in rows],
    }
    return {
        **about,
        "separator": separator(decimal),
        "key": choices_key("seats", about),
        "words": in_words(SCRIPT_WORDS, language),
    }


def _cells(row: ListedSeat) -> dict[str, str]:
    return {
        "patient_id": row.patient_id,
        "session_id": row.session_id,
        "video": row.video,
        "patient_region": region_text(row.region) if row.region else "",
    }
