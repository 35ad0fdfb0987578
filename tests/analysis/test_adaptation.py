"""analysis.adaptation: the file of a study's calibration, and what it does to probabilities."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from adaptations import make_adaptation, make_own_offsets

from pipeline.analysis.adaptation import (
    NONE,
    Adaptation,
    adaptation_path,
    check_given,
    read_adaptation,
    use_adaptation,
    with_adaptation,
    write_adaptation,
)
from pipeline.analysis.episodes import Observed
from pipeline.errors import InputError
from pipeline.records import EMOTIONS


def test_a_folder_without_one_has_none(tmp_path: Path) -> None:
    assert read_adaptation(tmp_path) is None
    use_adaptation(tmp_path, None)
    use_adaptation(tmp_path, NONE)
    assert list(tmp_path.iterdir()) == []


def test_no_sample_is_no_sample() -> None:
    empty = Observed(np.zeros(0), np.zeros(0), np.zeros((0, 7)))
    assert with_adaptation(empty, make_adaptation(), "P1").probabilities.shape == (0, 7)


def test_probabilities_are_those_of_the_formula() -> None:
    """p' ∝ √p · e^b: with T = 2."""
    p = np.array([[0.0, 0.04, 0.05, 0.01, 0.5, 0.1, 0.3]])
    weights = np.sqrt(np.maximum(p, 1e-4))
    weights[:, EMOTIONS.index("sad")] /= np.exp(1.2)
    weights[:, EMOTIONS.index("neutral")] *= np.exp(1.2)
    found = with_adaptation(Observed(np.zeros(1), np.ones(1), p), make_adaptation(), "P1")
    assert found.probabilities == pytest.approx(weights / weights.sum())
    assert found.seconds == pytest.approx([1.0])


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    written = write_adaptation(adaptation_path(tmp_path), make_adaptation())
    assert read_adaptation(tmp_path) == written
    assert written.name == f"adapted-{written.sha256[:8]}"
    assert make_adaptation().sha256 != make_adaptation(temperature=2.1).sha256


def test_the_same_answers_give_the_same_sha256_on_another_day(tmp_path: Path) -> None:
    written = write_adaptation(tmp_path / "a.json", make_adaptation())
    text = (tmp_path / "a.json").read_text("utf-8").replace(written.created_at, "2031-01-01T00:00:00+00:00")
    (tmp_path / "b.json").write_text(text, "utf-8")
    use_adaptation(tmp_path, str(tmp_path / "b.json"))
    assert read_adaptation(tmp_path).sha256 == written.sha256


def test_it_names_no_patient(tmp_path: Path) -> None:
    write_adaptation(tmp_path / "a.json", make_adaptation())
    assert not re.search(r"P\d|S\d", (tmp_path / "a.json").read_text("utf-8"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"temperature": 2.5}, "does not fit its sha256"),
        ({"temperature": 0.0}, "out of range"),
        ({"temperature": float("nan")}, "out of range"),
        ({"offsets": dict.fromkeys(EMOTIONS, 11.0)}, "out of range"),
        ({"offsets": {"happy": 1.0}}, "angry"),
        ({"offsets": dict.fromkeys((*EMOTIONS, "bored"), 0.0)}, "unknown expression"),
        ({"format": 3}, "another version"),
        ({"format": 2}, "own"),
        ({"own": {}}, "own"),
        ({"extra": 1}, "extra"),
        ({"test": {}}, "agreement"),
        ({"offsets": dict.fromkeys(EMOTIONS, "0.5")}, "not a number"),
        ({"offsets": dict.fromkeys(EMOTIONS, 10**400)}, "out of range"),
        ({"clips": "many"}, "count of clips"),
    ],
)
def test_a_changed_file_is_refused(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    path = adaptation_path(tmp_path)
    write_adaptation(path, make_adaptation())
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), "utf-8")
    with pytest.raises(InputError, match=f"(?s)adaptation.json: no adaptation, or changed.*{reason}"):
        read_adaptation(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "nothing", '{"format": 1, "test": 3}', "null", pytest.param("[" * 10**5, id="deep")],
)
def test_another_file_is_refused_before_any_work(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"other\.json: no adaptation"):
        check_given(str(path), tmp_path)
    with pytest.raises(InputError, match=r"other\.json: no adaptation"):
        use_adaptation(tmp_path, str(path))
    assert not adaptation_path(tmp_path).exists()
    with pytest.raises(InputError, match="no such file"):
        check_given(str(tmp_path / "gone.json"), tmp_path)
    assert check_given(NONE, tmp_path) == check_given(None, tmp_path) == ""


