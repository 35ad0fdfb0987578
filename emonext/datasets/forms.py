"""The forms in which people hold labelled face pictures → :class:`~emonext.datasets.data.FaceSet`.

    a folder   the project's FER2013 sheets; AffectNet's and RAF-DB's own layouts; a folder a class
    a CSV      pixels as text (FER2013, CK+), with FER+'s votes beside it; or paths and labels of frames
    an .npz    what :func:`import_faces` made of any of them, which is read much faster

Each form is first listed, a row a picture; the rows of each split then become one set.
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
from emonext.errors import DataError
from emonext.model import LABELS

_FORMAT = "emonext faces 1"

_ARRAYS = ("images", "labels", "votes", "majority", "unseen")

Progress = Callable[[int, int], None]
"""Called with (pictures done, pictures in all)."""


def check_split(text: str) -> Split:
    """``train``, ``val`` or ``test``.

    :raises DataError: it is none of them.
    """
    for split in SPLITS:
        if split == text:
            return split
    raise DataError(f"`split` {text}: no such split; it is one of {', '.join(SPLITS)}.")


def load_faces(
    source: Path,
    split: Split,
    *,
    label_map: Mapping[str, str] | None = None,
    votes: Path | None = None,
    size: int = SIDE,
) -> FaceSet:
    """One split of labelled faces, in whichever of these forms they are.

    - the project's FER2013 folder; it has no ``test``
    - an ``.npz`` of :func:`import_faces`
    - ``fer2013.csv`` or ``icml_face_data.csv`` of Kaggle's, or CK+'s ``ckextended.csv``, which needs a map:
      Training, PublicTest and PrivateTest are ``train``, ``val`` and ``test``
    - class folders, ``DIR/{train,val,test}/CLASS/*.png`` or ``DIR/CLASS/*.png``
    - AffectNet's ``train_set`` and ``val_set``, without contempt unless a map says otherwise
    - RAF-DB's ``EmoLabel`` and ``Image/aligned``
    - a CSV of ``image`` (path from the CSV's folder), ``label``, and if wanted ``split``; all other columns
      become :attr:`FaceSet.groups`

    Class folders and CSVs without splits serve whatever split is asked for; beside folders named after
    splits, others are left aside. Pictures are taken for cropped
    faces: turned upright by their EXIF, made grey, and scaled to ``size`` × ``size`` px if they differ.

    :param label_map: class of the data → ours, see :mod:`emonext.datasets.label_maps`.
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
    """Writes every split of the source as one ``.npz``, whole or not at all.

    :func:`load_faces`, whose parameters it shares, gives the same faces for both.

    :returns: faces by class of each split; ``all`` where the source has no splits, ``no label`` for faces
        with votes only, and ``left out`` for those of classes that are none of ours.
    :raises DataError: as :func:`load_faces`, or the file can't be written.
    """
    if target.suffix != ".npz":
        raise DataError(f"{target}: name it .npz, by which it is recognised.")
    if source.suffix == ".npz":
        raise DataError(f"{source}: it is imported already; use it as it is.")
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
    """The project's own forms, which hold our labels and the votes."""
    ours = source.suffix == ".npz" or (source / FER2013_TABLE).is_file()
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
    """The parts of the source that have faces, in its order, and how many faces of each are left out."""
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
        return f"{source}: no face in it but those that the label map leaves out (`label_map`)."
    return (
        f"{source}: no face in it. A folder holds CLASS/*.png or {{train,val,test}}/CLASS/*.png, AffectNet's "
        f"or RAF-DB's own layout, or {FER2013_TABLE} with its sheets; a CSV is named itself."
    )


def _labelled(
    rows: Sequence[Row],
    label_map: Mapping[str, str] | None,
    numbers: Mapping[str, str],
    source: Path,
    *,
    unlabelled: bool,
) -> list[tuple[Row, int]]:
    """The rows with a class of ours and, if wanted, those without label (−1) for which people voted."""
    places: dict[str, str] = {}
    for row in rows:
        if row.name:
            places.setdefault(row.name, row.place)
        elif not unlabelled:
            raise DataError(f"{row.place}: no label. Fill it in, or take the line out.")
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
        if image.mode.startswith(("I", "F")):  # which Pillow would clip at 255
            raise ValueError("more than 8 bits a pixel; save it with 8")
        return _scaled(ImageOps.exif_transpose(image).convert("L"), size)


def _scaled(image: Image.Image, size: int) -> NDArray[np.uint8]:
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR)  # as the pipeline cuts faces
    return np.asarray(image)


def _load_sheets(source: Path, split: Split, size: int) -> FaceSet:
    faces = load_fer2013(source, split)
    if not len(faces):
        raise DataError(f"{source}: no face in its {split} split.")
    if size == SIDE:
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
