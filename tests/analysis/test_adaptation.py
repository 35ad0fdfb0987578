"""analysis.adaptation: the file of a study's calibration, and what it does to probabilities."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from adaptations import make_adaptation

from pipeline.analysis.adaptation import (
    NONE,
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
    assert with_adaptation(empty, make_adaptation()).probabilities.shape == (0, 7)


def test_probabilities_are_those_of_the_formula() -> None:
    """p' ∝ √p · e^b: with T = 2."""
    p = np.array([[0.0, 0.04, 0.05, 0.01, 0.5, 0.1, 0.3]])
    weights = np.sqrt(np.maximum(p, 1e-4))
    weights[:, EMOTIONS.index("sad")] /= np.exp(1.2)
    weights[:, EMOTIONS.index("neutral")] *= np.exp(1.2)
    found = with_adaptation(Observed(np.zeros(1), np.ones(1), p), make_adaptation())
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
        ({"format": 2}, "another version"),
        ({"extra": 1}, "extra"),
        ({"test": {}}, "agreement"),
    ],
)
def test_a_changed_file_is_refused(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    path = adaptation_path(tmp_path)
    write_adaptation(path, make_adaptation())
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), "utf-8")
    with pytest.raises(InputError, match=f"(?s)adaptation.json: no adaptation, or changed.*{reason}"):
        read_adaptation(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", "nothing", '{"format": 1, "test": 3}', "null"])
def test_another_file_is_refused_before_any_work(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"other\.json: no adaptation"):
        check_given(str(path))
    with pytest.raises(InputError, match=r"other\.json: no adaptation"):
        use_adaptation(tmp_path, str(path))
    assert not adaptation_path(tmp_path).exists()
    with pytest.raises(InputError, match="no such file"):
        check_given(str(tmp_path / "gone.json"))
    check_given(NONE)
    check_given(None)


def test_the_folders_own_file_can_be_given(tmp_path: Path) -> None:
    write_adaptation(adaptation_path(tmp_path), make_adaptation())
    use_adaptation(tmp_path, str(adaptation_path(tmp_path)))
    assert read_adaptation(tmp_path)
    use_adaptation(tmp_path, NONE)
    assert read_adaptation(tmp_path) is None
