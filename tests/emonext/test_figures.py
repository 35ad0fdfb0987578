"""Figures of an evaluation and of a training run, from hand-made numbers."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluations import RECALL, ROBUSTNESS, make_evaluation, make_reading
from matplotlib.figure import Figure
from PIL import Image

from emonext.figures import draw_confusion, draw_curves, draw_evaluation, draw_reliability, draw_robustness
from emonext.inference import Head
from emonext.model import LABELS
from emonext.training.recipe import Epoch


def make_log(epochs: int, **changes: float) -> list[Epoch]:
    return [
        replace(Epoch(k, 3e-3 / k, 3.0 / k, 0.1 * k, 0.12 * k, 300.0), **changes)
        for k in range(1, epochs + 1)
    ]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that would have been written."""
    figures: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **look: figures.append(self))
    return figures


def words(path: Path) -> str:
    """What is written in an SVG; its text is kept as text."""
    return path.read_text(encoding="utf-8")


# --- nothing to draw ------------------------------------------------------------------------------------


def test_an_evaluation_of_nothing_has_no_pictures(tmp_path: Path) -> None:
    found = make_evaluation(readings=[], robustness=[])
    assert draw_evaluation(found, tmp_path / "new" / "folder") == []
    assert (tmp_path / "new" / "folder").is_dir()


@pytest.mark.parametrize("draw", [draw_reliability, draw_robustness, draw_curves])
def test_no_figures_give_an_empty_picture(draw: Any, tmp_path: Path) -> None:
    draw([], tmp_path / "empty.png")
    with Image.open(tmp_path / "empty.png") as picture:
        assert min(picture.size) > 300


def test_a_reading_without_a_face(drawn: list[Figure]) -> None:
    draw_confusion(make_reading(count=0, confusion=np.zeros((7, 7), int).tolist()), Path("none.png"))
    assert {text.get_text() for text in drawn[0].axes[0].texts} == {"–"}


# --- all of an evaluation -------------------------------------------------------------------------------


def test_every_picture_of_an_evaluation(tmp_path: Path) -> None:
    paths = draw_evaluation(make_evaluation(), tmp_path)
    assert [path.name for path in paths] == [
        "atto-confusion-labels-labels.png",
        "atto-confusion-votes-labels.png",
        "atto-confusion-votes-majority.png",
        "atto-reliability.png",
        "atto-robustness.png",
    ]
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    for path in paths:
        with Image.open(path) as picture:
            assert min(picture.size) > 700
            colours = picture.convert("RGB").getcolors(maxcolors=1 << 20)
            assert colours is not None
            assert len(colours) > 50


def test_a_name_does_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    paths = draw_evaluation(make_evaluation(weights="../../evil", robustness=[]), tmp_path / "here")
    assert {path.parent for path in paths} == {tmp_path / "here"}
    assert list(tmp_path.rglob("*evil*")) == []


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_the_format_is_that_of_the_ending(ending: str, start: bytes, tmp_path: Path) -> None:
    draw_robustness(ROBUSTNESS, tmp_path / f"picture.{ending}")
    assert (tmp_path / f"picture.{ending}").read_bytes().startswith(start)


# --- confusion ------------------------------------------------------------------------------------------


def test_a_cell_says_the_share_of_the_true_class_and_the_count(drawn: list[Figure]) -> None:
    draw_confusion(make_reading(), Path("confusion.png"))
    texts = {(text.get_position()): text.get_text() for text in drawn[0].axes[0].texts}
    sad, neutral, happy, surprise = (LABELS.index(name) for name in ("sad", "neutral", "happy", "surprise"))
    assert texts[neutral, sad] == "27%\n(17)"  # 17 of 63, read as neutral
    assert texts[happy, happy] == "96%\n(1,700)"
    assert texts[sad, surprise] == "0"
    assert texts[0, LABELS.index("disgust")] == "–"
    rows = [label.get_text() for label in drawn[0].axes[0].get_yticklabels()]
    assert rows[:2] == ["angry (100)", "disgust (0)"]


def test_the_darkest_cells_are_the_fullest(drawn: list[Figure]) -> None:
    draw_confusion(make_reading(), Path("confusion.png"))
    shares = drawn[0].axes[0].images[0].get_array()
    assert shares is not None
    np.testing.assert_allclose(shares.sum(axis=1), [1, 0, 1, 1, 1, 1, 1])
    np.testing.assert_allclose(np.diag(shares), list(RECALL.values()))


@pytest.mark.parametrize(("head", "expected"), [("labels", "head for labels"), ("votes", "head for votes")])
def test_the_title_names_the_reading_and_its_interval(head: Head, expected: str, tmp_path: Path) -> None:
    draw_confusion(make_reading(head=head), tmp_path / "confusion.svg")
    text = words(tmp_path / "confusion.svg")
    assert f"Majority of votes, by the {expected}" in text
    assert "2,251 faces, 85.6% right (83.0% to 88.3%), one crop" in text


