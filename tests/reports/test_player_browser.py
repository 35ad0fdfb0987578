"""The video on the page of a session, and the markers, in a real browser."""

from pathlib import Path
from typing import Any

import pytest
from session_pages import facts, material
from timelines import make_timeline, put
from videos import encode, numbered
from visits import ON_BOTH, PHONE, SCREEN, Visit
from written_pages import write_session_report

from pipeline.analysis.events import Event
from pipeline.analysis.highlights import Moment
from pipeline.records import SessionVideo
from pipeline.review.apply_markers import apply_markers
from pipeline.review.markers import read_markers
from pipeline.store.timeline import Timeline
from reports import ReportOptions, write_reports
from reports.pages.review import write_review_page
from reports.session_data import Film, PlayedVideo
from reports.words.language import language

FILES_S = (8.0, 12.0)
MOMENTS = (Moment("happy", 10.0, 10.6, 10.2, 0.9), Moment("happy", 17.0, 17.6, 17.2, 0.6))
EARLIER = (Moment("sad", 7.6, 8.4, 8.0, 0.7),)
"""Across the border of the files."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of two files, 20 s, in two languages; of a file that is gone, and of one that is no video."""
    folder = tmp_path_factory.mktemp("a study")
    starts_s = (0.0, FILES_S[0])
    files = [
        encode(folder / f"{n}.mp4", numbered(round(10 * length_s)), rate=10)
        for n, length_s in enumerate(FILES_S)
    ]
    (folder / "broken.mp4").write_bytes(b"no video")
    films = [Film(file.as_uri(), start_s) for file, start_s in zip(files, starts_s, strict=True)]
    known = facts(good=MOMENTS, hard=EARLIER, events=(Event("P1", "S1", 3.0, "song"),))
    for name, spoken, played in (
        ("en", "en", films),
        ("fr", "fr", films),
        ("moved", "en", [Film((folder / "moved.mp4").as_uri(), 0.0)]),
        ("broken", "en", [Film((folder / "broken.mp4").as_uri(), 0.0)]),
    ):
        made = material(facts=known, video=PlayedVideo(played, "others", "study"))
        write_session_report(made, folder / f"{name}.html", language(spoken))
    return folder


PLAYED = """
(() => {
  const video = document.querySelector('video');
  return (video.currentSrc.endsWith('1.mp4') ? 8 : 0) + video.currentTime;
})()
"""


def wait_until(visit: Visit, condition: str) -> None:
    """Asked from outside: playwright's own waiting evaluates in the page, which its policy forbids."""
    for _ in range(400):
        if visit.page.evaluate(condition):
            return
        visit.page.wait_for_timeout(25)
    pytest.fail(f"never came true: {condition}")


def ready(visit: Visit) -> Visit:
    video = "document.querySelector('video')"
    wait_until(visit, f"{video}.readyState >= 2 && !{video}.seeking")
    return visit


@pytest.fixture
def visit(browser: Any, pages: Path) -> Visit:
    return ready(Visit(browser, pages / "en.html", SCREEN))


def paused(visit: Visit) -> bool:
    return bool(visit.page.evaluate("document.querySelector('video').paused"))


def seek(visit: Visit, moment_s: float) -> None:
    """As by a click on the chart, at which the video stays as it is."""
    visit.page.evaluate(f"player.jump({1000 * moment_s})")
    ready(visit)


def played_s(visit: Visit) -> float:
    ready(visit)
    return float(visit.page.evaluate(PLAYED))


def text(visit: Visit, place: str) -> str:
    return str(visit.page.locator(place).text_content())


def press(visit: Visit, *keys: str) -> None:
    for key in keys:
        visit.page.keyboard.press(key)


def open_markers(visit: Visit) -> None:
    visit.page.locator("#markers summary").click()


def marked(visit: Visit) -> list[str]:
    return [" ".join(row.split()) for row in visit.page.locator("#marked tr").all_inner_texts()]


# --- the video


