"""Hostile files of raters, scales and tables of people, and formulas in cells."""

import csv as csv_module
import io
import time
from pathlib import Path
from typing import Any

import pytest
from fuzzing import EDITS, FORMULAS, MARKUP, TEXTS, Fuzz, _csv, own_errors
from hostile import edited
from hypothesis import strategies as st
from typer.testing import CliRunner

from cli import app
from pipeline.errors import PipelineError
from pipeline.reasons import free_text
from pipeline.review.people_table import read_people, write_people
from pipeline.store.spreadsheet import plain, read_table, write_rows
from pipeline.store.status import Outcome, record

pytestmark = pytest.mark.fuzz

EAF = b"""<?xml version="1.0"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2026-01-01T00:00:00+00:00" VERSION="3.0"
xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="EAFv3.0.xsd">
<HEADER TIME_UNITS="milliseconds">
<MEDIA_DESCRIPTOR MEDIA_URL="P1_S1.mp4" MIME_TYPE="video/mp4" TIME_ORIGIN="5"/></HEADER>
<TIME_ORDER><TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="0"/>
<TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="900"/></TIME_ORDER>
<TIER LINGUISTIC_TYPE_REF="t" TIER_ID="e" ANNOTATOR="bo"><ANNOTATION>
<ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
<ANNOTATION_VALUE>happy</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER>
<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="t" TIME_ALIGNABLE="true"/></ANNOTATION_DOCUMENT>"""

BORIS = b"""{"behaviors_conf": {"0": {"type": "State event", "code": "sad"}},
"observations": {"P1_S1": {"time offset": 0, "file": {"1": ["x.mp4"]},
"events": [[1.5, "", "sad", "", "", "NA"], [2.5, "", "sad", "", "", "NA"]]}}}"""

RATED = {
    "eaf": EAF,
    "boris": BORIS,
    "csv": b"patient_id,session_id,start_s,end_s,code,rater\nP1,S1,0,1:02,happy,a\nP1,S1,63.5,64,sad,b\n",
    "tsv": b"Observation id\tSubject\tBehavior\tBehavior type\tTime\n"
    b"P1_S1\tBo\tsad\tSTART\t1\nP1_S1\tBo\tsad\tSTOP\t2\n",
}


@pytest.mark.parametrize("kind", RATED)
def test_files_of_raters(fuzz: Fuzz, tmp_path: Path, kind: str) -> None:
    pytest.importorskip("pympi", reason="needs the packages of the extra agreement")
    from pipeline.exchange.code_map import DEFAULT_CODES
    from pipeline.exchange.coded import SessionNames
    from pipeline.exchange.ratings import read_ratings

    path = tmp_path / f"P1_S1.{kind}"
    names = SessionNames(frozenset({("P1", "S1")}), {})

    def check(content: bytes) -> None:
        path.write_bytes(content)
        began = time.process_time()
        try:
            found = read_ratings([path], names, DEFAULT_CODES)
        except PipelineError as error:
            assert path.name in str(error)
            assert str(error).isprintable(), repr(error)
            assert len(str(error)) < 10_000
        else:
            assert all(one.start_s < one.end_s for each in found.ratings for one in each.stretches)
            assert all(rater.isprintable() for rater in found.raters)
        assert time.process_time() - began < 5

    good = RATED[kind]
    bomb = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaa">' + b"".join(
        b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(20)
    )
    nasty = [
        good,
        b"",
        b"\0",
        b"[" * 10**5,
        b"<a>" * 10**5,
        bomb + b"]><a>&u;</a>",
        b"start_s;end_s;code\n0;1;" + "\u202e\x1b[2J".encode(),
        b"start_s;end_s;code\n" + b"".join(b"0;1;code%d\n" % n for n in range(10**4)),
        good.replace(b"sad", b"x" * 10**5),
        good.replace(b"1", b"1e999"),
        good.replace(b"1", b"NaN"),
    ]
    fuzz(check, st.one_of(EDITS.map(lambda e: edited(good, e)), st.binary(max_size=60)), *nasty, few=60)


