import hashlib
import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from emonext import LABELS, Architecture, Card, EmoNeXt, Preprocessing, WeightsError, load_model, load_weights
from emonext import checkpoint as checkpoint_module
from emonext.checkpoint import (
    METADATA_KEY,
    SHIPPED,
    find_weights,
    read_card,
    save_weights,
)
from emonext.published import convert_published

SMALL = Architecture((1, 1, 1, 1), (16, 16, 32, 32), 64)
CARD = Card(
    name="small",
    architecture=SMALL,
    preprocessing=Preprocessing(64, 68, face_scale=1.1, face_shift=(0.0, -0.01), mean=0.5, std=0.25),
    temperature=1.5,
    licence="none",
    data="made up",
    recipe="untrained",
    metrics={"val_accuracy": 0.125},
)


@pytest.fixture
def model() -> EmoNeXt:
    torch.manual_seed(0)
    return EmoNeXt(SMALL, layer_scale=1.0).eval()


@pytest.fixture
def path(tmp_path: Path, model: EmoNeXt) -> Path:
    """Good weights, with their sha256 beside them."""
    save_weights(model, CARD, tmp_path / "small.safetensors")
    return tmp_path / "small.safetensors"


@pytest.fixture
def unsigned(path: Path) -> Path:
    """Good weights without a sha256."""
    beside(path).unlink()
    return path


# --- there and back -------------------------------------------------------------------------------------


def test_weights_come_back_in_half_precision_with_their_card(path: Path, model: EmoNeXt) -> None:
    loaded = load_weights(path)
    assert loaded.card == CARD
    assert not loaded.model.training
    assert_equal_states(
        loaded.model.state_dict(),
        {k: v.half().float() if v.is_floating_point() else v for k, v in model.state_dict().items()},
    )
    stored = load_file(path)
    assert stored["backbone.head.fc.weight"].dtype == torch.float16
    assert stored["transformer.localization.1.num_batches_tracked"].dtype == torch.int64


def test_weights_come_back_exactly_in_full_precision(tmp_path: Path, model: EmoNeXt) -> None:
    save_weights(model, CARD, tmp_path / "full.safetensors", half=False)
    assert_equal_states(load_model(tmp_path / "full.safetensors").state_dict(), model.state_dict())


def test_a_network_in_channels_last_order_is_stored_too(tmp_path: Path, model: EmoNeXt) -> None:
    expected = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    target = tmp_path / "last.safetensors"
    save_weights(model.to(memory_format=torch.channels_last), CARD, target, half=False)
    assert_equal_states(load_model(target).state_dict(), expected)


def test_the_sha256_beside_the_weights_is_that_of_the_file(path: Path) -> None:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert beside(path).read_text() == f"{digest}  small.safetensors\n"
    assert load_weights(path).sha256 == digest
    assert not list(path.parent.glob("*.partial"))


def test_a_failed_save_leaves_the_weights_that_were_there(
    path: Path, model: EmoNeXt, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_the_disk(state: object, target: Path, metadata: object) -> None:
        target.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    before = path.read_bytes()
    monkeypatch.setattr(checkpoint_module, "save_file", fill_the_disk)
    with pytest.raises(OSError, match="No space"):
        save_weights(model, CARD, path)
    assert path.read_bytes() == before


def test_the_card_is_read_without_the_network(path: Path) -> None:
    assert read_card(path) == CARD
    assert Card.from_json(CARD.to_json()) == CARD


def test_measured_figures_enter_the_card() -> None:
    card = replace(CARD, metrics={"val_accuracy": 0.5}, temperature=0.75)
    assert (card.metrics, card.temperature) == ({"val_accuracy": 0.5}, 0.75)
    assert replace(card, metrics=CARD.metrics, temperature=CARD.temperature) == CARD


# --- what is refused ------------------------------------------------------------------------------------


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.safetensors").touch()
    with pytest.raises(WeightsError, match=r"empty\.safetensors: not a whole safetensors"):
        load_weights(tmp_path / "empty.safetensors")


@pytest.mark.parametrize("name", ["nowhere.safetensors", "."])
def test_a_missing_file_lists_the_shipped_names(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_module, "SHIPPED", {"alpha": "00", "beta": "11"})
    with pytest.raises(WeightsError, match=r"no such weights.*alpha, beta"):
        load_weights(name)


def test_a_wrong_sha256_is_refused(path: Path) -> None:
    beside(path).write_text("0" * 64 + "  small.safetensors\n")
    with pytest.raises(WeightsError, match=r"small\.safetensors: its sha256 is .* not 000000000000"):
        load_weights(path)


def test_one_changed_byte_is_refused(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="damaged or changed"):
        load_weights(path)


def test_an_empty_sha256_file_is_refused(path: Path) -> None:
    beside(path).write_text("")
    with pytest.raises(WeightsError, match=r"small\.safetensors"):
        load_weights(path)


@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
def test_a_truncated_file_is_refused(unsigned: Path, share: float) -> None:
    content = unsigned.read_bytes()
    unsigned.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(WeightsError, match=r"small\.safetensors: not a whole safetensors"):
        load_weights(unsigned)


def test_a_text_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("These are not the weights.\n" * 10)
    with pytest.raises(WeightsError, match=r"notes\.txt: not a whole safetensors"):
        load_weights(tmp_path / "notes.txt")


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"format": "pt"},
        {METADATA_KEY: "not JSON"},
        {METADATA_KEY: "[]"},
        {METADATA_KEY: "{}"},
        {METADATA_KEY: json.dumps({**json.loads(CARD.to_json()), "mood": "good"})},
        {METADATA_KEY: json.dumps({**json.loads(CARD.to_json()), "preprocessing": {"size": 64}})},
    ],
)
def test_safetensors_without_a_card_are_refused(unsigned: Path, metadata: dict[str, str] | None) -> None:
    save_file(load_file(unsigned), unsigned, metadata)
    with pytest.raises(WeightsError, match=r"small\.safetensors: .*no model card"):
        load_weights(unsigned)


