"""What messages about recordings, results and folders advise, carried out."""

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from remedies import Ended, Kit, Steps, remedy
from videos import encode, with_faces

import pipeline.exchange.tables
import pipeline.processing.jobs
from emonext.device import choose_device
from pipeline.exchange.exported import sessions_to_export
from pipeline.exchange.tables import derived_tables
from pipeline.faces.mtcnn import Cascade
from pipeline.identity.recognition import _check_region
from pipeline.processing.jobs import Job, failed
from pipeline.processing.workers import _ending
from pipeline.store.audit import IDS_FILE
from pipeline.store.parquet import read_metadata, read_table, write_table
from pipeline.store.paths import faces_path, timeline_path
from pipeline.store.status import Outcome
from pipeline.store.timeline import read_timeline


def videos(kit: Kit) -> list[Path]:
    """The recordings of :meth:`Kit.study`."""
    return sorted(kit.processed.parent.glob("*.mp4"))


def works(done: Ended, then: Ended) -> Ended:
    """How the second ended, after the first succeeded."""
    assert done.code == 0, done
    return then


# --- which videos, and whose


@remedy(": the same patient and session as {}; rename one.")
def two_videos_of_one_name(kit: Kit) -> Steps:
    one, other = kit.video("a/P1_S1.mp4"), kit.video("b/P1_S1.mp4")
    yield kit.process(one, other)
    yield kit.process(one, other.rename(other.with_name("P1_S2.mp4")))


@remedy(": whose is it? Name it <patient>_<session>{}, or give --patient.")
def a_video_without_ids(kit: Kit) -> Steps:
    video = kit.video("film.mp4")
    yield kit.process(video)
    yield kit.process(video, "--patient", "P1")
    yield kit.process(video.rename(kit.folder / "P1_S7.mp4"))


@remedy(" itself; give its sub-folders: {}")
def a_folder_of_folders(kit: Kit) -> Steps:
    kit.video("in/a/P1_S1.mp4"), kit.video("in/b/P1_S2.mp4")
    said = kit.process(kit.folder / "in")
    yield said
    folders = re.search(r"give its sub-folders: (.*?) \(", said.text.replace("\n", " "))[1].split(", ")
    yield kit.process(*folders)


@remedy("in sub-folders, not processed; give the sub-folders too")
def some_videos_lie_deeper(kit: Kit) -> Steps:
    kit.video("in/P1_S1.mp4"), kit.video("in/b/P1_S2.mp4")
    yield kit.process(kit.folder / "in")
    yield kit.process(kit.folder / "in", kit.folder / "in/b")


@remedy(": holds a list of sessions; give the list, and nothing else: {}")
def a_folder_with_a_list_beside_a_video(kit: Kit) -> Steps:
    kit.video(), kit.sessions("P1;S1;P1_S1.mp4;yes")
    other = kit.video("other/P1_S2.mp4")
    said = kit.process(kit.folder, other)
    yield said
    yield kit.named(said, DIR=kit.out)


@remedy(": a list of sessions is given alone: {}")
def a_list_beside_a_video(kit: Kit) -> Steps:
    kit.video(), kit.sessions("P1;S1;P1_S1.mp4;yes")
    said = kit.process(kit.folder / "sessions.csv", kit.video("other/P1_S2.mp4"))
    yield said
    yield kit.named(said, DIR=kit.out)


@remedy("lists this video; process it from there: {}")
def a_video_around_its_list(kit: Kit) -> Steps:
    video = kit.video()
    kit.sessions("P1;S1;P1_S1.mp4;yes")
    said = kit.process(video)
    yield said
    yield kit.named(said, DIR=kit.out)


@remedy(": holds several lists of sessions ({}); give the one that counts.")
def a_folder_with_two_lists(kit: Kit) -> Steps:
    kit.video()
    counts = kit.sessions("P1;S1;P1_S1.mp4;yes")
    shutil.copy(counts, kit.folder / "old.csv")
    yield kit.process(kit.folder)
    yield kit.process(counts)
    yield kit.run("study", "check", counts)


