"""checks.trial_recordings: a folder of recordings, one by one, with the consent of its list."""

import shutil
from pathlib import Path

import pytest
from fakes import find_squares
from videos import encode, with_faces

from pipeline.checks.preflight import overall
from pipeline.checks.trial_recordings import Checked, check_trial, checked_recordings, find_trial, worst_first
from pipeline.errors import InputError, VideoError
from pipeline.faces.detection import CropSpec


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``left.mp4``, ``none.mp4`` (no face) and ``broken.mp4``."""
    folder = tmp_path_factory.mktemp("clips")
    encode(folder / "left.mp4", [with_faces([(40, 60)])] * 20, rate=10)
    encode(folder / "none.mp4", [with_faces([])] * 20, rate=10)
    (folder / "broken.mp4").write_text("no video")
    return folder


@pytest.fixture
def folder(tmp_path: Path, clips: Path) -> Path:
    """P1 S1 has a face, P1 S2 has none, P2 S1 can't be read."""
    (tmp_path / "rec" / "monday").mkdir(parents=True)
    for clip, name in (("left", "P1_S1"), ("none", "monday/P1_S2"), ("broken", "P2_S1")):
        shutil.copy(clips / f"{clip}.mp4", tmp_path / "rec" / f"{name}.mp4")
    return tmp_path / "rec"


def check(path: Path) -> list[Checked]:
    return list(check_trial(find_trial(path), find_squares, CropSpec()))


def write_list(folder: Path, *lines: str, header: str = "patient_id;session_id;video;consent") -> Path:
    path = folder / "sessions.csv"
    path.write_text("\n".join((header, *lines)), "utf-8")
    return path


def test_the_worst_comes_first_and_a_broken_one_stops_nothing(folder: Path) -> None:
    found = worst_first(check(folder))
    assert [one.video.name for one in found] == ["P2_S1.mp4", "P1_S2.mp4", "P1_S1.mp4"]
    assert str(found[0].problem).startswith(str(folder / "P2_S1.mp4"))
    assert overall(found[1].findings) == "will not work"


def test_the_only_recording_that_can_not_be_read_is_an_error(folder: Path) -> None:
    with pytest.raises(VideoError, match=r"P2_S1\.mp4"):
        check(folder / "P2_S1.mp4")


def test_without_a_list_names_give_the_ids(folder: Path) -> None:
    trial = find_trial(folder)
    recordings = checked_recordings(trial, check(folder))
    assert trial.listed is None
    assert [(one.video, [(row.patient_id, row.session_id) for row in one.rows]) for one in recordings] == [
        ("P2_S1.mp4", [("P2", "S1")]),
        ("monday/P1_S2.mp4", [("P1", "S2")]),
        ("P1_S1.mp4", [("P1", "S1")]),
    ]
    assert all(one.rows[0].from_name for one in recordings)
    assert [one.size_bytes for one in recordings] == [
        (folder / one.video).stat().st_size for one in recordings
    ]
    broken, faceless, good = recordings
    assert broken.rows[0].still is None
    assert broken.problem is not None
    assert str(folder) not in str(broken.problem)
    assert faceless.rows[0].still is not None
    assert (faceless.rows[0].still.seats, faceless.rows[0].still.faces) == ({}, ())
    assert good.rows[0].still is not None
    assert list(good.rows[0].still.seats) == [1]
    (face,) = good.rows[0].still.faces
    assert 0 < face.box[0] < face.box[2] < 0.5


def test_a_list_gives_ids_conditions_and_regions_whatever_is_wrong_with_its_rows(folder: Path) -> None:
    write_list(
        folder,
        "B;S1;./monday/P1_S2.mp4;no region;music",
        "A;;P1_S1.mp4;0,10,50,100;",
        header="patient_id;session_id;video;patient_region;condition",
    )
    trial = find_trial(folder)
    recordings = {one.video: one.rows for one in checked_recordings(trial, check(folder))}
    assert trial.listed == folder / "sessions.csv"
    (music,), (seat,), (unlisted,) = (
        recordings[name] for name in ("./monday/P1_S2.mp4", "P1_S1.mp4", "P2_S1.mp4")
    )
    assert (music.patient_id, music.condition, music.region, music.consent) == ("B", "music", None, None)
    assert (seat.patient_id, seat.session_id, seat.region) == ("A", "", (0, 0.1, 0.5, 1))
    assert (unlisted.patient_id, unlisted.from_name, seat.from_name) == ("P2", True, False)


def test_without_consent_a_recording_is_not_opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_list(folder, "P1;S1;P1_S1.mp4;yes", "P1;S2;monday/P1_S2.mp4;no", "P2;S1;P2_S1.mp4;")
    trial = find_trial(folder)
    assert trial.videos == (folder / "P1_S1.mp4",)
    assert set(trial.refused) == {folder / "P2_S1.mp4", folder / "monday/P1_S2.mp4"}
    (one,) = check(folder)
    good, *refused = checked_recordings(trial, [one])
    assert (good.video, good.refused, good.rows[0].consent) == ("P1_S1.mp4", False, True)
    assert [(other.video, other.refused, other.findings) for other in refused] == [
        ("P2_S1.mp4", True, ()),
        ("monday/P1_S2.mp4", True, ()),
    ]
    assert [other.rows[0].consent for other in refused] == [None, False]


def test_a_page_may_be_made_where_nothing_may_be_opened(folder: Path) -> None:
    write_list(folder, "P1;S1;P1_S1.mp4;", "P1;S2;monday/P1_S2.mp4;", "P2;S1;P2_S1.mp4;")
    with pytest.raises(InputError, match="states no consent"):
        find_trial(folder)
    trial = find_trial(folder, may_open_none=True)
    assert trial.videos == ()
    assert [one.refused for one in checked_recordings(trial, [])] == [True] * 3


def test_a_video_of_two_patients_needs_the_consent_of_both(folder: Path) -> None:
    path = write_list(folder, "P1;S1;P1_S1.mp4;yes", "P2;S1;P1_S1.mp4;no")
    with pytest.raises(InputError, match="states no consent") as error:
        find_trial(folder / "P1_S1.mp4")
    assert str(path) in str(error.value)


def test_a_list_above_the_folder_counts(folder: Path) -> None:
    write_list(folder, "P1;S2;monday/P1_S2.mp4;no")
    with pytest.raises(InputError, match="states no consent"):
        find_trial(folder / "monday")


def test_two_sessions_of_one_video_have_a_picture_of_their_own_part(tmp_path: Path) -> None:
    pictures = [with_faces([(40, 60)])] * 20 + [with_faces([(220, 60)])] * 20
    encode(tmp_path / "both.mp4", pictures, rate=10)
    write_list(
        tmp_path,
        "P1;S1;both.mp4;0;1.9",
        "P2;S1;both.mp4;2;4",
        header="patient_id;session_id;video;start_s;end_s",
    )
    trial = find_trial(tmp_path)
    (recording,) = checked_recordings(trial, check(tmp_path))
    one, other = (row.still for row in recording.rows)
    assert one is not None
    assert other is not None
    assert one.seats[1].region[2] < 0.5 < other.seats[1].region[0]


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no video in this folder or below"):
        find_trial(tmp_path)
