"""A workbook means what people see in it, or it is refused."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter

from pipeline.errors import DoubtfulTableError, InputError
from pipeline.processing.edited_list import edited_list
from pipeline.processing.list_columns import REQUIRED
from pipeline.processing.recordings_folder import check_unlisted, lists_in
from pipeline.store import workbook
from pipeline.store.spreadsheet import read_seconds, read_table

HEADER = ("patient_id", "session_id", "video", "consent")

Sheets = Sequence[tuple[str, str, Sequence[Sequence[Any]]]]
"""Title, state and rows."""


def a_list(consent: str) -> list[Sequence[Any]]:
    return [HEADER, ("P1", "S1", "a.mp4", consent)]


def save(path: Path, sheets: Sheets) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, state, rows in sheets:
        sheet = book.create_sheet(title)
        sheet.sheet_state = state
        for row in rows:
            sheet.append(row)
    book.active = next(place for place, sheet in enumerate(sheets) if sheet[1] == "visible")
    book.save(path)
    return path


# --- which sheet counts


@pytest.mark.parametrize("state", ["hidden", "veryHidden"])
def test_a_hidden_sheet_is_not_read(state: str, tmp_path: Path) -> None:
    path = save(tmp_path / "a.xlsx", [("old", state, a_list("yes")), ("April", "visible", a_list("no"))])
    assert read_table(path)[1] == (2, ["P1", "S1", "a.mp4", "no"])
    changed = tmp_path / "b.xlsx"
    changed.write_bytes(edited_list(path, {2: {"condition": "music"}}))
    book = openpyxl.load_workbook(changed)
    assert [cell.value for cell in book["April"][2]] == ["P1", "S1", "a.mp4", "no", "music"]
    assert [cell.value for cell in book["old"][2]] == ["P1", "S1", "a.mp4", "yes"]


@pytest.mark.parametrize("state", ["hidden", "veryHidden"])
@pytest.mark.parametrize("title", ["sessions", "Sessions "])
def test_a_hidden_sheet_of_that_name_is_refused(title: str, state: str, tmp_path: Path) -> None:
    path = save(tmp_path / "a.xlsx", [("April", "visible", a_list("no")), (title, state, a_list("yes"))])
    with pytest.raises(
        DoubtfulTableError, match=rf"a\.xlsx: the sheet '{title}' is hidden; .* unhide it, or delete it"
    ):
        read_table(path)


def with_a_slip(rows: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
    return [("Patient_ID ", "session_id", "file", "consent"), *rows[1:]]


@pytest.mark.parametrize("other", [a_list("no"), with_a_slip(a_list("no"))])
@pytest.mark.parametrize("order", [1, -1])
def test_several_lists_are_refused_unless_one_has_the_name(
    other: Sequence[Sequence[Any]], order: int, tmp_path: Path
) -> None:
    sheets = [("March", "visible", a_list("yes")), ("April", "visible", other)][::order]
    path = save(tmp_path / "a.xlsx", [("Notes", "visible", [("nothing",)]), *sheets])
    with pytest.raises(DoubtfulTableError, match=r"March.*name the one that counts “sessions”") as refused:
        read_table(path)
    assert "April" in str(refused.value)
    assert "Notes" not in str(refused.value)
    named = [(title.replace("April", "Sessions"), state, rows) for title, state, rows in sheets]
    assert read_table(save(path, named))[1] == (2, ["P1", "S1", "a.mp4", "no"])
    both = [("sessions", *sheets[0][1:]), ("SESSIONS ", *sheets[1][1:])]
    with pytest.raises(DoubtfulTableError, match="several sheets may be the list"):
        read_table(save(path, both))


def test_other_sheets_are_no_lists(tmp_path: Path) -> None:
    others: Sheets = [("Patients", "visible", [("patient_id", "age")]), ("Empty", "visible", [])]
    path = save(tmp_path / "a.xlsx", [("March", "visible", a_list("yes")), *others])
    assert read_table(path)[1] == (2, ["P1", "S1", "a.mp4", "yes"])
    assert set(REQUIRED) == workbook._OF_A_LIST


def test_a_workbook_that_shows_only_a_chart_is_refused(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "a.xlsx") as book:
        sheet = book.add_worksheet("list")
        chart = book.add_chart({"type": "line"})
        chart.add_series({"values": "=list!$A$1:$A$2"})
        book.add_chartsheet("Chart").set_chart(chart)
        book.get_worksheet_by_name("Chart").activate()
        book.get_worksheet_by_name("Chart").set_first_sheet()
        sheet.hide()
    with pytest.raises(InputError, match="unhide the list"):
        read_table(tmp_path / "a.xlsx")


@pytest.mark.parametrize("folder", [".", "below"])
def test_a_doubtful_list_is_still_a_list(folder: str, tmp_path: Path) -> None:
    """Without it, its videos would be processed as if no list stated consent."""
    sheets = [("March", "visible", a_list("yes")), ("April", "visible", a_list("no"))]
    path = save(tmp_path / "study.xlsx", sheets)
    video = tmp_path / folder / "a.mp4"
    video.parent.mkdir(exist_ok=True)
    video.touch()
    assert lists_in(tmp_path) == [path]
    with pytest.raises(DoubtfulTableError, match="several sheets may be the list"):
        check_unlisted([video])


# --- merged cells


def merged(path: Path, *ranges: str) -> Path:
    rows = [
        (*HEADER, "condition", "end_s", "x_room"),
        ("P1", "S1", "a.mp4", "yes", "music", 1.5, "red"),
        ("P1", "S2", "b.mp4", "yes", None, None, None),
        (),
        ("P1", "S3", "b.mp4", "yes", None, None, None),
    ]
    book = openpyxl.load_workbook(save(path, [("list", "visible", rows)]))
    for cells in ranges:
        book.active.merge_cells(cells)
    book.save(path)
    return path


@pytest.mark.parametrize("cells", ["E2:E3", "E2:E5", "E1:E2", "E2:F2", "D2:E2", "F2:G5", "A2:G5"])
def test_merged_cells_that_look_like_several_values_are_refused(cells: str, tmp_path: Path) -> None:
    first = cells.partition(":")[0]
    reason = rf"a\.xlsx: the cells {cells} are merged, and only {first} has the value; .* fill in each row"
    with pytest.raises(DoubtfulTableError, match=reason):
        read_table(merged(tmp_path / "a.xlsx", cells))


def test_the_first_of_several_merged_ranges_is_named(tmp_path: Path) -> None:
    with pytest.raises(DoubtfulTableError, match=r"E2:E3 are merged \(1 more like it\)"):
        read_table(merged(tmp_path / "a.xlsx", "E2:E3", "F2:F3"))


@pytest.mark.parametrize("cells", ["G2:G5", "E3:E4", "F3:G3", "H2:J9", "A6:A9", "A4:F4"])
def test_merged_cells_that_hide_nothing_are_read(cells: str, tmp_path: Path) -> None:
    assert read_table(merged(tmp_path / "a.xlsx", cells)) == read_table(merged(tmp_path / "b.xlsx"))


# --- values and what Excel shows of them


def one_cell(path: Path, name: str, value: Any, number_format: str) -> str:
    """What is read of a cell."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append([*HEADER[:2], "x_own"] if name in HEADER[:2] else [*HEADER[:2], name])
    sheet.append(["P1", "S1", "own"])
    cell = sheet.cell(2, [cell.value for cell in sheet[1]].index(name) + 1, value)
    cell.number_format = number_format
    book.save(path)
    return read_table(path)[1][1][cell.column - 1]


