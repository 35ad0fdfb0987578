"""Markers that a page saved: what they change in the study's own lists, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
from videos import encode, with_faces

from pipeline.errors import InputError
from pipeline.processing.batch import process_sessions
from pipeline.processing.jobs import in_this_process
from pipeline.processing.session import Networks, Session, Settings
from pipeline.processing.sessions_list import read_study
from pipeline.records import MARKER_COLUMNS, recording_id
from pipeline.review.apply_markers import apply_markers, exclude_cell
from pipeline.review.markers import Marker, merged_spans, plan_changes, read_markers
from pipeline.store.audit import read_runs
from pipeline.store.paths import timeline_path
from pipeline.store.timeline import read_timeline

HEADER = "patient_id;session_id;video;consent;exclude;x_note"


@pytest.fixture
def out(tmp_path: Path, fake_networks: Networks) -> Path:
    """P1 S1 of 20 s, and P2 S1 in two files of 10 s; their list lies beside them."""
    for name, seconds, corner in (("a", 20, 40), ("b", 10, 60), ("c", 10, 80)):
        encode(tmp_path / f"{name}.mp4", [with_faces([(corner, 60)])] * seconds * 2, rate=2)
    rows = ["P1;S1;a.mp4;yes;;'-", "P2;S1;b.mp4;yes;1-2;", "P2;S1;c.mp4;yes;1-2;"]
    (tmp_path / "sessions.csv").write_text("\n".join([HEADER, *rows, ""]))
    folder = tmp_path / "out"
    process(tmp_path, folder, fake_networks)
    return folder


def process(recordings: Path, out: Path, networks: Networks) -> None:
    sessions: list[Session] = list(read_study(recordings / "sessions.csv").sessions)
    assert len(sessions) == 2
    process_sessions(sessions, out, Settings(sample_fps=2), in_this_process(networks), "0" * 64)


SaveTable = Callable[..., Path]


@pytest.fixture
def save(out: Path, tmp_path: Path) -> SaveTable:
    """A table as the page of a session saves it."""

    def write(*rows: str, patient: str = "P1", recording: str | None = None) -> Path:
        files = read_timeline(timeline_path(out, patient, "S1")).metadata["video"]["files"]
        own = recording or recording_id([file["sha256"] for file in files])
        lines = [f"{patient};S1;{own};{row};2026-03-01T10:00:00" for row in rows]
        path = tmp_path / f"markers_{patient}_S1.csv"
        path.write_text("\n".join([";".join(MARKER_COLUMNS), *lines]), encoding="utf-8-sig")
        return path

    return write


def markers_of(out: Path, *tables: Path) -> list[Marker]:
    found, problems = read_markers(out, tables)
    assert problems == {}
    return found


def test_events_and_excluded_time_are_added_once(out: Path, save: SaveTable, tmp_path: Path) -> None:
    markers = markers_of(out, save("eating;3;5.5", "song;4;", "exclude;10;12.5", "exclude;12;14", "song;11;"))
    (change,) = plan_changes(out, markers)
    assert change.kinds == {"eating": 1, "song": 1}
    assert (change.known, change.outside, change.exclude) == (0, 1, ((10.0, 14.0),))
    assert not (out / "events.csv").exists()
    _, written = apply_markers(out, markers)
    assert list(written.values()) == [tmp_path / "sessions.csv.bak", None]
    assert (out / "events.csv").read_text("utf-8-sig").splitlines() == [
        "patient_id,session_id,time_s,what,x_end_s",
        "P1,S1,3,eating,5.5",
        "P1,S1,4,song,",
    ]
    before = [(path, path.read_bytes()) for path in (out / "events.csv", tmp_path / "sessions.csv")]
    (again,), nothing = apply_markers(out, markers)
    assert (again.is_new, again.known, nothing) == (False, 2, {})
    assert [(path, path.read_bytes()) for path, _ in before] == before
    runs = [run for run in read_runs(out) if run.command == "events"]
    assert [run.sessions for run in runs] == [((("P1", "S1"), "2 events added"),)]


def test_the_list_keeps_everything_else(out: Path, save: SaveTable, tmp_path: Path) -> None:
    path = tmp_path / "sessions.csv"
    before = path.read_text("utf-8")
    path.chmod(0o640)
    apply_markers(out, markers_of(out, save("exclude;10;12.5"), save("exclude;5;6", patient="P2")))
    after = before.replace("a.mp4;yes;;", "a.mp4;yes;'10-12.5;").replace(";1-2;", ';"1-2;5-6";')
    assert path.read_text("utf-8") == after
    assert path.with_name("sessions.csv.bak").read_text("utf-8") == before
    assert path.stat().st_mode & 0o777 == 0o640
    assert read_study(path).problems == ()


def test_excluded_time_is_out_of_the_timeline_after_the_next_run(
    out: Path, save: SaveTable, tmp_path: Path, fake_networks: Networks
) -> None:
    apply_markers(out, markers_of(out, save("exclude;10;12.5")))
    process(tmp_path, out, fake_networks)
    timeline = read_timeline(timeline_path(out, "P1", "S1"))
    assert timeline.metadata["session"]["parts"] == [[0, 10], [12.5, 20]]
    times = timeline.rows["time_s"].to_list()
    assert len(times) == 35
    assert not [time_s for time_s in times if 10 <= time_s < 12.5]


def test_times_count_from_the_start_of_the_first_file(out: Path, save: SaveTable) -> None:
    (change,) = plan_changes(out, markers_of(out, save("visitor;15;", "visitor;1.5;", patient="P2")))
    assert [event.start_s for event in change.events] == [15.0]
    assert change.outside == 1  # from 1 s to 2 s nothing counts


def test_a_list_of_events_with_other_names_is_extended(out: Path, save: SaveTable) -> None:
    listed = out / "events.csv"
    listed.write_text("what,session,time,patient\nsong,S1,0:04,P1\n")
    apply_markers(out, markers_of(out, save("song;4;", "care;7.25;")))
    assert listed.read_text() == "what,session,time,patient\nsong,S1,0:04,P1\ncare,S1,7.25,P1\n"
    assert (out / "events.csv.bak").read_text() == "what,session,time,patient\nsong,S1,0:04,P1\n"


def test_what_reaches_beyond_the_end_is_cut(out: Path, save: SaveTable) -> None:
    (change,) = plan_changes(out, markers_of(out, save("exclude;19;20.01", "care;25;")))
    assert change.exclude == ((19.0, 20.0),)
    assert (change.events, change.outside) == ((), 1)


def test_nothing_would_be_left(out: Path, save: SaveTable) -> None:
    with pytest.raises(InputError, match="nothing is left"):
        plan_changes(out, markers_of(out, save("exclude;0;20")))


def test_another_studys_markers_are_refused(out: Path, save: SaveTable, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"markers_P1_S1\.csv: of another study, or saved before .* P1 S1"):
        read_markers(out, [save("care;3;", recording="0" * 16)])
    unknown = save("care;3;")
    unknown.write_text(unknown.read_text("utf-8-sig").replace("P1;S1", "P9;S1"))
    with pytest.raises(InputError, match=r"markers_P1_S1\.csv: of another study: .* has no session P9 S1\."):
        read_markers(out, [unknown])
    unknown.write_text(unknown.read_text("utf-8-sig").replace("P9;S1", "../P1;S1"))
    with pytest.raises(InputError, match="patient_id"):
        read_markers(out, [unknown])
    (tmp_path / "other.csv").write_text("session_id;time_s;what\nS1;3;care\n")
    with pytest.raises(InputError, match=r"other\.csv: no table of markers \(no column patient_id\)"):
        read_markers(out, [tmp_path / "other.csv"])


def test_markers_without_consent_are_refused(out: Path, save: SaveTable) -> None:
    table = save("care;3;")
    (out / "withdrawn" / "P1" / "S1").mkdir(parents=True)
    with pytest.raises(InputError, match="consent to P1 S1 was withdrawn"):
        read_markers(out, [table])


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("care;-3;", "start_s"),
        ("care;x;", "start_s"),
        ("care;;", "start_s"),
        ("care;5;5", "end_s"),
        ("exclude;5;", "end_s"),
        (";5;", "code"),
        ("a\tb;5;", "code"),
        (f"{'x' * 65};5;", "code"),
    ],
)
def test_what_is_wrong_in_a_row_is_told(out: Path, save: SaveTable, row: str, column: str) -> None:
    table = save("care;1;", row)
    _, problems = read_markers(out, [table])
    assert [(problem.row, problem.column) for problem in problems[table]] == [(3, column)]


def test_times_as_shares_of_a_day_are_told(out: Path, save: SaveTable) -> None:
    table = save("care;0;", "care;0.000011574;0.0001")
    _, problems = read_markers(out, [table])
    (problem,) = problems[table]
    assert str(problem).startswith("row 3, start_s: '0.000011574' looks like a share of a day, 0:00:01; ")
    assert read_markers(out, [save("care;0;", "care;0.533333;")])[1] == {}


def test_a_recording_without_a_list_keeps_no_excluded_time(
    out: Path, save: SaveTable, tmp_path: Path
) -> None:
    moved = (tmp_path / "sessions.csv").rename(tmp_path / "out" / "moved.csv")
    markers = markers_of(out, save("exclude;1;2"))
    with pytest.raises(InputError, match="no list of sessions beside the recording of P1 S1"):
        plan_changes(out, markers)
    # paths of a list count from its folder: here it has no valid row
    with pytest.raises(InputError, match="no valid row of P1 S1"):
        plan_changes(out, markers, moved)


@pytest.mark.parametrize(
    ("spans", "merged"),
    [
        ([], ""),
        ([(3.0, 4.0), (1.0, 2.0)], "1-2;3-4"),
        ([(1.0, 2.0), (2.0, 3.0)], "1-3"),
        ([(1.0, 9.0), (2.0, 3.0), (8.5, 9.5)], "1-9.5"),
    ],
)
def test_intervals_are_merged(spans: list[tuple[float, float]], merged: str) -> None:
    assert exclude_cell(merged_spans(spans)) == merged
