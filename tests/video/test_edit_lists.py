"""video.headers: edit lists of MP4 that FFmpeg does not follow are told."""

import struct
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from hostile import boxes
from joined import kinds
from statuses import warnings
from videos import encode, numbered

from pipeline.processing.session import Networks, Session, Settings
from pipeline.processing.stages import process_session
from pipeline.video.container import probe
from pipeline.video.headers import EditFaults, edit_faults

Edit = tuple[int, int, float]
"""Length in ms, first time in the medium (-1: nothing is shown), and speed."""

TICKS = 12800
"""Of a second at 25 pictures/s."""

NOTHING = -1
GAP: list[Edit] = [(3000, 0, 1), (1000, NOTHING, 1), (3000, 3 * TICKS, 1)]


def with_edits(path: Path, edits: Sequence[Edit], version: int = 0, track: int = 0) -> Path:
    """Replaces the edit list of a track of an MP4 whose header lies behind its pictures."""
    content = path.read_bytes()
    found = list(boxes(content))
    _, start, end = [box for box in found if box[0] == b"elst"][track]
    entry = ">QqI" if version else ">IiI"
    listed = [struct.pack(entry, length, time, round(65536 * rate)) for length, time, rate in edits]
    body = struct.pack(">B3xI", version, len(edits)) + b"".join(listed)
    made = bytearray(content[:start] + struct.pack(">I4s", 8 + len(body), b"elst") + body + content[end:])
    for _, first, last in found:
        if first < start < last:
            made[first : first + 4] = struct.pack(">I", last - first + 8 + len(body) - (end - start))
    path.write_bytes(made)
    return path


def video(path: Path) -> Path:
    """Six seconds."""
    return encode(path, numbered(150), rate=25, gop=10, options={"bf": "0"})


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(
    ("edits", "told"),
    [
        (GAP, ["edit_gap"]),
        ([(3000, 0, 1), (1000, NOTHING, 1)], ["edit_gap"]),
        ([(500, NOTHING, 1), (500, NOTHING, 1), (6000, 0, 1)], ["edit_gap"]),
        ([(12000, 0, 0.5)], ["edit_rate"]),
        ([(3000, 0, 2)], ["edit_rate"]),
        ([(3000, 0, 1), (3000, 3 * TICKS, 0)], ["edit_rate"]),  # a still picture
        ([(1500, 0, 2), (1000, NOTHING, 1), (3000, 3 * TICKS, 1)], ["edit_gap", "edit_rate"]),
    ],
)
def test_an_edit_that_is_not_followed_is_told(
    tmp_path: Path, edits: list[Edit], told: list[str], version: int
) -> None:
    info = probe(with_edits(video(tmp_path / "a.mp4"), edits, version))
    assert [kind for kind in kinds(info) if kind.startswith("edit")] == told


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(
    ("edits", "length_s"),
    [
        ([(6000, 0, 1)], 6),
        ([(1000, NOTHING, 0), (6000, 0, 1)], 6),
        ([(3000, 3 * TICKS, 1)], 3),
        ([(2000, 0, 1), (2000, 4 * TICKS, 1)], 4),
    ],
)
def test_an_edit_that_is_followed_is_not_told(
    tmp_path: Path, edits: list[Edit], length_s: float, version: int
) -> None:
    info = probe(with_edits(video(tmp_path / "a.mp4"), edits, version))
    assert info.duration_s == pytest.approx(length_s)
    assert not [kind for kind in kinds(info) if kind.startswith("edit")]


def test_the_note_is_shown_with_the_session(tmp_path: Path, fake_networks: Networks) -> None:
    path = with_edits(video(tmp_path / "a.mp4"), GAP)
    timeline = process_session(Session("P1", "S1", path), tmp_path / "out", Settings(), fake_networks)
    assert warnings(timeline)[0] == (
        "the file's edit list leaves a gap inside the recording, which can't be followed: times and length "
        "may be wrong"
    )


def test_the_edits_of_sound_count_those_of_other_tracks_do_not(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        sound, pictures = container.add_stream("aac", rate=16000), container.add_stream("libx264", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 256, 64, "yuv420p"
        for picture in numbered(25):
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(pictures.encode(None))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), "fltp", "mono")
        silence.sample_rate = 16000
        container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
    assert edit_faults(path) == EditFaults()
    with_edits(path, [(500, 0, 1), (100, NOTHING, 1), (400, 8000, 1)], track=0)
    assert edit_faults(path) == EditFaults(has_gap=True)
    content = path.read_bytes()
    assert content.count(b"soun") == 1
    path.write_bytes(content.replace(b"soun", b"tmcd"))
    assert edit_faults(path) == EditFaults()


def test_a_header_before_the_pictures_is_read(tmp_path: Path) -> None:
    path = with_edits(video(tmp_path / "a.mp4"), GAP)
    content = path.read_bytes()
    (movie,) = [content[start:end] for name, start, end in boxes(content) if name == b"moov"]
    large = struct.pack(">I4sQ", 1, b"moov", len(movie) + 8) + movie[8:]
    path.write_bytes(large + content.replace(movie, b""))
    assert edit_faults(path) == EditFaults(has_gap=True)


@pytest.mark.parametrize("count", [0, 2**32 - 1])
def test_a_count_that_is_wrong_does_no_harm(tmp_path: Path, count: int) -> None:
    path = with_edits(video(tmp_path / "a.mp4"), GAP)
    content = bytearray(path.read_bytes())
    place = content.index(b"elst") + 8
    content[place : place + 4] = struct.pack(">I", count)
    path.write_bytes(content)
    assert edit_faults(path) == EditFaults(has_gap=count > 0)


@pytest.mark.parametrize("content", [b"", b"moov", b"\0\0\0\0moov", b"\0\0\0\x04moov", b"\0\0\0\x01moov"])
def test_what_is_no_movie_has_no_edits(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    assert edit_faults(path) == EditFaults()
