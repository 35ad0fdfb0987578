"""processing.chunks: finished chunks are kept, and an interrupted run gives the same result."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from videos import encode, with_faces

from pipeline.processing.chunks import Chunk, Chunks
from pipeline.processing.session import Networks, Session, Settings
from pipeline.processing.stages import process_session
from pipeline.records import Face, FaceState, FrameFaces
from pipeline.video.container import probe
from pipeline.video.decoding import SampledVideo


@pytest.fixture
def stretch(make_face: Callable[..., Face]) -> Chunk:
    seventh = np.full(7, 1 / 7, np.float32)
    scored = [
        make_face(50.3, 80.1, probabilities=seventh, state=FaceState(0.31, 0.07, 0.4)),
        make_face(190.7, 80.1, probabilities=seventh),
    ]
    samples = [
        FrameFaces(10, 50, 2.0, True, tuple(scored)),
        FrameFaces(11, 55, 2.2, True),
        FrameFaces(12, 60, 2.4, False),
        FrameFaces(13, 65, 2.6, True, (scored[1],)),
    ]
    return Chunk(samples, ["decord", "pyav"])


def values(samples: list[FrameFaces]) -> list[object]:
    return [(s.sample, s.frame, s.time_s, s.decoded, [_values(face) for face in s.faces]) for s in samples]


def _values(face: Face) -> list[object]:
    assert face.probabilities is not None
    arrays = (face.box_xyxy, face.landmarks, face.probabilities)
    return [
        *(array.tolist() for array in arrays),
        face.detection,
        face.sharpness,
        face.yaw,
        face.roll,
        face.state,
    ]


def test_what_is_read_is_what_was_written(tmp_path: Path, stretch: Chunk) -> None:
    kept = Chunks(tmp_path / "P1" / "S1", "key")
    kept.write(3, stretch)
    found = kept.read(3)
    assert found is not None
    assert values(found.samples) == values(stretch.samples)
    assert found.decoders == ["decord", "pyav"]


def test_a_stretch_without_a_face_is_one_too(tmp_path: Path) -> None:
    kept = Chunks(tmp_path / "P1" / "S1", "key")
    kept.write(0, Chunk([FrameFaces(0, 0, 0.0, True)], []))
    assert kept.read(0) == Chunk([FrameFaces(0, 0, 0.0, True)], [])


def test_no_picture_is_kept(tmp_path: Path, stretch: Chunk) -> None:
    Chunks(tmp_path / "S1", "key").write(0, stretch)
    with np.load(tmp_path / "S1" / "00000.npz") as file:
        assert all(file[name].dtype != np.uint8 for name in file)


@pytest.mark.parametrize("what", ["another key", "another number", "cut off", "overwritten", "empty"])
def test_what_is_not_whole_or_not_of_this_run_is_not_taken(tmp_path: Path, stretch: Chunk, what: str) -> None:
    kept = Chunks(tmp_path / "P1" / "S1", "key")
    kept.write(0, stretch)
    path = tmp_path / "P1" / "S1" / "00000.npz"
    whole = path.read_bytes()
    if what == "another key":
        kept = Chunks(tmp_path / "P1" / "S1", "other settings")
    elif what != "another number":
        path.write_bytes({"cut off": whole[:-100], "overwritten": b"x" * len(whole), "empty": b""}[what])
    assert kept.read(1 if what == "another number" else 0) is None


def test_removing_leaves_other_sessions_alone(tmp_path: Path, stretch: Chunk) -> None:
    root = tmp_path / ".unfinished"
    one, other = Chunks(root / "P1" / "S1", "key"), Chunks(root / "P1" / "S2", "key")
    one.write(0, stretch)
    other.write(0, stretch)
    one.remove()
    assert one.read(0) is None
    assert other.read(0) is not None
    other.remove()
    assert not root.exists()


def test_who_comes_last_does_not_mind_that_the_folder_is_gone(
    tmp_path: Path, stretch: Chunk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine's attempt ends, and removes the folder, while this one writes to it."""
    kept = Chunks(tmp_path / ".unfinished" / "P1" / "S1", "key")

    def meanwhile(content: bytes) -> bytes:
        kept.remove()
        return content

    monkeypatch.setattr("pipeline.processing.chunks.seal", meanwhile)
    kept.write(0, stretch)
    assert kept.read(0) is None
    assert not (tmp_path / ".unfinished").exists()


