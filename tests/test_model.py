import functools
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from numpy.typing import NDArray
from scipy.special import expit, log_softmax, softmax
from timm.layers.squeeze_excite import SEModule
from torch import Tensor, nn

from emonext import ARCHITECTURES, LABELS, Architecture, EmoNeXt, load_model
from emonext.model import SampleAttention, SpatialTransformer, attention_loss, training_loss
from emonext.published import convert_published

SMALL = Architecture((1, 1, 1, 1), (16, 16, 32, 32), 64)

# Table 1 of the paper (ConvNeXt's sizes), and timm's ConvNeXts below them.
PAPER = {
    "tiny": ((3, 3, 9, 3), (96, 192, 384, 768)),
    "small": ((3, 3, 27, 3), (96, 192, 384, 768)),
    "base": ((3, 3, 27, 3), (128, 256, 512, 1024)),
    "large": ((3, 3, 27, 3), (192, 384, 768, 1536)),
    "xlarge": ((3, 3, 27, 3), (256, 512, 1024, 2048)),
}
TIMM = {
    "atto": ((2, 2, 6, 2), (40, 80, 160, 320)),
    "femto": ((2, 2, 6, 2), (48, 96, 192, 384)),
    "pico": ((2, 2, 6, 2), (64, 128, 256, 512)),
    "nano": ((2, 2, 8, 2), (80, 160, 320, 640)),
}


@pytest.fixture
def model() -> EmoNeXt:
    return make_model()


# --- the authors' network -------------------------------------------------------------------------------


@pytest.fixture(params=["bare", "model", "ema"])
def converted(request: pytest.FixtureRequest, shared: Path, tmp_path: Path) -> EmoNeXt:
    """The authors' mini network after its way through a checkpoint, its conversion and our loader."""
    state = reference_state(reference(shared))
    wrong = {key: torch.zeros_like(tensor) for key, tensor in state.items()}
    layouts = {"bare": state, "model": {"model": state}, "ema": {"model": wrong, "ema": state}}
    torch.save(layouts[request.param], tmp_path / "authors.pt")
    convert_published(tmp_path / "authors.pt", tmp_path / "ours.safetensors")
    return load_model(tmp_path / "ours.safetensors")


@torch.inference_mode()
def test_a_converted_network_agrees_with_the_authors_code(shared: Path, converted: EmoNeXt) -> None:
    expected = reference(shared)
    x = reference_input(expected)
    features = converted.features(x)
    loss = training_loss(converted, x, torch.from_numpy(expected["labels"]))

    assert converted.architecture == Architecture(
        tuple(expected["depths"].tolist()), tuple(expected["dims"].tolist()), 224
    )
    close(converted.transformer(x).mean(dim=(1, 2, 3)), expected["warped_mean"])
    close(features, expected["features"])
    close(converted(x), expected["logits"])
    close(attention_loss(converted.attention(features)), expected["attention_loss"], atol=1e-6)
    close(loss, expected["loss"])


# --- the parts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [False, True])
def test_the_spatial_transformer_starts_as_the_identity(training: bool) -> None:
    x = torch.rand(3, 3, 64, 64)
    close(SpatialTransformer(64).train(training)(x), x.numpy(), atol=1e-5)


def test_the_spatial_transformer_moves_the_picture_as_its_map_says() -> None:
    transformer = SpatialTransformer(64).eval()
    with torch.no_grad():
        transformer.affine[2].bias.copy_(torch.tensor([-1.0, 0, 0, 0, 1, 0]))
    x = torch.rand(2, 3, 64, 64)
    close(transformer(x), x.flip(-1).numpy(), atol=1e-5)


@torch.inference_mode()
def test_attention_is_the_softmax_of_the_scaled_products() -> None:
    torch.manual_seed(0)
    attention, x = SampleAttention(16), torch.randn(5, 16)
    q, k = (np_linear(layer, np_layer_norm(x.numpy())) for layer in (attention.query, attention.key))
    found = attention(x)
    close(found, softmax(q @ k.T / 16**0.25, axis=1), atol=1e-6)
    close(found.sum(dim=1), np.ones(5), atol=1e-6)


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ([[0.5, 0.5], [0.5, 0.5]], 0.0),
        ([[1.0, 0.0], [0.0, 1.0]], 0.25),
        ([[0.9, 0.1], [0.2, 0.8]], (0.16 + 0.16 + 0.09 + 0.09) / 4),
    ],
)
def test_attention_loss_is_the_mean_squared_deviation(matrix: list[list[float]], expected: float) -> None:
    assert attention_loss(torch.tensor(matrix)).item() == pytest.approx(expected, abs=1e-7)


