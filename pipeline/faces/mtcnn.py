"""MTCNN (Zhang et al. 2016): its three networks, each run on a whole batch at once.

Networks, weights, thresholds and box arithmetic are facenet-pytorch's. facenet-pytorch crops and resizes box
by box; here all boxes are sampled together, from frames halved as far as the crop size allows.

Pictures and networks are on the device, boxes on the host: there are few, and a GPU would wait for each step.
"""

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from facenet_pytorch.models.mtcnn import ONet, PNet, RNet
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.ops import batched_nms

from pipeline.errors import InputError
from pipeline.faces.detection import DEFAULT_MIN_FACE_PX, FACE_THRESHOLD, Detections

# PNet's window and stride, and the crops of RNet and ONet, px.
_WINDOW_PX, _STRIDE_PX, _RNET_PX, _ONET_PX = 12, 2, 24, 48

# As in facenet-pytorch, but for PNet's threshold (0.6 there); the third threshold is the caller's.
_PYRAMID_FACTOR = 0.709
_PNET_THRESHOLD, _RNET_THRESHOLD = 0.55, 0.7

# RNet's doubtful boxes are looked at too, but count only where no other box is. With these and PNet's lower
# threshold, 2 % more of FER2013's faces are found, and in 639 pictures without a face, none.
_RNET_DOUBTFUL = 0.3
_LEVEL_OVERLAP, _OVERLAP = 0.5, 0.7

# Minimum resolution of the source frame, as a multiple of the level's or crop's. With 1.0 for all, fewer
# boxes agree with facenet-pytorch's, because small differences decide between neighbouring boxes.
_LEVEL_FINER, _RNET_FINER, _ONET_FINER = 2.0, 1.5, 1.0

# Batch limits: activations stay below 32 MB, above which the allocator maps memory for each one.
_CALL_PIXELS, _CALL_CROPS = 400_000, 128


