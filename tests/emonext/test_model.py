import functools
import math
from dataclasses import replace
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
from emonext.model import COVERED_WEIGHT, SampleAttention, SpatialTransformer, attention_loss, training_loss
from emonext.published import convert_published

SMALL = Architecture((1, 1, 1, 1), (16, 16, 32, 32), 64)
WITH_VOTES = replace(SMALL, votes=True)

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
    loss = training_loss(converted, x, one_hot(expected["labels"].tolist()))

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


@torch.inference_mode()
def test_the_spatial_transformer_keeps_its_coordinates_in_float32_under_bf16(model: EmoNeXt) -> None:
    x = torch.rand(2, 3, 64, 64)
    with torch.autocast("cpu", torch.bfloat16):
        found = model.transformer(x.bfloat16())
        assert model.backbone.stem[0](x).dtype == torch.bfloat16
    assert found.dtype == torch.float32
    assert torch.equal(found, model.transformer(x.bfloat16().float()))


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
        training_loss(model, x, one_hot([0, 1]))


@torch.inference_mode()
def test_the_logits_are_a_linear_map_of_the_features() -> None:
    model, x = make_model(WITH_VOTES), torch.rand(4, 3, 64, 64)
    features = model.features(x)
    assert features.shape == (4, 32)
    assert model.votes is not None
    close(model(x), np_linear(model.backbone.head.fc, features.numpy()), atol=1e-5)
    close(model.logits(features), model(x).numpy(), atol=1e-6)
    close(model.vote_logits(features), np_linear(model.votes, features.numpy()), atol=1e-5)
    assert (model.vote_logits(features) - model(x)).abs().max() > 0.1


@torch.inference_mode()
def test_without_a_head_for_votes_the_labels_logits_stand_for_them(model: EmoNeXt) -> None:
    features = model.features(torch.rand(3, 3, 64, 64))
    assert not [key for key in model.state_dict() if key.startswith("votes")]
    assert torch.equal(model.vote_logits(features), model.logits(features))


# --- what can be left out -------------------------------------------------------------------------------


@torch.inference_mode()
def test_without_both_parts_the_trunk_is_timms_convnext() -> None:
    model = make_model(replace(SMALL, spatial_transformer=False, squeeze_excitation=False))
    theirs = timm.models.ConvNeXt(depths=SMALL.depths, dims=SMALL.dims, num_classes=7).eval()
    theirs.load_state_dict(model.backbone.state_dict(), strict=True)
    x = torch.rand(3, 3, 64, 64)
    close(model(x), theirs(x).numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("part", "key"), [("spatial_transformer", "transformer."), ("squeeze_excitation", "downsample.2.")]
)
def test_a_part_left_out_has_no_tensors_and_the_rest_keeps_its_own(part: str, key: str) -> None:
    whole = EmoNeXt(SMALL).state_dict().keys()
    without = EmoNeXt(replace(SMALL, **{part: False})).state_dict().keys()
    assert {name for name in whole if key in name} == whole - without != set()
    assert without < whole


@torch.inference_mode()
def test_without_the_spatial_transformer_the_picture_is_not_warped() -> None:
    whole, without = make_model(), make_model(replace(SMALL, spatial_transformer=False))
    without.load_state_dict(whole.state_dict(), strict=False)
    x = torch.rand(2, 3, 64, 64)
    close(without.features(whole.transformer(x)), whole.features(x).numpy(), atol=1e-5)
    assert (without.features(x) - whole.features(x)).abs().max() > 1e-2


# --- the loss -------------------------------------------------------------------------------------------


@torch.inference_mode()
def test_the_training_loss_is_smoothed_cross_entropy_plus_attention(model: EmoNeXt) -> None:
    x, labels = torch.rand(5, 3, 64, 64), one_hot([0, 6, 3, 3, 1])
    wanted = np.full((5, 7), 0.2 / 7)
    wanted += 0.8 * labels.numpy()
    cross_entropy = -(wanted * log_softmax(model(x).numpy(), axis=1)).sum(axis=1).mean()
    attention = model.attention(model.features(x)).numpy()

    assert np.var(attention) > 1e-4
    close(training_loss(model, x, labels), cross_entropy + np.var(attention), atol=1e-5)


@pytest.mark.parametrize(("smoothing", "weight"), [(0.0, 1.0), (0.1, 0.0), (0.3, 2.5)])
@torch.inference_mode()
def test_the_smoothing_and_the_attentions_weight_are_those_asked_for(smoothing: float, weight: float) -> None:
    model = make_model(WITH_VOTES)
    x, labels, votes = torch.rand(5, 3, 64, 64), one_hot([0, 6, 3, 3, 1]), people(5)
    features = model.features(x)
    wanted = (1 - smoothing) * labels.numpy() + smoothing / 7
    expected = np_cross_entropy(model.logits(features), wanted)
    expected += np_cross_entropy(model.vote_logits(features), votes.numpy())  # of which none is smoothed
    expected += weight * np.var(model.attention(features).numpy())
    found = training_loss(model, x, labels, votes, label_smoothing=smoothing, attention_weight=weight)
    close(found, expected, atol=1e-5)


@torch.inference_mode()
def test_the_target_may_be_probabilities(model: EmoNeXt) -> None:
    x, shares = torch.rand(5, 3, 64, 64), people(5)
    expected = np_cross_entropy(model(x), shares.numpy())
    close(training_loss(model, x, shares, label_smoothing=0, attention_weight=0), expected, atol=1e-5)


