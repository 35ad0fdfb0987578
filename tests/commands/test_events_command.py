"""commands: markers of a video become events, and excluded time."""

import shlex
from pathlib import Path

from command_line import BAD_INPUT, DONE, Emonext, assert_one_line_naming

from pipeline.records import MARKER_COLUMNS, recording_id
from pipeline.store.paths import timeline_path
from pipeline.store.timeline import read_timeline


def saved(out: Path, *rows: str) -> Path:
    files = read_timeline(timeline_path(out, "P1", "S1")).metadata["video"]["files"]
    recording = recording_id([file["sha256"] for file in files])
    path = out.parent / "markers_P1_S1.csv"
    lines = [f"P1;S1;{recording};{row};2026-03-01T10:00:00" for row in rows]
    path.write_text("\n".join([";".join(MARKER_COLUMNS), *lines]))
    return path


def test_markers_are_shown_then_added_and_the_next_command_uses_them(
    emonext: Emonext, video: Path, tmp_path: Path, model: list[str]
) -> None:
    out, listed = tmp_path / "out", tmp_path / "sessions.csv"
    listed.write_text(f"patient_id;session_id;video;consent\nP1;S1;{video.name};yes\n")
    assert emonext("process", listed, "--out", out, *model).code == DONE
    table = saved(out, "song;0.2;", "exclude;0.5;0.8")
    shown = emonext("events", out, table)
    assert shown.code == DONE
    first, last = shown.out.splitlines()
    assert first == f"P1 S1: 1 event to add (song 1); exclude 0.5-0.8 s, until now none ({listed})"
    assert not (out / "events.csv").exists()
    command = last.removeprefix("Nothing is written yet. To add this: emonext ")
    added = emonext(*shlex.split(command))
    assert added.code == DONE
    assert added.out.splitlines()[1:] == [
        f"Written: {listed} (before: {listed}.bak)",
        f"Written: {out / 'events.csv'}",
        f"Next: emonext process {listed} --out {out}",
    ]
    ended = emonext(*shlex.split(added.out.splitlines()[-1].removeprefix("Next: emonext ")), *model)
    assert ended.code == DONE
    assert "1 done" in ended.out
    timeline = read_timeline(timeline_path(out, "P1", "S1"))
    assert timeline.metadata["session"]["parts"] == [[0, 0.5], [0.8, 1.0]]
    assert not [time_s for time_s in timeline.rows["time_s"] if 0.5 <= time_s < 0.8]
    again = emonext("events", out, table, "--apply")
    assert again.out.splitlines() == ["P1 S1: 0 events to add; 1 there already", "Nothing to add."]
    more = emonext("events", out, saved(out, "song;0.4;"), "--apply")
    assert more.out.splitlines()[-1] == f"Next: emonext report {out}"
    ended = emonext("report", out)
    assert (ended.code, ended.err) == (DONE, "")  # no event is left out


def test_another_studys_file_is_refused(emonext: Emonext, two: Path, tmp_path: Path) -> None:
    table = saved(two, "song;0.2;")
    table.write_text(table.read_text().replace("P1;S1", "P7;S3"))
    ended = emonext("events", two, table, "--apply")
    assert ended.code == BAD_INPUT
    assert_one_line_naming(ended, table.name)
    assert "of another study" in ended.err
    assert not (two / "events.csv").exists()


def test_all_that_is_wrong_is_told_and_nothing_is_written(emonext: Emonext, two: Path) -> None:
    table = saved(two, "song;0.2;", "song;x;", ";1;")
    ended = emonext("events", two, table, "--apply")
    assert ended.code == BAD_INPUT
    assert "row 3, start_s" in ended.err
    assert "row 4, code" in ended.err
    assert not (two / "events.csv").exists()


def test_an_event_outside_is_left_out(emonext: Emonext, two: Path) -> None:
    ended = emonext("events", two, saved(two, "song;0.2;", "song;7;"))
    assert "1 event to add (song 1); 1 left out, in time that does not count" in ended.out
