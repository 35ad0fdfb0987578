"""Tables as somebody corrects them in a spreadsheet."""

import csv
from collections.abc import Callable
from pathlib import Path


def rewrite(table: Path, change: Callable[[dict[str, str]], dict[str, str]]) -> Path:
    """The table with changed cells, as a spreadsheet with commas would write it."""
    with table.open(encoding="utf-8-sig", newline="") as file:
        lines = file.readlines()
    rows = list(csv.DictReader(lines, delimiter=";" if ";" in lines[0] else ","))
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row | change(row) for row in rows)
    return table
