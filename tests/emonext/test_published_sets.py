"""AffectNet, RAF-DB, the user's frames, duplicates, and the real FER2013."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from face_sets import (
    ANGRY,
    DISGUST,
    FEAR,
    HAPPY,
    NEUTRAL,
    SAD,
    SURPRISE,
    assert_refused,
    assert_same,
    faces,
    save,
    write_affectnet,
    write_kaggle,
    write_lines,
    write_rafdb,
    write_votes,
)
from traps import Trap

from emonext.datasets.data import load_fer2013
from emonext.datasets.forms import check_split, import_faces, load_faces
from emonext.datasets.label_maps import LABEL_MAPS

# --- AffectNet and RAF-DB -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [str, int, np.int64])
def test_affectnets_own_layout(tmp_path: Path, kind: Callable[[int], object]) -> None:
    for number in range(8):
        write_affectnet(tmp_path, "train", 10 + number, kind(number))
    write_affectnet(tmp_path, "val", 3, kind(4))
    train = load_faces(tmp_path, "train")
    assert train.labels.tolist() == [NEUTRAL, HAPPY, SAD, SURPRISE, FEAR, DISGUST, ANGRY]
    assert [int(image[0, 0]) for image in train.images] == list(range(10, 17))
    assert load_faces(tmp_path, "val").labels.tolist() == [FEAR]
    with_contempt = {**LABEL_MAPS["affectnet"], "7": "angry"}
    assert load_faces(tmp_path, "train", label_map=with_contempt).labels.tolist()[-2:] == [ANGRY, ANGRY]


def test_affectnets_other_numbers_need_a_map(tmp_path: Path) -> None:
    write_affectnet(tmp_path, "val", 3, 10)
    picture = tmp_path / "val_set" / "images" / "3.jpg"
    assert_refused(lambda: load_faces(tmp_path, "val"), picture, "class '10' is not known")


def test_affectnets_damage_is_refused(tmp_path: Path) -> None:
    write_affectnet(tmp_path, "val", 3, 1)
    picture = tmp_path / "val_set" / "images" / "3.jpg"
    picture.unlink()
    assert_refused(lambda: load_faces(tmp_path, "val"), picture, "not found")
    note = tmp_path / "val_set" / "annotations" / "3_exp.npy"
    for values in (np.zeros(2), np.array("x"), np.array({"a": 1}, object)):
        np.save(note, values)
        assert_refused(lambda: load_faces(tmp_path, "val"), note, "not the expected content")
    note.write_bytes(b"")
    assert_refused(lambda: load_faces(tmp_path, "val"), note, "not the expected content")


def test_affectnets_notes_run_no_code(tmp_path: Path) -> None:
    write_affectnet(tmp_path, "val", 3, 1)
    note, trap = tmp_path / "val_set" / "annotations" / "3_exp.npy", Trap(tmp_path / "sprung")
    np.save(note, np.array(trap, object))
    assert_refused(lambda: load_faces(tmp_path, "val"), note, "not the expected content")
    assert not trap.path.exists()


@pytest.mark.parametrize("folder", ["", "basic"])
def test_rafdbs_own_layout(tmp_path: Path, folder: str) -> None:
    lines = [f"train_{number:05}.jpg {number}" for number in range(1, 8)]
    write_rafdb(tmp_path / folder, [*lines, "test_00001.jpg 5", ""])
    train = load_faces(tmp_path, "train")
    assert train.labels.tolist() == [SURPRISE, FEAR, DISGUST, HAPPY, SAD, ANGRY, NEUTRAL]
    assert [int(image[0, 0]) for image in train.images] == list(range(10, 17))
    assert load_faces(tmp_path, "test").labels.tolist() == [SAD]
    assert_refused(lambda: load_faces(tmp_path, "val"), tmp_path, "no face in its val split")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("train_00002.jpg 8", "line 2 .*: class '8' is not known"),
        ("train_00002.jpg", "line 2 .*: no label"),
        ("00002.jpg 5", r"line 2 .*: '00002\.jpg' is no split"),
        ("train_00009.jpg 5", r"line 2 \(.*train_00009_aligned\.jpg\): not found"),
    ],
)
def test_rafdbs_damage_is_refused(tmp_path: Path, line: str, expected: str) -> None:
    path = write_rafdb(tmp_path, ["train_00001.jpg 5", line])
    (tmp_path / "Image" / "aligned" / "train_00009_aligned.jpg").unlink(missing_ok=True)
    assert_refused(lambda: load_faces(tmp_path, "train"), path, expected)


# --- the user's own frames ------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("comma", [",", ";"])
def test_a_table_of_frames(tmp_path: Path, mark: str, comma: str) -> None:
    images = faces(3)
    for number, image in enumerate(images):
        save(image, tmp_path / "frames" / f"{number}é.png")
    lines = [
        "Age_Group,Image, Label,split,",
        "80+,frames/0é.png,Joy,train,",
        "60–79, frames/1é.png ,sad,val,",
    ]
    lines += ['"80+",frames/2é.png,angry,Train,']
    source = write_lines(tmp_path / "frames.csv", *(line.replace(",", comma) for line in lines), mark=mark)
    train, val = load_faces(source, "train"), load_faces(source, "val")
    assert np.array_equal(train.images, images[[0, 2]])
    assert train.labels.tolist() == [HAPPY, ANGRY]
    assert {name: values.tolist() for name, values in train.groups.items()} == {"Age_Group": ["80+", "80+"]}
    assert val.groups["Age_Group"].tolist() == ["60–79"]
    assert val.labels.tolist() == [SAD]


def test_a_table_without_splits_serves_any_split(tmp_path: Path) -> None:
    save(faces(1)[0], tmp_path / "1.png")
    source = write_lines(tmp_path / "frames.csv", "image,label", f"{tmp_path / '1.png'},7")
    for split in ("train", "val", "test"):
        assert load_faces(source, split, label_map={"7": "fear"}).labels.tolist() == [FEAR]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["image", "1.png"], "first line must name 'label' once"),
        (["image,label,age,age", "1.png,sad,1,2"], "first line must name 'age' once"),
        (["label,age", "sad,1"], "first line must name emotion, pixels, Usage .*or image, label"),
        (["image,label", "1.png,sad", "2.png,sad"], r"line 3: .*2\.png not found"),
        (["image,label", ",sad"], "line 2: .* not found"),
        (["image,label", "1.png,"], "line 2 .*: no label"),
        (["image,label", "1.png,contempt"], r"line 2 \(.*1\.png\): class 'contempt' is not known"),
        (["image,label", "", "1.png"], "line 3: 1 columns, but the first line has 2"),
        (["image,label,split", "1.png,sad,"], "line 2: '' is no split; it is one of train"),
        (["image,label", "broken.png,sad"], r"line 2 \(.*broken\.png\): not the expected content"),
    ],
)
def test_a_wrong_table_of_frames_is_refused(tmp_path: Path, lines: list[str], expected: str) -> None:
    save(faces(1)[0], tmp_path / "1.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    source = write_lines(tmp_path / "frames.csv", *lines)
    assert_refused(lambda: load_faces(source, "train"), source, expected)


def test_a_table_in_another_encoding_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "frames.csv"
    source.write_bytes("image,label\né.png,sad\n".encode("latin-1"))
    assert_refused(lambda: load_faces(source, "train"), source, "utf-8")


# --- twins ----------------------------------------------------------------------------------------------


def test_twins_are_known_across_the_splits(tmp_path: Path) -> None:
    images = faces(5)
    rows = [0, 1, 2, 3, 1, 4, 2, 4]
    splits = ["train", "train", "train", "train", "val", "val", "test", "test"]
    source = write_kaggle(tmp_path, "3" * 8, images[rows], splits)
    assert load_faces(source, "train").unseen.tolist() == [True, False, False, True]
    assert load_faces(source, "val").unseen.tolist() == [False, True]
    # its second picture stands in val, which nobody trains on
    assert load_faces(source, "test").unseen.tolist() == [False, True]


# --- the real FER2013 -----------------------------------------------------------------------------------


def test_the_sheets_are_read_as_they_are(shared: Path) -> None:
    assert_same(load_faces(shared / "data", "val"), load_fer2013(shared / "data", "val"))
    assert load_faces(shared / "data", "val", size=32).images.shape == (3589, 32, 32)


def test_the_sheets_have_no_test_split_and_take_no_map(shared: Path) -> None:
    data = shared / "data"
    assert_refused(lambda: load_faces(data, "test"), data, "PrivateTest.*reserved")
    own = "it has its own labels and votes"
    assert_refused(lambda: load_faces(data, "val", label_map=LABEL_MAPS["fer2013"]), data, own)


def test_the_sheets_can_be_imported(shared: Path, tmp_path: Path) -> None:
    counts = import_faces(shared / "data", tmp_path / "set.npz", size=16)
    assert list(counts) == ["train", "val"]
    assert list(counts["val"].values()) == [467, 56, 496, 895, 653, 415, 607]
    assert_same(load_faces(tmp_path / "set.npz", "val"), load_faces(shared / "data", "val", size=16))


def test_rows_of_fer2013_written_as_kaggle_does_are_the_same_faces(shared: Path, tmp_path: Path) -> None:
    labels = np.load(shared / "data" / "fer2013_labels.npz")
    rows = {"train": np.arange(0, 600), "val": np.arange(3000, 3200)}
    written = {split: load_fer2013(shared / "data", check_split(split)) for split in rows}
    images = np.concatenate([written[split].images[rows[split]] for split in rows])
    emotions = np.concatenate([labels[f"y_{split}"][rows[split]] for split in rows])
    counts = np.concatenate(
        [labels[f"ferplus_votes_{s}"][r] * labels[f"ferplus_row_known_{s}"][r, None] for s, r in rows.items()]
    )
    splits = [split for split in rows for _ in rows[split]]
    source = write_kaggle(tmp_path, [str(emotion) for emotion in emotions], images, splits)
    votes = write_votes(tmp_path, splits, [",".join(map(str, count)) for count in counts])
    for split in rows:
        mask = np.zeros(len(written[split]), bool)
        mask[rows[split]] = True
        expected = written[split].select(mask)
        found = load_faces(source, check_split(split), votes=votes)
        for name in ("images", "labels", "votes", "majority"):
            assert np.array_equal(getattr(found, name), getattr(expected, name)), name
