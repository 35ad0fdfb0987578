"""video.decoding: damage is marked, a truncated file loses only its end, other files are refused."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from sampled import collect
from videos import BITS, cut_off, encode, numbered, read_number, remux, sound_only

from pipeline.errors import VideoError
from pipeline.video.container import probe
from pipeline.video.decoding import SampledVideo, pictures
from pipeline.video.file_content import sha256_of

_TRANSPORT_BYTES = 188

# With open groups, frames that are shown before a key frame depend on frames before it.
_OPEN_GROUPS = {"x264-params": "bframes=2:b-adapt=0:open-gop=1:scenecut=0"}

# --- damage


def test_a_corrupted_file_falls_back_to_pyav_and_marks_what_it_lost(clips: Path) -> None:
    info = probe(clips / "corrupted.mp4")
    video = SampledVideo(info, 10)
    batches = list(video)
    decoded = np.concatenate([batch.decoded for batch in batches])
    index = np.concatenate([batch.index for batch in batches])
    assert "pyav" in video.decoders
    assert index.tolist() == list(range(50))
    assert decoded[0]
    assert 0 < decoded.sum() < 50
    for batch in batches:
        assert not batch.images[~batch.decoded].any()


def test_pyav_goes_on_where_decord_stopped(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", numbered(130), rate=10, gop=10, damage=lambda number: number == 115)
    video = SampledVideo(replace(probe(path), decord_reads_it=True), 10)
    batches = list(video)
    assert video.decoders == ["decord", "pyav"]
    sample, index, _, images = collect(video)
    assert sample.tolist() == index.tolist() == list(range(130))
    decoded = np.concatenate([batch.decoded for batch in batches])
    assert not decoded[115]
    assert set(range(110)) | set(range(120, 130)) <= set(np.flatnonzero(decoded))
    assert all(read_number(images[number]) == number for number in np.flatnonzero(decoded))


@pytest.mark.parametrize("hurt", range(18, 30))
def test_a_frame_is_marked_or_right_wherever_the_damage_is(tmp_path: Path, hurt: int) -> None:
    options = {"sc_threshold": "0"}
    path = tmp_path / "a.mp4"
    encode(path, numbered(60), rate=10, gop=10, options=options, damage=lambda number: number == hurt)
    seen = {
        int(index): read_number(image)
        for batch in SampledVideo(probe(path), 10)
        for index, image, decoded in zip(batch.index, batch.images, batch.decoded, strict=True)
        if decoded
    }
    assert {index: number for index, number in seen.items() if index != number} == {}
    assert set(range(10)) | set(range(40, 60)) <= seen.keys()
    assert hurt not in seen


@pytest.mark.parametrize("hurt", [21, 25, 35, 39])
def test_damage_between_two_samples_is_marked_in_those_built_on_it(tmp_path: Path, hurt: int) -> None:
    options = {"sc_threshold": "0"}
    path = tmp_path / "a.mp4"
    encode(path, numbered(60), rate=10, gop=10, options=options, damage=lambda number: number == hurt)
    for batch in SampledVideo(replace(probe(path), decord_reads_it=False), 5):
        shown = [read_number(image) for image in batch.images[batch.decoded]]
        assert shown == batch.index[batch.decoded].tolist()


def test_what_is_built_on_a_damaged_frame_is_marked_until_the_next_key_frame(
    clips: Path, tmp_path: Path
) -> None:
    """A few wrong bits: the decoder does not fail, it conceals, and says so of one frame only."""
    hurt = with_wrong_bits(clips / "asl_walk.mkv", tmp_path / "a.mkv", packet=5)
    with av.open(str(hurt)) as container:
        flags = [frame.is_corrupt for frame in container.decode(video=0)]
    assert sum(flags) == 1
    info = probe(hurt)
    assert not info.decord_reads_it  # it shows them smeared, and unmarked
    decoded = np.concatenate([batch.decoded for batch in SampledVideo(info, 30)])
    assert not decoded[flags.index(True) :].any()


def test_the_mark_of_a_damaged_frame_does_not_depend_on_which_thread_is_faster(
    clips: Path, tmp_path: Path
) -> None:
    """No other frame depends on this one, so no thread waits until it is decoded."""
    info = probe(with_wrong_bits(clips / "asl_walk.mkv", tmp_path / "a.mkv", packet=16))
    for _ in range(20):
        decoded = np.concatenate([batch.decoded for batch in SampledVideo(info, 30)])
        assert (~decoded).sum() == 1


def with_wrong_bits(source: Path, target: Path, packet: int) -> Path:
    """A copy in which three bytes of one packet are changed."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = old.streams.video[0]
        copy = new.add_stream_from_template(stream)
        for number, kept in enumerate(p for p in old.demux(stream) if p.size):
            content = bytearray(bytes(kept))
            if number == packet:
                for place in np.random.default_rng(5).integers(40, len(content), 3):
                    content[place] ^= 0x55
            changed = av.Packet(bytes(content))
            changed.pts, changed.dts, changed.duration = kept.pts, kept.dts, kept.duration
            changed.time_base, changed.is_keyframe, changed.stream = kept.time_base, kept.is_keyframe, copy
            new.mux(changed)
    return target


