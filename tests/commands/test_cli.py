"""The command line: one line for each thing that is wrong, the right exit code, nothing half-written."""

import inspect
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
import typer
from PIL import Image
from rich.console import Console
from rich.progress import Progress
from videos import encode, remux, sound_only, with_faces

import cli
from emonext import LABELS
from pipeline.commands.console import overall_progress, progress_bar
from pipeline.commands.networks import share_processor
from pipeline.commands.process import process
from pipeline.processing.list_columns import COLUMNS
from pipeline.processing.session import Session
from pipeline.store.audit import IDS_FILE, read_runs
from pipeline.store.encryption import use_no_key
from pipeline.store.lock import holding
from pipeline.store.status import read_status
from pipeline.store.timeline import read_timeline

ROOT = Path(__file__).parents[2]

DONE, INCOMPLETE, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def err_lines(self) -> list[str]:
        return self.err.splitlines()


Emonext = Callable[..., Ended]


@pytest.fixture
def emonext(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Emonext:
    """Runs the command in this process; also what C libraries write is caught."""

    def run(*arguments: object) -> Ended:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["emonext", *map(str, arguments)])
        code: object = DONE
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code or DONE
        out, err = capfd.readouterr()
        assert isinstance(code, int)
        return Ended(code, out, err)

    return run


