"""The page of recordings in a real browser: filled in, kept, saved, and applied to the folder's list."""

import csv
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from drawing import drag, edges
from fakes import find_squares
from videos import encode, with_faces
from visits import PHONE, SCREEN, Visit

from pipeline.checks.trial_recordings import check_trial, checked_recordings, find_trial
from pipeline.faces.detection import CropSpec
from pipeline.processing.saved_answers import compare_answers, write_answers
from pipeline.processing.sessions_list import read_study
from reports.forms.preflight import write_preflight_page
from reports.words.language import language


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """P1 S1 has two faces, IMG_7 none, and P1 S3 is no video; the page in English and French."""
    folder = tmp_path_factory.mktemp("preflight") / "recordings"
    folder.mkdir()
    encode(folder / "P1_S1.mp4", [with_faces([(40, 60), (220, 60)])] * 20, rate=10)
    encode(folder / "IMG_7.mp4", [with_faces([])] * 20, rate=10)
    (folder / "P1_S3.mp4").write_text("no video")
    trial = find_trial(folder)
    found = checked_recordings(trial, list(check_trial(trial, find_squares, CropSpec())))
    assert [one.video for one in found] == ["P1_S3.mp4", "IMG_7.mp4", "P1_S1.mp4"]
    for name in ("en", "fr"):
        write_preflight_page(found, folder.parent / f"{name}.html", folder, None, language(name))
    return folder


BROKEN, EMPTY, TWO = 0, 1, 2
"""The rows, the worst first."""


@pytest.fixture
def visit(browser: Any, recordings: Path) -> Visit:
    return Visit(browser, recordings.parent / "en.html", SCREEN)


def form(visit: Visit, row: int) -> Any:
    return visit.page.locator(f'[data-row="{row}"]')


def put(visit: Visit, row: int, **cells: str) -> None:
    for name, text in cells.items():
        field = form(visit, row).locator(f'[data-field="{name}"]')
        if name == "consent":
            field.and_(visit.page.locator(f'[value="{text}"]')).check()
        else:
            field.fill(text)
            field.press("Tab")


def text(visit: Visit, selector: str) -> str:
    return str(visit.page.locator(selector).text_content())


def region_of(visit: Visit, row: int) -> str:
    return str(form(visit, row).locator(".line input").input_value())


def save(visit: Visit, path: Path) -> list[dict[str, str]]:
    with visit.page.expect_download() as download:
        visit.page.locator("#save").click()
    assert download.value.suggested_filename == "recordings-answers.csv"
    download.value.save_as(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter=","))


@pytest.mark.parametrize("name", ["en", "fr"])
@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 900}, PHONE], ids=["screen", "phone"])
def test_the_page_is_whole_and_without_a_violation(
    browser: Any, recordings: Path, name: str, viewport: dict[str, int]
) -> None:
    visit = Visit(browser, recordings.parent / f"{name}.html", viewport)
    assert [url for url in visit.requests if not url.startswith("data:")] == [visit.page.url]
    assert visit.overflow_px() == 0
    assert visit.violations() == []
    visit.unfold()
    put(visit, EMPTY, patient_id="not an id")
    form(visit, TWO).locator("[data-region]").first.click()
    form(visit, EMPTY).locator(".edges input").first.fill("101")
    visit.page.locator("#save").click()
    assert visit.overflow_px() == 0
    assert visit.violations() == []
    assert visit.complaints == []


