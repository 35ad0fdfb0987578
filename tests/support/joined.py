"""Pictures of recordings."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from videos import encode, numbered, read_number

from pipeline.video.container import VideoInfo
from pipeline.video.decoding import SampledVideo


def numbers(info: VideoInfo, sample_fps: float = 1000) -> list[int]:
    """Which pictures the samples are; every one must be decoded."""
    batches = list(SampledVideo(info, sample_fps))
    assert all(batch.decoded.all() for batch in batches)
    return [read_number(image) for batch in batches for image in batch.images]


def kinds(info: VideoInfo) -> list[str]:
    return [note.code for note in info.notes]


def joined(folder: Path, suffix: str, codec: str, **settings: object) -> Path:
    """Two recordings of 60 and 40 pictures, byte behind byte."""
    pictures = numbered(100)
    takes = [
        encode(folder / f"{k}{suffix}", part, codec=codec, **settings)
        for k, part in enumerate((pictures[:60], pictures[60:]))
    ]
    path = folder / f"joined{suffix}"
    path.write_bytes(b"".join(take.read_bytes() for take in takes))
    return path


def with_streams(path: Path, *streams: tuple[Sequence[NDArray[np.uint8]], int, dict[str, object]]) -> Path:
    """Several video streams in one file: pictures, pictures a second, and settings of each stream."""
    with av.open(str(path), "w") as container:
        added = []
        for pictures, rate, settings in streams:
            stream = container.add_stream(str(settings.get("codec", "libx264")), rate=rate)
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = "yuvj420p" if settings.get("codec") == "mjpeg" else "yuv420p"
            if "disposition" in settings:
                stream.disposition = settings["disposition"]
            added.append(stream)
        for stream, (pictures, rate, _) in zip(added, streams, strict=True):
            for number, picture in enumerate(pictures):
                frame = av.VideoFrame.from_ndarray(picture)
                frame.pts, frame.time_base = number, Fraction(1, rate)
                container.mux(stream.encode(frame))
        for stream in added:
            container.mux(stream.encode(None))
    return path


SESSION = (numbered(100), 25, {})
