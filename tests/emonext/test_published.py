import functools
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from states import assert_equal_states
from torch import Tensor

from emonext import LABELS, Architecture, Preprocessing, WeightsError, load_model, load_weights
from emonext.published import convert_published, published_architecture, remap_published


def test_nothing_is_remapped_to_nothing() -> None:
    assert remap_published({}) == {}


@pytest.mark.parametrize(
    ("published", "ours"),
    [
        ("fc_loc.2.bias", "transformer.affine.2.bias"),
        ("localization.1.running_var", "transformer.localization.1.running_var"),
        ("downsample_layers.0.1.weight", "backbone.stem.1.weight"),
        ("downsample_layers.3.1.bias", "backbone.stages.3.downsample.1.bias"),
        ("stages.2.26.gamma", "backbone.stages.2.blocks.26.gamma"),
        ("stages.2.10.dwconv.weight", "backbone.stages.2.blocks.10.conv_dw.weight"),
        ("stages.0.0.pwconv2.bias", "backbone.stages.0.blocks.0.mlp.fc2.bias"),
        ("norm.weight", "backbone.head.norm.weight"),
        ("head.bias", "backbone.head.fc.bias"),
        ("attention.query.weight", "attention.query.weight"),
    ],
)
def test_a_published_key_becomes_ours(published: str, ours: str) -> None:
    tensor = torch.arange(3.0)
    assert remap_published({published: tensor}) == {ours: tensor}


def test_a_published_excitation_becomes_a_1x1_convolution() -> None:
    remapped = remap_published({"downsample_layers.1.2.fc.2.weight": torch.ones(32, 2)})
    assert {k: v.shape for k, v in remapped.items()} == {
        "backbone.stages.1.downsample.2.fc2.weight": (32, 2, 1, 1)
    }


@pytest.mark.parametrize("key", ["", "stages.0.0.surprise", "xhead.weight", "head", "stages.0.0.gamma.x"])
def test_an_unknown_published_key_is_refused(key: str) -> None:
    with pytest.raises(WeightsError, match=re.escape(repr(key))):
        remap_published({key: torch.zeros(1)})


def test_published_logits_are_taken_for_alphabetical(tmp_path: Path, shared: Path) -> None:
    torch.save(published_state(shared), tmp_path / "old.pt")
    card = convert_published(tmp_path / "old.pt", tmp_path / "new.safetensors")
    assert card.labels == ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
    assert [card.labels[column] for column in card.columns] == list(LABELS)


def test_the_labels_of_a_published_checkpoint_can_be_told(tmp_path: Path, shared: Path) -> None:
    torch.save(published_state(shared), tmp_path / "old.pt")
    assert convert_published(tmp_path / "old.pt", tmp_path / "new.safetensors", LABELS).labels == LABELS
    with pytest.raises(WeightsError, match="its labels are happy, sad"):
        convert_published(tmp_path / "old.pt", tmp_path / "new.safetensors", ("happy", "sad"))


def test_the_architecture_is_read_off_the_published_tensors(shared: Path) -> None:
    assert published_architecture(published_state(shared)) == Architecture(
        (1, 1, 2, 1), (16, 32, 48, 64), 224
    )


def test_converted_weights_hold_the_published_tensors_and_preprocessing(shared: Path, tmp_path: Path) -> None:
    torch.save(published_state(shared), tmp_path / "authors.pt")
    card = convert_published(tmp_path / "authors.pt", tmp_path / "mine.safetensors")
    loaded = load_weights(tmp_path / "mine.safetensors")

    assert loaded.card == card
    assert (card.name, card.preprocessing) == ("mine", Preprocessing(size=224, resize=236))
    assert_equal_states(loaded.model.state_dict(), remap_published(published_state(shared)))


def test_a_checkpoint_of_several_gpus_is_converted(shared: Path, tmp_path: Path) -> None:
    state = published_state(shared)
    torch.save({"model": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "gpus.pt")
    convert_published(tmp_path / "gpus.pt", tmp_path / "ours.safetensors")
    assert_equal_states(load_model(tmp_path / "ours.safetensors").state_dict(), remap_published(state))


def test_the_average_is_taken_from_a_checkpoint_as_the_authors_trainer_writes_it(
    shared: Path, tmp_path: Path
) -> None:
    """Their ``ema`` is the state of ema_pytorch's EMA, which holds both networks and two counters."""
    state = published_state(shared)
    online = {key: torch.zeros_like(tensor) for key, tensor in state.items()}
    average = {
        "initted": torch.tensor([True]),
        "step": torch.tensor([4000]),
        **{f"online_model.{key}": tensor for key, tensor in online.items()},
        **{f"ema_model.{key}": tensor for key, tensor in state.items()},
    }
    others = {
        "opt": {"state": {}, "param_groups": []},
        "scaler": {},
        "scheduler": {"step": 1},
        "best_acc": 71.5,
    }
    torch.save({"model": online, "ema": average, **others}, tmp_path / "trainer.pt")

    convert_published(tmp_path / "trainer.pt", tmp_path / "ours.safetensors")
    assert_equal_states(load_model(tmp_path / "ours.safetensors").state_dict(), remap_published(state))


@pytest.mark.parametrize(
    "key", ["head.weight", "stages.2.1.norm.bias", "stages.0.0.gamma", "fc_loc.0.weight"]
)
def test_a_checkpoint_with_a_missing_tensor_is_refused(shared: Path, tmp_path: Path, key: str) -> None:
    state = published_state(shared)
    del state[key]
    torch.save(state, tmp_path / "holes.pt")
    with pytest.raises(WeightsError, match=r"holes\.pt"):
        convert_published(tmp_path / "holes.pt", tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_a_checkpoint_with_an_unknown_tensor_is_refused(shared: Path, tmp_path: Path) -> None:
    torch.save({**published_state(shared), "surplus.weight": torch.zeros(1)}, tmp_path / "more.pt")
    with pytest.raises(WeightsError, match=r"more\.pt.*surplus|surplus.*more\.pt"):
        convert_published(tmp_path / "more.pt", tmp_path / "out.safetensors")


@pytest.mark.parametrize(
    "content", [{}, [], {"epoch": 3}, {"head.weight": torch.zeros(7, 64)}, {0: torch.zeros(1)}]
)
def test_what_is_not_a_state_dict_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "thing.pt")
    with pytest.raises(WeightsError, match=r"thing\.pt"):
        convert_published(tmp_path / "thing.pt", tmp_path / "out.safetensors")


@pytest.mark.parametrize("content", [b"", b"hello world\n", b"\x80\x02.", b"PK\x03\x04" + bytes(99)])
def test_what_is_not_a_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "notes.pt").write_bytes(content)
    with pytest.raises(WeightsError, match=r"notes\.pt"):
        convert_published(tmp_path / "notes.pt", tmp_path / "out.safetensors")


def test_a_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"nowhere\.pt: not found"):
        convert_published(tmp_path / "nowhere.pt", tmp_path / "out.safetensors")


# --- helpers ------------------------------------------------------------------------------------------


@functools.cache
def _published_arrays(shared: Path) -> dict[str, Tensor]:
    with np.load(shared / "fixtures" / "emonext_reference_mini.npz") as file:
        names = [name for name in file.files if name.startswith("state/")]
        return {name.removeprefix("state/"): torch.from_numpy(file[name]) for name in names}


def published_state(shared: Path) -> dict[str, Tensor]:
    """The tensors of the authors' mini network, by their names."""
    return dict(_published_arrays(shared))