@remedy(
    "differ only in capitals or dots at the end, and would be the same file on Windows "
    "and macOS; write one of the two, or give another id."
)
def ids_that_differ_in_capitals(kit: Kit) -> Steps:
    kit.study()
    yield kit.process(kit.video("p1_S3.mp4"))
    yield kit.process(kit.video("P1_S3.mp4"))
    yield kit.process(kit.video("P3_S3.mp4"))


@remedy("would both get files named {}; give one of them another id.")
def ids_that_get_one_name(kit: Kit) -> Steps:
    kit.video("a.mp4"), kit.video("b.mp4")
    lines = ["A;B_C;a.mp4;yes", "A_B;C;b.mp4;yes"]
    yield kit.process(kit.sessions(*lines))
    yield kit.process(kit.sessions(lines[0], "A-B;C;b.mp4;yes"))


@remedy(
    ": not a usable id. Give a pseudonym of letters, digits, '.', '_' or '-', at "
    "most 64, starting with a letter or digit; never a person's name."
)
def an_id_that_is_none(kit: Kit) -> Steps:
    video = kit.video()
    yield kit.process(video, "--patient", "Marie Curie")
    yield kit.process(video, "--patient", "P12.a_b-c")


@remedy(": this name is not text; rename the video.")
def a_name_that_is_no_text(kit: Kit) -> Steps:
    video = kit.video()
    strange = video.rename(kit.folder / "P1_S\udcff.mp4")
    yield kit.process(strange)
    yield kit.process(strange.rename(kit.folder / "P1_S2.mp4"))


@remedy(": this folder's name is not text; rename the folder.")
def a_folder_s_name_that_is_no_text(kit: Kit) -> Steps:
    strange = kit.video("cafe/P1_S1.mp4").parent.rename(kit.folder / "caf\udce9")
    yield kit.process(strange / "P1_S1.mp4")
    yield kit.process(strange.rename(kit.folder / "cafe") / "P1_S1.mp4")


@remedy(": not found, or can't be read; give a folder of videos.")
def a_folder_that_is_not_there(kit: Kit) -> Steps:
    from pipeline.processing.recordings_folder import find_videos

    yield kit.call(find_videos, kit.folder / "nowhere")
    kit.video("in/P1_S1.mp4")
    yield kit.call(find_videos, kit.folder / "in")


@remedy(
    ": no such folder; give the --out folder of `emonext process`.",
    ": holds no results; give the --out folder of `emonext process`.",
)
def a_folder_without_results(kit: Kit) -> Steps:
    yield kit.run("report", kit.folder / "nowhere")
    kit.study()
    yield kit.run("report", kit.out)


@remedy(": holds no results; give the --out folder of `emonext process`.")
def an_empty_folder(kit: Kit) -> Steps:
    yield kit.run("status", kit.folder)
    kit.study()
    yield kit.run("status", kit.out)


@remedy(": no session in this folder; run `emonext process` with --out {} first.")
def a_folder_of_which_all_was_purged(kit: Kit) -> Steps:
    kit.process(kit.video())
    assert kit.run("purge", kit.out, "--patient", "P1", "--yes").code == 0
    yield kit.run("report", kit.out)
    kit.process(kit.video())
    yield kit.run("report", kit.out)


def failed_only(kit: Kit) -> Path:
    """A folder in which the only session failed."""
    broken = kit.folder / "P1_S1.mp4"
    broken.write_text("no video")
    assert kit.process(broken).code == 1
    return kit.video()


NO_TIMELINE = ": no timeline in this folder; run `emonext process` with --out {} first."


@remedy(f"{NO_TIMELINE}")
def people_without_a_timeline(kit: Kit) -> Steps:
    video = failed_only(kit)
    yield kit.run("people", kit.out)
    kit.process(video)
    yield kit.run("people", kit.out)


@remedy(f"{NO_TIMELINE}")
def summaries_without_a_timeline(kit: Kit) -> Steps:
    video = failed_only(kit)
    yield kit.run("summarize", kit.out)
    kit.process(video)
    yield kit.run("summarize", kit.out)


@remedy(f"{NO_TIMELINE}", f"{NO_TIMELINE}")
def reports_without_a_timeline(kit: Kit) -> Steps:
    video = failed_only(kit)
    yield kit.run("report", kit.out)
    kit.process(video)
    yield kit.run("report", kit.out)


