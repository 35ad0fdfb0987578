"""Recordings as cameras, recorders and people leave them: every picture is read once, in order, in time."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from videos import cut_off, encode, numbered, read_number

from pipeline.processing.session import Instruments, Session, Settings
from pipeline.processing.stages import process_session
from pipeline.video.container import VideoInfo, probe
from pipeline.video.decoding import SampledVideo, picture_at


def numbers(info: VideoInfo, sample_fps: float = 1000) -> list[int]:
    """Which pictures the samples are; every one must be decoded."""
    batches = list(SampledVideo(info, sample_fps))
    assert all(batch.decoded.all() for batch in batches)
    return [read_number(image) for batch in batches for image in batch.images]


def kinds(info: VideoInfo) -> list[str]:
    return [note.kind for note in info.notes]


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


@pytest.mark.parametrize(
    ("suffix", "codec", "options"),
    [
        (".mts", "libx264", {"bf": "0"}),
        (".mts", "libx264", {"x264-params": "bframes=3:b-adapt=0:scenecut=0"}),
        (".mpg", "mpeg2video", {}),
        (".mpg", "mpeg2video", {"bf": "2"}),
        (".webm", "libvpx", {"deadline": "realtime", "auto-alt-ref": "0"}),
        (".mkv", "libx264", {"x264-params": "bframes=3:b-adapt=0:scenecut=0"}),
    ],
)
def test_two_recordings_in_one_file_follow_each_other(
    tmp_path: Path, suffix: str, codec: str, options: dict[str, str]
) -> None:
    info = probe(joined(tmp_path, suffix, codec, options=options))
    assert numbers(info) == list(range(100))
    # a program stream states the time of every other small frame or so; FFmpeg makes up the others'
    np.testing.assert_allclose(info.time_s, np.arange(100) / 25, atol=0.041 if suffix == ".mpg" else 2e-3)
    assert (np.diff(info.time_s) > 0).all()
    assert info.duration_s == pytest.approx(4.0, abs=0.01)
    assert kinds(info) == ["takes"]
    assert not info.seekable


@pytest.mark.parametrize("suffix", [".mp4", ".flv"])
def test_an_appended_recording_that_ffmpeg_does_not_find_is_missing(tmp_path: Path, suffix: str) -> None:
    info = probe(joined(tmp_path, suffix, "libx264"))
    assert numbers(info) == list(range(60))
    assert kinds(info) == ["unread"]
    assert 0.8 < info.missing_s < 3.2  # 1.6 s, by their share of the file
    assert info.duration_s == pytest.approx(2.4 + info.missing_s, abs=0.05)


def decoded_order(source: Path, target: Path) -> Path:
    """As ``ffmpeg -fflags +genpts -c copy``: packets are shown in the order in which they are stored."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        copy = new.add_stream_from_template(old.streams.video[0])
        for number, packet in enumerate(p for p in old.demux(video=0) if p.size):
            packet.pts = packet.dts = number * 40
            packet.time_base, packet.stream = Fraction(1, 1000), copy
            new.mux(packet)
    return target


REORDERED = {"x264-params": "bframes=3:b-adapt=0:scenecut=0"}


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_times_that_contradict_the_decoder_give_way_to_its_order(tmp_path: Path, suffix: str) -> None:
    source = encode(tmp_path / "a.mp4", numbered(100), options=REORDERED)
    info = probe(decoded_order(source, tmp_path / f"b{suffix}"))
    assert numbers(info) == list(range(100))
    np.testing.assert_allclose(info.time_s, np.arange(100) / 25, atol=2e-3)
    assert kinds(info) == ["decoded_order"]


def test_pictures_that_wait_for_others_are_read_from_avi(tmp_path: Path) -> None:
    info = probe(encode(tmp_path / "a.avi", numbered(100), options=REORDERED))
    assert numbers(info) == list(range(100))
    assert numbers(info, 5) == list(range(0, 100, 5))
    np.testing.assert_allclose(info.time_s, np.arange(100) / 25, atol=1e-6)


@pytest.mark.parametrize(
    "container_options", [{}, {"movflags": "frag_keyframe+empty_moov"}], ids=["indexed", "fragmented"]
)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_every_frame_is_found_by_a_seek(
    tmp_path: Path, suffix: str, container_options: dict[str, str]
) -> None:
    if suffix == ".mkv" and container_options:
        pytest.skip("Matroska has no fragments")
    options = {
        "x265-params": "open-gop=1:keyint=20:min-keyint=20:bframes=4:b-adapt=0:scenecut=0:log-level=none"
    }
    path = encode(
        tmp_path / f"a{suffix}",
        numbered(200),
        codec="libx265",
        options=options,
        gop=20,
        container_options=container_options,
    )
    info = probe(path)
    assert info.seekable
    for frame in range(0, 200, 3):
        picture = picture_at(info, frame)
        assert picture is not None, frame
        assert read_number(picture) == frame
    video = SampledVideo(info, 1000)
    for first in range(0, 200, 17):
        batches = list(video.read(first, 200))
        assert all(batch.decoded.all() for batch in batches)
        assert read_number(batches[0].images[0]) == first


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


