"""commands: `process` of one recording, of several, and interrupted by Ctrl-C."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
import torch
from command_line import (
    BAD_INPUT,
    DONE,
    INCOMPLETE,
    INTERRUPTED,
    ROOT,
    Emonext,
    assert_nothing_half_written,
    assert_one_line_naming,
)
from videos import remux, sound_only

from pipeline.store.status import read_status
from pipeline.store.timeline import read_timeline

# --- process


def test_a_session_is_processed_and_told_in_two_lines(
    emonext_with_workers: Emonext, clips: Path, tmp_path: Path, model: list[str]
) -> None:
    out = tmp_path / "out"
    ended = emonext_with_workers(
        "process", clips / "single_face.mp4", "--patient", "P1", "--session", "S1", "--out", out, *model
    )
    assert (ended.code, ended.err) == (DONE, "")
    assert ended.out.splitlines() == [
        f"Report: {out / 'reports' / 'index.html'}",
        "1 done, 0 to check, 0 partial, 0 failed, 0 skipped",
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


@pytest.mark.slow
def test_a_failed_session_beside_a_good_one_exits_1(
    emonext_with_workers: Emonext, video: Path, tmp_path: Path, model: list[str]
) -> None:
    bad = tmp_path / "P1_S2.mp4"
    bad.write_text("not a video")
    ended = emonext_with_workers("process", video, bad, "--out", tmp_path / "out", *model)
    assert ended.code == INCOMPLETE
    assert "1 done, 0 to check, 0 partial, 1 failed, 0 skipped" in ended.out
    assert [line for line in ended.err_lines if "P1_S2.mp4" in line and "failed" in line]
    assert read_status(tmp_path / "out")["state"].to_list() == ["done", "failed"]
    assert (tmp_path / "out/reports/index.html").is_file()


def test_a_name_that_gives_no_ids_does_not_stop_the_others(
    emonext: Emonext, video: Path, tmp_path: Path, model: list[str]
) -> None:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    shutil.copy(video, folder / "P1_S1.mp4")
    link = folder / "P5_S1.mp4"
    link.symlink_to("unplugged.mp4")
    for name in ("P2_S#1.mp4", "monday.mp4", os.fsdecode(b"P3_\xe9.mp4"), os.fsdecode(b"sub/P4_\xe9.mp4")):
        (folder / name).touch()
    ended = emonext("process", folder, "--out", tmp_path / "out", *model)
    assert ended.code == INCOMPLETE
    assert "1 done, 0 to check, 0 partial, 0 failed, 0 skipped" in ended.out
    assert ended.err_lines == [
        f"Note: '{folder}/sub/P4_\\udce9.mp4': this name is not text; rename the video.",
        f"Not processed: '{folder}/P3_\\udce9.mp4': this name is not text; rename the video.",
        f"Not processed: '{link}': a link to a file that is not there; correct or delete the link.",
        f"Not processed: {folder}/P2_S#1.mp4: 'S#1': not a usable id. Give a pseudonym of letters, digits, "
        "'.', '_' or '-', at most 64, starting with a letter or digit; never a person's name.",
        f"Not processed: {folder}/monday.mp4: patient unknown. Name it <patient>_<session>.mp4, or give "
        "--patient.",
    ]
    (folder / "P1_S1.mp4").unlink()
    ended = emonext("process", folder, "--out", tmp_path / "none", *model)
    assert (ended.code, len(ended.err_lines)) == (BAD_INPUT, 4)
    assert not (tmp_path / "none").exists()


def test_a_damaged_timeline_of_another_session_is_told_beside_the_outcomes(
    emonext: Emonext, video: Path, tmp_path: Path, model: list[str]
) -> None:
    new, out = shutil.copy(video, tmp_path / "P2_S1.mp4"), tmp_path / "out"
    assert emonext("process", video, "--out", out, *model).code == DONE
    damaged = out / "timelines/patient_id=P1/S1.parquet"
    damaged.write_bytes(b"PAR1 damaged PAR1")
    ended = emonext("process", new, "--out", out, *model)
    assert (ended.code, ended.out) == (INCOMPLETE, "1 done, 0 to check, 0 partial, 0 failed, 0 skipped\n")
    assert ended.err_lines[:2] == [
        f"Note: {out}: the reports are as they were before this run.",
        f"Error: {damaged}: not a file of this program, or damaged; run `emonext process` again with the "
        "recording of P1 S1.",
    ]
    assert emonext("process", new, video, "--out", out, *model).code == DONE
    assert "P2" in (out / "reports/index.html").read_text("utf-8")


def test_copies_of_one_recording_are_told_when_one_is_new(
    emonext: Emonext, video: Path, tmp_path: Path, model: list[str]
) -> None:
    shutil.copy(video, tmp_path / "P2_S1.mp4")
    (tmp_path / "P3_S1.mp4").write_bytes(video.read_bytes() + b"\0\0\0\x08free")
    command = ["process", *(tmp_path / f"P{n}_S1.mp4" for n in (2, 3)), "--out", tmp_path / "out", *model]
    assert "copies" not in emonext(*command).err
    command.insert(1, video)
    told = "Note: P1 S1, P2 S1: copies of one recording; make sure that all are correct."
    assert told in emonext(*command).err_lines
    assert "copies" not in emonext(*command).err


def test_a_partial_session_exits_1(emonext: Emonext, clips: Path, tmp_path: Path, model: list[str]) -> None:
    shutil.copy(clips / "corrupted.mp4", tmp_path / "P1_S1.mp4")
    command = ["process", tmp_path / "P1_S1.mp4", "--out", tmp_path / "out", *model]
    ended = emonext(*command)
    assert ended.code == INCOMPLETE
    assert_one_line_naming(ended, "partial")
    assert "0 done, 0 to check, 1 partial" in ended.out
    again = emonext(*command)
    assert again.code == INCOMPLETE, "a session that is skipped is as partial as before"
    assert "0 done, 0 to check, 0 partial, 0 failed, 1 skipped" in again.out
    assert "Of the skipped sessions, 1 partial" in again.out


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


def test_that_sessions_are_not_compared_is_said(
    emonext: Emonext, video: Path, tmp_path: Path, model: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    for session in ("S1", "S2"):
        shutil.copy(video, folder / f"P1_{session}.mp4")
    monkeypatch.setattr("pipeline.commands.process.find_spec", lambda name: None)
    ended = emonext("process", folder, "--out", tmp_path / "out", *model)
    assert ended.err.startswith("Note: nothing tells whether a patient's sessions show the same person")
    assert "emonext-care[identity]" in ended.err
    assert "Note:" not in emonext("process", video, "--out", tmp_path / "one", *model).err


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
    emonext_with_workers: Emonext, video: Path, tmp_path: Path, small_weights: Path
) -> None:
    options = ["--model", small_weights, "--device", "cuda"]
    ended = emonext_with_workers("process", video, "--out", tmp_path / "out", *options)
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


@pytest.mark.slow
def test_ctrl_c_exits_130_and_the_same_command_goes_on(
    clips: Path, clip: Path, tmp_path: Path, emonext: Emonext, model: list[str]
) -> None:
    videos = tmp_path / "in"
    videos.mkdir()
    shutil.copy(clip, videos / "P1_S1.mp4")
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
    assert running.returncode == INTERRUPTED, err
    assert len(err.splitlines()) == 1
    assert "Interrupted" in err
    state = read_status(out).select("session_id", "state").rows()
    assert state[0] == ("S1", "done")
    assert state[1] in (("S2", "running"), ("S2", "waiting"))
    assert_nothing_half_written(out)

    shutil.copy(clip, videos / "P1_S2.mp4")
    again = emonext("process", videos, "--out", out, *model)
    assert again.code == DONE
    assert "1 done, 0 to check, 0 partial, 0 failed, 1 skipped" in again.out


def test_a_recording_without_a_face_is_to_check_and_exits_0(
    emonext: Emonext, without_face: Path, tmp_path: Path, model: list[str]
) -> None:
    command = ["process", without_face, "--out", tmp_path / "out", *model]
    for told in ("0 done, 1 to check, 0 partial", "Of the skipped sessions, 1 to check, as before."):
        ended = emonext(*command)
        assert ended.code == DONE
        assert told in ended.out
        assert "1 session to check: is it the patient, and can the patient be seen?" in ended.out


def test_that_nothing_is_to_do_is_said(
    emonext: Emonext, video: Path, tmp_path: Path, model: list[str]
) -> None:
    command = ["process", video, "--out", tmp_path / "out", *model]
    assert "Nothing to do" not in emonext(*command).out
    assert "Nothing to do: every session is up to date." in emonext(*command).out
