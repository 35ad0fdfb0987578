from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.models import convnext
from timm.models.convnext import ConvNeXt
from torch import Tensor, nn
from traps import Trap

from emonext import ARCHITECTURES, Architecture, Card, EmoNeXt, Preprocessing, WeightsError
from emonext.checkpoint import import_weights, save_weights
from emonext.training.starting import start_from

SMALL = Architecture((1, 1, 2, 1), (16, 16, 32, 32), 64)
Network = TypeVar("Network", bound=nn.Module)

AFFINE = "transformer.affine.0.weight"
HEAD = "backbone.head.fc.weight"


@pytest.fixture(autouse=True)
def _no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test of these fetches anything, or finds what someone imported."""
    monkeypatch.setattr(timm, "create_model", None)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))


def test_from_none_nothing_is_changed() -> None:
    model, before = fresh(), state_of(fresh())
    start_from(model, "none")
    assert differing(model, before) == set()


# --- a file ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["weights", "half", "bare", "checkpoint"])
@pytest.mark.parametrize("votes", [False, True])
def test_weights_of_the_same_network_are_taken_whole(tmp_path: Path, form: str, votes: bool) -> None:
    shape = replace(SMALL, votes=votes)
    source, model = taught(shape), fresh(shape)
    start_from(model, str(saved(source, tmp_path, form)))
    expected = state_of(source)
    if form == "half":
        expected = {k: v.half().float() if v.is_floating_point() else v for k, v in expected.items()}
    assert differing(model, expected) == set()


def test_weights_are_found_by_their_name(tmp_path: Path) -> None:
    source, model = taught(SMALL), fresh()
    import_weights(saved(source, tmp_path, "weights"), "ours")
    start_from(model, "ours")
    assert differing(model, state_of(source)) == set()


def test_a_head_for_votes_that_the_weights_lack_stays_fresh(tmp_path: Path) -> None:
    source, model = taught(SMALL), fresh(replace(SMALL, votes=True))
    before = state_of(model)
    start_from(model, str(saved(source, tmp_path)))
    assert differing(model, state_of(source)) == {"votes.weight", "votes.bias"}
    assert not differing(model, before) & {"votes.weight", "votes.bias"}


@pytest.mark.parametrize("part", ["votes", "spatial_transformer", "squeeze_excitation"])
def test_a_part_that_only_the_weights_have_is_left_out(tmp_path: Path, part: str) -> None:
    whole = replace(SMALL, votes=True)
    source, model = taught(whole), fresh(replace(whole, **{part: False}))
    start_from(model, str(saved(source, tmp_path)))
    left = {key: tensor for key, tensor in state_of(source).items() if key in model.state_dict()}
    assert differing(model, left) == set()


@pytest.mark.parametrize("part", ["spatial_transformer", "squeeze_excitation"])
def test_a_part_that_the_weights_lack_stays_fresh(tmp_path: Path, part: str) -> None:
    source, model = taught(replace(SMALL, **{part: False})), fresh()
    before = state_of(model)
    start_from(model, str(saved(source, tmp_path)))
    own = before.keys() - state_of(source).keys()
    assert own
    assert differing(model, before | state_of(source)) == set()


def test_a_network_that_starts_from_weights_answers_as_they_do(tmp_path: Path) -> None:
    source, model, x = taught(SMALL), fresh(), torch.rand(3, 3, 64, 64)
    before = logits(model, x)
    start_from(model, str(saved(source, tmp_path)))
    assert torch.equal(logits(model, x), logits(source, x))
    assert not torch.allclose(logits(model, x), before, atol=1e-2)


# --- ImageNet -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("conv_mlp", [False, True])
@torch.inference_mode()
def test_the_trunk_computes_what_timms_does(tmp_path: Path, conv_mlp: bool) -> None:
    theirs = trunk(conv_mlp=conv_mlp)
    assert theirs.state_dict()["stages.0.blocks.0.mlp.fc1.weight"].ndim == (4 if conv_mlp else 2)
    torch.save(theirs.state_dict(), tmp_path / "convnext.pt")
    model, x = fresh(replace(SMALL, squeeze_excitation=False)), torch.rand(3, 3, 64, 64)
    start_from(model, str(tmp_path / "convnext.pt"))
    expected = theirs.forward_head(theirs.forward_features(x), pre_logits=True)
    np.testing.assert_allclose(model.eval().features(x), expected, atol=1e-4)
    assert expected.std(dim=0).max() > 0.01


@pytest.mark.parametrize("classes", [7, 1000])
def test_after_a_trunk_what_is_ours_stays_fresh(tmp_path: Path, classes: int) -> None:
    torch.save(trunk(classes=classes).state_dict(), tmp_path / "convnext.pt")
    model = fresh(replace(SMALL, votes=True))
    before = state_of(model)
    start_from(model, str(tmp_path / "convnext.pt"))
    kept = {key for key in before if not key.startswith("backbone")}
    kept |= {key for key in before if "downsample.2" in key or "head.fc" in key}
    # every tensor of theirs is noise, so that all that took its value differs from before
    assert differing(model, before) == before.keys() - kept


def test_imagenet_is_timms_network_of_the_same_widths(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def create(name: str, *, pretrained: bool) -> ConvNeXt:
        asked.append((name, pretrained))
        return theirs

    atto = replace(ARCHITECTURES["atto"], image_size=32)
    theirs = noisy(ConvNeXt(depths=atto.depths, dims=atto.dims, num_classes=1000, conv_mlp=True))
    monkeypatch.setattr(timm, "create_model", create)
    model = EmoNeXt(atto)
    start_from(model, "imagenet")
    assert asked == [("convnext_atto.d2_in1k", True)]
    assert torch.equal(model.backbone.stem[0].weight, theirs.stem[0].weight)
    fc1 = "stages.3.blocks.1.mlp.fc1.weight"
    assert torch.equal(model.backbone.get_parameter(fc1), theirs.get_parameter(fc1).flatten(1))


@pytest.mark.parametrize("size", sorted(ARCHITECTURES))
def test_every_size_has_a_pretrained_trunk_that_fits(size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = []

    def create(name: str, *, pretrained: bool) -> nn.Module:
        names.append(name)
        return timm.models.create_model(name, pretrained=False)

    monkeypatch.setattr(timm, "create_model", create)
    monkeypatch.setattr(convnext, "trunc_normal_", lambda *args, **options: None)  # slow, and of no use here
    with torch.device("meta"):
        start_from(EmoNeXt(ARCHITECTURES[size]), "imagenet")
    assert timm.is_model_pretrained(names[0])
    if size in ("tiny", "small", "base", "large", "xlarge"):  # the paper starts from ImageNet-22k
        assert names == [f"convnext_{size}.fb_in22k"]


@pytest.mark.parametrize("error", [OSError("no route\nto host"), RuntimeError("unknown"), ValueError()])
def test_imagenet_without_a_network_is_one_line(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(timm, "create_model", fail)
    model = EmoNeXt(ARCHITECTURES["atto"])
    with pytest.raises(
        WeightsError, match=r"^`init` imagenet: convnext_atto\.d2_in1k .* give its file, or none\.$"
    ):
        start_from(model, "imagenet")


def test_imagenet_for_a_network_that_timm_has_not_is_refused() -> None:
    with pytest.raises(WeightsError, match="`init` imagenet: no ImageNet weights for this architecture"):
        start_from(fresh(), "imagenet")


# --- another input size ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "after"), [(96, 64), (64, 96), (64, 112)])
def test_a_spatial_transformer_of_another_size_is_scaled_as_pillow_does(
    tmp_path: Path, before: int, after: int
) -> None:
    source, model = taught(replace(SMALL, image_size=before)), fresh(replace(SMALL, image_size=after))
    start_from(model, str(saved(source, tmp_path)))
    side, target = (((size - 6) // 2 - 4) // 2 for size in (before, after))
    maps = state_of(source)[AFFINE].view(32, 10, side, side).numpy()
    found = state_of(model)[AFFINE].view(32, 10, target, target)
    scale = (side / target) ** 2
    for row, column in ((0, 0), (0, 9), (31, 4)):
        scaled = Image.fromarray(maps[row, column]).resize((target, target), Image.Resampling.BILINEAR)
        np.testing.assert_allclose(found[row, column], np.asarray(scaled) * scale, atol=1e-5)
    assert differing(model, state_of(source)) == {AFFINE}


@pytest.mark.parametrize(("before", "after"), [(96, 64), (64, 96)])
def test_the_sum_over_the_map_is_kept(tmp_path: Path, before: int, after: int) -> None:
    """An even map gives the same warp at any size."""
    source, model = taught(replace(SMALL, image_size=before)), fresh(replace(SMALL, image_size=after))
    weight = source.transformer.get_parameter("affine.0.weight").detach()
    channels = torch.randn(32, 10)
    weight.copy_(channels.repeat_interleave(weight.shape[1] // 10, dim=1))
    start_from(model, str(saved(source, tmp_path)))
    sums = [state_of(one)[AFFINE].view(32, 10, -1).sum(dim=2) for one in (source, model)]
    np.testing.assert_allclose(sums[1], sums[0], rtol=1e-4, atol=1e-3)


def test_a_network_that_starts_from_another_size_warps_alike(tmp_path: Path) -> None:
    source, model = taught(replace(SMALL, image_size=112)), fresh(replace(SMALL, image_size=96))
    start_from(model, str(saved(source, tmp_path)))
    assert model.architecture.image_size == 96
    assert model.eval()(torch.rand(2, 3, 96, 96)).isfinite().all()


# --- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        replace(SMALL, dims=(16, 16, 32, 64)),
        replace(SMALL, depths=(1, 1, 1, 1)),
        replace(SMALL, depths=(1, 1, 3, 1)),
        replace(SMALL, depths=(1, 2, 2, 1)),
    ],
)
@pytest.mark.parametrize("of_timm", [False, True])
def test_weights_of_other_widths_or_depths_are_refused(
    tmp_path: Path, other: Architecture, of_timm: bool
) -> None:
    path = tmp_path / "other.pt"
    torch.save((trunk(other) if of_timm else taught(other)).state_dict(), path)
    model = fresh()
    before = state_of(model)
    told = rf"`init` {path}: of another architecture \(.* does not fit\); give its `size`"
    with pytest.raises(WeightsError, match=told):
        start_from(model, str(path))
    assert differing(model, before) == set()


def test_weights_of_nothing_known_are_refused(tmp_path: Path) -> None:
    for state in ({}, {"layer1.0.weight": torch.zeros(3)}):
        torch.save(state, tmp_path / "resnet.pt")
        with pytest.raises(WeightsError, match="of another architecture"):
            start_from(fresh(), str(tmp_path / "resnet.pt"))


@pytest.mark.parametrize("content", [[], 3, {"epoch": 3}, {"model": 3}, {"model": {"epoch": 3}}, {3: 4}])
def test_a_file_of_other_things_than_tensors_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match=r"other\.pt"):
        start_from(fresh(), str(tmp_path / "other.pt"))


@pytest.mark.parametrize("name", ["empty.pt", "empty.safetensors", "notes.txt"])
def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("" if "empty" in name else "These are not the weights.\n")
    with pytest.raises(WeightsError, match=name.replace(".", r"\.")):
        start_from(fresh(), str(tmp_path / name))


def test_weights_that_are_not_there_are_refused() -> None:
    with pytest.raises(WeightsError, match="nowhere: no such weights"):
        start_from(fresh(), "nowhere")


def test_weights_that_were_changed_are_refused(tmp_path: Path) -> None:
    path = saved(taught(SMALL), tmp_path)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(WeightsError, match="damaged or changed"):
        start_from(fresh(), str(path))


def test_code_in_a_file_is_never_run(tmp_path: Path) -> None:
    torch.save({"stem.0.weight": Trap(tmp_path / "ran")}, tmp_path / "evil.pt")
    with pytest.raises(WeightsError, match=r"evil\.pt: not a checkpoint that can be read without"):
        start_from(fresh(), str(tmp_path / "evil.pt"))
    assert not (tmp_path / "ran").exists()


# --- helpers --------------------------------------------------------------------------------------------


def fresh(architecture: Architecture = SMALL) -> EmoNeXt:
    torch.manual_seed(1)
    return EmoNeXt(architecture)


def taught(architecture: Architecture) -> EmoNeXt:
    """A network no tensor of which has a fresh one's values."""
    return noisy(EmoNeXt(architecture))


