import functools
import zipfile
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from traps import Trap

from emonext import LABELS, DataError
from emonext.datasets.data import FaceSet, load_fer2013, majority_of, shares_of, without_twins

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
    assert found.majority.shape == (0,)
    assert found.groups == {}


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


def test_votes_of_another_picture_make_no_majority(tmp_path: Path) -> None:
    votes = np.zeros((2, 10), np.uint8)
    votes[:, FERPLUS.index("sad")] = 10
    write_fer2013(tmp_path, faces(2), ferplus_votes_val=votes, ferplus_row_known_val=np.array([False, True]))
    assert load_fer2013(tmp_path, "val").majority.tolist() == [-1, LABELS.index("sad")]


def test_selecting_keeps_the_rows_together() -> None:
    n = 5
    rows = np.arange(n)
    groups = {"age_group": np.array(["60", "70", "80", "90", "100"])}
    data = FaceSet(faces(n), rows, np.eye(n, 7, dtype=np.float32), rows[::-1], rows > 2, groups)
    chosen = data.select(np.array([False, True, False, False, True]))
    assert chosen.labels.tolist() == [1, 4]
    assert chosen.majority.tolist() == [3, 0]
    assert chosen.unseen.tolist() == [False, True]
    assert {name: values.tolist() for name, values in chosen.groups.items()} == {"age_group": ["70", "100"]}
    assert chosen.votes.argmax(axis=1).tolist() == [1, 4]
    assert np.array_equal(chosen.images, data.images[[1, 4]])
    none = data.select(np.zeros(n, bool))
    assert len(none) == len(none.images) == len(none.groups["age_group"]) == 0


def test_a_set_has_no_groups_unless_told() -> None:
    assert face_set(faces(2)).groups == {}
    assert face_set(faces(2)).select(np.ones(2, bool)).groups == {}


# --- majorities, counted by hand after Barsoum et al. 2016 ----------------------------------------------


def test_no_votes_have_no_majority() -> None:
    assert majority_of(np.zeros((0, 10), np.uint8)).tolist() == []
    assert majority_of(np.zeros((1, 10), np.uint8)).tolist() == [-1]
    assert shares_of(np.zeros((1, 10), np.uint8)).tolist() == [[0] * 7]


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ({"happy": 10}, "happy"),
        ({"neutral": 6, "sad": 4}, "neutral"),
        ({"neutral": 5, "sad": 5}, None),  # half is not more than half
        ({"neutral": 5, "sad": 4, "fear": 1}, "neutral"),  # five of nine: the single vote is dropped
        ({"neutral": 5, "sad": 3, "fear": 2}, None),  # five of ten
        ({"surprise": 4, "sad": 3, "angry": 3}, None),
        ({"disgust": 2, "sad": 1, "angry": 1, "fear": 1, "happy": 1}, "disgust"),  # two of two
        ({"disgust": 1, "sad": 1, "angry": 1}, None),  # singles alone
        ({"angry": 6, "contempt": 4}, "angry"),
        ({"angry": 5, "contempt": 5}, None),  # votes outside the seven weigh in
        ({"contempt": 8, "angry": 2}, None),
        ({"unknown": 5, "happy": 4, "sad": 1}, None),
        ({"no face": 10}, None),
    ],
)
def test_more_than_half_of_the_votes_that_are_not_single_is_the_majority(
    votes: dict[str, int], expected: str | None
) -> None:
    counts = np.array([[votes.get(name, 0) for name in FERPLUS]], np.uint8)
    assert majority_of(counts).tolist() == [-1 if expected is None else LABELS.index(expected)]


@pytest.mark.parametrize("column", range(10))
def test_each_column_of_the_votes_is_its_own_class(column: int) -> None:
    found = majority_of(10 * np.eye(10, dtype=np.uint8)[[column]]).item()
    assert (LABELS[found] if found >= 0 else None) == (FERPLUS[column] if column < 7 else None)


# --- twins ----------------------------------------------------------------------------------------------


def test_nothing_has_no_twins() -> None:
    none, some = face_set(faces(0)), face_set(faces(3))
    assert without_twins(none, some).tolist() == []
    assert without_twins(some, none).tolist() == [True] * 3


