"""Pages of several sessions: sentences and omissions, in both languages."""

import shutil
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from french import FRENCH, NBSP, assert_no_english
from page_text import Page
from session_pages import spaced
from small_studies import PATIENTS
from summary_tables import made, measure_rows, session_row, tables
from timelines import TWENTY_SECONDS, make_timeline, put

from pipeline.analysis.longitudinal import PatientHistory, histories
from pipeline.analysis.session_results import FolderFacts
from pipeline.analysis.summaries import CARE_READINGS
from pipeline.reasons import free_text
from pipeline.store.status import Outcome, record
from reports import ReportOptions, write_reports
from reports.pages.patient import patient_page
from reports.pages.study import study_page
from reports.study_data import read_study
from reports.words.formatting import share_text
from reports.words.language import ENGLISH, Language

ABOUT = {"version": "0.1.0", "settings": {"min_coverage": 0.2}}
MAX_BYTES = 1_500_000


def page(
    history: PatientHistory, language: Language = ENGLISH, comparisons: pl.DataFrame | None = None
) -> Page:
    return Page(patient_page(history, language, ABOUT, comparisons))


def patient(sessions: int, every_days: int = 7) -> PatientHistory:
    return histories(*made(1, sessions, timedelta(days=every_days)), "baseline")[0]


def compared(difference: float, low: float, high: float, p: float = 0.01) -> pl.DataFrame:
    """Music against baseline, of P001, who has a calm face of their own."""
    row: dict[str, Any] = {
        "patient_id": "P001",
        "reading": "raw",
        "measure": "share",
        "of": "positive",
        "reason": "",
        "condition": "music",
        "mean": 12 + difference,
        "mean_reference": 12.0,
        "difference": difference,
        "difference_low": low,
        "difference_high": high,
        "sessions": 4,
        "sessions_reference": 5,
        "p_holm": p,
    }
    return pl.DataFrame([row])


# --- a patient


def test_a_patient_without_a_session_has_a_page_that_says_so() -> None:
    assert "There is no session yet." in page(PatientHistory("P1", (), "baseline")).text


def test_a_patient_who_was_hardly_seen_gets_no_number() -> None:
    row = session_row(enough=False, coverage=0.05, observed_s=30.0)
    history = histories(*tables([row], list(measure_rows(row, 0.5, 0.1))), "baseline")[0]
    found = page(history)
    assert "In no session was the face read enough" in found.text
    assert "50 %" not in found.text
    assert "5 % of the time recorded" in found.text
    assert not found.scripts


def test_plain_words_come_first() -> None:
    text = page(patient(8)).text
    # of the made sessions every third is to be checked
    unsure = text.index("In 3 sessions it is not certain that this is the patient")
    assert unsure < text.index("8 sessions from 7 January 2025 to 25 February 2025.") < text.index("In short")
    assert text.index("In short") < text.index("session by session") < text.index("How it was made")
    assert "There are too few sessions yet to compare the last ones" in text
    assert "In 1 other session it was read too little to say." in text


@pytest.mark.parametrize(
    ("low", "high", "p", "said"),
    [
        (4.0, 20.0, 0.04, "more than chance usually makes: likely a difference of 4 to 20 percentage points"),
        (0.2, 9.0, 0.04, "likely a difference of 0.2 to 9.0 percentage points"),
        (-4.0, 28.0, 0.04, "Chance alone can make such differences."),
        (4.0, 20.0, 0.06, "Chance alone can make such differences."),
    ],
)
def test_a_condition_is_told_with_its_uncertainty(low: float, high: float, p: float, said: str) -> None:
    text = page(patient(8), comparisons=compared(12.0, low, high, p)).text
    assert "Music (as it was read)" in text
    assert "for 24 % of the time read, against 12 % in the calm sessions (4 sessions against 5)" in text
    assert said in text


