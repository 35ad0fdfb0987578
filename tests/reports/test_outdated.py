"""Pages of reviews and of agreement say so when a session has changed since they were made."""

import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from adaptations import make_adaptation
from timelines import make_timeline, put

from pipeline.agreement.results import Agreement
from pipeline.analysis.adaptation import adaptation_path, write_adaptation
from pipeline.analysis.episodes import EpisodeSettings
from pipeline.analysis.summaries import SummarySettings
from pipeline.results.derive import coding_digests, derive
from pipeline.store.timeline import Timeline
from reports import write_reports
from reports.pages.agreement import write_agreement_page
from reports.pages.review import write_review_page

IDS = ("P1", "S1")


@pytest.fixture
def timeline() -> Timeline:
    return make_timeline([("happy", 100), ("neutral", 100)])


@pytest.fixture
def out(timeline: Timeline, tmp_path: Path) -> Path:
    """A study with a review and a page of agreement."""
    out = tmp_path / "study"
    put(out, timeline)
    derive(out)
    for name in ("S1", "S2"):
        path = out / "review" / "P1" / f"{name}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_review_page(timeline, path, blur="others", face_threshold=0.9)
    found = replace(Agreement.empty(1.0), sessions=((*IDS, 0.9),))
    page = out / "reports" / "agreement.html"
    write_agreement_page(found, page, out / "review", digests=coding_digests(out, [IDS]))
    return out


def pages(out: Path) -> list[Path]:
    return [out / "review" / "P1" / "S1.html", out / "reports" / "agreement.html"]


def is_told(page: Path) -> bool:
    html = page.read_text("utf-8")
    assert ('<p class="outdated">' in html) != ('<p class="outdated" hidden>' in html)
    return '<p class="outdated">' in html


def is_linked(out: Path) -> bool:
    return "review/P1/S1.html" in (out / "reports" / "P1" / "S1.html").read_text("utf-8")


def corrected(timeline: Timeline) -> Timeline:
    """The patient's track is another one."""
    patient = timeline.metadata["patient"] | {"track": 2}
    rows = timeline.rows.with_columns(track=pl.lit(2, pl.Int32))
    return Timeline(rows, {**timeline.metadata, "patient": patient})


def processed_again(timeline: Timeline) -> Timeline:
    return replace(timeline, metadata={**timeline.metadata, "created_at": "2026-02-02T03:04:05+00:00"})


@pytest.mark.parametrize("change", [corrected, processed_again])
def test_a_changed_session_is_told_once(change: object, out: Path, timeline: Timeline) -> None:
    write_reports(out)
    assert [is_told(page) for page in pages(out)] == [False, False]
    assert is_linked(out)
    assert callable(change)
    put(out, change(timeline))
    write_reports(out, only_changed=True)
    assert [is_told(page) for page in pages(out)] == [True, True]
    assert not is_linked(out)
    written = [page.stat().st_mtime_ns for page in pages(out)]
    write_reports(out)
    assert [page.stat().st_mtime_ns for page in pages(out)] == written


def test_a_new_review_is_linked_again(out: Path, timeline: Timeline) -> None:
    put(out, corrected(timeline))
    write_reports(out)
    write_review_page(corrected(timeline), pages(out)[0], blur="others", face_threshold=0.9)
    write_reports(out, only_changed=True)
    assert (is_told(pages(out)[0]), is_linked(out)) == (False, True)


def test_the_page_of_another_session_stays(out: Path, timeline: Timeline) -> None:
    """Its name begins like that of the changed session."""
    other = out / "review" / "P1" / "S1.a.html"
    shutil.copy(pages(out)[0], other)
    put(out, corrected(timeline))
    write_reports(out)
    assert not is_told(other)


def test_the_page_of_agreement_names_its_folder(out: Path) -> None:
    assert "<code>emonext agree study</code> and the options of last time" in pages(out)[1].read_text("utf-8")


def approved(timeline: Timeline) -> Timeline:
    """A person said that the patient is right: no sample changed."""
    patient = timeline.metadata["patient"] | {"identity": "confirmed", "chosen_by": "hand"}
    return replace(timeline, metadata={**timeline.metadata, "patient": patient})


def test_an_approval_changes_no_agreement(out: Path, timeline: Timeline) -> None:
    put(out, approved(timeline))
    write_reports(out)
    assert [is_told(page) for page in pages(out)] == [True, False]


@pytest.mark.parametrize("change", ["settings", "adaptation"])
def test_other_episodes_or_readings_are_told_on_the_page_of_agreement(out: Path, change: str) -> None:
    if change == "settings":
        derive(out, SummarySettings(EpisodeSettings(min_duration_s=3.0)))
    else:
        write_adaptation(adaptation_path(out), make_adaptation())
    write_reports(out)
    assert [is_told(page) for page in pages(out)] == [False, True]
    (out / "adaptation.json").unlink(missing_ok=True)
    derive(out)
    write_reports(out)
    assert [is_told(page) for page in pages(out)] == [False, False], "as when it was made"


def test_the_patient_s_own_baseline_is_told(out: Path, timeline: Timeline) -> None:
    """It is in another session."""
    session = timeline.metadata["session"] | {"condition": "baseline", "parts": [[0.0, 200.0]]}
    put(out, make_timeline([("neutral", 1000)], session_id="S3", session=session), session_id="S3")
    write_reports(out)
    assert [is_told(page) for page in pages(out)] == [False, True]
