"""Recordings of cameras, recorders and people: every picture is read once, in order, with its time."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from joined import SESSION, joined, kinds, numbers, with_streams
from numpy.typing import NDArray
from videos import encode, numbered, read_number

from pipeline.video.container import probe
from pipeline.video.decoding import SampledVideo, picture_at


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


COVER = ([np.full((200, 200, 3), 90, np.uint8)], 25, {"codec": "mjpeg"})
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
