"""The evaluation page: sentences, omissions, escaping; and in a real browser."""

import base64
import hashlib
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluations import ROBUSTNESS, make_evaluation, make_reading
from page_text import Page
from timelines import HOSTILE
from visits import ON_BOTH, SCREEN, Visit

from emonext.calibration import Abstaining
from emonext.results import AsUsed, Evaluation, Group, Interval, Robustness
from reports.figures.evaluation import abstaining_figure, reliability_figure, robustness_figure
from reports.pages.evaluation import write_evaluation_page
from reports.words.language import ENGLISH

MINIMAL = make_evaluation(
    readings=[make_reading(head="labels", truth="labels")], groups=[], as_used=[], robustness=[]
)
"""What weights without a head for votes give on a set without votes, if nothing more is asked for."""

EVERYTHING = [
    "accuracy",
    "recall",
    "confusion",
    "calibration",
    "abstaining",
    "groups",
    "as_used",
    "robustness",
    "details",
    "unknown",
]


def as_written(found: Evaluation) -> dict[str, Any]:
    """The evaluation after it was JSON, as ``evaluate --json`` writes it."""
    values: dict[str, Any] = json.loads(json.dumps(found.to_dict()))
    return values


def page_of(found: Evaluation | dict[str, Any], folder: Path) -> Page:
    path = folder / "evaluation.html"
    write_evaluation_page(found if isinstance(found, dict) else as_written(found), path)
    return Page(path.read_text(encoding="utf-8"))


def sections(page: Page) -> list[str | None]:
    return [attributes["id"] for tag, attributes in page.tags if tag == "section"]


# --- nothing, and little --------------------------------------------------------------------------------


def test_an_empty_evaluation(tmp_path: Path) -> None:
    page = page_of({}, tmp_path)
    assert sections(page) == ["details", "unknown"]
    assert "No face of this set has a known expression, so nothing can be said about “–”." in page.text
    assert "Speed, one crop –" in page.text
    assert page.count("script") == 0


def test_weights_without_votes_on_a_set_without_votes(tmp_path: Path) -> None:
    page = page_of(MINIMAL, tmp_path)
    assert sections(page) == [name for name in EVERYTHING if name not in ("groups", "as_used", "robustness")]
    assert (
        "“atto” reads 85.6 % of 2,251 faces as they are labelled (95 % interval 83.0 to 88.3 %)." in page.text
    )
    assert "The set’s labels, head that learnt labels (in use) Faces 2,251" in page.text
    assert "Majority" not in page.text
    assert "Where people voted" not in page.text


def test_robustness_alone_is_drawn_too(tmp_path: Path) -> None:
    page = page_of(make_evaluation(readings=[], groups=[], as_used=[]), tmp_path)
    assert sections(page) == ["robustness", "details", "unknown"]
    assert len(page.scripts) == 2
    assert "Dotted" not in page.text


# --- what is said ---------------------------------------------------------------------------------------


def test_everything_in_its_order(tmp_path: Path) -> None:
    page = page_of(make_evaluation(), tmp_path)
    assert sections(page) == EVERYTHING
    assert (
        "“atto” reads 85.6 % of 2,251 faces as most of ten people do (95 % interval 83.0 to 88.3 %)."
        in page.text
    )
    assert "Not validated on older adults or on people with dementia" in page.text


def test_a_row_of_each_figure_and_a_column_of_each_reading(tmp_path: Path) -> None:
    text = page_of(make_evaluation(), tmp_path).text
    for row in (
        "The set’s labels, head that learnt labels The set’s labels, head for people’s votes (in use) "
        "Majority of ten people’s votes, head for people’s votes (in use) Faces 3,589 3,589 2,251",
        "Accuracy, one crop 65.1 % 60.6 % 85.6 %",
        "… 95 % interval 63.6 to 66.7 % 58.9 to 62.2 % 83.0 to 88.3 %",
        "… pictures without a twin in training 85.7 %",
        "Accuracy, ten crops 86.1 %",
        "Macro F1 0.734",
        "Calibration error (ECE), raw 0.024",
        "… with the temperature 0.077 0.202 0.084",
        "… cross-fitted 0.021",
        "Log loss 0.839",
        "Temperature 0.75",
    ):
        assert row in text


@pytest.mark.parametrize(
    ("kept", "key"), [([0, 1, 2], "85.6 %"), ([0, 1], "60.6 %"), ([0], "65.1 %"), ([0, 2], "85.6 %")]
)
def test_the_first_sentence_is_of_the_head_in_use(kept: list[int], key: str, tmp_path: Path) -> None:
    found = make_evaluation()
    page = page_of(replace(found, readings=[found.readings[k] for k in kept]), tmp_path)
    assert f"“atto” reads {key} of" in page.text


