"""Read the state of a face from its points: how far eyes and mouth are open, and where the head is turned.

The networks are MediaPipe's face mesh (Kartynnik et al. 2019) and the eye contour of its iris network
(Ablavatski et al. 2020), Apache-2.0, converted from their TFLite files. The mesh alone does not follow the
eyelids: on faces of people over 60, its eye opening tells closed from open eyes hardly better than chance
(AUC 0.56); the contour's does (0.94).
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.faces.classification import Pose
from pipeline.faces.warp import around, warp
from pipeline.records import FaceState
from pipeline.weight_files import with_weights

# Points of the mesh: outer and inner corner of the eye on the left of the picture, then of the other.
_EYES = ((33, 133), (362, 263))
_LIPS, _MOUTH_CORNERS = (13, 14), (78, 308)
_NOSE_BASE, _LOWER_LIP = 2, 17
_FOREHEAD, _CHIN = 10, 152

# Yaw, pitch and roll of a face that looks at the camera, by the network, degrees. Yaw and roll: mean of 300
# faces and their mirror images; pitch: median of these faces.
_REST = (-5.1, -7.2, 1.3)

# Side of the eye contour's crop, px, and as a multiple of the distance between the corners of the eye.
_EYE_PX, _EYE_SIDE = 64, 2.3

# Faces per batch: activations stay below 32 MB, above which the allocator maps memory for each one.
_BATCH = 16

# Points of the contour: its corners, and pairs of the lower and the upper lid.
_CORNERS, _LIDS = (0, 8), ((3, 11), (4, 12), (5, 13))
_CONTOUR_POINTS = 16


class FaceMesh(nn.Module):
    """(N, 3, 192, 192) float32 RGB, 0…1 → (N, 468, 3) points, px, and (N,) logits that there is a face.

    x and y count from the crop's corner; z is the depth in the same unit, negative towards the camera.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2), nn.PReLU(16))
        self.trunk = nn.Sequential(
            *(_Block(16, 16), _Block(16, 16), _Block(16, 32, 2), _Block(32, 32), _Block(32, 32)),
            *(_Block(32, 64, 2), _Block(64, 64), _Block(64, 64), _Block(64, 128, 2), _Block(128, 128)),
            *(_Block(128, 128), _Block(128, 128, 2), _Block(128, 128), _Block(128, 128)),
        )
        self.mesh = nn.Sequential(
            *(_Block(128, 128, 2), _Block(128, 128), _Block(128, 128)),
            *(nn.Conv2d(128, 32, 1), nn.PReLU(32), _Block(32, 32), nn.Conv2d(32, 468 * 3, 3)),
        )
        self.presence = nn.Sequential(
            *(_Block(128, 128, 2), nn.Conv2d(128, 32, 1), nn.PReLU(32), _Block(32, 32), nn.Conv2d(32, 1, 3))
        )

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        features = self.trunk(self.stem(_padded(crops)))
        return self.mesh(features).reshape(-1, 468, 3), self.presence(features).reshape(-1)


class EyeContour(nn.Module):
    """(N, 3, 64, 64) float32 RGB, 0…1, of eyes on the left of the picture → (N, 16, 3) points, px.

    Points 0 to 8 are the lower lid from corner to corner, 9 to 15 the upper one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 64, 3, 2), nn.PReLU(64))
        self.trunk = nn.Sequential(
            *(_Bottleneck(64, 32, 64) for _ in range(4)),
            _Bottleneck(64, 64, 128, 2),
            *(_Bottleneck(128, 64, 128) for _ in range(4)),
            *(_Bottleneck(128, 64, 128, stride) for stride in (2, 1, 1, 2, 1, 1, 2, 1, 1)),
        )
        self.contour = nn.Conv2d(128, _CONTOUR_POINTS * 3, 2)

    def forward(self, crops: Tensor) -> Tensor:
        return self.contour(self.trunk(self.stem(_padded(crops)))).reshape(-1, _CONTOUR_POINTS, 3)


class _Block(nn.Module):
    """Depthwise and pointwise convolution beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.stride, self.more = stride, outputs - inputs
        self.spatial = nn.Conv2d(inputs, inputs, 3, stride, padding=2 - stride, groups=inputs)
        self.mix = nn.Conv2d(inputs, outputs, 1)
        self.act = nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 1:
            return self.act(self.mix(self.spatial(x)).add_(_widened(x, self.more)))
        return self.act(self.mix(self.spatial(_padded(x))).add_(_widened(F.max_pool2d(x, 2), self.more)))


