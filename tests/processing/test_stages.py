"""processing.stages: drawn videos with a known timeline, and the patient's identity."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import polars as pl
import pytest
from fakes import judge_by_light
from numpy.typing import NDArray
from statuses import statuses, warnings
from videos import cut_off, decoded_pts, encode, numbered, remux, with_faces

from pipeline.errors import InputError, VideoError
from pipeline.identity.patient import by_rule
from pipeline.identity.session_people import people_by_place
from pipeline.processing.session import Networks, QualityLimits, Session, Settings
from pipeline.processing.session_tables import status_of
from pipeline.processing.stages import process_session
from pipeline.records import FrameFaces
from pipeline.store.timeline import Timeline, read_timeline

# --- drawn videos


def process(
    video: Path, folder: Path, networks: Networks, settings: Settings | None = None, **kept: object
) -> Timeline:
    return process_session(Session("P1", "S1", video), folder, settings or Settings(), networks, **kept)


def test_what_is_returned_is_what_was_written(
    make_recording: Callable[..., Path], tmp_path: Path, fake_networks: Networks
) -> None:
    returned = process(make_recording("a.mp4", [(40, 60)], []), tmp_path / "out", fake_networks)
    written = read_timeline(tmp_path / "out/timelines/patient_id=P1/S1.parquet")
    assert returned.rows.equals(written.rows)
    assert json.loads(json.dumps(returned.metadata)) == written.metadata


def test_each_status_has_its_rows(
    make_recording: Callable[..., Path], tmp_path: Path, fake_networks: Networks
) -> None:
    patient, other = (40, 60), (200, 60)
    path = make_recording("a.mp4", [patient], [patient, other], [other], [], [patient])
    timeline = process(path, tmp_path / "out", fake_networks)
    assert statuses(timeline) == ["ok"] * 10 + ["other_person"] * 5 + ["no_face"] * 5 + ["ok"] * 5
    assert timeline.metadata["coverage"] == pytest.approx(0.6)
    assert timeline.metadata["patient"] == {
        "track": 1,
        "also": [],
        "chosen_by": "longest",
        "tracks": 2,
        "identity": "to_check",
        "reason": {"code": "several_people", "count": 2},
    }


def test_a_dark_face_is_seen_and_not_judged(tmp_path: Path, fake_networks: Networks) -> None:
    limits = QualityLimits(min_brightness=0.7)
    path = encode(tmp_path / "a.mp4", [with_faces([(40, 60)])] * 10, rate=5)
    rows = process(path, tmp_path / "out", fake_networks, Settings(quality=limits)).rows
    assert rows["status"].cast(pl.String).to_list() == ["low_quality"] * 10
    assert rows["fault"].cast(pl.String).to_list() == ["too dark"] * 10
    assert rows["brightness"].is_between(0.5, 0.7).all()
    assert rows["p_happy"].null_count() == 10


def test_a_covered_face_is_seen_and_not_judged(tmp_path: Path, fake_networks: Networks) -> None:
    def always_hidden(crops: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        probabilities, _ = judge_by_light(crops)
        return probabilities, np.full(len(crops), 0.75, np.float32)

    path = encode(tmp_path / "a.mp4", [with_faces([(40, 60)])] * 10, rate=5)
    rows = process(path, tmp_path / "out", replace(fake_networks, classify=always_hidden)).rows
    assert rows["status"].cast(pl.String).to_list() == ["low_quality"] * 10
    assert rows["fault"].cast(pl.String).to_list() == ["covered"] * 10
    assert rows["covered"].to_list() == [0.75] * 10
    assert rows["p_happy"].null_count() == 10


def test_one_frame_is_a_session(tmp_path: Path, fake_networks: Networks) -> None:
    path = encode(tmp_path / "a.mp4", [with_faces([(40, 60)])])
    timeline = process(path, tmp_path / "out", fake_networks)
    assert statuses(timeline) == ["ok"]
    assert timeline.metadata["video"]["duration_s"] == pytest.approx(0.04)
    assert timeline.metadata["coverage"] == pytest.approx(1)


def test_of_a_file_cut_off_the_rest_is_lost_and_the_coverage_counts_it(
    clips: Path, tmp_path: Path, fake_networks: Networks
) -> None:
    whole = remux(
        clips / "single_face.mp4", tmp_path / "a.mp4", copies=4, container_options={"movflags": "faststart"}
    )
    path = cut_off(whole, tmp_path / "cut.mp4", 0.5)
    timeline = process(path, tmp_path / "out", fake_networks)
    video, last_s = timeline.metadata["video"], timeline.rows["time_s"][-1]
    assert video["duration_s"] == pytest.approx(9.6, abs=0.1)
    assert timeline.metadata["seconds_lost"] == pytest.approx(9.6 - last_s, abs=0.5)


def test_a_hole_in_the_recording_is_not_observed(tmp_path: Path, fake_networks: Networks) -> None:
    """One second at 10 frames/s, a minute of nothing, one second more of who is then somebody else."""
    times_ms = [100 * n for n in range(10)] + [61_000 + 100 * n for n in range(10)]
    path = encode(tmp_path / "a.mp4", [with_faces([(40, 60)])] * 20, times_ms=times_ms)
    timeline = process(path, tmp_path / "out", fake_networks)
    assert statuses(timeline) == ["ok"] * 5 + ["other_person"] * 5
    assert timeline.metadata["coverage"] * 62 == pytest.approx(1.0, abs=0.25)
    assert warnings(timeline) == [
        "no picture for 60.1 s between the first and the last",
        "it is not certain that this is the patient: 2 people may be seen; a rule chose one",
    ]
    assert timeline.metadata["seconds_lost"] == pytest.approx(60.1)


def test_times_and_frames_of_a_variable_rate_are_the_container_s(
    tmp_path: Path, fake_networks: Networks
) -> None:
    times_ms = [0, 40, 70, 130, 200, 290, 300, 450, 2450, 2500, 2530, 2600, 2800]
    path = encode(tmp_path / "a.mp4", [with_faces([(40, 60)])] * 13, times_ms=times_ms)
    rows = process(path, tmp_path / "out", fake_networks).rows
    pts, base = decoded_pts(path)
    assert rows["frame"].to_list() == [0, 4, 7, 8, 11, 12]
    expected = [float((pts[frame] - pts[0]) * base) for frame in rows["frame"]]
    np.testing.assert_allclose(rows["time_s"], expected, atol=1e-9)


def test_progress_counts_every_sample(
    make_recording: Callable[..., Path], tmp_path: Path, fake_networks: Networks
) -> None:
    calls: list[tuple[int, int]] = []
    process(
        make_recording("a.mp4", [], []),
        tmp_path / "out",
        fake_networks,
        on_progress=lambda done, total: calls.append((done, total)),
    )
    assert calls == [(done, 10) for done in range(1, 11)]


def test_a_video_of_which_nothing_decodes_is_an_error_and_leaves_nothing(
    tmp_path: Path, fake_networks: Networks
) -> None:
    path = encode(tmp_path / "a.mp4", numbered(20), damage=lambda number: True)
    with pytest.raises(VideoError, match=r"a\.mp4"):
        process(path, tmp_path / "out", fake_networks)
    assert not list(tmp_path.glob("out/**/*.p*"))


def test_a_track_that_is_not_there_is_refused_and_leaves_nothing(
    make_recording: Callable[..., Path], tmp_path: Path, fake_networks: Networks
) -> None:
    path = make_recording("a.mp4", [(40, 60)])
    with pytest.raises(InputError, match="`patient_track` 7"):
        process(path, tmp_path / "out", fake_networks, Settings(patient_track="7"))
    assert not list(tmp_path.glob("out/**/*.p*"))


@pytest.mark.parametrize(
    ("start_s", "end_s", "said"),
    [
        (
            0.3,
            0.35,
            "no sample lies in its 0.05 s after start_s, end_s and exclude, with 5 samples per second",
        ),
        (0.21, 0.39, "no sample lies in its 0.18 s"),
        (2.5, 60.0, "no sample lies in its 57.50 s"),  # a hole in the recording
    ],
)
def test_a_part_without_a_sample_has_its_own_reason(
    tmp_path: Path, fake_networks: Networks, start_s: float, end_s: float, said: str
) -> None:
    times_ms = [50 * n for n in range(20)] + [61_000 + 50 * n for n in range(20)]
    path = encode(tmp_path / "a.mp4", [with_faces([(40, 60)])] * 40, times_ms=times_ms)
    session = Session("P1", "S1", path, start_s=start_s, end_s=end_s)
    with pytest.raises(InputError, match=re.escape(said)) as raised:
        process_session(session, tmp_path / "out", Settings(), fake_networks)
    assert raised.value.reason is not None
    assert raised.value.reason.code == "no_sample"
    longer = replace(session, start_s=0.3, end_s=0.45)
    assert len(process_session(longer, tmp_path / "out", Settings(), fake_networks).rows) == 1


@pytest.mark.parametrize("wish", ["first", "", "-1", "1.5", "²"])
def test_a_patient_track_that_means_nothing_is_refused_before_any_work(wish: str) -> None:
    with pytest.raises(InputError, match="`patient_track`"):
        Settings(patient_track=wish)


@pytest.mark.parametrize("sample_fps", [0, -5, float("nan"), float("inf")])
def test_a_rate_that_means_nothing_is_refused_before_any_work(sample_fps: float) -> None:
    with pytest.raises(InputError, match="`sample_fps`"):
        Settings(sample_fps=sample_fps)


def test_a_video_that_follows_its_sound_in_the_file_is_found(
    make_recording: Callable[..., Path], tmp_path: Path, fake_networks: Networks
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
    assert statuses(process(path, tmp_path / "out", fake_networks)) == ["ok"] * 10


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
    assert by_rule(people_by_place(meeting), wish).tracks == {track}


def test_an_unknown_track_is_refused(meeting: list[FrameFaces]) -> None:
    with pytest.raises(InputError, match="`patient_track` 4"):
        by_rule(people_by_place(meeting), "4")


@pytest.mark.parametrize("wish", ["longest", "largest"])
def test_where_nobody_was_seen_there_is_no_patient(make_samples, wish: str) -> None:
    assert not by_rule(people_by_place([]), wish).tracks
    assert not by_rule(people_by_place(make_samples((), ())), wish).tracks


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
        ({"covered": 0.5}, True),
        ({"covered": 0.51}, False),
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


def test_an_end_of_zero_is_not_the_end_of_the_video() -> None:
    whole = Session("P1", "S1", Path("a.mp4"))
    assert whole.parts(10.0) == [(0.0, 10.0)]
    assert replace(whole, start_s=0.0, end_s=4.0).parts(10.0) == [(0.0, 4.0)]
    with pytest.raises(InputError, match=r"nothing is left of its 10\.0 s"):
        replace(whole, end_s=0.0).parts(10.0)
