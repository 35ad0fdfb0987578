"""Measure the processing time of a video on this machine, stage by stage."""

import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from PIL import Image

from pipeline.faces.classification import score_emotions
from pipeline.faces.detection import find_faces
from pipeline.faces.tracking import track_faces
from pipeline.processing.session import Networks, Settings, choose_detector
from pipeline.records import FrameFaces, Frames, OnProgress
from pipeline.video.container import VideoInfo, probe
from pipeline.video.decoding import SampledVideo
from pipeline.video.prefetch import read_ahead

# Numbers of faces in a test picture, to measure the cost per face, and height of each face, px.
_FACE_COUNTS = (0, 1, 2, 4, 8, 16)
_FACE_HEIGHT_PX = 180

# Margin around a face's box, on each side, as a share of the box.
_MARGIN = 0.4

# Stop searching for a face after this many batches.
_BATCHES_TO_LOOK_AT = 4

Item = TypeVar("Item")


@dataclass(frozen=True)
class Costs:
    """Processing times of one video on this machine.

    :param found: the results of the run, for a comparison.
    :param decode_s: decoding only.
    :param end_to_end_s: all stages; decoding runs ahead of the others.
    :param stages_s: time of each stage; ``waiting`` is the wait for decoded pictures.
    :param progress: (P, 2) position in the video, and time to reach it, s.
    :param by_faces: (Q, 2) faces per picture, and seconds per sample without decoding; empty if the video
        shows no face.
    :param peak_rss_mb: peak resident memory of this single process, MB (10⁶ bytes).
    :param device: the GPU's name, or ``cpu``. ``peak_gpu_mb``: peak of the memory that PyTorch used on it,
        MB; ``None`` without a GPU.
    """

    video: VideoInfo
    found: list[FrameFaces]
    decode_s: float
    end_to_end_s: float
    stages_s: dict[str, float]
    progress: NDArray[np.float64]
    by_faces: NDArray[np.float64]
    peak_rss_mb: float
    device: str = "cpu"
    peak_gpu_mb: float | None = None

    @property
    def faces(self) -> int:
        return sum(len(sample.faces) for sample in self.found)

    def to_dict(self) -> dict[str, Any]:
        """For JSON. ``…_fps`` counts all frames of the file; the stages see its samples."""
        frames = len(self.video.time_s)
        return {
            "width": self.video.width,
            "height": self.video.height,
            "video_s": self.video.duration_s,
            "frames": frames,
            "samples": len(self.found),
            "faces": self.faces,
            "decode_fps": frames / self.decode_s,
            "end_to_end_fps": frames / self.end_to_end_s,
            "real_time_factor": self.video.duration_s / self.end_to_end_s,
            "ratio_to_decode": self.end_to_end_s / self.decode_s,
            "stages": {
                name: {
                    "seconds": seconds,
                    "share": seconds / self.end_to_end_s,
                    "samples_per_s": len(self.found) / max(seconds, 1e-9),
                }
                for name, seconds in self.stages_s.items()
            },
            "ms_per_sample_by_faces": {str(int(faces)): 1000 * seconds for faces, seconds in self.by_faces},
            "peak_rss_mb": self.peak_rss_mb,
            "device": self.device,
            "peak_gpu_mb": self.peak_gpu_mb,
        }


