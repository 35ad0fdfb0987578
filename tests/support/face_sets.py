"""Small data sets in every supported format."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from emonext import DataError
from emonext.datasets.data import FaceSet

ANGRY, DISGUST, FEAR, HAPPY, SAD, SURPRISE, NEUTRAL = range(7)
USAGES = {"train": "Training", "val": "PublicTest", "test": "PrivateTest"}
FERPLUS = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
VOTES = "0,9,0,0,0,0,0,1,0,0"


# --- helpers --------------------------------------------------------------------------------------------


def assert_refused(call: Callable[[], object], place: Path, expected: str) -> None:
    """One line that begins with the file, or one in the folder, and says what is expected."""
    with pytest.raises(DataError, match=expected) as caught:
        call()
    assert re.match(re.escape(str(place)), str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)


def assert_same(found: FaceSet, expected: FaceSet) -> None:
    for name in ("images", "labels", "votes", "majority", "unseen"):
        ours, theirs = getattr(found, name), getattr(expected, name)
        assert ours.dtype == theirs.dtype, name
        assert np.array_equal(ours, theirs), name
    assert {name: values.tolist() for name, values in found.groups.items()} == {
        name: values.tolist() for name, values in expected.groups.items()
    }


def faces(n: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (n, 48, 48), dtype=np.uint8)


def save(image: NDArray[np.generic], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def write_lines(path: Path, *lines: str, mark: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(mark + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def write_kaggle(
    folder: Path,
    emotions: Iterable[str],
    images: NDArray[np.uint8],
    splits: list[str] | None = None,
    header: str = "emotion,pixels,Usage",
) -> Path:
    """All faces are of the training split unless told."""
    lines = []
    for emotion, image, split in zip(emotions, images, splits or ["train"] * len(images), strict=True):
        pixels = " ".join(map(str, image.ravel()))
        cells = {"emotion": emotion, "pixels": pixels, "usage": USAGES[split]}
        lines.append(",".join(cells[name.strip().lower()] for name in header.split(",")))
    return write_lines(folder / "fer2013.csv", header, *lines)


def write_votes(folder: Path, splits: list[str], counts: list[str]) -> Path:
    lines = [f"{USAGES[split]},fer.png,{count}" for split, count in zip(splits, counts, strict=True)]
    return write_lines(folder / "fer2013new.csv", f"Usage,Image name,{FERPLUS}", *lines)


def write_affectnet(folder: Path, split: str, number: int, label: object) -> None:
    """The picture is all of its number's grey."""
    save(np.full((48, 48), number, np.uint8), folder / f"{split}_set" / "images" / f"{number}.jpg")
    notes = folder / f"{split}_set" / "annotations"
    notes.mkdir(exist_ok=True)
    np.save(notes / f"{number}_exp.npy", label)
    np.save(notes / f"{number}_val.npy", "0.5")


def write_rafdb(folder: Path, lines: list[str]) -> Path:
    """The pictures are grey, each a little lighter than the one before."""
    for number, line in enumerate(filter(None, lines)):
        name = Path(line.split()[0]).stem
        save(np.full((48, 48), 10 + number, np.uint8), folder / "Image" / "aligned" / f"{name}_aligned.jpg")
    return write_lines(folder / "EmoLabel" / "list_patition_label.txt", *lines)
