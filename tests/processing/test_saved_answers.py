"""processing.saved_answers: what a page saved is put into the list, and what does not fit is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import Workbook

from pipeline.errors import InputError
from pipeline.processing.list_columns import COLUMNS
from pipeline.processing.recordings_folder import rows_of
from pipeline.processing.saved_answers import Applied, compare_answers, write_answers
from pipeline.records import ANSWER_COLUMNS
from pipeline.store.spreadsheet import read_table, write_rows

Save = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "rec"
    (folder / "monday").mkdir(parents=True)
    for name, size in (("a.mp4", 10), ("b.mp4", 20), ("monday/c.mp4", 30)):
        (folder / name).write_bytes(b"x" * size)
    return folder


@pytest.fixture
def save(tmp_path: Path, folder: Path) -> Save:
    """Write a table as the page does; of each recording, its cells."""

    def write(**cells: dict[str, str]) -> Path:
        rows = []
        for name, own in cells.items():
            video = {"a": "a.mp4", "b": "b.mp4", "c": "monday/c.mp4"}.get(name, name)
            size = (folder / video).stat().st_size if (folder / video).exists() else 0
            rows.append({"recording": video, "bytes": str(size), **own})
        return write_rows(tmp_path / "saved.csv", ANSWER_COLUMNS, rows)

    return write


A = {"patient_id": "P1", "session_id": "S1", "condition": "music", "consent": "yes"}


def apply(saved: Path, folder: Path) -> Applied:
    applied = compare_answers(saved, folder)
    assert applied.problems == ()
    write_answers(applied)
    return applied


def test_without_a_list_one_is_written(save: Save, folder: Path) -> None:
    applied = apply(save(a=A, b={}, c={**A, "session_id": "S2", "patient_region": "0,10,55.5,100"}), folder)
    assert applied.is_new
    header, *lines = (folder / "sessions.csv").read_text("utf-8-sig").splitlines()
    assert header == ",".join(column.name for column in COLUMNS)
    assert lines == [
        "P1,S1,a.mp4,,music,,,,,,,yes,",
        ",,b.mp4,,,,,,,,,,",
        'P1,S2,monday/c.mp4,,music,,,,,"0,10,55.5,100",,yes,',
    ]
    assert not (folder / "sessions.csv.bak").exists()


LIST = "video,notes,patient_id,session_id,consent\n./a.mp4,mine,P1,,\nb.mp4,,P2,S1,no\n"


def test_empty_cells_of_a_list_are_filled_and_rows_added(save: Save, folder: Path) -> None:
    path = folder / "sessions.csv"
    path.write_text(LIST)
    saved = save(a=A, b={"consent": "no"}, c={"patient_id": "P3"})
    applied = apply(saved, folder)
    assert path.read_text() == (
        "video,notes,patient_id,session_id,consent,condition\n"
        "./a.mp4,mine,P1,S1,yes,music\nb.mp4,,P2,S1,no\nmonday/c.mp4,,P3\n"
    )
    assert (folder / "sessions.csv.bak").read_text() == LIST
    assert [(change.row, dict(change.filled)) for change in applied.changes] == [
        (2, {"session_id": "S1", "condition": "music", "consent": "yes"}),
        (None, {"patient_id": "P3"}),
    ]
    assert applied.kept == 2
    assert compare_answers(saved, folder).changes == ()  # the same again changes nothing


def test_a_cell_that_differs_is_named_with_both_values(save: Save, folder: Path) -> None:
    (folder / "sessions.csv").write_text(LIST)
    applied = compare_answers(save(b={"patient_id": "P9", "consent": "yes"}), folder)
    assert applied.replaced == [
        "row 3 (b.mp4), patient_id: 'P2' becomes 'P9'",
        "row 3 (b.mp4), consent: 'no' becomes 'yes'",
    ]
    write_answers(applied)
    assert (folder / "sessions.csv").read_text().splitlines()[2] == "b.mp4,,P9,S1,yes"


@pytest.mark.parametrize(
    ("column", "listed", "saved"),
    [("consent", "Oui", "yes"), ("patient_region", "0 ; 10; 55,5 ;100", "0,10,55.5,100")],
)
def test_another_way_to_write_the_same_stays(
    save: Save, folder: Path, column: str, listed: str, saved: str
) -> None:
    (folder / "sessions.csv").write_text(f'video;{column}\na.mp4;"{listed}"\n')
    assert compare_answers(save(a={column: saved}), folder).changes == ()


def test_a_date_of_the_list_in_another_form_stays_and_a_new_one_is_filled_in(
    save: Save, folder: Path
) -> None:
    rows = "P1,S1,a.mp4,15/03/2026,yes\nP1,S2,b.mp4,,yes\n"
    (folder / "sessions.csv").write_text("patient_id,session_id,video,recorded_at,consent\n" + rows)
    ids = {"patient_id": "P1", "consent": "yes"}
    one = {**ids, "session_id": "S1", "recorded_at": "15/03/2026"}
    applied = apply(save(a=one, b={**ids, "session_id": "S2", "recorded_at": "2026-03-22"}), folder)
    assert applied.replaced == []
    assert (folder / "sessions.csv").read_text().endswith("15/03/2026,yes\nP1,S2,b.mp4,'2026-03-22,yes\n")
    (problem,) = compare_answers(save(c={**ids, "session_id": "S3", "recorded_at": "22/03"}), folder).problems
    assert (problem.column, "is no date here" in problem.reason) == ("recorded_at", True)


def test_a_list_with_decimal_commas_gets_them(save: Save, folder: Path) -> None:
    path = folder / "sessions.csv"
    path.write_text("video;start_s;patient_region\na.mp4;90,5;\n")
    apply(save(a={"patient_region": "0.5,10,55.5,100"}), folder)
    assert path.read_text().splitlines()[1] == 'a.mp4;90,5;"0,5;10;55,5;100"'
    assert compare_answers(save(a={"patient_region": "0.5,10,55.5,100"}), folder).changes == ()


def test_two_patients_of_one_recording_are_told_apart_by_their_ids(save: Save, folder: Path) -> None:
    path = folder / "sessions.csv"
    path.write_text("patient_id;session_id;video;consent\nP1;S1;a.mp4;\nP2;S1;a.mp4;\n")
    apply(save(a={"patient_id": "P2", "session_id": "S1", "consent": "no"}), folder)
    assert path.read_text().splitlines()[1:] == ["P1;S1;a.mp4;", "P2;S1;a.mp4;no"]
    (problem,) = compare_answers(save(a={"patient_id": "P3", "session_id": "S1"}), folder).problems
    assert "no row of this recording with these ids" in str(problem)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"patient_id": "Marie Curie"}, "row 2 (a.mp4), patient_id: 'Marie Curie': not a usable id"),
        ({"session_id": "../S1"}, "row 2 (a.mp4), session_id: '../S1': not a usable id"),
        ({"consent": "perhaps"}, "row 2 (a.mp4), consent: 'perhaps' is no answer; write yes or no."),
        ({"patient_region": "1,2"}, "row 2 (a.mp4), patient_region: '1,2' is no region"),
        ({"condition": "x" * 65}, "row 2 (a.mp4), condition: 65 characters"),
        ({"bytes": "11"}, "row 2, recording: 'a.mp4' is another file than on the page, of another size"),
        ({"recording": "z.mp4"}, "row 2, recording: 'z.mp4' is not there"),
        ({"recording": ""}, "row 2, recording: '' is not there"),
        ({"recording": "../recordings/a.mp4"}, "row 2, recording: '../recordings/a.mp4' is not there"),
    ],
)
def test_what_is_not_allowed_is_one_line_each(
    save: Save, folder: Path, cells: dict[str, str], message: str
) -> None:
    applied = compare_answers(save(a={**A, **cells}, b=A), folder)
    (problem,) = applied.problems
    assert str(problem).startswith(message)
    assert not (folder / "sessions.csv").exists()


def test_tables_of_another_kind_or_folder_are_refused(save: Save, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="none of its recordings is in"):
        compare_answers(save(a=A), tmp_path / "other")
    (tmp_path / "list.csv").write_text("patient_id;session_id;video\nP1;S1;a.mp4\n")
    with pytest.raises(InputError, match="not saved by the page of `emonext preflight`"):
        compare_answers(tmp_path / "list.csv", folder)
    with pytest.raises(InputError, match="names no recording"):
        compare_answers(save(), folder)
    (folder / "sessions.xlsx").write_bytes(b"no workbook")
    with pytest.raises(InputError, match="not an Excel workbook"):
        compare_answers(save(a=A), folder)


def test_answers_go_into_a_workbook(save: Save, folder: Path) -> None:
    """Formats far below the last row do not move the new rows."""
    book = Workbook()
    for row in (["patient_id", "session_id", "video", "x_own"], ["P1", None, "a.mp4", 7]):
        book.active.append(row)
    book.active["A50"].number_format = "@"
    path = folder / "sessions.xlsx"
    book.save(path)
    answer = {"patient_id": "P1", "session_id": "S2", "condition": "=1+1", "consent": "no"}
    backup = write_answers(compare_answers(save(a=A, b=answer), folder))
    assert backup == folder / "sessions.xlsx.bak"
    rows = read_table(path)
    assert [number for number, _ in rows] == [1, 2, 3]
    assert rows[1][1][3] == "7"
    assert [row["video"] for row in rows_of(path)] == ["a.mp4", "b.mp4"]
    for row, given in zip(rows_of(path), (A, answer), strict=True):
        assert {name: row[name] for name in given} == given
