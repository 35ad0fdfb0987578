"""Words of the page of recordings, and those of all pages on which seats are drawn."""

from reports.words.language import counted, marked

CHECK_WORDS = {
    "face": marked("face"),
    "face size": marked("face size"),
    "light on the face": marked("light on the face"),
    "light from behind": marked("light from behind"),
    "sharpness": marked("sharpness"),
    "camera to the side": marked("camera to the side"),
    "camera height": marked("camera height"),
    "camera level": marked("camera level"),
    "picture size": marked("picture size"),
    "other people": marked("other people"),
    "sound": marked("sound"),
    "pictures per second": marked("pictures per second"),
    "recording": marked("recording"),
}
"""The names of :class:`pipeline.records.Finding`."""

VERDICT_WORDS = {
    "unread": marked("can’t be read"),
    "will not work": marked("will not work"),
    "could be better": marked("could be better"),
    "good": marked("good"),
    "closed": marked("not opened"),
}
"""Of a recording, the worst first."""

VERDICT_COUNTS = {
    "unread": counted("%(count)s can’t be read", "%(count)s can’t be read"),
    "will not work": counted("%(count)s will not work", "%(count)s will not work"),
    "could be better": counted("%(count)s could be better", "%(count)s could be better"),
    "good": counted("%(count)s is good", "%(count)s are good"),
    "closed": counted("%(count)s was not opened", "%(count)s were not opened"),
}

DRAWING_WORDS = {
    "wrong_region": marked(
        "Each edge is a number from 0 to 100: left before right, top before bottom, at least 2 apart."
    ),
    "undone": marked("Undone."),
    "deleted": marked("Your choices are deleted. “Undo” brings them back."),
}
"""Of seat.js and choices.js."""

SCRIPT_WORDS = {
    "progress": marked("{done} of {all} complete"),
    "complete": marked("Complete."),
    "missing": marked("Still missing: {fields}."),
    "keeps": marked("Emptied here, but the list keeps it: {fields}."),
    "same": marked("The same ids as {others}: together they are one session in several files."),
    "wrong_id": marked(
        "Write letters, digits, . _ or -, at most 64, with a letter or digit first and no dot last; never a "
        "person’s name, nor one that Windows keeps, such as CON or NUL."
    ),
    "wrong_date": marked("Write the date as 2026-03-01, or with the time as 2026-03-01T14:30."),
    "alike": marked("Other recordings have it as “{others}”: two spellings count as two conditions."),
    "correct": marked("Not saved: correct the marked field first."),
    "saved": marked("Saved as {file}. Now run the command at the end of this page."),
    "saved_part": marked("Saved as {file}, with {left} not complete. You can go on later, and save again."),
    "shown": marked("{shown} of {all} shown"),
    "used": marked("This rectangle is saved with the table."),
    "empty": marked("No rectangle yet: draw one on the picture."),
    "not_used": marked("Not saved yet: draw, or click the button if the rectangle is right."),
    **DRAWING_WORDS,
}
"""What the page's script shows; it replaces the names in braces."""

FIELD_WORDS = {
    "patient_id": marked("patient"),
    "session_id": marked("session"),
    "recorded_at": marked("date"),
    "condition": marked("condition"),
    "consent": marked("consent"),
    "patient_region": marked("seat"),
}
"""Columns of the list that the page fills in."""
