"""The command line: help, options, defaults, and unexpected errors."""

import inspect
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import BAD_INPUT, DONE, ROOT, Emonext, assert_one_line_naming, commands
from rich.console import Console
from rich.progress import Progress

from pipeline.commands.console import overall_progress, progress_bar
from pipeline.commands.process import process
from pipeline.processing.session import Session


def test_there_are_commands() -> None:
    assert ["process"] in commands()
    assert ["weights", "verify"] in commands()


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_s_help_has_an_example(emonext: Emonext, command: list[str]) -> None:
    ended = emonext(*command, "--help")
    assert ended.code == DONE
    assert f"Example: emonext {' '.join(command)}" in ended.out


def test_the_help_gives_flags_no_type_and_names_the_choices(emonext: Emonext) -> None:
    shown = emonext("review", "--help").out
    assert "--overwrite" in shown
    assert "<others|all|none>" in shown
    assert "bool" not in shown + emonext("--help").out + emonext("study", "--help").out


def test_a_choice_that_is_none_is_told_with_the_choices(emonext: Emonext, tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl").touch()
    ended = emonext("export", tmp_path, "--format", "json")
    assert ended.code == BAD_INPUT
    assert "Invalid value for '--format': 'json' is not one of 'csv'" in ended.err


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
    why = {"nowhere": "no such folder", "a file": "is a file", "empty": "holds no results"}[kind]
    assert_one_line_naming(ended, f"{folder}: {why}; give the --out folder of")
    assert kind == "a file" or not [*folder.rglob("*")]


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (["process", "P1_S1.mp4", "--out", "out", "--ray-address", "auto"], "--ray-address"),
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
    assert_one_line_naming(ended, f"{option}: only valid with ")
    assert sorted(two.rglob("*")) == before


# --- the bar


def test_an_option_that_is_given_twice_is_refused(emonext: Emonext, tmp_path: Path) -> None:
    ended = emonext("process", tmp_path, "--session", "S1", "--session", "S2")
    assert ended.code == 2
    assert "--session is given 2 times; give it once." in ended.err


def test_the_bar_can_be_drawn_at_any_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is drawn by a thread of its own, also between being set back and being set."""
    terminal = Console(file=io.StringIO(), force_terminal=True)
    monkeypatch.setattr("pipeline.commands.console.err_console", terminal)
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
