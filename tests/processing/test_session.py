"""processing.session: properties of a timeline, on real and drawn clips."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from statuses import statuses, warnings

from pipeline.processing.session import Networks, Session, Settings
from pipeline.processing.stages import process_session
from pipeline.records import EMOTIONS, NEGATIVE, STATUSES
from pipeline.store.timeline import Timeline, read_timeline

SLOWLY = {"crowd_1080p.mp4": 9, "gesture_720p.mp4": 16}
"""Clip → samples at two per second: large pictures, which take the detector long."""

CLIPS = {
    **SLOWLY,
    "single_face.mp4": 12,
    "face_then_none.mov": 32,
    "none_then_face.mov": 32,
    "no_face.mp4": 20,
    "three_walk.mp4": 17,
    "asl_bird.mkv": 11,
    "asl_please.mkv": 13,
    "asl_help.mkv": 10,
    "asl_walk.mkv": 15,
    "phone_rot90.mp4": 12,
    "phone_rot180.mp4": 12,
    "phone_rot270.mp4": 12,
    "no_face_rot90.mov": 1,
    "corrupted.mp4": 25,
}
"""Clip → samples at five per second, by hand from the length and rate of each."""

OfClip = Callable[[str], Timeline]
BOX = ["x1", "y1", "x2", "y2"]
QUALITY = ["detection", "face_px", "sharpness", "brightness", "yaw", "pitch", "roll"]
PROBABILITIES = [f"p_{name}" for name in EMOTIONS]


@pytest.fixture(scope="session")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sessions")


@pytest.fixture(scope="session")
def of_clip(clips: Path, out: Path, networks: Networks) -> Callable[[str], Timeline]:
    """The timeline of a clip, made once, as read from its file."""
    made: dict[str, Timeline] = {}

    def timeline(name: str) -> Timeline:
        if name not in made:
            session = Session("P1", name.replace(".", "-"), clips / name)
            process_session(session, out, settings_of(name), networks)
            made[name] = read_timeline(session.timeline_path(out))
        return made[name]

    return timeline


def settings_of(name: str) -> Settings:
    return Settings(sample_fps=2 if name in SLOWLY else 5)


# --- the contract, on every clip


@pytest.mark.parametrize(("name", "count"), CLIPS.items())
def test_every_sample_is_a_row(of_clip: OfClip, name: str, count: int) -> None:
    rows = of_clip(name).rows
    assert rows["sample"].to_list() == list(range(count))
    assert (np.diff(rows["time_s"]) > 0).all()
    assert rows["time_s"][0] == 0
    assert (np.diff(rows["frame"]) > 0).all()
    assert set(rows["status"].cast(pl.String)) <= set(STATUSES)
    assert rows["patient_id"].unique().to_list() == ["P1"]


@pytest.mark.parametrize("name", CLIPS)
def test_values_are_null_exactly_where_nothing_was_seen(of_clip: OfClip, name: str) -> None:
    rows = of_clip(name).rows
    status = rows["status"].cast(pl.String)
    seen, ok = status.is_in(["ok", "low_quality"]), status == "ok"
    for column in ["track", *BOX, *QUALITY]:
        assert (rows[column].is_not_null() == seen).all(), column
    for column in [*PROBABILITIES, "emotion", "valence"]:
        assert (rows[column].is_not_null() == ok).all(), column


@pytest.mark.parametrize("name", CLIPS)
def test_emotion_and_valence_follow_from_the_probabilities(of_clip: OfClip, name: str) -> None:
    rows = of_clip(name).rows.filter(pl.col("status").cast(pl.String) == "ok")
    p = rows.select(PROBABILITIES).to_numpy()
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
    assert ((p >= 0) & (p <= 1)).all()
    assert rows["emotion"].cast(pl.String).to_list() == [EMOTIONS[k] for k in p.argmax(axis=1)]
    happy, negative = p[:, 3], p[:, [EMOTIONS.index(name) for name in NEGATIVE]]
    np.testing.assert_allclose(rows["valence"], happy - negative.max(axis=1), atol=1e-6)


@pytest.mark.parametrize("name", CLIPS)
def test_boxes_are_in_the_upright_picture(of_clip: OfClip, name: str) -> None:
    timeline = of_clip(name)
    seen = timeline.rows.drop_nulls("track")
    video = timeline.metadata["video"]
    x, y = (seen["x1"] + seen["x2"]) / 2, (seen["y1"] + seen["y2"]) / 2
    assert ((x > 0) & (x < video["width"]) & (y > 0) & (y < video["height"])).all()
    area = (seen["x2"] - seen["x1"]) * (seen["y2"] - seen["y1"])
    np.testing.assert_allclose(seen["face_px"], np.sqrt(area), rtol=1e-4)
    # 0.7 is enough for a face between two samples where it was found with 0.9
    assert seen["detection"].is_between(0.7, 1.000001).all()
    assert seen["brightness"].is_between(0, 1).all()


@pytest.mark.parametrize("name", CLIPS)
def test_metadata_say_how_the_timeline_was_made(
    of_clip: OfClip, clips: Path, networks: Networks, name: str
) -> None:
    found = of_clip(name).metadata
    path = clips / name
    assert {"schema_version", "software_version", "created_at", "device", "coverage"} <= found.keys()
    (file,) = found["video"]["files"]
    assert file["name"] == name
    assert file["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert {"duration_s", "width", "height", "frame_rate"} <= found["video"].keys()
    assert found["weights"]["name"] == networks.weights["name"]
    assert len(found["weights"]["sha256"]) == 64
    assert found["settings"] == json.loads(json.dumps(asdict(settings_of(name))))
    assert 0 <= found["coverage"] <= 1


@pytest.mark.parametrize("name", CLIPS)
def test_the_patient_s_faces_are_among_all_faces(of_clip: OfClip, out: Path, name: str) -> None:
    rows = of_clip(name).rows.drop_nulls("track")
    faces = pl.read_parquet(out / "faces" / "patient_id=P1" / f"{name.replace('.', '-')}.parquet")
    own = faces.filter(pl.col("track") == rows["track"][0]) if len(rows) else faces.head(0)
    assert own.select("sample", *BOX).rows() == rows.select("sample", *BOX).rows()
    assert faces.select(PROBABILITIES).null_count().sum_horizontal().item() == 0


# --- what the clips show


def test_a_video_without_a_face_is_a_timeline_that_says_so(of_clip: OfClip) -> None:
    timeline = of_clip("no_face.mp4")
    assert statuses(timeline) == ["no_face"] * 20
    assert timeline.metadata["coverage"] == 0
    assert any("no face" in warning for warning in warnings(timeline))


def test_where_the_face_goes_there_are_rows_without_it(of_clip: OfClip) -> None:
    found = statuses(of_clip("face_then_none.mov"))
    assert found[:8] == ["ok"] * 8
    assert found[-8:] == ["no_face"] * 8
    back = statuses(of_clip("none_then_face.mov"))
    assert back[:8] == ["no_face"] * 8
    assert back.count("ok") >= 8


def test_coverage_is_the_share_of_the_session_that_was_observed(of_clip: OfClip) -> None:
    timeline = of_clip("face_then_none.mov")
    share = statuses(timeline).count("ok") / len(timeline.rows)
    assert timeline.metadata["coverage"] == pytest.approx(share, abs=0.03)
    assert of_clip("single_face.mp4").metadata["coverage"] == pytest.approx(1)


def test_a_turned_phone_gives_the_boxes_of_the_upright_video(of_clip: OfClip) -> None:
    upright = of_clip("single_face.mp4").rows.select(BOX).to_numpy()
    for name in ("phone_rot90.mp4", "phone_rot180.mp4", "phone_rot270.mp4"):
        assert np.abs(of_clip(name).rows.select(BOX).to_numpy() - upright).max() < 8


def test_a_damaged_video_says_how_much_was_lost(of_clip: OfClip) -> None:
    timeline = of_clip("corrupted.mp4")
    lost = statuses(timeline).count("decode_error")
    assert 0 < lost < 25
    assert timeline.metadata["seconds_lost"] == pytest.approx(lost / 5, abs=0.2)
    assert any("could not be decoded" in warning for warning in warnings(timeline))


def test_the_smile_is_read_as_happy_and_the_calm_face_before_it_is_not(
    of_clip: OfClip, has_weights: bool
) -> None:
    """He is calm until 0.5 s, and smiles broadly from 0.8 s to the end."""
    if not has_weights:
        pytest.skip("no trained weights come with the program yet")
    rows = of_clip("single_face.mp4").rows
    emotion = dict(zip(rows["time_s"].round(1), rows["emotion"].cast(pl.String), strict=True))
    smile = [name for time_s, name in emotion.items() if time_s >= 0.8]
    assert smile.count("happy") >= 0.8 * len(smile)
    assert "happy" not in [name for time_s, name in emotion.items() if time_s <= 0.4]


def test_columns_carry_their_unit(of_clip: OfClip, out: Path) -> None:
    of_clip("no_face_rot90.mov")
    schema = pq.read_schema(out / "timelines" / "patient_id=P1" / "no_face_rot90-mov.parquet")
    assert schema.field("face_px").metadata[b"unit"] == b"px"
    assert schema.field("yaw").metadata[b"unit"] == b"degrees"
