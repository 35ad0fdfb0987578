"""commands: `info`, `report`, `summarize`, `audit` and `demo-study`."""

import inspect
import re
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
from command_line import BAD_INPUT, DONE, INCOMPLETE, Emonext, assert_one_line_naming
from multiverses import make_small
from rich.console import Console
from small_studies import make_small_study

from pipeline.store.audit import IDS_FILE, read_runs
from pipeline.store.encryption import use_no_key
from pipeline.store.lock import folder_lock
from pipeline.store.spreadsheet import read_decimal

# --- the other commands


def test_info_describes_a_video(emonext: Emonext, clips: Path) -> None:
    ended = emonext("info", clips / "phone_rot90.mp4")
    assert (ended.code, ended.err) == (DONE, "")
    for fact in ("640 × 360 px", "2.40 s", "72 frames", "h264", "constant"):
        assert fact in ended.out
    assert "variable" in emonext("info", clips / "face_then_none.mov").out


def test_reports_are_made_again_without_video_and_model(
    emonext: Emonext, video: Path, tmp_path: Path, model: list[str]
) -> None:
    out = tmp_path / "out"
    assert emonext("process", video, "--out", out, *model).code == DONE
    video.unlink()
    shutil.rmtree(out / "reports")
    ended = emonext("report", out)
    assert (ended.code, ended.err) == (DONE, "")
    assert ended.out.strip() == f"Report: {out / 'reports' / 'index.html'}"
    assert (out / "reports/P1/S1.html").is_file()


