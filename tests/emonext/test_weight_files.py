"""emonext.weight_files: the user's weights and the shipped weights."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from small_networks import CARD, beside

from emonext import LABELS, WeightsError, load_weights, weight_files
from emonext.checkpoint import import_weights, save_weights
from emonext.weight_files import SHIPPED, find_weights, imported_weights, imports_folder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where no one has imported anything yet."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "emonext-care" / "weights"


# --- a user's own weights -------------------------------------------------------------------------------


def test_nothing_is_imported_at_first(home: Path) -> None:
    assert imports_folder() == home
    assert imported_weights() == []


def test_without_a_setting_imports_lie_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert imports_folder() == tmp_path / ".local" / "share" / "emonext-care" / "weights"


def test_imported_weights_are_found_by_their_name(path: Path, home: Path) -> None:
    target = import_weights(path, "ours-2.1")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert target == home / "ours-2.1.safetensors" == find_weights("ours-2.1")
    assert imported_weights() == ["ours-2.1"]
    assert beside(target).read_text() == f"{digest}  ours-2.1.safetensors\n"
    path.unlink()
    assert (load_weights("ours-2.1").card, load_weights("ours-2.1").sha256) == (CARD, digest)
    assert not list(home.glob("*.partial"))


def test_the_names_of_imported_weights_are_listed_where_one_is_not_known(path: Path) -> None:
    import_weights(path, "ours")
    with pytest.raises(WeightsError, match=r"theirs: no such weights.*atto.*, ours\.$"):
        find_weights("theirs")


def test_imported_weights_that_were_changed_are_refused(path: Path) -> None:
    target = import_weights(path, "ours")
    target.write_bytes(target.read_bytes() + b" ")
    with pytest.raises(WeightsError, match=r"ours\.safetensors: its sha256 is"):
        load_weights("ours")


@pytest.mark.parametrize("name", ["", "../ours", "a/b", "/ours", ".ours", "-ours", "o urs", "o" * 65])
def test_what_is_no_name_is_refused(path: Path, home: Path, name: str) -> None:
    with pytest.raises(WeightsError, match=r"`name` .*: use letters, digits, '\.', '_' and '-'"):
        import_weights(path, name)
    assert not home.exists()


def test_the_name_of_shipped_weights_is_refused(path: Path, home: Path) -> None:
    with pytest.raises(WeightsError, match="`name` atto: the name of weights that come with the program"):
        import_weights(path, "atto")
    assert not home.exists()


def test_weights_of_the_same_name_are_not_replaced(path: Path, tmp_path: Path) -> None:
    target = import_weights(path, "ours")
    before = target.read_bytes(), beside(target).read_bytes()
    other = tmp_path / "other.safetensors"
    save_weights(load_weights(path).model, replace(CARD, name="other"), other)
    with pytest.raises(WeightsError, match=rf"`name` ours: taken by {target}; .* delete that file first"):
        import_weights(other, "ours")
    assert (target.read_bytes(), beside(target).read_bytes()) == before
    target.unlink()  # as the message says
    assert load_weights(import_weights(other, "ours").stem).card.name == "other"


def test_what_are_no_weights_is_not_imported(tmp_path: Path, home: Path) -> None:
    (tmp_path / "notes.txt").write_text("These are not the weights.\n")
    with pytest.raises(WeightsError, match=r"notes\.txt: not a whole safetensors"):
        import_weights(tmp_path / "notes.txt", "ours")
    with pytest.raises(WeightsError, match="no such weights"):
        import_weights(tmp_path / "nowhere.safetensors", "ours")
    assert not home.exists()


def test_a_folder_that_cannot_be_written_to_is_a_weights_error(path: Path, home: Path) -> None:
    home.parent.mkdir(parents=True)
    home.touch()  # a file where the folder should be
    with pytest.raises(WeightsError, match="emonext-care/weights: can't be written to"):
        import_weights(path, "ours")


# --- what is shipped ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_shipped_weights_are_whole_and_ours(name: str) -> None:
    loaded = load_weights(name)
    assert loaded.sha256 == SHIPPED[name] == hashlib.sha256(find_weights(name).read_bytes()).hexdigest()
    assert loaded.card.labels == LABELS
    assert loaded.card.architecture.image_size == loaded.card.preprocessing.size
    assert loaded.card.temperature > 0
    assert loaded.card.votes_temperature > 0
    assert loaded.card.metrics


def test_shipped_weights_with_another_sha256_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight_files, "FOLDER", path.parent)
    monkeypatch.setattr(weight_files, "SHIPPED", {"small": "0" * 64})
    with pytest.raises(WeightsError, match=r"small\.safetensors: its sha256 is"):
        load_weights("small")


def test_shipped_weights_that_are_not_there_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weight_files, "FOLDER", tmp_path)
    monkeypatch.setattr(weight_files, "SHIPPED", {"small": "0" * 64})
    with pytest.raises(WeightsError, match=r"small\.safetensors: No such file"):
        load_weights("small")