# --- a session in stretches


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Six seconds; somebody walks through the picture, and somebody else comes."""
    pictures = [with_faces([(4 * n, 60)] + [(240, 100)] * (n > 35)) for n in range(60)]
    return Session("P1", "S1", encode(tmp_path / "P1_S1.mp4", pictures, rate=10))


class Stopped(BaseException):
    """Like a power cut: nothing catches it."""


@pytest.mark.parametrize("stop_after", [1, 7, 14, 22, 29])
def test_a_run_that_was_stopped_ends_as_one_that_was_not(
    session: Session,
    tmp_path: Path,
    fake_networks: Networks,
    monkeypatch: pytest.MonkeyPatch,
    stop_after: int,
) -> None:
    monkeypatch.setattr("pipeline.processing.stages.STRETCH_S", 1.0)
    settings = Settings(batch_size=4)
    process_session(session, tmp_path / "whole", settings, fake_networks, fingerprint="f")

    def stop(done: int, total: int) -> None:
        if done == stop_after:
            raise Stopped

    with pytest.raises(Stopped):
        process_session(session, tmp_path / "cut", settings, fake_networks, stop, "f")
    assert not session.timeline_path(tmp_path / "cut").exists()
    done: list[int] = []
    process_session(session, tmp_path / "cut", settings, fake_networks, lambda n, total: done.append(n), "f")
    assert done[0] == stop_after // 5 * 5 + 1  # from the stretch that was not finished
    for path in (session.timeline_path, session.faces_path):
        assert pq.read_table(path(tmp_path / "cut")).equals(pq.read_table(path(tmp_path / "whole")))
    assert not (tmp_path / "cut" / ".unfinished").exists()


def test_two_attempts_at_once_do_no_harm(
    session: Session, tmp_path: Path, fake_networks: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a machine was taken for lost, and another does all of it meanwhile."""
    monkeypatch.setattr("pipeline.processing.stages.STRETCH_S", 1.0)
    attempt = partial(process_session, session, settings=Settings(), networks=fake_networks)
    attempt(out=tmp_path / "one")

    def meanwhile(done: int, total: int) -> None:
        if done in (12, 13):  # in the middle of a stretch, with two that are kept; and once more
            attempt(out=tmp_path / "two")

    attempt(out=tmp_path / "two", on_progress=meanwhile)
    for path in (session.timeline_path, session.faces_path):
        assert pq.read_table(path(tmp_path / "two")).equals(pq.read_table(path(tmp_path / "one")))
    assert not (tmp_path / "two" / ".unfinished").exists()
    assert not list((tmp_path / "two").rglob("*.partial"))


def test_other_settings_start_anew(
    session: Session, tmp_path: Path, fake_networks: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.processing.stages.STRETCH_S", 1.0)

    def stop(done: int, total: int) -> None:
        if done == 22:
            raise Stopped

    with pytest.raises(Stopped):
        process_session(session, tmp_path, Settings(), fake_networks, stop, "before")
    done: list[int] = []
    process_session(session, tmp_path, Settings(), fake_networks, lambda n, total: done.append(n), "after")
    assert done[0] == 1


@pytest.mark.parametrize("decord", [True, False])
@pytest.mark.parametrize(
    "name", ["gesture_720p.mp4", "face_then_none.mov", "asl_bird.mkv", "phone_rot90.mp4"]
)
def test_a_part_of_a_video_shows_what_the_whole_shows_there(clips: Path, name: str, decord: bool) -> None:
    info = probe(clips / name)
    video = SampledVideo(replace(info, decord_reads_it=info.decord_reads_it and decord), 10)
    whole = [image for batch in video for image in batch.images]
    first, end = len(video) // 3, len(video) - 3
    part = [image for batch in video.read(first, end) for image in batch.images]
    assert len(part) == end - first
    assert all(np.array_equal(a, b) for a, b in zip(part, whole[first:end], strict=True))
