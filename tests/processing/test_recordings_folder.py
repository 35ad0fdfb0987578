"""Videos and lists in folders, and names that clash."""

import shutil
import zipfile
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Literal
from unicodedata import normalize

import openpyxl
import pytest
from session_lists import places, put, write

from pipeline.errors import InputError
from pipeline.processing.batch import check_ids, plan_sessions
from pipeline.processing.recordings_folder import check_unlisted, find_list, find_videos, lists_in, unlisted
from pipeline.processing.session import Session
from pipeline.processing.sessions_list import choose_sessions, read_study, write_sessions_list
from pipeline.store.folders import check_results
from pipeline.store.ids import find_clashes
from pipeline.store.spreadsheet import read_table
from pipeline.store.status import Outcome, record

HEADER = ("patient_id", "session_id", "video", "consent")


def touch(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return [folder / name for name in names]


def workbook(path: Path, *rows: Sequence[Any], sheet: str = "Sheet1") -> Path:
    book = openpyxl.Workbook()
    book.active.title = sheet
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


# --- which files are videos


def test_an_empty_folder_has_no_video(tmp_path: Path) -> None:
    found = find_videos(tmp_path)
    assert (found.here, found.below, found.unread, found.all) == ((), (), (), ())


def test_videos_are_found_by_their_suffix_and_hidden_files_are_not(tmp_path: Path) -> None:
    videos = touch(tmp_path, "B.MP4", "a.mov", "day/c.Mkv", "day/more/d.mts")
    touch(tmp_path, "._B.MP4", ".hidden/e.mp4", "day/._c.Mkv", "f.txt", "g.mp4/readme", "mp4", ".mp4")
    found = find_videos(tmp_path)
    assert found.here == (videos[0], videos[1])
    assert found.below == (videos[2], videos[3])


def test_copies_for_review_are_no_recordings(tmp_path: Path) -> None:
    touch(tmp_path, "out/status.parquet", "out/review/P1/S1.mp4", "out/more/x.mp4", "day/P1_S1.mp4")
    assert [video.name for video in find_videos(tmp_path).all] == ["P1_S1.mp4"]
    touch(tmp_path, "audit.jsonl", "review/P1/S1.mp4", "P2_S1.mp4")
    assert [video.name for video in find_videos(tmp_path).all] == ["P2_S1.mp4", "P1_S1.mp4"]


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", *touch(tmp_path, "file")):
        with pytest.raises(InputError, match="give a folder of videos"):
            find_videos(path)


def test_a_new_list_and_a_run_have_the_same_videos(tmp_path: Path) -> None:
    touch(tmp_path, "P1_S1.MP4", "._P1_S1.MP4", "P1_S2.mov", "P1_S3.txt")
    planned = {session.video for session in plan_sessions([tmp_path], None, None)}
    study_list = write_sessions_list(tmp_path)
    assert planned == {tmp_path / row[2] for _, row in read_table(study_list)[1:]}
    assert unlisted(study_list) == ((), ())


def test_a_folder_whose_videos_lie_below_says_where(tmp_path: Path) -> None:
    touch(tmp_path, "monday/P1_S1.mp4", "tuesday/P1_S2.mp4")
    with pytest.raises(
        InputError, match=f"give its sub-folders: {tmp_path / 'monday'}, {tmp_path / 'tuesday'}"
    ):
        plan_sessions([tmp_path], None, None)


# --- the list of a folder


@pytest.mark.parametrize(
    "name", ["sessions.csv", "Sessions.CSV", "sessions.xlsx", "study.csv", "list 2.xlsx"]
)
def test_a_list_is_found_by_its_name_or_its_columns(tmp_path: Path, name: str) -> None:
    if name.lower().endswith("csv"):
        (tmp_path / name).write_text(";".join(HEADER).upper())
    else:
        workbook(tmp_path / name, HEADER)
    touch(tmp_path, "people.csv", "notes.xlsx", "~$sessions.xlsx", "._sessions.csv")
    (tmp_path / "events.csv").write_text("patient_id;session_id;time_s;what")
    assert find_list(tmp_path) == tmp_path / name


def test_a_folder_without_a_list_and_one_with_two(tmp_path: Path) -> None:
    assert find_list(tmp_path) is None
    touch(tmp_path, "sessions.csv", "sessions.xlsx")
    with pytest.raises(InputError, match=r"several lists .*sessions\.csv, sessions\.xlsx"):
        find_list(tmp_path)
    with pytest.raises(InputError, match="exists already"):
        write_sessions_list(tmp_path)


def test_videos_that_no_row_names_are_told(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "day/b.mp4", "c.mp4")
    (tmp_path / "link.mp4").symlink_to("a.mp4")
    path = put(tmp_path, "patient_id;session_id;video\nbad id;S1;a.mp4\nP1;S2;gone.mp4\nP1;S3\n")
    assert unlisted(path) == ((tmp_path / "c.mp4", tmp_path / "day/b.mp4"), ())
    (tmp_path / "\udce9").mkdir()
    touch(tmp_path, "\udce9/d.mp4", "\udce9/e.mp4")
    videos, (error,) = unlisted(path)
    assert (len(videos), str(error)) == (
        2,
        f"'{tmp_path}/\\udce9': this folder's name is not text; rename the folder.",
    )


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_an_accent_is_the_same_in_both_forms(tmp_path: Path, form: Literal["NFC", "NFD"]) -> None:
    """macOS stores é as e and an accent, and keeps this form in copies for other systems."""
    other: Literal["NFC", "NFD"] = "NFD" if form == "NFC" else "NFC"
    video, photo = (normalize(form, f"été/Zoë{suffix}") for suffix in (".mp4", ".png"))
    touch(tmp_path, video, photo)
    row = normalize(other, "P1;S1;été/Zoë.mp4;été/Zoë.png;yes\n")
    path = put(tmp_path, f"patient_id;session_id;video;patient_face;consent\n{row}")
    (session,) = read_study(path).sessions
    assert (session.video, session.patient_face) == (tmp_path / video, (tmp_path / photo,))
    assert unlisted(path) == ((), ())
    put(tmp_path, path.read_text(encoding="utf-8").replace("yes", "no"))
    with pytest.raises(InputError, match="lists this video"):
        plan_sessions([tmp_path / video], "P1", "S1")


# --- a video is not taken around its list


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A folder whose list refuses one video in a folder below."""
    touch(tmp_path, "a b/P1_S1.mp4", "a b/P1_S2.mp4")
    put(tmp_path, "patient_id;session_id;video;consent\nP1;S1;a b/P1_S1.mp4;no\n")
    return tmp_path


@pytest.mark.parametrize("kind", ["video", "its folder", "link"])
def test_a_video_that_a_list_names_is_refused_with_the_command(listed: Path, kind: str) -> None:
    (listed / "P9_S9.mp4").symlink_to(listed / "a b" / "P1_S1.mp4")
    given = {"video": "a b/P1_S1.mp4", "its folder": "a b", "link": "P9_S9.mp4"}[kind]
    expected = f"emonext process '?{listed / 'sessions.csv'}'? --patient P1 --session S1 --out DIR"
    with pytest.raises(InputError, match=expected):
        plan_sessions([listed / given], None, None)


def test_a_video_that_no_list_names_is_taken(listed: Path) -> None:
    (session,) = plan_sessions([listed / "a b" / "P1_S2.mp4"], None, None)
    assert session.ids == ("P1", "S2")


def test_a_list_beside_a_video_that_can_t_be_read_stops_it(tmp_path: Path) -> None:
    (video,) = touch(tmp_path, "day/P1_S1.mp4")
    (tmp_path / "sessions.csv").write_bytes("patient_id;session_id;video\nP1;S1;Zoë".encode("utf-16"))
    check_unlisted([video])  # further up lies anything
    shutil.move(tmp_path / "sessions.csv", video.parent)
    with pytest.raises(InputError, match=r"sessions\.csv: not text"):
        check_unlisted([video])


@pytest.mark.parametrize("given", [["in", "x.mp4"], ["in/sessions.csv", "x.mp4"], ["in", "in"]])
def test_a_list_is_given_alone(tmp_path: Path, given: list[str]) -> None:
    touch(tmp_path, "x.mp4", "in/P1_S1.mp4")
    put(tmp_path / "in", "patient_id;session_id;video\nP1;S1;P1_S1.mp4\n")
    with pytest.raises(InputError, match="emonext process "):
        plan_sessions([tmp_path / name for name in given], None, None)


def test_a_list_of_another_kind_is_saved_as_one_that_is_read(tmp_path: Path) -> None:
    touch(tmp_path, "list.ods")
    with pytest.raises(InputError, match=r"list\.ods: .* save it as one of these\.$"):
        plan_sessions([tmp_path / "list.ods"], None, None)


# --- a part of a list


def test_a_patient_or_a_session_of_a_list(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    path = put(tmp_path, "patient_id,session_id,video\nP1,S1,a.mp4\nP1,S2,b.mp4\nP2,S1,c.mp4\n")
    study = read_study(path)

    def chosen(patient: str | None, session: str | None) -> list[tuple[str, str]]:
        return [one.ids for one in choose_sessions(study, path, patient, session)]

    assert chosen(None, None) == [("P1", "S1"), ("P1", "S2"), ("P2", "S1")]
    assert chosen("P1", None) == [("P1", "S1"), ("P1", "S2")]
    assert chosen(None, "S1") == [("P1", "S1"), ("P2", "S1")]
    assert chosen("P2", "S1") == [("P2", "S1")]
    for patient, session in (("P3", None), ("P2", "S2"), ("p1", None), ("", None)):
        with pytest.raises(InputError, match=r"sessions\.csv: no session for .*P1, P2"):
            chosen(patient, session)


# --- names that differ in nothing that a file system sees


@pytest.mark.parametrize(
    ("first", "second", "column"),
    [
        (("P02", "S1"), ("p02", "S2"), "patient_id"),
        (("P02", "S1"), ("P02.", "S1"), "patient_id"),
        (("P1", "Music"), ("P1", "music"), "session_id"),
        (("A_B", "C"), ("A", "B_C"), "session_id"),
        (("A_B", "C"), ("A", "b_c"), "session_id"),
    ],
)
def test_names_that_would_be_one_file_are_refused(
    tmp_path: Path, first: tuple[str, str], second: tuple[str, str], column: str
) -> None:
    touch(tmp_path, "a.mp4", "b.mp4")
    rows: list[Mapping[str, str]] = [
        {"patient_id": ids[0], "session_id": ids[1], "video": video}
        for ids, video in ((first, "a.mp4"), (second, "b.mp4"))
    ]
    study = read_study(write(tmp_path, *rows))
    assert places(study) == [(3, column)]
    (clash,) = find_clashes([first, second])
    assert (clash.first, clash.second) == (first, second)
    status = Outcome(*first, "done", (), 1.0, 0.0, 1.0, 1.0, "2026-03-01T00:00:00")
    record(tmp_path / "out", status)
    with pytest.raises(InputError, match=f"out holds {' '.join(first)}: .*(differ|would both)"):
        check_ids([Session(*second, tmp_path / "b.mp4")], tmp_path / "out")
    check_ids([Session(*first, tmp_path / "a.mp4")], tmp_path / "out")


def test_names_that_differ_do_not_clash() -> None:
    names = [("P1", "S1"), ("P1", "S2"), ("P2", "S1"), ("P1", "S1.b"), ("P.1", "S1"), ("P1", "S1")]
    assert not list(find_clashes(names))


def test_a_patient_in_two_spellings_is_told_once(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    rows = [
        {"patient_id": "P02" if n < 3 else "p02", "session_id": f"S{n}", "video": "a.mp4"} for n in range(6)
    ]
    assert places(read_study(write(tmp_path, *rows))) == [(5, "patient_id")]


def test_videos_of_a_folder_whose_names_clash_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "P02_S1.mp4", "p02_S2.mp4")
    with pytest.raises(InputError, match=r"p02_S2\.mp4: p02 and P02 differ only in capitals"):
        plan_sessions([tmp_path], None, None)


@pytest.mark.parametrize("other", ["Music", "music.", "MUSIC", "ｍｕｓｉｃ"])
def test_a_condition_in_two_spellings_is_told_once(tmp_path: Path, other: str) -> None:
    touch(tmp_path, "a.mp4")
    names = ["music", other, other, "music", "", ""]
    rows = [
        {"patient_id": "P1", "session_id": f"S{n}", "video": "a.mp4", "condition": name}
        for n, name in enumerate(names)
    ]
    study = read_study(write(tmp_path, *rows))
    assert places(study) == [(3, "condition")]
    assert "'music' of row 2" in study.problems[0].reason


# --- a folder of results


def test_results_are_asked_for_where_there_are_none(tmp_path: Path) -> None:
    for path, expected in (
        (tmp_path / "nowhere", "no such folder"),
        (tmp_path / ("n" * 300), "no such folder"),
        (touch(tmp_path, "file")[0], "is a file"),
        (tmp_path, "holds no results"),
    ):
        with pytest.raises(InputError, match=f"{expected}; give the --out folder"):
            check_results(path)
    touch(tmp_path, "audit.jsonl")
    assert check_results(tmp_path) == tmp_path


# --- forms of the file


@pytest.mark.parametrize("first", ["sep=;\r\n", "SEP=,\n", '"sep=;"\r\n', "\ufeffsep=;\n", "sep=\t\n"])
def test_the_line_that_tells_excel_the_separator_is_no_row(tmp_path: Path, first: str) -> None:
    touch(tmp_path, "a.mp4")
    mark = first.strip().strip('"')[-1] if "\t" not in first else "\t"
    lines = ["patient_id;session_id;video", "P1;S1;a.mp4", "P1;S2;gone.mp4"]
    study = read_study(put(tmp_path, first + "\n".join(lines).replace(";", mark)))
    assert places(study) == [(3, "video")]
    assert [session.ids for session in study.sessions] == [("P1", "S1")]


def dates(tmp_path: Path, *cells: str) -> list[datetime | str | None]:
    """The dates of a column, or why they are refused, in the order of rows."""
    touch(tmp_path, "a.mp4")
    rows = [
        {"patient_id": "P1", "session_id": f"S{n}", "video": "a.mp4", "recorded_at": cell}
        for n, cell in enumerate(cells)
    ]
    study = read_study(write(tmp_path, *rows))
    return [*(session.recorded_at for session in study.sessions), *map(str, study.problems)]


def test_a_day_above_12_shows_the_order_of_the_column(tmp_path: Path) -> None:
    first, second = datetime(2026, 3, 15), datetime(2026, 2, 1, 9, 5)
    assert dates(tmp_path, "15/03/2026", "1/2/2026 9:05") == [first, second]
    assert dates(tmp_path, "15.03.2026", "01.02.2026 09:05") == [first, second]
    assert dates(tmp_path, "03/15/2026", "2/1/2026 9:05") == [first, second]
    assert dates(tmp_path, "2026-03-15", "15/03/2026", "") == [first, first, None]
    assert dates(tmp_path, "03/03/2026") == [datetime(2026, 3, 3)], "it reads the same in either order"


def test_a_date_with_two_readings_is_refused_with_both(tmp_path: Path) -> None:
    (reason,) = dates(tmp_path, "01/03/2026", "02/03/2026")
    assert isinstance(reason, str)
    assert reason.startswith("row 2, recorded_at: '01/03/2026' (1 more like it) can be 2026-03-01")
    assert "2026-01-03 (month first)" in reason
    *_, reason = dates(tmp_path, "15/03/2026", "03/15/2026", "2026-03-01")
    assert (
        "'15/03/2026' (1 more like it) may have the day or the month first, as '15/03/2026' and '03/15/2026' "
        "of this column have; write 2026-03-01" in str(reason)
    )
    (reason,) = dates(tmp_path, "31/02/2026")
    assert "'31/02/2026' is no date here" in str(reason)


def test_a_workbook_is_read_as_excel_shows_it(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.mp4")
    names = ("patient_id", "session_id", "video", "recorded_at", "start_s", "end_s", "consent", "notes")
    path = workbook(
        tmp_path / "list.xlsx",
        names,
        (12, "S1", "a.mp4", datetime(2026, 3, 1, 14, 30), 1.5, time(1, 30), True, 0.5),
        (None,) * 8,
        ("P2", 1, "b.mp4", date(2026, 3, 2), "1:30", timedelta(hours=1, seconds=5), "no", "=1+1"),
    )
    book = openpyxl.load_workbook(path)
    sheet = book.active
    sheet["A2"].number_format = "0000"
    sheet["F2"].number_format = "h:mm"
    sheet["F4"].number_format = "[h]:mm:ss"
    sheet["H4"].value, sheet["H4"].data_type = "=1+1", "s"
    book.save(path)
    study = read_study(path)
    assert study.problems == ()
    one, other = study.sessions
    assert one.ids == ("0012", "S1")
    assert (one.recorded_at, one.start_s, one.end_s) == (datetime(2026, 3, 1, 14, 30), 1.5, 90)
    assert (one.consent, one.notes) == (True, "0.5")
    assert other.ids == ("P2", "1")
    assert (other.recorded_at, other.start_s, other.end_s) == (datetime(2026, 3, 2), 90, 3605)
    assert (other.consent, other.notes) == (False, "=1+1")
    assert study.rows == ((2,), (4,))


def test_the_sheet_named_sessions_is_read(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    path = workbook(tmp_path / "list.xlsx", ("nothing",), sheet="Notes")
    book = openpyxl.load_workbook(path)
    sheet = book.create_sheet("Sessions")
    for cells in (HEADER, ("P1", "S1", "a.mp4", "yes")):
        sheet.append(cells)
    book.save(path)
    assert [session.ids for session in read_study(path).sessions] == [("P1", "S1")]


def test_a_formula_without_a_result_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "list.xlsx", (*HEADER, "end_s"), ("P1", "S1", "a.mp4", "yes", "=60*2"))
    with pytest.raises(InputError, match="formula in E2 has no result; open the workbook in Excel and save"):
        read_study(path)


@pytest.mark.parametrize("kind", ["empty", "text", "zip", "torn", "bomb"])
def test_what_is_no_workbook_is_refused_by_name(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = workbook(tmp_path / "list.xlsx", HEADER)
    if kind == "torn":
        content = bytearray(path.read_bytes())
        with zipfile.ZipFile(path) as archive:
            place = archive.getinfo("xl/worksheets/sheet1.xml").header_offset + 80
        content[place : place + 40] = bytes(40)
        path.write_bytes(content)
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.txt", "a")
    elif kind == "bomb":
        monkeypatch.setattr("pipeline.store.workbook._MAX_UNPACKED", 100)
    else:
        path.write_text("" if kind == "empty" else "patient_id;session_id;video")
    with pytest.raises(InputError, match=r"list\.xlsx: "):
        read_study(path)


def test_lists_are_not_looked_for_in_what_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be read"):
        lists_in(tmp_path / "nowhere")