def test_a_twin_is_the_same_in_every_pixel() -> None:
    images = faces(4)
    other = images[[2, 0]].copy()
    other[1, 47, 47] ^= 1
    mask = without_twins(face_set(images), face_set(other))
    assert mask.dtype == bool
    assert mask.tolist() == [True, True, False, True]


def test_every_copy_of_a_twin_is_found() -> None:
    images = faces(2)
    assert without_twins(face_set(images[[0, 1, 0]]), face_set(images[:1])).tolist() == [False, True, False]


def test_twins_of_two_sizes_are_refused() -> None:
    large = np.zeros((1, 96, 96), np.uint8)
    with pytest.raises(DataError, match="48×48 and 96×96 px can't be compared"):
        without_twins(face_set(faces(1)), face_set(large))


# --- what is refused ------------------------------------------------------------------------------------


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere.*fer2013_labels\.npz: not found"):
        load_fer2013(tmp_path / "nowhere", "val")


def test_the_test_split_is_kept_back(tmp_path: Path) -> None:
    write_fer2013(tmp_path, faces(2))
    with pytest.raises(DataError, match=r"PrivateTest.*reserved; the folder has train and val"):
        load_fer2013(tmp_path, "test")


def test_a_missing_picture_is_refused(tmp_path: Path) -> None:
    write_fer2013(tmp_path, faces(2))
    (tmp_path / "fer2013_val.png").unlink()
    with pytest.raises(DataError, match=r"fer2013_val\.png: not found"):
        load_fer2013(tmp_path, "val")


@pytest.mark.parametrize("damage", ["empty", "text", "truncated", "stub", "no such table", "one array"])
def test_a_broken_table_is_refused(tmp_path: Path, damage: str) -> None:
    table = tmp_path / "fer2013_labels.npz"
    write_fer2013(tmp_path, faces(2))
    content = table.read_bytes()
    if damage == "no such table":
        np.savez(table, y_train=np.zeros(2, np.uint8))
    elif damage == "one array":
        with table.open("wb") as file:
            np.save(file, np.zeros(2, np.uint8))
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


def test_a_table_of_python_objects_is_refused_and_not_run(tmp_path: Path) -> None:
    trap = Trap(tmp_path / "sprung")
    write_fer2013(tmp_path, faces(2), y_val=np.array([0, trap], dtype=object))
    with pytest.raises(DataError, match=r"fer2013_labels\.npz"):
        load_fer2013(tmp_path, "val")
    assert not trap.path.exists()


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
    ("split", "counts", "unseen", "majorities"),
    [
        ("train", [3995, 436, 4097, 7215, 4830, 3171, 4965], 28006, 24939),
        ("val", [467, 56, 496, 895, 653, 415, 607], 3309, 3186),
    ],
)
def test_fer2013_has_its_known_counts(
    shared: Path, split: Literal["train", "val"], counts: list[int], unseen: int, majorities: int
) -> None:
    found = real(shared, split)
    assert len(found) == len(found.images) == sum(counts)
    assert np.bincount(found.labels).tolist() == counts
    assert found.unseen.sum() == unseen
    assert (found.majority >= 0).sum() == majorities


def test_the_majority_has_the_largest_share_of_the_votes(shared: Path) -> None:
    found = real(shared, "val")
    clear = found.majority >= 0
    assert found.votes[clear].argmax(axis=1).tolist() == found.majority[clear].tolist()


def test_fer2013s_known_twins_are_found(shared: Path) -> None:
    # its own table was made elsewhere: 280 pictures of val stand in train
    train, val = real(shared, "train"), real(shared, "val")
    assert np.array_equal(without_twins(val, train), val.unseen)
    assert not (train.unseen & ~without_twins(train, val)).any()


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


def face_set(images: NDArray[np.uint8]) -> FaceSet:
    n = len(images)
    return FaceSet(images, np.zeros(n, int), np.zeros((n, 7), np.float32), np.zeros(n, int), np.ones(n, bool))


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