@ON_BOTH
@pytest.mark.parametrize("name", ["en", "fr"])
def test_the_page_is_whole_and_without_a_violation(
    browser: Any, pages: Path, name: str, viewport: dict[str, int]
) -> None:
    visit = ready(Visit(browser, pages / f"{name}.html", viewport))
    visit.unfold()
    press(visit, "Shift+E", "x")
    assert visit.violations() == []
    assert visit.overflow_px() == 0
    assert visit.complaints == []
    assert set(visit.requests) == {visit.page.url, (pages / "0.mp4").as_uri()}


def test_a_print_has_neither_video_nor_controls(visit: Visit) -> None:
    told = visit.page.get_by_text("This page plays a video")
    hint = visit.page.get_by_text("Click on a picture to see that moment")
    assert told.is_visible()
    assert hint.is_visible()
    visit.page.emulate_media(media="print")
    assert not told.is_visible()
    assert not hint.is_visible()
    for place in ("#video", "#marking", "video", ".keys", "#markers", ".cursor"):
        assert not visit.page.locator(place).first.is_visible(), place
    assert visit.page.get_by_role("button", name="0:10", exact=True).is_visible(), "the moment's time stays"


def test_a_click_on_a_moment_plays_it_in_its_file(visit: Visit) -> None:
    visit.page.get_by_role("button", name="0:10", exact=True).click()
    wait_until(visit, f"{PLAYED} > 10.1")
    assert not paused(visit)
    assert played_s(visit) < 14
    assert "· happy" in text(visit, ".now")
    assert "happy" in str(visit.page.locator("tr[aria-current]").first.text_content())
    box = visit.page.locator("video").bounding_box()
    assert box["y"] >= 0
    assert box["y"] + box["height"] < SCREEN["height"]


def test_rows_and_events_lead_there_too(visit: Visit) -> None:
    for row, moment_s in (("0:14–0:16", 14), ("0:03", 3)):
        visit.page.get_by_role("button", name=row, exact=True).first.click()
        visit.page.locator("video").evaluate("video => video.pause()")
        assert played_s(visit) == pytest.approx(moment_s, abs=1)


@pytest.mark.parametrize("figure", [0, 1])
def test_a_click_on_a_picture_leads_there(visit: Visit, figure: int) -> None:
    plot = visit.page.locator(".figure").nth(figure).locator(".draglayer .nsewdrag").first
    plot.scroll_into_view_if_needed()
    visit.page.mouse.wheel(0, -200)  # from below the video
    visit.page.wait_for_timeout(200)
    box = plot.bounding_box()
    visit.page.mouse.click(box["x"] + box["width"] * 12.5 / 20, box["y"] + 5)
    assert played_s(visit) == pytest.approx(12.5, abs=0.05)
    assert paused(visit)
    axis = f"document.querySelectorAll('.figure')[{figure}]._fullLayout.xaxis"
    left = f"parseFloat(document.querySelectorAll('.cursor')[{figure}].style.left)"
    shown = float(visit.page.evaluate(f"({left} - {axis}._offset) / {axis}._length * 20"))
    assert shown == pytest.approx(12.5, abs=0.05)


def test_all_moments_are_played_one_after_the_other(visit: Visit) -> None:
    visit.page.get_by_role("button", name="Play all moments").click()
    seen: list[float] = []
    for place in (1, 2, 3):
        wait_until(
            visit,
            f"document.querySelector('[data-go=all]').textContent.trim() === 'Stop: moment {place} of 3'",
        )
        wait_until(visit, "!document.querySelector('video').seeking")
        seen.append(float(visit.page.evaluate(PLAYED)))
    wait_until(visit, "document.querySelector('video').paused")
    assert seen == pytest.approx([7.6, 10.0, 17.0], abs=0.5)
    assert played_s(visit) == pytest.approx(17.6, abs=0.4)
    assert text(visit, "[data-go=all]").strip() == "Play all moments"