def test_squeeze_and_excitation_follows_each_of_the_three_downsampling_convolutions(model: EmoNeXt) -> None:
    for stage, dim in zip(model.backbone.stages[1:], SMALL.dims[1:], strict=True):
        conv, excitation = stage.downsample[1:]
        assert isinstance(conv, nn.Conv2d)
        assert conv.stride == (2, 2)
        assert isinstance(excitation, SEModule)
        assert excitation.fc1.weight.shape == (dim // 16, dim, 1, 1)
        assert excitation.fc1.bias is None
        assert excitation.fc2.bias is None
    assert sum(isinstance(module, SEModule) for module in model.modules()) == 3


@torch.inference_mode()
def test_squeeze_and_excitation_weighs_channels_by_their_mean(model: EmoNeXt) -> None:
    excitation, x = model.backbone.stages[2].downsample[2], torch.randn(2, 32, 4, 4)
    down, up = (layer.weight.flatten(1).numpy() for layer in (excitation.fc1, excitation.fc2))
    weight = expit(np.maximum(x.mean(dim=(2, 3)).numpy() @ down.T, 0) @ up.T)
    close(excitation(x), x.numpy() * weight[:, :, None, None], atol=1e-6)


# --- the whole ------------------------------------------------------------------------------------------


@torch.inference_mode()
def test_a_face_gets_the_same_logits_whatever_else_is_in_the_batch(model: EmoNeXt) -> None:
    x = torch.rand(6, 3, 64, 64)
    together = model(x)
    assert together.shape == (6, 7)
    assert together.std(dim=0).max() > 1e-2  # the faces differ, or this test says nothing
    close(torch.cat([model(face[None]) for face in x]), together.numpy(), atol=1e-5)
    close(model(x.flip(0)).flip(0), together.numpy(), atol=1e-5)


@torch.inference_mode()
def test_inference_computes_no_attention(model: EmoNeXt, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("attention was computed")

    monkeypatch.setattr(SampleAttention, "forward", refuse)
    x = torch.rand(2, 3, 64, 64)
    assert model(x).shape == (2, 7)
    with pytest.raises(AssertionError, match="attention was computed"):
        training_loss(model, x, torch.tensor([0, 1]))


@torch.inference_mode()
def test_the_training_loss_is_smoothed_cross_entropy_plus_attention(model: EmoNeXt) -> None:
    x, labels = torch.rand(5, 3, 64, 64), torch.tensor([0, 6, 3, 3, 1])
    wanted = np.full((5, 7), 0.2 / 7)
    wanted[np.arange(5), labels] += 0.8
    cross_entropy = -(wanted * log_softmax(model(x).numpy(), axis=1)).sum(axis=1).mean()
    attention = model.attention(model.features(x)).numpy()

    assert np.var(attention) > 1e-4
    close(training_loss(model, x, labels), cross_entropy + np.var(attention), atol=1e-5)


def test_the_loss_teaches_every_part_but_the_unused_value_map(model: EmoNeXt) -> None:
    training_loss(model, torch.rand(4, 3, 64, 64), torch.tensor([0, 1, 2, 3])).backward()
    untaught = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert untaught == {"attention.value.weight", "attention.value.bias"}


# --- the sizes ------------------------------------------------------------------------------------------


def test_the_architectures_are_the_papers_five_and_four_smaller() -> None:
    assert {name: (a.depths, a.dims) for name, a in ARCHITECTURES.items()} == PAPER | TIMM
    assert {ARCHITECTURES[name].image_size for name in PAPER} == {224}


@pytest.mark.parametrize("name", [*PAPER, *TIMM])
def test_an_architecture_builds_with_the_parameters_of_timms_convnext(name: str) -> None:
    with torch.device("meta"):
        ours = EmoNeXt(ARCHITECTURES[name])
        theirs = timm.create_model(f"convnext_{name}", num_classes=7)
    depths, dims = (PAPER | TIMM)[name]
    excitation = sum(2 * dim * (dim // 16) for dim in dims[1:])

    assert tuple(len(stage.blocks) for stage in ours.backbone.stages) == depths
    assert tuple(stage.blocks[0].conv_dw.in_channels for stage in ours.backbone.stages) == dims
    assert ours.backbone.head.fc.out_features == len(LABELS)
    assert count(ours.backbone) - excitation == count(theirs)


@pytest.mark.parametrize("image_size", [32, 48, 64, 80, 96, 112])
@torch.inference_mode()
def test_the_spatial_transformer_fits_every_input_size(image_size: int) -> None:
    assert SpatialTransformer(image_size)(torch.rand(2, 3, image_size, image_size)).shape[-1] == image_size


# --- helpers --------------------------------------------------------------------------------------------


def make_model() -> EmoNeXt:
    """A small network in eval mode whose parts all have a say: none is left at its near-zero start."""
    torch.manual_seed(0)
    model = EmoNeXt(SMALL, layer_scale=1.0).eval()
    nn.init.normal_(model.transformer.affine[2].weight, std=0.05)
    nn.init.normal_(model.backbone.head.fc.weight, std=0.2)
    for layer in (model.attention.query, model.attention.key):
        nn.init.normal_(layer.weight, std=0.5)
    return model


@functools.cache
def reference(shared: Path) -> dict[str, NDArray[np.generic]]:
    """What the authors' code computed on four pictures, and the network it did so with."""
    with np.load(shared / "fixtures" / "emonext_reference_mini.npz") as file:
        return dict(file)


def reference_state(arrays: dict[str, NDArray[np.generic]]) -> dict[str, Tensor]:
    return {
        key.removeprefix("state/"): torch.from_numpy(array)
        for key, array in arrays.items()
        if key.startswith("state/")
    }


def reference_input(arrays: dict[str, NDArray[np.generic]]) -> Tensor:
    """(4, 3, 224, 224) float32 in 0…1, three equal channels."""
    return torch.from_numpy(arrays["input_gray_uint8"]).float().div(255)[:, None].expand(-1, 3, -1, -1)


def close(found: Tensor, expected: object, atol: float = 1e-4) -> None:
    np.testing.assert_allclose(found.detach().numpy(), np.asarray(expected), rtol=0, atol=atol)


def np_layer_norm(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)


def np_linear(layer: nn.Linear, x: NDArray[np.float32]) -> NDArray[np.float32]:
    return x @ layer.weight.numpy().T + layer.bias.numpy()


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