def test_what_is_filled_in_becomes_a_list_without_errors(
    visit: Visit, recordings: Path, tmp_path: Path
) -> None:
    """From the page to the list: a new one, and then the changed cells of that list alone."""
    assert text(visit, "#progress") == "0 of 3 complete"
    put(visit, BROKEN, consent="no")
    put(visit, EMPTY, patient_id="P2", session_id="S1", condition="music", consent="yes")
    put(visit, TWO, recorded_at="2026-03-01T14:30", condition="=1+1", consent="yes")
    still = form(visit, TWO).locator(".still")
    still.evaluate("still => still.scrollIntoView({ block: 'center' })")  # not below the bar
    drag(visit.page, still, (0.6, 0.05), (0.95, 0.9))
    assert edges(region_of(visit, TWO)) == pytest.approx([60, 5, 95, 90], abs=0.2)
    assert text(visit, "#progress") == "3 of 3 complete"
    rows = save(visit, tmp_path / "saved.csv")
    assert [row["condition"] for row in rows] == ["", "music", "'=1+1"]
    path = recordings / "sessions.csv"
    try:
        applied = compare_answers(tmp_path / "saved.csv", recordings)
        assert applied.problems == ()
        write_answers(applied)
        study = read_study(path)
        assert study.problems == ()
        two, empty, broken = sorted(study.sessions, key=lambda session: session.video.name != "P1_S1.mp4")
        assert (two.ids, two.condition, two.consent) == (("P1", "S1"), "=1+1", True)
        assert (two.recorded_at, empty.recorded_at) == (datetime(2026, 3, 1, 14, 30), None)
        assert two.patient_region == pytest.approx((0.6, 0.05, 0.95, 0.9), abs=0.002)
        assert {empty.ids, broken.ids} == {("P2", "S1"), ("P1", "S3")}
        put(visit, EMPTY, condition="calm")
        save(visit, tmp_path / "again.csv")
        assert compare_answers(tmp_path / "again.csv", recordings).replaced == [
            "row 2 (IMG_7.mp4), condition: 'music' becomes 'calm'"
        ]
    finally:
        path.unlink()


def test_what_is_missing_is_named_and_can_be_shown_alone(visit: Visit, tmp_path: Path) -> None:
    assert text(visit, f'[data-row="{EMPTY}"] .still-missing') == "Still missing: patient, session, consent."
    assert "Still missing: consent." in text(visit, f'[data-row="{TWO}"] .still-missing')
    put(visit, TWO, consent="yes")
    visit.page.locator("#filter").select_option("incomplete")
    assert visit.page.locator("article:visible").count() == 2
    assert text(visit, "#shown") == "2 of 3 shown"
    visit.page.locator("#filter").select_option("could be better")
    assert visit.page.locator("article:visible h3").text_content().startswith("P1_S1.mp4")
    visit.page.locator(".glance a").first.click()  # what a link leads to is shown
    assert visit.page.locator("article:visible").count() == 2
    save(visit, tmp_path / "saved.csv")
    assert "with 2 not complete" in text(visit, "#said")


@pytest.mark.parametrize("patient", ["Marie Curie", "index", "Con", "nul.1", "COM1", "P1."])
def test_ids_that_are_not_allowed_are_not_saved(visit: Visit, patient: str) -> None:
    put(visit, EMPTY, patient_id=patient, session_id="S1")
    assert "nor one that Windows keeps" in text(visit, f'[data-row="{EMPTY}"] .wrong-id')
    visit.page.locator("#save").click()
    assert "correct the marked field" in text(visit, "#said")
    assert visit.page.evaluate("document.activeElement.dataset.field") == "patient_id"


def test_a_date_that_is_none_is_not_saved(visit: Visit, tmp_path: Path) -> None:
    put(visit, EMPTY, patient_id="P2", session_id="S1", consent="yes")
    assert text(visit, f'[data-row="{EMPTY}"] .still-missing') == "Complete."
    for wrong in ("1.3.2026", "2026-13-01", "tomorrow", "2026-02-30"):
        put(visit, EMPTY, recorded_at=wrong)
        assert text(visit, f'[data-row="{EMPTY}"] .still-missing') == "Still missing: date."
        assert "Write the date as 2026-03-01" in text(visit, f'[data-row="{EMPTY}"] .wrong-id')
        visit.page.locator("#save").click()
        assert visit.page.evaluate("document.activeElement.dataset.field") == "recorded_at"
    put(visit, EMPTY, recorded_at="2026-03-01")
    assert text(visit, f'[data-row="{EMPTY}"] .wrong-id') == ""
    assert [row["recorded_at"] for row in save(visit, tmp_path / "saved.csv")] == ["", "2026-03-01", ""]


