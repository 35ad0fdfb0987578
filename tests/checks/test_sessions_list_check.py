"""checks.sessions_list_check: every error of a list and its recordings is reported, and nothing else."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import av
import pytest
from PIL import Image
from session_lists import write
from videos import encode, with_faces

from pipeline.checks.sessions_list_check import Checked, check_study, find_slips, with_dates
from pipeline.processing.sessions_list import read_study
from pipeline.video.container import created_at

Row = Mapping[str, str]
Check = Callable[..., Checked]

SECONDS = 4


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos of four seconds, one without the index that a recorder writes last, and two photos."""
    folder = tmp_path_factory.mktemp("recordings")
    whole = encode(folder / "whole.mp4", [with_faces([])] * 10 * SECONDS, rate=10)
    content = whole.read_bytes()
    for number in range(1, 15):
        # a box of its own at the end: no file is a copy of another
        (folder / f"v{number:02}.mp4").write_bytes(content + b"\0\0\0\x0cfree" + number.to_bytes(4))
    (folder / "no_moov.mp4").write_bytes(content[: content.index(b"moov") - 4])
    encode(folder / "tall.mp4", [with_faces([], 180, 320)] * 10, rate=10)
    Image.new("RGB", (64, 64)).save(folder / "face.jpg")
    (folder / "torn.jpg").write_bytes((folder / "face.jpg").read_bytes()[:300])
    return folder


@pytest.fixture
def check(recordings: Path) -> Check:
    def check_rows(*rows: Row) -> Checked:
        return check_study(read_study(write(recordings, *rows)))

    return check_rows


def row(number: int, **cells: str) -> dict[str, str]:
    """A row that is right: a session of a patient and a video of their own."""
    right = {"patient_id": f"P{100 + number}", "session_id": "S01", "video": f"v{number:02}.mp4"}
    return {**right, "consent": "yes", **cells}


def places(checked: Checked) -> list[tuple[int, str]]:
    return [(fault.row, fault.column) for fault in checked.faults]


def test_an_empty_list_is_one_fault(check: Check) -> None:
    checked = check(dict.fromkeys(row(1), ""))
    assert [str(fault) for fault in checked.faults] == [
        "row 2: no session in the list; write one row for each."
    ]
    assert (checked.warnings, checked.dates) == ((), {})


def test_a_list_that_is_right_has_no_fault_and_no_warning(check: Check) -> None:
    checked = check(
        row(1, start_s="1", end_s="4.5", condition="music", patient_face="face.jpg"),
        row(2, exclude="1-2;3-4", condition="baseline"),
        row(3, consent="no", condition="baseline"),
    )
    # the third has no consent
    assert checked == Checked((), (), {}, undated=(("P101", "S01"), ("P102", "S01")))


def test_twelve_planted_faults_are_named_and_nothing_else(check: Check) -> None:
    checked = check(
        row(1),
        row(2, video="gone.mp4"),
        row(3, video="no_moov.mp4"),
        row(4, end_s="1:00"),
        row(5, end_s="0"),
        row(6, recorded_at="2026-02-30"),
        row(7, patient_region="60,20,10,80"),
        row(1),
        row(8, patient_id="p101", session_id="S02"),
        row(9, consent="perhaps"),
        row(10, patient_face="torn.jpg"),
        row(11, exclude="2-3;1-2"),
        row(12, session_id="S01"),
        row(12, session_id="S02", consent="no"),
        row(13, condition="music", recorded_at="2026-03-01"),
    )
    assert places(checked) == [
        (3, "video"),
        (4, "video"),
        (5, "end_s"),
        (6, "end_s"),
        (7, "recorded_at"),
        (8, "patient_region"),
        (9, "video"),
        (10, "patient_id"),
        (11, "consent"),
        (12, "patient_face"),
        (13, "exclude"),
        (15, "consent"),
    ]
    assert checked.warnings == ()
    texts = [str(fault) for fault in checked.faults]
    assert all("\n" not in text for text in texts)
    assert "no_moov.mp4: can't be read as a video" in texts[1]
    assert texts[2].endswith("60 s is after the end: the recording has 4.0 s; empty means all of it.")
    assert "this session has this file already, since row 2" in texts[6]
    assert "p101 and P101 differ only in capitals" in texts[7]
    assert "with consent yes" in texts[11]