@pytest.fixture
def model(small_weights: Path) -> list[str]:
    """Options that take the small network, on the CPU."""
    return ["--model", str(small_weights), "--device", "cpu"]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A second without a face."""
    return encode(tmp_path / "P1_S1.mp4", [with_faces([])] * 10, rate=10)


def assert_one_line_naming(ended: Ended, name: str) -> None:
    assert len(ended.err_lines) == 1, ended.err
    assert name in ended.err
    assert "Traceback" not in ended.err + ended.out


def assert_nothing_half_written(folder: Path) -> None:
    assert not [path for path in folder.rglob("*") if ".partial" in path.name]


# --- help


def commands() -> list[list[str]]:
    group = typer.main.get_command(cli.app)
    names = []
    for name, command in group.commands.items():
        names += [[name, below] for below in command.commands] if hasattr(command, "commands") else [[name]]
    return names


def test_there_are_commands() -> None:
    assert ["process"] in commands()
    assert ["weights", "verify"] in commands()


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_s_help_has_an_example(emonext: Emonext, command: list[str]) -> None:
    ended = emonext(*command, "--help")
    assert ended.code == DONE
    assert f"Example: emonext {' '.join(command)}" in ended.out


def test_without_a_command_there_is_help(emonext: Emonext) -> None:
    ended = emonext()
    assert "process" in ended.out + ended.err


def test_the_file_runs_as_the_installed_command() -> None:
    installed = Path(sys.executable).with_name("emonext")
    if not installed.exists():
        pytest.skip("emonext is not installed beside this Python")
    from_file, from_entry = (
        subprocess.run(
            [*command, "info", "missing.mp4"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        for command in ([sys.executable, "cli.py"], [installed])
    )
    assert from_file.returncode == from_entry.returncode == BAD_INPUT
    assert from_file.stderr == from_entry.stderr
    assert "missing.mp4" in from_file.stderr


# --- process


def test_a_session_is_processed_and_told_in_two_lines(
    emonext: Emonext, clips: Path, tmp_path: Path, model: list[str]
) -> None:
    out = tmp_path / "out"
    ended = emonext(
        "process", clips / "single_face.mp4", "--patient", "P1", "--session", "S1", "--out", out, *model
    )
    assert (ended.code, ended.err) == (DONE, "")
    assert ended.out.splitlines() == [
        f"Report: {out / 'reports' / 'index.html'}",
        "1 done, 0 partial, 0 failed, 0 skipped",
    ]
    timeline = pl.read_parquet(out / "timelines/patient_id=P1/S1.parquet")
    assert timeline["status"].cast(pl.String).to_list() == ["ok"] * 12
    assert (out / "reports/P1/S1.html").is_file()
    assert_nothing_half_written(tmp_path)


def test_settings_reach_the_timeline(emonext: Emonext, video: Path, tmp_path: Path, model: list[str]) -> None:
    out = tmp_path / "out"
    options = ["--fps", "2", "--batch-size", "8", "--min-face", "60", "--patient-track", "largest"]
    assert emonext("process", video, "--out", out, *options, *model).code == DONE
    made = read_timeline(out / "timelines/patient_id=P1/S1.parquet")
    assert len(made.rows) == 2
    assert made.metadata["weights"]["name"] == "small"
    assert {
        "sample_fps": 2,
        "batch_size": 8,
        "min_face_px": 60,
        "patient_track": "largest",
    }.items() <= made.metadata["settings"].items()


def test_a_failed_session_beside_a_good_one_exits_1(
    emonext: Emonext, video: Path, tmp_path: Path, model: list[str]
) -> None:
    bad = tmp_path / "P1_S2.mp4"
    bad.write_text("not a video")
    ended = emonext("process", video, bad, "--out", tmp_path / "out", *model)
    assert ended.code == INCOMPLETE
    assert "1 done, 0 partial, 1 failed, 0 skipped" in ended.out
    assert [line for line in ended.err_lines if "P1_S2.mp4" in line and "failed" in line]
    assert read_status(tmp_path / "out")["state"].to_list() == ["done", "failed"]
    assert (tmp_path / "out/reports/index.html").is_file()


def test_a_partial_session_exits_1(emonext: Emonext, clips: Path, tmp_path: Path, model: list[str]) -> None:
    shutil.copy(clips / "corrupted.mp4", tmp_path / "P1_S1.mp4")
    ended = emonext("process", tmp_path / "P1_S1.mp4", "--out", tmp_path / "out", *model)
    assert ended.code == INCOMPLETE
    assert_one_line_naming(ended, "partial")
    assert "0 done, 1 partial" in ended.out


def test_a_timeline_that_is_there_is_kept_and_overwrite_makes_it_anew(
    emonext: Emonext, video: Path, tmp_path: Path, model: list[str]
) -> None:
    command = ["process", video, "--out", tmp_path / "out", *model]
    path = tmp_path / "out/timelines/patient_id=P1/S1.parquet"
    assert emonext(*command).code == DONE
    before = path.stat().st_mtime_ns
    again = emonext(*command)
    assert (again.code, again.err) == (DONE, "")
    assert "1 skipped" in again.out
    assert path.stat().st_mtime_ns == before
    assert emonext(*command, "--overwrite").code == DONE
    assert path.stat().st_mtime_ns != before


@pytest.mark.parametrize("kind", ["empty", "text", "sound"])
def test_what_is_no_video_fails_in_one_line(
    emonext: Emonext, tmp_path: Path, model: list[str], kind: str
) -> None:
    path, out = tmp_path / "P1_S1.mp4", tmp_path / "out"
    if kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("not a video\n" * 50)
    else:
        sound_only(path)
    ended = emonext("process", path, "--out", out, *model)
    assert ended.code == INCOMPLETE
    assert_one_line_naming(ended, str(path))
    assert not list(out.glob("timelines/**/*.parquet"))
    assert_nothing_half_written(tmp_path)
    assert emonext("info", path).code == BAD_INPUT


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (["--fps", "0"], "--fps"),
        (["--fps", "-1"], "--fps"),
        (["--fps", "nan"], "--fps"),
        (["--fps", "inf"], "--fps"),
        (["--min-face", "3"], "--min-face"),
        (["--min-face", "-40"], "--min-face"),
        (["--patient-track", "tallest"], "--patient-track"),
        (["--patient-track", ""], "--patient-track"),
        (["--patient", "../x"], "--patient"),
        (["--patient", "Marie Curie"], "--patient"),
        (["--patient", ""], "--patient"),
        (["--session", "a/b"], "--session"),
        (["--session", "S" * 65], "--session"),
        (["--device", "tpu"], "--device"),
        (["--model", "no-such"], "no-such"),
    ],
    ids=" ".join,
)
def test_a_bad_option_is_told_in_one_line_before_any_work(
    emonext: Emonext, video: Path, tmp_path: Path, model: list[str], options: list[str], name: str
) -> None:
    ended = emonext("process", video, "--out", tmp_path / "out", *model, *options)
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, name)
    assert not list(tmp_path.rglob("*.parquet"))


@pytest.mark.parametrize(
    "options", [["--fps", "often"], ["--batch-size", "0"], ["--no-such-option"]], ids=" ".join
)
def test_what_the_parser_refuses_is_bad_input_too(
    emonext: Emonext, video: Path, tmp_path: Path, options: list[str]
) -> None:
    ended = emonext("process", video, "--out", tmp_path / "out", *options)
    assert ended.code == BAD_INPUT
    assert options[0] in ended.err
    assert "Traceback" not in ended.err
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_told(
    emonext: Emonext, video: Path, tmp_path: Path, small_weights: Path
) -> None:
    options = ["--model", small_weights, "--device", "cuda"]
    ended = emonext("process", video, "--out", tmp_path / "out", *options)
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, "--device cuda")


def test_a_missing_input_stops_everything(
    emonext: Emonext, video: Path, tmp_path: Path, model: list[str]
) -> None:
    ended = emonext("process", video, tmp_path / "P1_S9.mp4", "--out", tmp_path / "out", *model)
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, "P1_S9.mp4")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_videos_is_told(emonext: Emonext, tmp_path: Path, model: list[str]) -> None:
    (tmp_path / "in").mkdir()
    ended = emonext("process", tmp_path / "in", "--out", tmp_path / "out", *model)
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, str(tmp_path / "in"))


@pytest.mark.parametrize("where", ["file", "file/out", "/proc/out"])
def test_a_folder_that_can_t_be_written_to_is_told(
    emonext: Emonext, video: Path, tmp_path: Path, model: list[str], where: str
) -> None:
    (tmp_path / "file").touch()
    ended = emonext("process", video, "--out", tmp_path / where, *model)
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, where)


def test_a_file_in_the_place_of_the_reports_is_told(
    emonext: Emonext, video: Path, tmp_path: Path, model: list[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "reports").touch()
    ended = emonext("process", video, "--out", tmp_path / "out", *model)
    assert ended.code == BAD_INPUT
    assert "Traceback" not in ended.err
    assert "reports" in ended.err_lines[-1]
    assert_nothing_half_written(tmp_path)


@pytest.mark.parametrize("kind", ["empty", "truncated", "foreign", "tampered", "pickle", "folder"])
def test_weights_that_can_t_be_trusted_are_told(
    emonext: Emonext, video: Path, tmp_path: Path, small_weights: Path, kind: str
) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "w.safetensors"
    content = small_weights.read_bytes()
    match kind:
        case "empty":
            path.touch()
        case "truncated":
            path.write_bytes(content[: len(content) // 2])
        case "foreign":
            save_file({"a": torch.zeros(1)}, path)
        case "tampered":
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
            shutil.copy(f"{small_weights}.sha256", f"{path}.sha256")
        case "pickle":
            torch.save({"a": torch.zeros(1)}, path)
        case "folder":
            path.mkdir()
    for command in (
        ["process", video, "--out", tmp_path / "out", "--model", path],
        ["weights", "verify", path],
    ):
        ended = emonext(*command)
        assert ended.code == BAD_INPUT
        assert_one_line_naming(ended, str(path))
    assert not list(tmp_path.rglob("*.parquet"))


def test_brackets_in_a_name_are_a_name(
    emonext: Emonext, video: Path, tmp_path: Path, model: list[str]
) -> None:
    """Rich would take ``[bold]`` for a style, and stumble over ``[/b]``."""
    odd, out = tmp_path / "a[" / "b][red].mp4", tmp_path / "out[" / "b][bold]"
    odd.parent.mkdir()
    video.rename(odd)
    ended = emonext("process", odd, "--patient", "P1", "--session", "S1", "--out", out, *model)
    assert ended.code == DONE, ended.err
    assert f"Report: {out}" in ended.out
    described = emonext("info", odd)
    assert described.code == DONE, described.err
    assert str(odd) in described.out.replace("\n", "")
    assert_one_line_naming(emonext("info", tmp_path / "c[" / "d].mp4"), "c[/d].mp4")


# --- Ctrl-C


def test_ctrl_c_exits_130_and_the_same_command_goes_on(
    clips: Path, tmp_path: Path, small_weights: Path, emonext: Emonext, model: list[str]
) -> None:
    videos = tmp_path / "in"
    videos.mkdir()
    encode(videos / "P1_S1.mp4", [with_faces([])] * 5, rate=5)
    remux(clips / "single_face.mp4", videos / "P1_S2.mp4", copies=100)
    out = tmp_path / "out"
    command = [sys.executable, "cli.py", "process", str(videos), "--out", str(out), *model]
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    first = out / "timelines/patient_id=P1/S1.parquet"
    deadline = time.monotonic() + 120
    while not (first.exists() and (out / "status.parquet").exists()) and time.monotonic() < deadline:
        assert running.poll() is None, running.communicate()
        time.sleep(0.1)
    time.sleep(1)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == INTERRUPTED
    assert len(err.splitlines()) == 1
    assert "Interrupted" in err
    state = read_status(out).select("session_id", "state").rows()
    assert state[0] == ("S1", "done")
    assert state[1] in (("S2", "running"), ("S2", "waiting"))
    assert_nothing_half_written(out)

    encode(videos / "P1_S2.mp4", [with_faces([])] * 5, rate=5)
    again = emonext("process", videos, "--out", out, *model)
    assert again.code == DONE
    assert "1 done, 0 partial, 0 failed, 1 skipped" in again.out


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
    assert whole.out.startswith("4 entries, chain whole, head ")
    log = out / "audit.jsonl"
    log.write_text(log.read_text().replace('"process"', '"nothing"', 1))
    broken = emonext("audit", "verify", out)
    assert broken.code == INCOMPLETE
    assert_one_line_naming(broken, "line 1: was changed")
    assert "chain broken" in broken.out
    assert emonext("audit", "show", out, "--patient", "P2").code == BAD_INPUT
    assert emonext("audit", "verify", tmp_path).code == BAD_INPUT


@pytest.fixture(scope="module")
def processed(tmp_path_factory: pytest.TempPathFactory, small_weights: Path) -> Path:
    """The folder of two patients."""
    folder = tmp_path_factory.mktemp("processed")
    videos = [encode(folder / f"P{n}_S1.mp4", [with_faces([])] * 10, rate=10) for n in (1, 2)]
    with videos[1].open("ab") as file:
        file.write(b"\0\0\0\x08free")  # a recording of its own
    command = ["process", *videos, "--out", folder / "out", "--model", small_weights, "--device", "cpu"]
    with pytest.MonkeyPatch.context() as patch, suppress(SystemExit):
        patch.setattr(sys, "argv", ["emonext", *map(str, command)])
        cli.main()
    assert len([*(folder / "out").glob("timelines/*/*.parquet")]) == len(videos)
    return folder / "out"


@pytest.fixture
def two(processed: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return shutil.copytree(processed, tmp_path / "out")


def test_what_shows_faces_is_made_while_the_folder_is_held_and_is_logged(emonext: Emonext, two: Path) -> None:
    commands = [["people", two], ["review", two, "P1", "S1", "--blur", "all"]]
    with holding(two):
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
    assert f"{two}: 2 files are not encrypted" in ended.err_lines[0]
    assert "patient_id=P2/S1.parquet" in ended.err_lines[0]


# --- what follows from the timelines


def test_summaries_are_made_and_told_in_two_lines(emonext: Emonext, two: Path) -> None:
    ended = emonext("summarize", two, "--min-coverage", 0.5, "--min-duration", 2)
    assert (ended.code, ended.err) == (DONE, "")
    assert ended.out.splitlines() == [
        "2 sessions, 0 seen enough, 0 with the person's own baseline.",
        f"Tables: {two / 'summaries'}",
    ]
    from pipeline.store.parquet import read_metadata

    stored = read_metadata(two / "summaries" / "sessions.parquet")["settings"]
    assert (stored["min_coverage"], stored["episodes"]["min_duration_s"]) == (0.5, 2)


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


def test_a_study_is_made_without_video(
    emonext: Emonext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.checks.demo_study.PATIENTS", 1)
    monkeypatch.chdir(tmp_path)
    for _ in ("made", "made again"):
        ended = emonext("demo", "--study")
        assert (ended.code, ended.err) == (DONE, "")
    assert (tmp_path / "demo-study" / "reports" / "P01" / "index.html").exists()
    assert (tmp_path / "demo-study" / "truth" / "episodes.csv").exists()
    with holding(tmp_path / "demo-study"):
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


def test_a_person_is_purged_and_told_what_went(emonext: Emonext, two: Path) -> None:
    (two / "notes.txt").write_text("P1 likes music")
    left = emonext("purge", two, "--patient", "P1", "--yes")
    assert left.code == INCOMPLETE
    assert_one_line_naming(left, str(two / "notes.txt"))
    assert f"{two / 'timelines/patient_id=P1/S1.parquet'}: goes" in left.out.splitlines()
    assert f"{two / 'status.parquet'}: 1 row of it goes" in left.out.splitlines()
    (two / "notes.txt").unlink()
    assert emonext("export", two, "--format", "csv").code == DONE
    table = two / "exports" / "csv" / "measures.csv"
    exports = len(list(table.parent.iterdir()))
    ended = emonext("purge", two, "--patient", "P2", "--session", "S1", "--yes")
    assert (ended.code, ended.err) == (DONE, "")
    told = f"{table.parent}: what was exported goes ({exports - 1} files); `emonext export` makes it again"
    assert told in ended.out.splitlines()
    assert not table.exists()
    assert ended.out.splitlines()[-1] == (
        f"P2/S1: episodes 1, faces 1, logs 1, reports 1, timelines 1, exports {exports}, rows 1; "
        "nothing mentions it any more. Originals, backups and what was written elsewhere were not touched."
    )
    assert emonext("audit", "verify", two).code == DONE


def test_what_a_purge_can_t_use_of_the_study_s_own_files_is_told(emonext: Emonext, two: Path) -> None:
    (two / "events.csv").write_text("session_id,time_s,what\nS9,1,song\n")
    ended = emonext("purge", two, "--patient", "P1", "--yes")
    assert ended.code == DONE
    assert_one_line_naming(
        ended, f"Left out: {two / 'events.csv'}: row 2, session_id: there is no session 'S9'"
    )


def test_a_purge_tells_what_it_did_though_the_pages_can_t_be_made(emonext: Emonext, two: Path) -> None:
    (two / "timelines/patient_id=P2/S1.parquet").write_bytes(b"damaged")
    (two / "notes.txt").write_text("P1 likes music")
    ended = emonext("purge", two, "--patient", "P1", "--yes")
    assert ended.code == BAD_INPUT
    mention, error = ended.err_lines
    assert mention == f"Still mentions P1: {two / 'notes.txt'}"
    assert error.startswith(
        f"Error: {two / 'timelines/patient_id=P2/S1.parquet'}: not a file of this program"
    )
    assert "timelines 1" in ended.out.splitlines()[-1]


def test_a_purge_names_the_faces_in_another_session_of_the_same_recording(
    emonext: Emonext, video: Path, tmp_path: Path, model: list[str]
) -> None:
    out = tmp_path / "out"
    shutil.copy(video, tmp_path / "P2_S1.mp4")
    assert emonext("process", video, tmp_path / "P2_S1.mp4", "--out", out, *model).code == DONE
    ended = emonext("purge", out, "--patient", "P1", "--yes")
    assert ended.code == INCOMPLETE
    assert_one_line_naming(
        ended, f"the same recording, with everybody's faces in it: {out / 'faces/patient_id=P2'}"
    )
    assert "other sessions of the same recording still hold faces" in ended.out.splitlines()[-1]


@pytest.mark.parametrize("options", [["--patient", "P9"], ["--patient", "P1", "--session", "S9"]])
def test_purging_somebody_unknown_is_told_in_one_line(
    emonext: Emonext, two: Path, options: list[str]
) -> None:
    ended = emonext("purge", two, *options, "--yes")
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, "nothing of P")
    assert ended.out == ""


def test_a_purge_asks_on_a_terminal_and_elsewhere_wants_yes(
    emonext: Emonext, two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = emonext("purge", two, "--patient", "P1")
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, "--yes")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(typer, "confirm", lambda question, err: False)
    ended = emonext("purge", two, "--patient", "P1")
    assert (ended.code, ended.err_lines) == (BAD_INPUT, ["Nothing was deleted."])
    assert (two / "timelines/patient_id=P1/S1.parquet").exists()
    monkeypatch.setattr(typer, "confirm", lambda question, err: "P1" in question)
    assert emonext("purge", two, "--patient", "P1").code == DONE
    assert not (two / "timelines/patient_id=P1").exists()


def test_the_demo_names_what_it_made(
    emonext: Emonext, tmp_path: Path, model: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("skimage", reason="the demo needs scikit-image")
    monkeypatch.setattr("pipeline.checks.demo_video.LENGTH_S", 1)
    out = tmp_path / "demo"
    ended = emonext("demo", "--out", out, *model)
    assert (ended.code, ended.err) == (DONE, "")
    for path in (out / "timelines/patient_id=DEMO/S01.parquet", out / "reports/index.html"):
        assert str(path) in ended.out
        assert path.is_file()


def test_bench_measures_every_stage(emonext: Emonext, video: Path, model: list[str]) -> None:
    ended = emonext("bench", video, *model)
    assert (ended.code, ended.err) == (DONE, "")
    stages = ("waiting", "detection", "tracking", "classification")
    for name in ("decoding alone", *stages, "end to end", "peak memory"):
        assert name in ended.out
    assert "baseline" not in ended.out


def test_bench_writes_every_figure(emonext: Emonext, clips: Path, model: list[str], tmp_path: Path) -> None:
    path = remux(clips / "single_face.mp4", tmp_path / "a.mp4", seconds=1)
    files = ("--json", tmp_path / "bench.json", "--picture", tmp_path / "bench.png")
    ended = emonext("bench", path, *model, "--baseline", *files)
    assert (ended.code, ended.err) == (DONE, "")
    assert "its faces" in ended.out
    told = json.loads((tmp_path / "bench.json").read_text())
    speeds = {"end_to_end_fps", "decode_fps", "ratio_to_baseline", "ratio_to_decode", "peak_rss_mb"}
    assert all(told[name] > 0 for name in speeds)
    assert told["baseline_faces"] == told["samples"] == 5
    assert told["face_recall"] == 1
    assert 0.8 < told["mean_iou"] <= 1
    assert "emotion_agreement" in told
    with Image.open(tmp_path / "bench.png") as picture:
        assert picture.format == "PNG"


def test_bench_tells_nothing_of_faces_where_there_are_none(
    emonext: Emonext, video: Path, model: list[str], tmp_path: Path
) -> None:
    ended = emonext("bench", video, *model, "--baseline", "--json", tmp_path / "bench.json")
    assert (ended.code, ended.err) == (DONE, "")
    assert "its faces" not in ended.out
    assert "its emotions" not in ended.out
    told = json.loads((tmp_path / "bench.json").read_text())
    assert [told[name] for name in ("face_recall", "mean_iou", "emotion_agreement")] == [None] * 3
    assert (told["baseline_faces"], told["ms_per_sample_by_faces"]) == (0, {})


def test_bench_of_what_is_no_video_is_told(emonext: Emonext, model: list[str], tmp_path: Path) -> None:
    ended = emonext("bench", tmp_path / "gone.mp4", *model, "--json", tmp_path / "bench.json")
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, "gone.mp4")
    assert not list(tmp_path.iterdir())


def test_verified_weights_are_told_with_their_hash(emonext: Emonext, small_weights: Path) -> None:
    import hashlib

    ended = emonext("weights", "verify", small_weights)
    assert ended.code == DONE
    assert hashlib.sha256(small_weights.read_bytes()).hexdigest() in ended.out.replace("\n", "")


def test_the_list_of_weights_and_the_doctor_answer(emonext: Emonext) -> None:
    assert emonext("weights", "list").code == DONE
    ended = emonext("doctor")
    assert ended.code == DONE
    assert torch.__version__ in ended.out.replace("\n", "") or "torch" in ended.out


@pytest.mark.parametrize("kind", ["missing", "text", "code"])
def test_a_checkpoint_that_can_t_be_converted_is_told(emonext: Emonext, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "old.pt"
    if kind == "text":
        path.write_text("not a checkpoint")
    if kind == "code":
        torch.save({"model": os.system}, path)
    ended = emonext("weights", "convert", path, tmp_path / "new.safetensors")
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, "old.pt")
    assert not list(tmp_path.glob("new*"))


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_data_that_are_not_there_are_told(
    emonext: Emonext, tmp_path: Path, small_weights: Path, command: str
) -> None:
    data = tmp_path / "no-data"
    arguments = [data, "--out", tmp_path / "run"] if command == "train" else [small_weights, data]
    ended = emonext(command, *arguments, "--device", "cpu")
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, "no-data")


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """A user's own labelled frames: a CSV with an age group, and the pictures beside it."""
    rng = np.random.default_rng(0)
    lines = ["image,label,split,age_group"]
    for number in range(42):
        Image.fromarray(rng.integers(0, 256, (48, 48), dtype=np.uint8)).save(tmp_path / f"{number}.png")
        split, group = "train" if number < 21 else "val", "old" if number % 2 else "young"
        lines.append(f"{number}.png,{LABELS[number % 7]},{split},{group}")
    (tmp_path / "frames.csv").write_text("\n".join(lines))
    return tmp_path / "frames.csv"


