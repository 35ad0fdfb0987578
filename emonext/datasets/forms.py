"""Load labelled faces from several file formats as a :class:`~emonext.datasets.data.FaceSet`.

    a folder   FER2013 sheets; tiles with votes; the layouts of AffectNet and RAF-DB; one folder per class
    a CSV      pixels as text (FER2013, CK+), with FER+'s votes in a second file; or paths and labels
    an .npz    output of :func:`import_faces`, which loads much faster

:mod:`emonext.datasets.listing` lists a source, one row per picture; this module loads the rows of a split.
"""

import contextlib
import itertools
import os
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from emonext.datasets.data import (
    FER2013_TABLE,
    SIDE,
    FaceSet,
    Split,
    load_fer2013,
    majority_of,
    reading,
    shares_of,
    without_twins,
)
from emonext.datasets.label_maps import classes_of
from emonext.datasets.listing import SPLITS, WHOLE, Row, list_faces, with_votes
from emonext.datasets.rated_tiles import find_rated_tiles, load_rated_tiles
from emonext.errors import DataError
from emonext.model import LABELS

_FORMAT = "emonext faces 1"

_ARRAYS = ("images", "labels", "votes", "majority", "unseen")

Progress = Callable[[int, int], None]
"""Called with (pictures done, pictures in all)."""


def check_split(text: str) -> Split:
    """``train``, ``val`` or ``test``.

    :raises DataError: the text names no split.
    """
    for split in SPLITS:
        if split == text:
            return split
    raise DataError(f"`split` {text}: no such split; the splits are {', '.join(SPLITS)}.")


def load_faces(
    source: Path,
    split: Split,
    *,
    label_map: Mapping[str, str] | None = None,
    votes: Path | None = None,
    size: int = SIDE,
) -> FaceSet:
    """Load one split of labelled faces. Formats:

    - the project's FER2013 folder; it has no ``test``
    - ``NAME_faces.png`` and ``NAME_votes.csv``; see :mod:`emonext.datasets.rated_tiles`
    - an ``.npz`` of :func:`import_faces`
    - ``fer2013.csv`` or ``icml_face_data.csv`` of Kaggle's, or CK+'s ``ckextended.csv``, which needs a map:
      Training, PublicTest and PrivateTest are ``train``, ``val`` and ``test``
    - class folders, ``DIR/{train,val,test}/CLASS/*.png`` or ``DIR/CLASS/*.png``
    - AffectNet's ``train_set`` and ``val_set``, without contempt unless a map says otherwise
    - RAF-DB's ``EmoLabel`` and ``Image/aligned``
    - a CSV of ``image`` (path from the CSV's folder), ``label``, and if wanted ``split``; all other columns
      become :attr:`FaceSet.groups`

    Class folders and CSVs without splits are used for any split; if there are folders named after splits,
    other folders are ignored. Pictures must be cropped faces; they are turned upright by their EXIF,
    converted to grey, and scaled to ``size`` × ``size`` px.

    :param label_map: class of the data → label; see :mod:`emonext.datasets.label_maps`.
    :param votes: FER+'s ``fer2013new.csv``, for the rows of ``fer2013.csv``. With it, faces may lack a label.
    :param size: px; an imported set keeps the size at which it was imported.
    :raises DataError: anything is missing, damaged or of no known form, a class is not known, or the split
        has no face.
    """
    if _knows_its_labels(source, label_map, votes):
        return _load_sheets(source, split, size) if source.is_dir() else _load_imported(source, split)
    parts, _ = _read(source, label_map, votes, size, lambda done, total: None)
    return parts[_part_for(split, parts, source)]


