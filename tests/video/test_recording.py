"""video.recording: a session in several files is one session."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from videos import encode, numbered, read_number, with_faces

from pipeline.errors import VideoError
from pipeline.processing.session import Networks, Session, Settings
from pipeline.processing.stages import process_session
from pipeline.store.timeline import FACES_SCHEMA
from pipeline.video.recording import open_recording


@pytest.fixture
def split(tmp_path: Path) -> list[Path]:
    """100 pictures at 10/s whole, then the same in three files; the face moves slowly."""
    pictures = [with_faces([(40 + n, 60)]) for n in range(100)]
    cuts = [(0, 100), (0, 41), (41, 70), (70, 100)]
    return [encode(tmp_path / f"{a}-{b}.mp4", pictures[a:b], rate=10) for a, b in cuts]


def test_files_that_follow_each_other_are_one_recording(
    split: list[Path], tmp_path: Path, fake_networks: Networks
) -> None:
    whole = Session("P1", "S1", split[0])
    parts = Session("P1", "S2", split[1], continued=tuple(split[2:]))
    window = {"start_s": 2.0, "end_s": 9.0, "exclude": ((3.0, 5.0),)}
    for given in ({}, window):
        one, three = (
            process_session(replace(session, **given), tmp_path / "out", Settings(), fake_networks)
            for session in (whole, parts)
        )
        assert three.rows["time_s"].to_list() == pytest.approx(one.rows["time_s"].to_list())
        assert three.rows["status"].equals(one.rows["status"])
        assert three.rows["frame"].to_list() == [round(10 * t) for t in three.rows["time_s"]]
        assert three.rows["sample"].to_list() == list(range(len(three.rows)))
        assert three.rows["track"].n_unique() == 1
        left = three.rows["x1"].to_numpy() - three.rows["frame"].to_numpy()
        assert left.max() - left.min() < 2, "the picture is of another time"
        assert three.metadata["coverage"] == pytest.approx(1.0)
    files = three.metadata["video"]["files"]
    assert [file["name"] for file in files] == ["0-41.mp4", "41-70.mp4", "70-100.mp4"]
    assert [file["start_s"] for file in files] == pytest.approx([0.0, 4.1, 7.0])
    assert three.metadata["video"]["frames"] == 100


def test_a_frame_is_found_in_its_file(tmp_path: Path) -> None:
    pictures = numbered(60)
    recording = open_recording([encode(tmp_path / f"{n}.mp4", pictures[n : n + 20]) for n in (0, 20, 40)])
    for frame in (0, 19, 20, 39, 40, 59):
        picture = recording.picture_at(frame)
        assert picture is not None
        assert read_number(picture) == frame


def test_files_of_another_size_are_refused(tmp_path: Path) -> None:
    one = encode(tmp_path / "one.mp4", numbered(5))
    two = encode(tmp_path / "two.mp4", numbered(5, height=128))
    with pytest.raises(VideoError, match=r"two\.mp4: 256 × 128 px, .* first file has 256 × 64"):
        open_recording([one, two])


def test_faces_say_who_they_are_and_where_their_eyes_are(tmp_path: Path, fake_networks: Networks) -> None:
    video = encode(tmp_path / "two.mp4", [with_faces([(40, 60), (220, 60)])] * 20, rate=10)
    expected = {None: {"patient", "unknown"}, (0.0, 0.0, 0.5, 1.0): {"patient", "other"}}
    for region, roles in expected.items():
        session = Session("P1", "S1", video, patient_region=region)
        process_session(session, tmp_path / "out", Settings(), fake_networks)
        faces = pl.read_parquet(session.faces_path(tmp_path / "out"))
        assert faces.columns == FACES_SCHEMA.names
        assert set(faces["role"].cast(pl.String)) == roles
        eye = faces.select(pl.col("landmarks").arr.get(0)).to_series()
        assert (eye > faces["x1"]).all()
        assert (eye < faces["x2"]).all()
