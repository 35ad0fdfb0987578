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
