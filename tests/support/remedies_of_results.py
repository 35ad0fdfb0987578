"""Carry out the advice of messages about unreadable results."""

import fcntl
import json
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from edited_tables import rewrite as rewrite_table
from remedies import Kit, Steps, remedy, rewrite, videos, works

import pipeline.processing.jobs
from pipeline.analysis.summaries import episodes_path
from pipeline.identity.gallery import gallery_path
from pipeline.identity.roles import roles_path
from pipeline.processing.jobs import Job, failed
from pipeline.processing.workers import _ending
from pipeline.store.audit import IDS_FILE
from pipeline.store.paths import faces_path, timeline_path
from pipeline.store.status import Outcome
from pipeline.store.timeline import read_timeline


@contextmanager
def held(path: Path) -> Iterator[None]:
    with path.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@remedy("is at work in this folder; wait for it to end")
def another_run_is_at_work(kit: Kit) -> Steps:
    kit.study()
    with held(kit.out / ".lock"):
        yield kit.run("report", kit.out)
    yield kit.run("report", kit.out)


@remedy(": can't be written ({}); ")
def a_lock_that_can_t_be_written(kit: Kit) -> Steps:
    kit.study()
    (kit.out / ".lock").unlink()
    (kit.out / ".lock").mkdir()
    yield kit.run("report", kit.out)
    (kit.out / ".lock").rename(kit.folder / "aside")
    yield kit.run("report", kit.out)


# --- results that can't be read


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:500])


def again(kit: Kit) -> None:
    """``emonext process`` of the study's recordings, as its messages say."""
    ended = kit.process(*videos(kit))
    assert ended.code == 0, ended


@remedy("run `emonext process` again with the recording of {}.")
def a_damaged_timeline(kit: Kit) -> Steps:
    kit.study()
    damage(timeline_path(kit.out, "P1", "S1"))
    yield kit.run("report", kit.out)
    again(kit)
    yield kit.run("report", kit.out)


@remedy("run `emonext process` again with the recording of {}.")
def damaged_faces(kit: Kit) -> Steps:
    kit.study()
    damage(faces_path(kit.out, "P1", "S1"))
    yield kit.run("people", kit.out)
    again(kit)
    yield kit.run("people", kit.out)


@remedy("run `emonext process` again with the recording of {}.")
def damaged_faces_of_the_patient(kit: Kit) -> Steps:
    kit.study()
    damage(gallery_path(kit.out, "P1", "S1"))
    new = kit.video("in/P1_S2.mp4")
    yield kit.process(new)
    again(kit)
    yield kit.process(new)


@remedy("delete it, run the same command again, and then say with `emonext people` who is who in {}.")
def damaged_roles(kit: Kit) -> Steps:
    kit.study()
    kit.run("people", kit.out)
    table = rewrite_table(kit.out / "people.csv", lambda row: {"approved": "yes"})
    assert kit.run("people", kit.out, "--apply", table).code == 0
    damage(roles_path(kit.out, "P1", "S1"))
    command = (*videos(kit), "--fps", "4")
    yield kit.process(*command)
    roles_path(kit.out, "P1", "S1").unlink()
    ended = kit.process(*command)
    assert ended.code == 0, ended
    kit.run("people", kit.out)
    rewrite_table(table, lambda row: {"approved": "yes"})
    yield kit.run("people", kit.out, "--apply", table)


@remedy(": can't be read ({}); correct that, then run the same command again.")
def results_that_can_t_be_read(kit: Kit) -> Steps:
    kit.study()
    path = timeline_path(kit.out, "P1", "S1")
    path.rename(kit.folder / "aside")
    path.mkdir()
    yield kit.run("report", kit.out)
    path.rmdir()
    (kit.folder / "aside").rename(path)
    yield kit.run("report", kit.out)


