"""The networks on a device that is not the CPU: no tensor of the host among its own, and the same results.

No GPU is needed: see pretend_device. That a GPU computes the same is for a test on one.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pretend_device import DEVICE, PretendDevice
from videos import first_pictures

import emonext.classifier
from emonext import Classifier
from pipeline.commands.networks import make_networks
from pipeline.faces.classification import probabilities_of
from pipeline.faces.detection import iou
from pipeline.processing.session import Networks, Settings
from pipeline.processing.stages import run_stages
from pipeline.records import FrameFaces, Frames
from pipeline.video.container import probe

SETTINGS = Settings(5.0)
SAMPLES = 15


@pytest.fixture(scope="module")
def on_cpu() -> Networks:
    return make_networks("atto", "cpu")


@pytest.fixture
def device(on_cpu: Networks, monkeypatch: pytest.MonkeyPatch) -> PretendDevice:
    weights = emonext.classifier.load_weights("atto")
    monkeypatch.setattr(emonext.classifier, "load_weights", lambda name: weights)
    monkeypatch.setattr(emonext.classifier, "choose_device", lambda name: DEVICE)
    # autocast knows the names of real devices only
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: contextlib.nullcontext())
    return PretendDevice()


def read(pictures: NDArray[np.uint8], networks: Networks) -> list[FrameFaces]:
    def batches() -> Iterator[Frames]:
        for start in range(0, len(pictures), SETTINGS.key_every):
            part = pictures[start : start + SETTINGS.key_every]
            number = start + np.arange(len(part))
            yield Frames(number, number, number / SETTINGS.sample_fps, part, np.ones(len(part), bool))

    return list(run_stages(batches(), SETTINGS, networks))


def test_tensors_of_two_devices_do_not_mix() -> None:
    with PretendDevice() as device:
        ours = torch.ones(3).to(DEVICE)
        with pytest.raises(RuntimeError, match="two devices"):
            ours + torch.ones(3)
        with pytest.raises(TypeError, match="numpy"):
            ours.numpy()
        assert not device.waits
        assert (ours + 1)[[0, 2]].tolist() == [2.0, 2.0]
    assert device.waits.total() == 1


@pytest.mark.parametrize(
    ("turns", "overlap", "atol"),
    [
        pytest.param(0, 0.999, 0.01, id="upright"),
        # looked at several times, each in whole pixels: rounding grows
        pytest.param(1, 0.8, 0.2, id="lying"),
    ],
)
def test_faces_are_the_same(
    turns: int, overlap: float, atol: float, on_cpu: Networks, device: PretendDevice, clips: Path
) -> None:
    pictures = np.stack(first_pictures(clips / "single_face.mp4", SAMPLES))
    pictures = np.ascontiguousarray(np.rot90(pictures, turns, axes=(1, 2)))
    expected = read(pictures, on_cpu)
    with device:
        networks = make_networks("atto", "auto")
        device.waits.clear()
        found = read(pictures, networks)
    assert [len(sample.faces) for sample in found] == [1] * SAMPLES
    for one, other in zip(expected, found, strict=True):
        (face,), (same,) = one.faces, other.faces
        assert iou(same.box_xyxy[None], face.box_xyxy[None]) > overlap
        np.testing.assert_allclose(probabilities_of(same), probabilities_of(face), atol=atol)
        assert same.state is not None
        assert face.state is not None
        np.testing.assert_allclose(astuple(same.state), astuple(face.state), atol=atol)
    if not turns:
        assert device.waits.total() / SAMPLES < 5, f"a GPU is idle after each: {device.waits}"


def test_a_voice_is_heard_the_same(on_cpu: Networks, device: PretendDevice, clips: Path) -> None:
    info = probe(clips / "single_face.mp4")
    assert on_cpu.hear is not None
    expected = on_cpu.hear(info)
    with device:
        hear = make_networks("atto", "auto").hear
        assert hear is not None
        found = hear(info)
    assert len(found.window) > 50
    np.testing.assert_array_equal(found.window, expected.window)
    np.testing.assert_allclose(found.probability, expected.probability, atol=1e-3)


def test_expressions_are_the_same(on_cpu: Networks, device: PretendDevice) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (3, 48, 48, 3), np.uint8)
    expected, hidden = on_cpu.classify(crops)
    with device:
        found, also = Classifier("atto").read(crops)
    np.testing.assert_allclose(found, expected, atol=0.01)
    np.testing.assert_allclose(also, hidden, atol=0.01)