# --- offsets of patients


def own(*patients: str) -> Adaptation:
    return make_adaptation(own=make_own_offsets(*patients))


def test_patients_with_own_offsets_have_them_on_top_of_the_studys() -> None:
    p = np.full((1, 7), 1 / 7)
    samples, found = Observed(np.zeros(1), np.ones(1), p), own("P1")
    first, second = (with_adaptation(samples, found, name).probabilities[0] for name in ("P1", "P2"))
    assert second == pytest.approx(with_adaptation(samples, make_adaptation(), "P1").probabilities[0])
    sad, happy = EMOTIONS.index("sad"), EMOTIONS.index("happy")
    ratio = (first[sad] / first[happy]) / (second[sad] / second[happy])
    assert ratio == pytest.approx(np.exp(-1.2))


def test_own_offsets_are_written_and_read_with_their_patients(tmp_path: Path) -> None:
    written = write_adaptation(adaptation_path(tmp_path), own("P1", "P4"))
    found = read_adaptation(tmp_path)
    assert found == written
    assert {name: one.clips for name, one in found.own_patients.items()} == {"P1": 12, "P4": 12}
    assert found.sha256 != own("P1").sha256 != make_adaptation().sha256


def test_files_without_own_offsets_are_as_those_of_earlier_versions(tmp_path: Path) -> None:
    """The sha256 is that of the version before patients could have own offsets."""
    assert make_adaptation().sha256 == "eb26dd4a098fb104388dff03e30c73c8143dd390c478b8c417a2ebc3d69fecb9"
    write_adaptation(adaptation_path(tmp_path), make_adaptation())
    content = json.loads(adaptation_path(tmp_path).read_text("utf-8"))
    assert content["format"] == 1
    assert "own" not in content


@pytest.mark.parametrize("value", [float("nan"), 11.0])
def test_an_own_offset_out_of_range_is_refused(tmp_path: Path, value: float) -> None:
    path = adaptation_path(tmp_path)
    write_adaptation(path, own("P1"))
    content = json.loads(path.read_text("utf-8"))
    content["own"]["patients"]["P1"]["offsets"]["sad"] = value
    path.write_text(json.dumps(content), "utf-8")
    with pytest.raises(InputError, match="out of range"):
        read_adaptation(tmp_path)


def test_own_offsets_stay_in_their_folder(tmp_path: Path) -> None:
    """P1 of another study may be another person."""
    there, here = tmp_path / "there", tmp_path / "here"
    written = write_adaptation(adaptation_path(there), own("P1", "P4"))
    given = str(adaptation_path(there))
    assert "own offsets of 2 patients are left out" in check_given(given, here)
    use_adaptation(here, given)
    assert read_adaptation(here) == written.without_patients()
    assert not re.search(r"P\d", adaptation_path(here).read_text("utf-8"))
    assert check_given(given, there) == ""
    use_adaptation(there, given)
    assert read_adaptation(there) == written


def test_the_folders_own_file_can_be_given(tmp_path: Path) -> None:
    write_adaptation(adaptation_path(tmp_path), make_adaptation())
    use_adaptation(tmp_path, str(adaptation_path(tmp_path)))
    assert read_adaptation(tmp_path)
    use_adaptation(tmp_path, NONE)
    assert read_adaptation(tmp_path) is None
