"""Shared by the tests of purges."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
from videos import encode, with_faces

from pipeline.privacy.purge import Purged, purge
from pipeline.processing.batch import process_sessions
from pipeline.processing.jobs import in_this_process
from pipeline.processing.session import Networks, Session, Settings
from reports import own_text, write_reports

Process = Callable[..., None]


class ProcessedStudies:
    """Studies of one recording of a second, by names like P1/S1; each is made once, then copied."""

    def __init__(self, folder: Path, networks: Networks) -> None:
        self.folder, self.networks = folder, networks
        self.video = encode(folder / "recording.mp4", [with_faces([(40, 60)])] * 10, rate=10)
        self.made: dict[tuple[str, ...], Path] = {}

    def process(self, out: Path, *names: str, consent: bool | None = True) -> None:
        sessions = [Session(*name.split("/"), self.video, consent=consent) for name in names]
        engine = in_this_process(self.networks)
        process_sessions(sessions, out, Settings(), engine, "0" * 64, write_pages=write_reports)

    def copy(self, out: Path, *names: str) -> None:
        if names not in self.made:
            made = self.folder / str(len(self.made))
            self.process(made, *names)
            self.made[names] = made
        shutil.copytree(self.made[names], out)


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