def test_somebody_who_goes_elsewhere_ends_the_round(visit: Visit) -> None:
    visit.page.get_by_role("button", name="Play all moments").click()
    wait_until(visit, f"{PLAYED} > 7.7")
    # it plays on, and a busy machine asks late: the page notes where it was and where it goes
    visit.page.evaluate(f"window.addEventListener('keydown', () => {{ window.was = {PLAYED}; }}, true)")
    visit.page.evaluate(f"document.querySelector('video').onseeking = () => {{ window.sought = {PLAYED}; }}")
    press(visit, "ArrowLeft")  # the button has the focus: the keys are the player's
    assert text(visit, "[data-go=all]").strip() == "Play all moments"
    wait_until(visit, "window.was - window.sought > 1")  # the round may just have gone on to the next moment
    assert visit.page.evaluate("window.was - window.sought") == pytest.approx(5, abs=0.1)


def test_the_page_keeps_its_keys_while_nobody_works_with_the_video(visit: Visit) -> None:
    visit.page.locator("h1").click()
    press(visit, " ", "ArrowRight", "e")
    assert paused(visit)
    assert played_s(visit) == 0
    wait_until(visit, "scrollY > 0")
    assert marked(visit) == []


@pytest.mark.parametrize("name", ["moved", "broken"])
def test_a_video_that_is_not_there_is_told_and_the_rest_works(browser: Any, pages: Path, name: str) -> None:
    visit = Visit(browser, pages / f"{name}.html", SCREEN)
    alert = visit.page.get_by_role("alert")
    alert.wait_for()
    assert "no longer where it was, or this browser does not know its format" in str(alert.text_content())
    assert "emonext review study P1 S1" in str(alert.text_content())
    assert not visit.page.locator("video").is_visible()
    assert visit.count(".figure.js-plotly-plot") == 2


# --- markers


def test_markers_are_set_by_keys_alone(visit: Visit) -> None:
    visit.page.locator("#markers summary").focus()
    press(visit, "Enter")
    seek(visit, 3)
    press(visit, "e", "Shift+S")
    seek(visit, 5)
    press(visit, "e", "x")
    assert text(visit, "#said") == "Exclude begins at 0:05.00."
    seek(visit, 12.5)  # in the second file
    press(visit, "x")
    assert marked(visit) == [
        "0:03.00–0:05.00 Eating Delete",
        "0:03.00 Speaking Delete",
        "0:05.00–0:12.50 Exclude Delete",
    ]
    press(visit, "u", "u")
    assert marked(visit)[1:] == ["0:03.00 Speaking Delete"]
    press(visit, "c", "c")  # begun and taken back
    assert len(marked(visit)) == 2
    assert visit.complaints == []


def test_an_end_before_the_start_is_turned_round(visit: Visit) -> None:
    open_markers(visit)
    seek(visit, 5)
    press(visit, "c")
    seek(visit, 2)
    press(visit, "c")
    assert marked(visit) == ["0:02.00–0:05.00 Care Delete"]


def test_own_words_have_keys_and_are_known_to_other_sessions(browser: Any, visit: Visit, pages: Path) -> None:
    visit.open_store()
    open_markers(visit)
    visit.page.fill("#own-code", "=cmd()")
    press(visit, "Enter")
    assert text(visit, "#said") == "Begin with a letter or a digit; at most 64 characters."
    visit.page.fill("#own-code", "  sings   along ")
    press(visit, "Enter", "Shift+1")
    assert marked(visit) == ["0:00.00 sings along Delete"]
    visit.page.fill("#own-code", "eating")  # known already
    press(visit, "Enter")
    assert visit.count("#codes button") == 7
    visit.reload()
    assert marked(visit) == ["0:00.00 sings along Delete"]
    assert visit.page.locator("#markers").get_attribute("open") is not None
    visit.page.goto((pages / "fr.html").as_uri())
    assert "sings along" in text(visit, "#codes")
    visit.page.locator("#clear").click()
    assert marked(visit) == []


def test_one_is_deleted_from_the_list_and_brought_back(visit: Visit) -> None:
    open_markers(visit)
    press(visit, "Shift+E", "Shift+V")
    visit.page.get_by_role("button", name="Delete Visitor, 0:00.00").click()
    assert marked(visit) == ["0:00.00 Eating Delete"]
    focused = "document.activeElement.getAttribute('aria-label')"
    assert visit.page.evaluate(focused) == "Delete Eating, 0:00.00"
    visit.page.locator("#undo").click()
    assert len(marked(visit)) == 2