def test_an_evaluation_is_told_and_written_in_every_form(
    emonext: Emonext, frames: Path, small_weights: Path, tmp_path: Path
) -> None:
    files = {name: tmp_path / f"found.{name}" for name in ("json", "html", "card")}
    options = [part for name, path in files.items() for part in (f"--{name}", path)]
    ended = emonext(
        "evaluate", small_weights, frames, *options, "--pictures", tmp_path / "pictures", "--by", "age_group",
        "--robustness", "--device", "cpu",
    )  # fmt: skip
    assert (ended.code, ended.err) == (DONE, "")
    found = json.loads(files["json"].read_text())
    assert found["count"] == 21
    share = found["readings"][0]["accuracy"]["value"]
    assert f"{share:.2%}" in ended.out
    assert f"{100 * share:.2f} %" in files["card"].read_text()
    assert f"{100 * share:.1f}" in files["html"].read_text()
    assert [group["name"] for group in found["groups"]] == ["old", "young"]
    assert len(found["robustness"]) == 6
    assert all(path.stat().st_size > 5000 for path in (tmp_path / "pictures").glob("*.png"))


def test_faces_are_evaluated_as_a_video_shows_them(
    emonext: Emonext, small_weights: Path, shared: Path, tmp_path: Path
) -> None:
    from emonext.datasets.data import load_fer2013

    faces = load_fer2013(shared / "data", "val")
    lines = ["image,label"]
    for number in range(12):
        Image.fromarray(faces.images[number]).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,{LABELS[faces.labels[number]]}")
    (tmp_path / "few.csv").write_text("\n".join(lines))
    ended = emonext(
        "evaluate", small_weights, tmp_path / "few.csv", "--as-used", "--json", tmp_path / "f.json"
    )
    assert ended.code == DONE
    (used,) = json.loads((tmp_path / "f.json").read_text())["as_used"]
    assert 0.7 < used["found"] <= 1
    assert "Out of a video" in ended.out