# --- recordings


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        ({"start_s": "4"}, "start_s"),
        ({"start_s": "9", "end_s": "10"}, "start_s"),
        ({"end_s": "5.1"}, "end_s"),
        ({"exclude": "1-2;3-9"}, "exclude"),
        ({"exclude": "0-4"}, "exclude"),
        ({"start_s": "1", "end_s": "2", "exclude": "0-3"}, "exclude"),
    ],
)
def test_a_time_that_the_recording_does_not_have_is_one_fault(check: Check, cells: Row, column: str) -> None:
    (fault,) = check(row(1, **cells)).faults
    assert (fault.row, fault.column) == (2, column)
    assert "the recording has 4.0 s" in fault.reason


@pytest.mark.parametrize("cells", [{"end_s": "5"}, {"end_s": "4"}, {"exclude": "3-5"}])
def test_an_end_is_rounded(check: Check, cells: Row) -> None:
    assert check(row(1, **cells)).faults == ()


@pytest.mark.parametrize(
    ("cells", "column", "part"),
    [
        ({"start_s": "0.3", "end_s": "0.35"}, "end_s", "0.05"),
        ({"end_s": "0.15", "exclude": "0-0.1"}, "exclude", "0.05"),
        ({"start_s": "3.85"}, "start_s", "0.15"),
        ({"start_s": "1.01", "end_s": "1.19"}, "end_s", "0.18"),
    ],
)
def test_a_part_without_a_sample_is_one_fault(check: Check, cells: Row, column: str, part: str) -> None:
    (fault,) = check(row(1, **cells)).faults
    assert (fault.row, fault.column) == (2, column)
    assert fault.reason == (
        f"no sample lies in the {part} s that count (5 samples per second); write other times."
    )


def test_samples_are_those_of_the_study_s_rate(recordings: Path) -> None:
    study = read_study(write(recordings, row(1, start_s="0.3", end_s="0.35")))
    assert check_study(study, sample_fps=10).faults == ()
    (fault,) = check_study(study, sample_fps=3).faults
    assert "(3 samples per second)" in fault.reason


@pytest.mark.parametrize("cells", [{"start_s": "0.3", "end_s": "0.45"}, {"end_s": "0.05"}])
def test_a_part_with_one_sample_is_right(check: Check, cells: Row) -> None:
    assert check(row(1, **cells)).faults == ()


def test_times_count_through_all_files_of_a_session(check: Check) -> None:
    files = row(1, end_s="8"), row(1, video="v02.mp4")
    assert check(*files).faults == ()
    (fault,) = check(row(1, end_s="10"), files[1]).faults
    assert "the recording has 8.0 s" in fault.reason


def test_files_of_one_session_have_one_size(check: Check) -> None:
    (fault,) = check(row(1), row(1, video="tall.mp4")).faults
    assert (fault.row, fault.column) == (3, "video")
    assert "180 × 320" in fault.reason


def test_a_file_that_can_t_be_read_is_one_fault_with_all_its_rows(check: Check) -> None:
    parts = [row(n, video="no_moov.mp4", patient_region="0,0,50,50") for n in (1, 2, 3)]
    checked = check(*parts)
    assert places(checked) == [(2, "video")]
    assert checked.faults[0].reason.endswith("Also in row 3, 4.")


