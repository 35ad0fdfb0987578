"""The index in a real browser: sessions that need a person, and commands to copy."""

from pathlib import Path
from typing import Any

import pytest
from timelines import TWENTY_SECONDS, make_timeline
from visits import ON_BOTH, SCREEN, Visit

from pipeline.reasons import Reason
from pipeline.store.coverage import summarize
from reports.assets import INLINE
from reports.index_data import IndexEntry, Overview
from reports.pages.index import index_page
from reports.render import write_page
from reports.words.language import language


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("index")
    summary = summarize(make_timeline(TWENTY_SECONDS))
    known: dict[str, Any] = {"summary": summary, "enough": True, "condition": "music"}
    entries = [
        IndexEntry("P1", "S1", "done", identity="confirmed", **known),
        IndexEntry("P1", "S2", "to_check", (Reason.of("still_face"),), identity="to_check", **known),
        IndexEntry("P2", "S1", "failed", (Reason.of("killed"),)),
        IndexEntry("P2", "S2", "waiting"),
    ]
    return {
        name: write_page(
            folder / f"{name}.html",
            index_page(entries, language(name), INLINE, Overview(is_status=True)),
        )
        for name in ("en", "fr")
    }


@ON_BOTH
@pytest.mark.parametrize("name", ["en", "fr"])
def test_the_page_is_whole_and_without_a_violation(
    browser: Any, pages: dict[str, Path], name: str, viewport: dict[str, int]
) -> None:
    visit = Visit(browser, pages[name], viewport)
    assert visit.complaints == []
    assert visit.requests == [pages[name].as_uri()]
    assert visit.violations() == []
    assert visit.overflow_px() == 0


LINES = """
() => [...document.querySelectorAll("td.condition")].filter((cell) => cell.textContent.trim()).map((cell) => {
  const range = document.createRange();
  range.selectNodeContents(cell);
  return new Set([...range.getClientRects()].map((one) => one.top)).size;
})
"""


def test_on_paper_the_word_of_a_condition_stays_whole(browser: Any, pages: dict[str, Path]) -> None:
    visit = Visit(browser, pages["fr"], {"width": 703, "height": 1000})
    visit.page.emulate_media(media="print")
    assert "musique" in (visit.page.locator("td.condition").first.text_content() or "")
    assert set(visit.page.evaluate(LINES)) == {1}


def test_sessions_that_need_a_person_are_filtered_by_keyboard(browser: Any, pages: dict[str, Path]) -> None:
    visit = Visit(browser, pages["en"], SCREEN)
    visit.page.locator("#filter-state").focus()
    visit.page.keyboard.type("A person")
    visit.page.wait_for_timeout(100)
    shown = [
        text.strip() for text in visit.page.locator(".patient tbody tr:visible .state").all_text_contents()
    ]
    assert shown == ["To check", "Failed", "Waiting"]
    assert visit.page.locator("#found").text_content() == "3 sessions found, of 2 patients"
    assert visit.complaints == []


def test_the_search_finds_conditions(browser: Any, pages: dict[str, Path]) -> None:
    for name, word in (("en", "music"), ("fr", "musique")):
        visit = Visit(browser, pages[name], SCREEN)
        visit.page.fill("#filter-text", f"p1 {word}")
        visit.page.wait_for_timeout(200)
        assert visit.page.locator(".patient tbody tr:visible").count() == 2
        assert [row.is_visible() for row in visit.page.locator(".patient").all()] == [True, False]


def test_a_patient_of_whom_not_all_is_shown_says_so(browser: Any, pages: dict[str, Path]) -> None:
    visit = Visit(browser, pages["en"], SCREEN)

    def summaries() -> list[str]:
        texts = visit.page.locator(".patient summary").all_text_contents()
        return [text.replace("\u00a0", " ") for text in texts]

    whole = ["2 sessions: 1 done, 1 to check", "2 sessions: 1 failed, 1 waiting"]
    assert summaries() == whole
    visit.page.select_option("#filter-state", "to_check")
    assert summaries()[0] == "Sessions shown: 1 of 2"
    visit.page.select_option("#filter-state", "")
    assert summaries() == whole


def test_a_command_is_copied(browser: Any, pages: dict[str, Path]) -> None:
    visit = Visit(browser, pages["en"], SCREEN)
    visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.page.get_by_role("button", name="Copy emonext people study").focus()
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_timeout(200)
    assert visit.page.locator("#copied").text_content() == "Copied"
    assert visit.page.evaluate("navigator.clipboard.readText()") == "emonext people study"
    assert visit.complaints == []


def test_on_a_phone_each_cell_names_its_column(browser: Any, pages: dict[str, Path]) -> None:
    visit = Visit(browser, pages["en"], {"width": 390, "height": 900})
    named = visit.page.evaluate(
        "[...document.querySelector('.patient tbody tr').querySelectorAll('td')]"
        ".map(cell => getComputedStyle(cell, '::before').content)"
    )
    columns = ("Kind", "Length", "Face could be read", "Is it the patient?")
    assert named == [f'"{name}"' for name in (*columns, "Positive", "Neutral", "Negative")] + ["none"]