def test_scales_of_a_study(fuzz: Fuzz, tmp_path: Path) -> None:
    from importlib import resources

    from pipeline.analysis.scales_file import read_scales

    path = tmp_path / "scales.toml"
    good = (resources.files("pipeline.analysis") / "scales.toml").read_bytes()

    def check(content: bytes) -> None:
        path.write_bytes(content)
        began = time.process_time()
        own_errors(lambda: read_scales(tmp_path), path)
        assert time.process_time() - began < 5

    nasty = [
        good,
        b"",
        b"\0",
        b"a." * 10**5 + b"b = 1",
        b"scale = 1",
        b"[[scale]]",
        good.replace(b"600", b"0"),
        good.replace(b"600", b"nan"),
        good.replace(b"600", b"-1"),
        good.replace(b'"happy"', b'"joy"'),
        good.replace(b"16", b"1e400"),
    ]
    fuzz(check, EDITS.map(lambda edits: edited(good, edits)), *nasty, few=80)


def test_tables_of_people(fuzz: Fuzz, study: Path, tmp_path: Path) -> None:
    from pipeline.review.people import find_people

    table = write_people(find_people(study, None), study)
    good = table.read_bytes()
    rows = read_table(table)

    def check(content: bytes) -> None:
        table.write_bytes(content)
        own_errors(
            lambda: [str(p).isprintable() or pytest.fail(repr(p)) for p in read_people(study, table)[1]],
            table,
        )

    def with_cell(column: int, cell: str) -> bytes:
        changed = [list(cells) for _, cells in rows]
        changed[-1][column % len(changed[-1])] = cell
        return _csv(changed)

    tracks = rows[0][1].index("tracks")
    nasty = [
        good,
        b"",
        with_cell(tracks, "9" * 5000),
        with_cell(tracks, "²"),
        with_cell(tracks, "-1"),
        with_cell(tracks, "٣"),
        with_cell(0, "../.."),
        good + good,
    ]
    fuzz(
        check,
        st.one_of(EDITS.map(lambda e: edited(good, e)), st.builds(with_cell, st.integers(0, 12), TEXTS)),
        *nasty,
        few=60,
    )


# --- what spreadsheets would run


def test_cells_of_a_spreadsheet(fuzz: Fuzz, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"

    def check(cells: list[str]) -> None:
        write_rows(path, ["a", "b", "c"], [dict(zip("abc", cells, strict=False))])
        text = path.read_bytes().decode("utf-8-sig")
        written = list(csv_module.reader(io.StringIO(text, newline=""), delimiter=","))
        for cell in written[1] if len(written) > 1 else []:
            assert not cell or cell[0] not in "=+-@\t\r\n ＝＋－＠", repr(cell)
        if "\0" in text:
            return
        back = read_table(path)[1:]
        found = [plain(cell) for cell in back[0][1]] if back else ["", "", ""]
        wanted = [cell.encode("utf-8", "replace").decode().rstrip() for cell in (*cells, "", "", "")[:3]]
        assert found == wanted

    fuzz(check, st.lists(TEXTS, max_size=3), *([text] for text in FORMULAS), few=200)


def outcome(reason: str, **values: Any) -> Outcome:
    return Outcome("P1", "S1", "failed", (free_text(reason),), None, None, 1.0, 1.0, "2026-01-01", **values)


def test_the_status_as_a_spreadsheet(fuzz: Fuzz, tmp_path: Path) -> None:
    def check(reason: str) -> None:
        record(tmp_path, outcome(reason.encode("utf-8", "replace").decode()))
        path = tmp_path / "status.csv"
        done = CliRunner().invoke(app, ["status", str(tmp_path), "--csv", str(path)])
        assert done.exit_code == 0, done.exception
        assert "\x1b[2J" not in done.output
        text = path.read_bytes().decode("utf-8-sig")
        for row in csv_module.reader(io.StringIO(text, newline=""), delimiter=","):
            assert not any(cell[:1] in tuple("=+-@\t\r\n ＝＋－＠") for cell in row)

    fuzz(check, TEXTS, *FORMULAS[::3], *MARKUP, few=3)
