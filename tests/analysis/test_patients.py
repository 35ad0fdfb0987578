"""analysis.patients: tables as people write them, and what is refused."""

from pathlib import Path

import pytest

from pipeline.analysis.patients import (
    EMPTY,
    ONE_VALUE,
    SINGLE_OUT,
    PatientTable,
    is_age,
    is_personal,
    levels,
    read_patients,
)
from pipeline.errors import InputError


def read(tmp_path: Path, text: str | bytes) -> PatientTable:
    path = tmp_path / "patients.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_patients(path)


def told(table: PatientTable) -> list[str]:
    return list(map(str, table.problems))


@pytest.mark.parametrize("text", ["", "\n", "age;sex\n80;f\n"])
def test_a_table_without_ids_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"patients\.csv: no column 'patient_id'"):
        read(tmp_path, text)


def test_a_table_without_patients_says_so(tmp_path: Path) -> None:
    table = read(tmp_path, "patient_id;age\n")
    assert (table.patients, [column.values for column in table.columns]) == ((), [{}])
    assert told(table) == ["row 2: no patient; write one line for each."]


@pytest.mark.parametrize("start", ["", "\ufeff", "sep=;\r\n", "\ufeffsep=;\r\n"])
def test_a_table_as_excel_writes_it(tmp_path: Path, start: str) -> None:
    text = f"{start}Patient;Age;Ward;z\r\nP01;81,5;A;'-1,5\r\nP02;79;B;−2\r\nP03;n/a;A;0\r\n;;;\r\n"
    table = read(tmp_path, text)
    age, ward, z = table.columns
    assert told(table) == []
    assert table.patients == ("P01", "P02", "P03")
    assert (age.name, age.kind, age.values) == ("Age", "number", {"P01": 81.5, "P02": 79.0})
    assert (ward.kind, ward.values) == ("category", {"P01": "A", "P02": "B", "P03": "A"})
    assert levels(ward) == [("A", 2), ("B", 1)]
    assert (z.kind, z.values) == ("number", {"P01": -1.5, "P02": -2.0, "P03": 0.0})


def test_commas_separate_and_decimal_commas_stand_in_quotes(tmp_path: Path) -> None:
    (cdr,) = read(tmp_path, 'patient_id,cdr\nP1,"0,5"\nP2,1\n').columns
    assert cdr.values == {"P1": 0.5, "P2": 1.0}


def test_a_column_with_one_word_is_one_of_categories_and_says_where(tmp_path: Path) -> None:
    table = read(tmp_path, "patient_id;mmse;stage\nP1;20;1\nP2;1O;2a\nP3;14;2b\nP4;13;\n")
    assert [column.kind for column in table.columns] == ["category", "category"]
    assert told(table) == [
        "row 3, mmse: '1O' is no number, unlike most cells; the column counts as categories."
    ]


def test_two_spellings_of_a_category_are_told(tmp_path: Path) -> None:
    table = read(tmp_path, "patient_id;sex\nP1;f\nP2;m\nP3;F\nP4;f\n")
    assert told(table) == ["row 4, sex: 'F' and 'f' count as two categories; write one of them."]
    assert levels(table.columns[0]) == [("f", 2), ("F", 1), ("m", 1)]


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (("", "-", "?"), EMPTY),
        (("A", "A", "A"), ONE_VALUE),
        (("3", "3", ""), ONE_VALUE),
        (("A", "B", "C"), SINGLE_OUT),
        (("A", "B", ""), SINGLE_OUT),
        (("A", "B", "B"), ""),
        (("1", "2", "3"), ""),
    ],
)
def test_a_column_that_compares_nobody_has_a_reason(
    tmp_path: Path, cells: tuple[str, ...], reason: str
) -> None:
    lines = [f"P{number};{cell}\n" for number, cell in enumerate(cells)]
    (column,) = read(tmp_path, "patient_id;x\n" + "".join(lines)).columns
    assert column.unusable == reason


def test_a_column_is_judged_by_the_patients_that_are_there(tmp_path: Path) -> None:
    (column,) = read(tmp_path, "patient_id;group\nP1;A\nP2;A\nP3;B\n").columns
    assert (column.unusable, column.of(["P1", "P2"]).unusable) == ("", ONE_VALUE)