def test_a_page_to_send_needs_no_other_file(
    emonext: Emonext, derived_small_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = shutil.copytree(derived_small_study, tmp_path / "study")
    monkeypatch.chdir(tmp_path)
    ended = emonext("report", study, "--one", "P02", "S03", "--lang", "fr")
    assert (ended.code, ended.err, ended.out) == (DONE, "", "Page to send: P02_S03.html\n")
    page = (tmp_path / "P02_S03.html").read_text("utf-8")
    assert '<html lang="fr">' in page
    assert re.findall(r'href="[^"]*\.html', page) == []
    assert not (study / "reports").exists()
    unknown = emonext("report", study, "--one", "P02", "S99")
    assert unknown.code == BAD_INPUT
    assert_one_line_naming(unknown, "no session of P02 S99 with a timeline")
    both = emonext("report", study, "--one", "P02", "S03", "--thumbnails", "blur")
    assert both.code == BAD_INPUT


@pytest.mark.parametrize("kind", ["missing", "empty", "damaged"])
def test_a_folder_without_timelines_is_told(emonext: Emonext, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "study"
    if kind != "missing":
        folder.mkdir()
    if kind == "damaged":
        (folder / "timelines/patient_id=P1").mkdir(parents=True)
        (folder / "timelines/patient_id=P1/S1.parquet").write_text("damaged")
    ended = emonext("report", folder)
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, str(folder))


def test_the_audit_log_is_shown_and_verified(
    emonext: Emonext, video: Path, tmp_path: Path, model: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.commands.console.out_console", Console(width=200))
    out = tmp_path / "out"
    assert emonext("process", video, "--out", out, *model).code == DONE
    assert emonext("report", out).code == DONE
    shown = emonext("audit", "show", out, "--patient", "P1")
    assert shown.code == DONE
    assert [line for line in shown.out.splitlines() if "process" in line and "S1 done" in line]
    assert [line for line in shown.out.splitlines() if "report" in line and "done" in line]
    assert "1 done" in emonext("audit", "show", out).out
    whole = emonext("audit", "verify", out)
    assert (whole.code, whole.err) == (DONE, "")
    assert whole.out.startswith("4 entries, chain intact, head ")
    other = emonext("audit", "verify", out, "--head", "f" * 64)
    assert other.code == INCOMPLETE
    assert "the log was replaced, or the head is of another folder" in other.err
    assert "chain intact, but not the log of the given head" in other.out
    log = out / "audit.jsonl"
    log.write_text(log.read_text().replace('"process"', '"nothing"', 1))
    broken = emonext("audit", "verify", out)
    assert broken.code == INCOMPLETE
    assert_one_line_naming(broken, "line 1: was changed")
    assert "chain broken" in broken.out
    assert emonext("audit", "show", out, "--patient", "P2").code == BAD_INPUT
    assert emonext("audit", "verify", tmp_path).code == BAD_INPUT


def test_what_shows_faces_is_made_while_the_folder_is_held_and_is_logged(emonext: Emonext, two: Path) -> None:
    commands = [["people", two], ["review", two, "P1", "S1", "--blur", "all"]]
    with folder_lock(two):
        for command in commands:
            ended = emonext(*command)
            assert ended.code == BAD_INPUT
            assert "is at work in this folder" in ended.err
    assert not (two / "people.html").exists()
    assert not (two / "review").exists()
    for command in commands:
        assert emonext(*command).code == DONE
    assert emonext("review", two, "P9", "S1").code == BAD_INPUT
    logged = [(run.command, [ids for ids, _ in run.sessions], run.how) for run in read_runs(two)[1:]]
    assert logged == [
        ("people", [("P1", "S1"), ("P2", "S1")], "done"),
        ("review", [("P1", "S1")], "done"),
    ]
    assert "P9" not in (two / IDS_FILE).read_text()


def test_a_wrong_file_of_the_face_embedder_ends_before_roles_are_applied(
    emonext: Emonext, two: Path, tmp_path: Path
) -> None:
    assert emonext("people", two).code == DONE
    table = two / "people.csv"
    table.write_text(table.read_text(encoding="utf-8-sig").replace(",patient,", ",other,"), encoding="utf-8")
    before = {path: path.read_bytes() for path in two.rglob("*.parquet")}
    missing = tmp_path / "faces.pt"
    for arguments in (["people", two], ["people", two, "--apply", table]):
        ended = emonext(*arguments, "--identity", f"{missing}:{'0' * 64}")
        assert ended.code == BAD_INPUT
        assert_one_line_naming(ended, str(missing))
    assert {path: path.read_bytes() for path in two.rglob("*.parquet")} == before


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_the_page_of_people_has_the_language_of_the_reports(emonext: Emonext, two: Path, lang: str) -> None:
    assert emonext("report", two, "--lang", lang).code == DONE
    assert emonext("people", two).code == DONE
    page = (two / "people.html").read_text()
    assert f'<html lang="{lang}">' in page
    assert f"emonext people {two.name} --apply people.csv" in page
    assert str(two) not in page


def test_pages_of_commands_have_the_language_of_the_reports_or_their_own(emonext: Emonext, two: Path) -> None:
    pages = {
        two / "people.html": ["people", two],
        two / "review" / "P1" / "S1.html": ["review", two, "P1", "S1"],
    }
    assert emonext("report", two, "--lang", "fr").code == DONE
    for page, command in pages.items():
        assert emonext(*command).code == DONE
        assert '<html lang="fr">' in page.read_text()
        assert emonext(*command, "--lang", "en").code == DONE
        assert '<html lang="en">' in page.read_text()
        ended = emonext(*command, "--lang", "xx")
        assert ended.code == BAD_INPUT
        assert_one_line_naming(ended, "--lang xx: there is no such language; choose en or fr.")
    ended = emonext("people", two, "--apply", two / "people.csv", "--lang", "fr")
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, "--lang")


def test_reviews_follow_the_language_of_the_reports(emonext: Emonext, two: Path) -> None:
    assert emonext("review", two, "P1", "S1", "--original", "--lang", "en").code == DONE
    assert emonext("review", two, "P2", "S1", "--lang", "en").code == DONE
    pages = [two / "review" / patient / "S1.html" for patient in ("P1", "P2")]
    copies = [page.with_suffix(".mp4").read_bytes() for page in pages]
    assert ['href="file:' in page.read_text() for page in pages] == [True, False]
    ended = emonext("report", two, "--lang", "fr")
    assert (ended.code, ended.err) == (DONE, "")
    assert ['<html lang="fr">' in page.read_text() for page in pages] == [True, True]
    assert ['href="file:' in page.read_text() for page in pages] == [True, False], "linked as before"
    assert [page.with_suffix(".mp4").read_bytes() for page in pages] == copies, "no video was drawn"
    made = [page.stat().st_mtime_ns for page in pages]
    assert emonext("report", two).code == DONE
    assert [page.stat().st_mtime_ns for page in pages] == made
    pages[1].with_suffix(".mp4").unlink()
    ended = emonext("report", two, "--lang", "en")
    assert ended.code == DONE
    assert ended.err.startswith("Note: the review of P2 S1 stays in its language: ")
    assert '<html lang="en">' in pages[0].read_text()
    assert emonext("review", two, "P1", "S1", "--lang", "fr").code == DONE
    assert pages[0].with_suffix(".mp4").read_bytes() != copies[0], "labels are drawn in French"


@pytest.mark.parametrize("command", [["people"], ["review"]])
def test_where_there_is_no_folder_nothing_is_held(
    emonext: Emonext, tmp_path: Path, command: list[str]
) -> None:
    ended = emonext(*command, tmp_path / "nowhere", *(["P1", "S1"] if command == ["review"] else []))
    assert ended.code == BAD_INPUT
    assert "no such folder" in ended.err
    assert not (tmp_path / "nowhere").exists()


def test_what_stays_open_where_a_key_comes_later_is_told(
    emonext: Emonext, two: Path, video: Path, tmp_path: Path, model: list[str]
) -> None:
    assert emonext("key", tmp_path / "study.key").code == DONE
    ended = emonext("process", video, "--out", two, "--encrypt", tmp_path / "study.key", *model)
    use_no_key()
    assert ended.code == DONE
    assert f"{two}: 3 files are not encrypted" in ended.err_lines[0]
    assert "patient_id=P2/S1.parquet" in ended.err_lines[0]


# --- what follows from the timelines


def test_summaries_are_made_and_told_in_two_lines(emonext: Emonext, two: Path) -> None:
    ended = emonext("summarize", two, "--min-coverage", 0.5, "--min-duration", 2)
    assert (ended.code, ended.err) == (DONE, "")
    assert ended.out.splitlines() == [
        "2 sessions, 0 with enough coverage, 0 with the patient's own baseline.",
        f"Tables: {two / 'summaries'}",
    ]
    from pipeline.store.parquet import read_metadata

    stored = read_metadata(two / "summaries" / "sessions.parquet")["settings"]
    assert (stored["min_coverage"], stored["episodes"]["min_duration_s"]) == (0.5, 2)


def test_options_that_the_last_tables_had_and_that_are_not_given_are_told(
    emonext: Emonext, two: Path
) -> None:
    (two / "patients.csv").write_text("patient_id,age\nP1,80\nP2,90\n")
    given = ["--baseline", "quiet", "--enter", 0.6]
    assert emonext("summarize", two, *given, "--adjust", "age").err == ""
    assert emonext("summarize", two, *given).err_lines == [
        "Note: --adjust was not given: nothing again, not age as in the last tables."
    ]
    assert emonext("summarize", two, "--enter", 0.6).err_lines == [
        "Note: --baseline was not given: baseline again, not quiet as in the last tables."
    ]
    assert emonext("summarize", two, "--leave", 0.3).err_lines == [
        "Note: --enter was not given: 0.5 again, not 0.6 as in the last tables."
    ]


@pytest.mark.slow
def test_a_multiverse_is_told_in_a_sentence_and_removed_with_the_tables_it_is_of(
    emonext: Emonext, tmp_path: Path
) -> None:
    out = make_small(tmp_path / "study", patients=3, smiles_with_music=4.0)
    assert emonext("summarize", out).out.count("\n") == 3
    ended = emonext("summarize", out, "--multiverse")
    assert (ended.code, ended.err) == (DONE, "")
    garden, music = ended.out.splitlines()[3:]
    assert garden.startswith("garden − baseline: The sign holds in ")
    sentence = (
        r"music − baseline: The sign holds in (\d+) of \1 analyses; the interval excludes zero in \d+\."
    )
    assert re.fullmatch(sentence, music)
    assert emonext("report", out).code == DONE
    assert music.partition(": ")[2] in (out / "reports" / "study.html").read_text()
    ended = emonext("summarize", out)
    table = out / "summaries" / "multiverse.parquet"
    assert ended.out.splitlines()[3:] == [
        f"{table}: removed, as it was of the earlier tables; --multiverse writes it again."
    ]
    assert not table.exists()


def test_a_baseline_that_no_session_has_is_told(emonext: Emonext, tmp_path: Path) -> None:
    out = make_small_study(tmp_path / "results", 2)
    told = "no session has the condition calm (--baseline), so none is corrected; the conditions are baseline"
    assert told in emonext("summarize", out, "--baseline", "calm").err
    assert "(--baseline)" not in emonext("summarize", out, "--baseline", "music").err


def test_a_multiverse_without_conditions_says_why(emonext: Emonext, two: Path) -> None:
    ended = emonext("summarize", two, "--multiverse")
    assert ended.code == DONE
    assert "could be computed. Most often: no session with another condition than baseline" in ended.out


def test_what_is_wrong_with_the_events_is_told_and_the_pages_are_made(emonext: Emonext, two: Path) -> None:
    (two / "events.csv").write_text("session_id,time_s,what\nS9,1,song\n")
    ended = emonext("summarize", two)
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, str(two / "events.csv"))
    ended = emonext("report", two)
    assert ended.code == DONE
    assert_one_line_naming(ended, str(two / "events.csv"))
    assert "row 2" in (two / "reports" / "study.html").read_text()


