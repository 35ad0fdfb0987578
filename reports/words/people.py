"""Words of the page of people, and those that its script shows."""

from reports.words.language import marked
from reports.words.preflight import DRAWING_WORDS

ROLE_WORDS = {
    "patient": marked("The patient"),
    "caregiver": marked("Caregiver"),
    "other": marked("Other person"),
    "unknown": marked("Not known"),
}
"""Of :data:`pipeline.records.ROLES`."""

CHOICE_WORDS = {
    "hand": marked("chosen by a person"),
    "photo": marked("by the patient’s photo"),
    "gallery": marked("by the patient’s other sessions"),
    "region": marked("by where the patient sits"),
    "longest": marked("a guess: seen longest"),
    "largest": marked("a guess: nearest to the camera"),
    "track": marked("by the number of a track"),
}

SCRIPT_WORDS = {
    "progress": marked("To check: {left} of {all}"),
    "none_left": marked("No session is left to check."),
    "chosen": marked("{count} changed or approved"),
    "checked": marked("Checked by you"),
    "checked_by_seat": marked("Checked by you: the seat decides"),
    "approve": marked("Approve: the patient is person {people}"),
    "approve_nobody": marked("Approve: the patient is not in this session"),
    "approve_empty": marked("Approve: no face can be read in this session"),
    "approve_not_yet": marked("To approve, say who the patient is, or who everybody is"),
    "seen_together": marked(
        "Person {others} is seen together with person {people}, and is no longer the patient."
    ),
    "nobody": marked("nobody else"),
    "person": marked("person {number}"),
    "nothing": marked("There is nothing to save yet: change or approve something first."),
    "saved": marked("Saved as {file}. Now run the command at the end of this page."),
    "seat_means": marked("Whoever is mostly in the rectangle becomes the patient of this session."),
    "seat_named": marked("You have said who the patient is: the rectangle changes nothing in this session."),
    "seat_dropped": marked("The rectangle no longer counts: you have said who the patient is."),
    **DRAWING_WORDS,
}
"""What the page's script shows; it replaces the names in braces."""
