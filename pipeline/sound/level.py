"""How loud a recording is, from short pieces of its sound spread over it. None is stored."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.video.container import VideoInfo
from pipeline.video.streams import demuxed, open_container

_PIECE_S, _PIECES = 0.5, 24

# Of nothing at all.
_NOTHING_DB = -120.0

# Below the smallest step of 16 bits there is no sound: the microphone was off, or the sound was muted.
_SILENT_DB = -90.3

# A piece with so many samples near full scale is cut off. Compression blurs the cut: of a voice
# (tests/support/voice.ogg) of which 12 % were cut off, AAC leaves 0.4 % above 0.999, and 11 % above 0.9; of
# the same voice just not cut off, 0.02 %. Cut off to 12 %, the voice was found for 7 % less time; to 32 %,
# for 22 %.
_NEAR_FULL_SCALE, _CUT_SHARE = 0.9, 0.1

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SoundLevel:
    """Pieces of sound, evenly spread over the recording.

    :param time_s: (n,) ascending, where the pieces begin; empty without a track of sound.
    :param level_db: (n,) root mean square, dB of full scale.
    :param is_cut: (n,) bool: so loud that the signal is cut off.
    """

    time_s: Floats
    level_db: Floats
    is_cut: NDArray[np.bool_]

    @property
    def is_silent(self) -> NDArray[np.bool_]:
        """(n,)"""
        silent: NDArray[np.bool_] = self.level_db < _SILENT_DB
        return silent


NO_SOUND = SoundLevel(np.zeros(0), np.zeros(0), np.zeros(0, bool))


def measure_sound(info: VideoInfo) -> SoundLevel:
    """Decode a piece of the sound at each of some places.

    As when voices are searched for, the first track counts that is not silent throughout. Where the track
    has a hole, or can't be decoded, there is silence.
    """
    count = max(1, min(_PIECES, int(info.duration_s / _PIECE_S)))
    time_s = np.maximum((np.arange(count) + 0.5) / count * info.duration_s - _PIECE_S / 2, 0.0)
    found = NO_SOUND
    with suppress(av.error.FFmpegError, OSError), open_container(info.path) as container:
        best = container.streams.best("audio")
        for stream in sorted(container.streams.audio, key=lambda one: (one != best, one.index)):
            pieces = _pieces(info, container, stream, time_s)
            level_db = np.array([_level_db(piece) for piece in pieces])
            is_cut = np.array([(np.abs(piece) >= _NEAR_FULL_SCALE).mean() >= _CUT_SHARE for piece in pieces])
            found = SoundLevel(time_s, level_db, is_cut)
            if not found.is_silent.all():
                break
    return found


def _level_db(samples: NDArray[np.float32]) -> float:
    power = float(np.square(samples, dtype=np.float64).mean())
    return 10 * np.log10(power) if power else _NOTHING_DB


def _pieces(
    info: VideoInfo, container: av.container.InputContainer, stream: av.AudioStream, time_s: Floats
) -> list[NDArray[np.float32]]:
    """(m,) samples, −1…1, of each piece; one zero of a piece without sound."""
    if stream.codec_context is None or stream.time_base is None:
        return [np.zeros(1, np.float32) for _ in time_s]
    packets = iter(demuxed(container, stream))
    pieces = []
    for start_s in time_s + (info.sound_zero_s or 0.0):
        if info.seekable:
            container.seek(int(start_s / stream.time_base), stream=stream)
            packets = iter(demuxed(container, stream))
        heard = list(_decoded(packets, stream, start_s, start_s + _PIECE_S))
        pieces.append(np.concatenate(heard) if heard else np.zeros(1, np.float32))
    return pieces


def _decoded(
    packets: "Iterator[av.Packet[Any] | None]", stream: av.AudioStream, start_s: float, end_s: float
) -> Iterator[NDArray[np.float32]]:
    """Frames of sound that begin in a piece of time; what can't be decoded is left out."""
    resampler = av.AudioResampler(format="flt")
    for packet in packets:
        time_s = None if packet is None or packet.pts is None else float(packet.pts * packet.time_base)
        if time_s is not None and time_s < start_s - _PIECE_S:
            continue  # of a file that can't be sought
        frames: list[av.AudioFrame] = []
        with suppress(av.error.FFmpegError, ValueError):
            frames = [piece for frame in stream.decode(packet) for piece in resampler.resample(frame)]
        for frame in frames:
            if frame.time is not None and start_s <= frame.time < end_s:
                yield frame.to_ndarray().ravel().astype(np.float32, copy=False)
        if time_s is not None and time_s >= end_s:
            return
