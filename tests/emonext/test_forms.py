from pathlib import Path

import numpy as np
import pytest
from face_sets import (
    ANGRY,
    DISGUST,
    FEAR,
    FERPLUS,
    HAPPY,
    NEUTRAL,
    SAD,
    SURPRISE,
    VOTES,
    assert_refused,
    faces,
    save,
    write_kaggle,
    write_lines,
    write_votes,
)
from PIL import Image

from emonext import DataError
from emonext.datasets.forms import check_split, import_faces, load_faces
from emonext.datasets.label_maps import LABEL_MAPS

# --- nothing in it --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("faces.csv", "", "first line must name emotion, pixels, Usage"),
        ("faces.csv", "\ufeff", "first line must name emotion, pixels, Usage"),
        ("faces.csv", "\n\n", "first line must name emotion, pixels, Usage"),
        ("faces.csv", "emotion,pixels,Usage\n", "no face in it"),
        ("faces.csv", "image,label\n\n", "no face in it"),
        ("faces.npz", "", "not the expected content"),
        ("train/happy/notes.txt", "", "no face in it"),
        ("happy/notes.txt", "no picture", "no face in it"),
        ("EmoLabel/list_patition_label.txt", "", "no face in it"),
        ("train_set/annotations/notes.txt", "", "no face in it"),
    ],
)
def test_a_source_without_faces_is_refused(tmp_path: Path, name: str, content: str, expected: str) -> None:
    path = tmp_path / "source" / name
    path.parent.mkdir(parents=True)
    path.write_text(content, encoding="utf-8")
    source = path if path.parent.name == "source" else tmp_path / "source"
    assert_refused(lambda: load_faces(source, "train"), source, expected)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    assert_refused(lambda: load_faces(tmp_path, "val"), tmp_path, r"no face in it.*fer2013_labels\.npz")


@pytest.mark.parametrize("name", ["nowhere", "nowhere.csv", "nowhere.npz"])
def test_a_missing_source_is_refused(tmp_path: Path, name: str) -> None:
    assert_refused(lambda: load_faces(tmp_path / name, "val"), tmp_path / name, "not found")


def test_empty_sheets_are_refused(tmp_path: Path) -> None:
    Image.new("L", (48 * 64, 48)).save(tmp_path / "fer2013_val.png")
    none = {name: np.zeros(0, bool) for name in ("ferplus_row_known_val", "val_not_in_train")}
    votes = np.zeros((0, 10), np.uint8)
    np.savez(tmp_path / "fer2013_labels.npz", y_val=np.zeros(0, int), ferplus_votes_val=votes, **none)
    assert_refused(lambda: load_faces(tmp_path, "val"), tmp_path, "no face in its val split")


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fer2013.zip").write_bytes(b"PK\x03\x04\xff\xfe\x00")
    assert_refused(lambda: load_faces(tmp_path / "fer2013.zip", "val"), tmp_path, "not the expected content")


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_by_its_name(split: str) -> None:
    assert check_split(split) == split


@pytest.mark.parametrize("text", ["", "valid", "Train"])
def test_another_split_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="train, val, test"):
        check_split(text)


# --- pixels as text -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header", ["emotion,pixels,Usage", "emotion, Usage, pixels", "Usage, pixels,EMOTION"]
)
def test_kaggles_columns_stand_in_any_order(tmp_path: Path, header: str) -> None:
    images = faces(4)
    splits = ["train", "val", "train", "test"]
    source = write_kaggle(tmp_path, "3051", images, splits, header)
    train = load_faces(source, "train")
    assert train.images.dtype == np.uint8
    assert np.array_equal(train.images, images[[0, 2]])
    assert train.labels.tolist() == [HAPPY, SURPRISE]
    assert train.labels.dtype == np.int64
    assert train.votes.tolist() == [[0] * 7] * 2
    assert train.majority.tolist() == [-1, -1]
    assert train.groups == {}
    assert load_faces(source, "val").labels.tolist() == [ANGRY]
    assert load_faces(source, "test").labels.tolist() == [DISGUST]


def test_kaggle_without_the_split_is_refused(tmp_path: Path) -> None:
    source = write_kaggle(tmp_path, "30", faces(2), ["train", "test"])
    assert_refused(lambda: load_faces(source, "val"), source, "no face in its val split; it has train, test")


def test_ckplus_needs_its_map(tmp_path: Path) -> None:
    source = write_kaggle(tmp_path, "3674", faces(4))
    expected = r"line 4: class '7' is not known.*7=-.*ckplus"
    assert_refused(lambda: load_faces(source, "train"), source, expected)
    found = load_faces(source, "train", label_map=LABEL_MAPS["ckplus"])
    assert found.labels.tolist() == [HAPPY, NEUTRAL, SAD]
    assert np.array_equal(found.images, faces(4)[[0, 1, 3]])