def import_faces(
    source: Path,
    target: Path,
    *,
    label_map: Mapping[str, str] | None = None,
    votes: Path | None = None,
    size: int = SIDE,
    on_progress: Progress = lambda done, total: None,
) -> dict[str, dict[str, int]]:
    """Write every split of the source to one ``.npz``, atomically.

    :func:`load_faces`, which has the same parameters, loads the same faces from both files.

    :returns: faces by class of each split; ``all`` if the source has no splits, ``no label`` for faces
        with votes only, and ``left out`` for faces of classes that are mapped to no label.
    :raises DataError: as :func:`load_faces`, or the file can't be written.
    """
    if target.suffix != ".npz":
        raise DataError(f"{target}: name it .npz; the suffix identifies the format.")
    if source.suffix == ".npz":
        raise DataError(f"{source}: already imported; use the file itself.")
    left_out: Mapping[str, int] = {}
    if _knows_its_labels(source, label_map, votes):
        parts = {split: _load_sheets(source, split, size) for split in ("train", "val")}
    else:
        parts, left_out = _read(source, label_map, votes, size, on_progress)
    _write(target, parts)
    return {part: _count(faces, left_out.get(part, 0)) for part, faces in parts.items()}


def _count(faces: FaceSet, left_out: int) -> dict[str, int]:
    counts = {label: int((faces.labels == index).sum()) for index, label in enumerate(LABELS)}
    others = {"no label": int((faces.labels < 0).sum()), "left out": left_out}
    return counts | {name: count for name, count in others.items() if count}


def _knows_its_labels(source: Path, label_map: Mapping[str, str] | None, votes: Path | None) -> bool:
    """Whether the format has labels and votes of its own: sheets and imported files."""
    ours = (
        source.suffix == ".npz" or (source / FER2013_TABLE).is_file() or find_rated_tiles(source) is not None
    )
    if ours and (label_map is not None or votes is not None):
        raise DataError(
            f"{source}: it has its own labels and votes; give it without `label_map` and `votes`."
        )
    return ours


def _part_for(split: Split, parts: Collection[str], source: Path) -> str:
    part = WHOLE if WHOLE in parts else split
    if part not in parts:
        raise DataError(f"{source}: no face in its {split} split; it has {', '.join(parts)}.")
    return part


# --- rows → one set a split -----------------------------------------------------------------------------


def _read(
    source: Path, label_map: Mapping[str, str] | None, votes: Path | None, size: int, on_progress: Progress
) -> tuple[dict[str, FaceSet], Counter[str]]:
    """The parts of the source with faces, in the source's order, and the number of omitted faces of each."""
    listed, numbers = list_faces(source)
    rows = list(listed)
    if votes:
        rows = with_votes(rows, votes, source)
    labelled = _labelled(rows, label_map, numbers, source, unlabelled=votes is not None)
    left_out = Counter(row.part for row in rows) - Counter(row.part for row, _ in labelled)
    if not labelled:
        raise DataError(_no_face(source, left_out=bool(rows)))
    done = itertools.count(1)
    parts = {}
    for part in (*SPLITS, WHOLE):
        chosen = [(row, label) for row, label in labelled if row.part == part]
        if chosen:
            parts[part] = _faces(chosen, size, lambda: on_progress(next(done), len(labelled)))
    return {part: replace(faces, unseen=_unseen(part, parts)) for part, faces in parts.items()}, left_out


def _no_face(source: Path, *, left_out: bool) -> str:
    if left_out:
        return f"{source}: the label map (`label_map`) omits all its faces."
    return (
        f"{source}: no face in it. A folder holds CLASS/*.png or {{train,val,test}}/CLASS/*.png, AffectNet's "
        f"or RAF-DB's own layout, or {FER2013_TABLE} with its sheets; for a CSV, the path is the file itself."
    )


