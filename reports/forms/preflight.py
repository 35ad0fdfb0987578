"""The page on which a coordinator sees what is wrong with recordings, and fills in the list. It shows faces.

The page saves a table for ``emonext study apply``. The browser keeps what was filled in, by row number.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pipeline.errors import InputError
from pipeline.reasons import Reason
from pipeline.records import ANSWER_COLUMNS, CheckedRecording, Finding, ListedRow, Seat, Still
from pipeline.store.counts import clock
from pipeline.store.folders import SESSIONS_FILE
from pipeline.store.ids import NEW_ID_PATTERN, RESERVED_IDS
from pipeline.store.spreadsheet import Decimal, separator
from reports.assets import INLINE
from reports.forms.drawing import DRAWING_FILES, picture, proposal, region_text, smaller
from reports.render import choices_key, render, write_page
from reports.words.formatting import NBSP, command_line, share_text
from reports.words.labels import FAULT_WORDS, in_words
from reports.words.language import ENGLISH, Language
from reports.words.preflight import CHECK_WORDS, FIELD_WORDS, SCRIPT_WORDS, VERDICT_COUNTS, VERDICT_WORDS
from reports.words.reasons import reason_text

SCRIPT_FILE = "preflight.js"

SAVED_FILE = "recordings-answers.csv"

# Of all pictures together, in bytes of a page; more recordings than about 30 get smaller pictures.
_ALL_PICTURES = 1_000_000


def check_page_path(path: Path) -> None:
    """:raises InputError: the path is not that of a page, and may be that of a recording."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{path}: not a page; give a name that ends with .html.")