@pytest.mark.parametrize("options", [["--enter", 0.2], ["--bridge", 9], ["--min-coverage", 2]])
def test_settings_that_contradict_each_other_are_refused(
    emonext: Emonext, two: Path, options: list[object]
) -> None:
    ended = emonext("summarize", two, *options)
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, str(options[0]))


@pytest.mark.slow
def test_a_study_is_made_without_video(
    emonext: Emonext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in ("made", "made again"):
        ended = emonext("demo", "--study", "--patients", 2)
        assert (ended.code, ended.err) == (DONE, "")
    made = {path.name for path in (tmp_path / "demo-study" / "reports").iterdir() if path.is_dir()}
    assert made == {"P01", "P02"}
    assert emonext("demo", "--patients", 2).code == BAD_INPUT
    assert (tmp_path / "demo-study" / "truth" / "episodes.csv").exists()
    with folder_lock(tmp_path / "demo-study"):
        ended = emonext("demo", "--study")
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, "is at work in this folder")


def test_no_study_is_made_over_another(emonext: Emonext, tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("by hand")
    ended = emonext("demo", "--study", "--out", tmp_path)
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, f"{tmp_path}: holds something else")
    assert [path.name for path in tmp_path.iterdir()] == ["events.csv"]
    ended = emonext("demo", "--study", "--out", tmp_path / "events.csv")
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, f"{tmp_path / 'events.csv'}: can't be written to")