@remedy(f"{NO_TIMELINE}")
def ratings_without_a_timeline(kit: Kit) -> Steps:
    video = failed_only(kit)
    ratings = kit.table("P1_S1_anna.csv", "start_s;end_s;code", "0;1;happy")
    yield kit.run("agree", kit.out, ratings)
    kit.process(video)
    yield kit.run("agree", kit.out, ratings)


# --- where to


@remedy(": can't be written to ({}); choose another --out.")
def a_file_in_the_place_of_the_folder(kit: Kit) -> Steps:
    video = kit.video()
    kit.out.write_text("")
    yield kit.process(video)
    yield kit.process(video, out=kit.folder / "other")


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


def rewrite(path: Path, change, **metadata: object) -> None:
    """The table with other rows or metadata, whole."""
    write_table(path, change(read_table(path)), {**read_metadata(path), **metadata})


def again(kit: Kit) -> None:
    """``emonext process`` of the study's recordings, as its messages say."""
    ended = kit.process(*videos(kit))
    assert ended.code == 0, ended


@remedy(": not a file of this program, or damaged; run `emonext process` again.")
def a_damaged_timeline(kit: Kit) -> Steps:
    kit.study()
    damage(timeline_path(kit.out, "P1", "S1"))
    yield kit.run("report", kit.out)
    again(kit)
    yield kit.run("report", kit.out)


@remedy(": not a file of this program, or damaged; run `emonext process` again.")
def damaged_faces(kit: Kit) -> Steps:
    kit.study()
    damage(faces_path(kit.out, "P1", "S1"))
    yield kit.run("people", kit.out)
    again(kit)
    yield kit.run("people", kit.out)


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


@remedy(
    ": holds what this program does not write ({}); run `emonext process` again, and "
    "if that does not help, report it as a fault of the program."
)
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


@remedy(
    ": holds what this program does not write ({}); run `emonext process` again, and "
    "if that does not help, report it as a fault of the program."
)
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
    ": can't be read. Put it back from a backup; or delete it: the log stays whole, but "
    "whose its entries are is then lost."
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
    "is up to date; --overwrite makes it anew",
    "is up to date; --overwrite makes it anew",
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


@remedy("its process was killed, perhaps for want of memory; try again with fewer --jobs")
def a_killed_process(kit: Kit) -> Steps:
    def killed(job: Job, instruments: object, on_progress: object) -> Outcome:
        return failed(job, _ending(-signal.SIGKILL))

    video = kit.video()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline.processing.jobs, "attempt", killed)
        yield kit.process(video)
    yield kit.process(video, "--jobs", 1)


# --- options of process


def option(message: str, bad: tuple[object, ...], *good: tuple[object, ...]) -> None:
    """Enters a case: ``emonext process`` of a video with options that are refused, and then as advised."""

    def case(kit: Kit) -> Steps:
        video = kit.video()
        yield kit.process(video, *bad)
        for number, options in enumerate(good):
            yield kit.process(video, *options, out=kit.folder / f"out{number}")

    case.__name__ = " ".join(map(str, bad))
    remedy(message)(case)


option("--fps {}: give samples per second, above 0 and up to {}.", ("--fps", 0), ("--fps", 60))
option(
    "--patient-track {}: give longest, largest or the number of a track.",
    ("--patient-track", "tallest"),
    *(("--patient-track", "longest"), ("--patient-track", "largest"), ("--patient-track", 1)),
)
option("--identity {}: give dlib, or FILE:SHA256.", ("--identity", "facenet"), ("--identity", "dlib"))


@remedy("--min-face {}: give {} px or more.")
def a_face_that_is_too_small(kit: Kit) -> Steps:
    yield kit.call(Cascade, 3)
    yield kit.call(Cascade, 12)


@remedy("--device {}: unknown; use auto, cpu or cuda.")
def a_device_that_is_none(kit: Kit) -> Steps:
    yield kit.call(choose_device, "tpu")
    yield kit.call(choose_device, "auto")
    yield kit.call(choose_device, "cpu")


@remedy("--device cuda: no usable GPU on this machine; use --device cpu or auto.")
def a_gpu_that_is_not_there(kit: Kit) -> Steps:
    kit.patch.setattr("torch.cuda.is_available", lambda: False)
    yield kit.call(choose_device, "cuda")
    yield kit.call(choose_device, "cpu")
    yield kit.call(choose_device, "auto")


