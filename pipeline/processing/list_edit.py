"""Change cells of a list of sessions (CSV); everything else in the file stays as it is."""

import csv
import io
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.errors import InputError, OutputError
from pipeline.store.files import BACKUP_SUFFIX, atomic
from pipeline.store.spreadsheet import csv_form, protect, read_table, read_text

_ADVICE = "in the spreadsheet, save it as “CSV UTF-8”"
_BOM = "\ufeff"

Cells = Mapping[str, str]
"""Column → text."""


def edited_list(path: Path, cells: Mapping[int, Cells], added: Sequence[Cells] = ()) -> str:
    """The text of the list with other cells, and with rows added at the end.

    Lines without a change keep every character; others keep their delimiter, line ends and other cells. A
    column that the list lacks is added if a cell of it is not empty.

    :param cells: number of a row, as :func:`pipeline.store.spreadsheet.read_table` counts → new cells.
    :raises InputError: the list is a workbook, or can't be read.
    """
    if path.suffix.lower() != ".csv":
        raise InputError(f"{path}: a workbook can't be changed here; {_ADVICE}, and move the workbook away.")
    read_table(path)  # raises for what is no table
    text = read_text(path, _ADVICE)
    first, delimiter = csv_form(text)
    records = list(_records(text[len(first) :], delimiter))
    header = [name.strip().casefold() for name in records[0][0]] if records else []
    new = [*cells.values(), *added]
    missing = [name for name in dict.fromkeys(n for row in new for n in row) if name not in header]
    missing = [name for name in missing if any(row.get(name) for row in new)]
    end = next((mark for mark in ("\r\n", "\n", "\r") if records and records[0][1].endswith(mark)), "\r\n")
    names = [*header, *missing]

    def line(row: Sequence[str], changed: Cells) -> str:
        own = [*row, *[""] * (len(names) - len(row))]
        for name, cell in changed.items():
            if name in names:
                own[names.index(name)] = protect(cell)
        return _line(own, delimiter, end)

    lines = [first]
    for number, (row, raw) in enumerate(records, start=1):
        if number == 1:
            lines.append(_line([*row, *missing], delimiter, end) if missing else raw)
        elif row and (missing or number in cells):
            lines.append(line(row, cells.get(number, {})))
        else:
            lines.append(raw)
    if added and lines[-1] and not lines[-1].endswith(("\n", "\r")):
        lines.append(end)
    lines += [line((), row) for row in added]
    begin = _BOM if path.read_bytes().startswith(_BOM.encode()) else ""
    return begin + "".join(lines)


def write_list(path: Path, text: str) -> Path:
    """Write the list, and the list as it was beside it; return the path of the latter.

    :raises OutputError: a file can't be written.
    """
    backup = path.with_name(path.name + BACKUP_SUFFIX)
    try:
        with atomic(backup) as partial:
            shutil.copyfile(path, partial)
        with atomic(path) as partial:
            partial.write_text(text, encoding="utf-8", newline="")
            shutil.copymode(path, partial)  # a list that colleagues share stays shared
    except OSError as error:
        raise OutputError(f"{path}: can't be written ({error.strerror}).") from error
    return backup


def _records(text: str, delimiter: str) -> Iterator[tuple[list[str], str]]:
    """Each row of a table: its cells, and its characters in the file."""
    lines = list(io.StringIO(text, newline=""))
    reader, begin = csv.reader(iter(lines), delimiter=delimiter, strict=True), 0
    for row in reader:
        yield row, "".join(lines[begin : reader.line_num])
        begin = reader.line_num


def _line(cells: Iterable[str], delimiter: str, end: str) -> str:
    with io.StringIO(newline="") as file:
        csv.writer(file, delimiter=delimiter, lineterminator=end).writerow(cells)
        return file.getvalue()
