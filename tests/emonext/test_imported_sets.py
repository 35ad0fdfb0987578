"""Data sets imported into one file."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from face_sets import (
    SAD,
    VOTES,
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

from emonext import LABELS
from emonext.datasets.forms import check_split, import_faces, load_faces
from emonext.datasets.label_maps import LABEL_MAPS, parse_label_map

Form = tuple[Path, Mapping[str, str] | None, Path | None]
"""A source with the label map and the votes that it needs."""


# --- imported sets --------------------------------------------------------------------------------------


def test_an_imported_set_counts_what_it_holds(tmp_path: Path) -> None:
    source = write_kaggle(tmp_path, "33470", faces(5), ["train", "train", "train", "train", "test"])
    calls: list[tuple[int, int]] = []
    counts = import_faces(
        source,
        tmp_path / "new" / "set.npz",
        label_map=LABEL_MAPS["ckplus"],
        on_progress=lambda done, total: calls.append((done, total)),
    )
    none = dict.fromkeys(LABELS, 0)
    train = {**none, "happy": 2, "sad": 1, "left out": 1}
    assert counts == {"train": train, "test": {**none, "angry": 1}}
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["set.npz"]


@pytest.mark.parametrize("size", [48, 32])
@pytest.mark.parametrize("form", ["kaggle", "ferplus", "ckplus", "folders", "affectnet", "rafdb", "frames"])
def test_an_imported_set_is_what_its_source_is(tmp_path: Path, form: str, size: int) -> None:
    source, label_map, votes = FORMS[form](tmp_path / "source")
    target = tmp_path / "set.npz"
    counts = import_faces(source, target, label_map=label_map, votes=votes, size=size)
    assert counts
    for part in counts:
        split = "train" if part == "all" else check_split(part)
        expected = load_faces(source, split, label_map=label_map, votes=votes, size=size)
        assert len(expected) == sum(counts[part].values()) - counts[part].get("left out", 0)
        assert expected.images.shape[1:] == (size, size)
        assert_same(load_faces(target, split), expected)


def test_an_imported_set_without_the_split_is_refused(tmp_path: Path) -> None:
    import_faces(write_kaggle(tmp_path, "34", faces(2), ["train", "test"]), tmp_path / "set.npz")
    expected = "no face in its val split; it has train, test"
    assert_refused(lambda: load_faces(tmp_path / "set.npz", "val"), tmp_path / "set.npz", expected)


def test_an_import_replaces_the_file_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "set.npz"
    import_faces(write_kaggle(tmp_path, "3", faces(1)), target)
    before = target.read_bytes()
    other = write_kaggle(tmp_path, "44", faces(2))

    def full(file: object, **arrays: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez_compressed", full)
        assert_refused(lambda: import_faces(other, target), target, "can't be written .*No space left")
    assert target.read_bytes() == before
    assert not list(tmp_path.glob("*.partial"))
    import_faces(other, target)
    assert load_faces(target, "train").labels.tolist() == [SAD, SAD]


def test_a_target_that_can_not_be_written_is_refused(tmp_path: Path) -> None:
    source = write_kaggle(tmp_path, "3", faces(1))
    assert_refused(lambda: import_faces(source, tmp_path / "set"), tmp_path, r"name it \.npz")
    assert_refused(lambda: import_faces(source, source / "set.npz"), source, "can't be written")
    (tmp_path / "folder.npz").mkdir()
    assert_refused(lambda: import_faces(source, tmp_path / "folder.npz"), tmp_path, "can't be written")
    assert not list(tmp_path.glob("*.partial"))


def test_nothing_is_written_of_a_damaged_source(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "fer2013.csv", "emotion,pixels,Usage", "3,1 2,Training")
    assert_refused(lambda: import_faces(source, tmp_path / "set.npz"), source, "2 pixels")
    assert [path.name for path in tmp_path.iterdir()] == ["fer2013.csv"]


def test_an_imported_set_takes_no_map_no_votes_and_no_second_import(tmp_path: Path) -> None:
    target = tmp_path / "set.npz"
    source = write_kaggle(tmp_path, "3", faces(1))
    import_faces(source, target)
    own = "it has its own labels and votes"
    assert_refused(lambda: load_faces(target, "train", label_map={"3": "sad"}), target, own)
    assert_refused(lambda: load_faces(target, "train", votes=source), target, own)
    assert_refused(lambda: import_faces(target, tmp_path / "again.npz"), target, "already imported")


@pytest.mark.parametrize("damage", ["truncated", "foreign", "pickled", "version", "array", "part"])
def test_a_damaged_imported_set_is_refused(tmp_path: Path, damage: str) -> None:
    target = tmp_path / "set.npz"
    import_faces(write_kaggle(tmp_path, "33", faces(2)), target)
    with np.load(target) as table:
        arrays = dict(table)
    if damage == "truncated":
        target.write_bytes(target.read_bytes()[:-100])
    elif damage == "array":
        with target.open("wb") as file:
            np.save(file, arrays["train/images"])
    else:
        arrays |= {
            "foreign": {"format": np.array(3)},
            "pickled": {"train/labels": np.array([3, Trap(tmp_path / "sprung")], object)},
            "version": {"format": np.array("emonext faces 0")},
            "part": {"parts": np.array(["train", "val"])},
        }[damage]
        np.savez_compressed(target, **arrays)
    split = "val" if damage == "part" else "train"
    assert_refused(lambda: load_faces(target, split), target, "not the expected content, or damaged")
    assert not (tmp_path / "sprung").exists()


def _kaggle(folder: Path) -> Form:
    rows = [0, 1, 2, 1]
    return write_kaggle(folder, "3456", faces(3)[rows], ["train", "train", "val", "val"]), None, None


def _ferplus(folder: Path) -> Form:
    splits = ["train", "val", "val"]
    votes = write_votes(folder, splits, [VOTES, "6,0,4,0,0,0,0,0,0,0", "0,0,0,0,0,0,0,0,0,10"])
    return write_kaggle(folder, ["", "4", "5"], faces(3), splits), None, votes


def _ckplus(folder: Path) -> Form:
    source = write_kaggle(folder, "70765", faces(5), ["train", "train", "test", "test", "test"])
    return source, LABEL_MAPS["ckplus"], None


def _folders(folder: Path) -> Form:
    for number, image in enumerate(faces(3)):
        save(image, folder / ("Joy", "pain", "sad")[number] / f"{number}.png")
    return folder, parse_label_map("pain=fear"), None


def _affectnet(folder: Path) -> Form:
    for split, number in (("train", 1), ("train", 2), ("val", 2), ("val", 7)):
        write_affectnet(folder, split, number, number)
    return folder, None, None


def _rafdb(folder: Path) -> Form:
    write_rafdb(folder, ["train_00001.jpg 1", "test_00001.jpg 7", "train_00002.jpg 2"])
    return folder, None, None


def _frames(folder: Path) -> Form:
    for number, image in enumerate(faces(3)):
        save(image, folder / f"{number}.png")
    lines = ["0.png,sad,train,,Bo", "1.png,angry,val,80+,Ann-Marie", "2.png,sad,train,60–79,"]
    return write_lines(folder / "frames.csv", "image,label,split,age group,person", *lines), None, None


FORMS: Mapping[str, Callable[[Path], Form]] = {
    "kaggle": _kaggle,
    "ferplus": _ferplus,
    "ckplus": _ckplus,
    "folders": _folders,
    "affectnet": _affectnet,
    "rafdb": _rafdb,
    "frames": _frames,
}
