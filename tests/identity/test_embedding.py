"""identity.embedding on real clips, and on drawn landmarks at known places."""

import hashlib
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from facenet_pytorch.models.inception_resnet_v1 import InceptionResnetV1
from PIL import Image
from scipy.spatial.distance import cdist
from skimage.transform import SimilarityTransform

from pipeline.errors import InputError
from pipeline.identity import embedding
from pipeline.identity.embedding import CHIP_PX, DlibEmbedder, align, similarity
from pipeline.identity.facenet import FacenetEmbedder

# dlib's five points (get_face_chip_details): corners of the eyes, base of the nose; on the unit square.
DLIB_EYES = np.array(
    [[0.12057506, 0.21372745], [0.33408506, 0.22906424], [0.64606048, 0.22896744], [0.85956746, 0.21349815]]
)

# Nothing is before the face in these frames.
PEOPLE = {
    "the first man": [("asl_bird.mkv", (0, 60)), ("asl_please.mkv", (0, 40, 60))],
    "the second man": [("asl_help.mkv", (0, 20, 55))],
    "the woman": [("gesture_720p.mp4", (0, 50))],
    "the third man": [("single_face.mp4", (0, 25, 50))],
}


def face_at(x: float, y: float, size: float, degrees: float = 0.0) -> np.ndarray:
    """Landmarks of the mean face, as wide as ``size``, turned clockwise around its middle."""
    turn = np.radians(degrees)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return ((embedding._MEAN_FACE - 0.5) * size @ matrix.T + (x, y)).astype(np.float32)


def dots(landmarks: np.ndarray, height: int, width: int, radius: float) -> np.ndarray:
    """White dots on grey, where the landmarks are."""
    image = np.full((height, width, 3), 60, np.uint8)
    row, column = np.mgrid[:height, :width]
    for x, y in landmarks:
        image[np.hypot(column + 0.5 - x, row + 0.5 - y) <= radius] = 255
    return image


def dot_centres(chip: np.ndarray) -> np.ndarray:
    """(5, 2) where the dots of the chip are, near to where they should be."""
    row, column = np.mgrid[:CHIP_PX, :CHIP_PX] + 0.5
    light = np.clip(chip[..., 0].astype(float) - 60, 0, None)
    near = [light * (np.hypot(column - x, row - y) < 12) for x, y in embedding._ON_CHIP]
    return np.array([[(part * column).sum(), (part * row).sum()] / part.sum() for part in near])


class TestAlign:
    @pytest.mark.parametrize(
        ("size", "degrees"), [(100, 0), (100, 30), (100, -75), (40, 10), (330, 0), (410, 160)]
    )
    def test_landmarks_come_to_where_the_network_expects_them(self, size, degrees) -> None:
        landmarks = face_at(300, 310, size, degrees)
        chip = align(dots(landmarks, 600, 640, radius=max(2, size / 25)), landmarks)
        assert (chip.shape, chip.dtype) == ((150, 150, 3), np.uint8)
        assert np.abs(dot_centres(chip) - embedding._ON_CHIP).max() < 0.7

    def test_the_expected_places_are_those_of_dlibs_own_chips(self) -> None:
        """The middles of the eyes by its five points, independently of its 51."""
        middles = DLIB_EYES.reshape(2, 2, 2).mean(axis=1)
        assert np.abs(embedding._MEAN_FACE[:2] - middles).max() < 0.01

    def test_the_least_squares_are_those_of_scikit_image(self) -> None:
        chance = np.random.default_rng(0)
        source, target = chance.normal(size=(2, 5, 2))
        matrix, shift = similarity(source, target)
        reference = SimilarityTransform.from_estimate(source, target).params
        np.testing.assert_allclose(np.column_stack([matrix, shift]), reference[:2], atol=1e-9)

    def test_what_it_takes_from_a_large_face_does_not_alias(self) -> None:
        """Stripes finer than a pixel of the chip become grey."""
        stripes = np.zeros((1200, 1200, 3), np.uint8)
        stripes[:, ::2] = 255
        chip = align(stripes, face_at(600, 600, 560))
        assert chip.min() >= 126
        assert chip.max() <= 129

    def test_an_upright_face_is_as_pillow_crops_and_resizes_it(self) -> None:
        coarse = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
        picture = Image.fromarray(coarse).resize((800, 800), Image.Resampling.BICUBIC)
        for size in (60, 100, 170, 300):
            box = (400.25 - 0.75 * size, 390 - 0.75 * size, 400.25 + 0.75 * size, 390 + 0.75 * size)
            expected = np.array(picture.resize((150, 150), Image.Resampling.BICUBIC, box=box), float)
            chip = align(np.array(picture), face_at(400.25, 390, size))
            assert np.abs(chip - expected).mean() < 2

    def test_beyond_the_picture_its_edge_goes_on(self) -> None:
        picture = np.full((200, 200, 3), 200, np.uint8)
        picture[:, :20] = 50
        chip = align(picture, face_at(0, 100, 100))
        assert (chip[:, :60] == 50).all()
        assert (chip[:, 110:] == 200).all()

    def test_a_face_outside_of_the_picture_shows_its_edge(self) -> None:
        picture = np.full((200, 200, 3), 200, np.uint8)
        assert (align(picture, face_at(-900, 100, 100)) == 200).all()
        assert (align(picture, face_at(100, 900, 100)) == 200).all()

    def test_landmarks_in_one_place_do_no_harm(self) -> None:
        assert align(np.full((200, 200, 3), 200, np.uint8), np.full((5, 2), 50, np.float32)).shape == (
            150,
            150,
            3,
        )

    def test_the_picture_is_not_changed(self) -> None:
        image = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
        before = image.copy()
        align(image, face_at(150, 150, 200))[:] = 0
        assert (image == before).all()


