"""List labelled faces in several file formats: one row per picture; pictures are not opened."""

import contextlib
import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from emonext.datasets.data import FERPLUS_COLUMNS, SIDE, Split, reading
from emonext.datasets.label_maps import LABEL_MAPS
from emonext.errors import DataError

SPLITS: tuple[Split, ...] = get_args(Split)

WHOLE = "all"
"""Name of the single part of a source without splits; it is used for any split."""

_SPLIT_NAMES: Mapping[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "publictest": "val",
    "test": "test",
    "privatetest": "test",
}

_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".pgm")

_FERPLUS = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "nf",
)


@dataclass(frozen=True)
class Row:
    """One picture of a source.

    :param part: its split, or :data:`WHOLE`.
    :param name: class name or number in the source; empty without a label.
    :param picture: the file, or (48, 48) uint8.
    :param place: file and line, for messages.
    :param groups: further columns of the user's table.
    :param counts: votes in FER+'s ten columns.
    """

    part: str
    name: str
    picture: Path | NDArray[np.uint8]
    place: str
    groups: Mapping[str, str] = field(default_factory=dict)
    counts: Sequence[int] = (0,) * len(_FERPLUS)

    @property
    def voted(self) -> bool:
        """Whether any vote is for one of the seven classes."""
        return any(self.counts[column] for column in FERPLUS_COLUMNS)


def list_faces(source: Path) -> tuple[Iterator[Row], Mapping[str, str]]:
    """List the rows of a source; also return the label of each class number, if the format defines it.

    :raises DataError: the format is unknown; while iterating: a line or a file is invalid.
    """
    if source.is_dir():
        if any(source.glob("*_set/annotations")):
            return _list_affectnet(source), LABEL_MAPS["affectnet"]
        for folder in (source, source / "basic"):
            if (folder / "EmoLabel").is_dir():
                return _list_rafdb(folder), LABEL_MAPS["rafdb"]
        return _list_class_folders(source), {}
    with _csv(source) as lines:
        columns = {name.strip().casefold() for name in _first(lines)}
    if "pixels" in columns:
        return _list_pixels(source), LABEL_MAPS["fer2013"]
    if "image" in columns:
        return _list_frames(source), {}
    raise DataError(
        f"{source}: no table of faces. Its first line must name emotion, pixels, Usage (FER2013, CK+) "
        "or image, label (your own frames)."
    )


def _list_affectnet(source: Path) -> Iterator[Row]:
    for note in sorted(source.glob("*_set/annotations/*_exp.npy")):
        part = _split_named(note.parts[-3].removesuffix("_set"), str(note))
        with reading(note):
            name = str(int(np.load(note, allow_pickle=False).item()))
        picture = note.parents[1] / "images" / note.name.replace("_exp.npy", ".jpg")
        yield Row(part, name, picture, str(picture))


def _list_rafdb(source: Path) -> Iterator[Row]:
    path = source / "EmoLabel" / "list_patition_label.txt"
    with reading(path):
        lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, _, label = line.strip().partition(" ")
        picture = source / "Image" / "aligned" / f"{Path(name).stem}_aligned.jpg"
        place = f"{path}, line {number} ({picture})"
        yield Row(_split_named(name.partition("_")[0], place), label.strip(), picture, place)


def _list_class_folders(source: Path) -> Iterator[Row]:
    parts: list[tuple[str, Path]] = [
        (_SPLIT_NAMES[folder.name.casefold()], folder)
        for folder in _inside(source)
        if folder.name.casefold() in _SPLIT_NAMES
    ]
    for part, folder in parts or [(WHOLE, source)]:
        for kind in _inside(folder):
            pictures = (path for path in _inside(kind) if path.suffix.casefold() in _PICTURES)
            yield from (Row(part, kind.name.strip(), path, str(path)) for path in pictures)


def _inside(folder: Path) -> list[Path]:
    """The entries of a folder, by name, without hidden files (macOS writes some beside pictures)."""
    with reading(folder):
        return sorted(path for path in folder.iterdir() if path.name[0] != ".") if folder.is_dir() else []


def _list_pixels(path: Path) -> Iterator[Row]:
    for place, cells in _table(path, ("emotion", "pixels", "usage")):
        pixels = _pixels(cells["pixels"], place)
        yield Row(_split_named(cells["usage"], place), cells["emotion"], pixels, place)