def test_another_spelling_of_a_condition_is_pointed_at_at_once(visit: Visit) -> None:
    put(visit, EMPTY, condition="Music")
    put(visit, TWO, condition="calm")
    told = [f'[data-row="{row}"] .alike' for row in (EMPTY, TWO)]
    assert [text(visit, place) for place in told] == ["", ""]
    put(visit, TWO, condition="music")
    assert text(visit, told[0]).startswith("Other recordings have it as “music”: two spellings")
    assert "“Music”" in text(visit, told[1])
    put(visit, TWO, condition="Music")
    assert [text(visit, place) for place in told] == ["", ""]


def test_the_same_ids_twice_are_pointed_at(visit: Visit) -> None:
    put(visit, EMPTY, patient_id="P1", session_id="S3")
    for row, other in ((EMPTY, "P1_S3.mp4"), (BROKEN, "IMG_7.mp4")):
        assert f"The same ids as {other}: together" in text(visit, f'[data-row="{row}"] .still-missing')


def test_a_proposal_is_saved_only_when_it_is_taken(visit: Visit, tmp_path: Path) -> None:
    first = form(visit, TWO).locator("[data-region]").first.get_attribute("data-region")
    assert region_of(visit, TWO) == first
    assert [row["patient_region"] for row in save(visit, tmp_path / "saved.csv")] == ["", "", ""]
    form(visit, TWO).locator(".use").click()
    assert [row["patient_region"] for row in save(visit, tmp_path / "saved.csv")] == ["", "", first]
    visit.page.locator("#undo").click()
    assert [row["patient_region"] for row in save(visit, tmp_path / "saved.csv")] == ["", "", ""]


def test_everything_is_done_with_keys_alone(visit: Visit) -> None:
    visit.page.locator(f'[data-row="{EMPTY}"] .still').focus()
    for key in ("ArrowDown", "ArrowUp", "ArrowRight", "Shift+ArrowDown"):
        visit.page.keyboard.press(key)
    assert region_of(visit, EMPTY) == "41,39,61,60"
    for _ in range(20):
        visit.page.keyboard.press("Tab")
        if visit.page.evaluate("document.activeElement.dataset.field") == "patient_id":
            break
    for word in ("P9", "S9", "2026-03-01", "music"):
        visit.page.keyboard.type(word)
        visit.page.keyboard.press("Tab")
    visit.page.keyboard.press("Space")  # the first answer: yes
    assert text(visit, f'[data-row="{EMPTY}"] .still-missing') == "Complete."
    assert form(visit, EMPTY).locator("input:checked").get_attribute("value") == "yes"


def test_a_typed_seat_counts_and_a_wrong_one_does_not(visit: Visit) -> None:
    inputs = form(visit, EMPTY).locator(".edges input")
    for number, edge in enumerate(("0.5", "10", "55.5", "100")):
        inputs.nth(number).fill(edge)
    inputs.nth(3).press("Tab")
    assert region_of(visit, EMPTY) == "0.5,10,55.5,100"
    assert form(visit, EMPTY).locator(".use").get_attribute("aria-pressed") == "true"
    inputs.nth(2).fill("1")
    inputs.nth(2).press("Tab")
    assert "at least 2 apart" in str(form(visit, EMPTY).locator(".wrong").first.text_content())
    assert form(visit, EMPTY).locator(".use").get_attribute("aria-pressed") == "false"


def test_answers_survive_a_reload_until_they_are_deleted(visit: Visit) -> None:
    visit.open_store()
    put(visit, TWO, consent="yes", condition="music")
    kept = visit.page.evaluate("Object.entries(localStorage)")
    assert [value for _, value in kept] == [f'{{"{TWO}":{{"consent":"yes","condition":"music"}}}}']
    visit.reload()
    assert text(visit, "#progress") == "1 of 3 complete"
    assert form(visit, TWO).locator('[data-field="condition"]').input_value() == "music"
    visit.page.locator("#clear").click()
    visit.reload()
    assert text(visit, "#progress") == "0 of 3 complete"
