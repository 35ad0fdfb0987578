"""commands: studies from a list of sessions."""

import os
import shutil
from pathlib import Path

import pytest
import torch
from command_line import BAD_INPUT, DONE, Emonext, assert_one_line_naming, timelines

from pipeline.commands.networks import share_processor
from pipeline.processing.list_columns import COLUMNS
from pipeline.store.status import read_status
from pipeline.store.timeline import read_timeline

# --- a study


def write_list(folder: Path, *rows: str) -> Path:
    path = folder / "sessions.csv"
    path.write_text("\n".join(["patient_id,session_id,video,condition,consent", *rows]) + "\n")
    return path


def test_a_study_is_processed_from_its_list(
    emonext: Emonext, video: Path, tmp_path: Path, model: list[str]
) -> None:
    path = write_list(tmp_path, f"P1,S1,{video},music,yes", f"P2,S1,{video},,no")
    (tmp_path / "study.toml").write_text(f"sample_fps = 2\nmodel = '{model[1]}'\n")
    ended = emonext("process", path, "--out", tmp_path / "out")
    assert ended.code == DONE
    assert (
        ended.out.splitlines()[-1] == "1 done, 0 to check, 0 partial, 0 failed, 0 skipped, 1 without consent"
    )
    timeline = read_timeline(tmp_path / "out/timelines/patient_id=P1/S1.parquet")
    assert timeline.metadata["session"]["condition"] == "music"
    assert timeline.metadata["settings"]["sample_fps"] == 2
    assert not (tmp_path / "out/timelines/patient_id=P2").exists()
    assert emonext("process", path, "--out", tmp_path / "out", "--fps", "4").code == DONE
    timeline = read_timeline(tmp_path / "out/timelines/patient_id=P1/S1.parquet")
    assert timeline.metadata["settings"]["sample_fps"] == 4
    pages = ("--csv", tmp_path / "status.csv", "--html", tmp_path / "status.html")
    told = emonext("status", tmp_path / "out", *pages)
    assert told.code == DONE
    page = (tmp_path / "status.html").read_text()
    assert "1 done" in page
    assert "1 without consent" in page
    assert "there is no consent: nothing is processed" in page
    assert str(tmp_path) not in page
    assert all(word in told.out for word in ("P1", "done", "P2", "no consent"))
    assert (tmp_path / "status.csv").read_text().count("\n") == 3


def test_everything_that_is_wrong_with_a_list_is_told_at_once(
    emonext: Emonext, video: Path, tmp_path: Path
) -> None:
    path = write_list(tmp_path, f"Marie Curie,S1,{video},,yes", "P2,S1,nowhere.mp4,,perhaps")
    for command in (["study", "check", path], ["process", path, "--out", tmp_path / "out"]):
        ended = emonext(*command)
        assert ended.code == BAD_INPUT
        for place in ("row 2, patient_id", "row 3, video", "row 3, consent"):
            assert place in ended.err
    assert not (tmp_path / "out").exists()


