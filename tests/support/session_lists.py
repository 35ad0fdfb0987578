"""Lists of sessions as spreadsheets save them."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from pipeline.processing.sessions_list import Study


def write(
    folder: Path, *rows: Mapping[str, str], delimiter: str = ";", end: str = "\r\n", bom: str = ""
) -> Path:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", delimiter=delimiter, lineterminator=end)
    writer.writeheader()
    writer.writerows(rows)
    return put(folder, (bom + text.getvalue()).encode())


def put(folder: Path, content: bytes | str) -> Path:
    path = folder / "sessions.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def places(study: Study) -> list[tuple[int, str]]:
    return [(problem.row, problem.column) for problem in study.problems]
