"""Hostile ids, lists of sessions, settings and events."""

import io
import os
import shutil
import time
import zipfile
from pathlib import Path

import pytest
from fuzzing import EDITS, TEXTS, Fuzz, _csv, own_errors
from hostile import edited
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.processing.batch import check_id, plan_sessions
from pipeline.processing.sessions_list import read_study
from pipeline.processing.study_settings import read_settings

pytestmark = pytest.mark.fuzz

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
