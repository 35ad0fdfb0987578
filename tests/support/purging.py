"""Shared by the tests of purges."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.privacy.purge import Purged, purge
from reports import own_text, write_reports

Process = Callable[..., None]


def do_purge(out: Path, patient: str, session: str | None = None) -> Purged:
    return purge(out, patient, session, write_reports, own_text())


def files(out: Path) -> dict[str, bytes]:
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def paths_with(out: Path, text: str) -> list[str]:
    """By another means than the program's: grep, and names."""
    command = ["grep", "-rlaw", "--", text, "."]
    found = subprocess.run(command, cwd=out, capture_output=True, text=True, check=False).stdout.split("\n")
    names = [path for path in files(out) if text in path]
    tables = [p.name for p in out.rglob("*.parquet") if text in str(pq.ParquetFile(p).read().to_pydict())]
    return [*filter(None, found), *names, *tables]