class _Bottleneck(nn.Module):
    """Fewer channels, depthwise and pointwise convolution, beside a shortcut."""

    def __init__(self, inputs: int, inner: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.stride, self.more = stride, outputs - inputs
        self.reduce = nn.Sequential(nn.Conv2d(inputs, inner, stride, stride), nn.PReLU(inner))
        self.spatial = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        self.mix = nn.Conv2d(inner, outputs, 1)
        self.act = nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.stride == 1 else F.max_pool2d(x, 2)
        # in place: a third faster on a CPU
        return self.act(self.mix(self.spatial(self.reduce(x))).add_(_widened(shortcut, self.more)))


def _padded(x: Tensor) -> Tensor:
    """TensorFlow pads a convolution of stride 2 at the right and the bottom only."""
    return F.pad(x, (0, 1, 0, 1))


def _widened(x: Tensor, more: int) -> Tensor:
    """With further channels of zeros."""
    return F.pad(x, (0, 0, 0, 0, 0, more)) if more else x


class StateReader:
    """Both networks, as a :data:`pipeline.faces.classification.ReadStates`.

    :raises InputError: a file of weights is missing or damaged.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._device = torch.device(device)
        self._mesh, self._contour = (
            # twice as fast as with the channels first
            with_weights(net, name).to(self._device).to(memory_format=torch.channels_last)
            for net, name in ((FaceMesh(), "face_mesh"), (EyeContour(), "eye_contour"))
        )

    def __call__(self, crops: NDArray[np.uint8]) -> list[tuple[FaceState, Pose] | None]:
        """As :data:`pipeline.faces.classification.ReadStates`."""
        batches = (crops[start : start + _BATCH] for start in range(0, len(crops), _BATCH))
        return [state for batch in batches for state in self._read(batch)]

    @torch.inference_mode()
    def finds_face(self, crops: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """(N, 192, 192, 3) uint8 RGB → (N,) whether the mesh finds a face."""
        _, presence = self._mesh(self._tensor(crops))
        return np.asarray((presence > 0).cpu().numpy())

    @torch.inference_mode()
    def _read(self, crops: NDArray[np.uint8]) -> list[tuple[FaceState, Pose] | None]:
        points, presence = self._mesh(self._tensor(crops))
        found = np.flatnonzero((presence > 0).cpu().numpy())
        mesh = points.float().cpu().numpy()[found]
        states: list[tuple[FaceState, Pose] | None] = [None] * len(crops)
        if len(found):
            opening = self._eye_opening(crops[found], mesh)
            for row, face, eyes in zip(found.tolist(), mesh, opening.tolist(), strict=True):
                states[row] = FaceState(eyes, mouth_open(face), jaw_open(face)), mesh_pose(face)
        return states

    def _eye_opening(self, crops: NDArray[np.uint8], mesh: NDArray[np.float32]) -> NDArray[np.float64]:
        """(n,) distance of the lids ÷ distance of the eye's corners, of both eyes together."""
        eyes = np.stack([_eye(*both) for both in zip(crops, mesh, strict=True)])
        contour = self._contour(self._tensor(eyes.reshape(-1, *eyes.shape[2:]))).float().cpu().numpy()
        contour = contour.reshape(len(crops), 2, _CONTOUR_POINTS, 3)[..., :2].astype(np.float64)
        width = np.linalg.norm(contour[:, :, _CORNERS[0]] - contour[:, :, _CORNERS[1]], axis=-1)
        lower, upper = np.array(_LIDS).T
        height = np.linalg.norm(contour[:, :, upper] - contour[:, :, lower], axis=-1).mean(axis=-1)
        # the eye that is nearer to the camera is wider, and counts more
        return np.asarray(height.sum(axis=1) / np.maximum(width.sum(axis=1), 1e-6))

    def _tensor(self, pictures: NDArray[np.uint8]) -> Tensor:
        pixels = torch.from_numpy(np.ascontiguousarray(pictures)).to(self._device)
        return pixels.permute(0, 3, 1, 2).float() / 255


def mouth_open(mesh: NDArray[np.float32]) -> float:
    """Distance of the lips' inner edges ÷ distance of the mouth's inner corners.

    :param mesh: (468, 3)
    """
    upper, lower = mesh[list(_LIPS), :2]
    left, right = mesh[list(_MOUTH_CORNERS), :2]
    return float(np.hypot(*(lower - upper)) / max(np.hypot(*(right - left)), 1e-6))


def jaw_open(mesh: NDArray[np.float32]) -> float:
    """Distance of the lower lip's lower edge from the nose's base ÷ distance of the eyes' outer corners.

    :param mesh: (468, 3)
    """
    across = mesh[_EYES[1][0], :2] - mesh[_EYES[0][0], :2]
    down = mesh[_LOWER_LIP, :2] - mesh[_NOSE_BASE, :2]
    return float(np.hypot(*down) / max(np.hypot(*across), 1e-6))


def mesh_pose(mesh: NDArray[np.float32]) -> Pose:
    """Yaw, pitch and roll of the head, degrees, as :func:`pipeline.faces.detection.head_pose`.

    The axes of the head are the line between the outer corners of the eyes, and that from forehead to chin.

    :param mesh: (468, 3)
    """
    across = mesh[_EYES[1][0]] - mesh[_EYES[0][0]]
    forward = np.cross(mesh[_CHIN] - mesh[_FOREHEAD], across).astype(np.float64)
    forward /= max(float(np.linalg.norm(forward)), 1e-6)
    yaw = math.degrees(math.atan2(forward[0], -forward[2])) - _REST[0]
    pitch = math.degrees(math.asin(float(np.clip(-forward[1], -1, 1)))) - _REST[1]
    return yaw, pitch, math.degrees(math.atan2(float(across[1]), float(across[0]))) - _REST[2]


def _eye(crop: NDArray[np.uint8], mesh: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(2, 64, 64, 3): both eyes with level corners, the second one mirrored."""
    eyes = []
    for corners in _EYES:
        left, right = sorted(mesh[list(corners), :2].astype(np.float64), key=lambda corner: float(corner[0]))
        x, y = (right - left) * _EYE_SIDE / _EYE_PX
        matrix = np.array([[x, -y], [y, x]])
        eyes.append(warp(crop, matrix, around((left + right) / 2, matrix, _EYE_PX), _EYE_PX))
    return np.stack([eyes[0], eyes[1][:, ::-1]])
