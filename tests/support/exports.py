"""Read exports back."""

import csv
from pathlib import Path

SECONDS = [("happy", 50), ("neutral", 51), ("no_face", 25), ("sad", 33), ("happy", 17)]
PARTS = [{"name": "a b.mp4", "sha256": "", "start_s": 0.0}, {"name": "c.mp4", "sha256": "", "start_s": 20.0}]


def names(folder: Path) -> set[str]:
    """Of files and folders."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


# --- BIDS


def tsv(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.open(), delimiter="\t"))
