"""Load faces with votes from one picture of square tiles and one table.

NAME_faces.png   grey, 32 tiles a row, row by row
NAME_votes.csv   one line per tile: ``tile``, ``split``, ``votes_angry`` … ``votes_neutral``; other columns
                 become :attr:`FaceSet.groups`
"""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emonext.datasets.data import FaceSet, Split, reading, tiles_of
from emonext.errors import DataError
from emonext.model import LABELS

_TILES_A_ROW = 32
_VOTES = tuple(f"votes_{label}" for label in LABELS)


def find_rated_tiles(folder: Path) -> Path | None:
    """The table of a folder in this form, or ``None``."""
    tables = sorted(folder.glob("*_votes.csv")) if folder.is_dir() else []
    return next((table for table in tables if _sheet(table).is_file()), None)


def load_rated_tiles(table: Path, split: Split) -> FaceSet:
    """The tiles of one split. There are no labels; ``majority`` is the class with the most votes.

    :returns: pictures at the size of the tiles.
    :raises DataError: a file is missing or damaged, or the split has no face.
    """
    with reading(table), table.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.DictReader(file, strict=True) if row["split"] == split]
        tiles = np.array([int(row["tile"]) for row in rows], np.int64)
        votes = np.array([[float(row[name]) for name in _VOTES] for row in rows], np.float32)
    if not rows:
        raise DataError(f"{table}: no face in its {split} split.")
    if not (np.isfinite(votes).all() and (votes >= 0).all() and (votes.sum(axis=1) > 0).all()):
        raise DataError(f"{table}: a tile without votes, or with votes that are no positive numbers.")
    with reading(_sheet(table)):
        images = _tiles(_sheet(table), tiles)
    names = rows[0].keys() - {"tile", "split", *_VOTES}
    return FaceSet(
        images=images,
        labels=np.full(len(rows), -1, np.int64),
        votes=votes / votes.sum(axis=1, keepdims=True),
        majority=votes.argmax(axis=1).astype(np.int64),
        unseen=np.ones(len(rows), bool),
        groups={name: np.array([row[name] for row in rows]) for name in sorted(names)},
    )


def _sheet(table: Path) -> Path:
    return table.with_name(table.name.removesuffix("_votes.csv") + "_faces.png")


def _tiles(sheet: Path, numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
    """(n, S, S) uint8."""
    with Image.open(sheet) as picture:
        side, rest = divmod(picture.width, _TILES_A_ROW)
        rows = picture.height // side if side else 0
        if picture.mode != "L" or rest or not 0 <= numbers.min() <= numbers.max() < rows * _TILES_A_ROW:
            raise ValueError(f"expected {numbers.max() + 1} grey tiles, {_TILES_A_ROW} a row")
        return tiles_of(np.asarray(picture)[: rows * side], side)[numbers]
