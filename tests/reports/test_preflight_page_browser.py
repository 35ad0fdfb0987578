"""The page of seats in a real browser: seats are drawn, kept, and saved as a list of sessions."""

import csv
from pathlib import Path
from typing import Any

import pytest
from drawing import drag, edges
from fakes import find_squares
from reports.forms.seats import write_seats_page
from videos import encode, with_faces
from visits import PHONE, SCREEN, Visit

from pipeline.checks.trial_recordings import check_trial, find_trial, listed_seats
from pipeline.faces.detection import CropSpec
from pipeline.processing.sessions_list import read_study
from reports.words.language import language


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """P1 S1 has two faces, P1 S2 none; the page in English and French."""
    folder = tmp_path_factory.mktemp("seats") / "recordings"
    folder.mkdir()
    encode(folder / "P1_S1.mp4", [with_faces([(40, 60), (220, 60)])] * 20, rate=10)
    encode(folder / "P1_S2.mp4", [with_faces([])] * 20, rate=10)
    trial = find_trial(folder)
    rows = listed_seats(trial, list(check_trial(trial, find_squares, CropSpec())))
    for name in ("en", "fr"):
        write_seats_page(rows, folder.parent / f"{name}.html", folder, None, language(name))
    return folder


@pytest.fixture
def visit(browser: Any, recordings: Path) -> Visit:
    return Visit(browser, recordings.parent / "en.html", SCREEN)


def seat(visit: Visit, row: int) -> Any:
    return visit.page.locator(f'article[data-row="{row}"]')


def region_of(visit: Visit, row: int) -> str:
    return str(seat(visit, row).locator(".line input").input_value())


def progress(visit: Visit) -> str:
    return str(visit.page.locator("#progress").text_content())


@pytest.mark.parametrize("name", ["en", "fr"])
@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 900}, PHONE], ids=["screen", "phone"])
def test_the_page_is_whole_and_without_a_violation(
    browser: Any, recordings: Path, name: str, viewport: dict[str, int]
) -> None:
    visit = Visit(browser, recordings.parent / f"{name}.html", viewport)
    assert [url for url in visit.requests if not url.startswith("data:")] == [visit.page.url]
    assert visit.overflow_px() == 0
    assert visit.violations() == []
    seat(visit, 0).locator("[data-region]").first.click()
    seat(visit, 1).locator(".edges input").first.fill("101")
    assert visit.overflow_px() == 0
    assert visit.violations() == []
    assert visit.complaints == []


def test_a_drawn_seat_is_saved_as_a_list_that_is_accepted(
    visit: Visit, recordings: Path, tmp_path: Path
) -> None:
    assert progress(visit) == "0 of 2 recordings with a seat"
    drag(visit.page, seat(visit, 0).locator(".still"), (0.6, 0.05), (0.95, 0.9))
    assert edges(region_of(visit, 0)) == pytest.approx([60, 5, 95, 90], abs=0.2)
    assert progress(visit) == "1 of 2 recordings with a seat"
    with visit.page.expect_download() as download:
        visit.page.locator("#save").click()
    assert download.value.suggested_filename == "sessions.csv"
    path = recordings / "sessions.csv"
    try:
        download.value.save_as(path)
        assert [problem.column for problem in read_study(path).problems] == ["consent", "consent"]
        path.write_text(path.read_text("utf-8-sig").replace(";\n", ";yes\n"), "utf-8")
        study = read_study(path)
        assert study.problems == ()
        one, other = study.sessions
        assert one.ids == ("P1", "S1")
        assert one.patient_region == pytest.approx((0.6, 0.05, 0.95, 0.9), abs=0.002)
        assert other.patient_region is None
    finally:
        path.unlink()


def test_a_proposal_is_shown_and_saved_only_when_it_is_taken(visit: Visit, tmp_path: Path) -> None:
    first = seat(visit, 0).locator("[data-region]").first.get_attribute("data-region")
    assert region_of(visit, 0) == first
    visit.page.locator("#save").click()
    assert "nothing to save yet" in str(visit.page.locator("#said").text_content())
    seat(visit, 0).locator(".use").click()
    assert progress(visit) == "1 of 2 recordings with a seat"
    with visit.page.expect_download() as download:
        visit.page.locator("#save").click()
    download.value.save_as(tmp_path / "saved.csv")
    with (tmp_path / "saved.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    assert [row["patient_region"] for row in rows] == [first, ""]
    visit.page.locator("#undo").click()
    assert progress(visit) == "0 of 2 recordings with a seat"


def test_a_seat_is_drawn_with_keys_alone(visit: Visit) -> None:
    seat(visit, 1).locator(".still").focus()
    for key in ("ArrowDown", "ArrowUp", "ArrowRight", "Shift+ArrowDown"):
        visit.page.keyboard.press(key)
    assert region_of(visit, 1) == "41,39,61,60"
    assert progress(visit) == "1 of 2 recordings with a seat"


def test_a_typed_seat_counts_and_a_wrong_one_does_not(visit: Visit) -> None:
    inputs = seat(visit, 1).locator(".edges input")
    for number, text in enumerate(("0.5", "10", "55.5", "100")):
        inputs.nth(number).fill(text)
    inputs.nth(3).press("Tab")
    assert region_of(visit, 1) == "0.5,10,55.5,100"
    assert progress(visit) == "1 of 2 recordings with a seat"
    inputs.nth(2).fill("1")
    inputs.nth(2).press("Tab")
    assert "at least 2 apart" in str(seat(visit, 1).locator(".wrong").text_content())
    assert progress(visit) == "0 of 2 recordings with a seat"


def test_rectangles_survive_a_reload_until_they_are_deleted(visit: Visit) -> None:
    seat(visit, 0).locator("[data-region]").nth(1).click()
    region = region_of(visit, 0)
    kept = visit.page.evaluate("Object.entries(localStorage)")
    assert [value for _, value in kept] == [f'{{"0":"{region}"}}']
    visit.page.wait_for_timeout(300)  # Chromium hands it to the next process of the page by and by
    visit.page.reload()
    assert region_of(visit, 0) == region
    assert progress(visit) == "1 of 2 recordings with a seat"
    visit.page.locator("#clear").click()
    visit.page.reload()
    assert progress(visit) == "0 of 2 recordings with a seat"
