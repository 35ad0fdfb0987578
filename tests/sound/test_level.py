"""sound.level: pieces of the sound, spread over a recording, of files that can and can't be sought."""

from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from videos import numbered

from pipeline.sound.level import measure_sound
from pipeline.video.container import probe

RATE = 16_000


def tone(seconds: float, level_db: float) -> NDArray[np.float32]:
    """A sine wave of this root mean square."""
    time_s = np.arange(round(seconds * RATE)) / RATE
    return (np.sqrt(2) * 10 ** (level_db / 20) * np.sin(2 * np.pi * 440 * time_s)).astype(np.float32)


def film(path: Path, seconds: float, *tracks: NDArray[np.float32]) -> Path:
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = 256, 64, "yuv420p"
        streams = [container.add_stream("aac", rate=RATE, layout="mono") for _ in tracks]
        for picture in (numbered(256) * 4)[: round(10 * seconds)]:
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(video.encode(None))
        for stream, sound in zip(streams, tracks, strict=True):
            for start in range(0, len(sound) - 1023, 1024):
                frame = av.AudioFrame.from_ndarray(sound[None, start : start + 1024], "fltp", "mono")
                frame.sample_rate, frame.pts = RATE, start
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def speech() -> NDArray[np.float32]:
    """Five seconds of a synthetic voice (espeak-ng)."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    with av.open(str(Path(__file__).parents[1] / "support" / "voice.ogg")) as container:
        frames = [piece for frame in container.decode(audio=0) for piece in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_the_level_of_each_piece_is_that_of_its_time(tmp_path: Path, suffix: str) -> None:
    """Loud, then muted, then soft; a transport stream can't be sought."""
    sound = np.concatenate([tone(8, -20), np.zeros(8 * RATE, np.float32), tone(8, -40)])
    info = probe(film(tmp_path / f"a.{suffix}", 24, sound))
    found = measure_sound(info)
    assert info.seekable == (suffix != "ts")
    assert len(found.time_s) == 24
    third = found.time_s // 8
    within = (found.time_s % 8 > 0.5) & (found.time_s % 8 < 7)  # not across two of them
    assert found.level_db[(third == 0) & within] == pytest.approx(-20, abs=1)
    assert found.is_silent[(third == 1) & within].all()
    assert found.level_db[(third == 2) & within] == pytest.approx(-40, abs=1)
    assert not found.is_cut.any()


def test_without_a_track_nothing_is_measured(tmp_path: Path) -> None:
    assert len(measure_sound(probe(film(tmp_path / "a.mp4", 2))).time_s) == 0


def test_the_first_track_that_is_not_silent_counts(tmp_path: Path) -> None:
    silent, heard = np.zeros(6 * RATE, np.float32), tone(6, -30)
    both = measure_sound(probe(film(tmp_path / "a.mp4", 6, silent, heard)))
    assert np.median(both.level_db) == pytest.approx(-30, abs=1)
    assert measure_sound(probe(film(tmp_path / "b.mp4", 6, silent, silent))).is_silent.all()


def test_a_track_that_ends_early_is_silent_from_there(tmp_path: Path) -> None:
    found = measure_sound(probe(film(tmp_path / "a.mp4", 12, tone(6, -30))))
    assert found.is_silent.tolist() == (found.time_s >= 6).tolist()


def test_a_voice_that_is_too_loud_is_cut_off(tmp_path: Path, speech: NDArray[np.float32]) -> None:
    """Also after AAC, which blurs the cut; a voice as loud as possible is not cut off."""
    loudest = speech / np.abs(speech).max()
    assert not measure_sound(probe(film(tmp_path / "a.mp4", 4, loudest))).is_cut.any()
    cut = np.clip(10 * loudest, -1, 1)
    assert measure_sound(probe(film(tmp_path / "b.mp4", 4, cut))).is_cut.mean() > 0.5


@pytest.mark.parametrize(
    ("clip", "silent", "pieces"),
    [("face_then_none.mov", 0.33, 12), ("gesture_720p.mp4", 1.0, 15), ("asl_bird.mkv", 0.0, 0)],
)
def test_real_recordings(clips: Path, clip: str, silent: float, pieces: int) -> None:
    """Muted for the first third; with a silent track; without any."""
    found = measure_sound(probe(clips / clip))
    assert len(found.time_s) == pieces
    assert found.is_silent.sum() == pytest.approx(silent * pieces, abs=0.1)
