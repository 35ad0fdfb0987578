"""The type of labelled faces, and FER2013: 48×48 grey, seven classes, with ten FER+ votes per face.

Other forms of labelled faces are read by :mod:`emonext.datasets.forms`.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emonext.errors import DataError

SIDE = 48
TILES_PER_ROW = 64
FER2013_TABLE = "fer2013_labels.npz"

# Column of each class in FER+'s order; "contempt", "unknown" and "not a face" have no class here.
FERPLUS_COLUMNS = (4, 5, 6, 1, 3, 2, 0)

Split = Literal["train", "val", "test"]


@dataclass(frozen=True)
class FaceSet:
    """Labelled faces.

    :param images: (N, H, W) uint8 grey, all of one size; FER2013's are 48×48.
    :param labels: (N,) int64, the index into :data:`emonext.LABELS`; −1 if the face has votes only.
    :param votes: (N, 7) float32, share of the FER+ votes among the seven classes; a row of zeros if
        the face has no votes, or none for the seven classes.
    :param majority: (N,) int64, the class with the majority of the ten votes; −1 if there is none.
    :param unseen: (N,) bool, whether the picture has no duplicate in the other splits; outside ``train``,
        whether it has no duplicate in ``train``.
    :param groups: further columns of the user's table, such as ``age_group``: (N,) str, one value per face.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    votes: NDArray[np.float32]
    majority: NDArray[np.int64]
    unseen: NDArray[np.bool_]
    groups: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, rows: NDArray[np.bool_]) -> "FaceSet":
        """Select the rows where the (N,) mask is true."""
        return FaceSet(
            self.images[rows],
            self.labels[rows],
            self.votes[rows],
            self.majority[rows],
            self.unseen[rows],
            {name: values[rows] for name, values in self.groups.items()},
        )


def without_twins(train: FaceSet, other: FaceSet) -> NDArray[np.bool_]:
    """(N,) mask of the training pictures without a pixel-identical duplicate in the other set.

    :raises DataError: the pictures of the two sets differ in size, so duplicates cannot be found.
    """
    if len(train) and len(other) and train.images.shape[1:] != other.images.shape[1:]:
        sizes = " and ".join("×".join(map(str, faces.images.shape[1:])) for faces in (train, other))
        raise DataError(f"pictures of {sizes} px can't be compared; read both sets at one size.")
    known = {_digest(image) for image in other.images}
    return np.array([_digest(image) not in known for image in train.images], bool)


def _digest(image: NDArray[np.uint8]) -> bytes:
    return hashlib.sha256(image.tobytes()).digest()


def load_fer2013(folder: Path, split: Split) -> FaceSet:
    """Load one split, in FER2013's order, from ``fer2013_{split}.png`` and ``fer2013_labels.npz``.

    :raises DataError: a file is missing or damaged, or the split is ``test``.
    """
    if split == "test":
        raise DataError(
            f"{folder}: FER2013's test split (PrivateTest) is reserved; the folder has train and val."
        )
    path, sheet = folder / FER2013_TABLE, folder / f"fer2013_{split}.png"
    with reading(path), np.load(path, allow_pickle=False) as table:
        labels = table[f"y_{split}"].astype(np.int64)
        known = table[f"ferplus_row_known_{split}"]
        counts = table[f"ferplus_votes_{split}"] * known[:, None]
        unseen = table["train_not_in_val_or_test" if split == "train" else "val_not_in_train"]
    with reading(sheet):
        images = _tiles(sheet, len(labels))
    return FaceSet(images, labels, shares_of(counts), majority_of(counts), unseen)


def shares_of(counts: NDArray[np.integer]) -> NDArray[np.float32]:
    """(N, 10) votes in FER+'s order → (N, 7) shares among the seven classes; zeros without such votes."""
    ours = counts[:, FERPLUS_COLUMNS].astype(np.float32)
    return ours / np.maximum(ours.sum(axis=1, keepdims=True), 1)


def majority_of(counts: NDArray[np.integer]) -> NDArray[np.int64]:
    """(N, 10) votes in FER+'s order → (N,) class, or −1.

    Majority vote of Barsoum et al. 2016 (*Training deep networks … with crowd-sourced label distribution*):
    single votes are dropped as slips, and a class must have more than half of the remaining votes. Pictures
    with a majority for contempt, unknown or no face get −1.
    """
    kept = np.where(counts > 1, counts, 0)
    best = kept.argmax(axis=1)
    clear = 2 * kept.max(axis=1, initial=0) > kept.sum(axis=1)
    ours = np.full(counts.shape[1], -1, np.int64)
    ours[list(FERPLUS_COLUMNS)] = np.arange(len(FERPLUS_COLUMNS))
    return np.where(clear, ours[best], -1)


@contextmanager
def reading(place: Path | str) -> Iterator[None]:
    """Turn any error while reading a file into a DataError of one line that names the file.

    :param place: the file, or a line of the file.
    :raises DataError: instead of any error of the body.
    """
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{place}: not found. Check the path, or fetch the data again.") from error
    except Exception as error:  # a damaged picture or archive raises many kinds of errors
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{place}: not the expected content, or damaged ({reason}).") from error


def _tiles(path: Path, count: int) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        columns, rows = picture.width // SIDE, picture.height // SIDE
        if picture.mode != "L" or columns != TILES_PER_ROW or columns * rows < count:
            raise ValueError(f"expected {count} grey tiles of {SIDE} px, {TILES_PER_ROW} a row")
        return tiles_of(np.asarray(picture), SIDE)[:count].copy()


def tiles_of(sheet: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """(H, W), both multiples of the side → (n, side, side), row by row."""
    rows, columns = (length // side for length in sheet.shape)
    return sheet.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side, side)