def test_a_set_of_which_all_is_left_out_has_no_face(tmp_path: Path) -> None:
    source = write_kaggle(tmp_path, "7", faces(1))
    label_map = LABEL_MAPS["ckplus"]
    assert_refused(
        lambda: load_faces(source, "train", label_map=label_map), source, "label map .* omits all its faces"
    )


PIXELS = " ".join(["7"] * 48 * 48)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([f"3,{PIXELS[:-4]},Training"], "line 2: 2302 pixels, not 48×48"),
        ([f"3,{PIXELS},Training", f"3,{PIXELS} 7,Training"], "line 3: 2305 pixels"),
        (["3,,Training"], "line 2: 0 pixels"),
        ([f"3,{PIXELS[:-1]}256,Training"], "line 2: pixels must be whole numbers of 0 to 255"),
        ([f"3,{PIXELS[:-1]}-1,Training"], "line 2: pixels must be"),
        ([f"3,{PIXELS[:-1]}x,Training"], "line 2: pixels must be"),
        ([f"3,{PIXELS}"], "line 2: 2 columns, but the first line has 3"),
        ([f'3,"{PIXELS}'], "not the expected content, or damaged"),
        ([f"3,{PIXELS},Train ing"], "line 2: 'Train ing' is no split"),
        ([f",{PIXELS},Training"], "line 2: no label"),
    ],
)
def test_a_damaged_line_of_pixels_is_refused(tmp_path: Path, lines: list[str], expected: str) -> None:
    source = write_lines(tmp_path / "fer2013.csv", "emotion,pixels,Usage", *lines)
    assert_refused(lambda: load_faces(source, "train"), source, expected)


@pytest.mark.parametrize("header", ["emotion,pixels", "emotion,pixels,Usage,usage", "pixels,Usage"])
def test_wrong_columns_are_refused(tmp_path: Path, header: str) -> None:
    source = write_lines(tmp_path / "fer2013.csv", header)
    assert_refused(lambda: load_faces(source, "train"), source, "first line must name '(emotion|usage)' once")


# --- FER+ -----------------------------------------------------------------------------------------------


def test_votes_go_with_the_rows_of_their_order(tmp_path: Path) -> None:
    source = write_kaggle(tmp_path, "3046", faces(4), ["train", "val", "train", "train"])
    votes = write_votes(
        tmp_path,
        ["train", "val", "train", "train"],
        ["5,4,0,0,1,0,0,0,0,0", "0,0,0,0,0,0,0,0,0,10", "0,0,0,8,0,2,0,0,0,0", "0,1,0,1,0,0,0,8,0,0"],
    )
    found = load_faces(source, "train", votes=votes)
    assert found.labels.tolist() == [HAPPY, SAD, NEUTRAL]
    assert found.majority.tolist() == [NEUTRAL, SAD, -1]
    expected = [[0.1, 0, 0, 0.4, 0, 0, 0.5], [0, 0.2, 0, 0, 0.8, 0, 0], [0, 0, 0, 0.5, 0.5, 0, 0]]
    np.testing.assert_allclose(found.votes, expected, atol=1e-7)
    assert load_faces(source, "val", votes=votes).votes.tolist() == [[0] * 7]


def test_a_face_without_label_needs_votes_for_one_of_the_seven(tmp_path: Path) -> None:
    source = write_kaggle(tmp_path, ["", "", "4"], faces(3))
    votes = write_votes(
        tmp_path, ["train"] * 3, ["0,9,0,0,0,0,0,1,0,0", "0,0,0,0,0,0,0,9,0,1", "0,0,0,0,0,0,0,0,0,10"]
    )
    found = load_faces(source, "train", votes=votes)
    assert found.labels.tolist() == [-1, SAD]
    assert found.majority.tolist() == [HAPPY, -1]
    counts = import_faces(source, tmp_path / "set.npz", votes=votes)
    held = {name: count for name, count in counts["train"].items() if count}
    assert held == {"sad": 1, "no label": 1, "left out": 1}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], "0 lines for the 2 of .*in the same order"),
        ([f"Training,a,{VOTES}"], "1 lines for the 2 of"),
        ([f"Training,a,{VOTES}"] * 3, "3 lines for the 2 of"),
        ([f"Training,a,{VOTES}", f"Training,a,{VOTES}"], r"line 3: of another split than .*csv, line 3"),
        ([f"Training,a,{VOTES}", f"PublicTest,a,{VOTES[:-1]}"], "line 3: votes must be whole numbers"),
        ([f"Training,a,{VOTES[:-1]}-1", f"PublicTest,a,{VOTES}"], "line 2: votes must be whole numbers"),
        ([f"Training,a,{VOTES}", f"PublicTest,a,{VOTES[:-2]}"], "line 3: 11 columns"),
    ],
)
def test_votes_that_do_not_fit_are_refused(tmp_path: Path, lines: list[str], expected: str) -> None:
    source = write_kaggle(tmp_path, "34", faces(2), ["train", "val"])
    votes = write_lines(tmp_path / "fer2013new.csv", f"Usage,Image name,{FERPLUS}", *lines)
    assert_refused(lambda: load_faces(source, "train", votes=votes), votes, expected)