@remedy("run `emonext summarize` again.")
def damaged_episodes(kit: Kit) -> Steps:
    kit.study()
    assert kit.run("report", kit.out).code == 0
    damage(episodes_path(kit.out, "P1", "S1"))
    yield kit.run("report", kit.out)
    assert kit.run("summarize", kit.out).code == 0
    yield kit.run("report", kit.out)


@remedy(": schema version {}, not {}; process the video again.")
def a_timeline_of_another_version(kit: Kit) -> Steps:
    kit.study()
    path = timeline_path(kit.out, "P1", "S1")
    table = pq.read_table(path)
    key = b"emonext_care"
    metadata = {**json.loads(table.schema.metadata[key]), "schema_version": 3}
    pq.write_table(table.replace_schema_metadata({key: json.dumps(metadata)}), path)
    yield kit.run("report", kit.out)
    again(kit)
    yield kit.run("report", kit.out)


@remedy(": not a timeline of this program; run `emonext process` again.")
def a_table_of_another_program(kit: Kit) -> Steps:
    kit.study()
    path = timeline_path(kit.out, "P1", "S1")
    pl.DataFrame({"a": [1]}).write_parquet(path)
    yield kit.call(read_timeline, path)
    again(kit)
    yield kit.run("report", kit.out)


@remedy(": holds no sample; process the video again.")
def an_empty_timeline(kit: Kit) -> Steps:
    kit.study()
    rewrite(timeline_path(kit.out, "P1", "S1"), lambda table: table.slice(0, 0))
    yield kit.run("report", kit.out)
    again(kit)
    yield kit.run("report", kit.out)


@remedy(
    ": holds patient {}, session {}; move it back to patient_id={}/{}.parquet or process the video again."
)
def a_timeline_in_another_s_place(kit: Kit) -> Steps:
    kit.study()
    one, other = (timeline_path(kit.out, patient, "S1") for patient in ("P1", "P2"))
    one.rename(other)
    yield kit.run("report", kit.out)
    shutil.copytree(kit.out, kit.folder / "copy")
    again(kit)
    yield kit.run("report", kit.out)
    one, other = (timeline_path(kit.folder / "copy", patient, "S1") for patient in ("P1", "P2"))
    other.rename(one)
    yield kit.run("report", kit.folder / "copy")


