"""The review page: video, list of moments, escaping."""

from pathlib import Path

import polars as pl
import pytest
from page_text import Page
from timelines import HOSTILE, TWENTY_SECONDS, chosen, make_timeline

from pipeline.store.timeline import Timeline
from reports import ReportError
from reports.pages.review import Film, write_review_page

# --- the page


def page_of(timeline: Timeline, folder: Path, blur: str | None = "others", **given: object) -> Page:
    path = write_review_page(timeline, folder / "S1.html", blur=blur, face_threshold=0.9, **given)  # type: ignore[arg-type]
    return Page(path.read_text(encoding="utf-8"))


def test_the_page_plays_the_copy_and_lists_the_stretches(tmp_path: Path) -> None:
    page = page_of(make_timeline([*TWENTY_SECONDS, ("happy", 9)]), tmp_path)
    assert [attributes["src"] for tag, attributes in page.tags if tag == "video"] == ["S1.mp4"]
    for row in (
        "0:00–0:10 10 s Neutral",
        "0:10–0:14 4 s Happy",
        "0:14–0:16 2 s Face not visible",
        "0:16–0:20 4 s Sad",
    ):
        assert row in page.text
    rows = [attributes["data-start"] for tag, attributes in page.tags if "data-start" in attributes]
    assert rows == ["0", "10000", "14000", "16000"]  # the last is shorter than 2 s


def test_speech_and_closed_eyes_are_said_at_their_samples(tmp_path: Path) -> None:
    timeline = make_timeline([("happy", 15), ("eyes_shut", 15)])
    talks = timeline.rows.with_columns(speaking=pl.Series([0.9] * 15 + [None] * 15, dtype=pl.Float32))
    page = page_of(Timeline(talks, timeline.metadata), tmp_path)
    assert "0:03–0:06 3 s Eyes closed: asleep or resting" in page.text
    html = (tmp_path / "S1.html").read_text("utf-8")
    assert html.count('"Happy 70\u00a0%, speaking"') == 15
    assert html.count('"Eyes closed: asleep or resting"') == 15


@pytest.mark.parametrize(
    ("blur", "expected"),
    [
        (
            "others",
            "smaller than 24 pixels in the recording, those of which the detector was less than 90 % sure",
        ),
        ("all", "All faces that were found are blurred"),
        ("none", "Nobody is blurred"),
    ],
)
def test_the_page_says_who_is_not_blurred(tmp_path: Path, blur: str, expected: str) -> None:
    page = page_of(make_timeline(TWENTY_SECONDS), tmp_path, blur)
    assert expected in page.text
    assert ("A face that was not found is not blurred." in page.text) == (blur != "none")
    assert "pages of sessions play them, and then have no video" in page.text


def test_the_recording_is_there_only_where_it_was_asked_for(tmp_path: Path) -> None:
    timeline = make_timeline(TWENTY_SECONDS)
    films = [Film("file:///home/Jane%20Doe/1.mp4", 0.0), Film("file:///home/Jane%20Doe/2.mp4", 9.5)]
    page_of(timeline, tmp_path)
    assert "Jane" not in (tmp_path / "S1.html").read_text()
    with_copy = page_of(timeline, tmp_path, recording=films)
    assert [a["href"] for tag, a in with_copy.tags if tag == "a"][1:] == [film.url for film in films]
    assert [a["src"] for tag, a in with_copy.tags if tag == "video"] == ["S1.mp4"]
    without = page_of(timeline, tmp_path, None, recording=films)
    assert [a["src"] for tag, a in without.tags if tag == "video"] == [films[0].url]
    assert "Nobody is blurred" in without.text
    with pytest.raises(ReportError, match=r"no annotated copy .* leave out --no-video, or add --original"):
        page_of(timeline, tmp_path, None)


def test_the_review_is_escaped(tmp_path: Path) -> None:
    hostile = make_timeline(
        TWENTY_SECONDS,
        patient_id=HOSTILE,
        session_id=HOSTILE,
        software_version=HOSTILE,
        patient=chosen(HOSTILE, 1, 1),
    )
    page = page_of(hostile, tmp_path, recording=[Film(HOSTILE, 0.0)])
    assert page.count("img") == 0
    assert page.count("script") == 8  # Plotly, the ones that draw, play and mark, and the data of three
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
