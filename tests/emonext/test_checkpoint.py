import hashlib
import json
import math
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_networks import CARD, SMALL, beside
from states import assert_equal_states
from traps import Trap

from emonext import LABELS, Architecture, Card, EmoNeXt, WeightsError, load_model, load_weights, weight_files
from emonext import checkpoint as checkpoint_module
from emonext.checkpoint import METADATA_KEY, read_card, save_weights
from emonext.published import convert_published

OLD_CARD = (
    '{"architecture": {"depths": [2, 2, 6, 2], "dims": [40, 80, 160, 320], "image_size": 80}, '
    '"data": "FER2013, training split without the pictures that have a twin in another split", '
    '"labels": ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"], '
    '"licence": "research use only, as FER2013, which they were trained on", '
    '"metrics": {"val_accuracy": 0.6511563109501254, "val_macro_f1": 0.6065589849367774}, "name": "atto", '
    '"preprocessing": {"crop_px": 48, "face_scale": 1.08, "face_shift": [0.0, -0.01], "mean": 0.508, '
    '"resize": 80, "size": 80, "std": 0.255}, "recipe": "from scratch, 28 epochs; size=atto", '
    '"temperature": 0.8197846634210888}'
)
"""As the program wrote it before there was a head for votes."""


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


def test_a_card_from_before_the_head_for_votes_is_read() -> None:
    card = Card.from_json(OLD_CARD)
    assert card.architecture == Architecture((2, 2, 6, 2), (40, 80, 160, 320), 80)
    assert not card.architecture.votes
    assert card.architecture.spatial_transformer
    assert card.architecture.squeeze_excitation
    assert (card.temperature, card.votes_temperature) == (0.8197846634210888, 1.0)
    assert card.preprocessing.face_shift == (0.0, -0.01)
    assert Card.from_json(card.to_json()) == card


def test_a_file_from_before_the_head_for_votes_is_loaded(tmp_path: Path) -> None:
    torch.manual_seed(0)
    state = EmoNeXt(Architecture((2, 2, 6, 2), (40, 80, 160, 320), 80)).state_dict()
    save_file(state, tmp_path / "old.safetensors", {METADATA_KEY: OLD_CARD})
    assert_equal_states(load_model(tmp_path / "old.safetensors").state_dict(), state)


@pytest.mark.parametrize(
    "change", [{"votes": True}, {"spatial_transformer": False}, {"squeeze_excitation": False}]
)
def test_every_kind_of_network_comes_back_with_its_card(tmp_path: Path, change: dict[str, bool]) -> None:
    torch.manual_seed(0)
    model, card = EmoNeXt(shape := replace(SMALL, **change)), replace(CARD, architecture=shape)
    save_weights(model, replace(card, votes_temperature=0.75), tmp_path / "kind.safetensors", half=False)
    loaded = load_weights(tmp_path / "kind.safetensors")
    assert (loaded.card.architecture, loaded.card.votes_temperature) == (shape, 0.75)
    assert_equal_states(loaded.model.state_dict(), model.state_dict())


@pytest.mark.parametrize(
    ("labels", "columns"),
    [
        (LABELS, [0, 1, 2, 3, 4, 5, 6]),
        (("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry"), [6, 5, 4, 1, 2, 3, 0]),
    ],
)
def test_the_columns_say_where_each_label_stands(labels: tuple[str, ...], columns: list[int]) -> None:
    assert replace(CARD, labels=labels).columns == columns


# --- what is refused ------------------------------------------------------------------------------------


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.safetensors").touch()
    with pytest.raises(WeightsError, match=r"empty\.safetensors: not a whole safetensors"):
        load_weights(tmp_path / "empty.safetensors")


@pytest.mark.parametrize("name", ["nowhere.safetensors", "."])
def test_a_missing_file_lists_the_shipped_names(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight_files, "SHIPPED", {"alpha": "00", "beta": "11"})
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
        *(
            {METADATA_KEY: json.dumps({**json.loads(CARD.to_json()), name: value})}
            for name in ("temperature", "votes_temperature")
            for value in (0, -1.5, math.nan, math.inf, "1", None)
        ),
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
        replace(SMALL, votes=True),
        replace(SMALL, spatial_transformer=False),
        replace(SMALL, squeeze_excitation=False),
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
    with pytest.raises(WeightsError, match=r"small\.safetensors: its tensors do not match"):
        load_weights(unsigned)


@pytest.mark.parametrize("wrapping", ["zip", "plain"])
@pytest.mark.parametrize("reader", ["load", "convert"])
def test_code_in_a_pickle_is_never_run(tmp_path: Path, wrapping: str, reader: str) -> None:
    source, sign = tmp_path / "evil.pt", tmp_path / "ran"
    if wrapping == "zip":
        torch.save({"model": {"head.weight": Trap(sign)}}, source)
    else:
        source.write_bytes(pickle.dumps({"model": Trap(sign)}))

    with pytest.raises(WeightsError, match=r"evil\.pt"):
        load_weights(source) if reader == "load" else convert_published(source, tmp_path / "out.safetensors")
    assert not sign.exists()
    assert not (tmp_path / "out.safetensors").exists()


def test_the_bomb_of_the_test_above_would_go_off(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Trap(tmp_path / "ran")))  # noqa: S301
    assert (tmp_path / "ran").exists()
