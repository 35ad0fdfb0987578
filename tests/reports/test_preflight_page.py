"""The page of recordings: what it shows, what it saves, and what it never shows."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from french import FRENCH, NBSP, assert_no_english
from page_text import Page
from session_pages import jpeg

from pipeline.errors import InputError
from pipeline.reasons import TEXTS, Reason, free_text
from pipeline.records import CheckedRecording, Finding, ListedRow, Seat, SeenFace, Still
from reports.forms.preflight import check_page_path, preflight_page, write_preflight_page
from reports.words.preflight import CHECK_WORDS

SEATS = {1: Seat((0.0, 0.1, 0.555, 1.0), 0.98, (2,)), 2: Seat((0.5, 0, 1, 1), 0.4)}
FACES = (SeenFace((0.5, 0.1, 0.7, 0.4), 31.2, ("blurred", "too dark")), SeenFace((0.1, 0.1, 0.3, 0.4), 84.0))
STILL = Still(jpeg(), 12.0, SEATS, FACES)
GOOD = Finding("face size", "good", Reason.of("face_size", face=84, width=640, height=360))
POOR = Finding(
    "light on the face",
    "could be better",
    Reason.of("face_light", light=20),
    Reason.of("more_light", light=25),
)
BAD = Finding(
    "recording",
    "will not work",
    Reason.of("time_missing", duration="10:00", seconds=100.5),
    Reason.of("let_finish"),
)
LISTED = ListedRow(
    "P1", "S2", "music", True, (0.1, 0.2, 0.3, 0.4), Still(jpeg(), 3.0, {}), recorded_at="2026-03-01"
)
RECORDINGS = [
    CheckedRecording("broken.mp4", 5, (ListedRow(),), problem=Reason.of("empty_file")),
    CheckedRecording("P1_S1.mp4", 10, (ListedRow("P1", "S1", still=STILL),), (GOOD, POOR, BAD)),
    CheckedRecording(
        "monday/both.mp4",
        20,
        (
            LISTED,
            ListedRow("P2", "S1"),
        ),
        (GOOD,),
    ),
    CheckedRecording("IMG_1.mp4", 30, (ListedRow(),), refused=True),
]


def data_of(page: str) -> dict[str, object]:
    found = re.search(r'id="preflight-data">(.*?)</script>', page, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def test_the_page_counts_and_links_the_recordings_the_worst_first() -> None:
    page = preflight_page(RECORDINGS, "recordings")
    text = Page(page).text
    assert "4 recordings: 1 can’t be read, 1 will not work, 1 is good and 1 was not opened." in text
    assert re.findall(r'href="#recording-(\d)"', page) == ["0", "1", "2", "3"]
    assert re.findall(r'<option value="([^"]+)">', page) == [
        *("unread", "will not work", "good", "closed", "incomplete"),
    ]


def test_what_to_change_is_told_with_the_most_serious_first_and_what_was_measured() -> None:
    page = preflight_page(RECORDINGS, "recordings")
    text = Page(page).text
    assert text.index("Let the recorder finish") < text.index("Put more light on the face")
    assert "25 % or more are needed." in text
    assert "10:00, 100.5 s missing" in text
    assert "84 px in 640 × 360" in text
    assert "The file is empty." in text
    assert "this recording was not opened" in text


def test_a_picture_has_a_box_for_each_face_and_says_what_is_wrong_with_it() -> None:
    page = preflight_page(RECORDINGS, "recordings")
    assert page.count('class="box"') == page.count('class="box poor"') == 1
    assert "Faces, from the left: 84 px; 31 px, blurred, too dark." in Page(page).text
    assert "A face is there in 98 % of the pictures. Faces of place 2 are there too." in Page(page).text
    assert 'data-region="0,10,55.5,100"' in page


def test_what_the_page_saves_is_filled_in_from_the_rows() -> None:
    data = data_of(preflight_page(RECORDINGS, "my recordings", "sessions.csv"))
    assert data["rows"] == [
        ["broken.mp4", "5", "", "", "", "", "", ""],
        ["P1_S1.mp4", "10", "P1", "S1", "", "", "", ""],
        ["monday/both.mp4", "20", "P1", "S2", "2026-03-01", "music", "yes", "10,20,30,40"],
        ["monday/both.mp4", "20", "P2", "S1", "", "", "", ""],
        ["IMG_1.mp4", "30", "", "", "", "", "", ""],
    ]
    assert "video" not in data["columns"]  # beside the recordings, it would be a second list


def test_the_command_at_the_end_is_for_this_folder() -> None:
    page = preflight_page(RECORDINGS, "my recordings", "study.csv")
    assert "emonext study apply &#39;my recordings&#39; &#39;~/Downloads/recordings-answers.csv&#39;" in page
    assert "my recordings/study.csv" in page


def test_answers_about_other_rows_are_not_taken() -> None:
    keys = [
        data_of(preflight_page(recordings, "recordings", language=language))["key"]
        for recordings, language in ((RECORDINGS, FRENCH), (RECORDINGS, FRENCH), (RECORDINGS[:2], FRENCH))
    ]
    assert keys[0] == keys[1] != keys[2]


def test_a_text_in_the_data_is_shown_and_never_obeyed() -> None:
    harmful = "</script><script>alert(1)</script><b>x</b>"
    row = ListedRow(harmful, harmful, harmful)
    recordings = [
        replace(one, video=harmful, rows=(row,), problem=free_text(harmful), refused=one.refused)
        for one in RECORDINGS
    ]
    page = preflight_page(recordings, harmful, harmful)
    assert "<b>x</b>" not in page
    assert Page(page).scripts == Page(preflight_page(RECORDINGS, "recordings", "a.csv")).scripts


@pytest.mark.parametrize("listed", [None, Path("sessions.csv"), Path("sessions.xlsx")])
def test_a_french_page_holds_no_english(listed: Path | None, tmp_path: Path) -> None:
    checks = tuple(Finding(name, "could be better", GOOD.measured, Reason.of("aim")) for name in CHECK_WORDS)
    recordings = [*RECORDINGS, replace(RECORDINGS[1], video="all.mp4", findings=checks)]
    path = write_preflight_page(recordings, tmp_path / "page.html", tmp_path, listed, FRENCH)
    assert_no_english(path)
    text = Page(path.read_text()).text
    assert "Visages, de gauche à droite : 84 px ; 31 px, flou, trop sombre." in text
    assert "Il faut" not in text
    assert "il faut 25 % ou plus" in text
    assert str(tmp_path) not in path.read_text()


def test_a_percent_sign_of_a_finding_stands_apart() -> None:
    assert TEXTS["face_light"].count("%%") == 1
    assert f"face at 20{NBSP}% of white" in preflight_page(RECORDINGS, "a")


@pytest.mark.parametrize(("count", "limit_mb"), [(30, 1.5), (300, 4.0)])
def test_pictures_get_smaller_with_their_number(count: int, limit_mb: float) -> None:
    """Of noise: no picture takes more room."""
    noise = Still(_noise(), 1.0, SEATS, FACES)
    recordings = [
        CheckedRecording(f"P1_S{n}.mp4", 1, (ListedRow("P1", f"S{n}", still=noise),), (GOOD, POOR, BAD))
        for n in range(count)
    ]
    assert len(preflight_page(recordings, "a").encode()) < limit_mb * 1e6


def _noise() -> bytes:
    import io

    import numpy as np
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 255, (270, 480, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=85)
    return file.getvalue()


@pytest.mark.parametrize("name", ["trial.mp4", "seats", "sessions.csv"])
def test_only_a_page_is_written_over(name: str) -> None:
    with pytest.raises(InputError, match=r"give a name that ends with \.html"):
        check_page_path(Path(name))
    check_page_path(Path("recordings.HTML"))
