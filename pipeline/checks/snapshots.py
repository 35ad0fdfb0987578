"""Decode single frames of a recording and detect their faces."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipeline.errors import VideoError
from pipeline.faces.detection import CropSpec, Detector, find_faces
from pipeline.processing.session import QualityLimits, Settings
from pipeline.records import Face, FrameFaces, OnProgress
from pipeline.stats.spread import spread
from pipeline.store.files import atomic
from pipeline.video.container import VideoInfo
from pipeline.video.decoding import picture_at, read_frames
from pipeline.video.prefetch import read_ahead

# This many pictures estimate a share to within 7 points (95 % interval). Fewer are taken above 1080 lines,
# where each takes longer.
PICTURES, _FULL_COUNT_PX = 200, 1080

# Other frames than key frames need the decoding of all frames in between. Limit of the frames to decode if
# there are too few key frames.
_READ_ON, _FEWEST_KEYS = 1200, 20

_READABLE_COLOUR, _UNREADABLE_COLOUR = (60, 200, 90), (255, 150, 0)


_SAMPLE_PICTURES = 8


@dataclass(frozen=True)
class Snapshot:
    """One checked picture.

    :param brightness: mean grey level of the whole picture, 0…1.
    """

    sample: FrameFaces
    brightness: float

    @property
    def face(self) -> Face | None:
        """The largest face, usually that of the patient."""
        return max(self.sample.faces, key=lambda face: face.face_px, default=None)


def choose_frames(info: VideoInfo) -> NDArray[np.int64]:
    """Choose frames: (n,) ascending, evenly spread over the video, at most as many as `process` samples.

    Prefers key frames, because other frames need the decoding of the frames before them.
    """
    most = PICTURES * min(1, _FULL_COUNT_PX / min(info.width, info.height))
    count = max(1, round(min(most, info.duration_s * Settings().sample_fps)))
    frames = np.arange(len(info.time_s))
    if len(info.key) >= _FEWEST_KEYS:
        reach = _READ_ON // len(info.key) if info.seekable and len(info.key) < count else 0
        before = info.key[np.maximum(np.searchsorted(info.key, frames, side="right") - 1, 0)]
        frames = frames[(frames >= before) & (frames <= before + reach)]
    instants = (np.arange(count) + 0.5) / count * info.time_s[-1]
    times = info.time_s[frames]
    return np.unique(frames[np.searchsorted((times[1:] + times[:-1]) / 2, instants)])


def inspect(
    info: VideoInfo,
    detect: Detector,
    crop_spec: CropSpec,
    on_progress: OnProgress = lambda done, total: None,
) -> list[Snapshot]:
    """Decode the chosen pictures of a video and detect their faces.

    :param on_progress: called with (pictures done, pictures in all).
    :raises VideoError: the file can't be opened, or none of the pictures can be decoded.
    """
    index = choose_frames(info)
    looks: list[Snapshot] = []
    for frames in read_ahead(read_frames(info, index)):
        for image, sample in zip(frames.images, find_faces([frames], detect, crop_spec), strict=True):
            grey = Image.fromarray(np.ascontiguousarray(image[::4, ::4])).convert("L")
            looks.append(Snapshot(sample, float(np.asarray(grey).mean() / 255)))
            on_progress(len(looks), len(index))
    if not any(look.sample.decoded for look in looks):
        raise VideoError.about(info.path, "none_decoded", count=len(looks))
    return looks


def write_pictures(info: VideoInfo, looks: Sequence[Snapshot], folder: Path) -> list[Path]:
    """Write some pictures with a box around each face, readable only by the owner. They show faces.

    :raises OutputError: a picture can't be written.
    """
    seen = [look for look in looks if look.sample.decoded]
    chosen = spread(len(seen), _SAMPLE_PICTURES)
    paths = []
    for sample in (seen[number].sample for number in chosen):
        picture = picture_at(info, sample.frame)
        if picture is not None:
            paths.append(folder / f"{info.path.stem}_{sample.time_s:08.2f}s.jpg")
            with atomic(paths[-1]) as partial:
                _with_boxes(picture, sample.faces).save(partial, "JPEG", quality=90)
    return paths


def _with_boxes(picture: NDArray[np.uint8], faces: Sequence[Face]) -> Image.Image:
    drawn = Image.fromarray(np.ascontiguousarray(picture))
    draw, unit = ImageDraw.Draw(drawn), max(1, drawn.height // 360)
    for face in faces:
        faults = QualityLimits().faults(face)
        colour = _UNREADABLE_COLOUR if faults else _READABLE_COLOUR
        x1, y1, x2, y2 = (float(edge) for edge in face.box_xyxy)
        draw.rectangle((x1, y1, max(x1, x2), max(y1, y2)), outline=colour, width=2 * unit)
        words = ", ".join([f"{face.face_px:.0f} px", *faults])
        draw.text((x1, y1), words, colour, ImageFont.load_default(12 * unit), anchor="lb")
    return drawn
