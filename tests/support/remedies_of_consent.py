"""Carry out the advice of messages about consent, purges and keys."""

import errno
import os
import re
import shutil
from datetime import datetime
from pathlib import Path

import pytest
from remedies import Kit, Steps, remedy, videos

from pipeline.identity.recognition import _check_region
from pipeline.store.folders import find_results
from pipeline.store.paths import timeline_path

# --- consent, and what is purged


@remedy(
    ": consent was withdrawn; its results are set aside in {}. Delete them with `emonext "
    "purge {} --patient {} --session {}`."
)
def consent_that_was_withdrawn(kit: Kit) -> Steps:
    kit.video()
    kit.process(kit.sessions("P1;S1;P1_S1.mp4;yes"))
    said = kit.process(kit.sessions("P1;S1;P1_S1.mp4;no"))
    yield said
    assert list(kit.out.rglob("*.withdrawn"))
    kit.patch.setattr("sys.stdin.isatty", lambda: True)
    kit.patch.setattr("typer.confirm", lambda *args, **options: True)
    ended = kit.named(said)
    assert not list(kit.out.rglob("*.withdrawn"))
    yield ended


@remedy(": has results of the recording of {}, without consent; delete these results with {}.")
def no_consent_under_new_ids(kit: Kit) -> Steps:
    kit.video()
    kit.process(kit.sessions("P1;S1;P1_S1.mp4;yes"))
    said = kit.process(kit.sessions("P1;S01;P1_S1.mp4;no"))
    yield said
    assert timeline_path(kit.out, "P1", "S1").exists()
    kit.patch.setattr("sys.stdin.isatty", lambda: True)
    kit.patch.setattr("typer.confirm", lambda *args, **options: True)
    yield kit.named(said)
    assert not timeline_path(kit.out, "P1", "S1").exists()


@remedy(": has results of the recording of {}; if those ids are new, delete these results: {}")
def new_ids_of_a_session(kit: Kit) -> Steps:
    kit.video()
    kit.process(kit.sessions("P1;S1;P1_S1.mp4;yes"))
    renamed = kit.sessions("P1;S01;P1_S1.mp4;yes")
    said = kit.process(renamed)
    yield said
    kit.patch.setattr("sys.stdin.isatty", lambda: True)
    kit.patch.setattr("typer.confirm", lambda *args, **options: True)
    kit.named(said)  # ends with 1: the new session is of the same recording
    yield kit.process(renamed)


@remedy(
    ": consent was refused in this folder before; to process it, give a sessions.csv that says consent yes."
)
def consent_that_was_refused_before(kit: Kit) -> Steps:
    video = kit.video()
    kit.process(kit.sessions("P1;S1;P1_S1.mp4;no"))
    (kit.folder / "sessions.csv").unlink()
    yield kit.process(video)
    ended = kit.process(kit.sessions("P1;S1;P1_S1.mp4;yes"))
    assert "1 done" in ended.text
    yield ended


