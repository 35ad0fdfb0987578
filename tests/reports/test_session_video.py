"""The video on the page of a session: what it may play, and what it says where it can't."""

from dataclasses import replace
from pathlib import Path

import pytest
from page_text import Page
from session_pages import facts, material
from timelines import TWENTY_SECONDS, make_timeline, put
from written_pages import write_session_report

from pipeline.records import SessionVideo
from pipeline.store.timeline import Timeline
from reports import ReportOptions, last_options, write_reports
from reports.session_data import Film, PlayedVideo

COPY = PlayedVideo([Film("../../review/P1/S1.mp4", 0.0)], "others", "study")


def policy_of(page: Page) -> str:
    (policy,) = [a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    return policy


def page_of(folder: Path, video: PlayedVideo | None) -> Page:
    made = replace(material(facts=facts()), video=video)
    return Page(write_session_report(made, folder / "page.html").read_text("utf-8"))


def test_a_page_without_a_video_has_nothing_of_it(tmp_path: Path) -> None:
    page = page_of(tmp_path, None)
    assert "media-src 'none'" in policy_of(page)
    assert page.count("video") == page.count("button") == 0
    assert len(page.scripts) == 2
    assert "video { display" not in (tmp_path / "page.html").read_text("utf-8")
    assert not [tag for tag, attributes in page.tags if "data-start" in attributes]


def test_a_page_with_a_video_says_whom_it_shows(tmp_path: Path) -> None:
    page = page_of(tmp_path, COPY)
    assert "media-src 'self' file:" in policy_of(page)
    assert [a["src"] for tag, a in page.tags if tag == "video"] == ["../../review/P1/S1.mp4"]
    assert "it shows the patient’s face; other people’s faces are blurred where they were found" in page.text
    assert "all faces that were found are blurred" in page_of(tmp_path, replace(COPY, blur="all")).text
    assert "voices" not in page_of(tmp_path, COPY).text
    assert "voices can be recognised" in page_of(tmp_path, replace(COPY, sound=True)).text
    itself = replace(COPY, films=[Film("file:///a.mp4", 0.0)], blur="none")
    assert (
        "plays the recording itself, with the face and voice of everybody" in page_of(tmp_path, itself).text
    )
    assert (tmp_path / "page.html").stat().st_size < 1.5e6


def test_moments_lead_into_the_video_instead_of_the_review(tmp_path: Path) -> None:
    made = replace(material(facts=facts()), video=COPY, review="../../review/P1/S1.html")
    page = Page(write_session_report(made, tmp_path / "page.html").read_text("utf-8"))
    starts = [a["data-start"] for tag, a in page.tags if tag == "tr" and "data-start" in a]
    assert {"10000", "61000", "16000", "130000"} <= set(starts)
    assert [a["href"] for tag, a in page.tags if tag == "a" and "review" in (a["href"] or "")] == [
        "../../review/P1/S1.html"
    ]


@pytest.mark.parametrize("suffix", ["AVI", "mts", "wmv"])
def test_a_format_that_no_browser_plays_is_told(tmp_path: Path, suffix: str) -> None:
    page = page_of(tmp_path, PlayedVideo([Film(f"file:///a.{suffix}", 0.0)], "none", "my study"))
    assert f"a recording in the format {suffix.upper()}. emonext review 'my study' P1 S1 makes a" in page.text
    assert page.count("video") == 0
    assert "media-src 'none'" in policy_of(page)
    assert "file:///" not in (tmp_path / "page.html").read_text("utf-8")


def test_a_recording_that_is_gone_is_told(tmp_path: Path) -> None:
    page = page_of(tmp_path, PlayedVideo([], "none", "study"))
    assert "no longer where it was, or another file has taken its place" in page.text
    assert "emonext review study P1 S1 --video FILE" in page.text
    assert page.count("video") == 0


def test_what_is_played_lasts_until_it_is_changed(tmp_path: Path) -> None:
    asked: list[bool] = []

    def find(
        out: Path, patient_id: str, session_id: str, timeline: Timeline, *, original: bool
    ) -> SessionVideo | None:
        asked.append(original)
        return SessionVideo(((out / "review" / "P1" / "S 1.mp4", 0.0),), "all") if not original else None

    put(tmp_path, make_timeline(TWENTY_SECONDS))
    page = tmp_path / "reports" / "P1" / "S1.html"
    write_reports(tmp_path, find_video=find)
    assert 'src="../../review/P1/S%201.mp4"' in page.read_text("utf-8")
    write_reports(tmp_path, options=ReportOptions(video="original"), find_video=find)
    assert "<video" not in page.read_text("utf-8")
    write_reports(tmp_path, find_video=find)
    write_reports(tmp_path, options=replace(last_options(tmp_path), video="off"), find_video=find)
    write_reports(tmp_path, find_video=find)
    assert asked == [False, True, True]
    assert last_options(tmp_path).video == "off"