def test_votes_alone_read_by_a_head_that_learnt_labels(tmp_path: Path) -> None:
    page = page_of(replace(MINIMAL, readings=[make_reading(head="labels")]), tmp_path)
    assert "“atto” reads 85.6 % of 2,251 faces as most of ten people do" in page.text


def test_recall_says_of_how_many_and_of_none_nothing(tmp_path: Path) -> None:
    text = page_of(MINIMAL, tmp_path).text
    assert "Sad 59 % of 63" in text
    assert "Happy 96 % of 1,775" in text
    assert "Disgusted no such face" in text


def test_the_confusion_in_shares_and_counts(tmp_path: Path) -> None:
    page = page_of(MINIMAL, tmp_path)
    cells = {
        str(a["title"]).replace("\u00a0", " "): a for tag, a in page.tags if tag == "td" and "title" in a
    }
    assert len(cells) == 49
    cell = cells["sad read as neutral: 17 of 63 faces"]
    assert (cell["class"], cell["style"]) == ("wrong", "--share: 0.270")
    right = cells["happy read as happy: 1,700 of 1,775 faces"]
    assert (right["class"], right["style"]) == ("right dark", "--share: 0.958")
    # in the order of the page: happy, surprised, neutral, sad, afraid, angry, disgusted
    assert "Sad 63 8 5 2 1 27 17 59 37 2 1 3 2 0 Afraid 8" in page.text
    assert "Disgusted 0 – – – – – – –" in page.text


def test_the_most_frequent_mistakes_are_named(tmp_path: Path) -> None:
    assert (
        "Most frequent mistakes: happy read as neutral (60 faces), sad read as neutral (17 faces), "
        "happy read as surprised (12 faces)." in page_of(MINIMAL, tmp_path).text
    )
    flawless = make_reading(confusion=(5 * np.eye(7, dtype=int)).tolist())
    assert "mistakes" not in page_of(replace(MINIMAL, readings=[flawless]), tmp_path).text


def test_thresholds_at_which_all_is_answered_are_one_row(tmp_path: Path) -> None:
    text = page_of(MINIMAL, tmp_path).text
    assert "0.00 85.6 % of 100.0 % 0.50 88.7 % of 94.0 % 0.70 93.4 % of 74.0 % 0.95 no answer" in text


def test_a_threshold_that_only_one_reading_has(tmp_path: Path) -> None:
    other = make_reading(head="labels", truth="labels", abstaining=[Abstaining(0.3, 0.9, 0.7)])
    text = page_of(make_evaluation(readings=[other, make_reading()]), tmp_path).text
    assert "0.30 70.0 % of 90.0 % no answer 0.50 no answer 88.7 % of 94.0 %" in text


def test_groups_with_their_intervals(tmp_path: Path) -> None:
    page = page_of(make_evaluation(), tmp_path)
    assert "under 40 358 60.1 % 55.0 to 65.1 % 0.031" in page.text
    assert "65 and over 25 52.0 % 32.0 to 72.0 % 0.112" in page.text
    assert "Over the whole set: 61.1 %." in page.text
    assert (
        "Recall in percent Group happy surprised neutral sad afraid angry disgusted under 40 96 94"
        in page.text
    )
    lines = [a for tag, a in page.tags if tag == "line" and a["class"] == "ends"]
    assert [(line["x1"], line["x2"]) for line in lines] == [("55.00%", "65.10%"), ("32.00%", "72.00%")]


def test_groups_of_faces_without_labels(tmp_path: Path) -> None:
    group = Group("all", 3, Interval(1.0, 1.0, 1.0), {}, 0.1)
    page = page_of(make_evaluation(readings=[make_reading()], groups=[group]), tmp_path)
    assert "over the whole set" not in page.text
    assert "all – – – – – – –" in page.text


@pytest.mark.parametrize(
    ("video", "benchmark", "gap"), [(0.787, 0.849, "−6.2"), (0.85, 0.85, "0.0"), (0.86, 0.85, "+1.0")]
)
def test_the_gap_between_video_and_benchmark_is_in_points(
    video: float, benchmark: float, gap: str, tmp_path: Path
) -> None:
    used = AsUsed("votes", "majority", found=0.931, accuracy=video, benchmark=benchmark)
    text = page_of(make_evaluation(as_used=[used]), tmp_path).text
    assert "Faces that the detector finds 93.1 %" in text
    assert f"Gap, in points {gap} " in text


