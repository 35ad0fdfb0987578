"""Carry out the advice of messages about tables that people write."""

import re
import shutil
from pathlib import Path

import openpyxl
from remedies import HEAD, ONE, Kit, Steps, events, remedy, toml, workbook, workbook_with_formula

from pipeline.records import ANSWER_COLUMNS
from pipeline.store.spreadsheet import read_table, write_rows

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
    "{}{} {}; write 2026-03-01 or 2026-03-01T14:30, in local time.",
    "recorded_at",
    "01/03/2026",
    "2026-03-01",
    "2026-03-01T14:30",
)


cell("{} characters; write at most {}, and the rest in notes.", "condition", "x" * 65, "x" * 64)


cell(" is no direction; write {} or {}.", "attention_to", "window", "camera", "left")


cell("holds a line break or another control character; take it out.", "condition", "mu\tsic", "music")


cell(
    ": write intervals in order of time, without overlap.",
    "exclude",
    "1-1.5;0.2-1.2",
    "0.2-1;1.2-1.5",
)


cell(
    "{} is no interval; write seconds like 120-180;300-310, in cells formatted as text.",
    "exclude",
    "all",
    "0.5-1;1.2-1.5",
)


cell(
    "{} is no region; write left,top,right,bottom in % of the picture: 0,10,55.5,100.",
    "patient_region",
    "left",
    "0,10,55.5,100",
)


cell(
    "{}: values from 0 to 1; write % of the picture: 0,10,55.5,100.",
    "patient_region",
    "0,0.1,0.555,1",
    "0,10,55.5,100",
)


cell("{} is no answer; write yes or no.", "consent", "maybe", "yes", "no")


cell("empty; write yes or no.", "consent", "", "yes", "no")


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


listed("no session in the list; write one row for each.", (HEAD,), (HEAD, ONE))


