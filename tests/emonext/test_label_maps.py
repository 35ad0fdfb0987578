"""Maps from the classes of other data sets to the seven."""

from pathlib import Path

import pytest
from face_sets import ANGRY, FEAR, HAPPY, SAD, faces, write_kaggle

from emonext import LABELS, DataError
from emonext.datasets.forms import load_faces
from emonext.datasets.label_maps import LABEL_MAPS, LEFT_OUT, NAMES, classes_of, parse_label_map

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
        ("7=contempt", "7=contempt: no such label; map to angry, .*, or - to leave it out"),
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
    with pytest.raises(DataError, match=r"^here: `label_map` names 'pain'.*its classes are happy, sad"):
        classes_of({"sad": "", "happy": ""}, {"pain": "fear"}, {}, "here")


def test_the_map_of_a_known_set_fits_a_copy_without_some_classes() -> None:
    assert classes_of({"3": "here"}, LABEL_MAPS["ckplus"], {}, "here") == {"3": HAPPY}


def test_a_map_to_no_class_of_ours_is_refused_when_given_as_such(tmp_path: Path) -> None:
    source = write_kaggle(tmp_path, ["7"], faces(1))
    with pytest.raises(DataError, match="7=contempt: no such label"):
        load_faces(source, "train", label_map={"7": "contempt"})
