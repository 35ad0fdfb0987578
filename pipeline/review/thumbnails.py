"""Take small pictures of moments from a session's recording, for reports with ``--thumbnails``.

``plain`` shows the patient's face and blurs others; ``blur`` shows what happens around the patient, and blurs
all faces. A face that was never detected around that time is not blurred.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import InputError, TimelineError, VideoError
from pipeline.review.annotated_video import Material, open_material
from pipeline.review.anonymise import FaceTrack, face_tracks, hold_time, pixelate

SIDE_PX = 320
"""Largest length of a picture's longer side, px."""

_QUALITY = 70

# Margin around the patient's face, in sides of the box: the face, or hands, table and visitors too.
_MARGIN = {"plain": 0.6, "blur": 3.0}

# A person may still be in the picture so long after the last detection of the face, and before the first, s.
_STAYS_S = 5.0

# If more of a picture is blurred, it shows nothing.
_MOST_BLURRED = 0.6


class Thumbnails:
    """Take pictures of a folder's sessions, if the recordings are still available.

    :param faces: ``blur`` hides the patient's face too, ``plain`` shows it.
    """

    def __init__(self, out: Path, faces: Literal["blur", "plain"]) -> None:
        self._out, self._faces = out, faces

    def __call__(
        self, patient_id: str, session_id: str, moments_s: Sequence[float]
    ) -> dict[float, bytes | None]:
        """Moment → JPEG file, or ``None`` if blurred faces fill the picture; without unavailable pictures.

        :param moments_s: times of samples in which the patient was found.
        """
        try:
            material = open_material(self._out, patient_id, session_id)
            tracks = face_tracks(material.faces)
            found = {}
            for moment_s in moments_s:
                located = _locate(material, moment_s)
                if located is not None:
                    found[moment_s] = self._picture(material, tracks, *located)
        except (InputError, TimelineError, VideoError):
            return {}  # the recording has moved or changed, or there is no table of faces
        return found

    def _picture(
        self,
        material: Material,
        tracks: Sequence[FaceTrack],
        picture: NDArray[np.uint8],
        time_s: float,
        box_xyxy: NDArray[np.float64],
    ) -> bytes | None:
        shown, hold_s = np.array(picture), hold_time(material.timeline.metadata)
        hidden = np.zeros(shown.shape[:2], bool)
        for track in tracks:
            is_patient = track.role == "patient"
            stays_s = _STAYS_S if self._faces == "blur" and not is_patient else hold_s
            if track.is_near(time_s, stays_s) and not (is_patient and self._faces == "plain"):
                region = track.region_at(time_s)
                pixelate(shown, region)
                left, top, right, bottom = np.clip(region, 0, None).astype(int).tolist()
                hidden[top : bottom + 1, left : right + 1] = True
        left, top, right, bottom = _around(box_xyxy, _MARGIN[self._faces], shown.shape)
        if self._faces == "blur" and hidden[top:bottom, left:right].mean() > _MOST_BLURRED:
            return None
        return _jpeg(Image.fromarray(shown[top:bottom, left:right]))


def _locate(
    material: Material, moment_s: float
) -> tuple[NDArray[np.uint8], float, NDArray[np.float64]] | None:
    """Picture, time and the patient's box of the nearest sample; ``None`` if one of them is missing."""
    rows = material.timeline.rows
    row = rows.row(int(np.abs(rows["time_s"].to_numpy() - moment_s).argmin()), named=True)
    picture = None if row["x1"] is None else material.recording.picture_at(row["frame"])
    if picture is None:
        return None
    return picture, row["time_s"], np.array([row[edge] for edge in ("x1", "y1", "x2", "y2")], np.float64)


def _around(
    box_xyxy: NDArray[np.float64], margin: float, shape: tuple[int, ...]
) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the square around a box, clipped to the picture."""
    half = (0.5 + margin) * float(max(box_xyxy[2:] - box_xyxy[:2]))
    centre = (box_xyxy[:2] + box_xyxy[2:]) / 2
    left, top = np.floor(np.clip(centre - half, 0, None)).astype(int).tolist()
    right, bottom = np.ceil(np.minimum(centre + half, shape[1::-1])).astype(int).tolist()
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _jpeg(picture: Image.Image) -> bytes:
    picture.thumbnail((SIDE_PX, SIDE_PX))
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=_QUALITY)
    return written.getvalue()
