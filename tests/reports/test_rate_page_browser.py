"""A rater's page in a real browser, by keys alone: from the first clip to the saved table."""

import json
from pathlib import Path
from typing import Any

import pytest
from made_clips import CLIPS, FILMS, saved_table
from visits import PHONE, SCREEN, Visit

from pipeline.agreement.rated_clips import read_rated_clips
from reports.forms.rate import write_rate_page
from reports.words.language import language

OPENS = "abcd-efgh-jkmn-pqrs"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In English, in French, and locked with a password."""
    folder = tmp_path_factory.mktemp("rating")
    for name, spoken, password in (("en", "en", None), ("fr", "fr", None), ("locked", "en", OPENS)):
        write_rate_page(CLIPS, FILMS, "anna", folder / f"{name}.html", language(spoken), password)
    return folder


@pytest.fixture
def visit(browser: Any, pages: Path) -> Visit:
    return Visit(browser, pages / "en.html", SCREEN)


def press(visit: Visit, *keys: str) -> None:
    for key in keys:
        visit.page.keyboard.press(key)


def text(visit: Visit, place: str) -> str:
    return str(visit.page.locator(place).text_content())


def pressed(visit: Visit) -> set[str]:
    """The words of all pressed buttons."""
    return {
        " ".join(button.text_content().split()) for button in visit.page.locator("[aria-pressed=true]").all()
    }


def save(visit: Visit, path: Path) -> dict[int, tuple[str, str, frozenset[str]]]:
    """Clip → what the program reads of the saved table."""
    with visit.page.expect_download() as download:
        visit.page.locator("#save").click()
    assert download.value.suggested_filename == "rating_anna_dfeed.csv"
    download.value.save_as(path)
    found, notes = read_rated_clips([path], {clip.key: clip for clip in CLIPS})
    assert notes == []
    assert {one.rater for one in found} == {"anna"}
    return {one.clip.clip: (one.code, one.intensity, one.flags) for one in found}


@pytest.mark.parametrize("name", ["en", "fr"])
@pytest.mark.parametrize("viewport", [SCREEN, PHONE], ids=["screen", "phone"])
def test_the_page_is_whole_and_without_a_violation(
    browser: Any, pages: Path, name: str, viewport: dict[str, int]
) -> None:
    visit = Visit(browser, pages / f"{name}.html", viewport)
    assert [url for url in visit.requests if not url.startswith("data:")] == [visit.page.url]
    assert visit.overflow_px() == 0
    press(visit, "1", "i", "s")
    assert visit.violations() == []
    assert visit.overflow_px() == 0
    assert visit.complaints == []


def test_all_clips_are_judged_by_keys_and_saved(visit: Visit, tmp_path: Path) -> None:
    assert text(visit, "#progress") == "Clip 1 of 3, 0 answered"
    press(visit, "1", "i", "i", "c", "s", "Enter")  # happy, moderate, covered, speaks
    assert text(visit, "#progress") == "Clip 2 of 3, 1 answered"
    assert pressed(visit) == set()
    press(visit, "Numpad4", "ArrowRight")  # sad
    press(visit, "0", "a", "Enter")  # can't tell, asleep
    assert text(visit, "#progress") == "Clip 3 of 3, 3 answered"
    assert text(visit, "#said") == "All clips are answered. Click “Save”."
    assert save(visit, tmp_path / "anna.csv") == {
        1: ("happy", "moderate", frozenset({"covered", "speaking"})),
        2: ("sad", "", frozenset()),
        3: ("?", "", frozenset({"asleep"})),
    }
    assert text(visit, "#said").startswith("Saved as rating_anna_dfeed.csv: 3 of 3 clips.")


def test_the_clip_plays_and_the_machines_answer_is_not_in_the_page(visit: Visit, pages: Path) -> None:
    video = visit.page.locator("video")
    for _ in range(100):
        if video.evaluate("video => video.readyState") >= 2:
            break
        visit.page.wait_for_timeout(50)
    assert video.evaluate("video => [video.videoWidth, video.muted, video.loop]") == [64, True, True]
    data = json.loads(visit.page.locator("#rate-data").text_content())
    kept = json.loads(data["clips"])
    assert set(kept) == {"file", "separator", "columns", "rows", "films"}
    code = kept["columns"].index("code")
    assert {row[code] for row in kept["rows"]} == {""}
    assert "0.9" not in json.dumps(kept["rows"])  # its certainty


def test_one_does_not_go_on_without_an_answer(visit: Visit) -> None:
    press(visit, "Enter")
    assert text(visit, "#progress").startswith("Clip 1 ")
    assert text(visit, "#said") == "Choose an expression first, or “Can’t tell”."
    visit.page.locator("#save").click()
    assert text(visit, "#said") == "There is nothing to save yet: answer a clip first."


def test_an_answer_is_changed_and_undone(visit: Visit, tmp_path: Path) -> None:
    press(visit, "1", "Enter", "4")
    press(visit, "u")  # of clip 2
    assert pressed(visit) == set()
    press(visit, "u")  # leads back to clip 1
    assert text(visit, "#progress") == "Clip 1 of 3, 0 answered"
    press(visit, "3", "3", "5", "Enter", "ArrowLeft")
    assert pressed(visit) == {"5 Afraid"}
    assert save(visit, tmp_path / "a.csv") == {1: ("fear", "", frozenset())}


@pytest.mark.parametrize("key", ["3", "0"])
def test_neutral_and_cant_tell_have_no_strength(visit: Visit, tmp_path: Path, key: str) -> None:
    strengths = visit.page.locator("[data-intensity]")
    press(visit, "1", "i", key)
    assert strengths.evaluate_all("all => all.every((one) => one.disabled && one.ariaPressed === 'false')")
    press(visit, "i", "Enter")
    assert {strength for _, strength, _ in save(visit, tmp_path / "anna.csv").values()} == {""}


def test_a_pressed_button_lets_enter_go_on(visit: Visit) -> None:
    visit.page.locator("[data-code=happy]").click()
    press(visit, "Enter")
    assert text(visit, "#progress").startswith("Clip 2 ")


def test_a_button_that_was_clicked_before_does_not_take_enter(visit: Visit) -> None:
    visit.page.locator("[data-code=happy]").click()
    press(visit, "Enter", "4", "Enter")  # clip 2: sad
    assert text(visit, "#progress") == "Clip 3 of 3, 2 answered"
    press(visit, "ArrowLeft")
    assert pressed(visit) == {"4 Sad"}
    visit.page.locator("[data-intensity=slight]").click()
    press(visit, "i", "Enter", "ArrowLeft")
    assert pressed(visit) == {"4 Sad", "Moderate"}


def test_letters_work_with_caps_lock(visit: Visit) -> None:
    press(visit, "1", "C", "I")
    assert pressed(visit) == {"1 Happy", "Slight", "c Face partly covered"}


def test_two_tabs_keep_the_answers_of_both(visit: Visit) -> None:
    other = visit.page.context.new_page()
    other.goto(visit.page.url)
    visit.open_store()
    visit.page.bring_to_front()  # a browser may drop keys of a page that is behind another
    press(visit, "1", "Enter", "2", "Enter")
    assert text(visit, "#progress") == "Clip 3 of 3, 2 answered"
    visit.hand_on(other)
    other.bring_to_front()
    other.locator("[data-code=sad]").click()  # still on clip 1
    assert other.locator("#progress").text_content() == "Clip 1 of 3, 2 answered"
    visit.reload()
    assert text(visit, "#progress") == "Clip 3 of 3, 2 answered"
    press(visit, "ArrowLeft")
    assert pressed(visit) == {"2 Surprised"}
    press(visit, "ArrowLeft")
    assert pressed(visit) == {"4 Sad"}


def test_answers_are_kept_and_deleted(visit: Visit) -> None:
    visit.open_store()
    press(visit, "1", "Enter", "2", "i")
    assert text(visit, "#progress") == "Clip 2 of 3, 2 answered"
    visit.reload()
    assert text(visit, "#progress") == "Clip 3 of 3, 2 answered"
    press(visit, "ArrowLeft")
    assert pressed(visit) == {"2 Surprised", "Slight"}
    visit.page.locator("#clear").click()
    visit.reload()
    assert text(visit, "#progress") == "Clip 1 of 3, 0 answered"


def test_every_answer_has_a_row_as_the_program_writes_it(visit: Visit, tmp_path: Path) -> None:
    press(visit, "1", "Enter", "4", "Enter", "0")
    assert save(visit, tmp_path / "a.csv").keys() == {1, 2, 3}
    lines = (tmp_path / "a.csv").read_bytes().decode("utf-8-sig").splitlines()
    wanted = saved_table("anna", {1: "happy", 2: "sad", 3: "?"}).splitlines()
    assert [line.rpartition(",")[0] for line in lines] == [line.rpartition(",")[0] for line in wanted]


def test_a_locked_page_opens_only_with_its_password(browser: Any, pages: Path, tmp_path: Path) -> None:
    path = pages / "locked.html"
    clear = path.read_text(encoding="utf-8")
    assert '"P1' not in clear
    assert CLIPS[0].draw not in clear.partition('id="rate-data"')[2]
    visit = Visit(browser, path, SCREEN)
    assert not visit.page.locator("#judge").is_visible()
    visit.page.fill("#password", "wrong")
    visit.page.keyboard.press("Enter")
    visit.page.locator("#refused", has_text="not the password").wait_for()
    assert visit.violations() == []
    visit.page.fill("#password", f" {OPENS} ")
    visit.page.keyboard.press("Enter")
    visit.page.locator("#judge").wait_for(state="visible")
    press(visit, "1")
    assert save(visit, tmp_path / "a.csv") == {1: ("happy", "", frozenset())}
    assert visit.complaints == []