def test_raw_and_corrected_stand_side_by_side_only_where_there_is_a_correction() -> None:
    with_own, _, without = histories(*made(3, 8), "baseline")
    assert "too little calm time" not in page(with_own).text
    assert "too little calm time of this person yet" in page(without).text


def test_a_condition_is_escaped() -> None:
    rows, measures = [], []
    for number, condition in enumerate(("baseline", "<script>alert(1)</script>")):
        rows.append(session_row(f"S{number}", condition=condition))
        measures += list(measure_rows(rows[-1], 0.1, 0.1))
    html = patient_page(histories(*tables(rows, measures), "baseline")[0], ENGLISH, ABOUT)
    assert "<script>alert" not in html
    assert "alert(1)" in html


def test_sessions_of_the_studys_own_reference_are_the_calm_ones() -> None:
    rows, measures = [], []
    for number, condition in enumerate(("rest", "baseline")):
        rows.append(session_row(f"S{number}", condition=condition))
        measures += list(measure_rows(rows[-1], 0.1, 0.1))
    text = page(histories(*tables(rows, measures), "rest")[0]).text
    assert "calm (rest)" in text
    assert "calm (baseline)" not in text


def test_a_studys_own_words_keep_their_capitals() -> None:
    rows, measures = [], []
    for number, condition in enumerate(("calm", "music", "group PASA")):
        rows.append(session_row(f"S{number}", condition=condition))
        measures += list(measure_rows(rows[-1], 0.1, 0.1))
    text = page(histories(*tables(rows, measures), "calm")[0]).text
    assert "Group PASA and music There are too few sessions yet" in text


def test_a_french_figure_is_captioned_in_french() -> None:
    html = patient_page(patient(8), FRENCH, ABOUT)
    line = "\\u003cbr\\u003e"
    assert f"musique{line}Positive{NBSP}: " in html
    assert f", musique{line}positive " in html
    assert f"Matin{NBSP}: 5:00" in html


@pytest.mark.parametrize("sessions", [1, 8, 70])
def test_every_session_is_listed_and_leads_to_its_page(sessions: int) -> None:
    links = [tag["href"] for name, tag in page(patient(sessions)).tags if name == "a"]
    assert {f"S{number:03}.html" for number in range(1, sessions + 1)} <= set(links)


def test_many_sessions_are_folded_by_month() -> None:
    found = page(patient(70, every_days=2))
    folds = [tag.get("id") for name, tag in found.tags if name == "details" and tag.get("id")]
    assert folds == ["m2025-05", "m2025-04", "m2025-03", "m2025-02", "m2025-01"]
    assert "Each column is a week." in found.text


def test_five_hundred_sessions_make_a_page_quickly_and_not_a_large_one() -> None:
    history = patient(500, every_days=2)
    started = time.process_time()
    # as in a folder of so many
    html = patient_page(history, ENGLISH, ABOUT, assets=ReportOptions().of_folder(500).assets_of(1))
    assert time.process_time() - started < 5
    assert len(html.encode()) < MAX_BYTES / 3


def test_every_figure_has_words_and_a_table_behind_it() -> None:
    found = page(patient(20))
    figures = [
        tag for name, tag in found.tags if name == "div" and "figure" in str(tag.get("class", "")).split()
    ]
    assert len(figures) == 4
    assert all(str(tag["aria-label"]).endswith("The table below says the same.") for tag in figures)
    assert found.text.count("The same as a table") == 4


@pytest.mark.parametrize("sessions", [0, 1, 8, 70])
def test_a_french_patient_holds_no_english(sessions: int, tmp_path: Path) -> None:
    history = patient(sessions) if sessions else PatientHistory("P001", (), "baseline")
    (tmp_path / "a.html").write_text(patient_page(history, FRENCH, ABOUT, compared(12.0, 4.0, 20.0)))
    assert_no_english(tmp_path / "a.html")


# --- a study