# As Excel shows them (formats: ECMA-376, part 1, 18.8.31).
SHOWN = [
    (12, "General", "12"),
    (1.1, "General", "1.1"),
    (12, "@", "12"),
    (12, "0", "12"),
    (12, "0000", "0012"),
    (12, "##00", "12"),
    (12, '"P"000', "P012"),
    (12, r"\P000", "P012"),
    (12, r'"P"\-000', "P-012"),
    (12, '"Week "0', "Week 12"),
    (1.1, "0.00", "1.10"),
    (0.1 + 0.2, "0.0", "0.3"),
    (0.5, "0%", "50%"),
    (0.555, "0.0%", "55.5%"),
    (date(2026, 3, 1), "yyyy-mm-dd", "2026-03-01"),
    (datetime(2026, 3, 1), r"yyyy\-mm\-dd;@", "2026-03-01"),
    ("1.10", "0.0", "1.10"),
    ("P1", "_-* #,##0_-;_-@_-", "P1"),
]


@pytest.mark.parametrize("name", ["patient_id", "session_id", "condition", "notes", "x_own"])
@pytest.mark.parametrize(("value", "number_format", "shown"), SHOWN)
def test_a_name_is_read_as_it_is_shown(
    name: str, value: Any, number_format: str, shown: str, tmp_path: Path
) -> None:
    assert one_cell(tmp_path / "a.xlsx", name, value, number_format) == shown