def test_what_has_no_end_is_not_saved(visit: Visit) -> None:
    open_markers(visit)
    visit.page.locator("#save").click()
    assert text(visit, "#said") == "There is nothing to save yet: mark something first."
    visit.page.get_by_role("button", name="Care").click()
    visit.page.locator("#save").click()
    assert text(visit, "#said").startswith("Care has no end yet (since 0:00.00).")


def test_a_phone_marks_moments_without_keys(browser: Any, pages: Path) -> None:
    visit = ready(Visit(browser, pages / "en.html", PHONE))
    open_markers(visit)
    visit.page.get_by_label("a moment", exact=True).check()
    visit.page.get_by_role("button", name="Visitor", exact=True).click()
    visit.page.get_by_role("button", name="Visitor", exact=True).click()
    assert len(marked(visit)) == 2


# --- from the page to the study


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two patients' sessions of 100 s; the smiles of P1 begin at 20 s and 60 s."""
    runs = [("neutral", 100), ("happy", 20), ("neutral", 180), ("happy", 20), ("neutral", 180)]
    for patient in ("P1", "P2"):
        timeline = make_timeline(runs, patient_id=patient)
        put(tmp_path, timeline, patient)
        review = tmp_path / "review" / patient
        review.mkdir(parents=True)
        encode(review / "S1.mp4", numbered(200), rate=2)
        write_review_page(timeline, review / "S1.html", blur="all", face_threshold=0.9)
    return tmp_path


def find(
    out: Path, patient_id: str, session_id: str, timeline: Timeline, *, original: bool
) -> SessionVideo | None:
    return SessionVideo(((out / "review" / patient_id / f"{session_id}.mp4", 0.0),), "all")


@pytest.mark.parametrize("page", ["reports", "review"])
def test_markers_become_events_of_the_study(browser: Any, study: Path, page: str) -> None:
    write_reports(study, find_video=find)
    tables = []
    for patient in ("P1", "P2"):
        visit = ready(Visit(browser, study / page / patient / "S1.html", SCREEN))
        open_markers(visit)
        visit.page.fill("#own-code", "song")
        press(visit, "Enter")
        for moment_s in (20, 60):
            seek(visit, moment_s)
            press(visit, "Shift+1")
        with visit.page.expect_download() as download:
            visit.page.locator("#save").click()
        assert download.value.suggested_filename == f"markers_{patient}_S1.csv"
        assert text(visit, "#said").startswith(f"Saved as markers_{patient}_S1.csv (markers: 2).")
        tables.append(study / download.value.suggested_filename)
        download.value.save_as(tables[-1])
        assert visit.complaints == []
    markers, problems = read_markers(study, tables)
    assert problems == {}
    assert [(one.ids[0], one.code, one.start_s, one.end_s) for one in markers] == [
        (patient, "song", moment_s, None) for patient in ("P1", "P2") for moment_s in (20.0, 60.0)
    ]
    apply_markers(study, markers)
    write_reports(study, find_video=find)
    visit = Visit(browser, study / "reports" / "study.html", SCREEN)
    title = visit.page.locator("#events h3").first
    assert "song" in str(title.text_content())
    assert "4 events" in str(title.text_content()).replace("\u00a0", " ")
    session = Visit(browser, study / "reports" / "P1" / "S1.html", SCREEN)
    assert session.page.locator(".events li").all_inner_texts() == ["0:20 song", "1:00 song"]


def test_scripts_beside_the_pages_play_it_too(browser: Any, study: Path) -> None:
    write_reports(study, options=ReportOptions(assets="shared"), find_video=find)
    visit = ready(Visit(browser, study / "reports" / "P1" / "S1.html", SCREEN))
    visit.page.get_by_role("button", name="0:20", exact=True).first.click()
    wait_until(visit, "document.querySelector('video').currentTime > 20")
    assert not paused(visit)
    assert visit.complaints == []
    assert (study / "reports" / "P1" / "S1.html").stat().st_size < 0.3e6
