"""The agreement page: sentences, escaping, links, and the command that writes it."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from timelines import THIRTY_SECONDS, make_timeline, put
from visits import ON_BOTH, Visit

import cli
from pipeline.agreement.compare import agree
from pipeline.agreement.results import Agreement, RatedTime
from pipeline.analysis.summaries import summarize_folder
from pipeline.exchange.ratings import CodedInterval, Rating, Ratings
from pipeline.store.timeline import Timeline, read_timeline
from reports.pages.agreement import agreement_page, rated_lines, write_agreement_page
from reports.words.agreement import lead
from reports.words.language import ENGLISH

pytest.importorskip("krippendorff", reason="needs the packages of the extra agreement")
pytest.importorskip("pingouin", reason="needs the packages of the extra agreement")

HOSTILE = "<script>alert(1)</script>"


def found_in(out: Path, *raters: str) -> Agreement:
    put(out, make_timeline(THIRTY_SECONDS * 6))
    summarize_folder(out)
    stretches = CodedInterval(0, 8, "happy"), CodedInterval(8, 20, "neutral"), CodedInterval(20, 29, "sad")
    return agree(out, Ratings(tuple(Rating("P1", "S1", rater, stretches) for rater in raters), (HOSTILE,)))


def test_nothing_to_show_is_a_page_too(tmp_path: Path) -> None:
    empty = replace(
        found_in(tmp_path, "anna"), comparisons=(), several=(), disagreements=(), sessions=(), notes=()
    )
    page = agreement_page(empty, tmp_path / "review")
    assert "Nowhere." in page
    assert "None" not in page


def test_figures_stand_with_their_time_coverage_and_sessions(tmp_path: Path) -> None:
    found = found_in(tmp_path, "anna")
    said = lead(found, ENGLISH)
    kappa = found.comparisons[0].kappa
    assert kappa.value is not None
    assert (
        f"{kappa.value:.2f} ({kappa.low:.2f} to {kappa.high:.2f}) between the machine (raw) and anna" in said
    )
    assert "150\u00a0s of 1\u00a0session, 83\u00a0% of their time" in said
    page = agreement_page(found, tmp_path / "review")
    assert f"{kappa.value:.2f}" in page
    assert "which says nothing about other sessions" in page


def test_where_too_little_was_compared_for_an_interval_it_is_said(tmp_path: Path) -> None:
    put(tmp_path, make_timeline(THIRTY_SECONDS))
    summarize_folder(tmp_path)
    found = agree(tmp_path, Ratings((Rating("P1", "S1", "anna", (CodedInterval(0, 8, "happy"),)),)))
    page = agreement_page(found, tmp_path / "review")
    assert "\N{EN DASH} to \N{EN DASH}" not in page
    assert page.count("too little to say how sure") >= 2


def test_how_much_was_rated_stands_on_the_page_and_in_the_answer(tmp_path: Path) -> None:
    found = found_in(tmp_path, "anna")
    stated = RatedTime("bo", 2, 1200.0, 340.0, is_stated=True, unusable=1)
    found = replace(
        found, rated=(*found.rated, stated, RatedTime("cy", 0, 0.0, 0.0, is_stated=True, unusable=2))
    )
    assert rated_lines(found) == [
        "anna: rated 180 s of 1\u00a0session (from the first code to the last where nothing says otherwise), "
        "coded 29 s",
        "bo: rated 1,200 s of 2\u00a0sessions (as stated), coded 340 s; no usable code in 1\u00a0session",
        "cy: – (no usable code in 2\u00a0sessions)",
    ]
    page = agreement_page(found, tmp_path / "review")
    assert page.count("From the first code to the last, where nothing says otherwise") == 1
    for told in ("1,200&nbsp;s", "340&nbsp;s", "2 without a usable code", "Not compared"):
        assert told in page


def test_everything_is_escaped(tmp_path: Path) -> None:
    page = agreement_page(found_in(tmp_path, HOSTILE), tmp_path / "review")
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page


def test_a_disagreement_leads_to_the_review_where_there_is_one(tmp_path: Path) -> None:
    found = found_in(tmp_path, "anna")
    link = '<a href="../review/P1/S1.html#t=6">0:08–0:10</a>'
    assert link not in agreement_page(found, tmp_path / "review")
    page = tmp_path / "review" / "P1" / "S1.html"
    page.parent.mkdir(parents=True)
    page.touch()
    assert link in agreement_page(found, tmp_path / "review")


@ON_BOTH
def test_in_the_browser(browser: Any, tmp_path: Path, viewport: dict[str, int]) -> None:
    """No request, no complaint, nothing wider than the screen, and no fault of accessibility."""
    path = write_agreement_page(found_in(tmp_path, "anna", "bo"), tmp_path / "a.html", tmp_path / "review")
    visit = Visit(browser, path, viewport)
    assert visit.violations() == []
    assert visit.overflow_px() == 0
    assert visit.requests == [path.as_uri()]
    assert visit.complaints == []


# --- the commands


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["emonext", *map(str, arguments)])
    try:
        cli.main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@pytest.fixture
def out(tmp_path: Path) -> Path:
    put(tmp_path / "study", make_timeline(THIRTY_SECONDS))
    ratings = tmp_path / "study" / "ratings"
    ratings.mkdir()
    rows = "P1,S1,0,8,smile\nP1,S1,20,29,sad\n"
    (ratings / "anna.csv").write_text(f"patient_id,session_id,start_s,end_s,code\n{rows}")
    return tmp_path / "study"


def test_agree(out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "agree", out, "--codes", "smile=happy,none=neutral", "--rated", "all") == 0
    said = capsys.readouterr()
    assert "between the machine (raw) and anna" in said.out
    assert said.err == ""
    assert "anna: rated 30 s of 1\u00a0session (as stated), coded 17 s" in said.out
    for name in ("agreement/figures.json", "agreement/disagreements.csv", "reports/agreement.html"):
        assert (out / name).is_file()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            "P1,S1,500,5000,sad\n",
            "anna.csv: 'sad' 500 to 5000 s lies outside P1 S1, which lasts from 0 to 30 s",
        ),
        ("P1,S1,1,5,talk\n", "no rating has a usable code; there is nothing to compare"),
        ("P1,S1,21,24,talk\n", "no rating has a usable code; there is nothing to compare"),
    ],
)
def test_agree_gives_no_number_where_there_is_nothing_to_compare(
    out: Path, rows: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = out / "ratings" / "anna.csv"
    path.write_text(f"patient_id,session_id,start_s,end_s,code\n{rows}")
    assert run(monkeypatch, "agree", out, "--codes", "talk=-") == 2
    told = capsys.readouterr()
    assert said in told.err.splitlines()[-1]
    assert told.out == ""
    assert not (out / "reports" / "agreement.html").exists()


def test_agree_cuts_what_reaches_over_the_end(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = out / "ratings" / "anna.csv"
    path.write_text("patient_id,session_id,start_s,end_s,code\nP1,S1,25,300,sad\n")
    assert run(monkeypatch, "agree", out, "--codes", "none=neutral", "--rated", "10-600") == 0
    told = capsys.readouterr()
    assert "(0 to 30 s): 'sad' 25 to 300 s" in told.err
    assert "anna: rated 20 s of 1\u00a0session (as stated), coded 5 s" in told.out
    assert run(monkeypatch, "agree", out, "--codes", "none=neutral", "--rated", "10") == 2
    assert "write FROM-TO, such as 0-600" in capsys.readouterr().err


def test_agree_compares_only_the_time_that_somebody_looked_at(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = out / "ratings" / "anna.csv"
    path.write_text("patient_id,session_id,start_s,end_s,code\nP1,S1,2,4,smile\nP1,S1,6,9,neutral\n")
    assert run(monkeypatch, "agree", out, "--codes", "smile=happy,none=neutral") == 0
    told = capsys.readouterr()
    (note,) = told.err.splitlines()
    assert note.startswith("anna: nothing states what was rated of 1 session, so only the time from")
    assert (
        "anna: rated 7 s of 1\u00a0session (from the first code to the last where nothing says otherwise), "
        "coded 5 s"
    ) in told.out
    assert "Compared were 7\u00a0s of" in told.out
    page = out / "reports" / "agreement.html"
    assert note in page.read_text(encoding="utf-8")
    assert run(monkeypatch, "agree", out, "--codes", "smile=happy,none=neutral", "--lang", "fr") == 0
    french = page.read_text(encoding="utf-8")
    assert '<html lang="fr">' in french
    assert f'<ul lang="en"><li>{note}</li>' in french


def test_agree_names_unknown_codes_in_one_line(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "agree", out) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "'smile' in anna.csv" in line
    assert not (out / "reports" / "agreement.html").exists()


def test_without_the_packages_it_is_said_what_to_install(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "krippendorff", None)
    assert run(monkeypatch, "agree", out, "--codes", "smile=happy") == 2
    assert "pip install 'emonext-care[agreement]'" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["csv", "xlsx", "elan", "boris", "bids"])
def test_export(
    out: Path, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "export", out, "--format", kind) == 0
    assert str(out / "exports" / kind) in capsys.readouterr().out
    assert any(path.is_file() for path in (out / "exports" / kind).rglob("*"))


@pytest.mark.parametrize("command", [["agree", "--codes", "smile=happy"], ["export", "--format", "csv"]])
def test_what_is_wrong_with_the_events_is_told(
    out: Path, command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (out / "events.csv").write_text("session_id,time_s,what\nS9,1,song\n")
    assert run(monkeypatch, command[0], out, *command[1:]) == 0
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith(f"Left out: {out / 'events.csv'}")


def test_a_purge_leaves_nothing_of_a_comparison(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its figures are of several people, and name nobody: they go until they are made again."""
    put(out, make_timeline(THIRTY_SECONDS, "P2"), "P2")
    with (out / "ratings" / "anna.csv").open("a") as file:
        file.write("P2,S1,0,8,smile\n")
    assert run(monkeypatch, "agree", out, "--codes", "smile=happy") == 0
    # nothing names them but the log
    (out / "agreement" / "disagreements.csv").unlink()
    (out / "reports" / "agreement.html").write_text("figures")
    assert run(monkeypatch, "purge", out, "--patient", "P1", "--yes") == 0
    page = out / "reports" / "agreement.html"
    assert f"{page}: will be deleted; `emonext agree` writes it again" in capsys.readouterr().out.splitlines()
    assert not page.exists()
    assert not (out / "agreement").exists()
    assert "P2" in (out / "ratings" / "anna.csv").read_text()
    assert "P1" not in (out / "ratings" / "anna.csv").read_text()


