"""The sound of the annotated copy: at the recording's times, and silent outside the session's parts."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.sound.tracks import read_sound
from pipeline.video.recording import Recording, Span

_RATE, _BITS_PER_S = 48_000, 96_000

# Sound that begins so much earlier or later than the sound before it ended, s, is moved; less is rounding.
_TOLERATED_S = 0.02

Sound = NDArray[np.float32]


def has_sound(recording: Recording) -> bool:
    """Whether a file has sound whose times are known."""
    return any(info.sound_zero_s is not None for info in recording.files)


class CopySound:
    """A track of sound, to be written beside the pictures.

    :param parts: the stretches of the recording that count.
    """

    def __init__(
        self, container: av.container.OutputContainer, recording: Recording, parts: Sequence[Span]
    ) -> None:
        self._container = container
        self._stream = container.add_stream("aac", rate=_RATE, layout="mono")
        self._stream.bit_rate = _BITS_PER_S
        self._pieces, self._written = sound_of(recording, parts), 0

    def write_until(self, time_s: float) -> None:
        """The sound up to a picture, so that players find both close together in the file."""
        while self._written < time_s * _RATE and (piece := next(self._pieces, None)) is not None:
            sound = av.AudioFrame.from_ndarray(piece[None], format="flt", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = _RATE, self._written, Fraction(1, _RATE)
            self._container.mux(self._stream.encode(sound))
            self._written += len(piece)

    def end(self) -> None:
        self.write_until(np.inf)
        self._container.mux(self._stream.encode(None))


def sound_of(recording: Recording, parts: Sequence[Span]) -> Iterator[Sound]:
    """(n,) pieces without a gap from the recording's start; silence where there is no sound."""
    written = 0
    for begin_s, piece in _located(recording):
        if begin_s > recording.duration_s:
            continue  # a damaged time
        begin = round(begin_s * _RATE)
        if abs(begin - written) <= _TOLERATED_S * _RATE:
            begin = written
        for start in range(written, begin, _RATE):
            yield np.zeros(min(_RATE, begin - start), np.float32)
        piece = piece[max(written - begin, 0) :]
        written = max(written, begin)
        if len(piece):
            yield _within(piece, written, parts)
            written += len(piece)


def _located(recording: Recording) -> Iterator[tuple[float, Sound]]:
    """Each piece of sound, and the recording's time at which it begins, s."""
    for info, (start_s, _) in zip(recording.files, recording.starts, strict=True):
        if info.sound_zero_s is None:
            continue
        for begin_s, piece in read_sound(info.path, 0, _RATE):
            yield start_s + begin_s - info.sound_zero_s, piece


def _within(piece: Sound, first: int, parts: Sequence[Span]) -> Sound:
    """The piece, silent outside the parts.

    :param first: number of its first sample in the recording.
    """
    kept = np.zeros_like(piece)
    for start_s, end_s in parts:
        inside = slice(max(0, round(start_s * _RATE) - first), max(0, round(end_s * _RATE) - first))
        kept[inside] = piece[inside]
    return kept
