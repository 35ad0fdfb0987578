"""video.frame_times: frames between samples are left out if no other frame depends on them.

That the samples stay the same to the bit is tested over all containers (``test_container_zoo``).
"""

from pathlib import Path

import av
import pytest
from videos import encode, numbered, read_number

from pipeline.video.container import probe
from pipeline.video.decoding import SampledVideo
from pipeline.video.frame_times import decoded
from pipeline.video.headers import disposable

AVCC = b"\x01\x64\x00\x1f\xff"  # lengths of four bytes
B_FRAMES = {"x264-params": "bframes=3:b-adapt=0:b-pyramid=0:scenecut=0"}


def with_lengths(*units: bytes) -> memoryview:
    return memoryview(b"".join(len(unit).to_bytes(4) + unit for unit in units))


def with_start_codes(*units: bytes) -> memoryview:
    return memoryview(b"".join(b"\x00\x00\x00\x01" + unit for unit in units))


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ([], False),
        ([b"\x01slice"], True),
        ([b"\x09\xf0", b"\x06more", b"\x01slice", b"\x01slice", b"\x0c\xff"], True),
        ([b"\x41slice"], False),
        ([b"\x01slice", b"\x41slice"], False),
        ([b"\x21slice"], False),
        ([b"\x65key"], False),
        ([b"\x01slice", b"\x68parameters"], False),
        ([b"\x01slice", b"\x0a"], False),
        ([b"\x06more"], False),
        ([b"\x00damaged"], False),
    ],
)
def test_a_picture_without_dependants_says_so_in_each_unit(units: list[bytes], expected: bool) -> None:
    assert disposable(with_lengths(*units), AVCC) == expected
    assert disposable(with_start_codes(*units), b"") == expected
    assert disposable(with_start_codes(*units), b"\x00\x00\x00\x01\x67") == expected


@pytest.mark.parametrize("end", [b"\x00", b"\x00\x00\x00\x09\x01", b"\x00\x00\x00\x00"])
def test_units_that_do_not_fill_the_packet_are_not_trusted(end: bytes) -> None:
    assert not disposable(memoryview(bytes(with_lengths(b"\x01slice")) + end), AVCC)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mts"])
def test_between_samples_only_frames_that_others_depend_on_are_decoded(tmp_path: Path, name: str) -> None:
    path = encode(tmp_path / name, numbered(96), options=B_FRAMES)
    info = probe(path)
    assert info.one_to_one
    needed = info.pts[1::10].tolist()
    shown = [answer.pts for answer in decoded(path, info.stream, needed)]
    assert set(needed) <= set(shown)
    assert len(shown) < 0.5 * len(info.pts)
    assert len(list(decoded(path, info.stream))) == len(info.pts)


@pytest.mark.parametrize(("sample_fps", "lost"), [(25, [30]), (5, [30]), (12.5, [30]), (8, [])])
def test_a_damaged_frame_without_dependants_is_the_only_one_lost(
    tmp_path: Path, sample_fps: float, lost: list[int]
) -> None:
    path = encode(tmp_path / "a.mp4", numbered(60), options=B_FRAMES)
    overwrite(path, probe(path).pts[30])
    (batch,) = SampledVideo(probe(path), sample_fps)
    assert batch.index[~batch.decoded].tolist() == lost
    shown = [read_number(image) for image in batch.images[batch.decoded]]
    assert shown == batch.index[batch.decoded].tolist()


def overwrite(path: Path, pts: int) -> None:
    """The content of a frame, without the length and the first byte of its unit."""
    with av.open(str(path)) as container:
        packet = next(packet for packet in container.demux(video=0) if packet.pts == pts)
    content = bytearray(path.read_bytes())
    content[packet.pos + 5 : packet.pos + packet.size] = b"\xff" * (packet.size - 5)
    path.write_bytes(content)
