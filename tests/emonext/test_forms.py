import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from traps import Trap

from emonext import LABELS, DataError
from emonext.datasets.data import FaceSet, load_fer2013
from emonext.datasets.forms import check_split, import_faces, load_faces
from emonext.datasets.label_maps import LABEL_MAPS, LEFT_OUT, NAMES, classes_of, parse_label_map

ANGRY, DISGUST, FEAR, HAPPY, SAD, SURPRISE, NEUTRAL = range(7)

USAGES = {"train": "Training", "val": "PublicTest", "test": "PrivateTest"}

FERPLUS = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"

Form = tuple[Path, Mapping[str, str] | None, Path | None]
"""A source with the label map and the votes that it needs."""


# --- nothing in it --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("faces.csv", "", "first line must name emotion, pixels, Usage"),
        ("faces.csv", "\ufeff", "first line must name emotion, pixels, Usage"),
        ("faces.csv", "\n\n", "first line must name emotion, pixels, Usage"),
        ("faces.csv", "emotion,pixels,Usage\n", "no face in it"),
        ("faces.csv", "image,label\n\n", "no face in it"),
        ("faces.npz", "", "not what its name says"),
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
    assert_refused(lambda: load_faces(tmp_path / "fer2013.zip", "val"), tmp_path, "not what its name says")


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_by_its_name(split: str) -> None:
    assert check_split(split) == split


@pytest.mark.parametrize("text", ["", "valid", "Train"])
def test_another_split_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="train, val, test"):
        check_split(text)


# --- label maps -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fer2013", "0 angry 1 disgust 2 fear 3 happy 4 sad 5 surprise 6 neutral"),
        ("affectnet", "0 neutral 1 happy 2 sad 3 surprise 4 fear 5 disgust 6 angry 7 -"),
        ("rafdb", "1 surprise 2 fear 3 disgust 4 happy 5 sad 6 angry 7 neutral"),
        ("ckplus", "0 angry 1 disgust 2 fear 3 happy 4 sad 5 surprise 6 neutral 7 -"),
    ],
)
def test_known_sets_have_their_published_numbers(name: str, expected: str) -> None:
    words = expected.split()
    assert LABEL_MAPS[name] == dict(zip(words[::2], words[1::2], strict=True))
    assert parse_label_map(name) == parse_label_map(f" {name.upper()} ") == LABEL_MAPS[name]


def test_all_known_names_mean_a_class() -> None:
    assert set(NAMES.values()) == set(LABELS)
    assert all(NAMES[label] == label for label in LABELS)


