"""The page of all visible people, for a person who confirms the patient. It shows faces."""

import base64
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from markupsafe import Markup

from pipeline.records import Person
from reports.render import content_policy, render, style, write_page
from reports.words.language import ENGLISH

ROLE_WORDS = {
    "patient": "the patient",
    "caregiver": "a caregiver",
    "other": "somebody else",
    "unknown": "nobody knows",
}

CHOICE_WORDS = {
    "hand": "confirmed by a person",
    "photo": "by the patient’s photo",
    "gallery": "by the patient’s other sessions",
    "region": "by where the patient sits",
    "longest": "a guess: seen longest",
    "largest": "a guess: nearest to the camera",
}


def write_people_page(people: Sequence[Person], table: Path, path: Path) -> Path:
    """Writes the page; returns its path.

    :param table: the table in which roles are corrected.
    :raises pipeline.errors.OutputError: it can't be written.
    """
    return write_page(path, people_page(people, table.name))


def people_page(people: Sequence[Person], table: str) -> Markup:
    """The page as HTML: by patient, then by session."""
    ordered = sorted(people, key=lambda person: (person.patient_id, person.session_id, person.number))
    patients = [(patient, list(rows)) for patient, rows in groupby(ordered, key=lambda p: p.patient_id)]
    return render(
        "people.html",
        ENGLISH,
        patients=patients,
        compared=any(person.alike for person in people),
        roles=ROLE_WORDS,
        choices=CHOICE_WORDS,
        picture=_data_uri,
        table=table,
        policy=content_policy(),
        style=style(),
    )


def _data_uri(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