# --- reliability ----------------------------------------------------------------------------------------


def test_points_stand_at_confidence_and_accuracy_and_grow_with_the_faces(drawn: list[Figure]) -> None:
    draw_reliability([make_reading()], Path("reliability.png"))
    points = drawn[0].axes[0].collections[0]
    np.testing.assert_allclose(points.get_offsets(), [(0.35, 0.2), (0.6, 0.55), (0.95, 0.9)])
    areas = np.asarray(points.get_sizes())
    np.testing.assert_allclose(areas / areas[0], [1, 4, 16])


def test_the_diagonal_is_drawn(drawn: list[Figure]) -> None:
    draw_reliability([make_reading()], Path("reliability.png"))
    assert drawn[0].axes[0].lines[0].get_xydata().tolist() == [[0, 0], [1, 1]]


def test_the_legend_gives_the_calibration_error_of_each_reading(tmp_path: Path) -> None:
    draw_reliability(make_evaluation().readings, tmp_path / "reliability.svg")
    text = words(tmp_path / "reliability.svg")
    for line in (
        "labels, by the head for labels: ECE 0.077",
        "labels, by the head for votes: ECE 0.202",
        "majority of votes, by the head for votes: ECE 0.084",
    ):
        assert line in text


# --- robustness -----------------------------------------------------------------------------------------


def test_a_panel_goes_from_mild_to_severe_whichever_way_the_levels_count(drawn: list[Figure]) -> None:
    draw_robustness(ROBUSTNESS, Path("robustness.png"))
    panel = drawn[0].axes[1]
    assert [label.get_text() for label in panel.get_xticklabels()] == ["50", "20", "7"]
    assert panel.lines[0].get_xydata().tolist() == [[0, 0.85], [1, 0.82], [2, 0.7]]
    assert (panel.get_title(loc="left"), panel.get_xlabel()) == ("compression", "JPEG quality")


def test_there_are_as_many_panels_as_corruptions_on_a_common_axis(drawn: list[Figure]) -> None:
    draw_robustness(ROBUSTNESS, Path("robustness.png"))
    panels = [axes for axes in drawn[0].axes if axes.get_visible()]
    assert len(panels) == 4
    assert {axes.get_ylim() for axes in panels} == {(0, 1)}


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ([0, 1, 2], "undisturbed (86.6%)"),  # the majority, by the head that learnt it
        ([0, 1], "undisturbed (61.1%)"),
        ([0], "undisturbed (66.1%)"),
    ],
)
def test_the_line_is_the_accuracy_that_the_corruptions_start_from(
    kept: list[int], expected: str, drawn: list[Figure], tmp_path: Path
) -> None:
    found = make_evaluation()
    draw_evaluation(replace(found, readings=[found.readings[k] for k in kept]), tmp_path)
    assert [text.get_text() for text in drawn[-1].legends[0].get_texts()] == [expected]
    assert all(len(axes.lines) == 2 for axes in drawn[-1].axes if axes.get_visible())


def test_without_readings_there_is_no_line(drawn: list[Figure], tmp_path: Path) -> None:
    draw_evaluation(make_evaluation(readings=[]), tmp_path)
    assert len(drawn) == 1
    assert drawn[0].legends == []


# --- a training run -------------------------------------------------------------------------------------


def test_the_curves_of_a_run(drawn: list[Figure]) -> None:
    draw_curves(make_log(4), Path("curves.png"))
    upper, lower, right = drawn[0].axes
    assert upper.lines[0].get_xydata().tolist() == [[1, 3], [2, 1.5], [3, 1], [4, 0.75]]
    assert [line.get_ydata()[-1] for line in right.lines] == pytest.approx([0.4, 0.48])
    assert lower.lines[0].get_ydata()[0] == 3e-3
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == [
        "training loss (0.75)",
        "accuracy, labels (40.0%)",
        "accuracy, majority of votes (48.0%)",
    ]


def test_a_run_without_votes_has_no_curve_for_them(drawn: list[Figure]) -> None:
    draw_curves(make_log(4, majority_accuracy=math.nan), Path("curves.png"))
    assert len(drawn[0].axes[2].lines) == 1
    assert len(drawn[0].legends[0].get_texts()) == 2


def test_the_first_epoch_stands_on_a_whole_number(drawn: list[Figure]) -> None:
    draw_curves(make_log(1), Path("curves.png"))
    lower = drawn[0].axes[1]
    assert [tick for tick in lower.get_xticks() if 0.5 <= tick <= 1.5] == [1]


def test_the_picture_of_a_run_is_written(tmp_path: Path) -> None:
    draw_curves(make_log(40), tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        assert min(picture.size) > 700
