"""pipeline.sound.voice: the converted network gives Silero's numbers, at the sound's own time."""

import warnings
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from videos import numbered

from pipeline.records import Voice
from pipeline.sound.voice import RATE, WINDOW_S, VoiceActivity, VoiceReader, voice_at
from pipeline.video.container import probe
from pipeline.weight_files import with_weights

SPEECH = Path(__file__).parents[1] / "support" / "voice.ogg"

Sound = NDArray[np.float32]


@pytest.fixture(scope="module")
def speech() -> Sound:
    """Five seconds of a synthetic voice (espeak-ng)."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    with av.open(str(SPEECH)) as container:
        frames = [piece for frame in container.decode(audio=0) for piece in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


@pytest.fixture(scope="module")
def hear() -> VoiceReader:
    return VoiceReader()


def film(
    path: Path,
    seconds: float,
    *sounds: tuple[float, Sound],
    codec: str = "aac",
    rate: int = RATE,
    first: Sound | None = None,
) -> Path:
    """A video of so many seconds, and pieces of sound that begin at these times; before it, another track."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = 256, 64, "yuv420p"
        tracks = [[(0.0, first)]] * (first is not None) + [list(sounds)] * bool(sounds)
        streams = [container.add_stream(codec, rate=rate) for _ in tracks]
        for picture in numbered(256)[: round(10 * seconds)]:
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(video.encode(None))
        for audio, pieces in zip(streams, tracks, strict=True):
            for begin_s, sound in pieces:
                for start in range(0, len(sound) - 1023, 1024):
                    frame = av.AudioFrame.from_ndarray(sound[None, start : start + 1024], "fltp", "mono")
                    frame.sample_rate, frame.pts = rate, round(begin_s * rate) + start
                    container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
    return path


def quiet(seconds: float) -> Sound:
    return np.random.default_rng(0).normal(0, 0.002, round(seconds * RATE)).astype(np.float32)


def heard_s(voice: Voice, from_s: float = 0, to_s: float = 1e9) -> tuple[float, float]:
    """Begin and end of what is heard between two times, s."""
    time_s = voice.window * WINDOW_S
    loud = time_s[(voice.probability > 0.5) & (from_s <= time_s) & (time_s < to_s)]
    return float(loud[0]), float(loud[-1] + WINDOW_S)


@torch.inference_mode()
def test_the_network_is_silero_s(speech: Sound) -> None:
    found = find_spec("silero_vad")
    assert found is not None
    assert found.origin is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, on the format of the original
        original = torch.jit.load(str(Path(found.origin).with_name("data") / "silero_vad.jit"))
    sound = torch.from_numpy(speech[: 60 * 512])
    expected = [float(original(window[None], RATE)) for window in sound.reshape(-1, 512)]
    windows = torch.nn.functional.pad(sound, (64, 0)).unfold(0, 576, 512)
    net = with_weights(VoiceActivity(), "voice_activity")
    first, state = net(windows[:25])
    rest, _ = net(windows[25:], state)
    np.testing.assert_allclose(torch.cat([first, rest]), expected, atol=5e-5)
    assert max(expected) > 0.9


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "aac"), ("a.mkv", "libopus"), ("a.ts", "aac"), ("a.avi", "mp2")]
)
def test_a_voice_is_heard_at_its_time(
    tmp_path: Path, hear: VoiceReader, speech: Sound, name: str, codec: str
) -> None:
    rate = 48_000 if codec in ("libopus", "mp2") else RATE
    sound = np.concatenate([quiet(5), speech, quiet(3)])
    louder = np.interp(np.arange(0, len(sound), RATE / rate), np.arange(len(sound)), sound).astype(np.float32)
    begin, end = heard_s(hear(probe(film(tmp_path / name, 12, (0, louder), codec=codec, rate=rate))))
    assert begin == pytest.approx(5.0, abs=0.35)
    assert end == pytest.approx(5.0 + len(speech) / RATE, abs=0.6)


def test_sound_that_begins_late_or_has_a_hole_keeps_its_time(
    tmp_path: Path, hear: VoiceReader, speech: Sound
) -> None:
    pieces = (3.0, np.concatenate([quiet(1), speech])), (14.0, np.concatenate([quiet(1), speech]))
    voice = hear(probe(film(tmp_path / "a.mkv", 20, *pieces)))
    time_s = voice.window * WINDOW_S
    assert time_s[0] == pytest.approx(3.0, abs=0.1)
    assert not ((time_s > 9.5) & (time_s < 13.8)).any()
    assert heard_s(voice, to_s=10)[0] == pytest.approx(4.0, abs=0.35)
    assert heard_s(voice, from_s=13)[0] == pytest.approx(15.0, abs=0.35)


def test_a_piece_of_sound_in_a_thousand_years_takes_no_memory(
    tmp_path: Path, hear: VoiceReader, speech: Sound
) -> None:
    path = film(tmp_path / "a.mkv", 12, (0, np.concatenate([quiet(1), speech])), (3e10, speech))
    voice = hear(probe(path))
    assert len(voice.window) < 1000
    assert heard_s(voice, to_s=20)[0] == pytest.approx(1.0, abs=0.35)


def test_silence_and_noise_hold_no_voice(tmp_path: Path, hear: VoiceReader) -> None:
    noise = np.concatenate([np.zeros(5 * RATE, np.float32), 50 * quiet(5)])
    assert hear(probe(film(tmp_path / "a.mp4", 10, (0, noise)))).probability.max() < 0.5


def test_a_silent_track_is_no_sound(tmp_path: Path, hear: VoiceReader) -> None:
    path = film(tmp_path / "a.mp4", 15, (0, np.zeros(15 * RATE, np.float32)))
    assert probe(path).sound_zero_s is not None
    assert not len(hear(probe(path)).window)


def test_the_first_track_that_is_not_silent_is_heard(
    tmp_path: Path, hear: VoiceReader, speech: Sound
) -> None:
    sound = np.concatenate([quiet(5), speech, quiet(5)])
    path = film(tmp_path / "a.mkv", 15, (0, sound), first=np.zeros(15 * RATE, np.float32))
    assert heard_s(hear(probe(path)))[0] == pytest.approx(5.0, abs=0.35)


def test_a_video_without_sound_tells_nothing(tmp_path: Path, hear: VoiceReader) -> None:
    info = probe(film(tmp_path / "a.mp4", 2))
    assert info.sound_zero_s is None
    assert not len(hear(info).window)


def test_a_damaged_sound_is_read_around_the_damage(tmp_path: Path, hear: VoiceReader, speech: Sound) -> None:
    path = film(tmp_path / "a.mkv", 12, (0, np.concatenate([quiet(5), speech, quiet(3)])))
    content = bytearray(path.read_bytes())
    middle = len(content) // 4
    content[middle : middle + 300] = bytes(300)
    path.write_bytes(content)
    voice = hear(probe(path))
    assert voice.probability.max() > 0.9
    assert heard_s(voice)[1] == pytest.approx(5.0 + len(speech) / RATE, abs=0.6)


def test_a_sample_takes_the_mean_of_its_time() -> None:
    windows = np.arange(50)
    voice = Voice(np.append(windows, 100), np.append(windows >= 25, 1).astype(np.float32))  # 0.8 s each
    found = voice_at(voice, np.array([0.0, 0.7, 1.0, 1.5, 2.0, 3.2, 9.0]), 0.2)
    np.testing.assert_allclose(found, [0, 0.5, 1, 1, np.nan, 1, np.nan], atol=0.15)
