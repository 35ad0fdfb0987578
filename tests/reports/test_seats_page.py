"""The page of seats: what it shows, what it saves, and what it never shows."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from french import FRENCH, assert_no_english
from page_text import Page
from session_pages import jpeg

from pipeline.errors import InputError
from pipeline.records import ListedSeat, Seat, Still
from reports.forms.seats import check_page_path, seats_page, write_seats_page

STILL = Still(jpeg(), 12.0, {1: Seat((0.0, 0.1, 0.555, 1.0), 0.98, (2,)), 2: Seat((0.5, 0, 1, 1), 0.4)})
ROWS = [
    ListedSeat("P1", "S1", "P1_S1.mp4", None, STILL),
    ListedSeat("P1", "S2", "monday/P1_S2.mp4", (0.1, 0.2, 0.3, 0.4), Still(jpeg(), 3.0, {})),
    ListedSeat("", "", "IMG_1.mp4"),
]


def data_of(page: str) -> dict[str, object]:
    found = re.search(r'id="seats-data">(.*?)</script>', page, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def test_the_page_proposes_places_and_says_how_often_a_face_is_there() -> None:
    page = seats_page(ROWS, "recordings")
    text = Page(page).text
    assert 'data-region="0,10,55.5,100"' in page
    assert "A face is there in 98 % of the pictures. Faces of place 2 are there too." in text
    assert "The recording at 0:12" in page
    assert text.count("the recording can’t be read") == 1
    assert text.index("P1_S1.mp4") < text.index("monday/P1_S2.mp4") < text.index("IMG_1.mp4")


def test_without_a_list_the_page_saves_a_list() -> None:
    """Consent stays empty: `study check` asks for it."""
    page = seats_page(ROWS, "recordings")
    data = data_of(page)
    assert data["file"] == "sessions.csv"
    assert data["columns"] == ["patient_id", "session_id", "video", "patient_region", "consent"]
    assert data["rows"] == [
        ["P1", "S1", "P1_S1.mp4", "", ""],
        ["P1", "S2", "monday/P1_S2.mp4", "10,20,30,40", ""],
        ["", "", "IMG_1.mp4", "", ""],
    ]
    assert "emonext study check recordings" in page


def test_with_a_list_the_page_saves_cells_to_copy() -> None:
    page = seats_page(ROWS, "my recordings", "study.xlsx")
    data = data_of(page)
    assert data["file"] == "seats.csv"
    assert data["columns"] == ["patient_id", "session_id", "video", "patient_region"]
    assert "study.xlsx" in Page(page).text
    assert "emonext study check &#39;my recordings&#39;" in page


def test_rectangles_of_other_rows_are_not_taken() -> None:
    keys = [
        data_of(seats_page(rows, "recordings", language=language))["key"]
        for rows, language in ((ROWS, FRENCH), (ROWS, FRENCH), (ROWS[:2], FRENCH))
    ]
    assert keys[0] == keys[1] != keys[2]


def test_a_text_in_the_data_is_shown_and_never_obeyed() -> None:
    harmful = "</script><script>alert(1)</script><b>x</b>"
    rows = [replace(row, video=harmful, patient_id=harmful) for row in ROWS]
    page = seats_page(rows, harmful, harmful)
    assert "<b>x</b>" not in page
    assert Page(page).scripts == Page(seats_page(ROWS, "recordings", "a")).scripts
    assert data_of(seats_page([replace(ROWS[0], video="=1+1")], "a"))["rows"] == [
        ["P1", "S1", "'=1+1", "", ""]
    ]


@pytest.mark.parametrize("listed", [None, Path("sessions.csv")])
def test_a_french_page_holds_no_english(listed: Path | None, tmp_path: Path) -> None:
    path = write_seats_page(ROWS, tmp_path / "seats.html", tmp_path, listed, FRENCH)
    assert_no_english(path)
    assert "Un visage s’y trouve dans 98 % des images." in Page(path.read_text()).text
    assert str(tmp_path) not in path.read_text()


@pytest.mark.parametrize("name", ["trial.mp4", "seats", "sessions.csv"])
def test_only_a_page_is_written_over(name: str) -> None:
    with pytest.raises(InputError, match=r"give a name that ends with \.html"):
        check_page_path(Path(name))
    check_page_path(Path("seats.HTML"))