class Cascade:
    """Detect faces, or refine approximate boxes.

    :param min_face_px: smallest side of a face to detect, px.
    :raises InputError: the size is below the first network's window.
    """

    def __init__(self, min_face_px: int = DEFAULT_MIN_FACE_PX, device: torch.device | str = "cpu") -> None:
        if min_face_px < _WINDOW_PX:
            raise InputError(f"`min_face_px` {min_face_px}: give {_WINDOW_PX} px or more.")
        self._min_face_px = min_face_px
        self._device = torch.device(device)
        pnet, self._rnet, self._onet = (_on_pixels(net) for net in (PNet(), RNet(), ONet()))
        convolution, act, pool, *others = list(pnet.children())[:-3]
        self._trunk = nn.Sequential(_Pooled(convolution, act, pool), *others)
        for net in (pnet, self._trunk, self._rnet, self._onet):
            net.to(self._device).to(memory_format=torch.channels_last)
        self._face, self._shift = _convolution(pnet, "conv4_1"), _convolution(pnet, "conv4_2")

    @torch.inference_mode()
    def __call__(self, images: NDArray[np.uint8], threshold: float = FACE_THRESHOLD) -> list[Detections]:
        """(B, H, W, 3) uint8 RGB → the faces of each picture, largest first.

        :param threshold: probability above which a detection is a face, 0…1.
        """
        _, height, width, _ = images.shape
        if min(height, width) < self._min_face_px:
            return [Detections.none()] * len(images)
        step = max(1, int(_CALL_PIXELS / (height * width * (_WINDOW_PX / self._min_face_px) ** 2)))
        calls = (images[start : start + step] for start in range(0, len(images), step))
        return [found for call in calls for found in self._detect(call, threshold)]

    @torch.inference_mode()
    def refine(
        self, images: NDArray[np.uint8], boxes_xyxy: NDArray[np.float32], frame: NDArray[np.int64]
    ) -> Detections:
        """Refine approximate boxes, such as interpolated ones.

        :param images: (B, H, W, 3) uint8 RGB.
        :param boxes_xyxy: (n, 4) px.
        :param frame: (n,) row of ``images`` for each box.
        :returns: one row per box, in order; probability 0 if a box lies outside the picture.
        """
        if not len(boxes_xyxy):
            return Detections.none()
        boxes = _squares(torch.from_numpy(boxes_xyxy).float())
        longest_px = float((boxes[:, 2] - boxes[:, 0]).max())
        corner, part = _around(images, boxes_xyxy, longest_px / 2)
        used, row = np.unique(frame, return_inverse=True)
        frames = self._frames(part[used], side_px=longest_px, crop_px=4 * _RNET_PX)
        boxes -= torch.tensor(corner + corner)
        of = torch.from_numpy(row)
        answers = _ask(self._rnet, _RNET_PX, _RNET_FINER, frames, boxes, of)
        boxes, score, landmarks = self._locate(frames, _squares(_shifted(boxes, answers[:, :4])), of)
        boxes += torch.tensor(corner + corner)
        landmarks += torch.tensor(corner)
        return Detections(boxes.numpy(), score.numpy(), landmarks.numpy())

    def _frames(self, images: NDArray[np.uint8], side_px: float, crop_px: int) -> list[Tensor]:
        """(B, H, W, 3) → the same, halved, halved again … while ``side_px`` stays above ``crop_px``."""
        frames = [torch.from_numpy(np.ascontiguousarray(images)).to(self._device)]
        while side_px >= 2 * crop_px and min(frames[-1].shape[1:3]) > 1:
            _, height, width, _ = frames[-1].shape
            frames.append(_interpolated(frames[-1], height // 2, width // 2))
            side_px /= 2
        return frames

    def _detect(self, images: NDArray[np.uint8], threshold: float) -> list[Detections]:
        frames = self._frames(images, side_px=min(images.shape[1:3]), crop_px=_RNET_PX)
        boxes, frame, doubtful = self._select(frames, *self._propose(frames))
        boxes, score, landmarks = self._locate(frames, boxes, frame)
        likely = (score > threshold).nonzero()[:, 0]
        rank = score - doubtful.to(score)  # below all others
        kept = likely[_outermost(boxes[likely], rank[likely], frame[likely])]
        kept = kept[(boxes[kept, 2:] - boxes[kept, :2]).prod(dim=1).argsort(descending=True)]
        kept = kept[frame[kept].argsort(stable=True)]
        ends = torch.bincount(frame[kept], minlength=len(images)).cumsum(0)[:-1].tolist()
        columns = (np.split(column[kept].numpy(), ends) for column in (boxes, score, landmarks))
        return [Detections(*found) for found in zip(*columns, strict=True)]

    def _scales(self, shorter_px: int) -> Iterator[float]:
        """Scales from "the smallest face fills PNet's window" down to "the shorter side fills the window"."""
        factor = 1.0
        while shorter_px * factor >= self._min_face_px:
            yield factor * _WINDOW_PX / self._min_face_px
            factor *= _PYRAMID_FACTOR

    def _propose(self, frames: list[Tensor]) -> tuple[Tensor, Tensor]:
        """PNet on every level of the pyramid → (n, 4) square boxes, (n,) frame."""
        found = [self._propose_at(scale, frames) for scale in self._scales(min(frames[0].shape[1:3]))]
        boxes, shift, score, frame = (torch.cat(column) for column in zip(*found, strict=True))
        kept = batched_nms(boxes, score, frame, _OVERLAP)
        boxes, shift = boxes[kept], shift[kept]
        return _squares(boxes + shift * (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)), frame[kept]

    def _propose_at(self, scale: float, frames: list[Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """→ windows that may hold a face: (n, 4) px of the frame, (n, 4) shift, (n,) score, (n,) frame."""
        level = _level(frames, *(int(side * scale + 1) for side in frames[0].shape[1:3]))
        features = self._trunk(level.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        # the softmax of two values is the sigmoid of their difference
        score = F.linear(features, self._face.weight.flatten(1), self._face.bias).diff()[..., 0].sigmoid()
        places = (score >= _PNET_THRESHOLD).nonzero()
        where = places.unbind(dim=1)
        shift = self._shift(features[where][..., None, None]).flatten(1)
        # to the host at once; as float32, places are still exact
        found = torch.cat([places, shift, score[where][:, None]], dim=1).cpu()
        (frame, row, column), shift, score = found[:, :3].long().unbind(dim=1), found[:, 3:7], found[:, 7]
        corner = torch.stack([column, row], dim=1) * _STRIDE_PX
        boxes = torch.cat([corner + 1, corner + _WINDOW_PX], dim=1).div(scale).floor()
        kept = batched_nms(boxes, score, frame, _LEVEL_OVERLAP)
        return boxes[kept], shift[kept], score[kept], frame[kept]

    def _select(self, frames: list[Tensor], boxes: Tensor, frame: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """RNet on (n, 4) square boxes → (m, 4) better square boxes, (m,) frame, (m,) whether RNet doubts."""
        answers = _ask(self._rnet, _RNET_PX, _RNET_FINER, frames, boxes, frame)
        likely = (answers[:, -1] > _RNET_DOUBTFUL).nonzero()[:, 0]
        kept = likely[batched_nms(boxes[likely], answers[likely, -1], frame[likely], _OVERLAP)]
        better = _squares(_shifted(boxes[kept], answers[kept, :4]))
        return better, frame[kept], answers[kept, -1] <= _RNET_THRESHOLD

    def _locate(self, frames: list[Tensor], boxes: Tensor, frame: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """ONet on (n, 4) square boxes → (n, 4) boxes, (n,) score, (n, 5, 2) landmarks."""
        answers = _ask(self._onet, _ONET_PX, _ONET_FINER, frames, boxes, frame)
        sides = boxes[:, None, 2:] - boxes[:, None, :2] + 1
        points = answers[:, 4:14].view(-1, 2, 5).transpose(1, 2)
        return _shifted(boxes, answers[:, :4]), answers[:, -1], boxes[:, None, :2] + sides * points - 1


class _Pooled(nn.Module):
    """A convolution, PReLU and max pooling, pooled before PReLU: the same numbers, from fewer values.

    PReLU of a channel with a negative slope falls, then rises: its largest value in a window is that of the
    window's largest or smallest input. The smallest is the largest of the negated channel. All other channels
    rise, so the largest input gives the largest value.
    """

    falling: Tensor

    def __init__(self, convolution: nn.Module, act: nn.Module, pool: nn.Module) -> None:
        super().__init__()
        assert isinstance(convolution, nn.Conv2d)
        assert isinstance(act, nn.PReLU)
        assert convolution.bias is not None
        falling = (act.weight < 0).nonzero()[:, 0]
        weight = torch.cat([convolution.weight, -convolution.weight[falling]])
        bias = torch.cat([convolution.bias, -convolution.bias[falling]])
        self.weight, self.bias = (nn.Parameter(values, requires_grad=False) for values in (weight, bias))
        self.slope = nn.Parameter(-act.weight[falling][:, None, None], requires_grad=False)
        self.register_buffer("falling", falling)
        self.act, self.pool, self.channels = act, pool, convolution.out_channels

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.pool(F.conv2d(x, self.weight, self.bias))
        values: Tensor = self.act(pooled[:, : self.channels])
        of_smallest = pooled[:, self.channels :] * self.slope
        values[:, self.falling] = torch.maximum(values[:, self.falling], of_smallest)
        return values


def _on_pixels(net: nn.Module) -> nn.Module:
    """Fold the input scaling (x - 127.5) / 128 into the first layer: the network takes 0…255."""
    first = _convolution(net.requires_grad_(False), "conv1")
    assert first.bias is not None
    first.weight /= 128
    first.bias -= 127.5 * first.weight.sum(dim=(1, 2, 3))
    return net


def _around(
    images: NDArray[np.uint8], boxes_xyxy: NDArray[np.float32], margin_px: float
) -> tuple[tuple[int, int], NDArray[np.uint8]]:
    """The part of the pictures around the boxes, and its upper left corner.

    The corner is a multiple of 16 px, so that halving gives the same pixels as in the whole picture.
    """
    _, height, width, _ = images.shape
    low, high = boxes_xyxy[:, :2].min(axis=0) - margin_px, boxes_xyxy[:, 2:].max(axis=0) + margin_px
    left, top = (
        max(0, min(int(low[axis]), side - 1)) // 16 * 16 for axis, side in enumerate((width, height))
    )
    right, bottom = max(left + 1, math.ceil(high[0])), max(top + 1, math.ceil(high[1]))
    return (left, top), images[:, top:bottom, left:right]


def _convolution(net: nn.Module, name: str) -> nn.Conv2d:
    layer = net.get_submodule(name)
    assert isinstance(layer, nn.Conv2d)
    return layer


def _ask(
    net: nn.Module, side: int, finer: float, frames: list[Tensor], boxes: Tensor, frame: Tensor
) -> Tensor:
    """Run a network on each box → (n, outputs) on the host: shift first, face score last.

    A box outside the picture keeps its row, with score 0.
    """
    if not len(boxes):
        return boxes.new_zeros(0, 16)
    picture = torch.tensor(frames[0].shape[2:0:-1])
    # the networks count pixels from 1: they were trained in MATLAB
    first = (boxes[:, :2].long() - 1).clamp(min=0)
    end = torch.minimum(boxes[:, 2:].long(), picture)
    inside = (end > first).all(dim=1, keepdim=True)
    first = torch.minimum(first, picture - 1)
    end = torch.maximum(end, first + 1)
    longer = (end - first).amax(dim=1)
    halvings = (longer / (finer * side)).log2().floor().clamp(0, len(frames) - 1)
    # sort by size, so that a large box does not enlarge the patches of many small ones
    order = longer.argsort()
    calls = [
        (f, rows) for k, f in enumerate(frames) for rows in order[halvings[order] == k].split(_CALL_CROPS)
    ]
    calls = [(image, rows) for image, rows in calls if len(rows)]
    crops = (_crops(image, frame[rows], first[rows], end[rows], picture, side) for image, rows in calls)
    answers = torch.cat([torch.cat(net(crop), dim=1) for crop in crops]).cpu()
    answers = answers[torch.cat([rows for _, rows in calls]).argsort()]
    answers[:, -1:] *= inside
    return answers


def _crops(image: Tensor, frame: Tensor, first: Tensor, end: Tensor, picture: Tensor, side: int) -> Tensor:
    """Crop [first, end), (n, 2) px of the full picture, from a halved one → (n, 3, side, side) float."""
    _, height, width, _ = image.shape
    scale = (torch.tensor([width, height]) / picture)[:, None]
    start, stop = ((first[..., None] + edge) * scale for edge in _parts(end - first, side))
    corner = start[..., 0].floor().long()
    across, down = (stop[..., -1].ceil().long() - corner).amax(dim=0).tolist()
    # all patches have one size: near the right and lower edges they begin earlier
    corner = torch.minimum(corner, torch.tensor([width - across, height - down]))
    column = corner[:, :1] + torch.arange(across)
    line = corner[:, 1:] + torch.arange(down)
    pixel = ((frame[:, None] * height + line) * width + corner[:, :1]).flatten()
    shares_of_columns = _shares(column[:, None], start[:, 0], stop[:, 0]).to(image.device)
    shares_of_lines = _shares(line[:, None], start[:, 1], stop[:, 1]).to(image.device)
    runs = image.as_strided((image.numel() // 3 - across + 1, 3 * across), (3, 1))
    patches = runs.index_select(0, pixel.to(image.device)).view(-1, down, 3 * across)
    lines = torch.bmm(shares_of_lines, patches.float()).view(-1, side, across, 3)
    return torch.einsum("nyxc,nzx->nyzc", lines, shares_of_columns).permute(0, 3, 1, 2)


def _interpolated(image: Tensor, height: int, width: int) -> Tensor:
    """(B, H, W, 3) uint8 → (B, height, width, 3) uint8; halving is the exact mean of 2 × 2 px."""
    half = image.shape[1] // 2 == height
    planes = image.permute(0, 3, 1, 2)
    smaller = F.interpolate(planes, size=(height, width), mode="bilinear", antialias=not half)
    return smaller.permute(0, 2, 3, 1).contiguous()


def _level(frames: list[Tensor], height: int, width: int) -> Tensor:
    """→ (B, height, width, 3) float: the frame's area interpolation, as in facenet-pytorch.

    A level from the full frame is interpolated as bytes, for which PyTorch has much faster kernels.
    """
    _, full_height, full_width, _ = frames[0].shape
    image = next((half for half in reversed(frames[1:]) if half.shape[1] >= _LEVEL_FINER * height), None)
    if image is None:
        return _interpolated(frames[0], height, width).float()
    batch, lines, columns, _ = image.shape
    rows = _means(image.view(batch, lines, columns * 3).float(), height, full_height)
    return _means(rows.view(batch * height, columns, 3), width, full_width).view(batch, height, width, 3)


def _means(values: Tensor, count: int, length: int) -> Tensor:
    """(n, m, C) → (n, count, C): means over parts of an axis that had ``length`` px before halving."""
    n, m, channels = values.shape
    pixel, shares = (table.to(values.device) for table in _bags(m, count, length))
    bags = pixel + m * torch.arange(n, device=values.device)[:, None, None]
    table = values.reshape(n * m, channels)
    means = F.embedding_bag(bags.flatten(0, 1), table, per_sample_weights=shares.repeat(n, 1), mode="sum")
    return means.view(n, count, channels)


@lru_cache(maxsize=64)
def _bags(m: int, count: int, length: int) -> tuple[Tensor, Tensor]:
    """(count, P) pixels of each part of an axis of ``m`` px, and their shares."""
    start, stop = (edge * (m / length) for edge in _parts(torch.tensor(length), count))
    reach = int((stop.ceil() - start.floor()).max())
    pixel = start.floor().long()[:, None] + torch.arange(reach)
    return pixel.clamp(max=m - 1), _shares(pixel, start, stop)


def _parts(length: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """(…) px → (…, count) starts and stops of equal parts, in whole pixels as in PyTorch's mode "area"."""
    number = torch.arange(count)
    return length[..., None] * number // count, -(-length[..., None] * (number + 1) // count)


def _shares(pixel: Tensor, start: Tensor, stop: Tensor) -> Tensor:
    """(…, P), (…), (…) → (…, P): how much each pixel contributes to the mean over [start, stop)."""
    start, stop = start[..., None], stop[..., None]
    return (torch.minimum(pixel + 1, stop) - torch.maximum(pixel, start)).clamp(min=0) / (stop - start)


def _shifted(boxes: Tensor, shift: Tensor) -> Tensor:
    """Move each edge by a share of the box's side; the side includes the last pixel."""
    return boxes + shift * (boxes[:, 2:] - boxes[:, :2] + 1).repeat(1, 2)


def _squares(boxes: Tensor) -> Tensor:
    """Squares with the same centres and the longer sides."""
    sides = boxes[:, 2:] - boxes[:, :2]
    longer = sides.amax(dim=1, keepdim=True)
    corner = boxes[:, :2] + (sides - longer) / 2
    return torch.cat([corner, corner + longer], dim=1)


def _outermost(boxes: Tensor, score: Tensor, frame: Tensor) -> Tensor:
    """Non-maximum suppression by intersection ÷ smaller area → (k,) kept rows, best first."""
    order = score.argsort(descending=True, stable=True)
    boxes, frame = boxes[order], frame[order]
    corner = torch.maximum(boxes[:, None, :2], boxes[None, :, :2])
    sides = torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - corner + 1
    areas = (boxes[:, 2:] - boxes[:, :2] + 1).prod(dim=1)
    share = sides.clamp(min=0).prod(dim=2) / torch.minimum(areas[:, None], areas)
    hides = ((share > _OVERLAP) & (frame[:, None] == frame)).tril(-1)
    # A box stays if no better box that stays suppresses it. Each pass decides at least one more box; few are
    # needed.
    stays, before = torch.ones_like(order, dtype=torch.bool), None
    while before is None or not torch.equal(stays, before):
        stays, before = ~(hides & stays).any(dim=1), stays
    return order[stays]
