"""Words of the page on which a rater judges clips, and those that its script shows."""

from reports.words.language import marked
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

SCRIPT_WORDS = {
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