option("--{}: only goes with {}; leave the option out.", ("--ray-address", "auto"), ())


@remedy("give the sha256 that its maker states")
def a_network_with_another_sha256(kit: Kit) -> Steps:
    video, network = kit.video(), kit.folder / "net.pt"
    network.write_bytes(b"weights")
    yield kit.process(video, "--identity", f"{network}:{'0' * 64}")
    yield kit.process(video, "--identity", f"{network}:{hashlib.sha256(b'weights').hexdigest()}")


# --- photos of the patient


@remedy(
    ": can't be read as a picture; save it again as JPEG or PNG.",
    "can't be read as a picture; save it again, as .jpg or .png.",
)
def a_damaged_photo(kit: Kit) -> Steps:
    listed, photo = with_photo(kit)
    photo.write_bytes(b"no picture")
    yield kit.process(listed)
    picture([(40, 40)]).save(photo)
    yield kit.process(listed)


@remedy("can't be read as a picture; save it again, as .jpg or .png.")
def a_damaged_photo_in_a_list(kit: Kit) -> Steps:
    listed, photo = with_photo(kit)
    photo.write_bytes(b"no picture")
    yield kit.run("study", "check", listed)
    picture([(40, 40)]).save(photo)
    yield kit.run("study", "check", listed)


@remedy(": shows {}; give a photo with the patient's face alone.")
def a_photo_of_two(kit: Kit) -> Steps:
    listed, photo = with_photo(kit)
    picture([(40, 40), (200, 40)]).save(photo)
    yield kit.process(listed)
    picture([(40, 40)]).save(photo)
    yield kit.process(listed)


def picture(corners: list[tuple[int, int]]) -> Image.Image:
    return Image.fromarray(with_faces(corners))


def with_photo(kit: Kit) -> tuple[Path, Path]:
    """A list that names a photo, and where the photo belongs."""
    kit.video()
    header = "patient_id;session_id;video;consent;patient_face"
    return kit.sessions("P1;S1;P1_S1.mp4;yes;face.png", header=header), kit.folder / "face.png"


# --- recordings in several files


@remedy(
    "px, but the session's first file has {} × {}; give it as a session of its own.",
    "px, and the session's first file has {} × {}; make it a session of its own.",
)
def files_of_two_sizes(kit: Kit) -> Steps:
    kit.video()
    encode(kit.folder / "b.mp4", [with_faces([(40, 40)], width=400)] * 10, rate=10)
    yield kit.process(kit.sessions("P1;S1;P1_S1.mp4;yes", "P1;S1;b.mp4;yes"))
    yield kit.process(kit.sessions("P1;S1;P1_S1.mp4;yes", "P1;S2;b.mp4;yes"))


@remedy("px, and the session's first file has {} × {}; make it a session of its own.")
def files_of_two_sizes_in_a_list(kit: Kit) -> Steps:
    kit.video()
    encode(kit.folder / "b.mp4", [with_faces([(40, 40)], width=400)] * 10, rate=10)
    yield kit.run("study", "check", kit.sessions("P1;S1;P1_S1.mp4;yes", "P1;S1;b.mp4;yes"))
    yield kit.run("study", "check", kit.sessions("P1;S1;P1_S1.mp4;yes", "P1;S2;b.mp4;yes"))


# --- the video of a review

REVIEW = ("P1", "S1", "--blur", "all")


@remedy(": does not say where the video of {} lies; give --video FILE.")
def a_review_after_the_status_was_lost(kit: Kit) -> Steps:
    kit.study()
    (kit.out / "status.parquet").unlink()
    yield kit.run("review", kit.out, *REVIEW)
    yield kit.run("review", kit.out, *REVIEW, "--video", videos(kit)[0])


@remedy(": not found; say where it lies now with --video FILE.")
def a_review_of_a_video_that_was_moved(kit: Kit) -> Steps:
    video = kit.video()
    kit.process(video)
    moved = video.rename(kit.folder / "moved.mp4")
    yield kit.run("review", kit.out, *REVIEW)
    yield kit.run("review", kit.out, *REVIEW, "--video", moved)


