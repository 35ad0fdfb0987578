"""Every page in another language: nothing of it is left in English, and a language is a folder."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import plotly.graph_objects as go
import pytest
from babel.dates import get_day_names, get_month_names
from every_page import every_page
from french import forms, translations
from messages import messages
from visible_text import VisibleText

import reports.words.language
from reports.errors import ReportError
from reports.words.language import Language, language, languages

pytestmark = pytest.mark.slow

# What the pages show of the data: ids, conditions, columns, settings and their values, names of people and
# models. Put what a new page shows of its data here, or into <code>.
DATA = (
    *(
        "Emonext Care",
        "Observed Emotion Rating Scale",
        "sha256",
        "ECE",
        "IMG_1.mp4",
        "IMG_2.mp4",
        "anna",
        "atto",
        "tiny",
    ),
    *("65 and over", "under 40", "age", "sex", "mmse", "group", "care home", "nursing home", "day care"),
    *(
        "song begins",
        "song",
        "chanson",
        "made",
        "none",
        "False",
        "dlib",
        "cpu",
    ),
    *("longest", "largest", "hand", "photo", "gallery", "region", "adapted"),
)

# whole words of English that are no words of French, and no data of these pages
ENGLISH_WORDS = re.compile(
    r"(?<![\w./-])(the|of|with|was|were|is|are|and|this|that|these|from|which|not|for|been|has|have|to|by|it|"
    r"its|than|there|where|without|in the|an|only|too|how|who|could|would|should)(?![\w./-])",
    re.IGNORECASE,
)


def english_in(html: str) -> list[str]:
    """Each English text of a French page."""
    page = VisibleText(html)
    assert page.language == "fr"
    parts = [part for part in page.parts if part not in DATA]
    found = [part for part in parts if ENGLISH_WORDS.search(without_data(part))]
    whole, fragments = english_texts()
    found += [part for part in parts if plain(part) in whole]
    text = plain(" ".join([page.text, *page.further]))
    return found + [fragment for fragment in fragments if fragment in text]


_DATA = re.compile(rf"(?<!\w)({'|'.join(map(re.escape, DATA))})(?!\w)")


def without_data(text: str) -> str:
    return _DATA.sub(" ", text)


def plain(text: str) -> str:
    return " ".join(text.replace("\u00a0", " ").lower().rstrip(".:").split())


_GAP = re.compile(r"%\(\w+\)s|%%|\{\w+\}|<[^>]+>|&\w+;")


def english_texts() -> tuple[set[str], set[str]]:
    """Texts that have another form in French, whole and the longer pieces between their gaps."""
    french = translations("fr")
    changed = {
        form
        for message, text in french.items()
        for form, other in zip(forms(message), forms(text), strict=False)
        if plain(form) not in {plain(each) for each in forms(text)} and form != other
    }
    own = {plain(form) for text in french.values() for form in forms(text)}
    whole = {plain(text) for text in changed} - own
    pieces = {plain(piece) for text in changed for piece in _GAP.split(text)}
    return whole, {piece for piece in pieces if len(piece.split()) > 3}


@pytest.fixture(scope="module")
def french_pages(derived_small_study: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return every_page(derived_small_study, tmp_path_factory.mktemp("french"), language("fr"))


def test_no_french_page_holds_english(french_pages: dict[str, str]) -> None:
    found = {name: english_in(html) for name, html in french_pages.items()}
    assert {name: texts for name, texts in found.items() if texts} == {}


def test_figures_hold_only_what_plotly_knows(french_pages: dict[str, str]) -> None:
    """Plotly's classes refuse an unknown name, and change a value that they do not take as it is."""
    texts = [text for html in french_pages.values() for text in _FIGURE.findall(html)]
    figures = [figure for figure in map(json.loads, texts) if "layout" in figure]
    assert {trace["type"] for figure in figures for trace in figure["data"]} == {"scatter", "bar"}
    assert len(figures) > 10
    for figure in figures:
        known = json.loads(go.Figure(figure).to_json())
        for found in (known, figure):
            found["layout"].pop("template", None)
        assert known == figure


_FIGURE = re.compile(r'<script type="application/json" id="[^"]*-data">(.*?)</script>', re.DOTALL)


