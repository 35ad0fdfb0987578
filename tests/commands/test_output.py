"""Output of commands: whole ids, on every terminal and encoding, also into a closed pipe."""

import errno
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections import Counter
from pathlib import Path

import pytest
from command_line import Emonext, assert_one_line_naming
from timelines import make_timeline, put

from pipeline.commands.console import with_flags
from pipeline.errors import OutputError
from pipeline.exchange.tables import NamedTable, write_xlsx
from pipeline.store.status import Outcome, record

ROOT = Path(__file__).parents[2]

PATIENT = "PATIENT-WITH-A-LONG-STUDY-PREFIX-0000000012"
SESSION = "VISIT-WITH-A-LONG-NAME-0000000003"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of one session with long ids."""
    out = tmp_path_factory.mktemp("out")
    put(out, make_timeline([("happy", 5)], PATIENT, SESSION), PATIENT, SESSION)
    record(out, Outcome(PATIENT, SESSION, "done", (), 1.0, 0.0, 1.0, 1.0, "2026-03-01T00:00:00"))
    return out


def emonext(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "cli.py", *map(str, arguments)]
    env = {**os.environ, **environment}
    return subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, check=False, encoding="utf-8", errors="replace"
    )


@pytest.mark.parametrize("columns", ["5", "0", "80"])
def test_ids_are_whole_where_the_output_is_no_terminal(out: Path, columns: str) -> None:
    ended = emonext("status", out, COLUMNS=columns)
    assert (ended.returncode, ended.stderr) == (0, "")
    (line,) = [line for line in ended.stdout.splitlines() if PATIENT in line]
    assert SESSION in line
    assert "done" in line


@pytest.mark.parametrize("columns", [5, 60, 200])
def test_ids_are_whole_on_a_terminal_of_any_width(out: Path, columns: int) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | {"NO_COLOR": "1"}
    command = [sys.executable, "cli.py", "status", str(out)]
    with subprocess.Popen(command, cwd=ROOT, env=env | {"TERM": "dumb"}, stdout=theirs) as running:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 4096):
                shown += piece
        except OSError:  # the other end is closed
            pass
    os.close(ours)
    assert running.returncode == 0
    letters = "".join(shown.decode().split())
    assert "…" not in letters
    assert Counter(PATIENT + SESSION) <= Counter(letters)
    if columns == 200:
        assert PATIENT in letters


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_no_alphabet_is_too_small(out: Path, encoding: str) -> None:
    for arguments in (["status", out], ["process", "--help"], ["study", "init", "--help"], ["status", "ｘ→"]):
        ended = emonext(*arguments, PYTHONIOENCODING=encoding)
        assert "Traceback" not in ended.stderr
        assert ended.returncode == (2 if "ｘ→" in arguments else 0)
    assert PATIENT in emonext("status", out, PYTHONIOENCODING=encoding).stdout


def test_a_locale_without_an_alphabet(out: Path) -> None:
    ended = emonext("status", out, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert PATIENT in ended.stdout


def test_who_stops_reading_ends_the_printing_alone(out: Path) -> None:
    command = f"{sys.executable} cli.py status {out} | true; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize("command", ["status", "--help"])
def test_a_full_disk_under_the_output_is_one_line(out: Path, command: str) -> None:
    arguments = [command, str(out)] if command == "status" else [command]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "cli.py", *arguments],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        "Error: output: No space left on device; free space on the disk, then run again."
    ]


def test_a_place_that_can_t_be_written_to_is_one_line(out: Path, tmp_path: Path, emonext: Emonext) -> None:
    ended = emonext("status", out, "--csv", tmp_path / "file" / "x" / "status.csv")
    assert ended.code == 0, "folders are made"
    (tmp_path / "f").touch()
    ended = emonext("status", out, "--html", tmp_path / "f" / "status.html")
    assert ended.code == 2
    assert_one_line_naming(ended, str(tmp_path / "f"))


def test_a_full_disk_under_a_workbook_is_told_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa
    import xlsxwriter.workbook

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(xlsxwriter.workbook, "ZipFile", full)
    with pytest.raises(OutputError, match=r"x\.xlsx: can't be written \(No space left on device\)"):
        write_xlsx([NamedTable("t", pa.table({"a": [1]}))], tmp_path / "x.xlsx")
    assert not list(tmp_path.iterdir())


def test_a_message_names_the_option_of_a_field() -> None:
    assert with_flags("`sample_fps` 0: give samples per second") == "--fps 0: give samples per second"
    assert with_flags("`bridge_s` and `enter`; run `emonext process` or `demo`") == (
        "--bridge and --enter; run `emonext process` or `demo`"
    )
