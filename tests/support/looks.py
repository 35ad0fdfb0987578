"""Words and colours of the annotated copy, as the command gives them."""

from pipeline.review.drawing import Look
from reports.words.labels import DRAWN_WORDS, EMOTION_COLOURS, EMOTION_ORDER, EMOTION_WORDS

LOOK = Look({name: EMOTION_WORDS[name] for name in EMOTION_ORDER}, EMOTION_COLOURS, DRAWN_WORDS)
