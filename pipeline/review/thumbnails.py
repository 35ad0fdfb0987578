"""Take small pictures of moments from a session's recording, for reports with ``--thumbnails``.

They show the patient's face or blur it, as requested, and blur other detected faces. A face that was not
detected is not blurred.
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

SIDE_PX = 256
"""Largest length of a picture's longer side, px."""

_QUALITY = 80

# Margin around the patient's face, in sides of the box; a blurred picture shows only posture and needs more.
_MARGIN = {"plain": 0.6, "blur": 1.2}


class Thumbnails:
    """Take pictures of a folder's sessions, if the recordings are still available.

    :param faces: ``blur`` hides the patient's face too, ``plain`` shows it.
    """

    def __init__(self, out: Path, faces: Literal["blur", "plain"]) -> None:
        self._out, self._faces = out, faces

    def __call__(self, patient_id: str, session_id: str, moments_s: Sequence[float]) -> dict[float, bytes]:
        """Moment → JPEG file; unavailable pictures are left out.

        :param moments_s: times of samples in which the patient was found.
        """
        try:
            material = open_material(self._out, patient_id, session_id)
            found = {moment_s: self._picture(material, moment_s) for moment_s in moments_s}
        except (InputError, TimelineError, VideoError):
            return {}  # the recording has moved or changed, or there is no table of faces
        return {moment_s: jpeg for moment_s, jpeg in found.items() if jpeg is not None}

    def _picture(self, material: Material, moment_s: float) -> bytes | None:
        rows = material.timeline.rows
        row = rows.row(int(np.abs(rows["time_s"].to_numpy() - moment_s).argmin()), named=True)
        if row["x1"] is None:
            return None
        picture = material.recording.picture_at(row["frame"])
        if picture is None:
            return None
        shown = np.array(picture)
        for track in _near(material, row["time_s"]):
            if self._faces == "blur" or track.role != "patient":
                pixelate(shown, track.region_at(row["time_s"]))
        box = np.array([row[edge] for edge in ("x1", "y1", "x2", "y2")])
        return _jpeg(_cut(Image.fromarray(shown), box, _MARGIN[self._faces]))


def _near(material: Material, time_s: float) -> list[FaceTrack]:
    """Tracks of people detected around this time."""
    hold_s = hold_time(material.timeline.metadata)
    tracks = face_tracks(material.faces)
    return [t for t in tracks if t.time_s[0] - hold_s <= time_s <= t.time_s[-1] + hold_s]


def _cut(picture: Image.Image, box_xyxy: NDArray[np.float64], margin: float) -> Image.Image:
    """The square around a box, clipped to the picture."""
    half = (0.5 + margin) * float(max(box_xyxy[2:] - box_xyxy[:2]))
    centre = (box_xyxy[:2] + box_xyxy[2:]) / 2
    left, top = np.floor(np.clip(centre - half, 0, None)).astype(int).tolist()
    right, bottom = np.ceil(np.minimum(centre + half, picture.size)).astype(int).tolist()
    return picture.crop((left, top, max(right, left + 1), max(bottom, top + 1)))


def _jpeg(picture: Image.Image) -> bytes:
    picture.thumbnail((SIDE_PX, SIDE_PX))
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=_QUALITY)
    return written.getvalue()
