"""store.audit: the log records every command, and a changed line is detected."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import InputError, OutputError
from pipeline.processing.batch import process_sessions
from pipeline.processing.jobs import in_this_process
from pipeline.processing.session import Networks, Session, Settings
from pipeline.store.audit import HEAD_FILE, IDS_FILE, LOG_FILE, audited, forget, read_ids, read_runs, verify

ROOT = Path(__file__).parents[2]

P1, P2 = ("P1", "S1"), ("P2", "S1")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder with three runs, which are six entries."""
    for session in (P1, P2, P1):
        run(tmp_path, session)
    return tmp_path


def run(out: Path, *sessions: tuple[str, str]) -> None:
    with audited(out, "process", sessions, {"overwrite": False}, "ab" * 32) as ending:
        ending.states |= dict.fromkeys(sessions, "done")


def lines(out: Path) -> list[bytes]:
    return (out / LOG_FILE).read_bytes().splitlines()


def write(out: Path, changed: list[bytes]) -> None:
    (out / LOG_FILE).write_bytes(b"".join(line + b"\n" for line in changed))


# --- what is in it


def test_without_a_log_that_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"audit\.jsonl: there is no audit log"):
        verify(tmp_path)


def test_a_log_as_it_was_written_is_whole(out: Path) -> None:
    found = verify(out)
    assert (found.entries, found.faults, found.notes) == (6, (), ())
    assert len(found.head) == 64
    assert verify(out, found.head).faults == ()


def test_an_entry_says_who_when_what_and_with_what(out: Path) -> None:
    begun, ended = (json.loads(line) for line in lines(out)[:2])
    assert begun.keys() >= {"at", "user", "host", "command", "options", "software"}
    assert begun["weights"] == "ab" * 6
    assert begun["at"].endswith("+00:00")
    assert (ended["begun"], ended["how"], list(ended["sessions"].values())) == (1, "done", ["done"])


def test_it_names_nobody(out: Path) -> None:
    assert b"P1" not in (out / LOG_FILE).read_bytes()
    assert b"S1" not in (out / LOG_FILE).read_bytes()
    assert [stat.S_IMODE((out / name).stat().st_mode) for name in (LOG_FILE, HEAD_FILE, IDS_FILE)] == [
        0o600
    ] * 3


def test_the_order_of_sessions_does_not_tell_between_whom_one_stood(tmp_path: Path) -> None:
    run(tmp_path, *((f"P{number:02}", "S1") for number in range(20)))
    begun, ended = (json.loads(line) for line in lines(tmp_path))
    assert begun["sessions"] == sorted(begun["sessions"]) == list(ended["sessions"])


def test_a_patient_s_runs_are_found_until_they_are_forgotten(out: Path) -> None:
    assert [found.number for found in read_runs(out, "P1")] == [1, 5]
    assert read_runs(out)[0].sessions == ((P1, "done"),)
    before = (out / LOG_FILE).read_bytes()
    forget(out, "P1")
    assert (out / LOG_FILE).read_bytes() == before
    assert [found.sessions for found in read_runs(out)] == [
        ((None, "done"),),
        ((P2, "done"),),
        ((None, "done"),),
    ]
    with pytest.raises(InputError, match="no entry of P1"):
        read_runs(out, "P1")
    assert not verify(out).faults


def test_whoever_comes_again_after_a_purge_is_somebody_else(out: Path) -> None:
    before = read_ids(out)["P1"]["S1"]
    forget(out, *P1)
    run(out, P1)
    assert read_ids(out)["P1"]["S1"] != before
    assert [found.number for found in read_runs(out, "P1")] == [7]


def test_one_session_can_be_forgotten(out: Path) -> None:
    run(out, ("P1", "S2"))
    forget(out, "P1", "S2")
    forget(out, "P1", "S9")
    forget(out, "P9")
    assert {patient: list(sessions) for patient, sessions in read_ids(out).items()} == {
        "P1": ["S1"],
        "P2": ["S1"],
    }


def test_a_run_that_fails_or_is_killed_shows(out: Path) -> None:
    with pytest.raises(KeyboardInterrupt), audited(out, "process", [P1]):
        raise KeyboardInterrupt
    program = """
import os, sys
from pathlib import Path
from pipeline.store.audit import audited
with audited(Path(sys.argv[1]), "process", [("P1", "S1")]):
    os.kill(os.getpid(), 9)
"""
    command = [sys.executable, "-c", program, str(out)]
    subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
    interrupted, killed = read_runs(out)[-2:]
    assert (interrupted.how, killed.how, killed.ended) == ("KeyboardInterrupt", "", None)
    assert not verify(out).faults


def test_processing_is_logged(
    make_recording: Callable[..., Path], fake_networks: Networks, tmp_path: Path
) -> None:
    video = make_recording("Marie.mp4", [(40, 60)])
    session = Session("P1", "S1", video, notes="likes Chopin")
    none = Session("P2", "S1", video, consent=False)
    engine = in_this_process(fake_networks)
    pages: list[Path] = []
    for _ in range(2):
        process_sessions(
            [session, none], tmp_path / "out", Settings(), engine, "0" * 64, write_pages=pages.append
        )
    first, again = read_runs(tmp_path / "out")
    assert first.sessions == ((P1, "done"), (P2, "no_consent"))
    assert again.sessions == ((P1, "skipped"), (P2, "no_consent"))
    assert pages == [tmp_path / "out"] * 2
    log = (tmp_path / "out" / LOG_FILE).read_text()
    assert "Marie" not in log
    assert "Chopin" not in log
    assert '"sample_fps": 5.0' in log


# --- what is done to it


