"""checks.trial_recordings: a folder of recordings, one by one, with the consent of its list."""

import shutil
from pathlib import Path

import pytest
from fakes import find_squares
from videos import encode, with_faces

from pipeline.checks.preflight import overall
from pipeline.checks.trial_recordings import Checked, check_trial, find_trial, listed_seats, worst_first
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
    assert found[0].problem.startswith(str(folder / "P2_S1.mp4"))
    assert overall(found[1].findings) == "will not work"


def test_the_only_recording_that_can_not_be_read_is_an_error(folder: Path) -> None:
    with pytest.raises(VideoError, match=r"P2_S1\.mp4"):
        check(folder / "P2_S1.mp4")


def test_without_a_list_names_give_the_ids(folder: Path) -> None:
    trial = find_trial(folder)
    rows = listed_seats(trial, check(folder))
    assert trial.listed is None
    assert [(row.patient_id, row.session_id, row.video) for row in rows] == [
        ("P1", "S1", "P1_S1.mp4"),
        ("P2", "S1", "P2_S1.mp4"),
        ("P1", "S2", "monday/P1_S2.mp4"),
    ]
    first, broken, faceless = rows
    assert first.still is not None
    assert list(first.still.seats) == [1]
    assert broken.still is None
    assert faceless.still is not None
    assert faceless.still.seats == {}


def test_a_list_gives_ids_and_regions_and_the_order(folder: Path) -> None:
    write_list(
        folder,
        "B;S1;monday/P1_S2.mp4;",
        "A;S1;P1_S1.mp4;0,10,50,100",
        header="patient_id;session_id;video;patient_region",
    )
    trial = find_trial(folder)
    rows = listed_seats(trial, check(folder))
    assert trial.listed == folder / "sessions.csv"
    assert [(row.patient_id, row.video, row.region) for row in rows] == [
        ("B", "monday/P1_S2.mp4", None),
        ("A", "P1_S1.mp4", (0, 0.1, 0.5, 1)),
        ("", "P2_S1.mp4", None),
    ]


def test_without_consent_a_recording_is_not_opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_list(folder, "P1;S1;P1_S1.mp4;yes", "P1;S2;monday/P1_S2.mp4;no", "P2;S1;P2_S1.mp4;")
    trial = find_trial(folder)
    assert trial.videos == (folder / "P1_S1.mp4",)
    assert set(trial.refused) == {folder / "P2_S1.mp4", folder / "monday/P1_S2.mp4"}
    (one,) = check(folder)
    assert [row.video for row in listed_seats(trial, [one])] == ["P1_S1.mp4"]


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
    one, other = listed_seats(trial, check(tmp_path))
    assert one.still is not None
    assert other.still is not None
    assert one.still.seats[1].region[2] < 0.5 < other.still.seats[1].region[0]


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no video in this folder or below"):
        find_trial(tmp_path)
