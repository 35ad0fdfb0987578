"""How each session of a folder ended: one row each in ``status.parquet``."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError, OutputError
from pipeline.timeline import as_frame, atomic, written_sessions

State = Literal["waiting", "running", "done", "partial", "failed", "skipped"]

WITHDRAWN = "consent was withdrawn; earlier results are still here: run"
"""So begins the reason of a session that is left out until it is purged."""


@dataclass(frozen=True)
class Outcome:
    """How one session ended, or that it has not yet; a row of ``status.parquet``.

    :param state: ``running`` too where a run was killed: whether one is at work tells
        :func:`pipeline.lock.is_held`.
    :param reason: why it is not ``done``; warnings where it is.
    :param coverage: observed seconds / session seconds; none without a timeline.
    :param seconds_lost: of the video, s.
    :param video_s: length of the video, s. ``took_s``: of the processing, s.
    :param identity: how surely the patient was recognised, 0…0.9; none where nothing was compared.
    :param lasting: it failed for a reason that lies in the video or the settings: it is not tried again
        before one of them changes.
    :param videos: full paths, for whoever looks at the pictures again; they go into no report.
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
    videos: tuple[str, ...] = ()
    video_stamp: str = ""
    video_sha256: str = ""
    fingerprint: str = ""

    @property
    def ids(self) -> tuple[str, str]:
        """The patient's and the session's."""
        return self.patient_id, self.session_id

    def with_result(self, metadata: Mapping[str, Any]) -> "Outcome":
        """It has a timeline now, with these metadata."""
        return replace(
            self,
            state="partial" if metadata["seconds_lost"] else "done",
            reason="; ".join(metadata["warnings"]),
            coverage=metadata["coverage"],
            seconds_lost=metadata["seconds_lost"],
            video_s=metadata["video"]["duration_s"],
            identity=metadata["patient"]["confidence"],
        )


STATUS_SCHEMA = pl.Schema(
    {
        "patient_id": pl.String(),
        "session_id": pl.String(),
        "state": pl.String(),
        "reason": pl.String(),
        "coverage": pl.Float64(),
        "seconds_lost": pl.Float64(),
        "video_s": pl.Float64(),
        "took_s": pl.Float64(),
        "finished_at": pl.String(),
        "identity": pl.Float64(),
        "lasting": pl.Boolean(),
        "videos": pl.List(pl.String),
        "video_stamp": pl.String(),
        "video_sha256": pl.String(),
        "fingerprint": pl.String(),
    }
)


_STATES = get_args(State)

# The columns that every row has.
_ALWAYS = [name for name, kind in STATUS_SCHEMA.items() if kind != pl.Float64 or name == "took_s"]


def read_status(out: Path) -> pl.DataFrame:
    """The rows of ``status.parquet`` in :data:`STATUS_SCHEMA`; none where there is no such file."""
    path = out / "status.parquet"
    if not path.exists():
        return pl.DataFrame(schema=STATUS_SCHEMA)
    try:
        # read at once, since a run may replace it meanwhile; polars' own reader panics on some damaged files
        rows = as_frame(pq.read_table(pa.BufferReader(path.read_bytes()))).select(STATUS_SCHEMA.names())
        rows = rows.cast(STATUS_SCHEMA)
        if not _is_whole(rows):
            raise ValueError("not as this program writes it")  # noqa: TRY301  # told as any other damage
        return rows
    except (pl.exceptions.PolarsError, pa.ArrowException, OSError, ValueError) as error:
        raise OutputError(f"{path}: can't be read; delete it and run again.") from error


def _is_whole(rows: pl.DataFrame) -> bool:
    """Whether known states, finite numbers, and nothing missing are all that the rows hold."""
    complete = rows.select(pl.col(_ALWAYS).is_not_null().all()).row(0)
    finite = rows.select(pl.col(pl.Float64).drop_nulls().is_finite().all()).row(0)
    return all(complete) and all(finite) and bool(rows["state"].is_in(_STATES).all())


def overview(out: Path, *, running: bool) -> pl.DataFrame:
    """What a coordinator wants to know of each session: without paths and checksums.

    :param running: whether a run is at work; if none is, what was being processed was interrupted.
    :returns: patient_id, session_id, state, coverage, identity, seconds_lost, video_s, took_s, speed (seconds
        of video per second), finished_at, reason.
    """
    state = pl.when((pl.col("state") == "running") & (not running)).then(pl.lit("interrupted"))
    speed = pl.when(pl.col("took_s") > 0).then(pl.col("video_s") / pl.col("took_s"))
    return read_status(out).select(
        "patient_id",
        "session_id",
        state.otherwise("state").alias("state"),
        "coverage",
        "identity",
        "seconds_lost",
        "video_s",
        "took_s",
        speed.alias("speed"),
        "finished_at",
        "reason",
    )


def read_outcomes(out: Path) -> dict[tuple[str, str], Outcome]:
    """The rows of ``status.parquet``, by patient and session."""
    rows = (Outcome(**row | {"videos": tuple(row["videos"])}) for row in read_status(out).rows(named=True))
    return {outcome.ids: outcome for outcome in rows}


def withdrawn(out: Path) -> set[tuple[str, str]]:
    """Sessions whose consent was withdrawn after they were processed, and that were not purged yet."""
    found = read_status(out).filter(pl.col("reason").str.starts_with(WITHDRAWN))
    return set(found.select("patient_id", "session_id").rows())


def sessions_in(out: Path) -> list[tuple[str, str]]:
    """Patient and session of every row, and of every timeline.

    :raises InputError: there is none.
    """
    found = set(written_sessions(out)) | set(read_status(out).select("patient_id", "session_id").rows())
    if not found:
        raise InputError(f"{out}: no session in this folder; run `emonext process` with --out {out} first.")
    return sorted(found)


def record(out: Path, *outcomes: Outcome) -> None:
    """Replaces the rows of these sessions; without any the file stays as it is."""
    if not outcomes:
        return
    rows = pl.DataFrame([asdict(outcome) for outcome in outcomes], schema=STATUS_SCHEMA)
    others = read_status(out).join(rows, on=["patient_id", "session_id"], how="anti")
    with atomic(out / "status.parquet") as partial:
        pl.concat([others, rows]).sort("patient_id", "session_id").write_parquet(partial)
