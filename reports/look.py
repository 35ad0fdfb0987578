"""One colour and one word for each thing shown, the same on every page."""

EMOTION_ORDER = ("happy", "surprise", "neutral", "sad", "fear", "angry", "disgust")
"""From top to bottom, in every figure and table."""

EMOTION_WORDS = {
    "happy": "happy",
    "surprise": "surprised",
    "neutral": "neutral",
    "sad": "sad",
    "fear": "afraid",
    "angry": "angry",
    "disgust": "disgusted",
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
    "ok": "Face could be read",
    "no_face": "Face not visible",
    "other_person": "Only another person’s face visible",
    "low_quality": "Face too small, dark, bright, blurred or turned away",
    "decode_error": "Video damaged",
    "gap": "No picture in the file",
}
"""The keys of ``Summary.status_s``, in the order in which they are shown."""

STATE_WORDS = {
    "done": "Done",
    "partial": "Partial",
    "failed": "Failed",
    "skipped": "Skipped",
    "waiting": "Waiting",
    "running": "Running",
    "interrupted": "Interrupted",
}