@remedy(": the session's recording has {}, not {}; give --video for each of them, in their order.")
def a_review_of_one_file_of_two(kit: Kit) -> Steps:
    one, two = kit.video(), kit.video("b.mp4")
    kit.process(kit.sessions("P1;S1;P1_S1.mp4;yes", "P1;S1;b.mp4;yes"))
    yield kit.run("review", kit.out, *REVIEW, "--video", one)
    yield kit.run("review", kit.out, *REVIEW, "--video", one, "--video", two)


@remedy(
    ": not the video that was processed (its sha256 is another one); give that one "
    "with --video, or process this one."
)
def a_review_of_another_video(kit: Kit) -> Steps:
    video = kit.video()
    kit.process(video)
    before = video.rename(kit.folder / "before.mp4")
    kit.video("P1_S2.mp4").rename(video)
    yield kit.run("review", kit.out, *REVIEW)
    yield kit.run("review", kit.out, *REVIEW, "--video", before)
    yield works(kit.process(video), kit.run("review", kit.out, *REVIEW))


@remedy(
    ": holds no annotated copy of this timeline; leave out --no-video, or add "
    "--original to play the recording itself, which shows everybody."
)
def a_review_without_a_copy(kit: Kit) -> Steps:
    kit.study()
    command = ("review", kit.out, "P1", "S1")
    yield kit.run(*command, "--no-video")
    yield kit.run(*command, "--no-video", "--original")
    yield kit.run(*command)


@remedy("a new copy of the video, not with --no-video")
def blurring_without_a_copy(kit: Kit) -> Steps:
    kit.study()
    kit.run("review", kit.out, *REVIEW)
    yield kit.run("review", kit.out, *REVIEW, "--no-video")
    yield kit.run("review", kit.out, "P1", "S1", "--no-video")


# --- people


def roles(kit: Kit) -> Path:
    kit.study()
    assert kit.run("people", kit.out).code == 0
    return kit.out / "people.csv"


@remedy(": its first line does not name {}; make it anew.")
def a_table_of_people_without_a_column(kit: Kit) -> Steps:
    table = roles(kit)
    table.write_text(table.read_text("utf-8").replace("tracks", "trks"), encoding="utf-8")
    yield kit.run("people", kit.out, "--apply", table)
    assert kit.run("people", kit.out).code == 0
    yield kit.run("people", kit.out, "--apply", table)


@remedy("the session was processed again since; make the table anew.")
def a_table_of_people_of_an_earlier_run(kit: Kit) -> Steps:
    table = roles(kit)
    assert kit.process(*videos(kit), "--fps", 2).code == 0
    yield kit.run("people", kit.out, "--apply", table)
    assert kit.run("people", kit.out).code == 0
    yield kit.run("people", kit.out, "--apply", table)


@remedy(": write {}.")
def a_role_that_is_none(kit: Kit) -> Steps:
    table = roles(kit)
    text = table.read_text("utf-8")
    table.write_text(text.replace(";patient;", ";nurse;"), encoding="utf-8")
    yield kit.run("people", kit.out, "--apply", table)
    table.write_text(text.replace(";patient;", ";caregiver;"), encoding="utf-8")
    yield kit.run("people", kit.out, "--apply", table)


@remedy("not as it was written; make the table anew.")
def tracks_that_are_none(kit: Kit) -> Steps:
    table = roles(kit)
    lines = table.read_text("utf-8").splitlines()
    parts = lines[1].split(";")
    parts[-2] = "1,5"
    table.write_text("\n".join([lines[0], ";".join(parts), *lines[2:]]), encoding="utf-8")
    yield kit.run("people", kit.out, "--apply", table)
    assert kit.run("people", kit.out).code == 0
    yield kit.run("people", kit.out, "--apply", table)


@remedy("a new table, not with --apply")
def comparing_while_roles_are_given_back(kit: Kit) -> Steps:
    table = roles(kit)
    yield kit.run("people", kit.out, "--apply", table, "--identity", "dlib")
    yield kit.run("people", kit.out, "--apply", table)


# --- reports and exports


@remedy("--lang {}: there is no such language; choose {}.")
def a_language_that_is_none(kit: Kit) -> Steps:
    kit.study()
    yield kit.run("report", kit.out, "--lang", "de")
    yield kit.run("report", kit.out, "--lang", "en")
    yield kit.run("report", kit.out, "--lang", "fr")


