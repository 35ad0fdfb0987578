"""Pages of several sessions in a real browser: drawing, clicks, keyboard, accessibility."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from visits import PHONE, SCREEN, Visit

from reports import ReportOptions, write_reports

PAGES = ("index", "study", "P03/index")


@pytest.fixture(scope="module")
def made(derived_small_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(derived_small_study, tmp_path_factory.mktemp("study") / derived_small_study.name)


@pytest.fixture(scope="module")
def pages_in(made: Path) -> Callable[[str], Path]:
    """The folder of the made study's pages, in a language; made once for each that follows another."""
    last: list[str] = []

    def make(name: str) -> Path:
        if last != [name]:
            write_reports(made, options=ReportOptions(name, "inline"))
            last[:] = [name]
        return made / "reports"

    return make


@pytest.mark.parametrize("language", ["en", "fr"])
def test_pages_are_whole_and_without_a_violation(
    browser: Any, pages_in: Callable[[str], Path], language: str
) -> None:
    folder = pages_in(language)
    for name in PAGES:
        for viewport in (SCREEN, PHONE):
            path = folder / f"{name}.html"
            visit = Visit(browser, path, viewport)
            assert visit.complaints == [], name
            assert visit.requests == [path.as_uri()]
            assert visit.count(".figure .main-svg") >= visit.count(".figure")
            assert visit.count(".figure") == visit.count(".figure.js-plotly-plot")
            assert visit.overflow_px() == 0, (name, viewport)
            visit.unfold()
            assert visit.overflow_px() == 0, (name, viewport)
            assert visit.violations() == [], (name, viewport)
            visit.page.context.close()


@pytest.fixture
def patient(browser: Any, pages_in: Callable[[str], Path]) -> Visit:
    return Visit(browser, pages_in("en") / "P03" / "index.html", {"width": 1200, "height": 2600})


def test_a_click_on_a_mark_leads_to_its_session(patient: Visit) -> None:
    patient.page.locator("[data-figure='balance-data'] .point").nth(2).hover(force=True)
    patient.page.mouse.down()
    patient.page.mouse.up()
    patient.page.wait_for_url("**/P03/S03.html")


def test_a_click_on_a_column_leads_to_its_session(patient: Visit) -> None:
    """The patterned bars are of eight sessions: the fourth from the left is the fourth's."""
    plot = patient.page.locator("[data-figure='shares-data'] .nsewdrag").first.bounding_box()
    patient.page.mouse.click(plot["x"] + plot["width"] * 3.6 / 8.2, plot["y"] + plot["height"] / 2)
    patient.page.wait_for_url("**/P03/S04.html")


def test_the_keyboard_reaches_every_mark(patient: Visit) -> None:
    figure = patient.page.locator("[data-figure='balance-data']")
    figure.focus()
    said = patient.page.locator("#balance-said")
    for key, session in (("ArrowRight", "S01"), ("ArrowRight", "S02"), ("End", "S08"), ("ArrowLeft", "S07")):
        patient.page.keyboard.press(key)
        assert str(said.text_content()).startswith(session)
    assert patient.count("[data-figure='balance-data'] .hoverlayer .hovertext") == 1
    patient.page.keyboard.press("Enter")
    patient.page.wait_for_url("**/P03/S07.html")
    assert patient.complaints == []


def test_the_second_panel_is_reached_too(patient: Visit) -> None:
    figure = patient.page.locator("[data-figure='beside-data']")
    figure.focus()
    for _ in range(9):
        patient.page.keyboard.press("ArrowRight")
    assert str(patient.page.locator("#beside-said").text_content()).startswith("S01")
    assert patient.complaints == []


def test_a_patient_prints_on_paper(patient: Visit) -> None:
    patient.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    widths = "[...document.querySelectorAll('.figure .main-svg')].map(one => one.clientWidth)"
    assert set(patient.page.evaluate(widths)) == {660}
    assert patient.page.pdf(format="A4").startswith(b"%PDF")
    assert patient.complaints == []