NOT_SHOWN = [
    (1.5, "0", "1.5"),
    (1.15, "0.0", "1.15"),
    (1200, "#,##0", "1200"),
    (12345, "000-00", "12345"),
    (-12, "000", "-12"),
    (12, "0;;", "12"),
    (0.555, "0%", "55.5%"),
    (0.5, "# ?/?", "0.5"),
    (12, "0.0E+00", "12"),
    (12, "[Red]0", "12"),
    (10**16, "General", "10000000000000000"),
    (date(2026, 3, 12), "d-mmm", "2026-03-12"),
    (datetime(2026, 3, 12), "mm-dd-yy", "2026-03-12"),
    (time(10, 30), "h:mm", "10:30"),
    ("012", '"P"@', "012"),
]


@pytest.mark.parametrize(("value", "number_format", "stored"), NOT_SHOWN)
def test_a_name_that_may_be_shown_otherwise_is_refused(
    value: Any, number_format: str, stored: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.xlsx"
    for place, name in (("A2", "patient_id"), ("B2", "session_id"), ("C2", "condition")):
        reason = rf"a\.xlsx: {place} holds {stored}, .* format the column {name} as text"
        with pytest.raises(DoubtfulTableError, match=reason):
            one_cell(path, name, value, number_format)
    for name in ("notes", "x_own"):
        assert one_cell(path, name, value, number_format) == stored


@pytest.mark.parametrize("number_format", ['#,##0" min"', r"[>1]0\m;0", '"S"#,##0'])
def test_a_number_with_a_unit_is_refused_in_every_column(number_format: str, tmp_path: Path) -> None:
    with pytest.raises(DoubtfulTableError, match=r"C2 holds 2, .* format the column start_s as text"):
        one_cell(tmp_path / "a.xlsx", "start_s", 2, number_format)
    assert one_cell(tmp_path / "a.xlsx", "x_own", 2, number_format) == "2"


@pytest.mark.parametrize(
    ("value", "number_format", "text", "seconds"),
    [
        (time(0, 0, 0, 900_000), "mm:ss.0", "0:00:00.9", 0.9),
        (time(0, 1, 30, 250_000), "h:mm:ss", "0:01:30.25", 90.25),
        (time(1, 30, 0, 5000), "h:mm", "1:30:00.005", 5400.005),
        (timedelta(hours=25, milliseconds=100), "[h]:mm:ss.000", "25:00:00.1", 90_000.1),
        (time(1, 30), "h:mm", "1:30", 90),
        (time(0, 1, 30), "mm:ss", "0:01:30", 90),
        (1.5, "0.00", "1.50", 1.5),
        (1200.5, "#,##0", "1200.5", 1200.5),
    ],
)
def test_times_keep_fractions_of_a_second(
    value: Any, number_format: str, text: str, seconds: float, tmp_path: Path
) -> None:
    read = one_cell(tmp_path / "a.xlsx", "start_s", value, number_format)
    assert read == text
    assert read_seconds(read) == pytest.approx(seconds, abs=1e-9)


def test_a_date_with_words_is_a_date(tmp_path: Path) -> None:
    day = datetime(2026, 3, 1)
    assert one_cell(tmp_path / "a.xlsx", "recorded_at", day, 'd" de "mmmm" de "yyyy') == "2026-03-01"