def test_votes_of_another_form_are_refused(tmp_path: Path) -> None:
    source = write_kaggle(tmp_path, "3", faces(1))
    assert_refused(lambda: load_faces(source, "train", votes=source), source, "must name 'neutral' once")
    assert_refused(lambda: load_faces(source, "train", votes=tmp_path / "no.csv"), tmp_path, "not found")
    save(faces(1)[0], tmp_path / "folders" / "happy" / "1.png")
    votes = write_votes(tmp_path, ["train"], [VOTES])
    assert_refused(lambda: load_faces(tmp_path / "folders", "train", votes=votes), votes, "another form")


# --- class folders --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["val", "valid", "Validation"])
def test_class_folders_of_splits(tmp_path: Path, name: str) -> None:
    images = faces(3)
    save(images[0], tmp_path / name / "Surprised" / "1.png")
    save(images[1], tmp_path / name / "anger" / "2.bmp")
    save(images[2], tmp_path / "train" / "happy" / "1.PNG")
    save(images[2], tmp_path / "others" / "whatever" / "1.png")
    found = load_faces(tmp_path, "val")
    assert found.labels.tolist() == [SURPRISE, ANGRY]
    assert np.array_equal(found.images, images[:2])
    assert load_faces(tmp_path, "train").labels.tolist() == [HAPPY]
    assert_refused(lambda: load_faces(tmp_path, "test"), tmp_path, "in its test split; it has train, val")


def test_class_folders_without_splits_serve_any_split(tmp_path: Path) -> None:
    save(faces(1)[0], tmp_path / "Scared" / "1.png")
    for split in ("train", "val", "test"):
        found = load_faces(tmp_path, split)
        assert found.labels.tolist() == [FEAR]
        assert found.unseen.tolist() == [True]


def test_numbered_class_folders_need_a_map(tmp_path: Path) -> None:
    for number in "1234567":
        save(faces(1)[0], tmp_path / "test" / number / "1.png")
    assert_refused(lambda: load_faces(tmp_path, "test"), tmp_path, "class '1' is not known.*rafdb")
    found = load_faces(tmp_path, "test", label_map=LABEL_MAPS["rafdb"])
    assert found.labels.tolist() == [SURPRISE, FEAR, DISGUST, HAPPY, SAD, ANGRY, NEUTRAL]


def test_what_is_no_picture_is_left_aside(tmp_path: Path) -> None:
    save(faces(1)[0], tmp_path / "sad" / "1.png")
    for name in ("sad/Thumbs.db", "sad/._1.png", ".ipynb_checkpoints/1.png", "readme.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\0")
    assert len(load_faces(tmp_path, "train")) == 1


@pytest.mark.parametrize("damage", ["empty", "text", "truncated", "folder"])
def test_a_picture_that_does_not_decode_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "happy" / "1.png"
    save(faces(1)[0], path)
    content = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    else:
        path.write_bytes({"empty": b"", "text": b"no picture", "truncated": content[:-900]}[damage])
    assert_refused(lambda: load_faces(tmp_path, "train"), path, "not the expected content, or damaged")


# --- pictures -------------------------------------------------------------------------------------------


def test_colour_becomes_luma(tmp_path: Path) -> None:
    save(np.full((48, 48, 3), (255, 0, 0), np.uint8), tmp_path / "sad" / "1.png")
    # ITU-R BT.601: 0.299 × 255
    assert np.unique(load_faces(tmp_path, "val").images).tolist() == [76]


def test_a_picture_is_turned_upright(tmp_path: Path) -> None:
    stored = faces(1)[0]
    (tmp_path / "sad").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # the stored picture is to be turned clockwise by a quarter
    Image.fromarray(stored).save(tmp_path / "sad" / "1.png", exif=exif)
    assert np.array_equal(load_faces(tmp_path, "val").images[0], np.rot90(stored, -1))


@pytest.mark.parametrize("size", [48, 64])
def test_pictures_of_all_sizes_are_scaled_to_one(tmp_path: Path, size: int) -> None:
    for number, (height, width) in enumerate([(48, 48), (64, 64), (100, 60), (9, 12)]):
        image = np.full((height, width), 10, np.uint8)
        image[:, width // 2 :] = 200
        save(image, tmp_path / "sad" / f"{number}.png")
    found = load_faces(tmp_path, "val", size=size)
    assert found.images.shape == (4, size, size)
    assert (found.images[:, :, : size // 3] == 10).all()
    assert (found.images[:, :, -size // 3 :] == 200).all()


def test_a_picture_of_16_bits_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sad" / "1.png"
    save(np.full((48, 48), 1000, np.uint16), path)
    assert_refused(lambda: load_faces(tmp_path, "val"), path, "more than 8 bits a pixel; save it with 8")
