"""Face embeddings: upright face chips, and the networks that embed them.

Two embeddings of one person are closer than those of two people. Nothing is downloaded: dlib's weights come
with an installed package, facenet-pytorch's from the user's file.
"""

import hashlib
import importlib
import importlib.util
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import InputError
from pipeline.faces.warp import warp

CHIP_PX = 150
"""Side of a chip, px: the input of dlib's network."""

# Margin around the mean face, as a share of its size, as in the training of dlib's network.
_PADDING = 0.25

# Landmarks in the unit square of dlib's mean face (get_face_chip_details in dlib's
# image_transforms/interpolation.h): each eye is the mean of its six points, the nose is its tip. On the trial
# clips, these chips distinguish people as well as chips by dlib's five-point predictor, and no worse than
# with the median positions of MTCNN's landmarks.
_MEAN_FACE = np.array(
    [
        [0.225492, 0.215990],
        [0.754761, 0.215990],
        [0.490127, 0.515625],
        [0.254149, 0.780233],
        [0.726104, 0.780233],
    ]
)
_ON_CHIP = CHIP_PX * (_MEAN_FACE + _PADDING) / (1 + 2 * _PADDING)

_DLIB_PACKAGE, _DLIB_FILE = "face_recognition_models", "dlib_face_recognition_resnet_model_v1.dat"
_DLIB_SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
_DLIB_NUMBERS = 128
_GET_DLIB = "identity needs: pip install 'emonext-care[identity]'"


class Embedder(Protocol):
    """A network that embeds faces for identification."""

    @property
    def name(self) -> str:
        """Name of the weights; only embeddings of the same weights can be compared."""

    @property
    def same_person(self) -> float:
        """Largest Euclidean distance between two embeddings of one person."""

    @property
    def perhaps(self) -> float:
        """Distance above which two embeddings are of two people; in between, a person must check."""

    def __call__(self, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, 150, 150, 3) RGB, as :func:`align` makes them → (N, D)."""


def align(image: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Crop a face upright, with its landmarks as close as possible to the positions that the network expects.

    Rotated, moved and scaled by the least-squares similarity (Umeyama 1991) from the chip to the picture, as
    in dlib.

    :param image: (H, W, 3) uint8 RGB.
    :param landmarks: (5, 2) px: eyes, nose, corners of the mouth; left ones (in the picture) first.
    :returns: (150, 150, 3) uint8 RGB.
    """
    matrix, shift = similarity(_ON_CHIP, landmarks.astype(np.float64))
    return warp(image, matrix, shift, CHIP_PX, Image.Resampling.BICUBIC)


def similarity(
    source: NDArray[np.float64], target: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least-squares rotation, scale and shift (no reflection) from points to other points.

    In the plane Umeyama's solution (1991) is one division of complex numbers.

    :param source: (n, 2), not all equal.
    :param target: (n, 2).
    :returns: (2, 2) matrix and (2,) shift: ``source @ matrix.T + shift`` ≈ ``target``.
    """
    centre, aim = source.mean(axis=0), target.mean(axis=0)
    before, after = (source - centre) @ (1, 1j), (target - aim) @ (1, 1j)
    turn = np.vdot(before, after) / np.vdot(before, before)
    matrix = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return matrix, aim - matrix @ centre


class DlibEmbedder:
    """dlib's face recognition network (King 2017; 99.38 % on LFW at a distance of 0.6) → 128 numbers.

    The embedding is the mean of a chip's and its mirror image's. On the trial clips, this brings the nearest
    pairs of one person closer (95 % instead of 92 % up to 0.40), and those of two people hardly (the nearest
    0.45 instead of 0.46).

    The weights (CC0) are in the package face_recognition_models. The package is not imported, because it
    needs pkg_resources, which setuptools has removed.

    Both limits are stricter than dlib's 0.6, because they apply to the nearest of many pairs. Measured
    with ``tests/manual/identity_distances.py``: nearest pairs of one person in two recordings 0.05–0.24, of
    two people 0.45–0.83; of 406,351 pairs of grey faces of people over 60, nearly all of two people, 0.028 %
    are at 0.40 or less, and 1.6 % at 0.55 or less.

    :raises InputError: a package is not installed, or the weights have another sha256.
    """

    name = "dlib_face_recognition_resnet_model_v1"
    sha256 = _DLIB_SHA256
    same_person, perhaps = 0.40, 0.55

    def __init__(self) -> None:
        path = check_sha256(_dlib_weights(), _DLIB_SHA256, f"install {_DLIB_PACKAGE} 0.3.0 again")
        self._net = _import_dlib().face_recognition_model_v1(str(path))

    def __call__(self, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, 150, 150, 3) uint8 RGB → (N, 128) float32, of length about 1.4."""
        if not len(chips):
            return np.zeros((0, _DLIB_NUMBERS), np.float32)
        both: NDArray[np.float32] = np.stack([self._embed(chips), self._embed(chips[:, :, ::-1])])
        return both.mean(axis=0, dtype=np.float32)

    def _embed(self, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        found = self._net.compute_face_descriptor([np.ascontiguousarray(chip) for chip in chips])
        return np.array([np.asarray(numbers) for numbers in found], np.float32)


def _import_dlib() -> Any:
    try:
        return importlib.import_module("dlib")
    except ImportError as error:
        raise InputError(f"{_GET_DLIB} (dlib is missing).") from error


def _dlib_weights() -> Path:
    """Path of the weights in the installed package, without importing the package."""
    package = importlib.util.find_spec(_DLIB_PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise InputError(f"{_GET_DLIB} ({_DLIB_PACKAGE} is missing).")
    return Path(package.submodule_search_locations[0]) / "models" / _DLIB_FILE


def check_sha256(path: Path, expected: str, remedy: str) -> Path:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror}); {remedy}.") from error
    if digest != expected.lower():
        raise InputError(f"{path}: its sha256 is {digest}, not {expected.lower()}; {remedy}.")
    return path