def test_robustness_as_a_table(tmp_path: Path) -> None:
    text = page_of(make_evaluation(), tmp_path).text
    assert "Dotted: undisturbed, 86.6 %." in text
    assert "compression (JPEG quality) 85.0 % at 50 82.0 % at 20 70.0 % at 7" in text
    assert "compression (JPEG quality) 2.0 % 95 % readable 3.0 % 90 % readable – 10 % readable" in text
    assert "the answer changes, 83 % of 412 faces are found to be covered" in text
    assert "found to be covered" not in page_of(make_evaluation(covers=None), tmp_path).text


def test_weights_speed_and_precision(tmp_path: Path) -> None:
    text = page_of(make_evaluation(), tmp_path).text
    assert f"Weights atto sha256 {'ab12' * 16} Faces in the set 3,589" in text
    assert "Speed, one crop 66 faces per second" in text
    assert "Same class in bf16 as in float32 99.87 %" in text
    assert "Speed, one crop 2.5 faces" in page_of(make_evaluation(faces_per_s=2.52), tmp_path).text


def test_what_is_not_known_is_what_was_not_measured(tmp_path: Path) -> None:
    missing = ("Groups were not compared", "Not measured out of a video", "Not measured in poor pictures")
    little, much = page_of(MINIMAL, tmp_path).text, page_of(make_evaluation(), tmp_path).text
    assert [line in little for line in missing] == [True] * 3
    assert [line in much for line in missing] == [False] * 3
    assert "Other groups were not compared" in much


def test_a_share_that_is_not_a_number_is_a_dash(tmp_path: Path) -> None:
    """JSON as Python writes it knows NaN; so does a set of which every picture has a twin."""
    reading = make_reading(head="labels", truth="labels", accuracy_unseen=math.nan)
    text = page_of(replace(MINIMAL, readings=[reading]), tmp_path).text
    assert "… pictures without a twin in training – Accuracy, face and mirror image 86.6 %" in text
    assert "nan" not in text.lower().split()


# --- what is drawn --------------------------------------------------------------------------------------


def test_reliability_points_grow_with_the_square_root_of_the_faces() -> None:
    diagonal, points = reliability_figure(as_written(MINIMAL)["readings"], ENGLISH)["data"]
    assert (diagonal["x"], diagonal["y"]) == ([0, 100], [0, 100])
    assert points["x"] == pytest.approx([35, 60, 95])
    assert points["y"] == pytest.approx([20, 55, 90])
    sizes = points["marker"]["size"]
    assert [size / sizes[0] for size in sizes] == pytest.approx([1, 2, 4])


def test_a_threshold_without_answers_is_not_drawn() -> None:
    readings = as_written(make_evaluation())["readings"]
    first, _, key = abstaining_figure(readings, readings[2], ENGLISH)["data"]
    assert key["x"] == pytest.approx([100, 100, 94, 74])
    assert key["y"] == pytest.approx([85.6, 85.6, 88.7, 93.4])
    assert key["text"] == ["", "", "≥ 0.5", "≥ 0.7"]
    assert "text" in key["mode"]
    assert "text" not in first["mode"]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_panel_for_each_corruption_from_mild_to_severe(count: int) -> None:
    figure = robustness_figure(as_written(make_evaluation())["robustness"][:count], 0.856, ENGLISH)
    assert [note["text"] for note in figure["layout"]["annotations"]] == [
        f"<b>{one.name}</b>" for one in ROBUSTNESS[:count]
    ]
    assert len(figure["data"]) == count
    assert figure["layout"]["xaxis"]["ticktext"] == ["0.5", "1", "2.5"]
    assert figure["data"][0]["y"] == pytest.approx([84, 80, 60])
    assert {shape["y0"] for shape in figure["layout"]["shapes"]} == {85.6}


# --- what must not be shown, or run ---------------------------------------------------------------------


def hostile() -> Evaluation:
    return make_evaluation(
        weights=HOSTILE,
        sha256=HOSTILE,
        groups=[Group(HOSTILE, 3, Interval(0.5, 0.2, 0.8), {HOSTILE: 0.5}, 0.1)],
        robustness=[Robustness(HOSTILE, HOSTILE, [1.0], [0.5], [1.0], [0.5])],
    )


def test_everything_is_escaped(tmp_path: Path) -> None:
    page = page_of(hostile(), tmp_path)
    assert page.count("img") == 0
    assert page.count("script") == 5  # Plotly, the one that draws, and the data of three figures
    assert page.text.count("<script>alert(1)</script>") >= 6
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]