@pytest.mark.parametrize(
    "architecture",
    [
        Architecture((1, 1, 1, 1), (16, 16, 32, 64), 64),
        Architecture((1, 1, 2, 1), (16, 16, 32, 32), 64),
        Architecture((1, 1, 1, 1), (16, 16, 32, 32), 96),
        Architecture((1, 1, 1, 1), (16, 16, 32, 32), 8),
        Architecture((1, 1, 1), (16, 16, 32), 64),  # type: ignore[arg-type]
    ],
)
def test_a_card_of_another_architecture_is_refused(
    tmp_path: Path, model: EmoNeXt, architecture: Architecture
) -> None:
    save_weights(model, replace(CARD, architecture=architecture), tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=r"other\.safetensors"):
        load_weights(tmp_path / "other.safetensors")


@pytest.mark.parametrize("labels", [LABELS[:6], (*LABELS, "contempt"), (*LABELS[:6], "angry")])
def test_labels_other_than_ours_are_refused(tmp_path: Path, model: EmoNeXt, labels: tuple[str, ...]) -> None:
    save_weights(model, replace(CARD, labels=labels), tmp_path / "eight.safetensors")
    with pytest.raises(WeightsError, match=r"eight\.safetensors: its labels"):
        load_weights(tmp_path / "eight.safetensors")


@pytest.mark.parametrize("extra", [True, False])
def test_a_tensor_too_many_or_too_few_is_refused(unsigned: Path, extra: bool) -> None:
    state = load_file(unsigned)
    if extra:
        state["backbone.surplus"] = torch.zeros(1)
    else:
        del state["backbone.head.fc.bias"]
    save_file(state, unsigned, {METADATA_KEY: CARD.to_json()})
    with pytest.raises(WeightsError, match=r"small\.safetensors: not the tensors"):
        load_weights(unsigned)


@pytest.mark.parametrize("wrapping", ["zip", "plain"])
@pytest.mark.parametrize("reader", ["load", "convert"])
def test_code_in_a_pickle_is_never_run(tmp_path: Path, wrapping: str, reader: str) -> None:
    source, sign = tmp_path / "evil.pt", tmp_path / "ran"
    if wrapping == "zip":
        torch.save({"model": {"head.weight": Bomb(sign)}}, source)
    else:
        source.write_bytes(pickle.dumps({"model": Bomb(sign)}))

    with pytest.raises(WeightsError, match=r"evil\.pt"):
        load_weights(source) if reader == "load" else convert_published(source, tmp_path / "out.safetensors")
    assert not sign.exists()
    assert not (tmp_path / "out.safetensors").exists()


def test_the_bomb_of_the_test_above_would_go_off(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Bomb(tmp_path / "ran")))  # noqa: S301
    assert (tmp_path / "ran").exists()


# --- what is shipped ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_shipped_weights_are_whole_and_ours(name: str) -> None:
    loaded = load_weights(name)
    assert loaded.sha256 == SHIPPED[name] == hashlib.sha256(find_weights(name).read_bytes()).hexdigest()
    assert loaded.card.labels == LABELS
    assert loaded.card.architecture.image_size == loaded.card.preprocessing.size
    assert loaded.card.temperature > 0
    assert loaded.card.metrics


def test_shipped_weights_with_another_sha256_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_module, "FOLDER", path.parent)
    monkeypatch.setattr(checkpoint_module, "SHIPPED", {"small": "0" * 64})
    with pytest.raises(WeightsError, match=r"small\.safetensors: its sha256 is"):
        load_weights("small")


def test_shipped_weights_that_are_not_there_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_module, "FOLDER", tmp_path)
    monkeypatch.setattr(checkpoint_module, "SHIPPED", {"small": "0" * 64})
    with pytest.raises(WeightsError, match=r"small\.safetensors: No such file"):
        load_weights("small")


# --- helpers --------------------------------------------------------------------------------------------


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def beside(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def assert_equal_states(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert [key for key in found if not torch.equal(found[key], expected[key])] == []
