"""Carry out the advice of messages about recordings, results and folders."""

import hashlib
import re
import shutil
from pathlib import Path

from remedies import Kit, Steps, remedy

from emonext.device import choose_device
from pipeline.faces.mtcnn import Cascade

# --- which videos, and whose


@remedy(": the same patient and session as {}; rename one.")
def two_videos_of_one_name(kit: Kit) -> Steps:
    one, other = kit.video("a/P1_S1.mp4"), kit.video("b/P1_S1.mp4")
    yield kit.process(one, other)
    yield kit.process(one, other.rename(other.with_name("P1_S2.mp4")))


@remedy(": patient unknown. Name it <patient>_<session>{}, or give --patient.")
def a_video_without_ids(kit: Kit) -> Steps:
    video = kit.video("film.mp4")
    yield kit.process(video)
    yield kit.process(video, "--patient", "P1")
    yield kit.process(video.rename(kit.folder / "P1_S7.mp4"))


@remedy(": not named as a video ({}). Give a video; if this is one, give --patient too.")
def a_file_that_is_not_named_as_a_video(kit: Kit) -> Steps:
    yield kit.process(kit.table("notes.txt", "a note"))
    yield kit.process(kit.video())
    yield kit.process(kit.video("film.x"), "--patient", "P1")


@remedy("is a folder; give one video.")
def a_folder_in_place_of_a_video(kit: Kit) -> Steps:
    yield kit.run("info", kit.video().parent)
    yield kit.run("info", kit.video())


@remedy(": is a file; give {}.")
def a_file_in_place_of_a_folder(kit: Kit) -> Steps:
    yield kit.run("study", "init", kit.video("in/P1_S1.mp4"))
    yield kit.run("study", "init", kit.folder / "in")


@remedy(": is a file; give {}.", "the --out folder of `emonext process`")
def a_file_in_place_of_results(kit: Kit) -> Steps:
    kit.study()
    yield kit.run("status", kit.out / "status.parquet")
    yield kit.run("status", kit.out)


@remedy(": is a folder; give {}.")
def a_folder_in_place_of_a_key(kit: Kit) -> Steps:
    yield kit.run("key", kit.folder)
    yield kit.run("key", kit.folder / "a.key")


@remedy(": is a folder; give {}.")
def a_folder_in_place_of_an_adaptation(kit: Kit) -> Steps:
    kit.study()
    yield kit.run("summarize", kit.out, "--adapt", kit.folder)
    yield kit.run("summarize", kit.out, "--adapt", "none")


@remedy("{} is given {} times; give it once.")
def two_patients(kit: Kit) -> Steps:
    video = kit.video("film.mp4")
    yield kit.process(video, "--patient", "P1", "--patient", "P2", "--session", "S1")
    yield kit.process(video, "--patient", "P2", "--session", "S1")


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


@remedy(
    ": seems to be a list of sessions, but can't be read as one; save it as .csv (UTF-8) or .xlsx with the "
    "names of the columns in the first line, or move it away."
)
def a_list_in_another_form(kit: Kit) -> Steps:
    kit.video()
    listed = kit.sessions("P1;S1;P1_S1.mp4;yes")
    other = kit.folder / "list.csv"
    listed.rename(other)
    other.write_text(other.read_text("utf-8-sig"), "utf-16")
    yield kit.process(kit.folder)
    away = other.rename(kit.folder.parent / "list.csv")
    yield kit.process(kit.folder)
    listed.write_text(away.read_text("utf-16"), "utf-8")
    yield kit.process(listed)


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


@remedy(": Windows can't store a file of that name. Give another id, such as {}.")
def an_id_that_windows_keeps(kit: Kit) -> Steps:
    video = kit.video()
    said = kit.process(video, "--patient", "NUL")
    yield said
    yield kit.process(video, "--patient", re.search(r"such as (\S+)\.", said.text)[1])


@remedy(": this name is not text; rename the video.")
def a_name_that_is_no_text(kit: Kit) -> Steps:
    video = kit.video()
    strange = video.rename(kit.folder / "P1_S\udcff.mp4")
    yield kit.process(strange)
    yield kit.process(strange.rename(kit.folder / "P1_S2.mp4"))


@remedy(": a link to a file that is not there; correct or delete the link.")
def a_link_to_a_file_that_is_not_there(kit: Kit) -> Steps:
    kit.video("in/P1_S1.mp4")
    (kit.folder / "in" / "P1_S2.mp4").symlink_to("elsewhere.mp4")
    yield kit.process(kit.folder / "in")
    kit.video("in/elsewhere.mp4").rename(kit.folder / "in" / "P1_S2.mp4")
    yield kit.process(kit.folder / "in")


@remedy(": this folder's name is not text; rename the folder.")
def a_folder_s_name_that_is_no_text(kit: Kit) -> Steps:
    strange = kit.video("cafe/P1_S1.mp4").parent.rename(kit.folder / "caf\udce9")
    yield kit.process(strange / "P1_S1.mp4")
    yield kit.process(strange.rename(kit.folder / "cafe") / "P1_S1.mp4")


@remedy(": no such folder; give a folder of videos.")
def a_folder_that_is_not_there(kit: Kit) -> Steps:
    from pipeline.processing.recordings_folder import find_videos

    yield kit.call(find_videos, kit.folder / "nowhere")
    kit.video("in/P1_S1.mp4")
    yield kit.call(find_videos, kit.folder / "in")


@remedy(": can't be read; give a folder of videos.")
def a_folder_that_can_t_be_read(kit: Kit) -> Steps:
    from pipeline.processing.recordings_folder import find_videos

    yield kit.call(find_videos, kit.folder / ("n" * 300))
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


option("--{}: only valid with {}; leave the option out.", ("--ray-address", "auto"), ())


@remedy("give the sha256 that its maker states")
def a_network_with_another_sha256(kit: Kit) -> Steps:
    video, network = kit.video(), kit.folder / "net.pt"
    network.write_bytes(b"weights")
    yield kit.process(video, "--identity", f"{network}:{'0' * 64}")
    yield kit.process(video, "--identity", f"{network}:{hashlib.sha256(b'weights').hexdigest()}")