def test_a_purge_leaves_a_comparison_of_others(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "agree", out, "--codes", "smile=happy") == 0
    put(out, make_timeline(THIRTY_SECONDS, "P2"), "P2")
    assert run(monkeypatch, "purge", out, "--patient", "P2", "--yes") == 0
    assert (out / "agreement" / "figures.json").exists()
    assert (out / "reports" / "agreement.html").exists()


def test_states_have_a_table_and_a_sentence(tmp_path: Path) -> None:
    put(tmp_path, make_timeline([("happy", 50), ("eyes_shut", 50)]))
    rows = read_timeline(tmp_path / "timelines/patient_id=P1/S1.parquet")
    put(tmp_path, Timeline(rows.rows.with_columns(eyes_open=pl.lit(0.5, pl.Float32)), rows.metadata))
    summarize_folder(tmp_path)
    asleep = (CodedInterval(10, 18, "asleep"),)
    found = agree(tmp_path, Ratings((Rating("P1", "S1", "anna", (), rated=((0, 20),), states=asleep),)))
    page = agreement_page(found, tmp_path / "review")
    assert "Asleep: machine \N{EN DASH} anna" in page
    assert "anna: not asleep" in page
    assert "0 rated sessions" not in page
    assert lead(found, ENGLISH).startswith(
        "Between the machine and people, kappa is 0.80 on asleep (with anna)."
    )
