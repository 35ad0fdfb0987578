"""Recordings whose picture begins late, ends early, or has holes."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from joined import SESSION, kinds, numbers, with_streams
from videos import cut_off, encode, numbered, read_number

from pipeline.processing.session import Networks, Session, Settings
from pipeline.processing.stages import process_session
from pipeline.reasons import Reason
from pipeline.video.container import probe
from pipeline.video.decoding import SampledVideo
from pipeline.video.headers import second_riff


def with_sound(
    path: Path,
    sound_s: float,
    *,
    picture_at_s: float = 0.0,
    count: int = 100,
    codecs: tuple[str, str] = ("libx264", "aac"),
) -> Path:
    """Pictures at 25/s from a time on, and sound from 0."""
    with av.open(str(path), "w") as container:
        sound = container.add_stream(codecs[1], rate=16000)
        video = container.add_stream(codecs[0], rate=25)
        video.width, video.height, video.pix_fmt = 256, 64, "yuv420p"
        video.time_base = video.codec_context.time_base = Fraction(1, 1000)
        for block in range(round(sound_s * 16000 / 1024)):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, block * 1024
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
        for number, picture in enumerate(numbered(count)):
            frame = av.VideoFrame.from_ndarray(picture)
            frame.pts, frame.time_base = round(1000 * picture_at_s) + 40 * number, Fraction(1, 1000)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mts"])
def test_time_zero_is_the_container_s_start(tmp_path: Path, suffix: str) -> None:
    info = probe(with_sound(tmp_path / f"a{suffix}", 6.0, picture_at_s=1.44))
    assert info.time_s[0] == pytest.approx(1.44, abs=0.08)  # the encoder's own delay of the sound
    assert info.duration_s == pytest.approx(6.0, abs=0.15)
    assert kinds(info) == ["late"]


def test_time_without_a_picture_was_not_seen(tmp_path: Path, fake_networks: Networks) -> None:
    video = with_sound(tmp_path / "call.mp4", 12.0)
    timeline = process_session(Session("P1", "S1", video), tmp_path / "out", Settings(), fake_networks)
    metadata = timeline.metadata
    assert metadata["video"]["duration_s"] == pytest.approx(12.0, abs=0.15)
    assert metadata["session"]["parts"][0][1] == pytest.approx(12.0, abs=0.15)
    assert str(Reason.read(metadata["warnings"][0])) == "the picture ends 8.0 s before the sound"
    assert metadata["seconds_lost"] == pytest.approx(8.0, abs=0.15)
    assert metadata["coverage"] <= 4.1 / 12


H264, WMV = ("libx264", "aac"), ("wmv2", "pcm_s16le")


@pytest.mark.parametrize(
    ("name", "codecs"),
    [
        ("a.mp4", ("libx264", "aac")),
        ("a.mkv", ("libx264", "aac")),
        ("a.mts", ("libx264", "aac")),
        ("a.wmv", WMV),
    ],
)
def test_sound_that_goes_on_is_no_sign_of_a_cut(tmp_path: Path, name: str, codecs: tuple[str, str]) -> None:
    info = probe(with_sound(tmp_path / name, 9.0, codecs=codecs))
    assert numbers(info) == list(range(100))
    assert info.missing_s == 0
    assert kinds(info) == ["early_end"]
    assert info.without_picture_s == pytest.approx(5.0, abs=0.2)


def test_a_longer_camera_beside_the_session_is_no_sign_of_a_cut(tmp_path: Path) -> None:
    longer = ([picture[::2, ::2].copy() for picture in numbered(150)], 25, {"disposition": 0})
    info = probe(with_streams(tmp_path / "a.mkv", (SESSION[0], 25, {"disposition": 1}), longer))
    assert numbers(info) == list(range(100))
    assert info.missing_s == 0
    assert info.duration_s == pytest.approx(4.0, abs=0.01)


@pytest.mark.parametrize(
    ("name", "codec", "settings"),
    [
        ("a.avi", "mjpeg", {"pix_fmt": "yuvj420p"}),
        ("a.avi", "mpeg4", {}),
        ("a.avi", "libx264", {"options": {"bf": "2"}}),
        ("a.wmv", "wmv2", {}),
        ("a.mkv", "libx264", {}),
    ],
)
def test_the_end_that_a_header_promises_is_missing(
    tmp_path: Path, name: str, codec: str, settings: dict[str, object]
) -> None:
    whole = encode(tmp_path / name, numbered(200), codec=codec, **settings)
    assert probe(whole).missing_s == 0
    info = probe(cut_off(whole, tmp_path / f"cut_{name}", 0.5))
    assert info.duration_s == pytest.approx(8.0, abs=0.1)
    assert info.missing_s == pytest.approx(8.0 - len(info.time_s) / 25, abs=0.1)
    assert 2.5 < info.missing_s < 5.5


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mts", "libx264"), (".mpg", "mpeg2video"), (".flv", "libx264")]
)
def test_the_unfilled_end_of_a_file_is_missing(tmp_path: Path, suffix: str, codec: str) -> None:
    whole = encode(tmp_path / f"a{suffix}", numbered(200), codec=codec)
    half = whole.read_bytes()[: whole.stat().st_size // 2]
    path = tmp_path / f"b{suffix}"
    path.write_bytes(half + bytes(len(half)))
    info = probe(path)
    assert "unread" in kinds(info)
    assert info.duration_s == pytest.approx(8.0, abs=1.5)
    assert info.missing_s == pytest.approx(4.0, abs=1.5)


@pytest.mark.parametrize(("kind", "data"), [(8, b"\x36" + bytes(64)), (9, b"\x24" + bytes(64))])
def test_a_stream_that_begins_at_the_end_of_a_file(tmp_path: Path, kind: int, data: bytes) -> None:
    """A tag of PCM sound, or of VP6 video (FLV 10.1, E.4), of which the file's header says nothing."""
    path = encode(tmp_path / "a.flv", numbered(250))
    tag = kind.to_bytes(1) + len(data).to_bytes(3) + (10_000).to_bytes(3) + bytes(4) + data
    path.write_bytes(path.read_bytes() + tag + len(tag).to_bytes(4))
    info = probe(path)
    assert numbers(info) == list(range(250))
    assert info.missing_s == 0