@pytest.mark.parametrize("missing", [1, 13])
@pytest.mark.parametrize(("codec", "options"), [("libx264", _OPEN_GROUPS), ("mpeg2video", {"bf": "2"})])
def test_what_missing_transport_packets_smear_is_marked(
    tmp_path: Path, codec: str, options: dict[str, str], missing: int
) -> None:
    """Also behind a key frame, inside it, and before it, where the packet count jumps as in joined files."""
    noise = np.random.default_rng(0).integers(0, 256, (36, 16, 16, 3), np.uint8)  # several packets a frame
    path = encode(tmp_path / "a.mts", noise, codec=codec, gop=8, options=options)
    whole = good_frames(path)
    assert len(whole) == 36
    content = path.read_bytes()
    count = len(content) // _TRANSPORT_BYTES
    for first in range(count // 3, count * 2 // 3):
        begin, end = first * _TRANSPORT_BYTES, (first + missing) * _TRANSPORT_BYTES
        path.write_bytes(content[:begin] + content[end:])
        seen = good_frames(path)
        assert len(seen) > 36 // 3
        assert all(np.array_equal(picture, whole[pts]) for pts, picture in seen.items()), first


def good_frames(path: Path) -> dict[int, NDArray[np.uint8]]:
    """The decoded frames by their presentation times."""
    info = probe(path)
    found = zip(info.pts.tolist(), pictures(info, np.arange(len(info.pts))), strict=True)
    return {pts: picture for pts, picture in found if picture is not None}


@pytest.mark.parametrize(
    ("name", "container_options"), [("a.mp4", {"movflags": "faststart"}), ("a.mkv", {})], ids=["mp4", "mkv"]
)
def test_of_a_file_cut_in_the_middle_the_first_half_is_read_and_the_rest_is_missing(
    clips: Path, tmp_path: Path, name: str, container_options: dict[str, str]
) -> None:
    whole = remux(clips / "single_face.mp4", tmp_path / name, copies=4, container_options=container_options)
    promised = probe(whole)
    assert promised.missing_s == 0
    info = probe(cut_off(whole, tmp_path / f"cut_{name}", 0.5))
    assert info.duration_s == pytest.approx(promised.duration_s, abs=0.1)
    assert 0.3 < info.missing_s / info.duration_s < 0.7
    batches = list(SampledVideo(info, 5))
    decoded = np.concatenate([batch.decoded for batch in batches])
    assert decoded[:-1].all()
    assert len(decoded) == pytest.approx((info.duration_s - info.missing_s) * 5, abs=2)


def test_an_mp4_that_lost_its_index_is_refused(clips: Path, tmp_path: Path) -> None:
    path = cut_off(remux(clips / "single_face.mp4", tmp_path / "a.mp4"), tmp_path / "cut.mp4", 0.5)
    with pytest.raises(VideoError, match=r"cut\.mp4.*cut off"):
        probe(path)


# --- what is no video


def bad_file(kind: str, folder: Path) -> Path:
    path = folder / "P1_S1.mp4"
    match kind:
        case "empty":
            path.touch()
        case "text":
            path.write_text("This is not a video.\n" * 100)
        case "noise":
            path.write_bytes(np.random.default_rng(0).bytes(20_000))
        case "sound":
            sound_only(path)
        case "directory":
            path.mkdir()
    return path


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "noise", "sound", "directory"])
def test_what_is_no_video_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    path = bad_file(kind, tmp_path)
    with pytest.raises(VideoError, match=r"P1_S1\.mp4") as caught:
        probe(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_may_not_be_read_is_no_other_kind_of_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"some")

    def refuse(path: Path) -> None:
        raise av.error.PermissionError(13, "Permission denied")

    monkeypatch.setattr("pipeline.video.container.open_container", refuse)
    with pytest.raises(VideoError, match=r"a\.mp4: can't be read \(Permission denied\)\.$"):
        probe(tmp_path / "a.mp4")


def test_sound_alone_is_called_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="only audio"):
        probe(sound_only(tmp_path / "a.mp4"))


def test_the_hash_of_a_missing_file_is_a_video_error(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="gone"):
        sha256_of(tmp_path / "gone.mp4")


def test_a_file_that_vanishes_before_it_is_read_is_a_video_error(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", numbered(5))
    video = SampledVideo(probe(path), 5)
    path.unlink()
    with pytest.raises(VideoError, match=r"a\.mp4"):
        list(video)


def test_the_numbers_of_drawn_pictures_can_be_read_back() -> None:
    assert [read_number(picture) for picture in numbered(1 << BITS)] == list(range(1 << BITS))


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize(("aspect", "width"), [(Fraction(4, 3), 240), (Fraction(8, 9), 160), (None, 180)])
def test_pictures_have_square_pixels(
    tmp_path: Path, suffix: str, aspect: Fraction | None, width: int
) -> None:
    stored = np.zeros((90, 180, 3), np.uint8)
    stored[20:70, 60:120] = 255
    path = encode(tmp_path / f"a.{suffix}", [stored] * 10, pixel_aspect=aspect)
    info = probe(path)
    assert (info.width, info.height) == (width, 90)
    picture = collect(SampledVideo(info, 5))[3][0]
    assert picture.shape == (90, width, 3)
    light = picture[45, :, 0] > 128
    assert light.sum() == pytest.approx(60 * width / 180, abs=3)
