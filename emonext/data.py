"""FER2013: 48×48 grey faces in seven classes, with the FER+ votes of ten people for each."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emonext.errors import DataError

SIDE = 48
TILES_PER_ROW = 64

# FER+ orders the emotions differently; "contempt", "unknown" and "not a face" have no class here.
FERPLUS_COLUMNS = (4, 5, 6, 1, 3, 2, 0)

Split = Literal["train", "val"]


@dataclass(frozen=True)
class FaceSet:
    """Labelled faces.

    :param images: (N, 48, 48) uint8 grey.
    :param labels: (N,) int64, the index into :data:`emonext.LABELS`.
    :param votes: (N, 7) float32, share of the FER+ votes among the seven classes; a row of zeros where
        the votes are not known to belong to the picture or none fell on the seven.
    :param unseen: (N,) bool, the picture has no twin in the other splits.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    votes: NDArray[np.float32]
    unseen: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, rows: NDArray[np.bool_]) -> "FaceSet":
        """The rows where the (N,) mask is true."""
        return FaceSet(self.images[rows], self.labels[rows], self.votes[rows], self.unseen[rows])


def load_fer2013(folder: Path, split: Split) -> FaceSet:
    """One split, in FER2013's order, from ``fer2013_{split}.png`` and ``fer2013_labels.npz``.

    :raises DataError: a file is missing or does not hold what its name says.
    """
    with _readable(folder / "fer2013_labels.npz") as path:
        table = np.load(path, allow_pickle=False)
        labels = table[f"y_{split}"].astype(np.int64)
        votes = table[f"ferplus_votes_{split}"][:, FERPLUS_COLUMNS].astype(np.float32)
        votes[~table[f"ferplus_row_known_{split}"]] = 0
        unseen = table["train_not_in_val_or_test" if split == "train" else "val_not_in_train"]
    with _readable(folder / f"fer2013_{split}.png") as path:
        images = _tiles(path, len(labels))
    total = votes.sum(axis=1, keepdims=True)
    return FaceSet(images, labels, votes / np.maximum(total, 1), unseen)


@contextmanager
def _readable(path: Path) -> Iterator[Path]:
    """Whatever goes wrong with a file becomes one line that names it."""
    try:
        yield path
    except FileNotFoundError as error:
        raise DataError(f"{path}: not found. DATA is the folder with FER2013's files.") from error
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: not FER2013's file of this name, or damaged ({error}).") from error


def _tiles(path: Path, count: int) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        columns, rows = picture.width // SIDE, picture.height // SIDE
        if picture.mode != "L" or columns != TILES_PER_ROW or columns * rows < count:
            raise ValueError(f"expected {count} grey tiles of {SIDE} px, {TILES_PER_ROW} a row")
        sheet = np.asarray(picture)
    grid = sheet.reshape(-1, SIDE, TILES_PER_ROW, SIDE).transpose(0, 2, 1, 3)
    return grid.reshape(-1, SIDE, SIDE)[:count].copy()
