"""pipeline.processing.session: the contract of a timeline, on real clips and on drawn ones."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import av
import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from videos import cut_off, decoded_pts, encode, numbered, remux, with_faces

from pipeline.errors import InputError, VideoError
from pipeline.identity.patient import by_rule
from pipeline.processing.session import Instruments, QualityLimits, Session, Settings
from pipeline.processing.session_tables import status_of
from pipeline.processing.stages import process_session
from pipeline.records import EMOTIONS, NEGATIVE, STATUSES, FrameFaces
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
def of_clip(clips: Path, out: Path, instruments: Instruments) -> Callable[[str], Timeline]:
    """The timeline of a clip, made once, as read from its file."""
    made: dict[str, Timeline] = {}

    def timeline(name: str) -> Timeline:
        if name not in made:
            session = Session("P1", name.replace(".", "-"), clips / name)
            process_session(session, out, settings_of(name), instruments)
            made[name] = read_timeline(session.timeline_path(out))
        return made[name]

    return timeline


def settings_of(name: str) -> Settings:
    return Settings(sample_fps=2 if name in SLOWLY else 5)


def statuses(timeline: Timeline) -> list[str]:
    return timeline.rows["status"].cast(pl.String).to_list()


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
    of_clip: OfClip, clips: Path, instruments: Instruments, name: str
) -> None:
    found = of_clip(name).metadata
    path = clips / name
    assert {"schema_version", "software_version", "created_at", "device", "coverage"} <= found.keys()
    (file,) = found["video"]["files"]
    assert file["name"] == name
    assert file["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert {"duration_s", "width", "height", "frame_rate"} <= found["video"].keys()
    assert found["weights"]["name"] == instruments.weights["name"]
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
    assert any("no face" in warning for warning in timeline.metadata["warnings"])


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
    assert any("could not be decoded" in warning for warning in timeline.metadata["warnings"])


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


# --- drawn videos


def process(
    video: Path, folder: Path, instruments: Instruments, settings: Settings | None = None, **kept: object
) -> Timeline:
    return process_session(Session("P1", "S1", video), folder, settings or Settings(), instruments, **kept)


def test_what_is_returned_is_what_was_written(
    make_recording: Callable[..., Path], tmp_path: Path, fake_instruments: Instruments
) -> None:
    returned = process(make_recording("a.mp4", [(40, 60)], []), tmp_path / "out", fake_instruments)
    written = read_timeline(tmp_path / "out/timelines/patient_id=P1/S1.parquet")
    assert returned.rows.equals(written.rows)
    assert json.loads(json.dumps(returned.metadata)) == written.metadata


def test_each_status_has_its_rows(
    make_recording: Callable[..., Path], tmp_path: Path, fake_instruments: Instruments
) -> None:
    patient, other = (40, 60), (200, 60)
    path = make_recording("a.mp4", [patient], [patient, other], [other], [], [patient])
    timeline = process(path, tmp_path / "out", fake_instruments)
    assert statuses(timeline) == ["ok"] * 10 + ["other_person"] * 5 + ["no_face"] * 5 + ["ok"] * 5
    assert timeline.metadata["coverage"] == pytest.approx(0.6)
    assert timeline.metadata["patient"] == {
        "track": 1,
        "also": [],
        "chosen_by": "longest",
        "tracks": 2,
        "confidence": None,
        "reason": "",
    }


def test_a_dark_face_is_seen_and_not_judged(tmp_path: Path, fake_instruments: Instruments) -> None:
    limits = QualityLimits(min_brightness=0.7)
    path = encode(tmp_path / "a.mp4", [with_faces([(40, 60)])] * 10, rate=5)
    rows = process(path, tmp_path / "out", fake_instruments, Settings(quality=limits)).rows
    assert rows["status"].cast(pl.String).to_list() == ["low_quality"] * 10
    assert rows["brightness"].is_between(0.5, 0.7).all()
    assert rows["p_happy"].null_count() == 10


def test_one_frame_is_a_session(tmp_path: Path, fake_instruments: Instruments) -> None:
    path = encode(tmp_path / "a.mp4", [with_faces([(40, 60)])])
    timeline = process(path, tmp_path / "out", fake_instruments)
    assert statuses(timeline) == ["ok"]
    assert timeline.metadata["video"]["duration_s"] == pytest.approx(0.04)
    assert timeline.metadata["coverage"] == pytest.approx(1)


def test_of_a_file_cut_off_the_rest_is_lost_and_the_coverage_counts_it(
    clips: Path, tmp_path: Path, fake_instruments: Instruments
) -> None:
    whole = remux(
        clips / "single_face.mp4", tmp_path / "a.mp4", copies=4, container_options={"movflags": "faststart"}
    )
    path = cut_off(whole, tmp_path / "cut.mp4", 0.5)
    timeline = process(path, tmp_path / "out", fake_instruments)
    video, last_s = timeline.metadata["video"], timeline.rows["time_s"][-1]
    assert video["duration_s"] == pytest.approx(9.6, abs=0.1)
    assert timeline.metadata["seconds_lost"] == pytest.approx(9.6 - last_s, abs=0.5)


def test_a_hole_in_the_recording_is_not_observed(tmp_path: Path, fake_instruments: Instruments) -> None:
    """One second at 10 frames/s, a minute of nothing, one second more of who is then somebody else."""
    times_ms = [100 * n for n in range(10)] + [61_000 + 100 * n for n in range(10)]
    path = encode(tmp_path / "a.mp4", [with_faces([(40, 60)])] * 20, times_ms=times_ms)
    timeline = process(path, tmp_path / "out", fake_instruments)
    assert statuses(timeline) == ["ok"] * 5 + ["other_person"] * 5
    assert timeline.metadata["coverage"] * 62 == pytest.approx(1.0, abs=0.25)
    assert timeline.metadata["warnings"] == ["no picture for 60.1 s between the first and the last"]
    assert timeline.metadata["seconds_lost"] == pytest.approx(60.1)


def test_times_and_frames_of_a_variable_rate_are_the_container_s(
    tmp_path: Path, fake_instruments: Instruments
) -> None:
    times_ms = [0, 40, 70, 130, 200, 290, 300, 450, 2450, 2500, 2530, 2600, 2800]
    path = encode(tmp_path / "a.mp4", [with_faces([(40, 60)])] * 13, times_ms=times_ms)
    rows = process(path, tmp_path / "out", fake_instruments).rows
    pts, base = decoded_pts(path)
    assert rows["frame"].to_list() == [0, 4, 7, 8, 11, 12]
    expected = [float((pts[frame] - pts[0]) * base) for frame in rows["frame"]]
    np.testing.assert_allclose(rows["time_s"], expected, atol=1e-9)


def test_progress_counts_every_sample(
    make_recording: Callable[..., Path], tmp_path: Path, fake_instruments: Instruments
) -> None:
    calls: list[tuple[int, int]] = []
    process(
        make_recording("a.mp4", [], []),
        tmp_path / "out",
        fake_instruments,
        on_progress=lambda done, total: calls.append((done, total)),
    )
    assert calls == [(done, 10) for done in range(1, 11)]


def test_a_video_of_which_nothing_decodes_is_an_error_and_leaves_nothing(
    tmp_path: Path, fake_instruments: Instruments
) -> None:
    path = encode(tmp_path / "a.mp4", numbered(20), damage=lambda number: True)
    with pytest.raises(VideoError, match=r"a\.mp4"):
        process(path, tmp_path / "out", fake_instruments)
    assert not list(tmp_path.glob("out/**/*.p*"))


def test_a_track_that_is_not_there_is_refused_and_leaves_nothing(
    make_recording: Callable[..., Path], tmp_path: Path, fake_instruments: Instruments
) -> None:
    path = make_recording("a.mp4", [(40, 60)])
    with pytest.raises(InputError, match="--patient-track 7"):
        process(path, tmp_path / "out", fake_instruments, Settings(patient_track="7"))
    assert not list(tmp_path.glob("out/**/*.p*"))


@pytest.mark.parametrize("wish", ["first", "", "-1", "1.5", "²"])
def test_a_patient_track_that_means_nothing_is_refused_before_any_work(wish: str) -> None:
    with pytest.raises(InputError, match="--patient-track"):
        Settings(patient_track=wish)


@pytest.mark.parametrize("sample_fps", [0, -5, float("nan"), float("inf")])
def test_a_rate_that_means_nothing_is_refused_before_any_work(sample_fps: float) -> None:
    with pytest.raises(InputError, match="--fps"):
        Settings(sample_fps=sample_fps)


def test_a_video_that_follows_its_sound_in_the_file_is_found(
    make_recording: Callable[..., Path], tmp_path: Path, fake_instruments: Instruments
) -> None:
    source = make_recording("a.mp4", [(40, 60)], [(40, 60)])
    path = tmp_path / "b.mkv"
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        sound = new.add_stream("aac", rate=16000)
        copy = new.add_stream_from_template(old.streams.video[0])
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 32000), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 16000
        new.mux([*sound.encode(silence), *sound.encode(None)])
        for packet in old.demux(video=0):
            if packet.size:
                packet.stream = copy
                new.mux(packet)
    assert statuses(process(path, tmp_path / "out", fake_instruments)) == ["ok"] * 10


# --- who the patient is, and which faces are judged


@pytest.fixture
def meeting(make_face, make_samples) -> list[FrameFaces]:
    """Track 1 is seen longest, track 2 is largest, track 3 neither."""
    small, large, other = (
        make_face(100, 100, 40, track=1),
        make_face(300, 100, 90, track=2),
        make_face(500, 100, 30, track=3),
    )
    return make_samples((small,), (small, large), (small, large, other), (small,), ())


@pytest.mark.parametrize(("wish", "track"), [("longest", 1), ("largest", 2), ("3", 3), ("2", 2)])
def test_the_patient_is_the_track_wished_for(meeting: list[FrameFaces], wish: str, track: int) -> None:
    assert by_rule(meeting, wish).tracks == {track}


def test_an_unknown_track_is_refused(meeting: list[FrameFaces]) -> None:
    with pytest.raises(InputError, match="--patient-track 4"):
        by_rule(meeting, "4")


@pytest.mark.parametrize("wish", ["longest", "largest"])
def test_where_nobody_was_seen_there_is_no_patient(make_samples, wish: str) -> None:
    assert not by_rule([], wish).tracks
    assert not by_rule(make_samples((), ()), wish).tracks


@pytest.mark.parametrize(
    ("changes", "accepted"),
    [
        ({}, True),
        ({"face_px": 24.0}, True),
        ({"face_px": 23.9}, False),
        ({"sharpness": 12.0}, True),
        ({"sharpness": 11.9}, False),
        ({"brightness": 0.1}, True),
        ({"brightness": 0.09}, False),
        ({"brightness": 0.96}, False),
        ({"yaw": -60.0}, True),
        ({"yaw": 61.0}, False),
        ({"yaw": -61.0}, False),
        ({"roll": 80.0}, True),
        ({"sharpness": float("nan")}, False),
    ],
)
def test_quality_limits(make_face, changes: dict[str, float], accepted: bool) -> None:
    face = make_face(100, 100, **changes)
    assert QualityLimits().accept(face) is accepted


def test_a_status_is_what_was_seen(make_face) -> None:
    face, limits = make_face(100, 100), QualityLimits()
    alone, empty = FrameFaces(0, 0, 0.0, True, (face,)), FrameFaces(0, 0, 0.0, True)
    assert status_of(FrameFaces(0, 0, 0.0, False), None, limits) == "decode_error"
    assert status_of(empty, None, limits) == "no_face"
    assert status_of(alone, None, limits) == "other_person"
    assert status_of(alone, face, limits) == "ok"
    assert status_of(alone, make_face(100, 100, brightness=0.0), limits) == "low_quality"


def test_columns_carry_their_unit(of_clip: OfClip, out: Path) -> None:
    of_clip("no_face_rot90.mov")
    schema = pq.read_schema(out / "timelines" / "patient_id=P1" / "no_face_rot90-mov.parquet")
    assert schema.field("face_px").metadata[b"unit"] == b"px"
    assert schema.field("yaw").metadata[b"unit"] == b"degrees"


def test_an_end_of_zero_is_not_the_end_of_the_video() -> None:
    whole = Session("P1", "S1", Path("a.mp4"))
    assert whole.parts(10.0) == [(0.0, 10.0)]
    assert replace(whole, start_s=0.0, end_s=4.0).parts(10.0) == [(0.0, 4.0)]
    with pytest.raises(InputError, match=r"nothing is left of its 10\.0 s"):
        replace(whole, end_s=0.0).parts(10.0)
