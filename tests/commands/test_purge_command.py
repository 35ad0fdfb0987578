"""commands: `purge` with and without a terminal."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from batches import process, states
from coloured_people import BLUE, LEFT, RED, ByColour, seated
from command_line import BAD_INPUT, DONE, INCOMPLETE, Emonext, assert_one_line_naming
from videos import encode

from pipeline.processing.session import Networks, Session, Settings
from pipeline.store.paths import timeline_path
from pipeline.store.timeline import read_timeline


def test_a_person_is_purged_and_told_what_went(emonext: Emonext, two: Path) -> None:
    (two / "notes.txt").write_text("P1 likes music")
    left = emonext("purge", two, "--patient", "P1", "--yes")
    assert left.code == INCOMPLETE
    assert_one_line_naming(left, str(two / "notes.txt"))
    assert f"{two / 'timelines/patient_id=P1/S1.parquet'}: will be deleted" in left.out.splitlines()
    assert f"{two / 'status.parquet'}: 1 row will be deleted" in left.out.splitlines()
    (two / "notes.txt").unlink()
    assert emonext("export", two, "--format", "csv").code == DONE
    table = two / "exports" / "csv" / "measures.csv"
    exports = len(list(table.parent.iterdir()))
    ended = emonext("purge", two, "--patient", "P2", "--session", "S1", "--yes")
    assert (ended.code, ended.err) == (DONE, "")
    told = f"{table.parent}: export will be deleted ({exports - 1} files); `emonext export` writes it again"
    assert told in ended.out.splitlines()
    assert not table.exists()
    assert ended.out.splitlines()[-1] == (
        f"P2/S1: episodes 1, faces 1, gallery 1, logs 1, reports 1, timelines 1, exports {exports}, rows 1; "
        "no file mentions it any more. Originals, backups and exports to other folders were not touched."
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
        ended, f"Same recording, with the faces of everybody in it: {out / 'faces/patient_id=P2'}"
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


def test_a_purged_session_is_taken_out_of_the_reasons_of_others(
    emonext: Emonext, tmp_path: Path, fake_networks: Networks
) -> None:
    """Each session showed somebody else, and named the other."""
    videos = {
        name: encode(tmp_path / f"{name}.mp4", [seated((LEFT, colour))] * 20, rate=10, options={"crf": "5"})
        for name, colour in {"S1": RED, "S2": BLUE}.items()
    }
    out = tmp_path / "out"
    networks = replace(fake_networks, make_embedder=ByColour)
    process([Session("P1", name, video) for name, video in videos.items()], out, Settings(), networks)
    assert states(out) == {"S1": "to_check", "S2": "to_check"}
    ended = emonext("purge", out, "--patient", "P1", "--session", "S2", "--yes")
    assert (ended.code, states(out)) == (DONE, {"S1": "done"}), ended.err
    assert "S2" not in str(read_timeline(timeline_path(out, "P1", "S1")).metadata)
