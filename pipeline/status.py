"""How each session of a folder ended: one row each in ``status.parquet``."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from pipeline.errors import InputError, OutputError
from pipeline.timeline import atomic

State = Literal["done", "partial", "failed", "skipped"]


@dataclass(frozen=True)
class Outcome:
    """How one session ended; a row of ``status.parquet``.

    :param reason: why it is not ``done``; warnings where it is.
    :param coverage: observed seconds / session seconds; none without a timeline.
    :param seconds_lost: of the video, s.
    :param video_s: length of the video, s. ``took_s``: of the processing, s.
    :param identity: how surely the patient was recognised, 0…0.9; none where nothing was compared.
    :param lasting: it failed for a reason that lies in the video or the settings: it is not tried again
        before one of them changes.
    :param video_stamp, video_sha256, fingerprint: as in :class:`pipeline.jobs.Job`.
    """

    patient_id: str
    session_id: str
    state: State
    reason: str
    coverage: float | None
    seconds_lost: float | None
    video_s: float | None
    took_s: float
    finished_at: str
    identity: float | None = None
    lasting: bool = False
    video_stamp: str = ""
    video_sha256: str = ""
    fingerprint: str = ""


STATUS_SCHEMA = pl.Schema(
    {
        "patient_id": pl.String,
        "session_id": pl.String,
        "state": pl.String,
        "reason": pl.String,
        "coverage": pl.Float64,
        "seconds_lost": pl.Float64,
        "video_s": pl.Float64,
        "took_s": pl.Float64,
        "finished_at": pl.String,
        "identity": pl.Float64,
        "lasting": pl.Boolean,
        "video_stamp": pl.String,
        "video_sha256": pl.String,
        "fingerprint": pl.String,
    }
)


def read_status(out: Path) -> pl.DataFrame:
    """The rows of ``status.parquet`` in :data:`STATUS_SCHEMA`; none where there is no such file."""
    path = out / "status.parquet"
    if not path.exists():
        return pl.DataFrame(schema=STATUS_SCHEMA)
    try:
        return pl.read_parquet(path, glob=False).select(STATUS_SCHEMA.names())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise OutputError(f"{path}: can't be read; delete it and run again.") from error


def read_outcomes(out: Path) -> list[Outcome]:
    """The rows of ``status.parquet``."""
    return [Outcome(**row) for row in read_status(out).rows(named=True)]


def sessions_in(out: Path) -> list[tuple[str, str]]:
    """Patient and session of every row, and of every timeline.

    :raises InputError: there is none.
    """
    paths = out.glob("timelines/patient_id=*/*.parquet")
    written = {(path.parent.name.removeprefix("patient_id="), path.stem) for path in paths}
    found = written | set(read_status(out).select("patient_id", "session_id").rows())
    if not found:
        raise InputError(f"{out}: no session in this folder; run `emonext process` with --out {out} first.")
    return sorted(found)


def record(out: Path, outcome: Outcome) -> None:
    """Replaces the session's row."""
    same = (pl.col("patient_id") == outcome.patient_id) & (pl.col("session_id") == outcome.session_id)
    row = pl.DataFrame([asdict(outcome)], schema=STATUS_SCHEMA)
    table = pl.concat([read_status(out).filter(~same), row]).sort("patient_id", "session_id")
    with atomic(out / "status.parquet") as partial:
        table.write_parquet(partial)