def test_a_run_is_trained_and_goes_on(emonext: Emonext, frames: Path, tmp_path: Path) -> None:
    command = ["train", frames, "--out", tmp_path / "run", "--image-size", "32", "--epochs", "2"]
    command += ["--batch-size", "7", "--no-attention", "--device", "cpu"]
    first = emonext(*command, "--max-minutes", "0")
    assert (first.code, first.err) == (DONE, "")
    assert "1 of 2 epochs" in first.out
    assert emonext(*command).code == DONE
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert (settings["image_size"], settings["attention_weight"], settings["optimizer"]) == (32, 0, "muon")
    assert emonext("weights", "verify", tmp_path / "run" / "weights.safetensors").code == DONE


@pytest.mark.parametrize("option", [["--preset", "worst"], ["--size", "giant"], ["--init", "nothing.pt"]])
def test_a_run_that_can_t_be_started_is_told(
    emonext: Emonext, frames: Path, tmp_path: Path, option: list[str]
) -> None:
    ended = emonext("train", frames, "--out", tmp_path / "run", "--batch-size", "7", *option)
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, option[1])


def test_frames_are_imported_and_counted(emonext: Emonext, frames: Path, tmp_path: Path) -> None:
    ended = emonext("data", "import", frames, "--out", tmp_path / "frames.npz")
    assert (ended.code, ended.err) == (DONE, "")
    table = ended.out.partition("\n")[2]  # below the path, which may hold any number
    assert table.count("21") == 2
    assert_nothing_half_written(tmp_path)


