"""What the page of a session may play."""

import os
from pathlib import Path

import pytest
from looks import LOOK
from videos import encode, with_faces

from pipeline.processing.batch import process_sessions
from pipeline.processing.jobs import in_this_process
from pipeline.processing.session import Networks, Session, Settings
from pipeline.records import SessionVideo
from pipeline.review.annotated_video import Blur, CopyOptions, open_material, write_copy
from pipeline.review.films import find_video
from pipeline.store.paths import timeline_path
from pipeline.store.timeline import read_timeline


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return (
        encode(tmp_path / "a.mp4", [with_faces([(40, 60)])] * 10, rate=5),
        encode(tmp_path / "b.mp4", [with_faces([(60, 60)])] * 5, rate=5),
    )


@pytest.fixture
def out(tmp_path: Path, files: tuple[Path, Path], fake_networks: Networks) -> Path:
    """P1 S1, of 2 s and 1 s."""
    folder = tmp_path / "out"
    session = Session("P1", "S1", files[0], continued=files[1:])
    process_sessions([session], folder, Settings(), in_this_process(fake_networks), "0" * 64)
    return folder


def found(out: Path, *, original: bool = False) -> SessionVideo | None:
    timeline = read_timeline(timeline_path(out, "P1", "S1"))
    return find_video(out, "P1", "S1", timeline, original=original)


def copy(out: Path, blur: Blur) -> Path:
    path = out / "review" / "P1" / "S1.mp4"
    write_copy(open_material(out, "P1", "S1"), path, LOOK, CopyOptions(blur))
    return path


def test_nothing_is_played_unless_it_was_asked_for(out: Path) -> None:
    assert found(out) is None


@pytest.mark.parametrize("blur", ["others", "all"])
def test_a_blurred_copy_is_played(out: Path, blur: Blur) -> None:
    assert found(out) is None
    path = copy(out, blur)
    assert found(out) == SessionVideo(((path, 0.0),), blur)


def test_a_copy_that_blurs_nobody_is_not(out: Path) -> None:
    copy(out, "none")
    assert found(out) is None


def test_the_recording_is_played_on_request_file_by_file(out: Path, files: tuple[Path, Path]) -> None:
    copy(out, "others")
    assert found(out, original=True) == SessionVideo(((files[0], 0.0), (files[1], 2.0)), "none")


def test_a_copy_of_an_earlier_timeline_is_outdated(out: Path, files: tuple[Path, Path]) -> None:
    copy(out, "others").write_bytes(b"of another timeline")
    assert found(out) == SessionVideo((), "none", outdated=True)
    both = ((files[0], 0.0), (files[1], 2.0))
    assert found(out, original=True) == SessionVideo(both, "none", outdated=True)


def test_another_file_in_its_place_is_not_played(out: Path, files: tuple[Path, Path]) -> None:
    os.replace(files[0], files[1])
    assert found(out, original=True) == SessionVideo((), "none")


def test_where_the_recording_is_gone_a_blurred_copy_is_played(out: Path, files: tuple[Path, Path]) -> None:
    path = copy(out, "all")
    files[0].unlink()
    assert found(out, original=True) == SessionVideo(((path, 0.0),), "all")


def test_a_format_that_no_browser_plays_is_played_as_a_copy(tmp_path: Path, fake_networks: Networks) -> None:
    folder = tmp_path / "out"
    video = encode(tmp_path / "a.avi", [with_faces([(40, 60)])] * 10, rate=5, codec="mpeg4")
    process_sessions(
        [Session("P1", "S1", video)], folder, Settings(), in_this_process(fake_networks), "0" * 64
    )
    assert found(folder, original=True) == SessionVideo(((video, 0.0),), "none")
    path = copy(folder, "others")
    assert found(folder, original=True) == SessionVideo(((path, 0.0),), "others")