def test_options_without_a_value_are_the_library_s_defaults() -> None:
    from pipeline.analysis.summaries import SummarySettings
    from pipeline.commands.results import summarize

    settings = SummarySettings()
    defaults = {name: param.default for name, param in inspect.signature(summarize).parameters.items()}
    episodes = [
        defaults[name] for name in ("smoothing", "enter", "leave", "min_duration", "bridge", "max_unobserved")
    ]
    assert episodes == list(asdict(settings.episodes).values())
    assert (defaults["min_coverage"], defaults["baseline"]) == (
        settings.min_coverage,
        settings.baseline_condition,
    )


def test_the_decimal_mark_of_a_folder_is_chosen_once(emonext: Emonext, two: Path, tmp_path: Path) -> None:
    assert emonext("export", two, "--format", "csv", "--samples").code == DONE
    sample = two / "exports" / "csv" / "timelines" / "P1_S1.csv"
    assert sample.read_text("utf-8").startswith("patient_id,session_id,condition,clock,sample,time_s,")
    ended = emonext("export", two, "--format", "csv", "--decimal", "comma")
    assert (ended.code, ended.err) == (DONE, "")
    assert "--samples adds them" in ended.out
    assert not sample.exists(), "an export holds what the last command asked for"
    path = tmp_path / "status.csv"
    assert emonext("status", two, "--csv", path).code == DONE
    assert emonext("people", two).code == DONE
    written = [
        two / "exports" / "csv" / "sessions.csv",
        two / "summaries" / "table.csv",
        path,
        two / "people.csv",
    ]
    for table in written:
        first = table.read_text("utf-8-sig").splitlines()[0]
        assert ";" in first, table
        assert "," not in first, table
    assert re.search(r'"separator": ?";"', (two / "people.html").read_text())
    ended = emonext("export", two, "--format", "bids", "--decimal", "point")
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, "--decimal: only valid with --format csv")


def test_a_study_hands_its_decimal_mark_to_its_results(
    emonext: Emonext, video: Path, model: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    video.rename(folder / video.name)
    assert emonext("study", "init", folder, "--decimal", "comma").code == DONE
    listed = folder / "sessions.csv"
    text = listed.read_text("utf-8-sig")
    assert text.startswith("patient_id;session_id;video;")
    listed.write_text(text.replace(";;;;;;;;;;", ";;;;;;;;;yes;"), "utf-8-sig")
    assert emonext("process", folder, "--out", tmp_path / "out", *model).code in (DONE, INCOMPLETE)
    assert read_decimal(tmp_path / "out") == "comma"