def test_nothing_of_a_session_without_consent_is_opened(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []

    def probe(path: Path) -> None:
        opened.append(path)
        raise AssertionError

    monkeypatch.setattr("pipeline.checks.sessions_list_check.probe", probe)
    monkeypatch.setattr("pipeline.checks.sessions_list_check.created_at", probe)
    checked = check(row(1, consent="no", video="no_moov.mp4", patient_face="torn.jpg", end_s="99"))
    assert checked == Checked((), (), {})
    assert opened == []


def test_a_copy_of_a_recording_under_another_name_is_warned_of(check: Check, recordings: Path) -> None:
    for copy in ("copy.mp4", "again.mp4"):
        (recordings / copy).write_bytes((recordings / "v01.mp4").read_bytes())
    checked = check(row(1), row(2), row(3, video="copy.mp4"), row(4, video="again.mp4", consent="no"))
    assert checked.faults == ()
    (warning,) = checked.warnings
    assert str(warning) == (
        "row 4, video: copy.mp4 is a copy of v01.mp4 of row 2; make sure that both rows are correct, or one "
        "recording counts twice."
    )


def test_progress_counts_each_file_once(recordings: Path) -> None:
    told: list[tuple[int, int]] = []
    shared = row(1, patient_region="0,0,50,50"), row(2, video="v01.mp4", patient_region="50,0,100,100")
    study = read_study(write(recordings, *shared, row(3)))
    assert check_study(study, lambda *counts: told.append(counts)).faults == ()
    assert told == [(1, 2), (2, 2)]


# --- one recording in several sessions


def test_the_same_part_twice_is_a_fault_and_two_parts_are_none(check: Check) -> None:
    twice = check(row(1), row(1, session_id="S02", start_s="2"))
    assert places(twice) == [(3, "video")]
    parts = check(row(1, end_s="2"), row(1, session_id="S02", start_s="2"))
    assert (parts.faults, parts.warnings) == ((), ())
    left_out = check(row(1, exclude="2-4"), row(1, session_id="S02", start_s="2", end_s="4"))
    assert left_out.faults == ()


def test_two_patients_in_one_video_must_be_told_apart(check: Check) -> None:
    together = row(1), row(2, video="v01.mp4")
    (warning,) = check(*together).warnings
    assert (warning.row, warning.column) == (3, "video")
    apart = check(*(one | {"patient_region": "0,0,50,50"} for one in together))
    assert (apart.faults, apart.warnings) == ((), ())


def test_a_patient_without_consent_in_another_s_video_is_a_warning(check: Check) -> None:
    checked = check(row(1), row(2, video="v01.mp4", consent="no"))
    assert checked.faults == ()
    (warning,) = checked.warnings
    assert "P102 too" in warning.reason
    assert "no consent" in warning.reason


# --- slips


def slips(recordings: Path, *rows: Row) -> list[tuple[int, str]]:
    return [(slip.row, slip.column) for slip in find_slips(read_study(write(recordings, *rows)))]


@pytest.mark.parametrize(
    ("one", "other", "nearly"),
    [
        ("P012", "PO12", True),
        ("P011", "P0l1", True),
        ("P12", "P012", True),
        ("P-12", "P12", True),
        ("P012", "P013", False),
        ("A_001", "A1001", False),
        ("P10", "P100", False),
    ],
)
def test_ids_that_are_nearly_the_same_are_warned_of(
    recordings: Path, one: str, other: str, nearly: bool
) -> None:
    patients = row(1, patient_id=one), row(2, patient_id=other)
    assert slips(recordings, *patients) == ([(3, "patient_id")] if nearly else [])
    sessions = row(1, session_id=one), row(1, session_id=other, video="v02.mp4")
    assert slips(recordings, *sessions) == ([(3, "session_id")] if nearly else [])
    assert slips(recordings, sessions[0], row(2, session_id=other)) == []


@pytest.mark.parametrize(
    ("rare", "usual", "warned"),
    [
        ("musik", "music", True),
        ("muisc", "music", True),
        ("musicc", "music", True),
        ("musc", "music", True),
        ("week1", "week2", False),
        ("week", "week2", False),
        ("painting", "music", False),
        ("", "music", False),
    ],
)
def test_a_rare_condition_that_is_nearly_another_is_warned_of(
    recordings: Path, rare: str, usual: str, warned: bool
) -> None:
    rows = [row(n, condition=usual) for n in (1, 2, 3)] + [row(4, condition=rare)]
    assert slips(recordings, *rows) == ([(5, "condition")] if warned else [])


def test_two_frequent_conditions_are_both_meant(recordings: Path) -> None:
    rows = [row(n, condition="music" if n % 2 else "musik") for n in range(1, 9)]
    assert slips(recordings, *rows) == []


def test_short_ids_get_one_advice(recordings: Path) -> None:
    rows = [row(n, patient_id=name) for n, name in enumerate(("P1", "P2", "1234", "P345"), start=1)]
    (slip,) = find_slips(read_study(write(recordings, *rows)))
    assert (slip.row, slip.column) == (2, "patient_id")
    assert slip.reason.startswith("P1, P2, 1234: short ids")


def test_a_date_to_come_is_warned_of(recordings: Path) -> None:
    assert slips(recordings, row(1, recorded_at="2199-01-01")) == [(2, "recorded_at")]


@pytest.mark.parametrize(
    ("date", "shown"),
    [("0026-03-01", "0026-03-01"), ("1904-01-01T00:00", "1904-01-01"), ("1989-12-31", "1989-12-31")],
)
def test_a_date_before_digital_video_is_warned_of(recordings: Path, date: str, shown: str) -> None:
    (slip,) = find_slips(read_study(write(recordings, row(1, recorded_at=date))))
    assert str(slip) == f"row 2, recorded_at: {shown} is before 1990."
    assert slips(recordings, row(1, recorded_at="1990-01-01")) == []


# --- the recorder's own date


def dated(path: Path, tags: Mapping[str, str]) -> Path:
    options = {"movflags": "use_metadata_tags"}
    with av.open(str(path), "w", options=options) as container:
        container.metadata.update(tags)
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        frame = av.VideoFrame(64, 64, "yuv420p")
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return path


def test_the_recorder_s_date_is_local_time(tmp_path: Path) -> None:
    path = dated(tmp_path / "a.mp4", {"creation_time": "2026-03-01T12:30:15Z"})
    expected = datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC).astimezone().replace(tzinfo=None)
    assert created_at(path) == expected