def _labelled(
    rows: Sequence[Row],
    label_map: Mapping[str, str] | None,
    numbers: Mapping[str, str],
    source: Path,
    *,
    unlabelled: bool,
) -> list[tuple[Row, int]]:
    """The rows with a label and, if wanted, the rows without a label (−1) that have votes."""
    places: dict[str, str] = {}
    for row in rows:
        if row.name:
            places.setdefault(row.name, row.place)
        elif not unlabelled:
            raise DataError(f"{row.place}: no label. Fill it in, or remove the line.")
    classes = classes_of(places, label_map, numbers, str(source))
    labels = ((row, classes[row.name] if row.name else -1) for row in rows)
    return [(row, label) for row, label in labels if label is not None and (label >= 0 or row.voted)]


def _faces(rows: Sequence[tuple[Row, int]], size: int, on_picture: Callable[[], None]) -> FaceSet:
    images = np.empty((len(rows), size, size), np.uint8)
    for number, (row, _) in enumerate(rows):
        images[number] = _picture(row, size)
        on_picture()
    labels = np.array([label for _, label in rows], np.int64)
    counts = np.array([row.counts for row, _ in rows], np.int64)
    groups = {name: np.array([row.groups[name] for row, _ in rows]) for name in rows[0][0].groups}
    unseen = np.ones(len(rows), bool)
    return FaceSet(images, labels, shares_of(counts), majority_of(counts), unseen, groups)


def _unseen(part: str, parts: Mapping[str, FaceSet]) -> NDArray[np.bool_]:
    others = ("val", "test") if part == "train" else ("train",)
    masks = [without_twins(parts[part], parts[other]) for other in others if other in parts]
    return np.all([parts[part].unseen, *masks], axis=0)


def _picture(row: Row, size: int) -> NDArray[np.uint8]:
    """(size, size) uint8 grey."""
    if not isinstance(row.picture, Path):
        return _scaled(Image.fromarray(row.picture), size)
    with reading(row.place), Image.open(row.picture) as image:
        if image.mode.startswith(("I", "F")):  # Pillow would clip such values at 255
            raise ValueError("more than 8 bits a pixel; save it with 8")
        return _scaled(ImageOps.exif_transpose(image).convert("L"), size)


def _scaled(image: Image.Image, size: int) -> NDArray[np.uint8]:
    if image.size != (size, size):
        image = image.resize(
            (size, size), Image.Resampling.BILINEAR
        )  # the same interpolation as the pipeline's crops
    return np.asarray(image)


def _load_sheets(source: Path, split: Split, size: int) -> FaceSet:
    table = find_rated_tiles(source)
    faces = load_rated_tiles(table, split) if table else load_fer2013(source, split)
    if not len(faces):
        raise DataError(f"{source}: no face in its {split} split.")
    if faces.images.shape[1] == size:
        return faces
    return replace(faces, images=np.stack([_scaled(Image.fromarray(image), size) for image in faces.images]))


# --- the imported file ----------------------------------------------------------------------------------


def _write(target: Path, parts: Mapping[str, FaceSet]) -> None:
    arrays: dict[str, Any] = {"format": np.array(_FORMAT), "parts": np.array(list(parts))}
    for part, faces in parts.items():
        arrays |= {f"{part}/{name}": getattr(faces, name) for name in _ARRAYS}
        arrays[f"{part}/columns"] = np.array(list(faces.groups), np.str_)
        arrays[f"{part}/groups"] = np.array(list(faces.groups.values()), np.str_)
    partial = target.with_name(target.name + ".partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            np.savez_compressed(file, **arrays)
        os.replace(partial, target)
    except OSError as error:
        raise DataError(f"{target}: can't be written ({error.strerror}).") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def _load_imported(path: Path, split: Split) -> FaceSet:
    with reading(path), np.load(path, allow_pickle=False) as table:
        if table["format"] != _FORMAT:
            raise ValueError("written by another program or version; import it again")
        part = _part_for(split, table["parts"].tolist(), path)
        columns = table[f"{part}/columns"].tolist()
        groups = dict(zip(columns, table[f"{part}/groups"], strict=True))
        values = {name: table[f"{part}/{name}"] for name in _ARRAYS}
    return FaceSet(**values, groups=groups)
