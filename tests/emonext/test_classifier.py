from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import expit, logit, softmax
from small_networks import OTHER_ORDER
from torch import nn

from emonext import LABELS, Architecture, Card, Classifier, DeviceError, EmoNeXt, Preprocessing, WeightsError
from emonext.checkpoint import save_weights
from emonext.device import choose_device, has_bf16

CAPABILITIES = torch.cpu.get_capabilities
"""As torch has it, whatever a test puts in its place."""

CARD = Card(
    name="small",
    architecture=Architecture((1, 1, 1, 1), (16, 16, 32, 32), 64),
    preprocessing=Preprocessing(size=64, resize=68, mean=0.5, std=0.25),
)

pytestmark = pytest.mark.usefixtures("bf16")

WITH_VOTES = replace(CARD, architecture=replace(CARD.architecture, votes=True))


@pytest.fixture
def classify(tmp_path: Path) -> Classifier:
    return make_classifier(tmp_path, CARD)


def test_no_faces_give_no_rows(classify: Classifier) -> None:
    found = classify(np.zeros((0, 48, 48, 3), np.uint8))
    assert found.shape == (0, 7)
    assert found.dtype == np.float32


def test_a_row_of_probabilities_sums_to_one(classify: Classifier) -> None:
    found = classify(crops(5))
    assert found.shape == (5, 7)
    assert found.dtype == np.float32
    assert found.min() >= 0
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_the_labels_are_the_seven_in_fer2013s_order(classify: Classifier) -> None:
    assert classify.labels == LABELS
    assert LABELS == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def test_the_weights_can_be_named_in_an_output(classify: Classifier) -> None:
    assert classify.card == CARD
    assert len(classify.sha256) == 64


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_logits_of_both_mirror_images_are_averaged_and_divided_by_the_temperature(
    bf16: bool, tmp_path: Path, temperature: float
) -> None:
    classify = make_classifier(tmp_path, replace(CARD, temperature=temperature))
    faces = crops(4)
    with torch.inference_mode():
        model = make_model().eval()
        logits = np.mean(
            [
                model(CARD.preprocessing(torch.from_numpy(shown.copy()))).numpy()
                for shown in (faces, faces[:, :, ::-1])
            ],
            axis=0,
        )
    expected, atol = softmax(logits / temperature, axis=1), tolerance(bf16, logits / temperature)
    np.testing.assert_allclose(classify(faces), expected, atol=atol)


def test_a_face_is_hidden_by_the_logit_above_the_cards_limit(bf16: bool, tmp_path: Path) -> None:
    shape, faces = replace(CARD.architecture, covered=True), crops(6)
    atol = 0.02 if bf16 else 1e-5
    _, hidden = make_classifier(tmp_path, replace(CARD, architecture=shape)).read(faces)
    assert hidden.dtype == np.float32
    assert np.ptp(hidden) > 2 * atol
    limit = float(logit(hidden[2]))
    _, shifted = make_classifier(tmp_path, replace(CARD, architecture=shape, covered_limit=limit)).read(faces)
    np.testing.assert_allclose(shifted, expit(logit(hidden) - limit), atol=atol)
    assert shifted[2] == pytest.approx(0.5, abs=atol)


def test_weights_that_cannot_tell_call_no_face_hidden(classify: Classifier) -> None:
    probabilities, hidden = classify.read(crops(3))
    assert hidden.tolist() == [0, 0, 0]
    assert np.array_equal(probabilities, classify(crops(3)))


def test_a_face_and_its_mirror_image_are_read_the_same(bf16: bool, classify: Classifier) -> None:
    faces = crops(3)
    atol = 0.02 if bf16 else 1e-5
    np.testing.assert_allclose(classify(faces[:, :, ::-1]), classify(faces), atol=atol)


def test_a_face_is_read_the_same_whatever_else_is_in_the_batch(bf16: bool, classify: Classifier) -> None:
    faces = crops(6)
    together = classify(faces)
    # a batch of another size may be summed in another order, and so be rounded to a neighbour
    atol = tolerance(bf16, np.log(together)) if bf16 else 1e-5
    assert np.ptp(together, axis=0).max() > 4 * atol
    np.testing.assert_allclose(np.concatenate([classify(face[None]) for face in faces]), together, atol=atol)


def test_crops_of_another_size_are_read_too(classify: Classifier) -> None:
    enlarged = crops(2).repeat(2, axis=1).repeat(2, axis=2)
    assert classify(enlarged).shape == (2, 7)


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
def test_a_view_of_the_crops_is_read_like_a_copy(classify: Classifier) -> None:
    faces = crops(3)
    faces.setflags(write=False)
    for view in (faces[::2], faces[:, 4:44, 4:44], faces[:, :, ::-1]):
        np.testing.assert_allclose(classify(view), classify(view.copy()), atol=1e-6)


# --- the two heads --------------------------------------------------------------------------------------


def test_probabilities_are_in_the_order_of_labels_whatever_the_weights_order(tmp_path: Path) -> None:
    faces = crops(3)
    ours, theirs = (
        make_classifier(tmp_path, replace(CARD, labels=labels)) for labels in (LABELS, OTHER_ORDER)
    )
    assert theirs.labels == LABELS
    for column, label in enumerate(LABELS):
        np.testing.assert_allclose(theirs(faces)[:, column], ours(faces)[:, OTHER_ORDER.index(label)])