def test_a_label_nobody_knows_is_told(emonext: Emonext, frames: Path, tmp_path: Path) -> None:
    frames.write_text(frames.read_text().replace("sad", "wistful"))
    ended = emonext("data", "import", frames, "--out", tmp_path / "frames.npz")
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, "wistful")
    assert not list(tmp_path.glob("*.npz*"))


def test_weights_get_a_name(
    emonext: Emonext, small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert emonext("weights", "import", small_weights, "--name", "mine").code == DONE
    assert "mine" in emonext("weights", "list").out
    assert emonext("weights", "verify", "mine").code == DONE


@pytest.mark.parametrize("name", ["../mine", "atto", ""])
def test_a_name_that_is_none_is_refused(
    emonext: Emonext, small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    ended = emonext("weights", "import", small_weights, "--name", name)
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, f"--name {name}")
    assert not list(tmp_path.rglob("*.safetensors"))


def test_an_error_nobody_expected_is_not_hidden(
    emonext: Emonext, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("pipeline.video.container.probe", broken)
    with pytest.raises(ZeroDivisionError, match="a defect"):
        emonext("info", video)


def test_the_command_line_has_the_pipelines_defaults() -> None:
    """It can't read them there: their modules import torch, and help must come at once."""
    from emonext.weight_files import DEFAULT
    from pipeline.processing.session import Settings

    settings, found = Settings(), inspect.signature(process).parameters
    assert found["fps"].default == settings.sample_fps
    assert found["min_face"].default == settings.min_face_px
    assert found["batch_size"].default == settings.batch_size
    assert found["patient_track"].default == settings.patient_track
    assert found["model"].default == DEFAULT


# --- preflight


def test_preflight_tells_what_to_change_and_leaves_nothing(
    emonext: Emonext, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = emonext("preflight", clips / "single_face.mp4")
    assert (ended.code, ended.err) == (DONE, "")
    assert "12 pictures looked at, from 0:00 to 0:02" in ended.out
    assert ended.out.splitlines()[-1] == "This set-up will work."
    assert not list(tmp_path.iterdir())


def test_preflight_ends_with_1_where_it_will_not_work(emonext: Emonext, video: Path) -> None:
    ended = emonext("preflight", video)
    assert ended.code == INCOMPLETE
    assert "nearly black" in ended.out
    assert ended.out.splitlines()[-1] == "This set-up will not work as it is."


def test_preflight_s_pictures_are_made_on_request_and_announced(
    emonext: Emonext, clips: Path, tmp_path: Path
) -> None:
    ended = emonext("preflight", clips / "single_face.mp4", "--pictures", tmp_path / "seen")
    assert "they show faces" in ended.out
    assert len(list((tmp_path / "seen").iterdir())) == 8


def test_preflight_of_what_is_no_video(emonext: Emonext, tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("no video")
    ended = emonext("preflight", tmp_path / "notes.mp4")
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, "notes.mp4")


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
    assert ended.out.splitlines()[-1] == "1 done, 0 partial, 0 failed, 0 skipped, 1 without consent"
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
    assert "1 no consent" in page
    assert "There is no consent: nothing is processed" in page
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
    path.write_text(path.read_text("utf-8-sig").replace("P012_S01.mp4;;;;;;;;", "P012_S01.mp4;;;;;;;;yes"))
    ended = emonext("study", "check", path)
    assert (ended.code, ended.err) == (DONE, "")
    assert "1 session, 1 patient, nothing to be put right." in ended.out
    assert emonext("study", "init", folder).code == BAD_INPUT


@pytest.fixture
def recordings(tmp_path: Path, video: Path) -> Path:
    """A folder with a list of two patients; the second one refused."""
    folder = tmp_path / "recordings"
    (folder / "monday").mkdir(parents=True)
    for name in ("a.mp4", "monday/b.mp4", "c.mp4"):
        shutil.copy(video, folder / name)
    write_list(folder, "P012,S01,a.mp4,music,yes", "P013,S01,monday/b.mp4,,no")
    return folder


def timelines(out: Path) -> list[str]:
    return sorted(
        path.relative_to(out / "timelines").as_posix() for path in out.glob("timelines/*/*.parquet")
    )


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
    note, told = ended.err_lines
    assert note.endswith(f"give the sub-folders too: 1 video ({folder / 'monday' / 'P1_S2.mp4'}).")
    assert told.startswith(f"{folder / 'P1_S1.MP4'}: done")


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
    assert ended.err_lines[-1] == "1 to be put right; nothing was done."
    assert not (tmp_path / "out").exists()


def test_a_check_opens_the_recordings_and_counts(emonext: Emonext, recordings: Path) -> None:
    right = emonext("study", "check", recordings)
    assert right.code == DONE
    assert right.out.splitlines() == [
        "Conditions: music 1, none 1",
        "Consent: no 1, yes 1",
        f"{recordings / 'sessions.csv'}: 2 sessions, 2 patients, nothing to be put right.",
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


RESULTS = [
    ["status"],
    ["people"],
    ["people", "--apply", "people.csv"],
    ["review", "P1", "S1"],
    ["report"],
    ["summarize"],
    ["agree"],
    ["export", "--format", "csv"],
    ["purge", "--patient", "P1", "--yes"],
    ["audit", "verify"],
    ["audit", "show"],
]


@pytest.mark.parametrize("command", RESULTS, ids=" ".join)
@pytest.mark.parametrize("kind", ["nowhere", "a file", "empty"])
def test_every_command_refuses_a_folder_without_results(
    emonext: Emonext, tmp_path: Path, command: list[str], kind: str
) -> None:
    folder = tmp_path / "study"
    if kind == "a file":
        folder.touch()
    elif kind == "empty":
        folder.mkdir()
    words = command[:2] if command[0] == "audit" else command[:1]
    ended = emonext(*words, folder, *command[len(words) :])
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, f"{folder}: {'holds no results' if kind == 'empty' else 'no such folder'}")
    assert kind == "a file" or not [*folder.rglob("*")]


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (["process", "P1_S1.mp4", "--out", "out", "--ray-address", "auto"], "--ray-address"),
        (["people", "{out}", "--apply", "people.csv", "--identity", "dlib"], "--identity"),
        (["review", "{out}", "P1", "S1", "--no-video", "--blur", "all"], "--blur"),
        (["export", "{out}", "--format", "csv", "--reading", "corrected"], "--reading"),
        (["export", "{out}", "--format", "bids", "--reading", "raw"], "--reading"),
        (["demo", "--study", "--device", "cpu"], "--device"),
    ],
)
def test_an_option_that_does_not_apply_is_refused(
    emonext: Emonext, two: Path, command: list[str], option: str
) -> None:
    before = sorted(two.rglob("*"))
    ended = emonext(*(word.format(out=two) for word in command))
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, f"{option}: only goes with ")
    assert sorted(two.rglob("*")) == before


