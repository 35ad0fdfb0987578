"""What video files hold: a stamp that is quick to read, and the sha256 of every byte.

The stamp has size, modification time and a hash of samples of the content. It decides whether a file must be
read: a change that keeps all three is not noticed.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import VideoError
from pipeline.reasons import free_text

# Samples of the stamp, evenly spaced, the first at the file's start and the last at its end; bytes of each.
# Few, because each is a seek of a disk, and a run reads them of every recording.
_SAMPLES, _SAMPLE_BYTES = 4, 16 * 1024

_BLOCK_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Content:
    """Of a recording's files.

    :param stamp: from :func:`stamp`, before the files were read.
    :param sha256s: of each file; empty for one that can't be read.
    """

    stamp: str
    sha256s: tuple[str, ...]

    @property
    def sha256(self) -> str:
        return joined(self.sha256s)


def read_content(videos: Sequence[Path], on_read: Callable[[], object] = lambda: None) -> Content:
    """Read every byte of the files.

    :param on_read: called while a large file is read.
    """
    return Content(stamp(videos), tuple(known_sha256(video, on_read) for video in videos))


def check_content(videos: Sequence[Path], content: Content) -> None:
    """:raises VideoError: a file was changed or replaced since its content was read, or could not be read."""
    for video, before, sha256 in zip(videos, content.stamp.split(" "), content.sha256s, strict=True):
        if not sha256:
            sha256_of(video)
        if not sha256 or stamp([video]) != before:
            raise VideoError.about(video, "changed_meanwhile")


def stamp(videos: Iterable[Path]) -> str:
    """Size, modification time and sampled hash of each file; empty for a file that is not there."""
    return " ".join(map(_stamp, videos))


def surely_differ(stamp: str, other: str) -> bool:
    """Whether files with these stamps hold other bytes, whatever their times."""
    return any(
        one.count("-") == two.count("-") == 2 and without_time(one) != without_time(two)
        for one, two in zip(stamp.split(" "), other.split(" "), strict=False)
    )


def without_time(stamp: str) -> str:
    """The stamp of one file without its time: equal for copies of a file."""
    return "-".join(stamp.split("-")[::2])


def _stamp(video: Path) -> str:
    try:
        found = video.stat()
    except OSError:
        return ""
    return f"{found.st_size}-{found.st_mtime_ns}-{_sampled_hash(video, found.st_size)}"


def _sampled_hash(video: Path, size: int) -> str:
    digest = hashlib.sha256()
    try:
        with video.open("rb", buffering=0) as file:
            for number in range(_SAMPLES):
                file.seek(max(0, size - _SAMPLE_BYTES) * number // (_SAMPLES - 1))
                digest.update(file.read(_SAMPLE_BYTES))
    except OSError:
        return ""
    return digest.hexdigest()[:16]


def known_sha256(path: Path, on_read: Callable[[], object] = lambda: None) -> str:
    """The file's sha256; empty if it can't be read."""
    try:
        return sha256_of(path, on_read)
    except VideoError:
        return ""


def sha256_of(path: Path, on_read: Callable[[], object] = lambda: None) -> str:
    """Hex sha256 of the file.

    :param on_read: called while a large file is read.
    :raises VideoError: it can't be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
                if len(block) == _BLOCK_BYTES:
                    on_read()
    except OSError as error:
        raise VideoError.about(path, "unreadable", error=free_text(error.strerror)) from error
    return digest.hexdigest()


def joined(each: Sequence[str]) -> str:
    """The sha256 of a recording from the sha256s of its files; empty if one is empty."""
    if not all(each):
        return ""
    return each[0] if len(each) == 1 else hashlib.sha256("".join(each).encode()).hexdigest()