@pytest.mark.parametrize("labels", [LABELS, OTHER_ORDER])
@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_the_head_for_votes_is_read_where_there_is_one(
    bf16: bool, tmp_path: Path, labels: tuple[str, ...], temperature: float
) -> None:
    card = replace(WITH_VOTES, labels=labels, votes_temperature=temperature, temperature=7.0)
    faces, model = crops(4), make_model(WITH_VOTES.architecture).eval()
    with torch.inference_mode():
        both = [CARD.preprocessing(torch.from_numpy(shown.copy())) for shown in (faces, faces[:, :, ::-1])]
        features = np.mean([model.features(x).numpy() for x in both], axis=0)
    assert model.votes is not None
    logits = features @ model.votes.weight.detach().numpy().T + model.votes.bias.detach().numpy()
    found = make_classifier(tmp_path, card)(faces)
    assert np.ptp(found, axis=1).min() > 0.05
    expected, atol = softmax(logits / temperature, axis=1), tolerance(bf16, logits / temperature)
    np.testing.assert_allclose(found, expected, atol=atol)


def test_without_such_a_head_its_temperature_says_nothing(tmp_path: Path) -> None:
    plain, with_one = (
        make_classifier(tmp_path, replace(CARD, votes_temperature=temperature)) for temperature in (1.0, 9.0)
    )
    np.testing.assert_array_equal(plain(crops(3)), with_one(crops(3)))


# --- devices and weights --------------------------------------------------------------------------------


def test_a_missing_gpu_is_a_device_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="no usable GPU"):
        Classifier(save(tmp_path, CARD), "cuda")


@pytest.mark.parametrize("name", ["", "tpu", "CUDA", "cuda:0"])
def test_an_unknown_device_is_a_device_error(name: str) -> None:
    with pytest.raises(DeviceError, match="unknown; use auto, cpu or cuda"):
        choose_device(name)


@pytest.mark.parametrize(("has_gpu", "expected"), [(False, "cpu"), (True, "cuda")])
def test_auto_takes_a_gpu_where_there_is_one(
    has_gpu: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    assert choose_device("auto").type == expected
    assert choose_device("cpu").type == "cpu"


@pytest.mark.parametrize(("found", "expected"), [({}, False), ({"avx512_bf16": True}, True)])
def test_a_processor_has_bf16_if_it_says_so(
    found: dict[str, bool], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    assert has_bf16(torch.device("cpu")) is expected


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="this is no Linux")
def test_the_kernel_says_the_same_of_this_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", CAPABILITIES)
    assert has_bf16(torch.device("cpu")) is ("avx512_bf16" in Path("/proc/cpuinfo").read_text())


def test_bf16_gives_the_same_classes(bf16: bool, tmp_path: Path) -> None:
    path, faces = save(tmp_path, CARD), crops(40)
    half, full = (Classifier(path, "cpu", bf16=allowed)(faces) for allowed in (True, False))
    assert half.dtype == full.dtype == np.float32
    assert (half != full).any() == bf16
    np.testing.assert_allclose(half, full, atol=0.02)
    second, first = np.sort(full, axis=1)[:, -2:].T
    clear = first - second > 0.02
    assert clear.sum() > 20
    assert len(set(full[clear].argmax(axis=1))) > 1
    assert (half.argmax(axis=1) == full.argmax(axis=1))[clear].all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU on this machine")
def test_a_gpu_agrees_with_the_cpu(tmp_path: Path) -> None:
    path, faces = save(tmp_path, CARD), crops(20)
    on_gpu, on_cpu = (Classifier(path, device, bf16=False)(faces) for device in ("cuda", "cpu"))
    np.testing.assert_allclose(on_gpu, on_cpu, atol=5e-3)
    np.testing.assert_allclose(Classifier(path, "cuda")(faces), on_cpu, atol=tolerance(True, np.log(on_cpu)))


def test_weights_that_are_not_there_are_a_weights_error(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such weights"):
        Classifier(tmp_path / "nowhere.safetensors", "cpu")


# --- helpers --------------------------------------------------------------------------------------------


def tolerance(bf16: bool, logits: NDArray[np.float32]) -> float:
    """How far a probability may be from its exact value.

    bf16 has 8 significant bits: a rounding is off by 2⁻⁸ at most. Some 20 follow each other in the small
    network; being independent they add up to √20 × 2⁻⁸ of the largest logit. A probability changes by
    p(1 − p) times the change of the difference of two logits: by half of one logit's error at most.

    :param logits: (N, 7), divided by the temperature.
    """
    return 0.5 * 20**0.5 * 2**-8 * float(np.abs(logits).max()) if bf16 else 1e-4


def make_model(architecture: Architecture = CARD.architecture) -> EmoNeXt:
    """A small network whose probabilities differ from face to face."""
    torch.manual_seed(0)
    model = EmoNeXt(architecture, layer_scale=1.0)
    nn.init.normal_(model.backbone.head.fc.weight, std=0.2)
    for head in (model.votes, model.covered):
        if head is not None:
            nn.init.normal_(head.weight, std=0.2)
    return model


def save(folder: Path, card: Card) -> Path:
    save_weights(make_model(card.architecture), card, folder / "small.safetensors", half=False)
    return folder / "small.safetensors"


def make_classifier(folder: Path, card: Card) -> Classifier:
    return Classifier(save(folder, card), "cpu")


def crops(n: int) -> NDArray[np.uint8]:
    """(n, 48, 48, 3) uint8: blocks of colour, so that there is something to see at every scale."""
    blocks = np.random.default_rng(0).integers(0, 256, (n, 6, 6, 3), dtype=np.uint8)
    return blocks.repeat(8, axis=1).repeat(8, axis=2)
