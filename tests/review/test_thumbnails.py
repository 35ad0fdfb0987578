"""Small pictures of moments: shown and blurred faces, and missing recordings."""

import io
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from videos import encode, with_faces

from pipeline.processing.batch import process_sessions
from pipeline.processing.jobs import in_this_process, stamp
from pipeline.processing.session import Networks, Session, Settings
from pipeline.review import annotated_video as review
from pipeline.review.thumbnails import SIDE_PX, Thumbnails, _cut
from pipeline.store.paths import faces_path
from pipeline.store.status import read_outcomes, record
from pipeline.video.container import sha256_of

PATIENT, OTHER = (40, 60), (125, 60)
"""Left upper corners of their faces, which are 64 px wide: so near that a picture of the one shows both."""


@pytest.fixture
def out(tmp_path: Path, fake_networks: Networks) -> Path:
    """Three seconds in which both are seen, then one in which nobody is; the patient is on the left."""
    drawn = [with_faces([PATIENT, OTHER])] * 30 + [with_faces([])] * 10
    session = Session(
        "P1", "S1", encode(tmp_path / "a.mp4", drawn, rate=10), patient_region=(0.0, 0.0, 0.3, 1.0)
    )
    folder = tmp_path / "out"
    process_sessions([session], folder, Settings(), in_this_process(fake_networks), "0" * 64)
    return folder


def opened(jpeg: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("L"))


def contrast(picture: NDArray[np.uint8], corner: tuple[int, int], origin: tuple[int, int]) -> float:
    """Of the middle of a face, where the picture's left upper corner lies at ``origin``."""
    left, top = corner[0] - origin[0] + 16, corner[1] - origin[1] + 16
    return float(picture[top : top + 32, left : left + 32].std())


def test_without_moments_there_is_no_picture(out: Path) -> None:
    assert Thumbnails(out, "plain")("P1", "S1", []) == {}


def test_a_plain_picture_shows_the_patient_alone(out: Path) -> None:
    found = Thumbnails(out, "plain")("P1", "S1", [1.0, 2.0])
    assert sorted(found) == [1.0, 2.0]
    picture = opened(found[1.0])
    assert picture.shape == (142, 142)  # 1.1 faces to each side, as far as there is picture
    origin = (1, 21)
    assert contrast(picture, PATIENT, origin) > 30
    others = picture[60 - origin[1] + 16 :][:32, 125 - origin[0] :]
    assert float(others.std()) < 25


def test_a_blurred_picture_shows_no_face(out: Path) -> None:
    picture = opened(Thumbnails(out, "blur")("P1", "S1", [1.0])[1.0])
    origin = (0, 0)
    assert contrast(picture, PATIENT, origin) < 15
    assert contrast(picture, OTHER, origin) < 15


def test_where_the_patient_is_not_seen_there_is_no_picture(out: Path) -> None:
    assert Thumbnails(out, "plain")("P1", "S1", [3.5]) == {}


def test_where_the_recording_is_gone_there_is_no_picture(out: Path) -> None:
    video = out.parent / "a.mp4"
    kept = video.read_bytes()
    video.write_bytes(kept + b"0")
    assert Thumbnails(out, "plain")("P1", "S1", [1.0]) == {}, "another video"
    video.unlink()
    assert Thumbnails(out, "plain")("P1", "S1", [1.0]) == {}
    video.write_bytes(kept)
    assert Thumbnails(out, "plain")("P1", "S1", [1.0]) != {}


def test_a_recording_is_read_for_its_sha256_only_where_its_stamp_differs(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def count(path: Path) -> str:
        read.append(path)
        return sha256_of(path)

    monkeypatch.setattr(review, "sha256_of", count)
    video = (out.parent / "a.mp4").resolve()
    before = video.stat()
    assert Thumbnails(out, "plain")("P1", "S1", [1.0]) != {}
    assert read == []
    os.utime(video, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert Thumbnails(out, "plain")("P1", "S1", [1.0]) != {}, "the same bytes, saved later"
    assert read == [video]
    content = bytearray(video.read_bytes())
    content[-1] ^= 1
    video.write_bytes(content)
    assert Thumbnails(out, "plain")("P1", "S1", [1.0]) == {}, "another recording of the same size"
    assert read == [video] * 2


def test_a_stamp_of_another_run_than_the_timelines_is_not_trusted(out: Path) -> None:
    """The recording was replaced, and the run over the new one failed: the timeline is the old one's."""
    video = out.parent / "a.mp4"
    video.write_bytes(video.read_bytes() + b"0")
    (outcome,) = read_outcomes(out).values()
    record(out, replace(outcome, state="failed", video_stamp=stamp([video]), video_sha256=sha256_of(video)))
    assert Thumbnails(out, "plain")("P1", "S1", [1.0]) == {}


@pytest.mark.parametrize("content", [None, b"", b"PAR1"])
def test_where_the_faces_are_missing_or_damaged_there_is_no_picture(out: Path, content: bytes | None) -> None:
    path = faces_path(out, "P1", "S1")
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert Thumbnails(out, "plain")("P1", "S1", [1.0]) == {}


def test_a_picture_is_small_and_lies_within_the_recording() -> None:
    picture = Image.new("RGB", (1920, 1080))
    box = np.array([900.0, 300, 1300, 800])
    assert _cut(picture, box, 0.6).size == (1100, 1080)
    assert _cut(picture, np.array([-50.0, -50, 10, 10]), 0.0).size == (10, 10)
    assert _cut(picture, np.array([-50.0, -50, -10, -10]), 0.0).size == (1, 1)
    cut = _cut(picture, box, 0.6)
    cut.thumbnail((SIDE_PX, SIDE_PX))
    assert max(cut.size) == SIDE_PX