@remedy(
    ": can't be moved ({}); ",
)
def results_that_can_t_be_set_aside(kit: Kit) -> Steps:
    kit.video()
    kit.process(kit.sessions("P1;S1;P1_S1.mp4;yes"))
    listed = kit.sessions("P1;S1;P1_S1.mp4;no")
    move = os.replace

    def refuse(path: Path, target: Path) -> None:
        if Path(target).name.endswith(".withdrawn"):
            raise PermissionError(errno.EPERM, "Operation not permitted", str(path))
        move(path, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        yield kit.process(listed)
    ended = kit.process(listed)
    aside = kit.out / "withdrawn" / "P1" / "S1"
    assert {path.relative_to(aside).parts[0] for path in aside.rglob("*.withdrawn")} >= {"timelines", "faces"}
    yield ended


@remedy(": can't be removed ({}); ")
def a_file_that_can_t_be_removed(kit: Kit) -> Steps:
    kit.study()
    purge = ("purge", kit.out, "--patient", "P1", "--yes")
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.name == "S1.parquet":
            raise PermissionError(errno.EPERM, "Operation not permitted", str(path))
        unlink(path, missing_ok)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        yield kit.run(*purge)
    yield kit.run(*purge)


@remedy("--yes: required without a terminal to ask on; nothing of {} was deleted.")
def a_purge_without_a_terminal(kit: Kit) -> Steps:
    kit.study()
    yield kit.run("purge", kit.out, "--patient", "P1")
    yield kit.run("purge", kit.out, "--patient", "P1", "--yes")


@remedy(": export will be deleted ({}); `emonext export` writes it again")
def a_purge_of_what_was_exported(kit: Kit) -> Steps:
    kit.study()
    kit.run("export", kit.out, "--format", "csv")
    yield kit.run("purge", kit.out, "--patient", "P1", "--yes")
    assert not (kit.out / "exports").exists()
    yield kit.run("export", kit.out, "--format", "csv")


@remedy(": will be deleted; `emonext {}` writes it again")
def a_purge_of_what_commands_made(kit: Kit) -> Steps:
    kit.study()
    kit.run("people", kit.out)
    kit.run("summarize", kit.out, "--multiverse")
    said = kit.run("purge", kit.out, "--patient", "P1", "--yes")
    yield said
    for command in re.findall("`emonext ([a-z -]+)` writes it again", said.text):
        yield kit.run(*command.split(), kit.out)


# --- keys


def encrypted(kit: Kit) -> Path:
    """A folder that is encrypted with the key that is given back."""
    key = kit.folder / "my study.key"
    assert kit.run("key", key).code == 0
    assert kit.process(kit.video(), "--encrypt", key).code == 0
    return key


@remedy(": is encrypted; give its key with --key KEYFILE (`process`: --encrypt KEYFILE).")
def results_without_their_key(kit: Kit) -> Steps:
    key = encrypted(kit)
    yield kit.run("report", kit.out)
    yield kit.run("report", kit.out, "--key", key)
    yield kit.process(kit.folder / "P1_S1.mp4", "--encrypt", key)


@remedy("is {}; give the right one with --key KEYFILE (`process`: --encrypt KEYFILE).")
def results_with_another_key(kit: Kit) -> Steps:
    key, other = encrypted(kit), kit.folder / "other.key"
    kit.run("key", other)
    yield kit.run("report", kit.out, "--key", other)
    yield kit.run("report", kit.out, "--key", key)
    yield kit.process(kit.folder / "P1_S1.mp4", "--encrypt", key)


@remedy("is {}; give the right one with --key KEYFILE (`process`: --encrypt KEYFILE).")
def a_run_with_another_key(kit: Kit) -> Steps:
    key, other = encrypted(kit), kit.folder / "other.key"
    kit.run("key", other)
    before = timeline_path(kit.out, "P1", "S1").read_bytes()
    yield kit.process(kit.folder / "P1_S1.mp4", "--encrypt", other)
    assert timeline_path(kit.out, "P1", "S1").read_bytes() == before
    yield kit.process(kit.folder / "P1_S1.mp4", "--encrypt", key)


@remedy(": can't be read as a key; `emonext key FILE` makes one.")
def a_file_that_is_no_key(kit: Kit) -> Steps:
    video = kit.video()
    said = kit.process(video, "--encrypt", video)
    yield said
    key = kit.folder / "new.key"
    assert kit.named(said, FILE=key).code == 0
    yield kit.process(video, "--encrypt", key)


@remedy(
    ": {} not encrypted, from runs without a key ({}); process their sessions again "
    "with --encrypt and --overwrite, or purge them."
)
def results_from_before_there_was_a_key(kit: Kit) -> Steps:
    kit.study()
    key, (one, other) = kit.folder / "study.key", videos(kit)
    kit.run("key", key)
    yield kit.process(one, "--encrypt", key)
    shutil.copytree(kit.out, kit.folder / "copy")
    yield kit.process(one, other, "--encrypt", key, "--overwrite")
    copy = kit.folder / "copy"
    assert kit.run("purge", copy, "--patient", "P2", "--yes", "--key", key).code == 0
    yield kit.process(one, "--encrypt", key, out=copy)


# --- other commands


@remedy(": no list of sessions in this folder; run `emonext study init {}` first.")
def a_check_before_there_is_a_list(kit: Kit) -> Steps:
    kit.video()
    said = kit.run("study", "check", kit.folder)
    yield said
    assert kit.named(said).code == 0
    path = kit.folder / "sessions.csv"
    header, row = path.read_text("utf-8-sig").splitlines()
    cells = dict(zip(header.split(","), row.split(","), strict=True)) | {"consent": "yes"}
    path.write_text(f"{header}\n{','.join(cells.values())}\n", encoding="utf-8")
    yield kit.run("study", "check", kit.folder)


@remedy(
    ": {} without recorded_at: the date that the camera stored is used; "
    "`emonext study check` shows the dates."
)
def sessions_without_a_date(kit: Kit) -> Steps:
    kit.video()
    march = datetime(2026, 3, 1, 10)
    kit.patch.setattr("pipeline.checks.sessions_list_check.created_at", lambda video: march)
    listed = kit.sessions("P1;S1;P1_S1.mp4;yes")
    yield kit.process(listed)
    ended = kit.run("study", "check", listed)
    assert "recorded_at of P1 S1: 2026-03-01" in ended.text
    yield ended


@remedy(
    "the sample session, not with --study",
)
def a_made_study_with_a_model(kit: Kit) -> Steps:
    yield kit.run("demo", "--study", "--out", kit.out, "--device", "cpu")
    kit.patch.setattr("pipeline.checks.demo_study.make_study", lambda out, update, patients: None)
    kit.patch.setattr("reports.write_reports", lambda out, update: out)
    yield kit.run("demo", "--study", "--out", kit.out)


@remedy(": no {} here or above; run `emonext demo --study`, or let EMONEXT_OUT name your --out folder.")
def a_notebook_without_results(kit: Kit) -> Steps:
    kit.patch.chdir(kit.folder)
    kit.patch.delenv("EMONEXT_OUT", raising=False)
    kit.patch.setattr("pipeline.store.folders.__file__", str(kit.folder / "a" / "b" / "c.py"))
    yield kit.call(find_results)
    kit.study().rename(kit.folder / "demo-study")
    yield kit.call(find_results)
    kit.patch.setenv("EMONEXT_OUT", str(kit.study()))
    yield kit.call(find_results)


@remedy(": holds something else than a made study; choose another --out.")
def a_made_study_over_another(kit: Kit) -> Steps:
    kit.study()
    kit.patch.setattr("pipeline.checks.demo_study.make_study", lambda out, update, patients: None)
    kit.patch.setattr("reports.write_reports", lambda out, update: out)
    yield kit.run("demo", "--study", "--out", kit.out)
    yield kit.run("demo", "--study", "--out", kit.folder / "other")


@remedy(": can't be written to ({}); choose another --out.")
def a_made_study_in_a_file(kit: Kit) -> Steps:
    kit.out.write_text("")
    kit.patch.setattr("pipeline.checks.demo_study.make_study", lambda out, update, patients: None)
    kit.patch.setattr("reports.write_reports", lambda out, update: out)
    yield kit.run("demo", "--study", "--out", kit.out)
    yield kit.run("demo", "--study", "--out", kit.folder / "other")


@remedy(": is a part of the results in {}; choose another --out.")
def results_within_the_reports_of_others(kit: Kit) -> Steps:
    study, video = kit.study(), kit.video()
    yield kit.run("process", video, "--out", study / "reports" / "second")
    yield kit.process(video)


@remedy("--session {}: names one session, but there are {} videos; give one video, or leave the option out.")
def one_session_of_two_videos(kit: Kit) -> Steps:
    one, other = kit.video("P1_a.mp4"), kit.video("P1_b.mp4")
    yield kit.process(one, other, "--session", "S1")
    yield kit.process(one, "--session", "S1")
    yield kit.process(one, other)


@remedy(
    "--patient-track {}: this video has 1 track, and none of that number.",
    "--patient-track {}: this video has {} tracks, and none of that number.",
)
def a_track_that_is_not_there(kit: Kit) -> Steps:
    video = kit.video()
    yield kit.process(video, "--patient-track", 7)
    yield kit.process(video, "--patient-track", 1)


@remedy(
    "region {}: give x1,y1,x2,y2 as shares of the picture from 0 to 1, left before "
    "right and top before bottom."
)
def a_region_in_percent(kit: Kit) -> Steps:
    yield kit.call(_check_region, (0, 10, 55, 100))
    yield kit.call(_check_region, (0, 0.1, 0.55, 1))
