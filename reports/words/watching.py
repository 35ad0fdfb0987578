"""Words of pages on which a person watches: clips for a rater; the player of a session, and its markers."""

from reports.words.language import Language, marked
from reports.words.preflight import DRAWING_WORDS

INTENSITY_WORDS = {"slight": marked("slight"), "moderate": marked("moderate"), "strong": marked("strong")}
"""Of :data:`pipeline.agreement.rated_clips.INTENSITIES`."""

FLAG_WORDS = {
    "covered": marked("Face partly covered"),
    "speaking": marked("Speaks or chews"),
    "asleep": marked("Asleep"),
}
"""Of :data:`pipeline.agreement.rated_clips.FLAGS`."""

FLAG_KEYS = {"covered": "c", "speaking": "s", "asleep": "a"}

RATE_SCRIPT_WORDS = {
    "progress": marked("Clip {place} of {all}, {answered} answered"),
    "clip": marked("Clip {place}"),
    "choose": marked("Choose an expression first, or “Can’t tell”."),
    "none_left": marked("All clips are answered. Click “Save”."),
    "nothing": marked("There is nothing to save yet: answer a clip first."),
    "saved": marked("Saved as {file}: {answered} of {all} clips. Below: what to do with the file."),
    "wrong_password": marked("This is not the password of this page."),
    "not_playing": marked("This browser can’t play the clips. Open the page in another browser."),
    **DRAWING_WORDS,
}
"""What the page's script shows; it replaces the names in braces."""

# --- the player, and markers

CODE_WORDS = {
    "eating": marked("Eating"),
    "speaking": marked("Speaking"),
    "care": marked("Care"),
    "visitor": marked("Visitor"),
    "asleep": marked("Asleep"),
    "exclude": marked("Exclude"),
}
"""Of :data:`pipeline.records.MARKER_CODES`."""


def marker_word(what: str, language: Language) -> str:
    """An event's kind: a marker's code in the page's language; the study's own words as they are."""
    return language.word(CODE_WORDS[what]) if what in CODE_WORDS else what


CODE_KEYS = {code: code[0] for code in CODE_WORDS} | {"exclude": "x"}

PLAYER_SCRIPT_WORDS = {"all": marked("Play all moments"), "stop": marked("Stop: moment {place} of {all}")}
"""What player.js shows; it replaces the names in braces."""

MARKER_SCRIPT_WORDS = {
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
