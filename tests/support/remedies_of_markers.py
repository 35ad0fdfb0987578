"""Carry out the advice of messages about markers of a video."""

from pathlib import Path

from remedies import HEAD, Kit, Steps, remedy

from pipeline.records import MARKER_COLUMNS, recording_id
from pipeline.store.parquet import read_metadata
from pipeline.store.paths import timeline_path


def markers(kit: Kit, row: str, name: str = "markers_P1_S1.csv") -> Path:
    """A table as the page of P1 S1 saves it."""
    files = read_metadata(timeline_path(kit.out, "P1", "S1"))["video"]["files"]
    recording = recording_id([file["sha256"] for file in files])
    return kit.table(name, ";".join(MARKER_COLUMNS), f"P1;S1;{recording};{row};2026-03-01T10:00:00")


@remedy(": no table of markers (no column {}); save it on the page of a session that plays a video.")
def a_table_of_something_else(kit: Kit) -> Steps:
    kit.study()
    yield kit.run("events", kit.out, kit.table("events.csv", "session_id;time_s;what", "S1;1;song"))
    yield kit.run("events", kit.out, markers(kit, "song;1;"))


@remedy("empty; say where the time that does not count ends.")
def excluded_time_without_an_end(kit: Kit) -> Steps:
    kit.process(kit.video())
    kit.sessions("P1;S1;P1_S1.mp4;yes")
    yield kit.run("events", kit.out, markers(kit, "exclude;1;"))
    yield kit.run("events", kit.out, markers(kit, "exclude;1;1.5"))


@remedy(
    ": no list of sessions beside the recording of {}, so its excluded time can't be kept; make one with "
    "`emonext study init`, or give it with --list."
)
def excluded_time_without_a_list(kit: Kit) -> Steps:
    kit.process(kit.video())
    table = markers(kit, "exclude;1;1.5")
    yield kit.run("events", kit.out, table)
    elsewhere = kit.table("list.csv", HEAD, "P1;S1;../P1_S1.mp4;yes", folder=kit.folder / "lists")
    yield kit.run("events", kit.out, table, "--list", elsewhere)
    assert kit.run("study", "init", kit.folder).code == 0
    listed = kit.folder / "sessions.csv"
    text = listed.read_text("utf-8-sig")
    assert "P1,S1,P1_S1.mp4,,,,,,,,,," in text
    filled = text.replace("P1,S1,P1_S1.mp4,,,,,,,,,,", "P1,S1,P1_S1.mp4,,,,,,,,,yes,")
    listed.write_text(filled, encoding="utf-8-sig")
    yield kit.run("events", kit.out, table)


@remedy(": has no valid row of {}; look with `emonext study check`, or give the list with --list.")
def excluded_time_in_a_list_with_a_fault(kit: Kit) -> Steps:
    kit.process(kit.video())
    table = markers(kit, "exclude;1;1.5")
    listed = kit.sessions("P1;S1;P1_S1.mp4;perhaps")
    yield kit.run("events", kit.out, table)
    good = kit.table("list.csv", HEAD, "P1;S1;P1_S1.mp4;yes", folder=kit.folder)
    yield kit.run("events", kit.out, table, "--list", good)
    good.unlink()
    assert "row 2, consent" in kit.run("study", "check", listed).text
    kit.sessions("P1;S1;P1_S1.mp4;yes")
    yield kit.run("events", kit.out, table)
