"""Turn face crops into the network's input. The training's preprocessing is stored in the model card."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

# ITU-R BT.601 luma, which Pillow's "L" and FER2013's grey pictures use.
LUMA = (0.299, 0.587, 0.114)

# The authors evaluate on pictures resized to 236 px, cropped to 224.
TEN_CROP_RATIO = 236 / 224


@dataclass(frozen=True)
class Preprocessing:
    """The preprocessing of one set of weights.

    :param crop_px: side at which faces are cut from the video. Equal to the resolution of the training
        pictures, so that the network sees no finer detail than in training.
    :param face_scale: side of the square crop ÷ √(area of the detector's box).
    :param face_shift: displacement (x, y) of the crop's centre from the box's, ÷ √(area of the box).
    :param resize: side in px to which the crop is scaled.
    :param size: side in px of the centre crop, the network's input.
    :param mean: subtracted from the grey value in 0…1.
    :param std: divides what remains.
    """

    size: int
    resize: int
    crop_px: int = 48
    face_scale: float = 1.0
    face_shift: tuple[float, float] = (0.0, 0.0)
    mean: float = 0.0
    std: float = 1.0

    @classmethod
    def published(cls) -> "Preprocessing":
        """The authors' preprocessing: grey in three equal channels, 236 → 224 px, 0…1."""
        return cls(size=224, resize=236)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Preprocessing":
        """The inverse of :meth:`to_dict`; a missing or unknown key is a TypeError."""
        loaded = cls(**values)
        x, y = loaded.face_shift
        return replace(loaded, face_shift=(x, y))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    def __call__(self, crops: Tensor) -> Tensor:
        """One centre crop of each face.

        :param crops: (N, H, W) grey or (N, H, W, 3) RGB uint8.
        :returns: (N, 3, size, size) float32.
        """
        return self.normalize(_centre(_resize(to_grey(crops), self.resize), self.size))

    def ten_crops(self, crops: Tensor) -> Tensor:
        """The four corners, the centre, and their mirror images: (N, H, W[, 3]) → (N, 10, 3, size, size)."""
        picture = _resize(to_grey(crops), max(self.resize, round(self.size * TEN_CROP_RATIO)))
        s, end = self.size, picture.shape[-1] - self.size
        corners = [picture[..., y : y + s, x : x + s] for y in (0, end) for x in (0, end)]
        five = torch.stack([*corners, _centre(picture, s)], dim=1)
        return self.normalize(torch.cat([five, five.flip(-1)], dim=1))

    def normalize(self, grey: Tensor) -> Tensor:
        """(…, 1, S, S) in 0…1 → (…, 3, S, S), the network's three equal channels."""
        shape = (*grey.shape[:-3], 3, *grey.shape[-2:])
        return ((grey - self.mean) / self.std).expand(shape)


def to_grey(crops: Tensor) -> Tensor:
    """(N, H, W) or (N, H, W, 3) uint8 → (N, 1, H, W) float32 in 0…1."""
    values = crops.float() / 255
    if values.ndim == 4:
        values = values @ torch.tensor(LUMA, device=values.device)
    return values.unsqueeze(1)


def _resize(grey: Tensor, side: int) -> Tensor:
    return F.interpolate(grey, (side, side), mode="bilinear", align_corners=False, antialias=True)


def _centre(picture: Tensor, size: int) -> Tensor:
    start = (picture.shape[-1] - size) // 2
    return picture[..., start : start + size, start : start + size]