@remedy(": is there, and not from an export; give another --out.")
def a_file_where_an_export_goes(kit: Kit) -> Steps:
    kit.study()
    kit.table("sessions.csv", "mine", folder=kit.out / "exports/csv")
    yield kit.run("export", kit.out, "--format", "csv")
    yield kit.run("export", kit.out, "--format", "csv", "--out", kit.folder / "csv")


@remedy(": not as an export writes it; give another --out.")
def a_damaged_list_of_an_export(kit: Kit) -> Steps:
    kit.study()
    kit.table(".exported.json", "{", folder=kit.out / "exports/csv")
    yield kit.run("export", kit.out, "--format", "csv")
    yield kit.run("export", kit.out, "--format", "csv", "--out", kit.folder / "csv")


@remedy(": is there, perhaps with a rater's corrections; move it away, or give another --out.")
def an_export_that_a_rater_worked_on(kit: Kit) -> Steps:
    kit.study()
    command = ("export", kit.out, "--format", "boris")
    assert kit.run(*command).code == 0
    yield kit.run(*command)
    yield kit.run(*command, "--out", kit.folder / "boris")
    (kit.out / "exports/boris/emonext-care.boris").rename(kit.folder / "aside.boris")
    yield kit.run(*command)


@remedy(": no session has a reading {}; leave out --reading.")
def a_reading_that_no_session_has(kit: Kit) -> Steps:
    kit.study()
    yield kit.run("export", kit.out, "--format", "boris", "--reading", "corrected")
    yield kit.run("export", kit.out, "--format", "boris")


@remedy("--format elan and boris")
def a_reading_of_tables(kit: Kit) -> Steps:
    kit.study()
    yield kit.run("export", kit.out, "--format", "csv", "--reading", "raw")
    yield kit.run("export", kit.out, "--format", "csv")


@remedy(
    "BIDS knows letters and digits alone: the {} {} and {} would both be {}; "
    "export as csv, or give them other ids."
)
def ids_that_are_one_in_bids(kit: Kit) -> Steps:
    one, other = kit.video("P-1_S1.mp4"), kit.video("P.1_S2.mp4")
    kit.process(one, other)
    yield kit.run("export", kit.out, "--format", "bids")
    yield kit.run("export", kit.out, "--format", "csv")
    assert kit.run("purge", kit.out, "--patient", "P.1", "--yes").code == 0
    kit.process(one, other.rename(kit.folder / "P2_S2.mp4"))
    yield kit.run("export", kit.out, "--format", "bids")


@remedy(": {} has {} rows, more than Excel takes; export as csv.")
def a_table_that_is_too_long_for_excel(kit: Kit) -> Steps:
    kit.study()
    kit.patch.setattr(pipeline.exchange.tables, "_MAX_EXCEL_ROWS", 1)
    yield kit.run("export", kit.out, "--format", "xlsx")
    yield kit.run("export", kit.out, "--format", "csv")


@remedy(": holds no summaries; run `emonext summarize {}` first.")
def tables_without_summaries(kit: Kit) -> Steps:
    kit.study()
    said = kit.call(derived_tables, kit.out)
    yield said
    yield works(kit.named(said), kit.call(derived_tables, kit.out))


@remedy(": no session in its summaries; run `emonext process`, then `summarize`.")
def an_export_of_no_session(kit: Kit) -> Steps:
    kit.process(kit.video())
    kit.run("summarize", kit.out)
    rewrite(kit.out / "summaries/sessions.parquet", lambda table: table.slice(0, 0))
    every = lambda: list(sessions_to_export(kit.out, lambda done, total: None))  # noqa: E731
    yield kit.call(every)
    assert kit.process(kit.folder / "P1_S1.mp4").code == 0
    assert kit.run("summarize", kit.out).code == 0
    yield kit.call(every)


# --- episodes