def test_that_nothing_is_to_do_is_said(
    emonext: Emonext, video: Path, tmp_path: Path, model: list[str]
) -> None:
    command = ["process", video, "--out", tmp_path / "out", *model]
    assert "Nothing to do" not in emonext(*command).out
    assert "Nothing to do: every session is up to date." in emonext(*command).out


# --- the bar


def test_the_bar_can_be_drawn_at_any_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is drawn by a thread of its own, also between being set back and being set."""
    monkeypatch.setattr(
        "pipeline.commands.console.err_console", Console(file=io.StringIO(), force_terminal=True)
    )
    reset = Progress.reset

    def reset_and_draw(self: Progress, *arguments: Any, **fields: Any) -> None:
        reset(self, *arguments, **fields)
        self.refresh()

    monkeypatch.setattr(Progress, "reset", reset_and_draw)
    with progress_bar("Work") as update:
        update(5, 10, "goes on")
        update(1, 10, "the next")
        update(2, 10, "the next")


def test_of_several_sessions_at_once_the_bar_shows_all() -> None:
    seen: list[tuple[int, int, str]] = []
    on_session = overall_progress(lambda *told: seen.append(told), 2)
    one, two = Session("P1", "S1", Path("a")), Session("P2", "S1", Path("b"))
    for session, done in ((one, 1), (two, 1), (one, 2), (two, 2)):
        on_session(session, done, 2)
    assert [done for done, _, _ in seen] == [500, 1000, 1500, 2000]
    assert {total for _, total, _ in seen} == {2000}
    assert seen[2][2] == "P1 S1, 1 of 2 sessions"


@pytest.mark.parametrize(
    ("identity", "reason"),
    [
        ("arcface", "give dlib, or FILE:SHA256"),
        ("nowhere.pt:00", "can't be read"),
        ("cli.py:00", "its sha256 is"),
    ],
)
def test_another_network_for_faces_is_checked_before_anything_starts(
    emonext: Emonext, video: Path, tmp_path: Path, identity: str, reason: str
) -> None:
    ids = ("--patient", "P1", "--session", "S1")
    ended = emonext("process", video, *ids, "--out", tmp_path / "out", "--identity", identity)
    assert ended.code == BAD_INPUT
    assert reason in ended.err
    assert not (tmp_path / "out").exists()
