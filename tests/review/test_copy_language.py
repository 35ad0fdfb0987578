"""What is written into an annotated copy is in the language of the study."""

from dataclasses import replace

import numpy as np
import pytest
from looks import LOOK
from timelines import make_timeline

from pipeline.review.drawing import font, samples_of
from reports.words.labels import DRAWN_WORDS, EMOTION_WORDS, in_words
from reports.words.language import language, languages


def test_french_labels_are_french() -> None:
    french = language("fr")
    look = replace(LOOK, words=in_words(EMOTION_WORDS, french), labels=in_words(DRAWN_WORDS, french))
    timeline = make_timeline([("happy", 1), ("low_quality", 1), ("no_face", 1), ("eyes_shut", 1)])
    told = [text.replace("\u00a0", " ") for text in samples_of(timeline, look).text]
    assert told[0] == "joyeuse 70 %"
    assert told[1].startswith("pas lisible")
    assert told[2:] == ["pas de visage", "yeux fermés"]


@pytest.mark.parametrize("name", languages())
def test_the_font_has_every_letter(name: str) -> None:
    texts = [
        *in_words(DRAWN_WORDS, language(name)).values(),
        *in_words(EMOTION_WORDS, language(name)).values(),
    ]
    face, missing = font(20), bytes(font(20).getmask("\uffff"))
    for letter in sorted({*"".join(texts), *"0123456789 %:.,é"} - {" ", "\u00a0"}):
        assert bytes(face.getmask(letter)) != missing, letter
        assert np.any(bytes(face.getmask(letter))), letter