def test_a_recording_of_another_codec_that_was_joined_is_missing(tmp_path: Path) -> None:
    parts = [("a.mts", "libx264", {"bf": "0"}), ("b.mts", "libx265", {"x265-params": "log-level=none"})]
    takes = [encode(tmp_path / name, numbered(100), codec=codec, options=o) for name, codec, o in parts]
    path = tmp_path / "joined.mts"
    path.write_bytes(b"".join(take.read_bytes() for take in takes))
    info = probe(path)
    assert len(info.time_s) == pytest.approx(100, abs=3)
    assert "lost" in kinds(info)
    assert info.missing_s == pytest.approx(4.0, abs=0.2)
    assert info.duration_s == pytest.approx(8.0, abs=0.2)


@pytest.mark.parametrize(
    ("kinds_of_chunk", "second"),
    [
        ((b"AVI ",), None),
        ((b"AVI ", b"AVIX"), None),
        ((b"AVI ", b"AVI "), 18),
        ((b"AVI ", b"AVIX", b"AVI "), 36),
    ],
)
def test_a_second_avi_begins_where_the_first_ends(
    tmp_path: Path, kinds_of_chunk: tuple[bytes, ...], second: int | None
) -> None:
    """A chunk of 9 bytes has one more to be even."""
    path = tmp_path / "a.avi"
    path.write_bytes(b"".join(b"RIFF\x09\0\0\0" + kind + b"12345\0" for kind in kinds_of_chunk))
    assert second_riff(path) == second


def test_the_clock_of_a_transport_stream_outlasts_a_lost_part(tmp_path: Path) -> None:
    """The decoder then gives pictures out of their order; the times of the packets are right."""
    options = {"x264-params": "bframes=3:b-adapt=0:scenecut=0"}
    whole = encode(tmp_path / "a.mts", numbered(200), gop=40, options=options)
    content, packet = whole.read_bytes(), 188
    first, end = (len(content) * share // 100 // packet * packet for share in (40, 60))
    path = tmp_path / "b.mts"
    path.write_bytes(content[:first] + content[end:])
    info = probe(path)
    assert not info.by_number
    assert info.duration_s == pytest.approx(8.0, abs=0.05)
    sampled = list(SampledVideo(info, 1000))
    good = [
        (time_s, read_number(image))
        for batch in sampled
        for time_s, image, whole in zip(batch.time_s, batch.images, batch.decoded, strict=True)
        if whole
    ]
    late = [(time_s, number) for time_s, number in good if number >= 160]
    assert len(late) >= 35
    np.testing.assert_allclose([t for t, _ in late], [n / 25 for _, n in late], atol=2e-3)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mts"])
def test_a_hole_between_two_frames_is_told(tmp_path: Path, name: str) -> None:
    times_ms = [40 * n + 7000 * (n >= 50) + 900 * (n >= 80) for n in range(100)]
    info = probe(encode(tmp_path / name, numbered(100), times_ms=times_ms))
    assert numbers(info) == list(range(100))
    assert [str(note) for note in info.notes] == ["no picture for 7.0 s between the first and the last"]
    assert info.without_picture_s == pytest.approx(7.04, abs=2e-3)


def test_a_slow_rate_is_no_hole(tmp_path: Path) -> None:
    info = probe(encode(tmp_path / "a.mp4", numbered(20), times_ms=[5000 * n for n in range(20)]))
    assert info.notes == ()
