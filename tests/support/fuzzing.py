"""Hostile input: whatever is read ends with a valid result or one of the program's own errors.

The suite tries what was ever found, and a few inputs more, always the same. A long run, and what it tried:

    EMONEXT_FUZZ_MINUTES=10 python -m pytest tests/fuzz
"""

import csv as csv_module
import io
import json
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile import Contained, Edit
from hypothesis import strategies as st

from pipeline.errors import PipelineError

MINUTES = float(os.environ.get("EMONEXT_FUZZ_MINUTES", "0"))

TARGETS = 21
"""Tests that share the minutes."""

Fuzz = Callable[..., None]


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


def _csv(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv_module.writer(text, delimiter=";").writerows(rows)
    return text.getvalue().encode(errors="replace")


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
