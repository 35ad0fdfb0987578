import functools
import zipfile
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from emonext import LABELS, DataError
from emonext.data import FaceSet, load_fer2013

FERPLUS = (
    "neutral",
    "happy",
    "surprise",
    "sad",
    "angry",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "no face",
)
"""FER+'s columns in its own order, by our names."""


# --- a set made by hand ---------------------------------------------------------------------------------


def test_a_set_without_faces_is_empty(tmp_path: Path) -> None:
    write_fer2013(tmp_path, faces(0))
    found = load_fer2013(tmp_path, "val")
    assert len(found) == 0
    assert found.images.shape == (0, 48, 48)
    assert found.votes.shape == (0, 7)


def test_faces_come_in_the_order_of_the_tiles(tmp_path: Path) -> None:
    expected = faces(70)
    write_fer2013(tmp_path, expected)
    found = load_fer2013(tmp_path, "val")
    assert found.images.dtype == np.uint8
    assert np.array_equal(found.images, expected)
    assert found.labels.dtype == np.int64
    assert found.labels.tolist() == [row % 7 for row in range(70)]


@pytest.mark.parametrize("column", range(10))
def test_ten_votes_for_one_emotion_are_its_whole_share(tmp_path: Path, column: int) -> None:
    votes = np.zeros((1, 10), np.uint8)
    votes[0, column] = 10
    write_fer2013(tmp_path, faces(1), ferplus_votes_val=votes)
    shares = dict(zip(LABELS, load_fer2013(tmp_path, "val").votes[0].tolist(), strict=True))
    assert shares == {label: float(label == FERPLUS[column]) for label in LABELS}


def test_votes_outside_the_seven_do_not_count(tmp_path: Path) -> None:
    # 2 neutral, 6 happy, 1 contempt, 1 unknown
    votes = np.array([[2, 6, 0, 0, 0, 0, 0, 1, 1, 0]], np.uint8)
    write_fer2013(tmp_path, faces(1), ferplus_votes_val=votes)
    assert load_fer2013(tmp_path, "val").votes.tolist() == [[0, 0, 0, 0.75, 0, 0, 0.25]]


def test_votes_of_another_picture_are_left_out(tmp_path: Path) -> None:
    votes = np.full((2, 10), 1, np.uint8)
    write_fer2013(tmp_path, faces(2), ferplus_votes_val=votes, ferplus_row_known_val=np.array([False, True]))
    assert load_fer2013(tmp_path, "val").votes.sum(axis=1).tolist() == [0, pytest.approx(1)]


def test_selecting_keeps_the_rows_together() -> None:
    n = 5
    rows = np.arange(n)
    data = FaceSet(faces(n), rows, np.eye(n, 7, dtype=np.float32), rows > 2)
    chosen = data.select(np.array([False, True, False, False, True]))
    assert chosen.labels.tolist() == [1, 4]
    assert chosen.unseen.tolist() == [False, True]
    assert chosen.votes.argmax(axis=1).tolist() == [1, 4]
    assert np.array_equal(chosen.images, data.images[[1, 4]])
    assert len(data.select(np.zeros(n, bool))) == 0


# --- what is refused ------------------------------------------------------------------------------------


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere.*fer2013_labels\.npz: not found"):
        load_fer2013(tmp_path / "nowhere", "val")


def test_a_missing_picture_is_refused(tmp_path: Path) -> None:
    write_fer2013(tmp_path, faces(2))
    (tmp_path / "fer2013_val.png").unlink()
    with pytest.raises(DataError, match=r"fer2013_val\.png: not found"):
        load_fer2013(tmp_path, "val")


@pytest.mark.parametrize("damage", ["empty", "text", "truncated", "stub", "no such table"])
def test_a_broken_table_is_refused(tmp_path: Path, damage: str) -> None:
    table = tmp_path / "fer2013_labels.npz"
    write_fer2013(tmp_path, faces(2))
    content = table.read_bytes()
    if damage == "no such table":
        np.savez(table, y_train=np.zeros(2, np.uint8))
    else:
        table.write_bytes(
            {"empty": b"", "text": b"label,emotion\n", "truncated": content[:-200], "stub": content[:20]}[
                damage
            ]
        )
    with pytest.raises(DataError, match=r"fer2013_labels\.npz"):
        load_fer2013(tmp_path, "val")


def test_a_table_with_a_flipped_byte_is_refused(tmp_path: Path) -> None:
    write_fer2013(tmp_path, faces(64))
    table = tmp_path / "fer2013_labels.npz"
    content = bytearray(table.read_bytes())
    with zipfile.ZipFile(table) as file:
        start = file.getinfo("ferplus_votes_val.npy").header_offset
    content[start + 300] ^= 0xFF
    table.write_bytes(content)
    with pytest.raises(DataError, match=r"fer2013_labels\.npz"):
        load_fer2013(tmp_path, "val")