for bad, good, text in (
    (("--leave", 0.9), ("--leave", 0.5), "--leave {} and --enter {}: 0 ≤ leave ≤ enter ≤ 1."),
    (("--bridge", 9), ("--bridge", 1), "--bridge {}: from 0 to the shortest episode's length."),
    (("--smoothing", -1), ("--smoothing", 0), "--smoothing and --max-unobserved: 0 s or more."),
    (
        ("--min-coverage", 2),
        ("--min-coverage", 1),
        "--min-coverage: from 0 to 1; min_observed_s and min_rest_s: 0 s or more.",
    ),
):

    def setting(kit: Kit, bad: tuple[object, ...] = bad, good: tuple[object, ...] = good) -> Steps:
        kit.study()
        yield kit.run("summarize", kit.out, *bad)
        yield kit.run("summarize", kit.out, *good)

    setting.__name__ = f"summarize {bad[0]}"
    remedy(text)(setting)


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
    assert len(list(kit.out.rglob("*.withdrawn"))) == 2
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


@remedy("--yes: is needed where nobody can be asked; nothing of {} was deleted.")
def a_purge_without_a_terminal(kit: Kit) -> Steps:
    kit.study()
    yield kit.run("purge", kit.out, "--patient", "P1")
    yield kit.run("purge", kit.out, "--patient", "P1", "--yes")


@remedy(": what was exported goes ({}); `emonext export` makes it again")
def a_purge_of_what_was_exported(kit: Kit) -> Steps:
    kit.study()
    kit.run("export", kit.out, "--format", "csv")
    yield kit.run("purge", kit.out, "--patient", "P1", "--yes")
    assert not (kit.out / "exports").exists()
    yield kit.run("export", kit.out, "--format", "csv")


@remedy(": goes; `emonext {}` makes it again")
def a_purge_of_what_commands_made(kit: Kit) -> Steps:
    kit.study()
    kit.run("people", kit.out)
    said = kit.run("purge", kit.out, "--patient", "P1", "--yes")
    yield said
    for command in re.findall("`emonext ([a-z]+)` makes it again", said.text):
        yield kit.run(command, kit.out)


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
    ": {} not encrypted, from before there was a key ({}); process their sessions again "
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


@remedy(": holds no list of sessions; run `emonext study init {}` first.")
def a_check_before_there_is_a_list(kit: Kit) -> Steps:
    kit.video()
    said = kit.run("study", "check", kit.folder)
    yield said
    assert kit.named(said).code == 0
    path = kit.folder / "sessions.csv"
    header, row = path.read_text("utf-8-sig").splitlines()
    cells = dict(zip(header.split(";"), row.split(";"), strict=True)) | {"consent": "yes"}
    path.write_text(f"{header}\n{';'.join(cells.values())}\n", encoding="utf-8")
    yield kit.run("study", "check", kit.folder)


@remedy(
    ": {} without recorded_at: the date is what the camera stored; `emonext study check` shows the dates."
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
    kit.patch.setattr("pipeline.checks.demo_study.make_study", lambda out, update: None)
    kit.patch.setattr("reports.write_reports", lambda out, update: out)
    yield kit.run("demo", "--study", "--out", kit.out)


@remedy(": holds something else than a made study; choose another --out.")
def a_made_study_over_another(kit: Kit) -> Steps:
    kit.study()
    kit.patch.setattr("pipeline.checks.demo_study.make_study", lambda out, update: None)
    kit.patch.setattr("reports.write_reports", lambda out, update: out)
    yield kit.run("demo", "--study", "--out", kit.out)
    yield kit.run("demo", "--study", "--out", kit.folder / "other")


@remedy(": can't be written to ({}); choose another --out.")
def a_made_study_in_a_file(kit: Kit) -> Steps:
    kit.out.write_text("")
    kit.patch.setattr("pipeline.checks.demo_study.make_study", lambda out, update: None)
    kit.patch.setattr("reports.write_reports", lambda out, update: out)
    yield kit.run("demo", "--study", "--out", kit.out)
    yield kit.run("demo", "--study", "--out", kit.folder / "other")


@remedy("--session {}: names one session, but there are {} videos; give one video, or leave the option out.")
def one_session_of_two_videos(kit: Kit) -> Steps:
    one, other = kit.video("P1_a.mp4"), kit.video("P1_b.mp4")
    yield kit.process(one, other, "--session", "S1")
    yield kit.process(one, "--session", "S1")
    yield kit.process(one, other)


@remedy("--patient-track {}: this video has {}, and none of that number.")
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