def test_numbers_have_the_decimal_comma(french_pages: dict[str, str]) -> None:
    """Settings are in <code>, as one writes them."""
    point = re.compile(r"(?<![\w.-])\d+\.\d+(?![\w.-])")
    found = {
        name: [p for p in VisibleText(html).parts if point.search(p)] for name, html in french_pages.items()
    }
    assert {name: texts for name, texts in found.items() if texts} == {}
    for html in french_pages.values():
        assert 'data-separators=",\u202f"' in html


@pytest.mark.parametrize(
    "planted",
    [
        "<p>No moment of the day was read.</p>",
        "<p>The picture <b>of</b> a face.</p>",
        "<th>Weighted kappa</th>",
        "<p>Les visages. Keep this folder as carefully as the recording.</p>",
        '<div aria-label="Disagreements"></div>',
        '<img alt="A picture of somebody">',
        '<script type="application/json" id="x">{"data": [{"text": ["right in 70 %, not wrong"]}]}</script>',
        '<script type="application/json" id="x">{"words": {"undone": "Undone."}}</script>',
    ],
)
def test_a_planted_english_text_is_found(french_pages: dict[str, str], planted: str) -> None:
    html = french_pages["index with a study"]
    assert english_in(html) == []
    assert english_in(html.replace("</main>", f"{planted}</main>"))


def test_what_is_said_to_be_english_may_be(french_pages: dict[str, str]) -> None:
    html = french_pages["index with a study"].replace(
        "</main>", '<p lang="en">The text <b>of</b> a paper.</p></main>'
    )
    assert english_in(html) == []


# --- a language of one's own


OPENS, CLOSES = "⟦", "⟧"


@pytest.fixture
def own_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Language]:
    """Every text in brackets, with the dates of Sweden: one folder with one file."""
    folder = tmp_path / "locale" / "xx"
    folder.mkdir(parents=True)
    lines = [
        'msgid ""',
        'msgstr ""',
        '"Language: sv_SE\\n"',
        '"Content-Type: text/plain; charset=utf-8\\n"',
        '"Plural-Forms: nplurals=2; plural=(n != 1);\\n"',
    ]
    for message in messages():
        one, *many = forms(message)
        lines += ["", f"msgid {quoted(one)}", *(f"msgid_plural {quoted(text)}" for text in many)]
        names = [f"msgstr[{place}]" for place in (0, 1)] if many else ["msgstr"]
        lines += [
            f"{name} {quoted(OPENS + text + CLOSES)}" for name, text in zip(names, (one, *many), strict=True)
        ]
    (folder / "common.po").write_text("\n".join(lines) + "\n", "utf-8")
    monkeypatch.setattr(reports.words.language, "_translated", lambda: tmp_path / "locale")
    yield language("xx")
    language.cache_clear()


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def not_translated(html: str) -> list[str]:
    """Words outside brackets that are no data of the pages, and no dates."""
    page = VisibleText(html)
    left = (without_data(outside(text)) for text in (page.text, *page.further))
    words = [word for text in left for word in re.findall(r"[^\W\d_]{3,}", text)]
    return [word for word in words if word.lower() not in _CALENDAR]


_CALENDAR = {
    name.rstrip(".").lower()
    for width in ("wide", "abbreviated")
    for names in (get_month_names(width, locale="sv_SE"), get_day_names(width, locale="sv_SE"))  # type: ignore[arg-type]
    for name in names.values()
} | {"min"}


def outside(text: str) -> str:
    depth, kept = 0, []
    for letter in text:
        depth += letter == OPENS
        if not depth:
            kept.append(letter)
        depth -= letter == CLOSES
    assert depth == 0, text
    return "".join(kept)


def test_a_language_is_a_folder(own_language: Language, derived_small_study: Path, tmp_path: Path) -> None:
    assert languages() == ["en", "xx"]
    with pytest.raises(ReportError, match="choose en or xx"):
        language("fr-CA")
    pages = every_page(derived_small_study, tmp_path, own_language)
    found = {name: not_translated(html) for name, html in pages.items()}
    assert {name: words for name, words in found.items() if words} == {}
    assert "2 mars 2026" in pages["session with everything, blur 2026-03-02T14:05:00"]
    assert not_translated(pages["index with a study"].replace("</main>", "<p>Hello world</p></main>")) == [
        "Hello",
        "world",
    ]
