"""Read the sound of a recording's file."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.video.streams import demuxed, open_container


def track_count(path: Path) -> int:
    """Number of tracks of sound."""
    with suppress(av.error.FFmpegError, OSError), open_container(path) as container:
        return len(container.streams.audio)
    return 0


def read_sound(path: Path, track: int, rate: int) -> Iterator[tuple[float, NDArray[np.float32]]]:
    """A track's sound, mono: begin of each piece on the container's clock, s, and (n,) −1…1.

    :param track: 0: the one that a player chooses; then the others, in their order.
    :param rate: samples per second of the result.

    What can't be decoded is a hole: a session is not lost for its sound.
    """
    with suppress(av.error.FFmpegError, OSError), open_container(path) as container:
        best = container.streams.best("audio")
        streams = sorted(container.streams.audio, key=lambda one: (one != best, one.index))
        if track >= len(streams) or streams[track].codec_context is None:
            return
        stream = streams[track]
        resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
        for packet in demuxed(container, stream):
            try:
                frames = stream.decode(packet)
                pieces = [piece for frame in frames for piece in resampler.resample(frame)]
            except (av.error.FFmpegError, ValueError):
                continue
            for piece in pieces:
                if piece.time is not None:
                    yield float(piece.time), piece.to_ndarray()[0]