# --- errors of rows


def test_of_two_rows_of_a_patient_none_counts(tmp_path: Path) -> None:
    table = read(tmp_path, "patient_id;age\nP1;80\nP2;70\nP1;81\n")
    assert table.patients == ("P2",)
    assert table.columns[0].values == {"P2": 70.0}
    assert told(table) == ["row 4, patient_id: row 2 is of P1 too; neither was used. Keep one."]


@pytest.mark.parametrize("name", ["Anna Müller", "../P1", "index"])
def test_an_id_that_is_none_is_not_repeated(tmp_path: Path, name: str) -> None:
    """The message is stored and shown, and the cell may be a name."""
    table = read(tmp_path, f"patient_id;age\nP1;80\n{name};70\n;60\n")
    assert table.patients == ("P1",)
    bad, empty = told(table)
    assert bad.startswith("row 3, patient_id: not a usable id. Give a pseudonym")
    assert name not in bad
    assert empty == "row 4, patient_id: empty; give the patient's pseudonym."


def test_rows_that_are_too_long_and_cells_that_are_no_cells(tmp_path: Path) -> None:
    table = read(tmp_path, f'patient_id,group\nP1,0,5\nP2,"a\nb"\nP3,{"x" * 65}\nP4,A\n')
    assert table.patients == ("P2", "P3", "P4")
    assert table.columns[0].values == {"P4": "A"}
    assert [line.split(":")[0] for line in told(table)] == [
        "row 2, patient_id",
        "row 3, group",
        "row 4, group",
    ]


# --- errors of columns


def test_columns_that_clash_are_left_out(tmp_path: Path) -> None:
    table = read(tmp_path, "patient_id;age;AGE ;;participant_id;x_note;mmse;\nP1;80;81;3;s;n;20;\n")
    assert [column.name for column in table.columns] == ["mmse"]
    assert [line.split(";")[0] for line in told(table)] == [
        "row 1, age: two columns have this name",
        "row 1, AGE: two columns have this name",
        "row 1, no name: a column without a name",
        "row 1, participant_id: this name has another meaning",
    ]


def test_two_columns_of_ids_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="mean the same column"):
        read(tmp_path, "patient;patient_id\nP1;P1\n")


def test_more_columns_than_anybody_compares_are_refused(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(21)]
    with pytest.raises(InputError, match="21 columns; leave at most 20"):
        read(tmp_path, f"patient_id;{';'.join(names)}\nP1{';1' * 21}\n")


@pytest.mark.parametrize(
    "name",
    [
        *("name", "Name", "names", "first_name", "lastName", "surname", "Vorname", "nachname", "Nom"),
        *("prénom", "Prénoms", "PRENOM", "nom de famille", "x_name", "birth", "birthday", "BirthDate"),
        *("date_of_birth", "year of birth", "dob", "DOB", "Geburtsdatum", "geburtstag", "Geb.", "gebdat"),
        *("date de naissance", "naissance", "ddn", "initials"),
    ],
)
def test_names_and_dates_of_birth_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"looks like a person's name or date of birth.*Delete the column"):
        read(tmp_path, f"patient_id;age;{name}\nP1;80;secret\n")


@pytest.mark.parametrize(
    "name", ["age", "sex", "mmse", "cdr", "group", "gender", "nomination", "dominant", "Wohngebiet", "status"]
)
def test_other_columns_are_not(name: str) -> None:
    assert not is_personal(name)


@pytest.mark.parametrize("dates", [("12.03.1941", "1.1.1950"), ("1941-03-12", ""), ("3/12/41", "1/1/50")])
def test_dates_are_not_used_under_any_name(tmp_path: Path, dates: tuple[str, ...]) -> None:
    lines = [f"P{number};{date}\n" for number, date in enumerate(dates)]
    table = read(tmp_path, "patient_id;g\n" + "".join(lines))
    assert table.columns == ()
    (problem,) = told(table)
    assert problem.startswith("row 1, g: dates, which were not used")
    assert dates[0] not in problem


def test_what_is_an_age() -> None:
    assert all(map(is_age, ("age", "Age", "Alter", "âge", "age_years", "age at onset")))
    assert not any(map(is_age, ("stage", "wages", "language", "agent")))
