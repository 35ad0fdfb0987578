"""commands: `study apply`, from a saved table to a list that is checked."""

from pathlib import Path

import pytest
from command_line import BAD_INPUT, DONE, Emonext, assert_one_line_naming

from pipeline.records import ANSWER_COLUMNS
from pipeline.store.spreadsheet import write_rows

COMPLETE = {"patient_id": "P012", "session_id": "S1", "condition": "music", "consent": "yes"}


@pytest.fixture
def folder(video: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(video.read_bytes())
    return folder


def save(folder: Path, **cells: str) -> Path:
    size = str((folder / "a.mp4").stat().st_size)
    return write_rows(
        folder.parent / "saved.csv", ANSWER_COLUMNS, [{"recording": "a.mp4", "bytes": size, **cells}]
    )


def test_a_list_is_written_checked_and_the_next_command_named(emonext: Emonext, folder: Path) -> None:
    saved = save(folder, **COMPLETE)
    ended = emonext("study", "apply", folder, saved)
    assert (ended.code, ended.err) == (DONE, "")
    assert "new row (a.mp4): patient_id P012, session_id S1, condition music, consent yes" in ended.out
    assert f"Written: {folder / 'sessions.csv'}\n" in ended.out
    assert "1 session, 1 patient, no errors." in ended.out
    assert ended.out.splitlines()[-1] == f"Next: emonext process {folder} --out DIR"
    before = (folder / "sessions.csv").read_bytes()
    again = emonext("study", "apply", folder, saved)
    assert (again.code, (folder / "sessions.csv").read_bytes()) == (DONE, before)
    assert "holds all of this already; nothing was changed." in again.out
    assert not (folder / "sessions.csv.bak").exists()


def test_what_is_still_missing_is_reported_and_can_be_given_later(emonext: Emonext, folder: Path) -> None:
    ended = emonext("study", "apply", folder, save(folder, patient_id="P012", session_id="S1"))
    assert ended.code == BAD_INPUT
    assert "row 2, consent: empty; write yes or no." in ended.err
    ended = emonext("study", "apply", folder, save(folder, **COMPLETE))
    assert (ended.code, ended.err) == (DONE, "")
    assert "row 2 (a.mp4): condition music, consent yes" in ended.out
    assert f"(as it was: {folder / 'sessions.csv.bak'})" in ended.out


def test_another_value_is_replaced_only_on_request(emonext: Emonext, folder: Path) -> None:
    emonext("study", "apply", folder, save(folder, **{**COMPLETE, "consent": "no"}))
    before = (folder / "sessions.csv").read_bytes()
    saved = save(folder, **COMPLETE)
    ended = emonext("study", "apply", folder, saved)
    assert ended.code == BAD_INPUT
    assert "row 2 (a.mp4), consent: 'no' becomes 'yes'" in ended.err
    assert "1 cell would be replaced; nothing was done." in ended.err
    assert (folder / "sessions.csv").read_bytes() == before
    ended = emonext("study", "apply", folder, saved, "--replace")
    assert ended.code == DONE
    assert "row 2 (a.mp4), consent: 'no' becomes 'yes'" in ended.err
    assert (folder / "sessions.csv.bak").read_bytes() == before
    assert ",yes," in (folder / "sessions.csv").read_text()


def test_an_empty_answer_empties_no_cell(emonext: Emonext, folder: Path) -> None:
    emonext("study", "apply", folder, save(folder, **COMPLETE))
    ended = emonext("study", "apply", folder, save(folder))
    assert "Not emptied: 4 cells of the list that the table leaves empty." in ended.out
    assert ended.code == DONE


def test_wrong_ids_and_other_folders_are_refused(emonext: Emonext, folder: Path, tmp_path: Path) -> None:
    ended = emonext("study", "apply", folder, save(folder, **{**COMPLETE, "patient_id": "Marie Curie"}))
    assert ended.code == BAD_INPUT
    assert "row 2 (a.mp4), patient_id: 'Marie Curie': not a usable id" in ended.err
    (tmp_path / "other").mkdir()
    ended = emonext("study", "apply", tmp_path / "other", save(folder, **COMPLETE))
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, "none of its recordings is in")
    assert not (folder / "sessions.csv").exists()


def test_a_path_from_home_is_found_in_any_shell(
    emonext: Emonext, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("USERPROFILE", str(folder.parent))
    save(folder, **COMPLETE)
    assert emonext("study", "apply", folder, "~/saved.csv").code == DONE
