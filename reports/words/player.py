"""Words of pages with a video: of the player, of the markers, and of their scripts."""

from reports.words.language import marked
from reports.words.seats import DRAWING_WORDS

CODE_WORDS = {
    "eating": marked("Eating"),
    "speaking": marked("Speaking"),
    "care": marked("Care"),
    "visitor": marked("Visitor"),
    "asleep": marked("Asleep"),
    "exclude": marked("Exclude"),
}
"""Of :data:`pipeline.records.MARKER_CODES`."""

CODE_KEYS = {code: code[0] for code in CODE_WORDS} | {"exclude": "x"}

PLAYER_WORDS = {"all": marked("Play all moments"), "stop": marked("Stop: moment {place} of {all}")}
"""What player.js shows; it replaces the names in braces."""

SCRIPT_WORDS = {
    "begun": marked("{word} begins at {time}."),
    "ended": marked("{word}: {span}."),
    "marked": marked("{word} at {time}."),
    "taken_back": marked("{word}: taken back."),
    "drop": marked("Delete"),
    "drop_one": marked("Delete {word}, {span}"),
    "dropped": marked("Deleted: {word}, {span}."),
    "no_code": marked("Begin with a letter or a digit; at most 64 characters."),
    "no_code_kept": marked("This browser keeps nothing, so it can’t keep this word."),
    "open": marked("{word} has no end yet (since {time}). Go to its end, mark it there, and save again."),
    "nothing": marked("There is nothing to save yet: mark something first."),
    "saved": marked("Saved as {file} (markers: {count}). Below: what to do with the file."),
    "undone": DRAWING_WORDS["undone"],
    "deleted": DRAWING_WORDS["deleted"],
}
"""What markers.js and choices.js show; they replace the names in braces."""