# --- the index


@pytest.fixture
def index(browser: Any, pages_in: Callable[[str], Path]) -> Visit:
    return Visit(browser, pages_in("en") / "index.html", SCREEN)


def shown(visit: Visit) -> list[str]:
    return [text.strip() for text in visit.page.locator(".patient:visible h2").all_text_contents()]


def search(visit: Visit, text: str) -> str:
    """What is announced."""
    visit.page.get_by_role("searchbox").fill(text)
    visit.page.wait_for_timeout(250)
    return str(visit.page.locator("#found").text_content())


def test_the_index_finds_patients_sessions_and_states(index: Visit) -> None:
    assert len(shown(index)) == 4
    assert search(index, "p03") == "8 sessions found, of 1 patient"
    assert shown(index) == ["Patient P03"]
    assert search(index, "p03 s02") == "1 session found"
    assert index.page.locator(".patient tbody tr:visible").count() == 1
    assert search(index, "failed") == "Nothing found"
    assert shown(index) == []
    assert search(index, "done s08") == "4 sessions found, of 4 patients"
    index.page.keyboard.press("Escape")
    assert len(shown(index)) == 4
    assert index.complaints == []


def test_the_search_is_done_by_keyboard(index: Visit) -> None:
    index.page.get_by_role("searchbox").focus()
    index.page.keyboard.type("p02")
    index.page.wait_for_timeout(250)
    index.page.keyboard.press("Enter")
    index.page.keyboard.press("Enter")
    index.page.wait_for_url("**/P02/index.html")


def choose(visit: Visit, name: str, value: str) -> None:
    visit.page.locator(f"#filter-{name}").select_option(value)


def rows(visit: Visit) -> int:
    return visit.count(".patient tbody tr:visible")


def test_the_filter_survives_a_reload(index: Visit) -> None:
    assert rows(index) == 32
    choose(index, "condition", "music")
    of_music = rows(index)
    assert 0 < of_music < 32
    choose(index, "patient", "P02")
    assert 0 < rows(index) < of_music
    assert shown(index) == ["Patient P02"]
    found = rows(index)
    assert index.page.url.endswith("#patient=P02&condition=music")
    index.page.reload()
    assert rows(index) == found
    assert index.page.locator("#filter-condition").input_value() == "music"
    choose(index, "state", "done")
    index.page.get_by_role("button", name="Show all sessions").click()
    index.page.wait_for_timeout(100)
    assert rows(index) == 32
    assert index.page.url.endswith("#")
    assert index.complaints == []


def test_a_filter_of_something_that_is_gone_shows_everything(
    browser: Any, pages_in: Callable[[str], Path]
) -> None:
    visit = Visit(browser, pages_in("en") / "index.html", SCREEN)
    visit.page.goto(f"{(pages_in('en') / 'index.html').as_uri()}#patient=P99&state=nonsense&other=1")
    visit.page.reload()
    assert rows(visit) == 32
    assert visit.complaints == []


def test_without_scripts_everything_is_listed(browser: Any, pages_in: Callable[[str], Path]) -> None:
    page = browser.new_context(offline=True, java_script_enabled=False).new_page()
    page.goto((pages_in("en") / "index.html").as_uri())
    assert page.locator(".patient").count() == 4
    assert page.locator(".patient tbody tr").count() == 32
    assert page.locator("#filter").is_hidden()


def test_pages_share_their_assets(browser: Any, made: Path, pages_in: Callable[[str], Path]) -> None:
    """Last: it leaves the folder as the others do not want it."""
    folder = pages_in("en")
    write_reports(made, options=ReportOptions(assets="shared"))
    for name in PAGES:
        path = folder / f"{name}.html"
        visit = Visit(browser, path, SCREEN)
        assert visit.complaints == [], name
        assert all(request.startswith(folder.as_uri()) for request in visit.requests)
        assert visit.count(".figure.js-plotly-plot") == visit.count(".figure")
        assert path.stat().st_size < 200_000