def test_plotly_gets_no_markup_but_ours() -> None:
    """Plotly makes tags of a text's <b>, <a> and the like."""
    figure = robustness_figure(as_written(hostile())["robustness"], None, ENGLISH)
    texts = [
        figure["layout"]["annotations"][0]["text"],
        figure["layout"]["xaxis"]["title"]["text"],
        *figure["data"][0]["hovertext"],
    ]
    assert all("&lt;script&gt;" in text for text in texts)
    assert set(re.findall(r"<[^>]*>", "".join(texts))) == {"<b>", "</b>", "<br>"}


def test_only_the_scripts_of_the_program_may_run(tmp_path: Path) -> None:
    page = page_of(make_evaluation(), tmp_path)
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in page.scripts]
    allowed = re.search(r"script-src ([^;]*);", str(policy))
    assert allowed
    assert len(digests) == 2
    assert allowed[1].split() == [f"'sha256-{digest}'" for digest in digests]
    assert str(policy).startswith("default-src 'none'; ")


def test_nothing_is_loaded_from_elsewhere(tmp_path: Path) -> None:
    page = page_of(make_evaluation(), tmp_path)
    assert page.count("link") == page.count("iframe") == 0
    assert not [a for _, a in page.tags if "src" in a or not (a.get("href") or "#").startswith("#")]


def test_links_lead_somewhere(tmp_path: Path) -> None:
    page = page_of({}, tmp_path)
    targets = {a["href"] for tag, a in page.tags if tag == "a"}
    assert targets == {"#unknown"}
    assert "unknown" in sections(page)


# --- in a browser ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    write_evaluation_page({}, folder / "empty.html")
    write_evaluation_page(as_written(MINIMAL), folder / "minimal.html")
    write_evaluation_page(as_written(make_evaluation()), folder / "full.html")
    write_evaluation_page(as_written(hostile()), folder / "hostile.html")
    return folder


OVERFLOW = """
[document.documentElement.scrollWidth - document.documentElement.clientWidth,
 [...document.querySelectorAll('td, th')].filter(cell => cell.scrollWidth > cell.clientWidth + 1
   && !cell.closest('.unseen-head')).map(cell => cell.textContent)]
"""
"""By how much the page is too wide, and the cells that are too narrow for their words."""


@ON_BOTH
@pytest.mark.parametrize(("name", "figures"), [("empty", 0), ("minimal", 2), ("full", 3), ("hostile", 3)])
def test_a_page_opens_from_disk(
    browser: Any, pages: Path, name: str, figures: int, viewport: dict[str, int]
) -> None:
    path = pages / f"{name}.html"
    opened = Visit(browser, path, viewport)
    opened.unfold()
    assert opened.complaints == []
    assert opened.requests == [path.as_uri()]
    assert opened.count(".figure.js-plotly-plot") == figures
    assert opened.page.evaluate(OVERFLOW) == [0, []]


def test_pointing_at_a_threshold_says_what_it_gives(browser: Any, pages: Path) -> None:
    opened = Visit(browser, pages / "minimal.html", {"width": 1280, "height": 6000})
    opened.page.locator(".figure.middle .scatterlayer .point").nth(3).hover(force=True)
    caption = opened.page.locator(".figure.middle .hoverlayer .hovertext")
    caption.wait_for()
    text = str(caption.text_content()).replace("\u00a0", " ")
    assert "from a confidence of 0.70" in text
    assert "74.0 % answered" in text
    assert "93.4 % of them right" in text


def test_without_script_the_tables_are_there(browser: Any, pages: Path) -> None:
    page = browser.new_context(offline=True, java_script_enabled=False, viewport=SCREEN).new_page()
    page.goto((pages / "full.html").as_uri())
    notes = page.locator("noscript p").all()
    assert [note.inner_text() for note in notes] == [
        "This picture needs JavaScript. The table below says the same."
    ] * 3
    assert not any(figure.is_visible() for figure in page.locator(".figure").all())
    folded = page.locator("#robustness details")
    assert not folded.locator("table").first.is_visible()
    folded.locator("summary").click()
    assert folded.locator("table").first.is_visible()


def test_a_print_is_complete(browser: Any, pages: Path) -> None:
    opened = Visit(browser, pages / "full.html", SCREEN)
    opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert opened.page.evaluate("document.querySelectorAll('details:not([open])').length") == 0
    assert opened.page.pdf(format="A4").startswith(b"%PDF")
    assert opened.complaints == []