def test_a_list_is_begun_and_checked(emonext: Emonext, video: Path, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    shutil.copy(video, folder / "P012_S01.mp4")
    assert emonext("study", "init", folder).code == DONE
    path = folder / "sessions.csv"
    path.write_text(path.read_text("utf-8-sig").replace("P012_S01.mp4,,,,,,,,,", "P012_S01.mp4,,,,,,,,,yes"))
    ended = emonext("study", "check", path)
    assert (ended.code, ended.err) == (DONE, "")
    assert "1 session, 1 patient, no errors." in ended.out
    assert emonext("study", "init", folder).code == BAD_INPUT


def test_the_check_knows_the_study_s_rate(emonext: Emonext, video: Path, tmp_path: Path) -> None:
    shutil.copy(video, tmp_path / "a.mp4")
    path = tmp_path / "sessions.csv"
    path.write_text("patient_id,session_id,video,start_s,end_s,consent\nP1,S1,a.mp4,0.3,0.35,yes\n")
    ended = emonext("study", "check", path)
    assert ended.code == BAD_INPUT
    assert "no sample lies in the 0.05 s that count (5 samples per second)" in ended.err
    (tmp_path / "study.toml").write_text("sample_fps = 20\n")
    assert emonext("study", "check", path).code == DONE


@pytest.fixture
def recordings(tmp_path: Path, video: Path) -> Path:
    """A folder with a list of two patients; the second one refused."""
    folder = tmp_path / "recordings"
    (folder / "monday").mkdir(parents=True)
    for name in ("a.mp4", "monday/b.mp4", "c.mp4"):
        shutil.copy(video, folder / name)
    write_list(folder, "P012,S01,a.mp4,music,yes", "P013,S01,monday/b.mp4,,no")
    return folder


def test_a_folder_is_processed_as_its_list_says(
    emonext: Emonext, recordings: Path, tmp_path: Path, model: list[str]
) -> None:
    (recordings / "study.toml").write_text("sample_fps = 2\n")
    ended = emonext("process", recordings, "--out", tmp_path / "out", *model)
    assert timelines(tmp_path / "out") == ["patient_id=P012/S01.parquet"]
    made = read_timeline(tmp_path / "out/timelines/patient_id=P012/S01.parquet")
    assert (made.metadata["session"]["condition"], made.metadata["settings"]["sample_fps"]) == ("music", 2)
    assert f"not in the list, and not processed: 1 video ({recordings / 'c.mp4'})" in ended.err


@pytest.mark.parametrize("given", ["a.mp4", "monday/b.mp4", "monday"])
def test_a_video_is_not_taken_around_its_list(
    emonext: Emonext, recordings: Path, tmp_path: Path, model: list[str], given: str
) -> None:
    ids = [] if given == "monday" else ["--patient", "P1", "--session", "S1"]
    ended = emonext("process", recordings / given, *ids, "--out", tmp_path / "out", *model)
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, f"emonext process {recordings / 'sessions.csv'} --patient P01")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("given", [["."], ["sessions.csv"], ["list.xlsx"]])
def test_one_patient_of_a_list_is_processed(
    emonext: Emonext, recordings: Path, tmp_path: Path, model: list[str], given: list[str]
) -> None:
    if given == ["list.xlsx"]:
        import openpyxl

        book = openpyxl.Workbook()
        for line in (recordings / "sessions.csv").read_text().splitlines():
            book.active.append(line.split(","))
        book.save(recordings / "list.xlsx")
        (recordings / "sessions.csv").unlink()
    inputs = [recordings / name for name in given]
    for option, value in (("--patient", "P14"), ("--session", "S02")):
        ended = emonext("process", *inputs, option, value, "--out", tmp_path / "out", *model)
        assert ended.code == BAD_INPUT
        assert f"no session for {option} {value}; the list holds the patients P012, P013." in ended.err
    ended = emonext("process", *inputs, "--patient", "P012", "--out", tmp_path / "out", *model)
    assert ended.code == DONE
    assert timelines(tmp_path / "out") == ["patient_id=P012/S01.parquet"]
    assert read_status(tmp_path / "out")["patient_id"].to_list() == ["P012"]


def test_hidden_files_are_no_videos_and_those_below_are_told(
    emonext: Emonext, video: Path, tmp_path: Path, model: list[str]
) -> None:
    folder = tmp_path / "in"
    (folder / "monday").mkdir(parents=True)
    shutil.copy(video, folder / "P1_S1.MP4")
    shutil.copy(video, folder / "monday" / "P1_S2.mp4")
    (folder / "._P1_S1.MP4").write_bytes(b"\0" * 4096)
    ended = emonext("process", folder, "--out", tmp_path / "out", *model)
    assert ended.code == DONE
    assert timelines(tmp_path / "out") == ["patient_id=P1/S1.parquet"]
    (note,) = ended.err_lines
    assert note.endswith(f"give the sub-folders too: 1 video ({folder / 'monday' / 'P1_S2.mp4'}).")
    assert "1 done" in ended.out


def test_an_id_that_differs_in_capitals_from_a_result_is_refused(
    emonext: Emonext, two: Path, video: Path, model: list[str]
) -> None:
    ended = emonext("process", video, "--patient", "p1", "--session", "S2", "--out", two, *model)
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, "p1 and P1 differ only in capitals")


