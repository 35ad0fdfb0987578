"""Random augmentation of training faces: a whole batch at once, on the device of the pictures."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from emonext.training.covers import draw_covers, uniform

# A cover over a third of the picture, or a face that is reduced to 13 px, is counted as fully hidden.
HIDDEN_SHARE, _HIDDEN_SIDE = 1 / 3, 13


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the augmentations, drawn uniformly per picture. Faces are never flipped upside down.

    :param rotation_deg: largest rotation, either way.
    :param scale: range of the scale factor.
    :param shift: largest shift, as a share of the side: a detector's box is never exact.
    :param brightness: added to grey values in 0…1.
    :param contrast: range of the factor about the picture's mean.
    :param cover: probability that a drawn thing covers a part of the face.
    :param coarse: probability that the picture loses detail, down to 10 px: a face far from the camera, out
        of focus, or in a video compressed too hard.
    """

    rotation_deg: float = 15.0
    scale: tuple[float, float] = (0.85, 1.2)
    shift: float = 0.08
    brightness: float = 0.15
    contrast: tuple[float, float] = (0.7, 1.3)
    cover: float = 0.35
    coarse: float = 0.2

    def __call__(self, grey: Tensor, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Flip, warp, resize, cover, and change the light.

        :param grey: (N, 1, H, W) in 0…1.
        :returns: (N, 1, size, size) in 0…1, and (N,) how far each face is hidden, 0…1.
        """
        coarse, blurred = self._coarsen(grey, generator)
        warped = F.grid_sample(
            coarse,
            F.affine_grid(self._affine(len(grey), generator), [len(grey), 1, size, size], False),
            padding_mode="border",
            align_corners=False,
        )
        covered, share = draw_covers(self._light(warped, generator), self.cover, generator)
        return covered, torch.maximum(blurred.float(), (share / HIDDEN_SHARE).clamp(max=1))

    def _coarsen(self, grey: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Reduce the detail of the chosen pictures, all by the same factor: a batch has one size.

        :returns: the pictures, and (N,) bool, whether the face is hidden by that.
        """
        chosen = uniform(len(grey), 0, 1, generator) < self.coarse
        side = int(uniform(1, 10, 40, generator))
        if side >= grey.shape[-1] or not chosen.any():
            return grey, torch.zeros_like(chosen)
        small = F.interpolate(grey, (side, side), mode="bilinear", antialias=True, align_corners=False)
        coarse = F.interpolate(small, grey.shape[-2:], mode="bilinear", align_corners=False)
        return torch.where(chosen[:, None, None, None], coarse, grey), chosen & (side <= _HIDDEN_SIDE)

    def _affine(self, n: int, generator: torch.Generator) -> Tensor:
        """(n, 2, 3) maps from output to input coordinates."""
        angle = torch.deg2rad(uniform(n, -self.rotation_deg, self.rotation_deg, generator))
        zoom = 1 / uniform(n, *self.scale, generator)
        mirror = torch.where(uniform(n, 0, 1, generator) < 0.5, -1.0, 1.0)
        cos, sin = angle.cos() * zoom, angle.sin() * zoom
        # the picture spans −1…1, so a share of its side is twice that in these coordinates
        x, y = (uniform(n, -2 * self.shift, 2 * self.shift, generator) for _ in range(2))
        return torch.stack([mirror * cos, -sin, x, mirror * sin, cos, y], dim=1).view(n, 2, 3)

    def _light(self, grey: Tensor, generator: torch.Generator) -> Tensor:
        n = len(grey)
        mean = grey.mean(dim=(1, 2, 3), keepdim=True)
        factor = uniform(n, *self.contrast, generator).view(n, 1, 1, 1)
        offset = uniform(n, -self.brightness, self.brightness, generator).view(n, 1, 1, 1)
        return ((grey - mean) * factor + mean + offset).clamp(0, 1)
