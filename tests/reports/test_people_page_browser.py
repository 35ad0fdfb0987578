"""The page of people in a real browser: roles are clicked, saved, applied, undone and kept."""

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest
from coloured_people import ByColour, make_mixed_study, middle, process, seated
from drawing import drag, edges
from videos import encode
from visits import PHONE, SCREEN, Visit

from pipeline.processing.session import Networks, Session
from pipeline.review.apply_people import apply_people
from pipeline.review.people import find_people
from pipeline.review.people_table import read_people, write_people
from pipeline.review.stills import find_stills
from pipeline.store.status import read_outcomes
from reports.forms.people import write_people_page
from reports.words.language import language


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Processed, with its page in English and French (``people-fr.html``); not to be changed."""
    from fakes import FAKE_WEIGHTS, find_squares, judge_by_light

    from pipeline.faces.detection import CropSpec

    networks = Networks(find_squares, judge_by_light, CropSpec(), FAKE_WEIGHTS, "cpu")
    out = make_mixed_study(tmp_path_factory.mktemp("people"), networks)
    people = find_people(out, ByColour())
    table, stills = write_people(people, out), find_stills(out, people)
    write_people_page(people, table, out / "people.html", language("en"), stills)
    write_people_page(people, table, out / "people-fr.html", language("fr"), stills)
    return out


@pytest.fixture
def visit(browser: Any, study: Path) -> Visit:
    return Visit(browser, study / "people.html", SCREEN)


def row_of(study: Path, session: str, colour: str) -> int:
    """The row of a person, by the letter of their colour in P1."""
    rows = table_rows(study / "people.csv")
    return next(n for n, row in enumerate(rows) if (row["session_id"], row["alike"]) == (session, colour))


def table_rows(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter=","))


def role_button(visit: Visit, row: int, role: str) -> Any:
    return visit.page.locator(f'[data-row="{row}"] [data-role="{role}"]')


def role_shown(visit: Visit, row: int) -> str:
    """The one role whose button is pressed."""
    pressed = visit.page.locator(f'[data-row="{row}"] .roles [aria-pressed="true"]')
    assert pressed.count() == 1
    return str(pressed.get_attribute("data-role"))


def save(visit: Visit, path: Path) -> Path:
    with visit.page.expect_download() as download:
        visit.page.locator("#save").click()
    assert download.value.suggested_filename == "people.csv"
    download.value.save_as(path)
    return path


def said(visit: Visit) -> str:
    return str(visit.page.locator("#said").text_content())


def progress(visit: Visit) -> str:
    return str(visit.page.locator("#progress").text_content())


@pytest.mark.parametrize("name", ["people", "people-fr"])
@pytest.mark.parametrize("viewport", [SCREEN, PHONE], ids=["screen", "phone"])
def test_the_page_is_whole_and_without_a_violation(
    browser: Any, study: Path, name: str, viewport: dict[str, int]
) -> None:
    visit = Visit(browser, study / f"{name}.html", viewport)
    assert visit.complaints == []
    assert [url for url in visit.requests if not url.startswith("data:")] == [visit.page.url]
    assert visit.overflow_px() == 0
    visit.unfold()
    visit.page.locator("[data-region]").first.click()
    visit.page.locator(".approve").first.click()
    assert visit.overflow_px() == 0
    assert visit.violations() == []
    assert visit.complaints == []


def test_a_clicked_role_is_saved_and_changes_the_timeline(visit: Visit, study: Path, tmp_path: Path) -> None:
    red, blue = row_of(study, "S1", "A"), row_of(study, "S1", "B")
    out = shutil.copytree(study, tmp_path / "study")
    first = middle(out, "S1")
    if role_shown(visit, red) != "patient":
        red, blue = blue, red
    assert progress(visit) == "To check: 3 of 3"
    role_button(visit, blue, "patient").click()
    # both are in one picture: they can't both be the patient
    assert (role_shown(visit, blue), role_shown(visit, red)) == ("patient", "unknown")
    assert "is seen together with" in said(visit)
    role_button(visit, red, "caregiver").click()
    assert progress(visit) == "To check: 2 of 3 · 2 changed or approved"
    table = save(visit, tmp_path / "people.csv")
    chosen, problems = read_people(out, table)
    assert problems == []
    assert {ids: set(roles.values()) for ids, roles in chosen.items()} == {
        ("P1", "S1"): {"patient", "caregiver"}
    }
    apply_people(out, chosen)
    assert middle(out, "S1") != first
    states = {ids: outcome.identity for ids, outcome in read_outcomes(out).items()}
    assert states[("P1", "S1")] == "confirmed"
    assert states[("P1", "S2")] == "to_check"


def test_only_what_was_approved_differs_from_the_folder_s_own_table(
    visit: Visit, study: Path, tmp_path: Path
) -> None:
    visit.page.locator(".approve").first.click()
    saved = save(visit, tmp_path / "people.csv").read_bytes()
    own = (study / "people.csv").read_bytes()
    assert saved[:3] == own[:3] == b"\xef\xbb\xbf"
    before, after = own.split(b"\r\n"), saved.split(b"\r\n")
    assert len(before) == len(after)
    changed = [(one, other) for one, other in zip(before, after, strict=True) if one != other]
    assert len(changed) == 1
    one, other = changed[0]
    assert other == one.replace(b",,longest,", b",yes,longest,")
    assert b",patient," in one


def test_nothing_is_saved_where_nothing_was_chosen(visit: Visit) -> None:
    downloads: list[object] = []
    visit.page.on("download", lambda download: downloads.append(download))
    visit.page.locator("#save").click()
    assert "nothing to save yet" in said(visit)
    visit.page.wait_for_timeout(200)
    assert downloads == []


def test_a_choice_is_undone_step_by_step(visit: Visit, study: Path) -> None:
    row = row_of(study, "S1", "A")
    before = role_shown(visit, row)
    assert visit.page.locator("#undo").is_disabled()
    role_button(visit, row, "other").click()
    role_button(visit, row, "caregiver").click()
    visit.page.locator("#undo").click()
    assert role_shown(visit, row) == "other"
    visit.page.locator("#undo").click()
    assert role_shown(visit, row) == before
    assert progress(visit) == "To check: 3 of 3"
    assert visit.page.locator("#undo").is_disabled()


def test_choices_survive_a_reload_until_they_are_deleted(visit: Visit, study: Path) -> None:
    visit.open_store()
    row = row_of(study, "S2", "A")
    role_button(visit, row, "caregiver").click()
    kept = visit.page.evaluate("Object.entries(localStorage)")
    assert [value for _, value in kept] == [f'{{"{row}":{{"role":"caregiver"}}}}']
    visit.reload()
    assert role_shown(visit, row) == "caregiver"
    visit.page.locator("#clear").click()
    assert visit.page.evaluate("localStorage.length") == 0
    visit.reload()
    assert progress(visit) == "To check: 3 of 3"


def test_without_a_store_the_page_works_and_says_so(browser: Any, study: Path) -> None:
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new Error('denied'); } })"
    )
    page.goto((study / "people.html").as_uri())
    assert page.locator("#not-kept").is_visible()
    page.locator(".approve").first.click()
    assert "2 of 3" in str(page.locator("#progress").text_content())


def test_the_keyboard_does_it_all(visit: Visit) -> None:
    keyboard, active = visit.page.keyboard, "document.activeElement.closest('.person')?.dataset.row"

    def here() -> int:
        return int(visit.page.evaluate(active))

    order = [
        int(row)
        for row in visit.page.evaluate("[...document.querySelectorAll('.person')].map(p => p.dataset.row)")
    ]
    keyboard.press("j")
    assert here() == order[0]
    keyboard.press("ArrowDown")
    assert here() == order[1]
    keyboard.press("2")
    assert role_shown(visit, order[1]) == "caregiver"
    keyboard.press("u")
    assert role_shown(visit, order[1]) == "unknown"
    keyboard.press("k")
    keyboard.press("a")
    assert progress(visit).startswith("To check: 2 of 3")
    assert here() == order[2], "the first person of the next session"
    for _ in order:
        keyboard.press("j")
    assert here() == order[-2], "the last person is in a folded session"
    visit.page.locator("#keys").uncheck()
    visit.page.locator(f'[data-row="{order[2]}"]').focus()
    keyboard.press("2")
    assert role_shown(visit, order[2]) != "caregiver"


def test_the_same_person_has_the_same_role(visit: Visit, study: Path) -> None:
    """In S3 red and green are never seen at once; blue is seen with both."""
    rows = [n for n, row in enumerate(table_rows(study / "people.csv")) if row["session_id"] == "S3"]
    choosing = [n for n in rows if visit.page.locator(f'[data-row="{n}"] .same').is_visible()]
    assert len(rows) == 3
    assert len(choosing) == 2
    one, other = choosing
    role_button(visit, one, "caregiver").click()
    visit.page.locator(f'[data-row="{other}"] select').select_option(str(one))
    assert role_shown(visit, other) == "caregiver"
    role_button(visit, one, "other").click()
    assert role_shown(visit, other) == "other"
    visit.page.locator(f'[data-row="{other}"] select').select_option("")
    role_button(visit, one, "unknown").click()
    assert role_shown(visit, other) == "other"


def test_who_is_set_to_unknown_needs_no_false_approval(visit: Visit, study: Path) -> None:
    rows = [n for n, row in enumerate(table_rows(study / "people.csv")) if row["session_id"] == "S1"]
    rows = [n for n in rows if table_rows(study / "people.csv")[n]["patient_id"] == "P1"]
    approve = visit.page.locator("#session-0 .approve")
    for row in rows:
        role_button(visit, row, "unknown").click()
    assert approve.is_disabled()
    for row in rows:
        role_button(visit, row, "other").click()
    assert approve.text_content() == "Approve: the patient is not in this session"
    approve.click()
    assert progress(visit).startswith("To check: 2 of 3")


def test_the_seat_is_drawn_typed_and_proposed(visit: Visit) -> None:
    seat = visit.page.locator("#session-0 .seat")
    unfold(seat)
    line = seat.locator(".line input")
    assert line.input_value() == seat.locator("[data-region]").first.get_attribute("data-region")
    box = seat.locator(".still").bounding_box()
    visit.page.mouse.move(box["x"] + box["width"] * 0.1, box["y"] + box["height"] * 0.2)
    visit.page.mouse.down()
    visit.page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.9)
    visit.page.mouse.up()
    assert line.input_value() == "10,20,50,90"
    seat.locator(".edges input").nth(2).fill("60")
    assert line.input_value() == "10,20,60,90"
    seat.locator(".edges input").nth(2).fill("5")
    assert not line.is_visible()
    assert "left before right" in str(seat.locator(".wrong").text_content())


# a seat


def unfold(part: Any) -> None:
    """Opens it, and waits for what the page does when the browser says, later, that it is open."""
    opened = "new Promise(done => part.addEventListener('toggle', () => setTimeout(done)))"
    part.evaluate(f"part => {{ window.opened = {opened} }}")
    part.locator("summary").click()
    part.evaluate("() => window.opened")


def seat_of(visit: Visit, session: int = 0) -> Any:
    """The opened part of a session in which a seat is drawn."""
    seat = visit.page.locator(f"#session-{session} .seat")
    unfold(seat)
    return seat


def region_of(seat: Any) -> str:
    return str(seat.locator(".line input").input_value())


def test_a_drawn_seat_is_saved_applied_and_changes_the_timeline(
    visit: Visit, study: Path, tmp_path: Path
) -> None:
    """Red, on the left, is the guess; the patient is blue, on the right."""
    out = shutil.copytree(study, tmp_path / "study")
    assert middle(out, "S1") == {70}
    seat = seat_of(visit)
    drag(visit.page, seat.locator(".still"), (0.6, 0.05), (0.95, 0.9))
    assert edges(region_of(seat)) == pytest.approx([60, 5, 95, 90], abs=0.2)
    assert visit.page.locator("#session-0 .identity").text_content() == "Checked by you: the seat decides"
    assert progress(visit) == "To check: 2 of 3 · 1 changed or approved"
    table = save(visit, tmp_path / "people.csv")
    assert {row["patient_region"] for row in table_rows(table) if row["patient_id"] == "P1"} == {
        region_of(seat),
        "",
    }
    chosen, problems = read_people(out, table)
    assert problems == []
    apply_people(out, chosen)
    assert middle(out, "S1") == {250}
    states = {ids: outcome.identity for ids, outcome in read_outcomes(out).items()}
    assert states["P1", "S1"] == "confirmed"
    assert states["P1", "S2"] == "to_check"


def test_the_seat_is_moved_and_resized_by_keys(visit: Visit) -> None:
    seat, keyboard = seat_of(visit), visit.page.keyboard
    seat.locator(".edges input").first.fill("")
    seat.locator(".still").focus()
    keyboard.press("ArrowLeft")
    assert region_of(seat) == "40,40,60,60"
    for key in ("ArrowLeft", "ArrowLeft", "ArrowDown", "Shift+ArrowRight", "Shift+ArrowUp"):
        keyboard.press(key)
    assert region_of(seat) == "38,41,59,60"
    for _ in range(50):
        keyboard.press("ArrowRight")
        keyboard.press("Shift+ArrowUp")
    assert region_of(seat) == "79,41,100,43", "within the picture, and never smaller than 2 %"


def test_a_proposed_seat_counts_when_it_is_taken_and_not_before(visit: Visit) -> None:
    seat = seat_of(visit)
    assert region_of(seat)
    assert progress(visit) == "To check: 3 of 3"
    use = seat.locator(".use")
    use.click()
    assert use.get_attribute("aria-pressed") == "true"
    assert progress(visit).startswith("To check: 2 of 3")
    use.click()
    assert progress(visit) == "To check: 3 of 3"
    seat.locator("[data-region]").nth(1).click()
    assert progress(visit).startswith("To check: 2 of 3")
    visit.page.locator("#undo").click()
    assert progress(visit) == "To check: 3 of 3"
    assert use.get_attribute("aria-pressed") == "false"


def test_whom_a_person_names_is_the_patient_wherever_they_sit(visit: Visit, study: Path) -> None:
    seat = seat_of(visit)
    seat.locator("[data-region]").nth(1).click()
    role_button(visit, row_of(study, "S1", "B"), "patient").click()
    assert seat.locator(".use").is_disabled()
    assert seat.locator(".use").get_attribute("aria-pressed") == "false"
    drag(visit.page, seat.locator(".still"), (0.1, 0.1), (0.5, 0.9))
    assert seat.locator(".use").get_attribute("aria-pressed") == "false"
    assert "You have said who the patient is" in str(seat.locator(".why").text_content())


def test_a_seat_survives_a_reload(visit: Visit) -> None:
    visit.open_store()
    seat = seat_of(visit)
    seat.locator("[data-region]").nth(1).click()
    region = region_of(seat)
    visit.reload()
    assert progress(visit).startswith("To check: 2 of 3")
    assert region_of(seat_of(visit)) == region


def test_a_finger_draws_a_seat(browser: Any, study: Path) -> None:
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True, offline=True)
    page = context.new_page()
    page.goto((study / "people.html").as_uri())
    page.locator("#session-0 .seat summary").tap()
    still = page.locator("#session-0 .still")
    still.scroll_into_view_if_needed()
    box = still.bounding_box()
    touch = context.new_cdp_session(page)
    for kind, share in (("touchStart", 0.2), ("touchMove", 0.5), ("touchMove", 0.8), ("touchEnd", None)):
        at = {"x": box["x"] + box["width"] * (share or 0), "y": box["y"] + box["height"] * (share or 0)}
        points = [] if share is None else [at]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    region = page.locator("#session-0 .line input").input_value()
    assert edges(region) == pytest.approx([20, 20, 80, 80], abs=0.5)
    assert page.locator("#session-0 .use").get_attribute("aria-pressed") == "true"


def test_a_session_without_a_face_is_approved_by_a_key(
    browser: Any, fake_networks: Networks, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process(out, [Session("P1", "S1", encode(tmp_path / "a.mp4", [seated()] * 10, rate=10))], fake_networks)
    people = find_people(out, None)
    write_people_page(people, write_people(people, out), out / "people.html")
    visit = Visit(browser, out / "people.html", PHONE)
    approve = visit.page.locator("#session-0 .approve")
    assert approve.text_content() == "Approve: no face can be read in this session"
    for key in ("j", "1", "a"):
        visit.page.keyboard.press(key)
    assert progress(visit).startswith("No session is left to check.")
    assert visit.overflow_px() == 0
    saved = save(visit, tmp_path / "people.csv")
    assert [(row["role"], row["approved"]) for row in table_rows(saved)] == [("", "yes")]
    assert visit.complaints == []
