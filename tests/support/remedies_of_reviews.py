"""Carry out the advice of messages about photos, reviews, people, reports and exports."""

import shutil
from pathlib import Path

from PIL import Image
from remedies import Ended, Kit, Steps, remedy, rewrite, videos, works
from videos import encode, with_faces

import pipeline.processing.jobs
from pipeline.checks.trial_recordings import find_trial
from pipeline.exchange.exported import sessions_to_export
from pipeline.exchange.tables import derived_tables
from reports.forms.preflight import check_page_path

# --- photos of the patient


@remedy(
    "can't be read as a picture; save it again as JPEG or PNG.",
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


@remedy("shows {} faces; give a photo with the patient's face alone.")
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


@remedy(": has no path of the video of {}; give --video FILE.")
def a_review_after_the_status_was_lost(kit: Kit) -> Steps:
    kit.study()
    (kit.out / "status.parquet").unlink()
    yield kit.run("review", kit.out, *REVIEW)
    yield kit.run("review", kit.out, *REVIEW, "--video", videos(kit)[0])


@remedy(": not found; give its new path with --video FILE.")
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
    ": not the video that was processed (it has another sha256); give that one "
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
    ": holds no annotated copy of this timeline; run review without --no-video, or add "
    "--original to play the recording itself, which shows everybody."
)
def a_review_without_a_copy(kit: Kit) -> Steps:
    kit.study()
    command = ("review", kit.out, "P1", "S1")
    yield kit.run(*command, "--no-video")
    yield kit.run(*command, "--no-video", "--original")
    yield kit.run(*command)


@remedy("The copy of the video is up to date. Use --overwrite to draw it again.")
def a_review_that_is_up_to_date(kit: Kit) -> Steps:
    kit.study()
    kit.run("review", kit.out, *REVIEW)
    yield kit.run("review", kit.out, *REVIEW)
    copy = kit.out / "review/P1/S1.mp4"
    before = copy.stat().st_mtime_ns
    ended = kit.run("review", kit.out, *REVIEW, "--overwrite")
    assert copy.stat().st_mtime_ns > before
    yield ended


@remedy("Where a recording has moved: emonext review {} --video FILE")
def reviews_of_which_one_recording_was_moved(kit: Kit) -> Steps:
    one, two = kit.video(), kit.video("P1_S2.mp4")
    kit.process(one, two)
    moved = one.rename(kit.folder / "moved.mp4")
    command = ("review", kit.out, "--blur", "all")
    yield kit.run(*command)
    assert kit.run("review", kit.out, *REVIEW, "--video", moved).code == 0
    yield kit.run(*command)


@remedy(": no session{} with a timeline; look with `emonext status {}`.")
def reviews_of_an_unknown_patient(kit: Kit) -> Steps:
    kit.study()
    said = kit.run("review", kit.out, "P9")
    yield said
    yield works(kit.named(said), kit.run("review", kit.out, "P1", "--blur", "all"))


@remedy("a new copy of the video, not with --no-video")
def blurring_without_a_copy(kit: Kit) -> Steps:
    kit.study()
    kit.run("review", kit.out, *REVIEW)
    yield kit.run("review", kit.out, *REVIEW, "--no-video")
    yield kit.run("review", kit.out, "P1", "S1", "--no-video")


# --- people


@remedy("a new page, not with --apply")
def a_language_of_applied_roles(kit: Kit) -> Steps:
    table = roles(kit)
    yield kit.run("people", kit.out, "--apply", table, "--lang", "fr")
    yield kit.run("people", kit.out, "--apply", table)
    yield kit.run("people", kit.out, "--lang", "fr")


def roles(kit: Kit) -> Path:
    kit.study()
    assert kit.run("people", kit.out).code == 0
    return kit.out / "people.csv"


@remedy(": its first line does not name {}; make it again with `emonext people`.")
def a_table_of_people_without_a_column(kit: Kit) -> Steps:
    table = roles(kit)
    table.write_text(table.read_text("utf-8").replace("tracks", "trks"), encoding="utf-8")
    yield kit.run("people", kit.out, "--apply", table)
    assert kit.run("people", kit.out).code == 0
    yield kit.run("people", kit.out, "--apply", table)


@remedy("the session was processed again since; make the table again.")
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
    table.write_text(text.replace(",patient,", ",nurse,"), encoding="utf-8")
    yield kit.run("people", kit.out, "--apply", table)
    table.write_text(text.replace(",patient,", ",caregiver,"), encoding="utf-8")
    yield kit.run("people", kit.out, "--apply", table)


@remedy("changed since it was written; make the table again.")
def tracks_that_are_none(kit: Kit) -> Steps:
    table = roles(kit)
    lines = table.read_text("utf-8").splitlines()
    parts = lines[1].split(",")
    parts[-2] = "1;5"
    table.write_text("\n".join([lines[0], ",".join(parts), *lines[2:]]), encoding="utf-8")
    yield kit.run("people", kit.out, "--apply", table)
    assert kit.run("people", kit.out).code == 0
    yield kit.run("people", kit.out, "--apply", table)


# --- a seat that somebody drew


