"""Numbers agree with their nouns, in texts and on the pages of a study with one session."""

import re
from pathlib import Path

import pytest
from page_text import Page
from timelines import make_timeline, put

from pipeline.reasons import Reason
from pipeline.results.derive import derive
from pipeline.store.counts import number_of
from reports import ReportOptions, write_reports
from reports.pages.study import _median_text
from reports.words.language import language, languages
from reports.words.reasons import reason_text

WRONG = re.compile(
    r"\b1[ \u00a0\u202f]("
    "sessions|patients|people|faces|frames|samples|tracks|windows|events|pairs|images|pictures|files|rows|"
    "entries|moments|minutes|times|"
    "séances|personnes|visages|échantillons|pistes|fenêtres|événements|paires|fichiers|instants"
    r")\b"
)


@pytest.mark.parametrize(
    ("number", "one", "many", "expected"),
    [
        (0, "session", "", "0 sessions"),
        (1, "session", "", "1 session"),
        (2, "session", "", "2 sessions"),
        (1, "entry", "entries", "1 entry"),
        (1200, "entry", "entries", "1,200 entries"),
    ],
)
def test_a_number_goes_with_its_noun(number: int, one: str, many: str, expected: str) -> None:
    assert number_of(number, one, many) == expected


@pytest.mark.parametrize("lang", languages())
def test_a_study_of_one_session_is_told_in_the_singular(tmp_path: Path, lang: str) -> None:
    put(tmp_path, make_timeline([("happy", 300), ("neutral", 300)]))
    derive(tmp_path)
    pages = sorted(write_reports(tmp_path, options=ReportOptions(lang)).parent.rglob("*.html"))
    assert len(pages) == 4  # the index, the study, the patient, the session
    texts = {path.name: Page(path.read_text("utf-8")).text for path in pages}
    texts["methods.md"] = (tmp_path / "summaries" / "methods.md").read_text("utf-8")
    assert [(name, match[0]) for name, text in texts.items() for match in WRONG.finditer(text)] == []
    assert "1 video session of 1 patient was read" in texts["methods.md"]


@pytest.mark.parametrize(
    ("coverage", "english", "french"),
    [
        (0.0, "the face could not be read at any time.", "n’a pu être lu à aucun moment."),
        (
            0.002,
            "The median is under 1 %: at least half",
            "La médiane est de moins de 1 % : au moins la moitié",
        ),
        (0.5, "The median is 50 %: at least half", "La médiane est de 50 % : au moins la moitié"),
        (
            0.998,
            "The median is over 99 %: at least half",
            "La médiane est de plus de 99 % : au moins la moitié",
        ),
        (1.0, "the face could be read all the time.", "a pu être lu tout le temps."),
    ],
)
def test_the_sentence_on_the_median_is_true_of_every_median(
    coverage: float, english: str, french: str
) -> None:
    for name, expected in (("en", english), ("fr", french)):
        assert expected in _median_text(coverage, language(name)).replace("\u00a0", " ")


def test_one_frame_that_is_lost_is_told_in_the_singular() -> None:
    for count, expected in ((1, "1 image du fichier n’a pas pu"), (2, "2 images du fichier n’ont pas pu")):
        reason = Reason.of("lost", count=count)
        assert str(reason) == f"{number_of(count, 'frame')} of the file could not be decoded"
        assert reason_text(reason, language("fr")).startswith(expected)