@pytest.fixture(scope="module")
def study(derived_small_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small study with a session that failed; its reports."""
    out = shutil.copytree(derived_small_study, tmp_path_factory.mktemp("study") / derived_small_study.name)
    failed = {"coverage": None, "seconds_lost": None, "video_s": None, "took_s": 1.0, "finished_at": ""}
    record(out, Outcome("P01", "S09", "failed", (free_text("the file is <cut> off"),), **failed))
    return write_reports(out).parent


def test_a_study_is_told_whole(study: Path) -> None:
    text = Page((study / "study.html").read_text()).text
    assert "There are timelines of 32 sessions of 4 patients" in text
    assert "32 done · 1 failed" in text
    assert "the file is <cut> off" in text
    assert "with matched moments" in text
    assert "sha256" in text


def test_a_table_that_is_missing_is_told_with_what_makes_it(tmp_path: Path) -> None:
    put(tmp_path, make_timeline(TWENTY_SECONDS))
    write_reports(tmp_path)
    for name in ("conditions", "trends", "missing", "missing_compared", "events", "scales"):
        (tmp_path / "summaries" / f"{name}.parquet").unlink(missing_ok=True)
    (tmp_path / "summaries" / "methods.md").unlink(missing_ok=True)
    text = Page(str(study_page(read_study(tmp_path), ENGLISH))).text
    assert text.count("Run emonext summarize with this folder") == 5
    assert "this study has no list of events" in text


@pytest.mark.parametrize(("name", "text"), [("events.csv", "foo;bar\n1;2\n"), ("scales.toml", "x = [")])
def test_a_study_file_that_cannot_be_used_stops_no_page(tmp_path: Path, name: str, text: str) -> None:
    put(tmp_path, make_timeline(TWENTY_SECONDS))
    (tmp_path / name).write_text(text)
    reports = write_reports(tmp_path).parent
    assert (reports / "P1" / "S1.html").is_file()
    assert str(tmp_path / name) in Page((reports / "study.html").read_text()).text


def test_pages_lead_to_each_other(study: Path) -> None:
    for path in (study / "index.html", study / "study.html", study / "P03" / "index.html"):
        links = [str(tag["href"]) for name, tag in Page(path.read_text()).tags if name == "a"]
        targets = [link.split("#")[0] for link in links]
        assert all((path.parent / target).is_file() for target in targets if target), path
    index = Page((study / "index.html").read_text())
    assert {"study.html", "P03/index.html", "P03/S01.html"} <= {tag.get("href") for _, tag in index.tags}


def test_each_patient_has_a_small_picture(study: Path) -> None:
    pictures = [
        tag for name, tag in Page((study / "index.html").read_text()).tags if tag.get("class") == "spark"
    ]
    assert len(pictures) == PATIENTS
    assert all(str(tag["aria-label"]).startswith("Balance in 8 sessions") for tag in pictures)


def test_the_index_goes_by_the_reading_of_the_pages_words(study: Path) -> None:
    facts = FolderFacts(study.parent).of("P03", "S01")
    assert facts is not None
    groups = ("positive", "neutral", "negative")
    raw, own = (
        [spaced(share_text(facts.numbers[reading, "share", of].value, 1, ENGLISH)) for of in groups]
        for reading in CARE_READINGS
    )
    assert raw != own
    of_patient = Page((study / "index.html").read_text()).text.split("Patient P03 ")[1]
    assert f"{' '.join(own)} Done" in of_patient.split("S02")[0]


@pytest.mark.parametrize("name", ["study.html", "P03/index.html"])
def test_pages_are_small(study: Path, name: str) -> None:
    assert (study / name).stat().st_size < MAX_BYTES


def test_a_french_study_holds_no_english(tmp_path: Path) -> None:
    put(tmp_path, make_timeline(TWENTY_SECONDS))
    put(tmp_path, make_timeline([("no_face", 50)], session_id="S2"), session_id="S2")
    write_reports(tmp_path, options=ReportOptions(language="fr"))
    for name in ("study.html", "index.html", "P1/index.html"):
        assert_no_english(tmp_path / "reports" / name)
