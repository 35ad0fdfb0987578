"""Read and write ``status.parquet``: the state of each session of a folder."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Any, Literal, get_args

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError, TimelineError
from pipeline.reasons import Reason, read_reasons, sentence
from pipeline.records import SURE, IdentityState
from pipeline.store.files import atomic
from pipeline.store.parquet import as_frame, malformed_as_timeline_error, read_metadata
from pipeline.store.paths import timeline_path
from pipeline.store.refusals import refused_sessions, set_aside_path
from pipeline.store.timeline import written_sessions

State = Literal[
    "waiting", "running", "done", "partial", "to_check", "failed", "skipped", "no_consent", "withdrawn"
]

WITHOUT_CONSENT: tuple[State, ...] = ("no_consent", "withdrawn")
"""States without consent; results of withdrawn sessions are set aside until they are purged."""

STATE_REASONS = {state: str(Reason.of(state)) for state in WITHOUT_CONSENT}
"""What a state says by itself; its rows have no reason of their own."""


@dataclass(frozen=True)
class Outcome:
    """State of one session; a row of ``status.parquet``.

    :param state: also ``running`` after a run was killed; :func:`pipeline.store.lock.is_held` tells whether a
        run is active.
    :param reasons: reasons for any other state than ``done``; warnings if ``done``. Empty without consent.
    :param coverage: observed seconds / session seconds; ``None`` without a timeline.
    :param seconds_lost: of the video, s.
    :param video_s: length of the video, s. ``took_s``: of the processing, s.
    :param identity: one of :data:`pipeline.records.IdentityState`; ``None`` without a timeline.
    :param lasting: whether the failure is due to the video or the settings; the session is then not tried
        again before one of them changes.
    :param videos: full paths, for later decoding; they appear in no report.
    :param video_stamp, video_sha256, fingerprint: as in :class:`pipeline.processing.jobs.Job`.
    """

    patient_id: str
    session_id: str
    state: State
    reasons: tuple[Reason, ...]
    coverage: float | None
    seconds_lost: float | None
    video_s: float | None
    took_s: float
    finished_at: str
    identity: str | None = None
    lasting: bool = False
    videos: tuple[str, ...] = ()
    video_stamp: str = ""
    video_sha256: str = ""
    fingerprint: str = ""

    @property
    def ids(self) -> tuple[str, str]:
        """Patient id and session id."""
        return self.patient_id, self.session_id

    @property
    def is_settled(self) -> bool:
        """Whether the session needs no processing as long as its inputs are the same."""
        ended = self.lasting if self.state == "failed" else self.state not in ("waiting", "running")
        return ended and bool(self.fingerprint)

    @property
    def is_incomplete(self) -> bool:
        """Whether results are missing or may be of another person."""
        if self.state == "to_check":
            without_face = any(reason.code == "no_face_in_video" for reason in self.reasons)
            return self.identity != "hardly_seen" and not without_face
        return self.state in ("failed", "partial")

    @property
    def reason(self) -> str:
        """The reasons in English."""
        return sentence(self.reasons)

    @property
    def row(self) -> dict[str, Any]:
        """In the columns of :data:`STATUS_SCHEMA`."""
        reasons = json.dumps([reason.write() for reason in self.reasons], ensure_ascii=False)
        return asdict(self) | {"reason": self.reason, "reasons": reasons}

    def with_result(self, metadata: Mapping[str, Any]) -> "Outcome":
        """The outcome after a timeline with these metadata was written."""
        return replace(
            self,
            state=state_of(metadata),
            reasons=read_reasons(metadata["warnings"]),
            coverage=metadata["coverage"],
            seconds_lost=metadata["seconds_lost"],
            video_s=metadata["video"]["duration_s"],
            identity=metadata["patient"]["identity"],
        )


def state_of(metadata: Mapping[str, Any]) -> State:
    """State of a session with a timeline: ``done`` only if no manual check is needed."""
    if metadata["seconds_lost"]:
        return "partial"
    return "done" if metadata["patient"]["identity"] in SURE else "to_check"


STATUS_SCHEMA = pl.Schema(
    {
        "patient_id": pl.String(),
        "session_id": pl.String(),
        "state": pl.String(),
        "reason": pl.String(),
        "reasons": pl.String(),
        "coverage": pl.Float64(),
        "seconds_lost": pl.Float64(),
        "video_s": pl.Float64(),
        "took_s": pl.Float64(),
        "finished_at": pl.String(),
        "identity": pl.String(),
        "lasting": pl.Boolean(),
        "videos": pl.List(pl.String),
        "video_stamp": pl.String(),
        "video_sha256": pl.String(),
        "fingerprint": pl.String(),
    }
)


_STATES, _IDENTITIES = get_args(State), get_args(IdentityState)

# Columns that are never null.
_SOMETIMES = {"coverage", "seconds_lost", "video_s", "identity"}
_ALWAYS = [name for name in STATUS_SCHEMA if name not in _SOMETIMES]


def read_status(out: Path) -> pl.DataFrame:
    """The rows of ``status.parquet`` in :data:`STATUS_SCHEMA`.

    If the file is missing or damaged, one row per timeline. Missing consent is read from the folder, not from
    the file; such sessions have only ids and state.
    """
    stored = _read_stored(out)
    if stored is None:
        rebuilt = [rebuilt_outcome(out, *ids).row for ids in written_sessions(out)]
        stored = pl.DataFrame(rebuilt, schema=STATUS_SCHEMA)
    refused = sorted(refused_sessions(out))
    if not refused:
        return stored
    named = ["patient_id", "session_id"]
    times = dict(zip(stored.select(named).rows(), stored["finished_at"], strict=True))
    rows = [without_consent(out, *ids, times.get(ids, "")).row for ids in refused]
    without = pl.DataFrame(rows, schema=STATUS_SCHEMA)
    return pl.concat([stored.join(without, on=named, how="anti"), without]).sort(named)


def is_damaged(out: Path) -> bool:
    """Whether ``status.parquet`` exists and can't be read."""
    return os.path.lexists(out / "status.parquet") and _read_stored(out) is None