def measure(
    path: Path,
    settings: Settings,
    networks: Networks,
    on_progress: OnProgress = lambda done, total: None,
) -> Costs:
    """Decode the video, then run all stages on it; nothing is written.

    :param on_progress: called with (samples done, total samples); each sample is decoded twice.
    :raises VideoError: the video can't be opened.
    """
    on_gpu = networks.device != "cpu"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(networks.device)
    info = probe(path)
    video = SampledVideo(info, settings.sample_fps, settings.key_every)
    # includes the first call of each network, which is slower than later calls
    by_faces = list(_cost_by_faces(video, settings, networks))
    started = time.perf_counter()
    for batch in video:
        on_progress(int(batch.sample[-1]) + 1, 2 * len(video))
    decode_s = time.perf_counter() - started
    waiting = _Timed(read_ahead(video))
    detect, meshed = choose_detector(settings, networks), networks.read_states is not None
    detection = _Timed(find_faces(waiting, detect, networks.crop_spec, for_mesh=meshed))
    classification = _Timed(
        score_emotions(detection, networks.classify, settings.batch_size, networks.read_states)
    )
    tracking = _Timed(track_faces(classification, settings.max_gap_s))
    found, progress = [], []
    for sample in tracking:
        found.append(sample)
        progress.append((sample.time_s, tracking.total_s))
        on_progress(len(video) + len(found), 2 * len(video))
    return Costs(
        video=info,
        found=found,
        decode_s=decode_s,
        end_to_end_s=tracking.total_s,
        stages_s={
            "waiting": waiting.total_s,
            "detection": detection.total_s - waiting.total_s,
            "classification": classification.total_s - detection.total_s,
            "tracking": tracking.total_s - classification.total_s,
        },
        progress=np.array(progress),
        by_faces=np.array(by_faces).reshape(-1, 2),
        peak_rss_mb=peak_memory_mb(),
        device=torch.cuda.get_device_name(networks.device) if on_gpu else "cpu",
        peak_gpu_mb=torch.cuda.max_memory_allocated(networks.device) / 1e6 if on_gpu else None,
    )


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, MB (10⁶ bytes)."""
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset) / 1e6
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2) of macOS counts bytes, Linux's KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _cost_by_faces(
    video: SampledVideo, settings: Settings, networks: Networks
) -> Iterator[tuple[int, float]]:
    """Seconds per sample against the number of faces: a face of the video, copied into one picture."""
    face = _first_face(video, networks)
    if face is None:
        return
    for count in _FACE_COUNTS:
        images = np.repeat(_with_faces(face, count, video.info)[None], settings.key_every, axis=0)
        numbers = np.arange(len(images))
        frames = Frames(numbers, numbers, numbers / settings.sample_fps, images, numbers >= 0)
        detect, meshed = choose_detector(settings, networks), networks.read_states is not None
        found = find_faces([frames, frames], detect, networks.crop_spec, for_mesh=meshed)
        tracked = track_faces(found, settings.max_gap_s)
        started = time.perf_counter()
        scored = score_emotions(tracked, networks.classify, settings.batch_size, networks.read_states)
        samples = len(list(scored))
        yield count, (time.perf_counter() - started) / samples


def _first_face(video: SampledVideo, networks: Networks) -> Image.Image | None:
    for batch in islice(video, _BATCHES_TO_LOOK_AT):
        for image, found in zip(batch.images, networks.detect(batch.images), strict=True):
            for x1, y1, x2, y2 in found.boxes_xyxy:
                across, down = _MARGIN * (x2 - x1), _MARGIN * (y2 - y1)
                face = Image.fromarray(image).crop(
                    (int(x1 - across), int(y1 - down), int(x2 + across), int(y2 + down))
                )
                return face.resize((round(_FACE_HEIGHT_PX * face.width / face.height), _FACE_HEIGHT_PX))
    return None


def _with_faces(face: Image.Image, count: int, info: VideoInfo) -> NDArray[np.uint8]:
    """(H, W, 3) uint8: copies of the face in rows on grey; copies that do not fit are left out."""
    picture = Image.new("RGB", (info.width, info.height), (128, 128, 128))
    columns = max(1, info.width // face.width)
    for number in range(count):
        row, column = divmod(number, columns)
        picture.paste(face, (column * face.width, row * face.height))
    return np.asarray(picture)


class _Timed(Generic[Item]):
    """Pass items on and sum the time spent waiting for them, including all upstream stages."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = items
        self.total_s = 0.0

    def __iter__(self) -> Iterator[Item]:
        items = iter(self._items)
        while True:
            started = time.perf_counter()
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                self.total_s += time.perf_counter() - started
            yield item
