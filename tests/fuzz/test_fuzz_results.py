"""Hostile results."""

import io
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fuzzing import EDITS, JSON, MINUTES, Fuzz, contained, replaced
from hostile import Contained, edited, read_results
from hypothesis import strategies as st
from timelines import TWENTY_SECONDS, make_timeline, put

from pipeline.errors import PipelineError
from pipeline.identity.roles import roles_path
from pipeline.store.parquet import METADATA_KEY
from pipeline.store.paths import faces_path, timeline_path
from pipeline.store.status import Outcome, record
from reports import write_reports

pytestmark = pytest.mark.fuzz

FILES = ("timeline", "faces", "roles", "status")

MADE = ("reports", "episodes", "summaries")
"""Folders that are made anew from the others."""

COLUMN_KINDS = ("missing", "null", "text", "list", "huge", "nan", "minus", "same", "int8", "binary")


def altered_table(table: pa.Table, column: int, kind: str) -> pa.Table:
    """One column is gone, is of another kind, or holds what it never should."""
    place = column % table.num_columns
    field, n = table.schema.field(place), table.num_rows
    if kind == "missing":
        return table.remove_column(place)
    values: dict[str, Any] = {
        "text": pa.array(["<b>../../x"] * n, pa.string()),
        "list": pa.array([[1]] * n, pa.list_(pa.int64())),
        "binary": pa.array([b"\xff"] * n, pa.binary()),
        "int8": pa.array([1] * n, pa.int8()),
        "null": pa.nulls(n),
    }
    if kind in values:
        array = values[kind]
    elif pa.types.is_floating(field.type):
        array = pa.array(
            np.full(n, {"huge": 1e30, "nan": np.nan, "minus": -5.0, "same": 1.0}[kind]), field.type
        )
    elif pa.types.is_integer(field.type):
        array = pa.array([{"huge": 2**31 - 1, "nan": 0, "minus": -5, "same": 1}[kind]] * n, field.type)
    elif pa.types.is_dictionary(field.type) or pa.types.is_string(field.type):
        text = {"huge": "x" * 10**4, "nan": "", "minus": "../..", "same": "happy"}[kind]
        array = pa.array([text] * n, field.type)
    else:
        array = pa.nulls(n, field.type)
    return table.set_column(place, pa.field(field.name, array.type), array).replace_schema_metadata(
        table.schema.metadata
    )


def test_results(fuzz: Fuzz, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pipeline.identity.roles import write_roles
    from pipeline.processing.session_tables import read_samples
    from pipeline.store.timeline import read_timeline

    timeline = timeline_path(study, "P1", "S1")
    record(
        study,
        Outcome("P1", "S1", "done", (), 0.5, 0.0, 3.0, 1.0, "2026-01-01", videos=("a.mp4",)),
    )
    samples = read_samples(read_timeline(timeline), faces_path(study, "P1", "S1"))
    write_roles(roles_path(study, "P1", "S1"), samples, {1: "patient", 2: "caregiver"})
    of = {
        "timeline": timeline,
        "faces": faces_path(study, "P1", "S1"),
        "roles": roles_path(study, "P1", "S1"),
        "status": study / "status.parquet",
    }
    good = {name: path.read_bytes() for name, path in of.items()}
    assert set(good) == set(FILES)
    ends: Counter[str] = Counter()

    def write(name: str, kind: str, value: Any) -> None:
        if kind == "bytes":
            of[name].write_bytes(edited(good[name], value))
            return
        table = pq.read_table(io.BytesIO(good[name]))
        if kind == "columns":
            for column, what in value:
                table = altered_table(table, column, what)
        elif kind == "rows":
            table = pa.concat_tables([table] * value) if value else table.slice(0, 0)
        else:
            described = json.loads((table.schema.metadata or {}).get(METADATA_KEY, b"{}"))
            for place, new in value:
                described = replaced(described, place, new, place if isinstance(place, tuple) else None)
            table = table.replace_schema_metadata({METADATA_KEY: json.dumps(described)})
        pq.write_table(table, of[name])

    seeds: list[tuple[str, str, Any]] = [
        *(
            (name, "bytes", edits)
            for name in FILES
            for edits in ([], [("cut", 0, None)], [("cut", -9, None)])
        ),
        *((name, "rows", count) for name in FILES for count in (0, 2)),
        *(
            ("timeline", "columns", [(n, kind)])
            for n in (0, 1, 2, 3, 5, 20, 27)
            for kind in ("null", "text", "nan", "huge")
        ),
        *(
            ("status", "columns", [(n, kind)])
            for n in (0, 2, 3, 4, 11)
            for kind in ("null", "text", "list", "missing")
        ),
        *(
            ("roles", "columns", [(n, kind)])
            for n in (0, 1, 2)
            for kind in ("null", "text", "missing", "nan")
        ),
        *(
            ("faces", "columns", [(n, kind)])
            for n in (2, 6, 28)
            for kind in ("null", "text", "missing", "nan")
        ),
        *(
            ("timeline", "metadata", [(place, value)])
            for place in (
                ("video", "duration_s"),
                ("session", "parts"),
                ("settings", "sample_fps"),
                ("warnings",),
                (),
            )
            for value in (None, "", 0, -1, 1e300, 1e12, float("nan"), [[0.0, 1e12]], [])
        ),
        ("timeline", "metadata", [(("session", "condition"), "\ud800")]),
        ("timeline", "metadata", [(("weights",), None)]),
        ("status", "columns", [(6, "nan")]),
    ]
    for read in contained(read_results, capsys):

        def check(altered: tuple[str, str, Any], read: Contained = read) -> None:
            for name, path in of.items():
                path.write_bytes(good[name])
            for made in MADE:
                shutil.rmtree(study / made, ignore_errors=True)
            before = set(tmp_path.rglob("*"))
            write(*altered)
            said = read(study)
            ends[said] += 1
            assert not said.startswith("signal"), said
            new = {path.relative_to(study).parts[0] for path in set(tmp_path.rglob("*")) - before}
            assert new <= set(MADE)

        names, columns = st.sampled_from(FILES), st.tuples(st.integers(0, 40), st.sampled_from(COLUMN_KINDS))
        inputs = st.one_of(
            st.tuples(names, st.just("bytes"), EDITS),
            st.tuples(names, st.just("columns"), st.lists(columns, min_size=1, max_size=2)),
            st.tuples(
                st.sampled_from(FILES[:2]),
                st.just("metadata"),
                st.lists(st.tuples(st.integers(0, 200), JSON), min_size=1, max_size=2),
            ),
        )
        # one in four in the suite, which has to be quick; all of them in a long run
        fuzz(check, inputs, *(seeds if MINUTES else seeds[::4]), few=5)
    if MINUTES:
        with capsys.disabled():
            print(dict(ends.most_common(8)))  # noqa: T201


def test_no_page_leaves_its_folder(tmp_path: Path) -> None:
    """A folder can be named so that the way to its page leads upwards."""
    put(tmp_path / "study", make_timeline(TWENTY_SECONDS, "..", "S1"), "..", "S1")
    with pytest.raises(PipelineError, match="S1"):
        write_reports(tmp_path / "study")
    assert not list(tmp_path.rglob("*.html"))