def trunk(architecture: Architecture = SMALL, *, classes: int = 1000, conv_mlp: bool = False) -> ConvNeXt:
    """timm's ConvNeXt of the same widths."""
    shape = {"depths": architecture.depths, "dims": architecture.dims}
    return noisy(ConvNeXt(**shape, num_classes=classes, conv_mlp=conv_mlp))


def noisy(network: Network) -> Network:
    torch.manual_seed(2)
    for key, tensor in network.state_dict().items():
        noise = torch.randn(tensor.shape) * 0.3
        tensor.copy_(noise.abs() + 0.01 if "running_var" in key else noise)
    return network.eval()


def saved(model: EmoNeXt, folder: Path, form: str = "weights") -> Path:
    if form in ("weights", "half"):
        side = model.architecture.image_size
        card = Card("source", model.architecture, Preprocessing(side, side))
        save_weights(model, card, folder / "source.safetensors", half=form == "half")
        return folder / "source.safetensors"
    state = model.state_dict()
    torch.save({"model": state, "log": []} if form == "checkpoint" else state, folder / "source.pt")
    return folder / "source.pt"


def state_of(model: nn.Module) -> dict[str, Tensor]:
    return {key: tensor.clone() for key, tensor in model.state_dict().items()}


def differing(model: EmoNeXt, state: dict[str, Tensor]) -> set[str]:
    """Names of the model's tensors that are not, in every bit, the state's."""
    return {
        key
        for key, tensor in model.state_dict().items()
        if key not in state or not torch.equal(tensor, state[key])
    }


@torch.inference_mode()
def logits(model: EmoNeXt, x: Tensor) -> Tensor:
    return model.eval()(x)


def test_a_narrower_network_is_widened_and_computes_nearly_the_same(tmp_path: Path) -> None:
    source = taught(SMALL)
    model = fresh(replace(SMALL, dims=(20, 24, 40, 44)))
    copied = start_from(model, str(saved(source, tmp_path, "weights")))
    assert copied == set(model.state_dict())
    pictures = torch.randn(32, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        before, after = (network.eval()(pictures).flatten().numpy() for network in (source, model))
    assert np.corrcoef(before, after)[0, 1] > 0.9
    halves = model.state_dict()["backbone.stages.3.blocks.0.mlp.fc1.weight"]
    assert len(halves.unique(dim=0)) == len(halves), "copies differ a little, so that they can learn apart"


def test_a_wider_network_is_refused(tmp_path: Path) -> None:
    wider = saved(taught(replace(SMALL, dims=(20, 24, 40, 44))), tmp_path, "weights")
    with pytest.raises(WeightsError, match="of another architecture"):
        start_from(fresh(), str(wider))