@remedy(": has invalid content ({}); run `emonext process` again, and if that does not help, report a bug.")
def a_timeline_with_senseless_values(kit: Kit) -> Steps:
    kit.study()

    def change(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index("time_s")
        times = pa.array([float("nan")] * len(table))
        return table.set_column(place, table.schema.field(place), times)

    rewrite(timeline_path(kit.out, "P1", "S1"), change)
    yield kit.run("report", kit.out)
    again(kit)
    yield kit.run("report", kit.out)


@remedy(": has invalid content ({}); run `emonext process` again, and if that does not help, report a bug.")
def a_timeline_with_senseless_metadata(kit: Kit) -> Steps:
    kit.study()
    rewrite(timeline_path(kit.out, "P1", "S1"), lambda table: table, video={})
    yield kit.run("report", kit.out)
    again(kit)
    yield kit.run("report", kit.out)


@remedy(": of another run than the timeline; process the video again.")
def faces_of_another_run(kit: Kit) -> Steps:
    kit.study()
    rewrite(faces_path(kit.out, "P1", "S1"), lambda table: table, software_version="0")
    yield kit.run("review", kit.out, "P1", "S1")
    again(kit)
    yield kit.run("review", kit.out, "P1", "S1")


@remedy(": not there; run `emonext summarize` first.")
def no_summaries(kit: Kit) -> Steps:
    from pipeline.analysis.summaries import read_sessions

    kit.study()
    yield kit.call(read_sessions, kit.out)
    kit.run("summarize", kit.out)
    yield kit.call(read_sessions, kit.out)


@remedy(": of another version; run `emonext summarize` again.")
def summaries_of_another_version(kit: Kit) -> Steps:
    from pipeline.analysis.summaries import read_sessions

    kit.study()
    kit.run("summarize", kit.out)
    rewrite(kit.out / "summaries/sessions.parquet", lambda table: table.drop_columns(["coverage"]))
    yield kit.call(read_sessions, kit.out)
    kit.run("summarize", kit.out)
    yield kit.call(read_sessions, kit.out)


@remedy(": {}. Run `emonext summarize` for others.")
def summaries_with_unreadable_settings(kit: Kit) -> Steps:
    kit.study()
    kit.run("summarize", kit.out, "--min-duration", 2)
    damage(kit.out / "summaries/sessions.parquet")
    yield kit.run("report", kit.out)
    yield works(kit.run("summarize", kit.out, "--min-duration", 2), kit.run("report", kit.out))


@remedy(": removed, as it was of the earlier tables; --multiverse writes it again.")
def a_multiverse_of_earlier_tables(kit: Kit) -> Steps:
    kit.study()
    kit.run("summarize", kit.out, "--multiverse")
    yield kit.run("summarize", kit.out)
    yield kit.run("summarize", kit.out, "--multiverse")


@remedy(
    ": can't be read; the states below are those of the timelines. The next `emonext "
    "process` writes it again."
)
def a_damaged_status(kit: Kit) -> Steps:
    kit.study()
    damage(kit.out / "status.parquet")
    yield kit.run("status", kit.out)
    again(kit)
    yield kit.run("status", kit.out)


@remedy(
    ": can't be read. Put it back from a backup; or delete it: the log stays intact, "
    "but the ids of its entries are lost."
)
def a_damaged_list_of_logged_ids(kit: Kit) -> Steps:
    kit.study()
    path = kit.out / IDS_FILE
    backup = path.read_bytes()
    path.write_text("{")
    yield kit.run("report", kit.out)
    shutil.copytree(kit.out, kit.folder / "copy")
    path.write_bytes(backup)
    yield kit.run("report", kit.out)
    (kit.folder / "copy" / IDS_FILE).unlink()
    yield kit.run("report", kit.folder / "copy")
    yield kit.run("audit", "verify", kit.folder / "copy")


@remedy("--head {}: give at least {} characters of it.")
def a_short_head(kit: Kit) -> Steps:
    kit.study()
    head = kit.run("audit", "verify", kit.out).text.split("head ")[1].strip()
    said = kit.run("audit", "verify", kit.out, "--head", head[:3])
    yield said
    least = int(re.search("at least ([0-9]+)", said.text)[1])
    yield kit.run("audit", "verify", kit.out, "--head", head[:least])


# --- process once more


@remedy(
    "Nothing to do: every session is up to date. Use --overwrite to process the sessions again.",
    "is up to date; --overwrite processes it again",
    "is up to date; --overwrite processes it again",
)
def nothing_to_do(kit: Kit) -> Steps:
    kit.study()
    yield kit.process(*videos(kit))
    path = timeline_path(kit.out, "P1", "S1")
    before = path.stat().st_mtime_ns
    ended = kit.process(*videos(kit), "--overwrite")
    assert path.stat().st_mtime_ns > before
    yield ended


@remedy(
    "the status was lost; the next run checks this session",
    "the status was lost; the next run checks this session",
)
def a_lost_status(kit: Kit) -> Steps:
    kit.study()
    (kit.out / "status.parquet").unlink()
    damage(timeline_path(kit.out, "P1", "S1"))
    yield kit.run("status", kit.out)
    again(kit)
    yield kit.run("status", kit.out)


@remedy("its process was killed, perhaps because memory ran out; try again with fewer --jobs")
def a_killed_process(kit: Kit) -> Steps:
    def killed(job: Job, networks: object, on_progress: object) -> Outcome:
        return failed(job, _ending(-signal.SIGKILL))

    video = kit.video()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline.processing.jobs, "attempt", killed)
        yield kit.process(video)
    yield kit.process(video, "--jobs", 1)
