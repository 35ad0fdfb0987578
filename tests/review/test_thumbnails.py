"""Small pictures of moments: shown and blurred faces, and missing recordings."""

import io
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from videos import encode, with_faces

from pipeline.processing.batch import process_sessions
from pipeline.processing.jobs import in_this_process
from pipeline.processing.session import Networks, Session, Settings
from pipeline.review import annotated_video as review
from pipeline.review.thumbnails import Thumbnails, _around
from pipeline.store.paths import faces_path
from pipeline.store.status import read_outcomes, record
from pipeline.video.file_content import sha256_of, stamp

PATIENT, OTHER = (40, 60), (125, 60)
"""Left upper corners of their faces, which are 64 px wide: so near that a picture of the one shows both."""


@pytest.fixture
def out(tmp_path: Path, fake_networks: Networks) -> Path:
    """Three seconds in which both are seen, then one in which nobody is; the patient is on the left."""
    drawn = [with_faces([PATIENT, OTHER])] * 30 + [with_faces([])] * 10
    return processed(tmp_path, drawn, fake_networks)


def processed(
    tmp_path: Path, drawn: Sequence[NDArray[np.uint8]], networks: Networks, right: float = 0.3
) -> Path:
    """The results of a session at ten pictures per second, whose patient sits on the left."""
    video = encode(tmp_path / "a.mp4", drawn, rate=10)
    session = Session("P1", "S1", video, patient_region=(0.0, 0.0, right, 1.0))
    process_sessions([session], tmp_path / "out", Settings(), in_this_process(networks), "0" * 64)
    return tmp_path / "out"


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


def test_a_blurred_picture_shows_the_scene_and_no_face(tmp_path: Path, fake_networks: Networks) -> None:
    """A visitor's face, and a table with a pattern too dark to be a face."""
    other, table = (220, 60), np.s_[260:300, 60:200]
    drawn = with_faces([PATIENT, other], 640, 360)
    drawn[table] = np.where(np.indices((40, 140)).sum(axis=0) // 10 % 2, 38, 0)[..., None]
    folder = processed(tmp_path, [drawn] * 20, fake_networks)
    jpeg = Thumbnails(folder, "blur")("P1", "S1", [1.0])[1.0]
    assert jpeg is not None
    assert len(jpeg) < 16_000
    picture = opened(jpeg)
    # three faces to each side of the patient's, as far as there is picture
    assert picture.shape == (60 + 64 + 3 * 64, 40 + 64 + 3 * 64)
    assert contrast(picture, PATIENT, (0, 0)) < 15
    assert contrast(picture, other, (0, 0)) < 15
    assert picture[table].std() > 10


def test_who_was_seen_some_seconds_ago_is_still_hidden(tmp_path: Path, fake_networks: Networks) -> None:
    """The visitor's face is not detected after 2 s, as when it turns away, but is still in the picture."""
    other = (220, 60)
    both, turned = with_faces([PATIENT, other], 640, 360), with_faces([other], 640, 360) // 6
    drawn = [both] * 20 + [np.maximum(with_faces([PATIENT], 640, 360), turned)] * 40
    assert turned[76:108, 236:268].std() > 9
    found = Thumbnails(processed(tmp_path, drawn, fake_networks), "blur")("P1", "S1", [4.6])[4.6]
    assert found is not None
    assert contrast(opened(found), other, (0, 0)) < 5


def test_where_nothing_but_blurred_faces_would_be_seen_there_is_no_smear(
    tmp_path: Path, fake_networks: Networks
) -> None:
    folder = processed(tmp_path, [with_faces([(4, 4)], 72, 72)] * 20, fake_networks, 1.0)
    assert Thumbnails(folder, "blur")("P1", "S1", [1.0]) == {1.0: None}
    assert Thumbnails(folder, "plain")("P1", "S1", [1.0])[1.0] is not None


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


def test_a_picture_lies_within_the_recording() -> None:
    shape, box = (1080, 1920, 3), np.array([900.0, 300, 1300, 800])
    assert _around(box, 0.6, shape) == (550, 0, 1650, 1080)
    assert _around(np.array([-50.0, -50, 10, 10]), 0.0, shape) == (0, 0, 10, 10)
    assert _around(np.array([-50.0, -50, -10, -10]), 0.0, shape) == (0, 0, 1, 1)
