"""What a person says of who is who."""

from pathlib import Path

from pipeline.records import Ids
from pipeline.review.apply_people import apply_people
from pipeline.review.people import find_people


def confirm_everybody(out: Path) -> None:
    """As if somebody approved every row of the table."""
    said: dict[Ids, dict[int, str]] = {}
    for person in find_people(out, None):
        roles = said.setdefault((person.patient_id, person.session_id), {})
        roles |= dict.fromkeys(person.tracks, person.role)
    apply_people(out, said)
