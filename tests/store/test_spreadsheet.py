"""What a spreadsheet must not change, and the decimal mark of a folder's tables."""

import re
from pathlib import Path

import openpyxl
import pytest

from pipeline.errors import DoubtfulTableError, InputError
from pipeline.store.spreadsheet import (
    DECIMALS,
    Decimal,
    as_text,
    keep_decimal,
    keep_text,
    plain,
    read_decimal,
    read_table,
    why_share_of_day,
    write_rows,
)

LIKE_NUMBERS = [
    "007",
    "1e5",
    "1E05",
    "1.10",
    "1,5",
    "3-12",
    "1/2",
    "10:30",
    "2026-03-01",
    "2026-03-01 14:30",
    "1" * 16,
]


@pytest.mark.parametrize("text", [*LIKE_NUMBERS, "=1+1", "-x", " x", "'007", "''=1"])
def test_a_text_that_a_spreadsheet_would_change_is_kept_and_comes_back(text: str) -> None:
    assert keep_text(text) == f"'{text}"
    assert plain(keep_text(text)) == text


@pytest.mark.parametrize(
    "text", ["", "P012", "12", "S01", "P1-2", "a.1", "0", "12 s", "1 2 3", "O'Neil", "'x"]
)
def test_another_text_stays_as_it_is(text: str) -> None:
    assert keep_text(text) == text
    assert plain(text) == text


@pytest.mark.parametrize(
    ("cell", "point", "comma"),
    [
        (0.5, "0.5", "0,5"),
        (-1234567.25, "-1234567.25", "-1234567,25"),
        (12, "12", "12"),
        (float("nan"), "", ""),
        (float("inf"), "", ""),
        (None, "", ""),
        (True, "true", "true"),
        ("a.b", "a.b", "a.b"),
        ("1.5", "'1.5", "'1.5"),
    ],
)
def test_only_numbers_have_the_decimal_mark(cell: str | float | None, point: str, comma: str) -> None:
    assert (as_text(cell, "point"), as_text(cell, "comma")) == (point, comma)


@pytest.mark.parametrize("decimal", DECIMALS)
def test_a_written_table_is_read_back(decimal: Decimal, tmp_path: Path) -> None:
    row = {"id": "007", "x": 0.25, "text": 'a,b;c "d"', "none": None}
    path = write_rows(tmp_path / "a.csv", row, [row], decimal)
    (_, header), (_, cells) = read_table(path)
    assert header == list(row)
    assert [plain(cell) for cell in cells] == [
        "007",
        "0,25" if decimal == "comma" else "0.25",
        row["text"],
        "",
    ]


def test_the_choice_of_a_folder(tmp_path: Path) -> None:
    assert read_decimal(tmp_path) == "point"
    for decimal in DECIMALS:
        keep_decimal(tmp_path, decimal)
        assert read_decimal(tmp_path) == decimal


@pytest.mark.parametrize("text", ['decimal = ","', "decimal = 1", 'decimal = ["comma"]', "decimal"])
def test_a_choice_that_is_none_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "tables.toml").write_text(text)
    with pytest.raises(InputError, match=r'tables\.toml: .*decimal = "comma"'):
        read_decimal(tmp_path)


# As Excel writes them in English, German, French, Spanish and Italian, and LibreOffice.
ERRORS = [
    *("#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NUM!", "#NULL!", "#SPILL!", "#GETTING_DATA"),
    *("#NV", "#BEZUG!", "#WERT!", "#ZAHL!", "#ÜBERLAUF!", "#VALEUR!", "#NOM?", "#NOMBRE!", "#¡REF!", "#N/D"),
    *("Err:502", " #N/A "),
]


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.parametrize("error", ERRORS)
def test_an_error_of_a_formula_is_no_value(kind: str, error: str, tmp_path: Path) -> None:
    def table(*rows: tuple[str, ...]) -> Path:
        path = tmp_path / f"a.{kind}"
        if kind == "csv":
            path.write_text("".join(";".join(row) + "\n" for row in rows), encoding="utf-8")
            return path
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        for cell in book.active[2]:
            cell.data_type = "e" if cell.value == error else cell.data_type
        book.save(path)
        return path

    reason = rf"a\.{kind}: row 2, condition: '{re.escape(error)}' is an error of a formula; correct it"
    with pytest.raises(DoubtfulTableError, match=reason):
        read_table(table(("id", "condition"), ("P1", error)))
    assert read_table(table(("id", "X_sum"), ("P1", error)))[1] == (2, ["P1", error])


def test_an_error_in_an_unnamed_place_is_told_with_its_row(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id;a\n\nP1;1;#REF!\n")
    with pytest.raises(DoubtfulTableError, match="row 3: '#REF!' is an error"):
        read_table(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("id;#NAME?\nP1;1\n")
    with pytest.raises(DoubtfulTableError, match="row 1, #NAME"):
        read_table(tmp_path / "a.csv")


@pytest.mark.parametrize("text", ["#1", "#hello!", "N/A", "#", "# REF!", "see #REF!", "Error", "Err", "NV"])
def test_a_text_like_an_error_is_a_text(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"id;notes\nP1;{text}\n")
    assert read_table(tmp_path / "a.csv")[1] == (2, ["P1", text])


# --- times that a spreadsheet keeps as shares of a day


@pytest.mark.parametrize("decimals", [9, 15])
@pytest.mark.parametrize("clock", ["0:00:01", "0:00:45", "0:01:30", "0:45:07", "1:00:00", "12:34:56"])
def test_a_share_of_a_day_is_known(clock: str, decimals: int) -> None:
    hours, minutes, seconds = map(int, clock.split(":"))
    cell = f"{(3600 * hours + 60 * minutes + seconds) / 86400:.{decimals}f}".rstrip("0")
    for cells in ([cell], ["", "0", cell], [cell.replace(".", ","), "0,0001"], ["NA", cell]):
        place, reason = why_share_of_day(cells) or (-1, "")
        assert cells[place] in (cell, cell.replace(".", ","))
        assert f"looks like a share of a day, {clock}; format the column as text" in reason


def test_of_several_shares_one_whole_second_is_enough() -> None:
    assert why_share_of_day(["0.03125", "0.0625"]) == why_share_of_day(["0.03125"])
    assert (why_share_of_day(["0.000002315", "0.000011574", "0.000016204"]) or (-1,))[0] == 1


@pytest.mark.parametrize(
    "cells",
    [
        [],
        ["", "0", "0.0"],
        ["0.25"],
        ["0.5", "0,75"],
        ["0.0625"],  # 1:30:00, but as likely 1/16 s with four decimals
        ["0.533333"],
        ["0.033333", "0.066667", "0.1"],
        ["0.001041667", "1.5"],
        ["0.001041667", "0:01:30"],
        ["90", "600"],
        ["late"],
    ],
)
def test_seconds_are_no_shares_of_a_day(cells: list[str]) -> None:
    assert why_share_of_day(cells) is None


def test_written_times_are_no_shares_of_a_day() -> None:
    """Frames of common rates, to the millisecond, as this program's pages and most others write times."""
    for rate in (24, 25, 29.97, 30, 50, 59.94, 60):
        assert why_share_of_day([f"{frame / rate:.3f}" for frame in range(int(rate))]) is None