def test_a_phone_s_date_is_that_of_the_place(tmp_path: Path) -> None:
    tags = {"com.apple.quicktime.creationdate": "2026-03-01T14:30:00+05:30", "creation_time": "2026-03-02"}
    assert created_at(dated(tmp_path / "a.mov", tags)) == datetime(2026, 3, 1, 14, 30)


@pytest.mark.parametrize(
    "time", ["", "1904-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2199-01-01T00:00:00Z", "yesterday"]
)
def test_what_no_clock_says_is_no_date(tmp_path: Path, time: str) -> None:
    assert created_at(dated(tmp_path / "a.mkv", {"creation_time": time} if time else {})) is None


def test_what_is_no_video_has_no_date(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no video")
    assert created_at(tmp_path / "a.mp4") is None
    assert created_at(tmp_path / "b.mp4") is None


def test_an_empty_date_is_the_recorder_s_where_there_is_consent(tmp_path: Path) -> None:
    dated(tmp_path / "a.mp4", {"creation_time": "2026-03-01T12:30:15Z"})
    rows = [row(n, video="a.mp4", patient_region="0,0,50,50") for n in (1, 2, 3)]
    rows[1] |= {"recorded_at": "2026-01-01"}
    rows[2] |= {"consent": "no"}
    study = read_study(write(tmp_path, *rows))
    by_clock = created_at(tmp_path / "a.mp4")
    dates = [session.recorded_at for session in with_dates(study.sessions)]
    assert dates == [by_clock, datetime(2026, 1, 1), None]
    assert check_study(study).dates == {("P101", "S01"): by_clock}