@pytest.fixture(scope="module")
def dlib_embedder() -> DlibEmbedder:
    pytest.importorskip("dlib")
    try:
        return DlibEmbedder()
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def embeddings(clips, real_detector, dlib_embedder) -> dict[str, np.ndarray]:
    """Name → (n, 128)."""
    chips = {
        name: [chip for clip, at in parts for chip in _chips(clips / clip, at, real_detector)]
        for name, parts in PEOPLE.items()
    }
    found = dlib_embedder(np.concatenate([np.stack(made) for made in chips.values()]))
    ends = np.cumsum([len(made) for made in chips.values()])[:-1]
    return dict(zip(chips, np.split(found, ends), strict=True))


def _chips(path: Path, at: tuple[int, ...], detect) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        frames = [
            frame.to_ndarray(format="rgb24")
            for number, frame in zip(range(max(at) + 1), container.decode(video=0), strict=False)
            if number in at
        ]
    return [
        align(image, found.landmarks[0])
        for image, found in zip(frames, detect(np.stack(frames)), strict=True)
    ]


class TestDlib:
    def test_no_chips_give_no_embeddings(self, dlib_embedder) -> None:
        assert dlib_embedder(np.zeros((0, 150, 150, 3), np.uint8)).shape == (0, 128)

    def test_one_person_is_nearer_than_the_threshold(self, embeddings, dlib_embedder) -> None:
        for name, found in embeddings.items():
            assert cdist(found, found).max() < dlib_embedder.same_person, name

    def test_two_people_are_further_than_the_threshold(self, embeddings, dlib_embedder) -> None:
        for one in embeddings:
            for two in embeddings.keys() - {one}:
                assert cdist(embeddings[one], embeddings[two]).min() > dlib_embedder.same_person, (one, two)

    def test_the_threshold_lies_well_between(self, embeddings, dlib_embedder) -> None:
        same = max(cdist(found, found).max() for found in embeddings.values())
        others = min(
            cdist(embeddings[one], embeddings[two]).min()
            for one in embeddings
            for two in embeddings.keys() - {one}
        )
        assert same + 0.03 < dlib_embedder.same_person < others - 0.03

    def test_embeddings_do_not_hang_on_the_batch(self, dlib_embedder) -> None:
        chips = np.random.default_rng(0).integers(0, 256, (3, 150, 150, 3), np.uint8)
        one_by_one = np.concatenate([dlib_embedder(chip[None]) for chip in chips])
        np.testing.assert_allclose(dlib_embedder(chips), one_by_one, atol=1e-4)

    @pytest.mark.usefixtures("dlib_embedder")
    def test_the_package_of_its_weights_is_not_imported(self) -> None:
        assert "face_recognition_models" not in sys.modules

    def test_without_the_packages_it_says_how_to_get_them(self, monkeypatch) -> None:
        monkeypatch.setattr(embedding, "_DLIB_PACKAGE", "no_such_package")
        with pytest.raises(InputError, match=r"emonext-care\[identity\]"):
            DlibEmbedder()

    def test_without_dlib_it_says_how_to_get_it(self, monkeypatch) -> None:
        monkeypatch.setitem(sys.modules, "dlib", None)
        with pytest.raises(InputError, match=r"emonext-care\[identity\].*dlib is missing"):
            embedding._import_dlib()

    def test_other_weights_than_expected_are_refused(self, monkeypatch, tmp_path) -> None:
        path = tmp_path / "weights.dat"
        path.write_bytes(b"something else")
        monkeypatch.setattr(embedding, "_dlib_weights", lambda: path)
        with pytest.raises(InputError, match=r"weights\.dat: its sha256 is"):
            DlibEmbedder()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def untrained() -> InceptionResnetV1:
    torch.manual_seed(0)
    return InceptionResnetV1().eval()


