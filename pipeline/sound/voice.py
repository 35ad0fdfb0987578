"""Where somebody's voice is heard in a recording. Sound is read in blocks; none is stored.

The network is Silero VAD 6.2 (Silero Team, MIT), converted from its TorchScript file. Silero runs it on one
window after another; here a block's windows are run at once, with the same numbers, 300 times faster.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.records import Voice
from pipeline.sound.tracks import read_sound, track_count
from pipeline.video.container import VideoInfo
from pipeline.weight_files import with_weights

RATE = 16_000
"""Samples of sound per second."""

WINDOW_S = 0.032
"""Time of one answer of the network, s."""

_WINDOW, _BEFORE = 512, 64
_BLOCK = 1024

# A frame of sound that begins so much later than the last one ended leaves a hole; rounding is less.
_HOLE_S = 0.1

# A track that stays below the smallest step of 16 bits is no sound: the microphone was off, or is another's.
_SILENT = 1 / 2**15

State = tuple[Tensor, Tensor]


class VoiceActivity(nn.Module):
    """(N, 576) float32, −1…1: windows of 512 samples of one sound, each with the 64 before it → (N,) 0…1.

    The second result is the state to go on with.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 258, 256, 128, bias=False)
        self.conv1 = nn.Conv1d(129, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.lstm = nn.LSTM(128, 128, batch_first=True)
        self.final_conv = nn.Linear(128, 1)

    def forward(self, windows: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        waves = self.stft_conv(F.pad(windows[:, None], (0, 64), mode="reflect"))
        features = torch.hypot(waves[:, :129], waves[:, 129:])
        for convolution in (self.conv1, self.conv2, self.conv3, self.conv4):
            features = convolution(features).relu()
        hidden, state = self.lstm(features[None, :, :, 0], state)
        return torch.sigmoid(self.final_conv(hidden[0].relu()))[:, 0], state


class VoiceReader:
    """The network with its weights.

    :raises InputError: the file of weights is missing or damaged.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._device = torch.device(device)
        self._net = with_weights(VoiceActivity(), "voice_activity").to(self._device)

    def __call__(self, info: VideoInfo) -> Voice:
        """Of the first track that is not silent; empty without one, or if its clock is not the picture's."""
        voice = _NOTHING
        for track in range(0 if info.sound_zero_s is None else track_count(info.path)):
            heard = _Heard(self._net, self._device)
            for begin_s, samples in read_sound(info.path, track, RATE):
                heard.add(begin_s - (info.sound_zero_s or 0.0), samples)
            voice = heard.end()
            if len(voice.window):
                break
        return voice


_NOTHING = Voice(np.zeros(0, np.int64), np.zeros(0, np.float32))


def voice_at(voice: Voice, time_s: NDArray[np.float64], step_s: float) -> NDArray[np.float32]:
    """(n,) mean probability of a voice from each time until ``step_s`` later; not a number without sound."""
    first = np.searchsorted(voice.window, np.floor(time_s / WINDOW_S))
    end = np.searchsorted(voice.window, np.ceil((time_s + step_s) / WINDOW_S))
    parts = (voice.probability[a:b] for a, b in zip(first, end, strict=True))
    return np.array([part.mean() if len(part) else np.nan for part in parts], np.float32)


class _Heard:
    """Collects sound in blocks of whole windows, and the network's answers."""

    def __init__(self, net: VoiceActivity, device: torch.device) -> None:
        self._net, self._device = net, device
        self._windows: list[NDArray[np.int64]] = []
        self._answers: list[NDArray[np.float32]] = []
        self._is_silent = True
        self._waiting: list[NDArray[np.float32]] = []
        self._begin(0)

    def _begin(self, samples: int) -> None:
        """A sound begins so many samples after time zero."""
        self._end, self._next = samples, samples // _WINDOW
        self._state: State | None = None
        self._before = torch.zeros(_BEFORE, device=self._device)

    def add(self, begin_s: float, samples: NDArray[np.float32]) -> None:
        """The next piece of sound; left out if it overlaps an earlier one, or lies before time zero."""
        ahead_s = begin_s - self._end / RATE
        if begin_s < 0 or ahead_s < -_HOLE_S:
            return
        if ahead_s > _HOLE_S:
            self._listen(rest=True)
            self._begin(round(begin_s * RATE))
        self._waiting.append(samples)
        self._end += len(samples)
        if sum(map(len, self._waiting)) >= _BLOCK * _WINDOW:
            self._listen()

    def end(self) -> Voice:
        """All answers; none about a silent track."""
        self._listen(rest=True)
        if self._is_silent:
            return _NOTHING
        # a sound that ends in a window and one that begins in it
        windows, rows = np.unique(np.concatenate(self._windows), return_index=True)
        return Voice(windows, np.concatenate(self._answers)[rows])

    @torch.inference_mode()
    def _listen(self, *, rest: bool = False) -> None:
        """Ask the network about the whole windows that wait, and about a last part of one as well."""
        sound = np.concatenate([*self._waiting, np.zeros(0, np.float32)])
        if rest:
            sound = np.pad(sound, (0, -len(sound) % _WINDOW))
        whole = len(sound) - len(sound) % _WINDOW
        self._waiting = [sound[whole:]]
        if not whole:
            return
        heard = torch.cat([self._before, torch.from_numpy(sound[:whole]).to(self._device)])
        answers, self._state = self._net(heard.unfold(0, _BEFORE + _WINDOW, _WINDOW), self._state)
        self._windows.append(self._next + np.arange(len(answers)))
        self._answers.append(answers.cpu().numpy())
        self._is_silent &= bool(np.abs(sound[:whole]).max() < _SILENT)
        self._next += len(answers)
        self._before = heard[-_BEFORE:]
