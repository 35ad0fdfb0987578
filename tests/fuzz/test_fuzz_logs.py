"""Hostile keys and audit logs, and hostile texts in pages."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzzing import EDITS, JSON, MARKUP, TEXTS, Fuzz, own_errors, replaced
from hostile import edited
from hypothesis import strategies as st
from page_text import Page
from timelines import TWENTY_SECONDS, make_timeline
from typer.testing import CliRunner

from cli import app
from pipeline.errors import PipelineError
from pipeline.reasons import free_text
from pipeline.records import Person
from pipeline.store.audit import IDS_FILE, LOG_FILE, audited, read_ids, read_runs, verify
from pipeline.store.encryption import use_key, use_no_key, write_key
from reports.assets import INLINE
from reports.forms.people import people_page
from reports.index_data import IndexEntry, Overview
from reports.pages.index import index_page
from reports.pages.session import session_page
from reports.session_data import SessionMaterial
from reports.words.language import ENGLISH

pytestmark = pytest.mark.fuzz

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
            warnings=[free_text(text).write()],
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
            "to_check",
            (b"a",),
            np.zeros((0, 2)),
            "a",
            "A",
            free_text(text),
            reason=free_text(text),
        )
        entry = IndexEntry("P1", "S1", "failed", (free_text(text),), None, None)
        return [
            str(session_page(SessionMaterial(timeline, summarize(timeline)), ENGLISH)),
            str(index_page([entry], ENGLISH, INLINE)),
            str(people_page([person], text)),
            str(index_page([entry], ENGLISH, INLINE, Overview(is_status=True))),
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
