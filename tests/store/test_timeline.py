"""store.timeline: the table has exactly the schema, and is written atomically."""

import json
import stat
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import OutputError, TimelineError
from pipeline.store.files import atomic, make_private_folder, remove_partials
from pipeline.store.parquet import METADATA_KEY, to_table, write_table
from pipeline.store.timeline import FACES_SCHEMA, SCHEMA_VERSION, TIMELINE_SCHEMA, read_timeline

DICTIONARY = pa.dictionary(pa.int8(), pa.string())
SAMPLE = {
    "patient_id": pa.string(),
    "session_id": pa.string(),
    "sample": pa.int32(),
    "time_s": pa.float64(),
    "frame": pa.int64(),
}
FACE = {
    "track": pa.int32(),
    **{edge: pa.float32() for edge in ("x1", "y1", "x2", "y2")},
    "detection": pa.float32(),
    **{
        name: pa.float32()
        for name in ("face_px", "sharpness", "brightness", "yaw", "pitch", "roll", "covered")
    },
    **{
        f"p_{name}": pa.float32()
        for name in ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    },
    "emotion": DICTIONARY,
    "eye_opening": pa.float32(),
    "mouth_open": pa.float32(),
    "jaw_open": pa.float32(),
    "valence": pa.float32(),
}
STATES = {
    **{name: pa.float32() for name in ("eyes_open", "mouth_motion", "voice", "speaking", "chewing")},
    "facing": DICTIONARY,
}


def rows(count: int, patient_id: str = "P012") -> dict[str, list[Any]]:
    """Samples in which nobody was seen."""
    values: dict[str, list[Any]] = {name: [None] * count for name in TIMELINE_SCHEMA.names}
    numbers = list(range(count))
    values |= {"patient_id": [patient_id] * count, "session_id": ["S01"] * count, "sample": numbers}
    return values | {"time_s": [n / 5 for n in numbers], "frame": numbers, "status": ["no_face"] * count}


def write(path: Path, count: int = 3, patient_id: str = "P012", **metadata: Any) -> Path:
    write_table(
        path,
        to_table(TIMELINE_SCHEMA, rows(count, patient_id)),
        {"schema_version": SCHEMA_VERSION, **metadata},
    )
    return path


def test_no_rows_are_a_timeline_too(tmp_path: Path) -> None:
    assert read_timeline(write(tmp_path / "a.parquet", 0)).rows.shape == (0, len(TIMELINE_SCHEMA))


def test_columns_are_those_of_the_design() -> None:
    assert {field.name: field.type for field in TIMELINE_SCHEMA} == {
        **SAMPLE,
        "status": DICTIONARY,
        "fault": DICTIONARY,
        **FACE,
        **STATES,
    }
    faces = {**SAMPLE, "role": DICTIONARY, **FACE, "landmarks": pa.list_(pa.float32(), 10)}
    assert {field.name: field.type for field in FACES_SCHEMA} == faces


def test_only_what_was_not_seen_may_be_null() -> None:
    assert [field.name for field in TIMELINE_SCHEMA if not field.nullable] == [*SAMPLE, "status"]


def test_the_file_has_the_same_types_and_units(tmp_path: Path) -> None:
    written = pq.read_schema(write(tmp_path / "a.parquet"))
    assert [(field.name, field.type) for field in written] == [(f.name, f.type) for f in TIMELINE_SCHEMA]
    assert written.field("time_s").metadata[b"unit"] == b"s"
    assert all(field.metadata[b"meaning"] for field in written)


def test_metadata_come_back_as_they_were(tmp_path: Path) -> None:
    made = {"coverage": 0.25, "video": {"name": "Übung ✓.mp4"}, "warnings": []}
    assert read_timeline(write(tmp_path / "a.parquet", **made)).metadata == {
        "schema_version": SCHEMA_VERSION,
        **made,
    }


@pytest.mark.parametrize("patient_id", ["P012", "007", "2024-01-01"])
def test_a_study_is_read_at_once_and_ids_stay_text(tmp_path: Path, patient_id: str) -> None:
    for session in ("S01", "S02"):
        write(tmp_path / f"timelines/patient_id={patient_id}/{session}.parquet", patient_id=patient_id)
    study = pl.scan_parquet(f"{tmp_path}/timelines/**/*.parquet").collect()
    assert study["patient_id"].to_list() == [patient_id] * 6
    assert study.schema["patient_id"] == pl.String