def test_a_table_of_python_objects_is_refused(tmp_path: Path) -> None:
    write_fer2013(tmp_path, faces(2), y_val=np.array([0, {"a": 1}], dtype=object))
    with pytest.raises(DataError, match=r"fer2013_labels\.npz"):
        load_fer2013(tmp_path, "val")


@pytest.mark.parametrize("damage", ["empty", "text", "truncated"])
def test_a_broken_picture_is_refused(tmp_path: Path, damage: str) -> None:
    write_fer2013(tmp_path, faces(64))
    sheet = tmp_path / "fer2013_val.png"
    content = sheet.read_bytes()
    sheet.write_bytes(
        {"empty": b"", "text": b"not a picture", "truncated": content[: len(content) // 2]}[damage]
    )
    with pytest.raises(DataError, match=r"fer2013_val\.png"):
        load_fer2013(tmp_path, "val")


@pytest.mark.parametrize("size", [(48 * 64, 48), (48 * 63, 96), (48 * 64, 95)])
def test_a_picture_with_too_few_tiles_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    write_fer2013(tmp_path, faces(65))
    Image.new("L", size).save(tmp_path / "fer2013_val.png")
    with pytest.raises(DataError, match=r"fer2013_val\.png: .*expected 65 grey tiles"):
        load_fer2013(tmp_path, "val")


def test_a_picture_in_colour_is_refused(tmp_path: Path) -> None:
    write_fer2013(tmp_path, faces(2))
    sheet = tmp_path / "fer2013_val.png"
    Image.open(sheet).convert("RGB").save(sheet)
    with pytest.raises(DataError, match=r"fer2013_val\.png"):
        load_fer2013(tmp_path, "val")


# --- the real one ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("split", "counts", "unseen"),
    [
        ("train", [3995, 436, 4097, 7215, 4830, 3171, 4965], 28006),
        ("val", [467, 56, 496, 895, 653, 415, 607], 3309),
    ],
)
def test_fer2013_has_its_known_counts(
    shared: Path, split: Literal["train", "val"], counts: list[int], unseen: int
) -> None:
    found = real(shared, split)
    assert len(found) == len(found.images) == sum(counts)
    assert np.bincount(found.labels).tolist() == counts
    assert found.unseen.sum() == unseen


def test_fer2013s_votes_agree_with_its_labels_as_far_as_is_known(shared: Path) -> None:
    found = real(shared, "train")
    voted = found.votes.sum(axis=1) > 0
    agreed = found.votes[voted].argmax(axis=1) == found.labels[voted]
    assert voted.mean() > 0.95
    assert 0.6 < agreed.mean() < 0.7  # 63 % is known; the majority class alone makes 25 %
    np.testing.assert_allclose(found.votes[voted].sum(axis=1), 1, atol=1e-5)


def test_each_class_is_voted_for_more_than_any_other(shared: Path) -> None:
    found = real(shared, "train")
    mean = np.stack([found.votes[found.labels == label].mean(axis=0) for label in range(7)])
    # how much more a class is voted for among its own pictures than among all
    assert (mean / mean.mean(axis=0)).argmax(axis=1).tolist() == list(range(7))


def test_fer2013s_pictures_lie_where_its_description_says(shared: Path) -> None:
    sheet = np.asarray(Image.open(shared / "data" / "fer2013_val.png"))
    for row in (0, 63, 64, 3588):
        y, x = 48 * (row // 64), 48 * (row % 64)
        assert np.array_equal(real(shared, "val").images[row], sheet[y : y + 48, x : x + 48])


# --- helpers --------------------------------------------------------------------------------------------


@functools.cache
def real(shared: Path, split: Literal["train", "val"]) -> FaceSet:
    return load_fer2013(shared / "data", split)


def faces(n: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (n, 48, 48), dtype=np.uint8)


def write_fer2013(folder: Path, images: NDArray[np.uint8], **arrays: NDArray[np.generic]) -> None:
    """A folder that holds these pictures as its validation split."""
    n = len(images)
    sheet = np.zeros((48 * max(1, -(-n // 64)), 48 * 64), np.uint8)
    for row, image in enumerate(images):
        y, x = 48 * (row // 64), 48 * (row % 64)
        sheet[y : y + 48, x : x + 48] = image
    Image.fromarray(sheet).save(folder / "fer2013_val.png")
    table = {
        "y_val": np.arange(n, dtype=np.uint8) % 7,
        "ferplus_votes_val": np.ones((n, 10), np.uint8),
        "ferplus_row_known_val": np.ones(n, bool),
        "val_not_in_train": np.ones(n, bool),
    }
    np.savez(folder / "fer2013_labels.npz", **{**table, **arrays})
