"""Image corruptions: six faults of recordings, from mild to severe.

Five levels each, as in Hendrycks & Dietterich 2019 (*Benchmarking neural network robustness to common
corruptions and perturbations*). The first is hardly visible; at the fifth, people are unsure too.

blur: σ of a Gaussian, px of a 48-px face. From 0.5, below a pixel, to 2.5: eyes and mouth are not visible.
darkness: remaining share of the light, with the noise of a small sensor. From one half to 2 %, a night light.
low resolution: side to which the face is reduced before it is enlarged again, px. From 36, just below the
    smallest face that is detected by default, to 12, the smallest face that the detector can find.
compression: JPEG quality. From 50, where the first blocks show, to 7. A block is a sixth of a 48-px face.
rotation: degrees, alternately clockwise and counterclockwise. From 10, an ordinary tilt, to 50, a head that
    rests on a shoulder.
occlusion: share of the area under a grey rectangle. From 0.05, the rim of a cup, to 0.45, hands before the
    face.

The random seed is computed from the picture's pixels: a picture gets the same noise and the same rectangle in
any batch, and the rectangle grows from level to level at about the same place.
"""

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms.v2 import functional as transform

Picture = NDArray[np.uint8]
"""(H, W) uint8 grey."""

Apply = Callable[[NDArray[np.uint8], float], NDArray[np.uint8]]
"""(N, H, W) uint8 grey and a level → the same shape."""

# Side of the picture that σ refers to: FER2013's.
_REFERENCE_PX = 48

# Display gamma: grey levels go with the light's 1/2.2-th power (sRGB, approximately).
_GAMMA = 2.2

# Standard deviation of a small sensor's noise in a dim room, grey levels.
_NOISE_LEVELS = 4.0

_GREY = 128


@dataclass(frozen=True)
class Corruption:
    """One kind of corruption.

    :param unit: of the levels.
    :param levels: five, from mild to severe.
    :param apply: (N, H, W) uint8 grey faces and a level → the same shape; the input is not changed.
    """

    name: str
    unit: str
    levels: tuple[float, ...]
    apply: Apply


def _each(corrupt: Callable[[Picture, float], Picture]) -> Apply:
    """Corrupt one picture after the other, which limits the memory for large pictures."""

    def apply(images: NDArray[np.uint8], level: float) -> NDArray[np.uint8]:
        changed = np.empty_like(images)
        for number, picture in enumerate(images):
            changed[number] = corrupt(picture, level)
        return changed

    return apply


def _blur(picture: Picture, sigma: float) -> Picture:
    scaled = sigma * len(picture) / _REFERENCE_PX
    kernel = 2 * math.ceil(3 * scaled) + 1
    return _to_picture(transform.gaussian_blur(_to_tensor(picture), [kernel, kernel], [scaled, scaled]))


def _darken(picture: Picture, light: float) -> Picture:
    """Reduce the light; the sensor noise keeps its size."""
    dark = picture * light ** (1 / _GAMMA) + _random(picture).normal(0, _NOISE_LEVELS, picture.shape)
    return dark.round().clip(0, 255).astype(np.uint8)


def _coarsen(picture: Picture, side: float) -> Picture:
    small = min(round(side), len(picture))
    shrunk = Image.fromarray(picture).resize((small, small), Image.Resampling.BILINEAR)
    return np.asarray(shrunk.resize(picture.shape[::-1], Image.Resampling.BICUBIC))


def _compress(picture: Picture, quality: float) -> Picture:
    file = BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=round(quality))
    return np.asarray(Image.open(file))


def _turn(picture: Picture, degrees: float) -> Picture:
    """Rotate counterclockwise; repeat the edge outside the picture, as the pipeline does."""
    side = max(picture.shape)
    wider = transform.pad(_to_tensor(picture), [side // 2], padding_mode="edge")
    turned = transform.rotate(wider, degrees, transform.InterpolationMode.BILINEAR)
    return _to_picture(transform.center_crop(turned, list(picture.shape)))


def _turn_alternately(images: NDArray[np.uint8], degrees: float) -> NDArray[np.uint8]:
    turned = np.empty_like(images)
    turned[::2] = _each(_turn)(images[::2], degrees)
    turned[1::2] = _each(_turn)(images[1::2], -degrees)
    return turned


def _cover(picture: Picture, share: float) -> Picture:
    """The rectangle's sides differ by a factor of up to two."""
    random, (height, width) = _random(picture), np.array(picture.shape)
    ratio = 2 ** random.uniform(-1, 1)
    rows, columns = round(height * math.sqrt(share * ratio)), round(width * math.sqrt(share / ratio))
    top = round(random.uniform(0, 1) * (height - rows))
    left = round(random.uniform(0, 1) * (width - columns))
    covered = picture.copy()
    covered[top : top + rows, left : left + columns] = _GREY
    return covered


def _random(picture: Picture) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(picture.tobytes()))


def _to_tensor(picture: Picture) -> torch.Tensor:
    return torch.from_numpy(picture.copy())[None]


def _to_picture(tensor: torch.Tensor) -> Picture:
    return np.asarray(tensor[0])


CORRUPTIONS = (
    Corruption("blur", "σ, px of 48", (0.5, 1.0, 1.5, 2.0, 2.5), _each(_blur)),
    Corruption("darkness", "share of the light", (0.5, 0.25, 0.1, 0.05, 0.02), _each(_darken)),
    Corruption("low resolution", "px of the side", (36, 28, 22, 16, 12), _each(_coarsen)),
    Corruption("compression", "JPEG quality", (50, 30, 20, 12, 7), _each(_compress)),
    Corruption("rotation", "degrees", (10, 20, 30, 40, 50), _turn_alternately),
    Corruption("occlusion", "share of the area", (0.05, 0.15, 0.25, 0.35, 0.45), _each(_cover)),
)
"""Six corruptions, five levels each."""