@pytest.fixture(scope="module")
def facenet_file(untrained, tmp_path_factory) -> Path:
    """As facenet-pytorch publishes its weights: with the layer that classifies, which is not wanted."""
    path = tmp_path_factory.mktemp("facenet") / "20180402-untrained.pt"
    torch.save(
        {**untrained.state_dict(), "logits.weight": torch.ones(3, 512), "logits.bias": torch.ones(3)}, path
    )
    return path


@pytest.fixture(scope="module")
def facenet(facenet_file) -> FacenetEmbedder:
    return FacenetEmbedder(facenet_file, digest(facenet_file))


class TestFacenet:
    def test_no_chips_give_no_embeddings(self, facenet) -> None:
        assert facenet(np.zeros((0, 150, 150, 3), np.uint8)).shape == (0, 512)

    def test_it_is_the_network_of_the_file(self, facenet, untrained) -> None:
        """By facenet-pytorch's own normalisation, on chips that Pillow has made larger."""
        noise = np.random.default_rng(0).integers(0, 256, (3, 10, 10, 3), np.uint8)
        chips = np.stack([np.array(Image.fromarray(one).resize((150, 150))) for one in noise])
        larger = np.stack(
            [np.array(Image.fromarray(chip).resize((160, 160), 2), np.float32) for chip in chips]
        )
        with torch.inference_mode():
            expected = untrained(torch.from_numpy((larger - 127.5) / 128).permute(0, 3, 1, 2)).numpy()
        found = facenet(chips)
        assert (found.shape, found.dtype) == ((3, 512), np.float32)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(found, expected, atol=0.02)

    def test_it_is_named_after_its_file(self, facenet) -> None:
        assert facenet.name == "20180402-untrained"

    def test_another_file_than_expected_is_refused(self, facenet_file) -> None:
        with pytest.raises(InputError, match=r"untrained\.pt: its sha256 is .*, not 0000"):
            FacenetEmbedder(facenet_file, "0" * 64)

    def test_a_missing_file_is_named(self, tmp_path) -> None:
        with pytest.raises(InputError, match=r"none\.pt: can't be read"):
            FacenetEmbedder(tmp_path / "none.pt", "0" * 64)

    @pytest.mark.parametrize(
        "content",
        [[1, 2], {"conv.weight": torch.ones(2)}, {"conv2d_1a.conv.weight": 3}, InceptionResnetV1],
        ids=["a list", "another network", "no tensors", "code"],
    )
    def test_what_is_not_its_weights_is_refused(self, content, tmp_path) -> None:
        path = tmp_path / "other.pt"
        torch.save(content, path)
        with pytest.raises(InputError, match=r"other\.pt: not the weights"):
            FacenetEmbedder(path, digest(path))

    def test_a_file_that_is_no_weights_at_all_is_refused(self, tmp_path) -> None:
        path = tmp_path / "other.pt"
        path.write_bytes(b"hello")
        with pytest.raises(InputError, match=r"other\.pt: not the weights"):
            FacenetEmbedder(path, digest(path))
