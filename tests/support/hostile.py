"""Hostile files, made from real ones, and a process in which reading them is harmless."""

import multiprocessing
import os
import resource
import struct
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

Edit = tuple[str, int, Any]
"""What is done, where, and with what; see :func:`edited`."""

LIMIT_S = 60.0
"""For one input; far more than any takes on an idle machine."""

_MORE_BYTES = 5 * 2**30
"""Address space that reading may take beyond what the libraries have: less than one 65535 × 65535 picture."""


def edited(content: bytes, edits: Sequence[Edit]) -> bytes:
    """The file with each edit made; a place counts from the end where it is negative, and wraps around."""
    for what, place, value in edits:
        at = place % max(len(content), 1)
        if what == "set":
            content = content[:at] + value + content[at + len(value) :]
        elif what == "insert":
            content = content[:at] + value + content[at:]
        elif what == "drop":
            content = content[:at] + content[at + value :]
        elif what == "cut":
            content = content[:at]
        elif what == "box":
            content = _set_in_box(content, place, value)
        elif what == "swap":
            content = _swapped(content, place, value)
    return content


def boxes(content: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Every box of an MP4 file and those in it: name, start and end."""
    end = len(content) if end is None else end
    while start + 8 <= end:
        size, name = struct.unpack_from(">I4s", content, start)
        if not 8 <= size <= end - start:
            return
        yield name, start, start + size
        if name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf", b"udta"):
            yield from boxes(content, start + 8, start + size)
        start += size


def _set_in_box(content: bytes, place: int, value: tuple[str, bytes]) -> bytes:
    """Overwrites what stands so many bytes after the head of the first box of that name."""
    for name, start, end in boxes(content):
        if name.decode("latin-1") == value[0] and end - start > 8:
            return edited(content, [("set", start + 8 + place % (end - start - 8), value[1])])
    return content


def _swapped(content: bytes, one: int, other: int) -> bytes:
    """Two boxes in each other's places, where neither holds the other."""
    found = list(boxes(content))
    if not found:
        return content
    (_, a, b), (_, c, d) = sorted(
        (found[one % len(found)], found[other % len(found)]), key=lambda box: box[1]
    )
    if b > c:
        return content
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


class Contained:
    """A function in a process of its own, with little memory and little time.

    :param signals: how often the process was ended by a signal, as by a fault in a library's own code.
    """

    def __init__(self, read: Callable[..., str]) -> None:
        self._read, self.signals = read, 0
        self._process: multiprocessing.process.BaseProcess | None = None

    def __call__(self, *arguments: object) -> str:
        """What the function returned.

        :raises AssertionError: it raised what it should not, or went on and on.
        """
        if self._process is None or not self._process.is_alive():
            self._start()
        assert self._process is not None
        self._pipe.send(arguments)
        if not self._pipe.poll(LIMIT_S):
            self.stop()
            raise AssertionError(f"not at an end after {LIMIT_S:g} s")
        try:
            good, said = self._pipe.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            assert (self._process.exitcode or 0) < 0, f"exited with {self._process.exitcode}"
            self.signals += 1
            return f"signal {-(self._process.exitcode or 0)}"
        assert good, said
        return str(said)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._read), daemon=True)
        self._process.start()
        theirs.close()
        assert self._pipe.poll(10 * LIMIT_S), "the process did not start"
        assert self._pipe.recv() == "ready"


def _serve(pipe: Connection, read: Callable[..., str]) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)  # FFmpeg's own words
    read()  # without arguments: imports what it will use
    with open("/proc/self/statm") as file:  # noqa: PTH123
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _MORE_BYTES, used + _MORE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pipe.send("ready")
    while True:
        try:
            arguments = pipe.recv()
        except EOFError:
            return
        try:
            answer = True, read(*arguments)
        except BaseException:  # a panic of polars is no Exception
            answer = False, traceback.format_exc()
        pipe.send(answer)


def read_video(path: Path | None = None) -> str:
    """The container, and where that can be read a few pictures, by both decoders and by seeking."""
    import decord

    from pipeline.errors import VideoError
    from pipeline.video.recording import open_recording

    decord.logging.set_level(decord.logging.QUIET)
    if path is None:
        return ""
    try:
        recording = open_recording([path])
        shown = 0
        for video, _, _ in recording.sampled(2.0, 4, [(0.0, recording.duration_s)]):
            for frames, _ in zip(video, range(3), strict=False):
                assert frames.images.shape[1:] == (recording.height, recording.width, 3)
                shown += int(frames.decoded.sum())
        recording.picture_at(recording.frames - 1)
    except VideoError as error:
        assert str(path) in str(error)
        return "VideoError"
    return f"{shown} pictures"


def read_results(folder: Path | None = None) -> str:
    """All that reads a folder of results; each thing either works or says which file is at fault."""
    from pipeline.errors import PipelineError
    from pipeline.identity.roles import patient_from_roles, roles_path
    from pipeline.processing.session_tables import read_roles, read_samples
    from pipeline.results.derive import derive
    from pipeline.review.people import find_people
    from pipeline.store.paths import faces_path, timeline_path
    from pipeline.store.status import read_outcomes, sessions_in
    from pipeline.store.timeline import read_faces, read_timeline
    from reports import write_reports
    from reports.errors import ReportError
    from reports.write import write_status_page

    if folder is None:
        return ""
    timeline, faces = timeline_path(folder, "P1", "S1"), faces_path(folder, "P1", "S1")
    readers: list[Callable[[], object]] = [
        lambda: read_outcomes(folder),
        lambda: write_status_page(folder, folder / "reports" / "status.html", running=False),
        lambda: sessions_in(folder),
        lambda: read_timeline(timeline),
        lambda: read_faces(faces),
        lambda: read_roles(faces),
        lambda: patient_from_roles(
            read_samples(read_timeline(timeline), faces), roles_path(folder, "P1", "S1")
        ),
        lambda: find_people(folder, None),
        lambda: derive(folder),
        lambda: write_reports(folder),
    ]
    said = []
    for reader in readers:
        try:
            reader()
        except (PipelineError, ReportError) as error:
            assert str(folder) in str(error), f"names no file: {error}"
            said.append(type(error).__name__)
    pages = {path.relative_to(folder).as_posix() for path in folder.rglob("*.html")}
    names = ("index.html", "status.html", "study.html", "P1/index.html", "P1/S1.html")
    assert pages <= {f"reports/{name}" for name in names}, pages
    return " ".join(said) or "all good"


def read_weights(path: Path | None = None) -> str:
    """Weights and checkpoints, by all that takes them."""
    from emonext.checkpoint import load_weights, read_card
    from emonext.errors import EmoNeXtError
    from emonext.model import Architecture, EmoNeXt
    from emonext.published import convert_published
    from emonext.training.starting import start_from

    if path is None:
        return ""
    small = Architecture((1, 1, 1, 1), (8, 16, 24, 32), 48)
    said = []
    with tempfile.TemporaryDirectory() as folder:
        for use in (
            load_weights,
            read_card,
            lambda path: start_from(EmoNeXt(small), str(path)),
            lambda path: convert_published(path, Path(folder) / "new.safetensors"),
        ):
            try:
                use(path)
            except EmoNeXtError as error:
                assert str(path) in str(error), f"names no file: {error}"
                said.append(type(error).__name__)
    return " ".join(said)
