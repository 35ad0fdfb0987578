"""Hostile input: whatever is read ends with a valid result or one of the program's own errors.

The suite tries what was ever found, and a few inputs more, always the same. A long run, and what it tried:

    EMONEXT_FUZZ_MINUTES=10 python -m pytest tests/test_fuzz.py
"""

import csv as csv_module
import io
import json
import os
import pickle
import shutil
import struct
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hostile import Contained, Edit, edited, read_results, read_video, read_weights
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from page_text import Page
from safetensors import safe_open
from safetensors.torch import save_file
from timelines import TWENTY_SECONDS, make_timeline, put
from typer.testing import CliRunner
from videos import encode, numbered

from cli import app
from pipeline.errors import InputError, PipelineError
from pipeline.identity.roles import roles_path
from pipeline.processing.batch import check_id, plan_sessions
from pipeline.processing.sessions_list import read_study
from pipeline.processing.study_settings import read_settings
from pipeline.records import Person
from pipeline.review.people import read_people, write_people
from pipeline.store.audit import IDS_FILE, LOG_FILE, audited, read_ids, read_runs, verify
from pipeline.store.encryption import use_key, use_no_key, write_key
from pipeline.store.parquet import METADATA_KEY
from pipeline.store.paths import faces_path, timeline_path
from pipeline.store.spreadsheet import plain, read_table, write_rows
from pipeline.store.status import STATUS_SCHEMA, Outcome, record
from pipeline.video.container import probe
from reports import SessionMaterial, write_reports
from reports.assets import INLINE
from reports.pages.index import IndexEntry, index_page
from reports.pages.people import people_page
from reports.pages.session import session_page
from reports.pages.status import status_page
from reports.words.language import ENGLISH

MINUTES = float(os.environ.get("EMONEXT_FUZZ_MINUTES", "0"))

TARGETS = 21
"""Tests that share the minutes."""

Fuzz = Callable[..., None]