def repair_status(out: Path) -> None:
    """Rebuild a missing or damaged ``status.parquet``; use it while the folder is locked.

    :raises OutputError: the file can't be written.
    """
    if _read_stored(out) is None and (rows := read_status(out)).height:
        _write_status(out, rows)
    elif is_damaged(out):
        _write_status(out, pl.DataFrame(schema=STATUS_SCHEMA))


def rebuilt_outcome(out: Path, patient_id: str, session_id: str) -> Outcome:
    """The outcome of a session, from its timeline."""
    path = timeline_path(out, patient_id, session_id)
    empty = Outcome(patient_id, session_id, "waiting", (Reason.of("status_lost"),), None, None, None, 0.0, "")
    try:
        metadata = read_metadata(path)
        with malformed_as_timeline_error(path):
            found = replace(
                empty.with_result({"coverage": None, **metadata}),
                finished_at=str(metadata["created_at"]),
                fingerprint=str(metadata.get("fingerprint", "")),
            )
            if not _is_whole(pl.DataFrame([found.row], schema=STATUS_SCHEMA)):
                raise ValueError("not as this program writes it")  # reported like any other damage
            return found
    except (TimelineError, InputError):
        return empty


def without_consent(out: Path, patient_id: str, session_id: str, finished_at: str = "") -> Outcome:
    """The row of a session without consent: only ids and state, nothing about the recording."""
    path = set_aside_path(out, patient_id, session_id, timeline_path(out, patient_id, session_id))
    state: State = "withdrawn" if path.exists() else "no_consent"
    return Outcome(patient_id, session_id, state, (), None, None, None, 0.0, finished_at)


def _read_stored(out: Path) -> pl.DataFrame | None:
    """The stored rows; ``None`` if the file is missing or damaged."""
    try:
        # read in one go, because a run may replace the file; polars' own reader panics on some damaged files
        content = (out / "status.parquet").read_bytes()
        # without threads: one that still holds bytes of Python when Python ends aborts the program
        # (https://github.com/apache/arrow/issues/50482)
        table = pq.read_table(pa.BufferReader(content), use_threads=False)
        rows = as_frame(table).select(STATUS_SCHEMA.names())
        rows = rows.cast(STATUS_SCHEMA)
    except (pl.exceptions.PolarsError, pa.ArrowException, OSError, ValueError):
        return None
    return rows if _is_whole(rows) else None


def _is_whole(rows: pl.DataFrame) -> bool:
    """Whether the rows have only known states and reasons and finite numbers, and no missing value."""
    complete = rows.select(pl.col(_ALWAYS).is_not_null().all()).row(0)
    finite = rows.select(pl.col(pl.Float64).drop_nulls().is_finite().all()).row(0)
    known = rows["state"].is_in(_STATES).all() and rows["identity"].drop_nulls().is_in(_IDENTITIES).all()
    return all(complete) and all(finite) and bool(known) and all(map(_is_known, rows["reasons"]))


def stored_reasons(cell: str) -> tuple[Reason, ...]:
    """The reasons of a cell of ``status.parquet``; errors as :meth:`pipeline.reasons.Reason.read`."""
    return read_reasons(json.loads(cell))


def _is_known(cell: str) -> bool:
    try:
        stored_reasons(cell)
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
    return True


def overview(out: Path, *, running: bool) -> pl.DataFrame:
    """The status table for a coordinator, without paths and checksums.

    :param running: whether a run is active; if not, sessions in state ``running`` were interrupted.
    :returns: patient_id, session_id, state, coverage, identity, seconds_lost, video_s, took_s, speed (seconds
        of video per second), finished_at, reason (in English), reasons (for
        :func:`stored_reasons`).
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
        "reasons",
    )


def read_outcomes(out: Path) -> dict[tuple[str, str], Outcome]:
    """The rows of ``status.parquet``, by patient and session."""
    outcomes = (
        Outcome(**row | {"videos": tuple(row["videos"]), "reasons": stored_reasons(row["reasons"])})
        for row in read_status(out).drop("reason").rows(named=True)
    )
    return {outcome.ids: outcome for outcome in outcomes}


def sessions_in(out: Path) -> list[tuple[str, str]]:
    """Patient and session of every row and every timeline, except sessions without consent.

    :raises InputError: there is no session.
    """
    rows = read_status(out).filter(~pl.col("state").is_in(WITHOUT_CONSENT))
    found = set(written_sessions(out)) | set(rows.select("patient_id", "session_id").rows())
    if not found:
        raise InputError(
            f"{out}: no session in this folder; run `emonext process` with --out {quote(str(out))} first."
        )
    return sorted(found)


def record(out: Path, *outcomes: Outcome) -> None:
    """Replace the rows of these sessions; without sessions, leave the file unchanged."""
    if not outcomes:
        return
    rows = pl.DataFrame([outcome.row for outcome in outcomes], schema=STATUS_SCHEMA)
    others = read_status(out).join(rows, on=["patient_id", "session_id"], how="anti")
    _write_status(out, pl.concat([others, rows]))


def _write_status(out: Path, rows: pl.DataFrame) -> None:
    with atomic(out / "status.parquet") as partial:
        rows.sort("patient_id", "session_id").write_parquet(partial)