def test_the_folder_names_the_patient_for_polars(tmp_path: Path) -> None:
    for patient_id in ("P012", "P013"):
        write(tmp_path / f"timelines/patient_id={patient_id}/S01.parquet", patient_id=patient_id)
    study = pl.scan_parquet(f"{tmp_path}/timelines/**/*.parquet", hive_partitioning=True)
    assert study.filter(pl.col("patient_id") == "P013").select(pl.len()).collect().item() == 3


@pytest.mark.parametrize(
    "kind", ["missing", "empty", "text", "cut", "foreign", "other_version", "a_column_less"]
)
def test_what_is_no_timeline_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "S01.parquet"
    match kind:
        case "empty":
            path.touch()
        case "text":
            path.write_text("not a table")
        case "cut":
            path.write_bytes(write(tmp_path / "whole.parquet").read_bytes()[:-100])
        case "foreign":
            pl.DataFrame({"a": [1]}).write_parquet(path)
        case "other_version":
            write_table(path, to_table(TIMELINE_SCHEMA, rows(1)), {"schema_version": 99})
        case "a_column_less":
            table = to_table(TIMELINE_SCHEMA, rows(1)).drop(["valence"])
            write_table(path, table, {"schema_version": SCHEMA_VERSION})
    with pytest.raises(TimelineError, match=r"S01\.parquet"):
        read_timeline(path)


@pytest.mark.parametrize("metadata", ["[]", "1", "null", "{}", "{", '{"schema_version": "1"}'])
def test_metadata_that_are_not_ours_are_refused(tmp_path: Path, metadata: str) -> None:
    table = to_table(TIMELINE_SCHEMA, rows(1)).replace_schema_metadata({METADATA_KEY: metadata})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(TimelineError, match=r"a\.parquet"):
        read_timeline(tmp_path / "a.parquet")


def test_a_directory_is_no_timeline(tmp_path: Path) -> None:
    with pytest.raises(TimelineError):
        read_timeline(tmp_path)


# --- writing


def test_files_and_folders_are_their_owner_s(tmp_path: Path) -> None:
    path = write(tmp_path / "out" / "deep" / "a.parquet")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in path.parents[:2]] == [0o700, 0o700]


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(mode=0o750)
    make_private_folder(tmp_path / "mine")
    assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == 0o750


def write_half(path: Path, error: type[BaseException]) -> None:
    with atomic(path) as partial:
        partial.write_text("half of the ne")
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_was_begun_is_removed_when_it_fails_and_the_old_file_stays(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error):
        write_half(path, error)
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"


def test_until_it_is_whole_a_file_has_another_name(tmp_path: Path) -> None:
    with atomic(tmp_path / "a.txt") as partial:
        partial.write_text("new")
        assert partial.name.startswith("a.txt.")
        assert partial.name.endswith(".partial")
        assert not (tmp_path / "a.txt").exists()
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a.txt", "new")]


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    """As when a machine that was taken for lost is still at work on a session that another has by now."""
    path = tmp_path / "a.txt"
    with atomic(path) as one:
        one.write_text("the first, which is")
        with atomic(path) as other:
            other.write_text("the second")
        assert path.read_text() == "the second"
        with one.open("a") as file:
            file.write(" slower")
    assert path.read_text() == "the first, which is slower"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / ".unfinished" / "a.txt"
    with atomic(path) as partial:
        killed = partial.name
    others = [path, tmp_path / "film.mp4.partial", tmp_path / "film.download.partial"]
    for file in [*others, path.with_name(killed)]:
        file.touch()
    remove_partials(tmp_path)
    assert all(file.exists() for file in others)
    assert not path.with_name(killed).exists()


def test_a_file_in_the_place_of_a_folder_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="out"):
        write(tmp_path / "out" / "a.parquet")
    with pytest.raises(OutputError, match="out"):
        write(tmp_path / "out" / "deeper" / "a.parquet")


def test_a_place_where_nothing_can_be_written_is_an_output_error() -> None:
    with pytest.raises(OutputError, match="nowhere"):
        write(Path("/proc/nowhere/a.parquet"))


def test_json_is_stored_under_one_key(tmp_path: Path) -> None:
    metadata = pq.read_schema(write(tmp_path / "a.parquet", coverage=1.0)).metadata
    assert json.loads(metadata[b"emonext_care"]) == {"schema_version": SCHEMA_VERSION, "coverage": 1.0}