def _pixels(text: str, place: str) -> NDArray[np.uint8]:
    try:
        # fer2013.csv has 80 million numbers; Python's int would take a minute
        values = np.fromstring(text, np.int64, sep=" ")
    except ValueError:
        values = np.array([-1])
    if ((values < 0) | (values > 255)).any():
        raise DataError(f"{place}: pixels must be whole numbers of 0 to 255.")
    if len(values) != SIDE * SIDE:
        raise DataError(
            f"{place}: {len(values)} pixels, not {SIDE}×{SIDE}; the file is truncated, or another data set."
        )
    return values.astype(np.uint8).reshape(SIDE, SIDE)


def _list_frames(path: Path) -> Iterator[Row]:
    for place, cells in _table(path, ("image", "label"), ("split",)):
        part = _split_named(cells.pop("split"), place) if "split" in cells else WHOLE
        picture, label = path.parent / cells.pop("image"), cells.pop("label")
        if not picture.is_file():
            raise DataError(f"{place}: {picture} not found; image is the path from the CSV's folder.")
        yield Row(part, label, picture, f"{place} ({picture})", groups=cells)


def with_votes(rows: Sequence[Row], votes: Path, source: Path) -> list[Row]:
    """The rows of ``fer2013.csv`` with the votes of ``fer2013new.csv``, whose lines are in the same order.

    :raises DataError: the two files do not match, or the votes are damaged.
    """
    if any(isinstance(row.picture, Path) for row in rows):
        raise DataError(f"{votes}: FER+'s votes belong to fer2013.csv; {source} is another format.")
    lines = list(_table(votes, ("usage", *_FERPLUS)))
    if len(lines) != len(rows):
        raise DataError(
            f"{votes}: {len(lines)} lines for the {len(rows)} of {source}; "
            "both must be complete and in the same order."
        )
    return [replace(row, counts=_votes(row, *line)) for row, line in zip(rows, lines, strict=True)]


def _votes(row: Row, place: str, cells: Mapping[str, str]) -> list[int]:
    if _split_named(cells["usage"], place) != row.part:
        raise DataError(
            f"{place}: of another split than {row.place}; the two files must be in the same order."
        )
    counts = [cells[name] for name in _FERPLUS]
    if not all(count.isdecimal() for count in counts):
        raise DataError(f"{place}: votes must be whole numbers.")
    return [int(count) for count in counts]


def _split_named(text: str, place: str) -> Split:
    if text.casefold() not in _SPLIT_NAMES:
        raise DataError(f"{place}: {text!r} is no split; it is one of {', '.join(_SPLIT_NAMES)}.")
    return _SPLIT_NAMES[text.casefold()]


def _table(
    path: Path, required: Collection[str], optional: Collection[str] = ()
) -> Iterator[tuple[str, dict[str, str]]]:
    """(place, cells by column) of each line. Column names are matched case-insensitively; columns without a
    name are omitted."""
    with _csv(path) as lines:
        names = [name.strip() for name in _first(lines)]
        columns = [low if (low := name.casefold()) in (*required, *optional) else name for name in names]
        wrong = [name for name in required if name not in columns]
        wrong += [name for name in columns if name and columns.count(name) > 1]
        if wrong:
            raise DataError(f"{path}: its first line must name {wrong[0]!r} once; it is {','.join(names)!r}.")
        for number, cells in lines:
            place = f"{path}, line {number}"
            if any(cells) and len(cells) != len(columns):
                raise DataError(f"{place}: {len(cells)} columns, but the first line has {len(columns)}.")
            if any(cells):
                yield place, {n: cell.strip() for n, cell in zip(columns, cells, strict=True) if n}


def _first(lines: Iterator[tuple[int, list[str]]]) -> list[str]:
    return next((cells for _, cells in lines), [])


@contextlib.contextmanager
def _csv(path: Path) -> Iterator[Iterator[tuple[int, list[str]]]]:
    """(line, cells) of a CSV in UTF-8, with or without byte order mark, separated by ``,`` or ``;``."""
    with reading(path), path.open(encoding="utf-8-sig", newline="") as file:
        delimiter = ";" if ";" in file.readline() else ","
        file.seek(0)
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        yield ((reader.line_num, cells) for cells in reader)