@remedy("{}: not a page; give a name that ends with .html.")
def a_page_in_the_place_of_a_video(kit: Kit) -> Steps:
    yield kit.call(check_page_path, kit.folder / "trial.mp4")
    yield kit.call(check_page_path, kit.folder / "recordings.html")


@remedy("{}: not opened: {} states no consent; write yes there if there is consent.")
def a_recording_without_consent(kit: Kit) -> Steps:
    video = kit.video()
    kit.sessions("P1;S1;P1_S1.mp4;no")
    yield kit.call(find_trial, video)
    kit.sessions("P1;S1;P1_S1.mp4;yes")
    yield kit.call(find_trial, video)


def drawn(kit: Kit, *rows: dict[str, str]) -> Ended:
    """Apply the table with these cells in its first rows."""
    table = roles(kit)
    head, *lines = [line.split(",") for line in table.read_text("utf-8").splitlines()]
    for line, cells in zip(lines, rows, strict=False):
        for name, cell in cells.items():
            line[[column.lstrip("\ufeff") for column in head].index(name)] = cell
    table.write_text("\n".join(",".join(line) for line in (head, *lines)), encoding="utf-8")
    return kit.run("people", kit.out, "--apply", table)


WHOLE = '"0,0,100,100"'


@remedy("{}; draw another rectangle, or name the patient by `role`.")
def an_empty_seat(kit: Kit) -> Steps:
    yield drawn(kit, {"patient_region": '"90,90,100,100"'})
    shutil.rmtree(kit.out)
    yield drawn(kit, {"patient_region": WHOLE})
    shutil.rmtree(kit.out)
    yield drawn(kit, {"approved": "yes"})


@remedy("a person named another patient of this session; empty this cell.")
def a_seat_and_a_name(kit: Kit) -> Steps:
    yield drawn(kit, {"patient_region": '"90,90,100,100"', "approved": "yes"})
    shutil.rmtree(kit.out)
    yield drawn(kit, {"patient_region": "", "approved": "yes"})


@remedy("a person gave another role to whoever sits there; correct one of the two.")
def a_carer_in_the_seat(kit: Kit) -> Steps:
    yield drawn(kit, {"patient_region": WHOLE, "role": "caregiver"})
    shutil.rmtree(kit.out)
    yield drawn(kit, {"patient_region": WHOLE, "role": "patient"})
    shutil.rmtree(kit.out)
    yield drawn(kit, {"patient_region": "", "role": "caregiver"})


# --- reports and exports


@remedy("--lang {}: there is no such language; choose {}.")
def a_language_that_is_none(kit: Kit) -> Steps:
    kit.study()
    yield kit.run("report", kit.out, "--lang", "de")
    yield kit.run("report", kit.out, "--lang", "en")
    yield kit.run("report", kit.out, "--lang", "fr")


@remedy(": exists, and is not from an export; give another --out.")
def a_file_where_an_export_goes(kit: Kit) -> Steps:
    kit.study()
    kit.table("sessions.csv", "mine", folder=kit.out / "exports/csv")
    yield kit.run("export", kit.out, "--format", "csv")
    yield kit.run("export", kit.out, "--format", "csv", "--out", kit.folder / "csv")


@remedy(": damaged list of exports; give another --out.")
def a_damaged_list_of_an_export(kit: Kit) -> Steps:
    kit.study()
    kit.table(".exported.json", "{", folder=kit.out / "exports/csv")
    yield kit.run("export", kit.out, "--format", "csv")
    yield kit.run("export", kit.out, "--format", "csv", "--out", kit.folder / "csv")


@remedy(": exists, perhaps with a rater's corrections; move it away, or give another --out.")
def an_export_that_a_rater_worked_on(kit: Kit) -> Steps:
    kit.study()
    command = ("export", kit.out, "--format", "boris")
    assert kit.run(*command).code == 0
    yield kit.run(*command)
    yield kit.run(*command, "--out", kit.folder / "boris")
    (kit.out / "exports/boris/emonext-care.boris").rename(kit.folder / "aside.boris")
    yield kit.run(*command)


@remedy(": no session has the reading {}; leave out --reading.")
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


@remedy(': decimal: write {}, or "point".')
def a_decimal_mark_that_is_none(kit: Kit) -> Steps:
    kit.study()
    path = kit.out / "tables.toml"
    for text in ('decimal = ","', 'decimal = "comma"', 'decimal = "point"'):
        path.write_text(text)
        yield kit.run("export", kit.out, "--format", "csv")


@remedy("Without the samples of the sessions; --samples adds them.")
def an_export_without_samples(kit: Kit) -> Steps:
    kit.study()
    yield kit.run("export", kit.out, "--format", "csv")
    yield kit.run("export", kit.out, "--format", "csv", "--samples")


@remedy(": kept as it is, and differs from the original; rename or delete it to get the original.")
def a_notebook_that_was_changed(kit: Kit) -> Steps:
    kit.study()
    path = kit.out / "notebooks" / "1_first_look.ipynb"
    assert kit.run("notebooks", kit.out, "--no-open").code == 0
    path.write_text("{}")
    yield kit.run("notebooks", kit.out, "--no-open")
    path.rename(path.with_name("mine.ipynb"))
    yield kit.run("notebooks", kit.out, "--no-open")


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