listed(
    ": its first line names no known column. It must name {}, separated by ; or a comma.",
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


listed(
    "is an error of a formula; correct it, or write the value itself.",
    (f"{HEAD};condition", f"{ONE};#N/A"),
    (f"{HEAD};condition", f"{ONE};music"),
)


listed("empty; fill in these cells.", (HEAD, ";;P1_S1.mp4;"), (HEAD, ONE))


listed(
    "row {} has another value for the same session; correct it there.",
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
    "text, then write times like 0:01:30 (if it is seconds, write at most {} decimals).",
    (TIMES, f"{ONE};0;0.00001157"),
    (TIMES, f"{ONE};0;0:00:01"),
    (TIMES, f"{ONE};0;0.01"),
)


listed(
    "{} s is after the end: {}; empty means all of it.",
    (TIMES, f"{ONE};;90"),
    (TIMES, f"{ONE};;"),
)


listed(
    "no sample lies in the {} s that count ({} samples per second); write other times.",
    (TIMES, f"{ONE};0.3;0.35"),
    (TIMES, f"{ONE};0.3;0.75"),
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


def two_sheets(kit: Kit, state: str, *titles: str) -> Path:
    """A workbook with the list twice; the last sheet in this state."""
    book = openpyxl.load_workbook(workbook(kit.folder / "sessions.xlsx"))
    book.copy_worksheet(book.active)
    for sheet, title in zip(book.worksheets, titles, strict=True):
        sheet.title = title
    book.worksheets[-1].sheet_state = state
    book.save(kit.folder / "sessions.xlsx")
    return kit.folder / "sessions.xlsx"


@remedy(": several sheets may be the list of sessions ({}{}); name the one that counts “{}”")
def a_workbook_with_two_lists(kit: Kit) -> Steps:
    kit.video()
    yield kit.run("study", "check", two_sheets(kit, "visible", "March", "April"))
    yield kit.run("study", "check", two_sheets(kit, "visible", "March", "sessions"))


@remedy(": the sheet {} is hidden; in the spreadsheet, unhide it, or delete it.")
def a_hidden_list(kit: Kit) -> Steps:
    kit.video()
    yield kit.run("study", "check", two_sheets(kit, "hidden", "March", "sessions"))
    yield kit.run("study", "check", two_sheets(kit, "visible", "March", "sessions"))
    yield kit.run("study", "check", workbook(kit.folder / "sessions.xlsx"))


@remedy("has the value; in the spreadsheet, unmerge the cells, then fill in each row.")
def a_workbook_with_merged_cells(kit: Kit) -> Steps:
    kit.video()
    path = workbook(kit.folder / "sessions.xlsx")
    book = openpyxl.load_workbook(path)
    book.active.append(["P12", "S2", kit.video("b.mp4").name])
    book.active.merge_cells("D2:D3")
    book.save(path)
    yield kit.run("study", "check", path)
    book.active.unmerge_cells("D2:D3")
    book.active["D3"] = "yes"
    book.save(path)
    yield kit.run("study", "check", path)


@remedy("may show another text; format the column {} as text, then write its cells again.")
def a_workbook_with_a_rounded_id(kit: Kit) -> Steps:
    kit.video()
    path = workbook(kit.folder / "sessions.xlsx", 12.5, "S1", "P1_S1.mp4", "yes")
    book = openpyxl.load_workbook(path)
    book.active["A2"].number_format = "0"
    book.save(path)
    yield kit.run("study", "check", path)
    book.active["A2"].number_format = "@"
    book.active["A2"] = "P13"
    book.save(path)
    yield kit.run("study", "check", path)


@remedy(": more than {} rows; divide it into several files.")
def a_list_that_is_too_long(kit: Kit) -> Steps:
    rows = [ONE] * 10_001
    yield kit.call(read_table, kit.table("sessions.csv", HEAD, *rows))
    for half in (rows[:5000], rows[5000:]):
        yield kit.call(read_table, kit.table("sessions.csv", HEAD, *half))


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


# --- what a page of recordings saved


def answers(kit: Kit, *names: str, **cells: str) -> Path:
    """The table that a new page would save."""
    rows = [
        {"recording": name, "bytes": str((kit.folder / name).stat().st_size), "session_id": "S1", **cells}
        for name in names
    ]
    return write_rows(kit.folder.parent / "saved.csv", ANSWER_COLUMNS, rows)


GIVEN = {"patient_id": "P1", "consent": "yes"}


@remedy(
    ": {} would be replaced; nothing was done. Give --replace to replace them, or correct them on the page"
)
def an_answer_that_differs_from_the_list(kit: Kit) -> Steps:
    kit.video()
    kit.sessions("P1;S1;P1_S1.mp4;no")
    yield kit.run("study", "apply", kit.folder, answers(kit, "P1_S1.mp4", **GIVEN))
    yield kit.run("study", "apply", kit.folder, answers(kit, "P1_S1.mp4", patient_id="P1", consent="no"))
    yield kit.run("study", "apply", kit.folder, answers(kit, "P1_S1.mp4", **GIVEN), "--replace")


@remedy(": none of its recordings is in {}; give the folder for which the page was made.")
def answers_about_another_folder(kit: Kit) -> Steps:
    saved = answers(kit, kit.video().name, **GIVEN)
    yield kit.run("study", "apply", kit.folder.parent, saved)
    yield kit.run("study", "apply", kit.folder, saved)


@remedy("is not there; give the folder for which the page was made, or make the page again.")
def answers_about_a_recording_that_is_gone(kit: Kit) -> Steps:
    gone, other = kit.video("P1_S2.mp4"), kit.video()
    saved = answers(kit, other.name, gone.name, **GIVEN)
    (kit.folder / "elsewhere").mkdir()
    gone.rename(kit.folder / "elsewhere" / gone.name)
    yield kit.run("study", "apply", kit.folder, saved)
    yield kit.run("study", "apply", kit.folder, answers(kit, other.name, **GIVEN))


@remedy("is another file than on the page, of another size; make the page again.")
def answers_about_a_recording_that_was_replaced(kit: Kit) -> Steps:
    video = kit.video()
    saved = answers(kit, video.name, **GIVEN)
    video.write_bytes(video.read_bytes() + b"\0\0\0\x08free")
    yield kit.run("study", "apply", kit.folder, saved)
    yield kit.run("study", "apply", kit.folder, answers(kit, video.name, **GIVEN))


@remedy("the list has no row of this recording with these ids; make the page again.")
def answers_about_a_recording_of_two_patients(kit: Kit) -> Steps:
    video = kit.video()
    kit.sessions("P1;S1;P1_S1.mp4;yes", "P2;S1;P1_S1.mp4;yes")
    yield kit.run("study", "apply", kit.folder, answers(kit, video.name, patient_id="P3"))
    yield kit.run("study", "apply", kit.folder, answers(kit, video.name, patient_id="P2"))


@remedy(": not saved by the page of `emonext preflight`; give the file that “Save” downloads.")
def a_table_that_no_page_saved(kit: Kit) -> Steps:
    video = kit.video()
    yield kit.run("study", "apply", kit.folder, kit.sessions(f"P1;S1;{video.name};yes"))
    yield kit.run("study", "apply", kit.folder, answers(kit, video.name, **GIVEN))


@remedy(": names no recording; save it again.")
def answers_that_were_lost(kit: Kit) -> Steps:
    video = kit.video()
    yield kit.run("study", "apply", kit.folder, answers(kit))
    yield kit.run("study", "apply", kit.folder, answers(kit, video.name, **GIVEN))


@remedy(
    ": the result of the formula in {} would be lost; in the spreadsheet, replace formulas by their values, "
    "then run this again."
)
def answers_for_a_list_with_formulas(kit: Kit) -> Steps:
    video = kit.video()
    saved = answers(kit, video.name, **GIVEN)
    workbook_with_formula(kit.folder / "sessions.xlsx")
    yield kit.run("study", "apply", kit.folder, saved)
    workbook(kit.folder / "sessions.xlsx", "P1", "S1", "P1_S1.mp4")
    yield kit.run("study", "apply", kit.folder, saved)


# --- decimal marks


toml(
    ': decimal: write decimal = "comma", or "point".',
    'decimal = ","',
    'decimal = "comma"',
    'decimal = "point"',
)


@remedy(': exists; write decimal = "{}" as its first line, then run this again.')
def a_decimal_mark_beside_other_settings(kit: Kit) -> Steps:
    kit.video()
    path = kit.folder / "study.toml"
    path.write_text("[quality]\nmax_yaw = 50\n")
    yield kit.run("study", "init", kit.folder, "--decimal", "comma")
    path.write_text('decimal = "comma"\n' + path.read_text())
    yield kit.run("study", "init", kit.folder, "--decimal", "comma")


@remedy("All in one column of the spreadsheet? Delete the list, and run this again with --decimal comma.")
def a_list_in_one_column(kit: Kit) -> Steps:
    kit.video()
    yield kit.run("study", "init", kit.folder)
    (kit.folder / "sessions.csv").unlink()
    yield kit.run("study", "init", kit.folder, "--decimal", "comma")
