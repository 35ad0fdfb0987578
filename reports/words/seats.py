"""Words of pages on which seats are drawn, and those that their scripts show."""

from reports.words.language import marked

DRAWING_WORDS = {
    "wrong_region": marked(
        "Each edge is a number from 0 to 100: left before right, top before bottom, at least 2 apart."
    ),
    "undone": marked("Undone."),
    "deleted": marked("Your choices are deleted. “Undo” brings them back."),
}
"""Of seat.js and choices.js."""

SCRIPT_WORDS = {
    "progress": marked("{drawn} of {all} recordings with a seat"),
    "nothing": marked("There is nothing to save yet: draw a seat first."),
    "saved": marked("Saved as {file}. The end of this page says what to do with the file."),
    "used": marked("This rectangle is saved with the table."),
    "empty": marked("No rectangle yet: draw one on the picture."),
    "not_used": marked("Not saved yet: draw, or click the button if the rectangle is right."),
    **DRAWING_WORDS,
}
"""What the page's script shows; it replaces the names in braces."""