@pytest.mark.parametrize("command", [["study", "check"], ["process"]])
@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("", "row 2: no session in the list"),
        ("P1;S1;P1_S1.mp4;;0;yes\n", "row 2, end_s: 0 s is not after the video's start"),
        (
            "A_B;C;P1_S1.mp4;;;yes\nA;B_C;P1_S1.mp4;;;yes\n",
            "row 3, session_id: A B_C and A_B C would",
        ),
        ("P1;S1;P1_S1.mp4;;;yes\nP1;S2;P1_S1.mp4;;;no\n", "row 3, consent: row 2 has the same part"),
    ],
)
def test_a_list_with_a_fault_starts_nothing(
    emonext: Emonext, video: Path, tmp_path: Path, command: list[str], lines: str, expected: str
) -> None:
    path = tmp_path / "sessions.csv"
    path.write_text(f"patient_id;session_id;video;start_s;end_s;consent\n{lines}")
    ended = emonext(*command, path, *(["--out", tmp_path / "out"] if command == ["process"] else []))
    assert ended.code == BAD_INPUT
    assert [line for line in ended.err_lines if line.startswith(f"{path}: {expected}")]
    nothing = "; nothing was done" if command == ["process"] else ""
    assert ended.err_lines[-1] == f"1 error to correct{nothing}."
    assert not (tmp_path / "out").exists()


def test_a_check_opens_the_recordings_and_counts(emonext: Emonext, recordings: Path) -> None:
    right = emonext("study", "check", recordings)
    assert right.code == DONE
    assert right.out.splitlines() == [
        "Without a date: P012 S01; changes over weeks leave them out.",
        "Conditions: music 1, none 1",
        "Consent: no 1, yes 1",
        f"{recordings / 'sessions.csv'}: 2 sessions, 2 patients, no errors.",
    ]
    assert_one_line_naming(right, str(recordings / "c.mp4"))
    for name in ("a.mp4", "monday/b.mp4"):
        (recordings / name).write_bytes(b"no video")
    wrong = emonext("study", "check", recordings / "sessions.csv")
    assert wrong.code == BAD_INPUT
    assert [line for line in wrong.err_lines if "row 2, video: a.mp4: can't be read as a video" in line]
    assert "b.mp4" not in wrong.err, "without consent the recording is not opened"
    empty = emonext("study", "check", recordings / "monday")
    assert empty.code == BAD_INPUT
    assert_one_line_naming(empty, "emonext study init")


def test_a_check_reads_what_is_known_of_the_patients(emonext: Emonext, recordings: Path) -> None:
    path = recordings / "patients.csv"
    path.write_text("\ufeffpatient_id;age\nP999;80\nP999;81\n")
    ended = emonext("study", "check", recordings)
    assert ended.code == DONE
    assert f"Warning: {path}: row 3, patient_id: row 2 is of P999 too" in ended.err
    assert f"{path}: no row of " in ended.out
    assert f"{path}: was only checked; results are adjusted for the copy in the results folder." in ended.out
    path.write_text("patient_id;age\nP999;80\n")
    assert f"Warning: {path}: P999: no session of this patient in sessions.csv." in (
        emonext("study", "check", recordings).err
    )
    path.write_text("patient_id;name\nP999;Anna\n")
    assert f"Warning: {path}: the column 'name' looks like" in emonext("study", "check", recordings).err


def test_a_new_list_comes_with_what_its_columns_hold(emonext: Emonext, video: Path) -> None:
    ended = emonext("study", "init", video.parent)
    assert ended.out.splitlines()[-1] == f"Fill in: {video.parent / 'sessions.csv'}"
    shown = " ".join(emonext("study", "init", "--help").out.split())
    for column in COLUMNS:
        assert f"{column.name:14}  {column.how}" in ended.out.splitlines()
        assert column.name in shown
    assert "in % of the picture" in shown


@pytest.mark.parametrize(("cores", "threads"), [(0, 1), (1, 1), (6, 3)])
def test_of_more_jobs_than_cores_each_has_one_thread(
    monkeypatch: pytest.MonkeyPatch, cores: int, threads: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    given: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", given.append)
    share_processor(cores)
    assert given == [threads]
