"""Crop a benchmark's faces as in a session: encode them as video, detect them, and crop them.

Benchmarks measure accuracy on their own crops, but a session uses the pipeline's crops. Here each picture
becomes one frame of a compressed video, which passes through the stages of a session.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torchvision.ops import box_iou

from pipeline.errors import VideoError
from pipeline.faces.detection import CropSpec, Detector, find_faces
from pipeline.records import Face
from pipeline.video.container import probe
from pipeline.video.decoding import SampledVideo

WIDTH, HEIGHT = 640, 360

# Side to which a picture is enlarged, px: three times FER2013's. The face then has about 130 px.
FACE_PX = 144
_LEFT, _TOP = (WIDTH - FACE_PX) // 2, (HEIGHT - FACE_PX) // 2
_PLACE_XYXY = (_LEFT, _TOP, _LEFT + FACE_PX, _TOP + FACE_PX)
_MARGINS = ((_TOP, HEIGHT - FACE_PX - _TOP), (_LEFT, WIDTH - FACE_PX - _LEFT))

_WALL_BLUR_PX = FACE_PX / 8

# Smallest IoU of a box and the picture for the box to be of the picture's face.
_MIN_IOU = 0.3

_FRAMES_PER_S = 25

# x264's default: a PSNR of 41 dB for FER2013 (median).
_CRF = "23"

# Pictures per video: a decoded video must fit into memory.
_CHUNK = 256


@dataclass(frozen=True)
class Recut:
    """Crops of N pictures from a video.

    :param crops: (N, crop_px, crop_px, 3) uint8 RGB; zeros where no face was found.
    :param found: (N,) bool.
    """

    crops: NDArray[np.uint8]
    found: NDArray[np.bool_]


def recut(
    images: NDArray[np.uint8],
    detect: Detector,
    crop_spec: CropSpec,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Recut:
    """Encode the faces as video, detect them, and crop them as in a session.

    :param images: (N, S, S) uint8 grey, one face per picture.
    :param on_progress: called with (pictures done, total pictures).
    :raises VideoError: the video, or a picture in it, can't be read.
    """
    crops = np.zeros((len(images), crop_spec.crop_px, crop_spec.crop_px, 3), np.uint8)
    found = np.zeros(len(images), bool)
    with TemporaryDirectory() as folder:
        film = Path(folder) / "film.mp4"
        for start in range(0, len(images), _CHUNK):
            pictures = images[start : start + _CHUNK]
            _film(pictures, film)
            video = _video(film, len(pictures))
            for row, sample in enumerate(find_faces(video, detect, crop_spec), start):
                face = _shown(sample.faces)
                if face is not None:
                    crops[row], found[row] = face.crop, True
                on_progress(row + 1, len(images))
    return Recut(crops, found)


def _film(images: NDArray[np.uint8], path: Path) -> None:
    """Write H.264 with one key frame per picture: consecutive pictures show different people."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=_FRAMES_PER_S)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": _CRF}
        stream.gop_size = 1
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(_frame(image))))
        container.mux(stream.encode(None))


def _frame(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(S, S) grey → (HEIGHT, WIDTH, 3) RGB, the picture in the middle.

    The surroundings repeat the picture's edges, blurred. Of 300 faces of FER2013 the detector then finds 92
    %; with plain grey, sharp edges or mirrored surroundings 86–88 %.
    """
    face = Image.fromarray(image).resize((FACE_PX, FACE_PX), Image.Resampling.BICUBIC)
    wall = Image.fromarray(np.pad(np.asarray(face), _MARGINS, mode="edge"))
    frame = wall.filter(ImageFilter.GaussianBlur(_WALL_BLUR_PX))
    frame.paste(face, (_LEFT, _TOP))
    return np.asarray(frame.convert("RGB"))


def _video(path: Path, pictures: int) -> SampledVideo:
    """Container information with every frame as a sample."""
    video = SampledVideo(probe(path), _FRAMES_PER_S)
    if len(video) != pictures:
        raise VideoError(f"{path}: {len(video)} of {pictures} pictures came back from FFmpeg.")
    return video


def _shown(faces: tuple[Face, ...]) -> Face | None:
    """The face of the picture: the one nearest to the middle of the frame, if it lies in the picture."""
    if not faces:
        return None
    boxes = torch.from_numpy(np.stack([face.box_xyxy for face in faces]))
    place = torch.tensor([_PLACE_XYXY], dtype=torch.float32)
    distance = ((boxes[:, :2] + boxes[:, 2:]) / 2 - (place[:, :2] + place[:, 2:]) / 2).norm(dim=1)
    nearest = int(distance.argmin())
    return faces[nearest] if box_iou(boxes, place)[nearest] >= _MIN_IOU else None