@pytest.mark.parametrize("line", range(1, 7))
def test_any_edited_byte_shows_and_its_line_is_named(out: Path, line: int) -> None:
    content = (out / LOG_FILE).read_bytes()
    start = sum(len(before) + 1 for before in lines(out)[: line - 1])
    for place in range(start, start + len(lines(out)[line - 1]), 7):
        edited = bytearray(content)
        edited[place] ^= 1
        (out / LOG_FILE).write_bytes(edited)
        faults = verify(out).faults
        assert faults, place
        assert faults[0].startswith(f"line {line}: "), (place, faults)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda old: old[:2] + old[3:], "line 3: before it entry 3 is missing"),
        (lambda old: old[2:], "line 1: before it entries 1 to 2 are missing"),
        (lambda old: old[:1] + old[4:], "line 2: before it entries 2 to 4 are missing"),
        (lambda old: [*old[:2], old[3], old[2], *old[4:]], "line 3: is entry 4, where entry 3 should be"),
        (lambda old: old[:3] + old[2:], "line 4: is entry 3, where entry 4 should be"),
        (lambda old: [*old[:3], b"", *old[3:]], "line 4: can't be read"),
        (lambda old: old[:5], "after line 5: entry 6 is missing; the end was cut off"),
        (lambda old: old[:1], "after line 1: entries 2 to 6 are missing; the end was cut off"),
        (lambda old: [], "after line 0: entries 1 to 6 are missing; the end was cut off"),
    ],
)
def test_removed_moved_added_and_cut_off_lines_show(
    out: Path, change: Callable[[list[bytes]], list[bytes]], fault: str
) -> None:
    kept = verify(out).head
    write(out, change(lines(out)))
    assert fault in verify(out).faults
    # nor does the next run cover it up
    run(out, P1)
    assert verify(out).faults
    assert verify(out, kept).faults


def test_an_end_that_was_edited_is_not_covered_up_by_the_next_entry(out: Path) -> None:
    old = lines(out)
    write(out, [*old[:5], old[5].replace(b"done", b"gone")])
    run(out, P1)
    assert verify(out).faults == ("line 6: was changed after it was written",)


def test_a_line_cut_short_after_it_was_whole_is_no_power_cut(out: Path) -> None:
    content = (out / LOG_FILE).read_bytes()
    (out / LOG_FILE).write_bytes(content[:-20])
    assert verify(out).faults == ("line 6: can't be read",)


def test_without_the_head_only_a_log_of_one_entry_is_believed(out: Path) -> None:
    (out / HEAD_FILE).unlink()
    assert verify(out).faults == ("audit.head knows 0 entries, and the log ends with entry 6",)


def test_a_log_that_was_removed_is_told(out: Path) -> None:
    (out / LOG_FILE).unlink()
    with pytest.raises(InputError, match="it was removed"):
        verify(out)
    run(out, P1)
    assert "line 1: before it entries 1 to 6 are missing" in verify(out).faults


def test_a_log_written_anew_shows_only_to_who_kept_a_head(out: Path) -> None:
    kept = verify(out).head
    for name in (LOG_FILE, HEAD_FILE):
        (out / name).unlink()
    run(out, P2)
    assert verify(out).faults == ()
    assert not verify(out, kept).holds_kept_head
    with pytest.raises(InputError, match="at least 16"):
        verify(out, kept[:3])


# --- power cuts


def test_a_torn_last_line_is_told_and_the_next_entry_goes_on(out: Path) -> None:
    with (out / LOG_FILE).open("ab") as file:
        file.write(lines(out)[0][:90])
    found = verify(out)
    assert (found.entries, found.faults) == (6, ())
    assert found.notes == ("line 7: was truncated while it was written, as by a power cut",)
    run(out, P1)
    again = verify(out)
    assert (again.entries, again.faults, again.notes) == (8, (), found.notes)
    assert [json.loads(line)["number"] for line in lines(out)[7:]] == [8, 9]
    write(out, [*lines(out)[:6], b'{"number": 7, "at"', *lines(out)[7:]])
    assert verify(out).faults, "what is left of it is in the chain too"


def test_a_power_cut_before_the_head_was_written_is_no_fault(out: Path) -> None:
    before = (out / HEAD_FILE).read_text()
    with audited(out, "process", [P1]):
        (out / HEAD_FILE).write_text(before)
        found = verify(out)
    assert found.faults == ()
    assert "not in audit.head yet" in found.notes[0]
    assert verify(out).faults == ()


def test_a_last_line_that_only_lacks_its_end_is_whole(out: Path) -> None:
    (out / LOG_FILE).write_bytes((out / LOG_FILE).read_bytes()[:-1])
    assert verify(out).faults == ()
    run(out, P1)
    assert (verify(out).entries, verify(out).faults) == (8, ())


# --- what can't be


def test_nothing_is_done_where_it_can_t_be_logged(out: Path) -> None:
    (out / LOG_FILE).rename(out / "elsewhere")
    (out / LOG_FILE).symlink_to(out / "elsewhere")
    with pytest.raises(OutputError, match=r"audit\.jsonl"), audited(out, "process", [P1]):
        pytest.fail("it was done")


@pytest.mark.parametrize("content", ["", "[]", '{"P1": 3}', "\x00"])
def test_damaged_ids_are_told(out: Path, content: str) -> None:
    (out / IDS_FILE).write_text(content)
    with pytest.raises(OutputError, match=r"\.audit\.ids"):
        read_runs(out)
    assert not verify(out).faults


def test_a_foreign_line_is_shown_as_far_as_it_goes(out: Path) -> None:
    with (out / LOG_FILE).open("ab") as file:
        file.write(b'{"number": 7, "previous": "", "event": "begun"}\n{"number": "x", "previous": ""}\n[]\n')
    assert read_runs(out)[-1].sessions == ()
    assert len(verify(out).faults) >= 2