@pytest.fixture
def fuzz(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Fuzz:
    """Checks each seed, then what hypothesis thinks up; in a long run for this target's share of the time."""

    def run(check: Callable[[Any], object], inputs: st.SearchStrategy[Any], *seeds: Any, few: int) -> None:
        tried, faults = 0, []
        for number, value in enumerate(seeds):
            try:
                check(value)
            except Exception as error:  # all of them are told, not the first alone
                error.add_note(f"seed {number}: {str(value)[:200]!r}")
                faults.append(error)
        if faults:
            raise ExceptionGroup(f"{len(faults)} of {len(seeds)} seeds", faults)

        ends = time.monotonic() + 60 * MINUTES / TARGETS

        def attempt(value: Any) -> None:
            nonlocal tried
            if not MINUTES or time.monotonic() < ends:
                tried += 1
                check(value)

        number = 0
        while number == 0 or time.monotonic() < ends:
            quiet = settings(
                derandomize=not MINUTES,
                max_examples=200 if MINUTES else few,
                deadline=None,
                database=None,
                phases=[Phase.generate, *([Phase.shrink] if MINUTES else [])],
                suppress_health_check=list(HealthCheck),
            )
            one_round = quiet(given(inputs)(attempt))
            (seed(time.time_ns())(one_round) if MINUTES else one_round)()
            number += 1
        if MINUTES:
            with capsys.disabled():
                print(f"\n{request.node.name}: {len(seeds)} seeds, {tried} inputs")  # noqa: T201

    return run


def contained(read: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> Iterator[Contained]:
    process = Contained(read)
    yield process
    process.stop()
    if MINUTES:
        with capsys.disabled():
            print(f"{read.__name__}: ended by a signal {process.signals} times")  # noqa: T201


def own_errors(use: Callable[[], object], file: Path | None = None) -> str:
    """What came of it; anything but the package's own errors passes through, and they name the file."""
    try:
        use()
    except PipelineError as error:
        assert file is None or str(file) in str(error), f"names no file: {error}"
        return type(error).__name__
    return "good"


PLACES = st.one_of(st.integers(-1500, 1500), st.integers(0, 10**6))

INTS = (0, 1, -1, 2**31 - 1, 2**31, 2**32 - 1, 10**9, 65535, 65535 << 16, 0x80, 0xFF000000)

NASTY = st.one_of(
    st.sampled_from([struct.pack(order, n % 2**32) for n in INTS for order in (">I", "<I")]),
    st.sampled_from([b"\xff" * 8, b"\x00" * 8, b"\x7f" + b"\xff" * 7, b"\x80" + b"\x00" * 7]),
    st.binary(min_size=1, max_size=8),
)

EDITS: st.SearchStrategy[list[Edit]] = st.lists(
    st.one_of(
        st.tuples(st.just("set"), PLACES, NASTY),
        st.tuples(st.just("set"), PLACES, NASTY),
        st.tuples(st.just("insert"), PLACES, NASTY),
        st.tuples(st.just("drop"), PLACES, st.integers(1, 500)),
        st.tuples(st.just("cut"), PLACES, st.none()),
    ),
    min_size=1,
    max_size=5,
)

MARKUP = (
    "<script>alert(1)</script>",
    '"><img src=https://example.org/x onerror=alert(1)>',
    "' onload='alert(1)",
    "</script><script src=//example.org/x.js></script>",
    "--><svg/onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "</style><link rel=stylesheet href=http://example.org>",
    "\u202egnp.exe\u202c\u2066\u2028\x00\x1b[2J\x7f",
    "&lt;b&gt;&#60;i>",
    "<!--<script>",
    "\ud800",
)

FORMULAS = (
    '=HYPERLINK("http://example.org","x")',
    "+1",
    "-1+cmd|' /C calc'!A0",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "'=1",
    "''",
    "'",
    "' ",
    " ",
    "＝1+1",
    "＋1",
    "－1",
    "＠SUM(1)",
    "|",
    ";=1;",
    '"=1',
    "\u00a0=1",
    "\ufeff=1",
    "\x0b=1",
    "\x00=1",
    "\ud800",
)

TEXTS = st.one_of(st.sampled_from(MARKUP + FORMULAS), st.text(max_size=80))


# --- ids and names


@pytest.mark.parametrize("where", ["--patient"])
def test_ids(fuzz: Fuzz, where: str) -> None:
    def check(value: str) -> None:
        try:
            good = check_id(where, value)
        except InputError as error:
            assert where in str(error)
            return
        assert Path("/a", good).parent == Path("/a") and Path("/a", good).name == value
        assert value.isascii() and value.isprintable() and value[0] not in ".-"

    nasty = [
        "",
        ".",
        "..",
        "a/b",
        "../a",
        "a\n",
        "a\0",
        "é",
        "a" * 65,
        "A" * 64,
        "index",
        "-a",
        "١",
        "\ud800",
    ]
    fuzz(check, st.one_of(st.text(max_size=70), st.text("aZ0._-/\\\n\0", max_size=70)), *nasty, few=100)


def test_names_of_files(fuzz: Fuzz, tmp_path: Path) -> None:
    def check(name: bytes) -> None:
        folder = tmp_path / "videos"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        path = folder / os.fsdecode(name)
        if name.strip(b"./") and b"/" not in name and b"\0" not in name and len(name) < 250:
            path.touch()
        for patient, session in ((None, None), ("P1", None), ("P1", "S1")):
            for given_path in (path, folder):
                own_errors(lambda p=given_path, a=patient, b=session: _plan(p, a, b))

    def _plan(path: Path, patient: str | None, session: str | None) -> None:
        for found in plan_sessions([path], patient, session):
            check_id("", found.patient_id), check_id("", found.session_id)
            str(found.video).encode()  # it will be written to the status

    nasty = [
        b"",
        b".mp4",
        b"P1_S1.mp4",
        b"P1_.mp4",
        b"_.mp4",
        b"\xff_S.mp4",
        b"a" * 300 + b".mp4",
        b"a\0.mp4",
        b"..mp4",
        b"P1_\n.mp4",
        b"P1_S1.mp4/x.mp4",
        b"-x_-y.mp4",
    ]
    names = st.one_of(
        st.binary(max_size=60),
        st.builds(lambda a, b: a + b"_" + b + b".mp4", st.binary(max_size=9), st.binary(max_size=9)),
    )
    fuzz(check, names, *nasty, few=60)


# --- what coordinators keep


def a_list() -> bytes:
    columns = "patient_id;session_id;video;recorded_at;condition;start_s;end_s;exclude;patient_face;"
    columns += "patient_region;consent;notes"
    rows = [
        "P1;S1;a.mp4;2026-03-01;music;10;1:20;20-30;face.jpg;0,10,55.5,100;yes;hello",
        'P1;S2;b.mp4;2026-03-01T14:30;"a;b";;;;;;yes;"two\nlines"',
        "P2;S1;a.mp4;;;;;;;;no;",
        "P2;S1;b.mp4;;;;;;;;no;",
    ]
    return ("\ufeff" + "\r\n".join([columns, *rows]) + "\r\n").encode()


def test_lists_of_sessions(fuzz: Fuzz, tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4", "face.jpg"):
        (tmp_path / name).touch()
    path = tmp_path / "sessions.csv"

    def check(content: bytes) -> None:
        path.write_bytes(content)
        began = time.process_time()
        own_errors(lambda: _read(path), path)
        assert time.process_time() - began < 5

    def _read(path: Path) -> None:
        study = read_study(path)
        for session in study.sessions:
            check_id("", session.patient_id), check_id("", session.session_id)
        for problem in study.problems:
            assert str(problem).isprintable(), repr(problem)
            assert len(str(problem)) < 1000

    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as file:
        file.writestr("xl/workbook.xml", "<a/>" * 1000)
    head = b"patient_id;session_id;video;consent;patient_region;exclude\n"
    nasty = [
        b"",
        b"\0",
        zipped.getvalue(),
        a_list().decode().encode("utf-16"),
        a_list()[:-40],
        b"\xff\xfe\0",
        b"patient_id," * 10**5,
        b"patient_id" + b",x" * 400 + b"\n" + b"," * 10**5,
        head + b"P1;S1;" + b"a" * 10**5 + b".mp4;yes;;",
        head + b"P1;S1;a.mp4;yes;" + b"9" * 131072,
        head + b"P1;S1;a.mp4;yes;;" + b"1-2;" * 30_000,
        head
        + b'P1;S1;a.mp4;yes;"1'
        + b" " * 130_000
        + b';2 3"',  # blanks before a separator that never comes
        head + b'P1;S1;a.mp4;yes;"1' + b" " * 130_000 + b'2;"',
        b'"' * 10**5,
        b"\n" * 10**5,
        head + "P1;S1;\u202e\x1b[2J.mp4;ja".encode(),
        ("x" * 131_000 + ";").encode() * 12 + b"video\n",
        head + b"P1;S1;/dev/zero;yes",
        head + b"P1;S1;../../../etc/passwd;yes",
    ]
    cells = st.lists(
        st.one_of(TEXTS, st.sampled_from(["P1", "a.mp4", "yes", "1-2", "0,0,1,1", "1:00"])), max_size=13
    )
    tables = st.lists(cells, max_size=4).map(lambda rows: a_list() + _csv(rows))
    fuzz(
        check,
        st.one_of(EDITS.map(lambda edits: edited(a_list(), edits)), tables, st.binary(max_size=99)),
        *nasty,
        few=80,
    )


def _csv(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv_module.writer(text, delimiter=";").writerows(rows)
    return text.getvalue().encode(errors="replace")


def test_settings_of_a_study(fuzz: Fuzz, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    good = b'sample_fps = 5.0\nmodel = "atto"\njobs = 2\n[quality]\nmin_face_px = 24\n'

    def check(content: bytes) -> None:
        path.write_bytes(content)
        began = time.process_time()
        own_errors(lambda: read_settings(tmp_path), path)
        assert time.process_time() - began < 5

    nasty = [
        b"\0",
        b"a = " + b"[" * 10**5,
        b"a." * 10**5 + b"b = 1",
        b"sample_fps = " + b"9" * 10**4,
        b"sample_fps = nan",
        b"sample_fps = inf",
        b"sample_fps = 0",
        b"sample_fps = 1e9",
        b"jobs = true",
        b"quality = 1",
        b"jobs = 1e400",
        b"[quality]\nmin_face_px = -1",
        b"quality = {min_face_px = {a = 1}}",
        b'patient_track = "' + "\u0661".encode() + b'"',
        b'model = "\\uD800"',
        b'"\\u001b[2J" = 1',
        b"sample_fps = 2026-01-01",
        b'patient_track = "' + b"9" * 9999 + b'"',
    ]
    fuzz(check, st.one_of(EDITS.map(lambda e: edited(good, e)), st.binary(max_size=60)), *nasty, few=80)


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


def test_lists_of_events(fuzz: Fuzz, tmp_path: Path) -> None:
    from pipeline.analysis.events import read_events

    path = tmp_path / "events.csv"
    good = b"patient_id;session_id;time_s;what\nP1;S1;12.5;song\nP1;S1;1:20;carer comes in\n"

    def check(content: bytes) -> None:
        path.write_bytes(content)
        began = time.process_time()
        own_errors(lambda: _read(path), path)
        assert time.process_time() - began < 5

    def _read(path: Path) -> None:
        events, problems = read_events(path, {("P1", "S1"): [(0.0, 100.0)], ("P2", "S1"): [(0.0, 50.0)]})
        assert all(0 <= event.time_s <= 100 for event in events)
        for problem in problems:
            assert str(problem).isprintable(), repr(problem)
            assert len(str(problem)) < 1000

    head = b"session_id,time_s,what\n"
    nasty = [
        b"",
        b"\0",
        head,
        head + b"S1,nan,a",
        head + b"S1,-1,a",
        head + b"S1,1e9,a",
        head + b"S1,9999999,a",
        head + b"S1,1,",
        head + "S1,1,\u202e\x1b[2J".encode(),
        head + b"S1,1," + b"a" * 10**5,
        head + b"../..,1,a",
        b"session,session_id,time,what\nS1,S1,1,a",
        b"time_s," * 10**5,
    ]
    rows = st.lists(st.lists(st.one_of(TEXTS, st.sampled_from(["P1", "S1", "1:00"])), max_size=6), max_size=4)
    tables = rows.map(lambda cells: good + _csv(cells))
    fuzz(check, st.one_of(EDITS.map(lambda edits: edited(good, edits)), tables), *nasty, few=60)


def test_scales_of_a_study(fuzz: Fuzz, tmp_path: Path) -> None:
    from importlib import resources

    from pipeline.analysis.scales import read_scales

    path = tmp_path / "scales.toml"
    good = (resources.files("pipeline") / "scales.toml").read_bytes()

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
        written = list(csv_module.reader(io.StringIO(text, newline=""), delimiter=";"))
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
    return Outcome("P1", "S1", "failed", reason, None, None, 1.0, 1.0, "2026-01-01", **values)


def test_the_status_as_a_spreadsheet(fuzz: Fuzz, tmp_path: Path) -> None:
    def check(reason: str) -> None:
        record(tmp_path, outcome(reason.encode("utf-8", "replace").decode()))
        path = tmp_path / "status.csv"
        done = CliRunner().invoke(app, ["status", str(tmp_path), "--csv", str(path)])
        assert done.exit_code == 0, done.exception
        assert "\x1b[2J" not in done.output
        text = path.read_bytes().decode("utf-8-sig")
        for row in csv_module.reader(io.StringIO(text, newline=""), delimiter=";"):
            assert not any(cell[:1] in tuple("=+-@\t\r\n ＝＋－＠") for cell in row)

    fuzz(check, TEXTS, *FORMULAS[::3], *MARKUP, few=3)


# --- videos


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, bytes]]:
    """Small real ones: (suffix, content)."""
    folder = tmp_path_factory.mktemp("films")
    kinds = [
        (".mp4", "libx264"),
        (".mkv", "libx264"),
        (".avi", "mpeg4"),
        (".webm", "libvpx"),
        (".mp4", "mpeg4"),
    ]
    return [
        (
            suffix,
            encode(folder / f"{n}{suffix}", numbered(12, 128, 64), codec=codec, rate=10, gop=4).read_bytes(),
        )
        for n, (suffix, codec) in enumerate(kinds)
    ]


BOXES = [
    "moov",
    "trak",
    "mvhd",
    "tkhd",
    "mdhd",
    "hdlr",
    "stsd",
    "stts",
    "ctts",
    "stss",
    "stsc",
    "stsz",
    "stco",
    "elst",
    "dref",
    "vmhd",
    "ftyp",
]


def box(name: str, place: int, number: int) -> Edit:
    """A number in an MP4's header, four bytes long."""
    return "box", place, (name, struct.pack(">I", number % 2**32))


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"

FILMS_SEEDS: list[tuple[int, list[Edit]]] = [
    *((film, [("cut", place, None)]) for film in range(5) for place in (0, 1, 50, 600, -600, -1)),
    *((film, []) for film in range(5)),
    # a picture of 65535 × 65535, in the track and in the codec's description
    *(
        (film, [box("tkhd", 76, 65535 << 16), box("tkhd", 80, 65535 << 16), box("stsd", 40, 2**32 - 1)])
        for film in (0, 4)
    ),
    *((film, [box("stsd", 40, number)]) for film in (0, 4) for number in (128 << 16, 0, 1 << 16 | 65535)),
    # pictures of another size than the header's
    (0, [box("moov", 44, 0)]),
    # one pixel wide, and narrower than it is stored
    (3, [("set", 445, b"\x00\x00\x00\x00")]),
    # 10⁹ frames; of no length, of the greatest, at negative times
    (0, [box("stsz", 8, 10**9)]),
    (0, [box("stsz", 4, 1), box("stsz", 8, 10**9), box("stts", 8, 10**9), box("stsc", 12, 10**9)]),
    (0, [box("stsz", 4, 1), box("stsz", 8, 10**7), box("stts", 8, 10**7), box("stsc", 12, 10**7)]),
    (0, [box("stts", 8, 10**9)]),
    (0, [box("stts", 12, 2**32 - 1)]),
    (0, [box("stts", 12, 2**31 - 1)]),
    (0, [box("stts", 12, 0)]),
    (0, [box("mdhd", 12, 0)]),
    (0, [box("mdhd", 12, 2**32 - 1)]),
    (0, [box("mvhd", 12, 0)]),
    (0, [box("ctts", 8, 2**31)]),
    (0, [box("elst", 12, 2**32 - 1)]),
    (0, [box("elst", 8, 2**32 - 1)]),
    (0, [box("stco", 8, 2**32 - 1)]),
    (0, [box("stco", 8, 0)]),
    (0, [("swap", 1, 2)]),
]


def test_videos_with_lying_headers(
    fuzz: Fuzz, films: list[tuple[str, bytes]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends: Counter[str] = Counter()

    for read in contained(read_video, capsys):

        def check(altered: tuple[int, list[Edit]], read: Contained = read) -> None:
            suffix, content = films[altered[0]]
            path = tmp_path / f"P1_S1{suffix}"
            path.write_bytes(edited(content, altered[1]))
            ends[read(path)] += 1

        in_boxes = st.builds(box, st.sampled_from(BOXES), st.integers(0, 120), st.sampled_from(INTS))
        aligned = st.builds(
            box, st.sampled_from(BOXES), st.integers(0, 25).map(lambda n: 4 * n), st.sampled_from(INTS)
        )
        swaps = st.tuples(st.just("swap"), st.integers(0, 30), st.integers(0, 30))
        mp4 = st.tuples(
            st.sampled_from([0, 4]), st.lists(st.one_of(aligned, in_boxes, swaps), min_size=1, max_size=4)
        )
        heads = st.lists(st.tuples(st.just("set"), st.integers(0, 700), NASTY), min_size=1, max_size=4)
        any_film = st.tuples(st.integers(0, 4), st.one_of(EDITS, heads))
        fuzz(check, st.one_of(mp4, any_film), *FILMS_SEEDS, few=20)
    if MINUTES:
        with capsys.disabled():
            print(dict(ends.most_common()))  # noqa: T201


def test_a_text_that_names_other_files_is_no_video(tmp_path: Path) -> None:
    """FFmpeg takes playlists for videos, and would open what they name."""
    other = encode(tmp_path / "other.mp4", numbered(12))
    for number, text in enumerate(
        (
            PLAYLIST,
            b"ffconcat version 1.0\nfile other.mp4\n",
            b"#EXTM3U\n#EXTINF:1,\nother.mp4\n#EXT-X-ENDLIST\n",
            b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet>'
            b"<Representation><BaseURL>other.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>",
            b"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\n"
            b"m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        )
    ):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(text)
        with pytest.raises(PipelineError, match=path.name):
            probe(path)
    assert other.exists()


# --- weights


class _Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def _with_card(weights: Path, change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        with safe_open(weights, framework="pt") as file:
            card = json.loads(file.metadata()["emonext"])
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        changed = change(card)
        text = changed if isinstance(changed, str) else json.dumps(card)
        save_file(state, path, {"emonext": text})

    return write


def test_weights(fuzz: Fuzz, small_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, ran = small_weights.read_bytes(), tmp_path / "code_was_run"
    head = struct.unpack("<Q", good[:8])[0]
    path = tmp_path / "hostile.safetensors"
    with safe_open(small_weights, framework="pt") as file:
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    published = {f"stages.{stage}.0.gamma": torch.zeros(8) for stage in range(4)}
    published["fc_loc.0.weight"] = torch.zeros(32, 10)

    def torch_file(content: object) -> Callable[[Path], object]:
        return lambda path: torch.save(content, path)

    def architecture(**values: object) -> Callable[[Path], object]:
        return _with_card(small_weights, lambda card: card["architecture"].update(values))

    def card(**values: object) -> Callable[[Path], object]:
        return _with_card(small_weights, lambda card: card.update(values))

    nasty: list[tuple[str, Callable[[Path], object]]] = [
        (".safetensors", lambda path: path.write_bytes(good)),
        (".safetensors", lambda path: path.write_bytes(b"")),
        (".safetensors", lambda path: path.write_bytes(struct.pack("<Q", 2**63) + good[8:])),
        (".safetensors", lambda path: path.write_bytes(struct.pack("<Q", 10**8) + b"[" * 10**5)),
        (".safetensors", lambda path: path.write_bytes(pickle.dumps(_Evil(ran)))),
        (".safetensors", torch_file(_Evil(ran))),
        (".pt", lambda path: path.write_bytes(pickle.dumps(_Evil(ran)))),
        (".pt", torch_file(_Evil(ran))),
        (".pt", torch_file({"model": _Evil(ran)})),
        (".pt", torch_file({1: 2})),
        (".pt", torch_file(state)),
        (".pt", torch_file(published)),
        (".pt", torch_file(published | {"stages.1.0.gamma": torch.tensor(1.0)})),
        (".pt", torch_file(published | {"fc_loc.0.weight": torch.zeros(3)})),
        (
            ".pt",
            torch_file(published | {f"stages.{n}.0.gamma": torch.zeros(1).expand(40_000) for n in range(4)}),
        ),
        (".pt", torch_file({"stem.0.weight": torch.zeros(3), "a": torch.zeros(1).expand(10**12)})),
        (".pt", torch_file({"transformer.affine.0.weight": torch.zeros(())})),
        (".pt", torch_file({"transformer.affine.0.weight": torch.zeros(32, 7)})),
        (".pt", torch_file({1: torch.zeros(1), "a": torch.zeros(1)})),
        (".safetensors", _with_card(small_weights, lambda card: "[" * 10**5)),
        (".safetensors", _with_card(small_weights, lambda card: "[]")),
        (".safetensors", architecture(dims=[40_000] * 4)),
        (".safetensors", architecture(dims=[10**12] * 4)),
        (".safetensors", architecture(dims=[8.0] * 4)),
        (".safetensors", architecture(dims=["8"] * 4)),
        (".safetensors", architecture(dims=[-8] * 4)),
        (".safetensors", architecture(depths=[10**9] * 4)),
        (".safetensors", architecture(depths=[0] * 4)),
        (".safetensors", architecture(depths=[None] * 4)),
        (".safetensors", architecture(image_size=10**9)),
        (".safetensors", architecture(image_size=-5)),
        (".safetensors", architecture(image_size=None)),
        (".safetensors", card(labels=[1, "a", None])),
        (".safetensors", card(labels=5)),
        (".safetensors", card(labels=[["a", None]])),
        (".safetensors", card(labels=[["a"]] * 7)),
        (".safetensors", card(temperature="1")),
        (".safetensors", card(temperature=float("nan"))),
        (".safetensors", card(preprocessing={"size": "a", "resize": []})),
        (".safetensors", card(preprocessing=None)),
        (".safetensors", card(metrics=5, name=None)),
    ]
    for read in contained(read_weights, capsys):

        def check(made: tuple[str, Callable[[Path], object]], read: Contained = read) -> None:
            path = tmp_path / f"hostile{made[0]}"
            made[1](path)
            said = read(path)
            assert not said.startswith("signal"), said
            assert not ran.exists()

        def raw(edits: list[Edit]) -> tuple[str, Callable[[Path], object]]:
            return ".safetensors", lambda path: path.write_bytes(edited(good, edits))

        def in_card(place: int, value: Any) -> tuple[str, Callable[[Path], object]]:
            return ".safetensors", _with_card(
                small_weights, lambda card: json.dumps(replaced(card, place, value))
            )

        in_head = st.lists(st.tuples(st.just("set"), st.integers(0, head + 8), NASTY), min_size=1, max_size=3)
        values = st.builds(in_card, st.integers(0, 100), JSON)
        fuzz(check, st.one_of(EDITS.map(raw), in_head.map(raw), values), *nasty, few=5)
    assert not path.with_name("new.safetensors").exists()


# --- results

JSON = st.one_of(
    st.sampled_from(
        [None, "", 0, -1, 1, 1e300, -1e300, float("nan"), float("inf"), 10**30, 1e12, 1e7, True, [], {}]
    ),
    st.sampled_from(
        [[[0.0, 1e12]], [[4, 2]], [["a", None]], [[]], {"a": {"b": []}}, "\ud800", "a\0", *MARKUP]
    ),
)


def places(values: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to everything in a JSON value."""
    keys = (
        values.keys() if isinstance(values, dict) else range(len(values)) if isinstance(values, list) else ()
    )
    return [at, *(found for key in keys for found in places(values[key], (*at, key)))]


def replaced(values: Any, place: int, value: Any, found: tuple[Any, ...] | None = None) -> Any:
    """A copy in which one thing is another."""
    ways = places(values)
    way = ways[place % len(ways)] if found is None else found
    if not way:
        return value
    copy = json.loads(json.dumps(values))
    within = copy
    for key in way[:-1]:
        within = within[key]
    within[way[-1]] = value
    return copy


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
        Outcome("P1", "S1", "done", "", 0.5, 0.0, 3.0, 1.0, "2026-01-01", videos=("a.mp4",)),
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


# --- keys and the audit log


def test_key_files(fuzz: Fuzz, tmp_path: Path) -> None:
    from pipeline.store.encryption import _read_key

    good = write_key(tmp_path / "good").read_bytes()
    path = tmp_path / "key"

    def check(content: bytes) -> None:
        path.write_bytes(content)
        _read_key.cache_clear()
        own_errors(lambda: use_key(path), path)
        use_no_key()

    nasty = [
        b"",
        b"\0" * 32,
        "é".encode(),
        b"\xff",
        good * 1000,
        good + b"\n\n",
        good[:-3],
        b"=" * 44,
        "\u2028".encode(),
    ]
    fuzz(
        check,
        st.one_of(
            EDITS.map(lambda e: edited(good, e)),
            st.binary(max_size=60),
            st.text(max_size=50).map(lambda t: t.encode(errors="replace")),
        ),
        *nasty,
        few=100,
    )


def test_audit_logs(fuzz: Fuzz, tmp_path: Path) -> None:
    for command in ("process", "report"):
        with audited(tmp_path, command, [("P1", "S1"), ("P2", "S1")]) as ending:
            ending.states["P1", "S1"] = "done"
    files = [tmp_path / LOG_FILE, tmp_path / IDS_FILE, tmp_path / "audit.head"]
    good = [file.read_bytes() for file in files]
    lines = good[0].splitlines()

    def check(altered: tuple[int, bytes]) -> None:
        for file, content in zip(files, good, strict=True):
            file.write_bytes(content)
        files[altered[0]].write_bytes(altered[1])
        began = time.process_time()
        said = [
            own_errors(use)
            for use in (
                lambda: verify(tmp_path),
                lambda: read_runs(tmp_path),
                lambda: read_runs(tmp_path, "P1"),
                lambda: read_ids(tmp_path),
            )
        ]
        assert altered[1] == good[altered[0]] or said is not None
        for arguments in (["audit", "show", str(tmp_path)], ["audit", "verify", str(tmp_path)]):
            done = CliRunner().invoke(app, arguments)
            assert done.exception is None or isinstance(done.exception, SystemExit | PipelineError), (
                done.exception
            )
            assert "\x1b[2J" not in done.output
        assert time.process_time() - began < 10

    def line(place: int, **values: object) -> bytes:
        changed = [*lines]
        changed[place] = json.dumps(json.loads(changed[place]) | values).encode()
        return b"\n".join(changed) + b"\n"

    def in_line(number: int, place: int, value: Any) -> tuple[int, bytes]:
        changed = [*lines]
        changed[number] = json.dumps(replaced(json.loads(changed[number]), place, value)).encode()
        return 0, b"\n".join(changed) + b"\n"

    def in_ids(place: int, value: Any) -> tuple[int, bytes]:
        return 1, json.dumps(replaced(json.loads(good[1]), place, value)).encode()

    nasty = [
        (0, good[0]),
        (0, b""),
        (0, b"\n"),
        (0, b"\n\n\n"),
        (0, b"[" * 10**5 + b"\n"),
        (0, b"\0" * 100),
        (0, line(1, number=10**9)),
        (0, line(1, number=10**30)),
        (0, line(0, number=-5)),
        (0, line(0, number=True)),
        (0, line(0, event=[])),
        (0, line(1, begun=[])),
        (0, line(1, begun={})),
        (0, line(0, sessions=5)),
        (0, line(0, sessions=[[], {}])),
        (0, line(1, sessions=[])),
        (0, line(1, sessions=None)),
        (0, line(0, at=5)),
        (0, line(0, command=None)),
        (0, line(1, how=5)),
        (0, line(0, weights=5)),
        (0, line(0, user="\x1b[2J[red]")),
        (0, line(0, command="[/red]")),
        (0, line(0, user="\ud800")),
        (0, line(0, previous="")),
        (0, line(0, at="\ud800")),
        (1, b""),
        (1, b"[]"),
        (1, b"{}"),
        (1, b'{"P1": 5}'),
        (1, b'{"P1": {"S1": []}}'),
        (1, b'{"P1": [["S1", {}]]}'),
        (1, b"[" * 10**5),
        (1, b'{"P1": {"S1": 5}}'),
        (1, b'{"\\ud800": {"S1": "a"}}'),
        (1, b"null"),
        (1, b'{"P1": ["ab"]}'),
        (2, b"9" * 5000 + b" a"),
        (2, b"\xff"),
        (2, b"-5 a"),
        (2, b"10000000000 a"),
        (2, "٣ a".encode()),
    ]
    raw = st.builds(lambda n, edits: (n, edited(good[n], edits)), st.integers(0, 2), EDITS)
    values = st.one_of(
        st.builds(in_line, st.integers(0, 3), st.integers(0, 60), JSON),
        st.builds(in_ids, st.integers(0, 9), JSON),
    )
    fuzz(check, st.one_of(raw, values), *nasty, few=5)


# --- pages


def test_pages_show_texts_and_obey_none(fuzz: Fuzz) -> None:
    def pages(text: str) -> list[str]:
        timeline = make_timeline(
            TWENTY_SECONDS,
            session={"parts": [[0.0, 20.0]], "recorded_at": None, "condition": text},
            warnings=[text],
            weights={"name": text, "sha256": "a"},
            software_version=text,
        )
        from pipeline.store.coverage import summarize

        person = Person(
            "P1",
            "S1",
            1,
            (1,),
            "patient",
            1.0,
            0.0,
            1.0,
            "longest",
            None,
            (b"a",),
            np.zeros((0, 2)),
            "a",
            "A",
            text,
        )
        entry = IndexEntry("P1", "S1", "failed", text, None, None)
        row = dict.fromkeys(("coverage", "identity", "seconds_lost", "video_s", "took_s", "speed"))
        row |= {
            "patient_id": "P1",
            "session_id": "S1",
            "state": "failed",
            "finished_at": text,
            "reason": text,
        }
        schema = STATUS_SCHEMA | {"speed": pl.Float64()}
        frame = pl.DataFrame(
            [{k: v.encode("utf-8", "replace").decode() if isinstance(v, str) else v for k, v in row.items()}],
            schema={name: schema[name] for name in row},
        )
        return [
            str(session_page(SessionMaterial(timeline, summarize(timeline)), ENGLISH)),
            str(index_page([entry], ENGLISH, INLINE)),
            str(people_page([person], text)),
            str(status_page(frame)),
        ]

    def shape(html: str) -> list[Any]:
        page = Page(html)
        for tag, attributes in page.tags:
            for name, value in attributes.items():
                if name in ("src", "href", "action", "data", "poster", "srcset", "formaction"):
                    assert (value or "").startswith(
                        ("data:", "#", "P1/", "../", "index.html", "study.html", "S1")
                    ), (
                        tag,
                        value,
                    )
                assert not name.startswith("on"), (tag, name)
        return [(tag, *attributes) for tag, attributes in page.tags]

    plain_shapes = [shape(html) for html in pages("words")]

    def check(text: str) -> None:
        if text.strip():
            assert [shape(html) for html in pages(text)] == plain_shapes

    fuzz(check, st.one_of(TEXTS, st.lists(st.sampled_from(MARKUP), max_size=4).map("".join)), *MARKUP, few=3)
