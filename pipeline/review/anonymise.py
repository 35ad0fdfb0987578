"""Interpolate faces between samples, and pixelate them.

Faces are detected a few times per second, but a video has about thirty pictures per second: between two
samples a face is assumed to move in a straight line, and the hidden region grows with the time to the nearest
sample.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from pipeline.store.timeline import Timeline

# Margins around a detector's box, which ends at brows, ears and chin: hair and outline also identify people.
# Shares of the box's longer side.
_SIDES, _ABOVE, _BELOW = 0.35, 0.55, 0.35

# Speed of a head that returns before the next sample, box sides per second.
_DRIFT = 0.5
_MAX_MARGIN = 1.0

# Cells along a region's longer side, two or three across the face. Colours have few levels, because many
# pictures of a slightly moving face would otherwise reveal more than one picture.
_CELLS, _LEVEL = 5, 16
_SMALL_PX = 8


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
        return np.array([np.interp(time_s, self.time_s, edge) for edge in self.boxes_xyxy.T])

    def region_at(self, time_s: float) -> NDArray[np.float64]:
        """(4,) px: region that contains the whole head, for any movement between samples."""
        box = self.box_at(time_s)
        side = max(box[2] - box[0], box[3] - box[1])
        unseen_s = np.abs(self.time_s - time_s).min()
        margin = min((self._speed_at(time_s) + _DRIFT * side) * unseen_s, _MAX_MARGIN * side)
        return box + side * np.array([-_SIDES, -_ABOVE, _SIDES, _BELOW]) + margin * np.array([-1, -1, 1, 1])

    def _speed_at(self, time_s: float) -> float:
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


def pixelate(picture: Image.Image, region_xyxy: NDArray[np.float64]) -> None:
    """Replace the region by a few cells of colour with blurred edges, in place.

    The face can't be restored, because only the cells are kept.

    :param region_xyxy: (4,) px; may reach beyond the picture.
    """
    edges = np.concatenate([np.floor(region_xyxy[:2]), np.ceil(region_xyxy[2:])])
    left, top, right, bottom = np.clip(edges, 0, (*picture.size, *picture.size)).astype(int).tolist()
    if left >= right or top >= bottom:
        return
    # cell size from the whole region, so that a face partly outside the picture gets no finer cells
    cell_px = max(1.0, float((region_xyxy[2:] - region_xyxy[:2]).max()) / _CELLS)
    size = (right - left, bottom - top)
    across, down = (max(1, round(length / cell_px)) for length in size)
    few = picture.crop((left, top, right, bottom)).resize((across, down), Image.Resampling.BOX)
    few = few.point(lambda value: value // _LEVEL * _LEVEL + _LEVEL // 2)
    # blur before enlarging: thirty times as fast for a large face
    small = few.resize((across * _SMALL_PX, down * _SMALL_PX), Image.Resampling.NEAREST)
    small = small.filter(ImageFilter.GaussianBlur(_SMALL_PX / 2))
    picture.paste(small.resize(size, Image.Resampling.BILINEAR), (left, top))