def write_preflight_page(
    recordings: Sequence[CheckedRecording],
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
    return write_page(path, preflight_page(recordings, folder.resolve().name, named, language, decimal))


def preflight_page(
    recordings: Sequence[CheckedRecording],
    folder: str,
    listed: str | None = None,
    language: Language = ENGLISH,
    decimal: Decimal = "point",
) -> Markup:
    """The page as HTML, in the order of the recordings.

    :param folder: of the recordings; its name alone. ``listed``: name of its list.
    """
    limit = _ALL_PICTURES // max(1, sum(row.still is not None for one in recordings for row in one.rows))
    counts = Counter(map(_verdict, recordings))
    rows = iter(range(sum(len(one.rows) for one in recordings)))
    return render(
        "preflight.html",
        language,
        recordings=[
            _recording(n, one, [next(rows) for _ in one.rows], limit, language)
            for n, one in enumerate(recordings)
        ],
        summary=_summary(counts, language),
        verdicts=[
            (name, in_words(VERDICT_WORDS, language)[name], counts[name])
            for name in VERDICT_WORDS
            if counts[name]
        ],
        folder=folder,
        listed=listed,
        list_file=listed or SESSIONS_FILE,
        file=SAVED_FILE,
        id_pattern=NEW_ID_PATTERN.pattern,
        command=command_line("emonext", "study", "apply", folder, f"~/Downloads/{SAVED_FILE}"),
        data={**_data(recordings, listed, language), "separator": separator(decimal)},
        **INLINE.of_page(with_figures=False, own=(*DRAWING_FILES, SCRIPT_FILE)),
    )


def _verdict(one: CheckedRecording) -> str:
    if one.refused:
        return "closed"
    if one.problem:
        return "unread"
    verdicts = {finding.verdict for finding in one.findings}
    return next((name for name in VERDICT_WORDS if name in verdicts), "good")


def _summary(counts: Counter[str], language: Language) -> str:
    parts = [language.ngettext(*VERDICT_COUNTS[name], counts[name]) for name in VERDICT_WORDS if counts[name]]
    total = language.ngettext("%(count)s recording", "%(count)s recordings", counts.total())
    return language.gettext("%(recordings)s: %(parts)s.", recordings=total, parts=language.listed(parts))


def _recording(
    number: int, one: CheckedRecording, rows: Sequence[int], limit: int, language: Language
) -> dict[str, Any]:
    order = list(VERDICT_WORDS)
    advised = sorted((f for f in one.findings if f.advice), key=lambda finding: order.index(finding.verdict))
    return {
        "number": number,
        "video": one.video,
        "verdict": _verdict(one),
        "verdict_text": in_words(VERDICT_WORDS, language)[_verdict(one)],
        "problem": _text(one.problem, language),
        "refused": one.refused,
        "advice": [_text(finding.advice, language) for finding in advised],
        "poor": [_finding(finding, language) for finding in one.findings if finding.verdict != "good"],
        "fine": [_finding(finding, language) for finding in one.findings if finding.verdict == "good"],
        "rows": [_row(place, row, limit, language) for place, row in zip(rows, one.rows, strict=True)],
        "fixed_ids": len(one.rows) > 1,
    }


def _finding(finding: Finding, language: Language) -> dict[str, str]:
    return {
        "name": in_words(CHECK_WORDS, language)[finding.name],
        "verdict": finding.verdict,
        "verdict_text": in_words(VERDICT_WORDS, language)[finding.verdict],
        "measured": _text(finding.measured, language),
    }


def _text(reason: Reason | None, language: Language) -> str:
    """The sentence, with a space before the percent sign, as everywhere on pages."""
    text = reason_text(reason, language)
    return text if isinstance(text, Markup) else re.sub(r"(?<=\d) ?%", f"{NBSP}%", text)


def _row(number: int, row: ListedRow, limit: int, language: Language) -> dict[str, Any]:
    still = row.still
    found: dict[str, Any] = {"number": number, "still": None, "proposals": [], "faces": []}
    found["from_name"] = row.from_name
    if still is None or still.jpeg is None:
        return found
    faces = _faces_text(still, language)
    alt = language.gettext("The recording at %(time)s", time=clock(still.time_s))
    return found | {
        "still": picture(smaller(still, limit), f"{alt}. {faces}"),
        "caption": f"{alt}. {faces}",
        "has_poor": any(face.faults for face in still.faces),
        "proposals": [_place(place, seat, language) for place, seat in sorted(still.seats.items())],
        "faces": [
            {
                "left": f"{100 * face.box[0]:.1f}",
                "top": f"{100 * face.box[1]:.1f}",
                "width": f"{100 * (face.box[2] - face.box[0]):.1f}",
                "height": f"{100 * (face.box[3] - face.box[1]):.1f}",
                "poor": bool(face.faults),
            }
            for face in still.faces
        ],
    }


def _faces_text(still: Still, language: Language) -> str:
    """The faces from left to right, with their size and what makes them unreadable."""
    if not still.faces:
        return language.gettext("No face was found in this picture.")
    faults = in_words(FAULT_WORDS, language)
    faces = [
        f"{face.face_px:.0f}{NBSP}px" + "".join(f", {faults[fault]}" for fault in face.faults)
        for face in sorted(still.faces, key=lambda face: face.box[0])
    ]
    listed = reduce(lambda one, other: language.gettext("%(one)s; %(other)s", one=one, other=other), faces)
    return language.gettext("Faces, from the left: %(faces)s.", faces=listed)


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


def _data(recordings: Sequence[CheckedRecording], listed: str | None, language: Language) -> dict[str, Any]:
    """What the script needs. ``key`` changes with anything that the answers are about."""
    about: dict[str, Any] = {
        "file": SAVED_FILE,
        "columns": ANSWER_COLUMNS,
        "rows": [
            [_cells(one, row)[name] for name in ANSWER_COLUMNS] for one in recordings for row in one.rows
        ],
    }
    return {
        **about,
        "key": choices_key("preflight", about),
        "listed": listed is not None,
        "idPattern": NEW_ID_PATTERN.pattern,
        "reserved": RESERVED_IDS,
        "words": in_words(SCRIPT_WORDS, language),
        "fields": in_words(FIELD_WORDS, language),
    }


def _cells(one: CheckedRecording, row: ListedRow) -> dict[str, str]:
    return {
        "recording": one.video,
        "bytes": str(one.size_bytes),
        "patient_id": row.patient_id,
        "session_id": row.session_id,
        "recorded_at": row.recorded_at,
        "condition": row.condition,
        "consent": "" if row.consent is None else "yes" if row.consent else "no",
        "patient_region": region_text(row.region) if row.region else "",
    }