def test_a_map_is_read_from_text() -> None:
    assert parse_label_map("0=angry, 1 = Happiness,x y=sad,7=-") == {
        "0": "angry",
        "1": "happy",
        "x y": "sad",
        "7": LEFT_OUT,
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "'' is not like 0=angry; or give one of fer2013, affectnet, rafdb, ckplus"),
        ("kaggle", "'kaggle' is not like 0=angry"),
        ("0=angry,", "'' is not like"),
        ("0=", "'0=' is not like"),
        ("=angry", "'=angry' is not like"),
        ("0=angry,0=sad", "'0' is mapped twice"),
        ("Joy=happy,joy=sad", "'joy' is mapped twice"),
        ("7=contempt", "7=contempt: no such class here; map to angry, .*, or - to leave it out"),
    ],
)
def test_a_wrong_map_is_refused(text: str, expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        parse_label_map(text)


def test_no_classes_need_no_map() -> None:
    assert classes_of({}, None, {}, "here") == {}


def test_names_are_known_in_any_case_and_numbers_by_the_form() -> None:
    places = dict.fromkeys(("Anger", "SCARED", "3"), "here")
    found = classes_of(places, None, LABEL_MAPS["fer2013"], "here")
    assert found == {"Anger": ANGRY, "SCARED": FEAR, "3": HAPPY}


def test_a_map_adds_to_the_names_and_replaces_the_numbers() -> None:
    places = dict.fromkeys(("sad", "Pain", "Contempt"), "here")
    found = classes_of(places, {"pain": "fear", "contempt": "-"}, LABEL_MAPS["fer2013"], "here")
    assert found == {"sad": SAD, "Pain": FEAR, "Contempt": None}
    with pytest.raises(DataError, match="line 2: class '0' is not known"):
        classes_of({"7": "line 1", "0": "line 2"}, {"7": "-"}, LABEL_MAPS["fer2013"], "here")


@pytest.mark.parametrize("name", ["contempt", "7", "happpy"])
def test_an_unknown_class_is_named_with_its_place_and_a_remedy(name: str) -> None:
    with pytest.raises(DataError, match=rf"^line 5: class '{name}' is not known.*{name}=happy.*{name}=-"):
        classes_of({"sad": "line 2", name: "line 5"}, None, LABEL_MAPS["fer2013"], "here")


def test_a_map_of_a_class_that_the_data_has_not_is_refused() -> None:
    with pytest.raises(DataError, match=r"^here: --labels names 'pain'.*its classes are happy, sad"):
        classes_of({"sad": "", "happy": ""}, {"pain": "fear"}, {}, "here")


def test_the_map_of_a_known_set_fits_a_copy_without_some_classes() -> None:
    assert classes_of({"3": "here"}, LABEL_MAPS["ckplus"], {}, "here") == {"3": HAPPY}


def test_a_map_to_no_class_of_ours_is_refused_when_given_as_such(tmp_path: Path) -> None:
    source = write_kaggle(tmp_path, ["7"], faces(1))
    with pytest.raises(DataError, match="7=contempt: no such class"):
        load_faces(source, "train", label_map={"7": "contempt"})


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
    assert_refused(lambda: load_faces(source, "train", label_map=label_map), source, "no face.*leaves out")


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
        ([f'3,"{PIXELS}'], "not what its name says, or damaged"),
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


VOTES = "0,9,0,0,0,0,0,1,0,0"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], "0 lines for the 2 of .*in order"),
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
    assert_refused(lambda: load_faces(tmp_path, "train"), path, "not what its name says, or damaged")


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
        assert_refused(lambda: load_faces(tmp_path, "val"), note, "not what its name says")
    note.write_bytes(b"")
    assert_refused(lambda: load_faces(tmp_path, "val"), note, "not what its name says")


def test_affectnets_notes_run_no_code(tmp_path: Path) -> None:
    write_affectnet(tmp_path, "val", 3, 1)
    note, trap = tmp_path / "val_set" / "annotations" / "3_exp.npy", Trap(tmp_path / "sprung")
    np.save(note, np.array(trap, object))
    assert_refused(lambda: load_faces(tmp_path, "val"), note, "not what its name says")
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
        (["image,label", "1.png,sad", "2.png,sad"], r"line 3: .*2\.png is not there"),
        (["image,label", ",sad"], "line 2: .* is not there"),
        (["image,label", "1.png,"], "line 2 .*: no label"),
        (["image,label", "1.png,contempt"], r"line 2 \(.*1\.png\): class 'contempt' is not known"),
        (["image,label", "", "1.png"], "line 3: 1 columns, but the first line has 2"),
        (["image,label,split", "1.png,sad,"], "line 2: '' is no split; it is one of train"),
        (["image,label", "broken.png,sad"], r"line 2 \(.*broken\.png\): not what its name says"),
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
    assert_refused(lambda: import_faces(target, tmp_path / "again.npz"), target, "imported already")


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
    assert_refused(lambda: load_faces(target, split), target, "not what its name says, or damaged")
    assert not (tmp_path / "sprung").exists()


# --- the real FER2013 -----------------------------------------------------------------------------------


def test_the_sheets_are_read_as_they_are(shared: Path) -> None:
    assert_same(load_faces(shared / "data", "val"), load_fer2013(shared / "data", "val"))
    assert load_faces(shared / "data", "val", size=32).images.shape == (3589, 32, 32)


def test_the_sheets_have_no_test_split_and_take_no_map(shared: Path) -> None:
    data = shared / "data"
    assert_refused(lambda: load_faces(data, "test"), data, "PrivateTest.*kept back")
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