COVER = ([np.full((200, 200, 3), 90, np.uint8)], 25, {"codec": "mjpeg"})
SESSION = (numbered(100), 25, {})
PREVIEW = ([picture[::4, ::4].copy() for picture in numbered(100)], 25, {"disposition": 1})


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("streams", [(COVER, SESSION), (SESSION, COVER), (PREVIEW, SESSION)])
def test_covers_and_previews_are_not_the_session(tmp_path: Path, suffix: str, streams: tuple) -> None:
    info = probe(with_streams(tmp_path / f"a{suffix}", *streams))
    assert info.stream == [stream is SESSION for stream in streams].index(True)
    assert numbers(info) == list(range(100))
    assert len(info.others) == 1
    assert info.others[0].startswith("video")


CORNER = np.zeros((64, 128, 3), np.uint8)
CORNER[:24, :40] = 230
CORNER[40:, :16] = 120
ONE = 1 << 16


@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        ((ONE, 0, 0, ONE), CORNER),
        ((-ONE, 0, 0, ONE), CORNER[:, ::-1]),
        ((ONE, 0, 0, -ONE), CORNER[::-1]),
        ((-ONE, 0, 0, -ONE), CORNER[::-1, ::-1]),
        ((0, ONE, -ONE, 0), np.rot90(CORNER, -1)),
        ((0, -ONE, ONE, 0), np.rot90(CORNER)),
        ((0, ONE, ONE, 0), CORNER.transpose(1, 0, 2)),
        ((0, -ONE, -ONE, 0), CORNER[::-1, ::-1].transpose(1, 0, 2)),
    ],
    ids=[
        "as it is",
        "mirrored",
        "flipped",
        "180",
        "clockwise",
        "counterclockwise",
        "transposed",
        "other way",
    ],
)
def test_the_whole_display_matrix_counts(tmp_path: Path, matrix: tuple, shown: NDArray[np.uint8]) -> None:
    path = encode(tmp_path / "a.mp4", [CORNER] * 10)
    content = bytearray(path.read_bytes())
    # tkhd, version 0: the matrix lies 40 bytes behind the version (ISO/IEC 14496-12, 8.3.2)
    place = content.index(b"tkhd") + 8 + 36
    a, b, c, d = matrix
    content[place : place + 36] = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], ">i4").tobytes()
    path.write_bytes(bytes(content))
    info = probe(path)
    (frames,) = list(SampledVideo(info, 1))
    assert frames.images.shape[1:] == shown.shape
    assert np.abs(frames.images[0].astype(int) - shown).mean() < 6


def test_a_turned_phone_keeps_its_proportions(tmp_path: Path) -> None:
    """40 pictures of 256×128, then 40 of 128×256: a square stays one."""

    def square(width: int, height: int) -> NDArray[np.uint8]:
        picture = np.full((height, width, 3), 20, np.uint8)
        picture[height // 2 - 30 : height // 2 + 30, width // 2 - 30 : width // 2 + 30] = 220
        return picture

    takes = [
        encode(tmp_path / f"{w}.mts", [square(w, h)] * 40, codec="mpeg2video")
        for w, h in ((256, 128), (128, 256))
    ]
    path = tmp_path / "turned.mts"
    path.write_bytes(b"".join(take.read_bytes() for take in takes))
    info = probe(path)
    images = np.concatenate([batch.images for batch in SampledVideo(info, 1000)])
    # FFmpeg's decoder of MPEG-2 drops the picture before a change of size, and that is told
    assert kinds(info) == ["takes", "lost"]
    assert images.shape == (79, 128, 256, 3)
    for picture, side in ((images[5], 60), (images[75], 30)):
        light = picture[..., 0] > 120
        assert light.any(axis=0).sum() == pytest.approx(side, abs=3)
        assert light.any(axis=1).sum() == pytest.approx(side, abs=3)


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


def test_time_without_a_picture_was_not_seen(tmp_path: Path, fake_instruments: Instruments) -> None:
    video = with_sound(tmp_path / "call.mp4", 12.0)
    timeline = process_session(Session("P1", "S1", video), tmp_path / "out", Settings(), fake_instruments)
    metadata = timeline.metadata
    assert metadata["video"]["duration_s"] == pytest.approx(12.0, abs=0.15)
    assert metadata["session"]["parts"][0][1] == pytest.approx(12.0, abs=0.15)
    assert metadata["warnings"][0] == "the picture ends 8.0 s before the sound"
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
