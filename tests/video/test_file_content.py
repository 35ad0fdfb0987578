"""video.file_content: when a file is taken for unchanged, and its sha256."""

import hashlib
import os
from pathlib import Path

import pytest

from pipeline.errors import VideoError
from pipeline.video import file_content
from pipeline.video.file_content import check_content, read_content, sha256_of, stamp, surely_differ

SIZE = 300_000


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "a.mp4"
    path.write_bytes(bytes(SIZE))
    return path


def change(path: Path, place: int) -> None:
    """A byte, with the same size and time afterwards."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


# four samples of 16 KiB, from 0, and a third, two thirds and all of the way to the last, 283,616
@pytest.mark.parametrize("place", [0, 16_383, 94_538, 94_600, 189_077, 283_616, SIZE - 1])
def test_other_bytes_with_the_same_size_and_time_are_noticed_in_the_samples(video: Path, place: int) -> None:
    before = stamp([video])
    change(video, place)
    assert stamp([video]) != before
    assert surely_differ(before, stamp([video]))


@pytest.mark.parametrize("place", [16_384, 94_537, 150_000, 283_615])
def test_between_the_samples_they_are_not(video: Path, place: int) -> None:
    before = stamp([video])
    change(video, place)
    assert stamp([video]) == before


def test_a_later_time_may_be_of_the_same_bytes(video: Path) -> None:
    before = stamp([video])
    os.utime(video, ns=(1, 1))
    assert stamp([video]) != before
    assert not surely_differ(before, stamp([video]))
    assert not surely_differ("", before)
    video.write_bytes(bytes(SIZE + 1))
    assert surely_differ(before, stamp([video]))
    assert surely_differ(f"{before} {before}", f"{before} {stamp([video])}")


def test_the_sha256_is_that_of_all_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_content, "_BLOCK_BYTES", 1000)
    path, content = tmp_path / "a.mp4", os.urandom(2500)
    path.write_bytes(content)
    calls: list[None] = []
    assert sha256_of(path, lambda: calls.append(None)) == hashlib.sha256(content).hexdigest()
    assert len(calls) == 2


def test_a_file_that_changed_since_it_was_read_is_told(video: Path) -> None:
    content = read_content([video])
    check_content([video], content)
    change(video, 0)
    with pytest.raises(VideoError, match="was changed while it was read"):
        check_content([video], content)


def test_a_file_that_could_not_be_read_is_told(tmp_path: Path) -> None:
    gone = tmp_path / "a.mp4"
    content = read_content([gone])
    assert (content.stamp, content.sha256) == ("", "")
    with pytest.raises(VideoError, match="can't be read"):
        check_content([gone], content)
    gone.write_bytes(b"0")
    with pytest.raises(VideoError, match="was changed while it was read"):
        check_content([gone], content)
