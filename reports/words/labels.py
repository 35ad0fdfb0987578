"""Colours and words of emotions, states and statuses, the same on every page."""

from collections.abc import Mapping

from reports.words.language import Language, counted, marked

EMOTION_ORDER = ("happy", "surprise", "neutral", "sad", "fear", "angry", "disgust")
"""From top to bottom, in every figure and table."""

EMOTION_WORDS = {
    # said of an expression
    "happy": marked("happy"),
    "surprise": marked("surprised"),
    "neutral": marked("neutral"),
    "sad": marked("sad"),
    "fear": marked("afraid"),
    "angry": marked("angry"),
    "disgust": marked("disgusted"),
}

# Okabe & Ito (2008), "Color Universal Design": told apart with any kind of colour vision. Their grey
# stands for neutral; yellow is left out because it is lost on white paper.
EMOTION_COLOURS = {
    "happy": "#e69f00",
    "surprise": "#56b4e9",
    "neutral": "#8c9196",
    "sad": "#0072b2",
    "fear": "#cc79a7",
    "angry": "#d55e00",
    "disgust": "#009e73",
}

GROUP_WORDS = {
    "positive": marked("Positive"),
    "surprise": marked("Surprised"),
    "neutral": marked("Neutral"),
    "negative": marked("Negative"),
}
"""What people agree on best. From top to bottom, as :data:`EMOTION_ORDER`."""

# Happy is all of positive. Negative is four expressions and has none of their colours: the darkest, so that a
# print without colour tells it too.
GROUP_COLOURS = {
    "positive": EMOTION_COLOURS["happy"],
    "surprise": EMOTION_COLOURS["surprise"],
    "neutral": "#c3c8cc",
    "negative": "#33406b",
}

GROUP_PATTERNS = {
    "positive": {"shape": ""},
    "surprise": {"shape": ".", "fgcolor": "#1d2b36", "fillmode": "overlay", "size": 5, "solidity": 0.3},
    "neutral": {"shape": ""},
    "negative": {"shape": "/", "fgcolor": "#ffffff", "fillmode": "overlay", "size": 8, "solidity": 0.12},
}
"""Plotly's: colours are told apart by them in black and white."""

INK = "#1d2b36"
PAPER = "#ffffff"
QUIET = "#c9cfd4"

STATUS_WORDS = {
    "ok": marked("Face could be read"),
    "eyes_shut": marked("Eyes closed: asleep or resting"),
    "no_face": marked("Face not visible"),
    "other_person": marked("Only a face that was not followed"),
    "low_quality": marked("Face too small, dark, bright, blurred, turned away or covered"),
    "decode_error": marked("Video damaged"),
    "gap": marked("No picture in the file"),
}
"""The keys of ``Summary.status_s``, in the order in which they are shown."""

FAULT_WORDS = {
    "too small": marked("too small"),
    "blurred": marked("blurred"),
    "too dark": marked("too dark"),
    "too bright": marked("too bright"),
    "turned away": marked("turned away"),
    "covered": marked("covered"),
}
"""The keys of ``Summary.fault_s``."""

DRAWN_WORDS = {
    "no_face": marked("no face"),
    "other_person": marked("not the patient"),
    "low_quality": marked("not readable"),
    "eyes_shut": marked("eyes closed"),
    "decode_error": marked("video damaged"),
    "no_sample": marked("no sample"),
    "outside": marked("not part of the session"),
    "unread": marked("no face, or not readable"),
    "patient": marked("patient"),
    "caregiver": marked("caregiver"),
    "other": marked("other"),
    "unknown": marked("unknown"),
    "note": marked("Automated estimate of facial expression: not a feeling, not a diagnosis."),
    "told": marked("{what}: {said}"),
    **FAULT_WORDS,
}
"""What is written into annotated copies of videos."""

STATE_WORDS = {
    "done": marked("Done"),
    "to_check": marked("To check"),
    "partial": marked("Partial"),
    "failed": marked("Failed"),
    "skipped": marked("Skipped"),
    "waiting": marked("Waiting"),
    "running": marked("Running"),
    "interrupted": marked("Interrupted"),
    "no_consent": marked("No consent"),
    "withdrawn": marked("Consent withdrawn"),
}

IDENTITY_WORDS = {
    "confirmed": marked("Confirmed"),
    "recognised": marked("By the program"),
    "hardly_seen": marked("Hardly seen"),
    "to_check": marked("To check"),
    "unknown": marked("Unknown"),
}
"""Of :data:`pipeline.records.IdentityState`."""

STATE_COUNTS = {
    "done": counted("%(count)s done", "%(count)s done"),
    "to_check": counted("%(count)s to check", "%(count)s to check"),
    "partial": counted("%(count)s partial", "%(count)s partial"),
    "failed": counted("%(count)s failed", "%(count)s failed"),
    "skipped": counted("%(count)s skipped", "%(count)s skipped"),
    "waiting": counted("%(count)s waiting", "%(count)s waiting"),
    "running": counted("%(count)s running", "%(count)s running"),
    "interrupted": counted("%(count)s interrupted", "%(count)s interrupted"),
    "no_consent": counted("%(count)s without consent", "%(count)s without consent"),
    "withdrawn": counted("%(count)s with consent withdrawn", "%(count)s with consent withdrawn"),
}


def in_words(table: Mapping[str, str], language: Language) -> dict[str, str]:
    """One of the tables above in a language: ``in_words(EMOTION_WORDS, french)["happy"]``."""
    return {key: language.word(text) for key, text in table.items()}


CONDITION_WORDS = {
    "baseline": marked("baseline"),
    "music": marked("music"),
    "garden": marked("garden"),
}
"""The default reference, and conditions of the demonstration, which many studies have."""


def condition_word(name: str, language: Language) -> str:
    """A condition as it is shown; whatever a study calls its own is shown as it is."""
    return language.word(CONDITION_WORDS[name]) if name in CONDITION_WORDS else name


def compared_text(condition: str, reference: str, language: Language) -> str:
    """``music − baseline``; without a condition, the reference alone."""
    names = [condition_word(name, language) for name in (condition, reference) if name]
    return " − ".join(names)


READING_WORDS = {
    "raw": marked("As estimated"),
    "corrected": marked("Compared with this person’s own calm face"),
}

STUDY_READING_WORDS = {
    "raw": marked("As it was read"),
    "corrected": marked("Corrected by each person’s own calm face"),
    "adapted": marked("Adapted to this study’s raters"),
}
"""Shown one below the other, never mixed."""
