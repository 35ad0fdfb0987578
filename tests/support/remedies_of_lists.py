"""What messages about tables that people write advise, carried out."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

from openpyxl import Workbook
from rating_files import aligned, boris, eaf, medium, referring, tier
from remedies import Ended, Kit, Steps, remedy

from pipeline.store.spreadsheet import read_table

# --- a study's list

COLUMNS = {
    "patient_id": "P1",
    "session_id": "S1",
    "video": "P1_S1.mp4",
    "recorded_at": "2026-03-01",
    "condition": "music",
    "exclude": "",
    "patient_face": "",
    "patient_region": "",
    "consent": "yes",
}


def cell(message: str, column: str, bad: str, *good: str) -> None:
    """Enters a case: a list with a bad cell, and with what is advised in its place."""

    def case(kit: Kit) -> Steps:
        kit.video()
        for value in (bad, *good):
            row = COLUMNS | {column: value}
            listed = kit.sessions(";".join(f'"{one}"' for one in row.values()), header=";".join(row))
            yield kit.run("study", "check", listed)

    case.__name__ = f"{column} {bad[:20]!r}"
    remedy(message)(case)


cell("empty; give the path of a file, from the list's folder.", "video", "", "P1_S1.mp4", "./P1_S1.mp4")
cell("give its path from the list's folder", "video", "S1.mp4", "P1_S1.mp4")
cell("write / between folders", "video", "..\\a study\\P1_S1.mp4", "../a study/P1_S1.mp4")
cell(
    "{} is no date here; write 2026-03-01 or 2026-03-01T14:30, in local time.",
    "recorded_at",
    "1 March",
    "2026-03-01",
    "2026-03-01T14:30",
)
cell(
    "can be {}, and {}; write 2026-03-01 or 2026-03-01T14:30, in local time.",
    "recorded_at",
    "01/03/2026",
    "2026-03-01",
    "2026-03-01T14:30",
)
cell("{} characters; write at most {}, and the rest in notes.", "condition", "x" * 65, "x" * 64)
cell("holds a line break or another control character; take it out.", "condition", "mu\tsic", "music")
cell(
    ": write stretches in order of time, and without overlap.",
    "exclude",
    "1-1.5;0.2-1.2",
    "0.2-1;1.2-1.5",
)
cell(
    "{} is no stretch; write seconds like 120-180;300-310, in cells formatted as text.",
    "exclude",
    "all",
    "0.5-1;1.2-1.5",
)
cell(
    "{} is no region; write x1,y1,x2,y2 in % of the picture: 0,10,55.5,100.",
    "patient_region",
    "left",
    "0,10,55.5,100",
)
cell("{} is no answer; say yes or no.", "consent", "maybe", "yes", "no")
cell("empty; say yes or no.", "consent", "", "yes", "no")
cell(
    "{} is no time; write seconds (90 or 90.5), mm:ss or h:mm:ss.",
    "start_s",
    "late",
    "1",
    "0.5",
    "00:01",
    "0:00:01",
)


def listed(message: str, *lines: tuple[str, ...]) -> None:
    """Enters a case: a list that is refused, and lists as advised."""

    def case(kit: Kit) -> Steps:
        kit.video()
        kit.video("b.mp4")
        for table in lines:
            yield kit.run("study", "check", kit.table("sessions.csv", *table))

    case.__name__ = " | ".join(lines[0])
    remedy(message)(case)


HEAD = "patient_id;session_id;video;consent"
ONE = "P12;S1;P1_S1.mp4;yes"

listed("no session in the list; write one row for each.", (HEAD,), (HEAD, ONE))
listed(
    ": its first line names no columns that are known. It must name {}, parted by ; or a comma.",
    (ONE,),
    (HEAD, ONE),
    (HEAD.replace(";", ","), ONE.replace(";", ",")),
)
listed(
    "no such column{} Begin the names of your own columns with {}.",
    (f"{HEAD};room", f"{ONE};4"),
    (f"{HEAD};x_room", f"{ONE};4"),
)
listed("two columns have this name; keep one.", (f"{HEAD};consent", f"{ONE};yes"), (HEAD, ONE))
listed(
    'more cells than the header has names; a cell that holds the separator needs quotes (").',
    (f"{HEAD};notes", f"{ONE};a;b"),
    (f"{HEAD};notes", f'{ONE};"a;b"'),
)
listed(
    ": can't be read ({}); is a quote (\") not closed?",
    (f"{HEAD};notes", f'{ONE};"a'),
    (f"{HEAD};notes", f'{ONE};"a"'),
)
listed("empty; fill in these cells.", (HEAD, ";;P1_S1.mp4;"), (HEAD, ONE))
listed(
    "row {} says otherwise of the same session; say it there.",
    (f"{HEAD};condition", f"{ONE};", "P12;S1;b.mp4;yes;music"),
    (f"{HEAD};condition", f"{ONE};music", "P12;S1;b.mp4;yes;"),
)
listed(
    "differs from {} of row {} only in capitals, blanks or dots at the end; write it in one way.",
    (f"{HEAD};condition", f"{ONE};Music", "P12;S2;b.mp4;yes;music"),
    (f"{HEAD};condition", f"{ONE};music", "P12;S2;b.mp4;yes;music"),
)
TIMES = f"{HEAD};start_s;end_s"
listed(
    "; keep one, or give start_s and end_s.",
    (HEAD, ONE, "P12;S2;P1_S1.mp4;yes"),
    (HEAD, ONE),
    (TIMES, f"{ONE};0;1", "P12;S2;P1_S1.mp4;yes;1;2"),
)
listed(
    "{} s is after the end: {}; empty means all of it.",
    (TIMES, f"{ONE};;90"),
    (TIMES, f"{ONE};;"),
)
REGION = f"{HEAD};patient_region"
listed(
    "give both a patient_face or a patient_region, or both sessions may show the same person.",
    (HEAD, ONE, "P34;S1;P1_S1.mp4;yes"),
    (REGION, f"{ONE};0,0,50,100", "P34;S1;P1_S1.mp4;yes;50,0,100,100"),
)


@remedy("is no picture; give {}.")
def a_photo_in_another_form(kit: Kit) -> Steps:
    from PIL import Image

    kit.video()
    header = f"{HEAD};patient_face"
    (kit.folder / "face.heic").write_bytes(b"photo")
    said = kit.run("study", "check", kit.table("sessions.csv", header, f"{ONE};face.heic"))
    yield said
    for suffix in re.search(r"give (.*)\.", said.text)[1].split(", "):
        Image.new("RGB", (64, 64)).save(kit.folder / f"face{suffix}")
        yield kit.run("study", "check", kit.table("sessions.csv", header, f"{ONE};face{suffix}"))


@remedy(": exists already; edit it, or move it away.")
def a_list_that_is_there(kit: Kit) -> Steps:
    kit.video()
    path = kit.table("mine.csv", HEAD, ONE)
    yield kit.run("study", "init", kit.folder)
    yield kit.run("study", "check", path)
    path.rename(kit.folder.parent / "mine.csv")
    yield kit.run("study", "init", kit.folder)


@remedy(": a list of sessions is a .csv or .xlsx file; in the spreadsheet, save it as one of these.")
def a_list_of_another_program(kit: Kit) -> Steps:
    kit.video()
    path = kit.folder / "sessions.ods"
    path.write_bytes(b"PK")
    yield kit.process(path)
    yield kit.process(kit.table("sessions.csv", HEAD, ONE))
    (kit.folder / "sessions.csv").unlink()
    yield kit.process(workbook(kit.folder / "sessions.xlsx"))


def workbook(path: Path, *cells: object) -> Path:
    book = Workbook()
    for row in (HEAD.split(";"), cells or ONE.split(";")):
        book.active.append(row)
    book.save(path)
    return path


@remedy("in the spreadsheet, save it as “CSV UTF-8”")
def a_list_in_latin_1(kit: Kit) -> Steps:
    kit.video()
    path, text = kit.folder / "sessions.csv", f"{HEAD};notes\n{ONE};souriait à la fin\n"
    path.write_text(text, encoding="latin-1")
    yield kit.run("study", "check", path)
    path.write_text(text, encoding="utf-8-sig")
    yield kit.run("study", "check", path)


@remedy(
    ": not an Excel workbook (.xlsx), or protected by a password; in the "
    "spreadsheet, save it as “Excel workbook (.xlsx)” without a password, or as “CSV UTF-8”."
)
def a_workbook_with_a_password(kit: Kit) -> Steps:
    kit.video()
    path = kit.folder / "sessions.xlsx"
    path.write_bytes(b"\xd0\xcf\x11\xe0" + b"\0" * 500)
    yield kit.run("study", "check", path)
    yield kit.run("study", "check", workbook(path))
    yield kit.run("study", "check", kit.table("sessions.csv", HEAD, ONE))


@remedy(
    ": the formula in {} has no result; open the workbook in Excel and save it, or write the value itself."
)
def a_formula_that_was_never_calculated(kit: Kit) -> Steps:
    kit.video()
    path = kit.folder / "sessions.xlsx"
    yield kit.run("study", "check", workbook(path, "P12", "S1", '="P1_S1"&".mp4"', "yes"))
    yield kit.run("study", "check", workbook(path, *ONE.split(";")))


@remedy(": more than {} rows; divide it into several files.")
def a_list_that_is_too_long(kit: Kit) -> Steps:
    rows = [ONE] * 10_001
    yield kit.call(read_table, kit.table("sessions.csv", HEAD, *rows))
    for half in (rows[:5000], rows[5000:]):
        yield kit.call(read_table, kit.table("sessions.csv", HEAD, *half))


def toml(message: str, bad: str, *good: str, name: str = "study.toml") -> None:
    """Enters a case: settings that are refused, and settings as advised."""

    def case(kit: Kit) -> Steps:
        kit.video()
        for number, text in enumerate((bad, *good)):
            kit.table(name, text)
            yield kit.process(kit.sessions("P1;S1;P1_S1.mp4;yes"), out=kit.folder / f"out{number}")

    case.__name__ = f"{name} {bad}"
    remedy(message)(case)


toml(": {}{}: give {}.", 'sample_fps = "many"', "sample_fps = 0.5")
toml(": {}{}: give {}.", "patient_track = 1", 'patient_track = "longest"')
toml("a table: [quality], and below it its limits", "quality = 1", "[quality]\nmin_face_px = 20")
toml(": not TOML ({}); a line is like: {}", "sample_fps: 5", "sample_fps = 5.0")


@remedy("write it as plain text in UTF-8")
def settings_in_another_code(kit: Kit) -> Steps:
    kit.video()
    path = kit.folder / "study.toml"
    path.write_text("# é\nsample_fps = 2", encoding="utf-16")
    listed = kit.sessions("P1;S1;P1_S1.mp4;yes")
    yield kit.process(listed)
    path.write_text("# é\nsample_fps = 2", encoding="utf-8")
    yield kit.process(listed)


# --- events and scales, beside the results


def events(message: str, *texts: str) -> None:
    """Enters a case: a list of events that is left out, and one as advised."""

    def case(kit: Kit) -> Steps:
        kit.study()
        for text in texts:
            kit.table("events.csv", *text.split("|"), folder=kit.out)
            yield kit.run("report", kit.out)

    case.__name__ = f"events {texts[0]}"
    remedy(message)(case)


EVENT = "patient_id;session_id;time_s;what"
GOOD = f"{EVENT}|P1;S1;1;phone"
events(": no column {}; begin the first line with {}.", "P1;S1;1;phone", GOOD)
events(": {} columns; leave at most {}.", f"{EVENT}{';x_own' * 500}|P1;S1;1;phone", GOOD)
events("no event; write one line for each.", EVENT, GOOD)
events("empty; give the session's id.", f"{EVENT}|P1;;1;phone", GOOD)
events("empty; say what happened.", f"{EVENT}|P1;S1;1;", GOOD)
events(
    "write one line of at most {} characters.",
    f"{EVENT}|P1;S1;1;{'x' * 65}",
    f"{EVENT}|P1;S1;1;{'x' * 64}",
)
events("{} patients have a session {}; name one.", f"{EVENT}|;S1;1;phone", GOOD)
events(
    "no such column. Begin the names of your own columns with {}.",
    f"{EVENT};who|P1;S1;1;phone;nurse",
    f"{EVENT};x_who|P1;S1;1;phone;nurse",
)


@remedy(": holds no scale; remove it, or copy the program's.")
def a_file_without_scales(kit: Kit) -> Steps:
    import pipeline.analysis.scales

    kit.study()
    path = kit.table("scales.toml", "", folder=kit.out)
    yield kit.run("report", kit.out)
    path.unlink()
    yield kit.run("report", kit.out)
    shutil.copy(Path(pipeline.analysis.scales.__file__).with_name("scales.toml"), path)
    yield kit.run("report", kit.out)


@remedy(": {} is no scale: {}; compare it with {} of the program.")
def a_scale_that_is_none(kit: Kit) -> Steps:
    import pipeline.analysis.scales

    kit.study()
    text = Path(pipeline.analysis.scales.__file__).with_name("scales.toml").read_text("utf-8")
    path = kit.table("scales.toml", text.replace("window_s", "windows"), folder=kit.out)
    yield kit.run("report", kit.out)
    path.write_text(text, encoding="utf-8")
    yield kit.run("report", kit.out)


# --- ratings


def agree(kit: Kit, path: Path, *options: object) -> Ended:
    """In steps that are shorter than what is coded here."""
    return kit.run("agree", kit.out, path, "--step", 0.1, *options)


def ratings(kit: Kit, *lines: str, name: str = "P1_S1_anna.csv", head: str = "start_s;end_s;code") -> Path:
    if not kit.out.exists():
        kit.study()
    return kit.table(name, head, *lines)


@remedy(
    "Unknown codes: {}{}. Say what they mean with --codes, such as "
    "'smile=happy,talk=-,away=?' (- is left out, ? could not be judged)."
)
def codes_that_nobody_explained(kit: Kit) -> Steps:
    path = ratings(kit, "0;0.5;smile", "0.5;1;talk", "1;1.5;away")
    said = agree(kit, path)
    yield said
    yield agree(kit, path, "--codes", re.search(r"such as '(.+?)'", said.text)[1])


for text, bad, good in (
    (
        "--codes: {}: a code means one of {}, - (left out) or ? (could not be judged).",
        "smile=joy",
        "smile=happy,a=-,b=?",
    ),
    (
        "--codes: none= says what time without a code is taken for, such as none=neutral.",
        "smile=happy,none=-",
        "smile=happy,none=neutral",
    ),
    (
        "--codes {}: write CODE=LABEL, parted by commas, or give a .toml file.",
        "smile",
        "smile=happy,cry=sad",
    ),
):

    def wrong_codes(kit: Kit, bad: str = bad, good: str = good) -> Steps:
        path = ratings(kit, "0;0.5;smile")
        yield agree(kit, path, "--codes", bad)
        yield agree(kit, path, "--codes", good)
        table = kit.table("codes.toml", "[codes]", '"smile" = "happy"')
        yield agree(kit, path, "--codes", table)

    wrong_codes.__name__ = f"--codes {bad}"
    remedy(text)(wrong_codes)


@remedy(": not a map of codes; write {}")
def a_file_without_codes(kit: Kit) -> Steps:
    path = ratings(kit, "0;0.5;smile")
    yield agree(kit, path, "--codes", kit.table("codes.toml", '"smile" = "happy"'))
    yield agree(kit, path, "--codes", kit.table("codes.toml", "[codes]", '"smile" = "happy"'))


@remedy(
    "{} never coded neutral, so time without a code counts as “{}”, which the machine "
    "never says of a face that it reads. If it means neutral, give --codes {}=neutral."
)
def a_rater_who_never_coded_neutral(kit: Kit) -> Steps:
    path = ratings(kit, "0;0.5;happy")
    said = agree(kit, path)
    yield said
    yield agree(kit, path, *re.search(r"give (--codes \S+)\.", said.text)[1].split())


@remedy(
    "{}: nothing states what was rated of {}, so only the time from the first code "
    "to the last counts as rated. Give --rated 0-600, for example, or --rated all where every "
    "session was rated as a whole."
)
def a_rater_who_states_nothing(kit: Kit) -> Steps:
    path = ratings(kit, "0;0.5;happy", "1;1.5;neutral")
    yield agree(kit, path)
    for span in ("0-600", "all"):
        yield agree(kit, path, "--rated", span)


@remedy("--step {}: from 0.1 to 60 seconds.")
def a_step_that_is_too_long(kit: Kit) -> Steps:
    path = ratings(kit, "0;0.5;happy")
    yield agree(kit, path, "--step", 61)
    yield agree(kit, path, "--step", 0.1)


for text, bad, *good in (
    (
        "--rated {}: write FROM-TO, such as 0-600 or 0:30-10:00, or all.",
        "0",
        "0-600",
        "0:01-10:00",
        "all",
    ),
    ("--rated {}: ends before it starts; write FROM-TO, such as 0-600.", "9-1", "0-600"),
    ("--rated: {} to {} s lies outside {} {}.", "600-700", "0-600"),
):

    def wrong_span(kit: Kit, bad: str = bad, good: tuple[str, ...] = tuple(good)) -> Steps:
        path = ratings(kit, "0;0.5;happy", "1;1.5;neutral")
        yield agree(kit, path, "--rated", bad)
        for span in good:
            yield agree(kit, path, "--rated", span)

    wrong_span.__name__ = f"--rated {bad}"
    remedy(text)(wrong_span)


@remedy(
    ": has no columns patient_id and session_id, and its name is not that of a "
    "session of this folder, like P012_S01_rater.csv; add the columns, rename the file, or "
    "take it away."
)
def a_table_of_nobody_knows_which_session(kit: Kit) -> Steps:
    kit.study()
    folder = kit.folder / "ratings"
    kit.table("P2_S1_ben.csv", "start_s;end_s;code", "0;1;happy", folder=folder)
    path = kit.table("anna.csv", "start_s;end_s;code", "0;0.5;happy", folder=folder)
    yield agree(kit, folder)
    kit.table("anna.csv", "patient_id;session_id;start_s;end_s;code", "P1;S1;0;0.5;happy", folder=folder)
    yield agree(kit, folder)
    path.unlink()
    path = kit.table("P1_S1_anna.csv", "start_s;end_s;code", "0;0.5;happy", folder=folder)
    yield agree(kit, folder)
    path.unlink()
    yield agree(kit, folder)


@remedy(
    "lies outside {}, which lasts from {}; times count from the start of the "
    "recording: correct the times, or take the code away."
)
def a_code_after_the_end(kit: Kit) -> Steps:
    yield agree(kit, ratings(kit, "0;0.5;happy", "90;95;sad"))
    yield agree(kit, ratings(kit, "0;0.5;happy", "1;1.5;sad"))
    yield agree(kit, ratings(kit, "0;0.5;happy"))


@remedy(": what was rated ({}) lies outside {}, which lasts from {}; correct it.")
def a_rated_stretch_after_the_end(kit: Kit) -> Steps:
    head = "start_s;end_s;code;rated_from_s;rated_to_s"
    yield agree(kit, ratings(kit, "0;0.5;happy;90;95", head=head))
    yield agree(kit, ratings(kit, "0;0.5;happy;0;1", head=head))


@remedy("mean the same column; keep one, or begin the other's name with x_.")
def two_columns_of_one_meaning(kit: Kit) -> Steps:
    yield agree(kit, ratings(kit, "0;0.5;happy;a", head="start_s;end_s;code;label"))
    yield agree(kit, ratings(kit, "0;0.5;happy", head="start_s;end_s;code"))
    yield agree(kit, ratings(kit, "0;0.5;happy", head="start_s;end_s;label"))
    yield agree(kit, ratings(kit, "0;0.5;happy;a", head="start_s;end_s;code;x_label"))


@remedy(": can be session {}; rename it after patient and session.")
def a_name_of_two_sessions(kit: Kit) -> Steps:
    lines = "A;B-C;a.mp4;yes", "A-B;C;b.mp4;yes"
    kit.video("a.mp4"), kit.video("b.mp4")
    assert kit.process(kit.sessions(*lines)).code == 0
    yield agree(kit, ratings(kit, "0;0.5;happy", name="A-B-C.csv"))
    yield agree(kit, ratings(kit, "0;0.5;happy", name="A_B-C.csv"))
    yield agree(kit, ratings(kit, "0;0.5;happy", name="A-B_C.csv"))


def project(kit: Kit, name: str, *files: str, observation: str = "one") -> Path:
    """Of BORIS, with one observation in which somebody is happy."""
    import json

    events = [[0.0, "", "happy", "", ""], [0.5, "", "happy", "", ""]]
    one = {"file": {"1": list(files)}, "type": "MEDIA", "time offset": 0, "events": events}
    behaviors = {"0": {"type": "State event", "code": "happy"}}
    text = json.dumps({"behaviors_conf": behaviors, "observations": {observation: one}})
    return kit.table(name, text)


@remedy(
    ": which session of this folder is it about? Name it after patient and "
    "session, like P012_S01_rater, link the video that was processed, or take it away."
)
def an_observation_of_nobody_knows_which_session(kit: Kit) -> Steps:
    kit.study()
    yield agree(kit, project(kit, "anna.boris", "C:/v/room.mp4"))
    yield agree(kit, project(kit, "anna.boris", "C:/v/room.mp4", observation="P1_S1_anna"))
    yield agree(kit, project(kit, "anna.boris", "C:/v/P1_S1.mp4"))


@remedy(": is named after {}, but its video is that of {}; rename it, or link the session's own video.")
def an_observation_of_two_sessions(kit: Kit) -> Steps:
    kit.study()
    yield agree(kit, project(kit, "anna.boris", "C:/v/P2_S1.mp4", observation="P1_S1"))
    yield agree(kit, project(kit, "anna.boris", "C:/v/P2_S1.mp4", observation="P2_S1"))
    yield agree(kit, project(kit, "anna.boris", "C:/v/P1_S1.mp4", observation="P1_S1"))


# Files that ELAN and BORIS write: what is wrong in them is put right there, and saved.


def rated(message: str, *write: Callable[[Path], Path], name: str = "P1_S1.eaf") -> None:
    """Enters a case: a file that is refused, and files as somebody saves them after doing as advised."""

    def case(kit: Kit) -> Steps:
        kit.study()
        for one in write:
            yield agree(kit, one(kit.folder / name))

    case.__name__ = f"{name} {message}"
    remedy(message)(case)


def slots(*times_ms: object) -> str:
    named = enumerate(times_ms, start=1)
    values = (("" if ms is None else f' TIME_VALUE="{ms}"', number) for number, ms in named)
    return "".join(f'<TIME_SLOT TIME_SLOT_ID="ts{number}"{value}/>' for value, number in values)


HALF = slots(0, 500, 1500)
TWO = tier("emotion", aligned("a1", "ts1", "ts2", "happy"), aligned("a2", "ts2", "ts3", "sad"))
PARTS = tier("parts", referring("b1", "a1", "happy"), kind="assoc", parent="emotion")
LOST = tier("parts", referring("b1", "a9", "happy"), kind="assoc", parent="emotion")
CHAIN = tier("parts", referring("b1", "a1", "sad", "b9"), kind="parts", parent="emotion")


def elan(tiers: str = TWO, times: str = HALF, **others: str) -> Callable[[Path], Path]:
    return lambda path: eaf(path, tiers, times, **others)


def cut(whole: Callable[[Path], Path], length: int) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        path.write_bytes(whole(path).read_bytes()[:length])
        return path

    return write


def coded(**observation: object) -> Callable[[Path], Path]:
    own = {"events": [[0.0, "", "happy", "", ""], [0.5, "", "happy", "", ""]], "file": {"1": ["P1_S1.mp4"]}}

    def write(path: Path) -> Path:
        text = boris(path, **{**own, **observation}).read_text("utf-8")
        path.write_text(text.replace("P012_S02", "P1_S1"), encoding="utf-8")
        return path

    return write


def in_utf_16(whole: Callable[[Path], Path]) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        path.write_bytes(whole(path).read_text("utf-8").encode("utf-16"))
        return path

    return write


rated(
    ": can't be read as a file of ELAN; save it there again.",
    elan(times=slots("x", 1, 2)),
    elan(),
)
rated("save it in ELAN again", in_utf_16(elan()), elan())
rated(": damaged ({}); save it in ELAN again.", cut(elan(), 500), elan())
rated(": two have the {} {}; save it in ELAN again.", elan(TWO + TWO), elan())
rated(
    ": its times are in {}, not in {}; save it in ELAN again.",
    elan(units="NTSC-frames"),
    elan(),
)
rated(
    ": an annotation depends on {}, which is not there; save it in ELAN again.",
    elan(TWO + LOST),
    elan(TWO + PARTS),
)
rated(
    ": annotations of tier {} follow none that is there; save it in ELAN again.",
    elan(TWO + CHAIN),
    elan(TWO + PARTS),
)
rated(
    ": times in the file are out of order; save it in ELAN again.",
    elan(times=slots(1500, None, 0)),
    elan(),
)
ROOMS = medium("room.mp4") + medium("hall.mp4", origin_ms=500)
rated(
    ": its media ({}) begin at different times, or when they begin is not known; link only the video of {}.",
    elan(media=medium("P1_S1.mp4") + medium("P1_S1.mp4", origin_ms=900)),
    elan(media=medium("P1_S1.mp4")),
)

BORIS = "P1_S1.boris"
rated(
    ": can't be read as a project of BORIS; save it there again.",
    cut(coded(), 50),
    coded(),
    name=BORIS,
)
rated("save it in BORIS again", in_utf_16(coded()), coded(), name=BORIS)
rated(
    "was coded live, on a clock that is not the video's; code the video, or take it away",
    coded(type="LIVE"),
    coded(),
    name=BORIS,
)
rated(
    ": {} is no time ({}); put it right in BORIS.",
    coded(**{"time offset": "soon"}),
    coded(),
    name=BORIS,
)
rated(
    ": its times count from the dates at which several or unknown files were "
    "made; in BORIS, take back the media creation date as offset.",
    coded(media_creation_date_as_offset=True),
    coded(),
    name=BORIS,
)


@remedy("its observation plays several files; give BORIS's project (.boris).")
def an_export_without_the_lengths_of_files(kit: Kit) -> Steps:
    kit.study()
    rows = "P1_S1,happy,0,0.5,room.mp4\nP1_S1,sad,1,1.5,P1_S1.mp4\n"
    table = kit.folder / "export.csv"
    table.write_text(f"Observation id,Behavior,Start (s),Stop (s),Media file name\n{rows}")
    yield agree(kit, table)
    yield agree(kit, coded()(kit.folder / BORIS))


@remedy(": {} {} at {} s; put it right in BORIS.", "begins again before its end")
def a_state_that_begins_twice(kit: Kit) -> Steps:
    from pipeline.exchange.boris_reading import StateEvent, paired

    def events(*times: tuple[float, str]) -> list[StateEvent]:
        return [StateEvent(time_s, "", "happy", "", status) for time_s, status in times]

    yield kit.call(paired, events((0, "START"), (1, "START"), (2, "STOP")), "P1_S1.csv")
    yield kit.call(paired, events((0, "START"), (2, "STOP")), "P1_S1.csv")


@remedy(": can't be read as an Excel workbook; save it again in Excel.")
def a_damaged_workbook(kit: Kit) -> Steps:
    kit.video()
    path = kit.folder / "sessions.xlsx"
    with ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook>")
    yield kit.run("study", "check", path)
    yield kit.run("study", "check", workbook(path))
