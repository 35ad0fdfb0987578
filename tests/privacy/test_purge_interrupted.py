"""A purge that is interrupted, meets another run, or follows another purge."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from purging import Process, do_purge, files, paths_with
from roles import confirm_everybody

from pipeline.errors import InputError, OutputError, TimelineError
from pipeline.exchange.export import export
from pipeline.privacy.purge import plan_purge
from pipeline.records import CheckedRecording, ListedRow
from pipeline.review.people import find_people
from pipeline.review.people_table import write_people
from pipeline.store.audit import read_runs, verify
from pipeline.store.parquet import read_metadata, read_table, write_table
from pipeline.store.status import read_status
from reports.forms.people import write_people_page
from reports.forms.preflight import write_preflight_page

ROOT = Path(__file__).parents[2]


# --- interruptions


@pytest.mark.slow
@pytest.mark.usefixtures("without_plotly")
def test_a_purge_that_was_stopped_anywhere_is_done_by_doing_it_again(
    out: Path, process: Process, tmp_path: Path
) -> None:
    process("P012/S01", "P012/S02", "P013/S01")
    stopped = stopped_purges(out, tmp_path / "stopped")
    for study in stopped:
        with suppress(InputError):  # it had been done
            assert do_purge(study, "P012").mentions == ()
        assert paths_with(study, "P012") == [], study.name
        assert "P013" in (study / "reports/index.html").read_text(), study.name
        assert verify(study).faults == (), study.name
    assert len(stopped) > 30


@pytest.mark.usefixtures("without_plotly")
def test_a_purge_of_an_export_that_was_stopped_is_done_by_doing_it_again(
    out: Path, process: Process, tmp_path: Path
) -> None:
    process("P012/S01", "P013/S01")
    export(out, "bids", tmp_path / "exported" / "bids")
    stopped = stopped_purges(tmp_path / "exported", tmp_path / "stopped")
    for study in stopped:
        with suppress(InputError):  # it had been done
            assert do_purge(study, "P012").mentions == ()
        assert not any(study.glob("bids/*")), study.name
    assert len(stopped) > 15


def stopped_purges(out: Path, to: Path) -> list[Path]:
    """Copies of the folder before each change that a purge makes, as a kill leaves it, and after the purge.

    No state is copied twice.
    """
    copies: list[Path] = []
    known: list[dict[Path, bytes]] = []

    def copy() -> None:
        now = {path: path.read_bytes() if path.is_file() else b"" for path in out.rglob("*")}
        if now not in known:
            known.append(now)
            copies.append(shutil.copytree(out, to / str(len(copies))))

    def copied_before(do: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            copy()
            return do(*arguments, **options)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((Path, "unlink"), (Path, "rmdir"), (os, "replace"), (os, "fsync")):
            patch.setattr(module, name, copied_before(getattr(module, name)))
        do_purge(out, "P012")
    copy()
    return copies


def test_somebody_else_s_damaged_timeline_keeps_nothing_of_this_person(out: Path, process: Process) -> None:
    process("P012/S01", "P013/S01")
    (out / "timelines/patient_id=P013/S01.parquet").write_bytes(b"damaged")
    (out / "notes.txt").write_text("P012 likes music")
    found = do_purge(out, "P012")
    assert isinstance(found.failed, TimelineError)
    assert "P013" in str(found.failed)
    assert found.mentions == ("notes.txt",), "it is searched all the same"
    (out / "notes.txt").unlink()
    assert not [path for path, content in files(out).items() if b"P012" in content or "P012" in path]
    assert read_runs(out)[-1].how == "TimelineError"


def test_a_folder_at_work_is_not_purged(out: Path, process: Process) -> None:
    process("P012/S01")
    before = files(out)
    program = """
import sys
from pathlib import Path
from pipeline.store.lock import folder_lock
with folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(out)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    with pytest.raises(OutputError, match="at work"):
        do_purge(out, "P012")
    holder.communicate()
    assert {**files(out), ".lock": b""} == {**before, ".lock": b""}


def test_a_file_that_can_t_be_removed_is_named(
    out: Path, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    process("P012/S01")
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.name == "S01.log":
            raise PermissionError(13, "Permission denied")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(OutputError, match=r"S01\.log: can't be removed \(Permission denied\)"):
        do_purge(out, "P012")
    monkeypatch.undo()
    assert do_purge(out, "P012").mentions == ()
    assert paths_with(out, "P012") == []


def test_whoever_was_purged_can_come_again(out: Path, process: Process) -> None:
    process("P012/S01", "P013/S01")
    do_purge(out, "P012")
    process("P012/S01")
    assert read_status(out)["state"].to_list() == ["done", "done"]
    assert len(read_runs(out, "P012")) == 1


def test_roles_reviews_and_the_people_s_page_go_too(out: Path, process: Process) -> None:
    process("P012/S01", "P013/S01")
    write_people_page(people := find_people(out, None), write_people(people, out), out / "people.html")
    rows = [CheckedRecording(f"{p}_S01.mp4", 1, (ListedRow(p, "S01"),)) for p in ("P012", "P013")]
    write_preflight_page(rows, out / "recordings.html", out, None)
    confirm_everybody(out)
    for patient in ("P012", "P013"):
        (out / "review" / patient).mkdir(parents=True)
        (out / "review" / patient / "S01.mp4").touch()
    assert paths_with(out, "P012")
    found = do_purge(out, "P012")
    assert found.mentions == ()
    assert paths_with(out, "P012") == []
    assert found.counts["roles"] == found.counts["review"] == 1
    assert not (out / "people.html").exists()
    assert not (out / "recordings.html").exists()
    assert "P013" in (out / "people.csv").read_text()
    assert (out / "roles/patient_id=P013/S01.parquet").exists()
    assert (out / "review/P013/S01.mp4").exists()


def test_what_another_session_holds_of_the_same_recording_is_named(out: Path, process: Process) -> None:
    process("P012/S01", "P013/S01", "P014/S01", "P014/S02")
    rewrite_sha256(out / "timelines/patient_id=P014/S01.parquet")
    (out / "timelines/patient_id=P014/S02.parquet").write_bytes(b"damaged")
    (out / "review" / "P013").mkdir(parents=True)
    (out / "review" / "P013" / "S01.mp4").touch()
    assert plan_purge(out, "P012").same_recording == (("P013", "S01"),)
    assert do_purge(out, "P012").same_recording == (
        "faces/patient_id=P013/S01.parquet",
        "review/P013/S01.mp4",
    )
    assert plan_purge(out, "P013").same_recording == ()


def test_of_a_recording_that_withdrawn_sessions_share_nothing_is_kept_quiet(
    out: Path, process: Process
) -> None:
    """Neither where the purged session counts nowhere any more, nor where the other one does."""
    process("P012/S01", "P013/S01", "P014/S01")
    process("P012/S01", "P013/S01", consent=False)
    assert plan_purge(out, "P012").same_recording == (("P013", "S01"), ("P014", "S01"))


def rewrite_sha256(path: Path) -> None:
    """As if it were of another recording."""
    metadata = dict(read_metadata(path))
    files = [{**file, "sha256": "f" * 64} for file in metadata["video"]["files"]]
    write_table(path, read_table(path), metadata | {"video": {**metadata["video"], "files": files}})
