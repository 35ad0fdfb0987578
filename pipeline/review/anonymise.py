"""Interpolate faces between samples, and pixelate them.

Faces are detected a few times per second, but a video has about thirty pictures per second: a box is drawn
where a straight line between two samples leads; the hidden region holds both ends of the line, and grows with
the time to the nearest sample.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.store.timeline import Timeline
from pipeline.video.planes import Planes

# Margins around a detector's box, which ends at brows, ears and chin: hair and outline also identify people.
# Shares of the box's longer side.
_SIDES, _ABOVE, _BELOW = 0.35, 0.55, 0.35

# Speed of a head that returns before the next sample, box sides per second.
_DRIFT = 0.5
_MAX_MARGIN = 1.0

# Cells along a region's longer side, two or three across the face. Colours have few levels, because many
# pictures of a slightly moving face would otherwise reveal more than one picture.
_CELLS, _LEVEL = 5, 16


@dataclass(frozen=True)
class FaceTrack:
    """The track of a face through a session.

    :param role: one of :data:`pipeline.records.ROLES`.
    :param time_s: (n,) ascending, times of the samples with this face.
    :param boxes_xyxy: (n, 4) px, boxes at these times.
    """

    role: str
    time_s: NDArray[np.float64]
    boxes_xyxy: NDArray[np.float64]

    def box_at(self, time_s: float) -> NDArray[np.float64]:
        """(4,) px: interpolated linearly between samples; constant before the first and after the last."""
        before, after, share = self._around(time_s)
        box: NDArray[np.float64] = (1 - share) * self.boxes_xyxy[before] + share * self.boxes_xyxy[after]
        return box

    def region_at(self, time_s: float) -> NDArray[np.float64]:
        """(4,) px: region that contains the whole head, for any movement between samples.

        A head can make its whole way just after a sample or just before the next one, so the region holds
        the boxes of both; a margin that grows with the time to the nearer sample holds a head that returns.
        """
        before, after, _ = self._around(time_s)
        both = self.boxes_xyxy[[before, after]]
        side = float((both[:, 2:] - both[:, :2]).max())
        unseen_s = float(np.abs(self.time_s[[before, after]] - time_s).min())
        margin = min((self._speed(time_s) + _DRIFT * side) * unseen_s, _MAX_MARGIN * side)
        hull = np.concatenate([both[:, :2].min(axis=0), both[:, 2:].max(axis=0)])
        region: NDArray[np.float64] = (
            hull + side * np.array([-_SIDES, -_ABOVE, _SIDES, _BELOW]) + margin * np.array([-1, -1, 1, 1])
        )
        return region

    def is_near(self, time_s: float, hold_s: float) -> bool:
        """Whether that time is in the track, or at most ``hold_s`` before or after it."""
        return bool(self.time_s[0] - hold_s <= time_s <= self.time_s[-1] + hold_s)

    def has_sample(self, time_s: float) -> bool:
        """Whether the face was detected in the sample of exactly this time."""
        row = int(np.searchsorted(self.time_s, time_s))
        return row < len(self.time_s) and bool(self.time_s[row] == time_s)

    def _around(self, time_s: float) -> tuple[int, int, float]:
        """The samples before and after a time, and how far it is from one to the other, 0…1."""
        after = int(np.searchsorted(self.time_s, time_s))
        if after in (0, len(self.time_s)):
            row = min(after, len(self.time_s) - 1)
            return row, row, 0.0
        before_s, after_s = self.time_s[after - 1], self.time_s[after]
        return after - 1, after, float((time_s - before_s) / (after_s - before_s))

    def _speed(self, time_s: float) -> float:
        """px/s, between the two samples around that time, or nearest to it."""
        if len(self.time_s) < 2:
            return 0.0
        after = int(np.clip(np.searchsorted(self.time_s, time_s), 1, len(self.time_s) - 1))
        x1, y1, x2, y2 = self.boxes_xyxy[after] - self.boxes_xyxy[after - 1]
        return math.hypot(x1 + x2, y1 + y2) / 2 / float(self.time_s[after] - self.time_s[after - 1])


def face_tracks(faces: Timeline, scale: tuple[float, float] = (1.0, 1.0)) -> list[FaceTrack]:
    """All face tracks of a session.

    :param faces: from :func:`pipeline.store.timeline.read_faces`.
    :param scale: factors from the recording's pixels to output pixels, horizontal and vertical.
    """
    columns = ("time_s", "x1", "y1", "x2", "y2")
    groups = faces.rows.sort("time_s").group_by("track", "role", maintain_order=True)
    tracks = []
    for (_, role), rows in groups:
        time_s, *edges = (rows[name].to_numpy().astype(np.float64) for name in columns)
        tracks.append(FaceTrack(str(role), time_s, np.stack(edges, 1) * (scale * 2)))
    return tracks


def hold_time(metadata: Mapping[str, Any]) -> float:
    """Time, s, for which a face is also hidden before its first and after its last detection.

    A new face is detected at the next key sample at the latest.

    :param metadata: of a timeline.
    """
    settings = metadata["settings"]
    step_s = max(1 / settings["sample_fps"], 1 / metadata["video"]["frame_rate"])
    return float(settings["key_interval_s"]) + 2 * step_s


def pixelate(picture: NDArray[np.uint8], region_xyxy: NDArray[np.float64]) -> None:
    """Replace the region by a few cells of colour that run into each other, in place.

    The face can't be restored, because only the cells are kept.

    :param picture: (H, W, 3) or (H, W) uint8, such as RGB or one plane of YUV.
    :param region_xyxy: (4,) px; may reach beyond the picture.
    """
    height, width = picture.shape[:2]
    edges = np.concatenate([np.floor(region_xyxy[:2]), np.ceil(region_xyxy[2:])])
    left, top, right, bottom = np.clip(edges, 0, (width, height, width, height)).astype(int).tolist()
    if left >= right or top >= bottom:
        return
    # cell size from the whole region, so that a face partly outside the picture gets no finer cells
    cell_px = max(1.0, float((region_xyxy[2:] - region_xyxy[:2]).max()) / _CELLS)
    size = (right - left, bottom - top)
    across, down = (max(1, round(length / cell_px)) for length in size)
    hidden = Image.fromarray(picture[top:bottom, left:right])
    few = np.asarray(hidden.resize((across, down), Image.Resampling.BOX)).astype(np.uint16)
    # to the nearest level: grey, 128 in planes of colour, stays grey
    few = np.minimum((few + _LEVEL // 2) // _LEVEL * _LEVEL, 255).astype(np.uint8)
    shown = Image.fromarray(few).resize(size, Image.Resampling.BILINEAR)
    picture[top:bottom, left:right] = np.asarray(shown)


def pixelate_planes(picture: Planes, regions_xyxy: Sequence[NDArray[np.float64]]) -> None:
    """As :func:`pixelate`, of regions of a picture in YUV; leaves out a region that lies within another."""
    whole = np.array([picture.width, picture.height] * 2, float)
    left: list[NDArray[np.float64]] = []
    for region in sorted(regions_xyxy, key=lambda one: -float(np.prod(one[2:] - one[:2]))):
        shown = np.clip(region, 0, whole)
        if any((shown[:2] >= other[:2]).all() and (shown[2:] <= other[2:]).all() for other in left):
            continue
        left.append(region)
        for plane in picture.each:
            pixelate(plane, region * plane.shape[1] / picture.width)