@torch.inference_mode()
def test_a_face_without_a_label_does_not_count_in_the_labels_loss(model: EmoNeXt) -> None:
    x, labels = torch.rand(5, 3, 64, 64), one_hot([0, 6, 3, 3, 1])
    labels[[1, 4]] = 0
    known = [0, 2, 3]
    close(
        training_loss(model, x, labels, attention_weight=0),
        training_loss(model, x[known], labels[known], attention_weight=0).numpy(),
        atol=1e-5,
    )
    assert training_loss(model, x, torch.zeros(5, 7), attention_weight=0) == 0


@torch.inference_mode()
def test_the_head_for_covers_learns_how_far_a_face_is_hidden() -> None:
    model = make_model(replace(WITH_VOTES, covered=True))
    x, labels, hidden = torch.rand(3, 3, 64, 64), one_hot([0, 6, 3]), torch.tensor([0.0, 0.4, 1.0])
    logit = model.covered_logit(model.features(x)).numpy()
    expected = hidden.numpy() * np.logaddexp(0, -logit) + (1 - hidden.numpy()) * np.logaddexp(0, logit)
    gained = training_loss(model, x, labels, None, hidden) - training_loss(model, x, labels)
    close(gained, COVERED_WEIGHT * expected.mean(), atol=1e-5)


@torch.inference_mode()
def test_without_a_head_for_covers_no_face_is_hidden(model: EmoNeXt) -> None:
    x, labels = torch.rand(2, 3, 64, 64), one_hot([0, 1])
    assert model.covered_logit(model.features(x)).tolist() == [-math.inf] * 2
    assert training_loss(model, x, labels, None, torch.ones(2)) == training_loss(model, x, labels)


@torch.inference_mode()
def test_votes_without_a_head_of_their_own_teach_the_labels_head(model: EmoNeXt) -> None:
    x, labels, votes = torch.rand(5, 3, 64, 64), one_hot([0, 6, 3, 3, 1]), people(5)
    gained = training_loss(model, x, labels, votes) - training_loss(model, x, labels)
    close(gained, np_cross_entropy(model(x), votes.numpy()), atol=1e-5)


@torch.inference_mode()
def test_attention_without_weight_is_not_computed(model: EmoNeXt, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("attention was computed")

    monkeypatch.setattr(SampleAttention, "forward", refuse)
    x, labels = torch.rand(2, 3, 64, 64), one_hot([0, 1])
    assert training_loss(model, x, labels, attention_weight=0).isfinite()


def test_a_face_without_votes_teaches_the_head_for_votes_nothing() -> None:
    model, labels, votes = make_model(WITH_VOTES), one_hot([0, 1, 2, 3]), people(4)
    assert model.votes is not None
    votes[1:3] = 0
    one, other = torch.rand(2, 4, 3, 64, 64)
    other[[0, 3]] = one[[0, 3]]  # only the faces without votes differ
    taught = [vote_gradient(model, x, labels, votes) for x in (one, other)]
    assert taught[0].abs().max() > 1e-3
    close(taught[0], taught[1].numpy(), atol=1e-6)
    other[0] = torch.rand(3, 64, 64)
    assert (vote_gradient(model, other, labels, votes) - taught[0]).abs().max() > 1e-3


@torch.inference_mode()
def test_where_no_face_has_votes_the_loss_is_that_of_the_labels() -> None:
    model, x, labels = make_model(WITH_VOTES), torch.rand(4, 3, 64, 64), one_hot([0, 1, 2, 3])
    assert training_loss(model, x, labels, torch.zeros(4, 7)) == training_loss(model, x, labels)


@pytest.mark.parametrize(
    ("voted", "weight", "untaught"),
    [(True, 1, "attention.value"), (False, 1, "attention.value votes"), (True, 0, "attention")],
)
def test_the_loss_teaches_every_part_that_it_uses(voted: bool, weight: float, untaught: str) -> None:
    model = make_model(WITH_VOTES)
    x, labels, votes = torch.rand(4, 3, 64, 64), one_hot([0, 1, 2, 3]), people(4)
    training_loss(model, x, labels, votes if voted else None, attention_weight=weight).backward()
    found = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    names = dict(model.named_parameters())
    assert found == {name for name in names if name.startswith(tuple(untaught.split()))} != set()


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


def make_model(architecture: Architecture = SMALL) -> EmoNeXt:
    """A small network in eval mode whose parts all have a say: none is left at its near-zero start."""
    torch.manual_seed(0)
    model = EmoNeXt(architecture, layer_scale=1.0).eval()
    if architecture.spatial_transformer:
        nn.init.normal_(model.transformer.affine[2].weight, std=0.05)
    nn.init.normal_(model.backbone.head.fc.weight, std=0.2)
    for layer in (model.attention.query, model.attention.key):
        nn.init.normal_(layer.weight, std=0.5)
    return model


def one_hot(labels: list[int]) -> Tensor:
    """(n, 7) of n classes."""
    return torch.eye(7)[labels]


def people(n: int) -> Tensor:
    """(n, 7) shares of people's votes."""
    return torch.from_numpy(np.random.default_rng(1).dirichlet([0.5] * 7, n).astype(np.float32))


def vote_gradient(model: EmoNeXt, x: Tensor, labels: Tensor, votes: Tensor) -> Tensor:
    model.zero_grad()
    training_loss(model, x, labels, votes).backward()
    return model.votes.weight.grad.clone()


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


def np_cross_entropy(logits: Tensor, shares: NDArray[np.floating]) -> float:
    return float(-(shares * log_softmax(logits.numpy(), axis=1)).sum(axis=1).mean())


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
