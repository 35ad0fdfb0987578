"""What a results folder shows of a study, for the reporting checklist."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.analysis.summaries import read_sessions
from pipeline.errors import TimelineError
from pipeline.store.encryption import is_encrypted
from pipeline.store.folders import GALLERY
from pipeline.store.parquet import malformed_as_timeline_error, read_metadata
from pipeline.store.paths import timeline_path
from pipeline.store.status import is_damaged, overview
from pipeline.store.timeline import written_sessions
from pipeline.study.comparison_tables import STUDY, read_trends
from pipeline.study.planned import Planned, Used, read_planned, read_used

_TABLES = ("timelines", "faces", "roles", GALLERY, "episodes", "summaries")
_PICTURES = (".jpg", ".jpeg", ".png", ".mp4", ".mov", ".avi", ".mkv", ".webm")
_PICTURE_IN_PAGE = b"data:image/jpeg"


@dataclass(frozen=True)
class ModelCard:
    """What the card of a set of weights says; ``unknown`` as in the card."""

    data: str
    licence: str
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Facts:
    """The facts behind the answers.

    Read them while the folder is locked: a session in state ``running`` was interrupted.

    :param states: number of sessions by state; ``None`` if ``status.parquet`` is missing or damaged.
    :param sessions: the table of that name. ``timelines``: metadata of each.
    :param agreement: ``agreement/figures.json``; ``None`` without a comparison with raters.
    :param is_agreement_old: a timeline was written after it.
    :param cards: by the sha256 of weights, of those on this machine.
    :param pictures: files that show people or hold their faces' embeddings, by kind.
    :param encrypted, tables: numbers of tables.
    """

    states: Mapping[str, int] | None
    sessions: pl.DataFrame
    timelines: tuple[Mapping[str, Any], ...]
    planned: Planned
    used: Used
    trends: pl.DataFrame
    has_events: bool
    has_scales: bool
    has_methods: bool
    agreement: Mapping[str, Any] | None
    is_agreement_old: bool
    cards: Mapping[str, ModelCard]
    pictures: Mapping[str, int]
    encrypted: int
    tables: int

    @property
    def comparisons(self) -> pl.DataFrame:
        """Of the whole study."""
        return self.planned.comparisons.filter(patient_id=STUDY)


def read_facts(out: Path, cards: Mapping[str, ModelCard]) -> Facts:
    """:raises TimelineError: a table, a timeline or the figures of agreement can't be read."""
    summaries, paths = out / "summaries", [timeline_path(out, *ids) for ids in written_sessions(out)]
    agreement = out / "agreement" / "figures.json"
    encrypted = [is_encrypted(path) for kind in _TABLES for path in out.glob(f"{kind}/**/*.parquet")]
    knows_status = (out / "status.parquet").exists() and not is_damaged(out)
    return Facts(
        states=Counter(overview(out, running=False)["state"]) if knows_status else None,
        sessions=read_sessions(out),
        timelines=tuple(map(read_metadata, paths)),
        planned=read_planned(out),
        used=read_used(out),
        trends=read_trends(out).filter(patient_id=STUDY),
        has_events=(summaries / "events.parquet").exists(),
        has_scales=(summaries / "scales.parquet").exists(),
        has_methods=(summaries / "methods.md").exists(),
        agreement=_figures(agreement) if agreement.exists() else None,
        is_agreement_old=agreement.exists()
        and any(path.stat().st_mtime_ns > agreement.stat().st_mtime_ns for path in paths),
        cards=cards,
        pictures=Counter(_pictures(out)),
        encrypted=sum(encrypted),
        tables=len(encrypted),
    )


def _figures(path: Path) -> Mapping[str, Any]:
    """:raises TimelineError: the file is no JSON of this program."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not {"people", "rated", "comparisons"} <= found.keys():
            raise ValueError("a part is missing")  # noqa: TRY301  # told as any other damage
    except (OSError, ValueError, AttributeError) as error:
        raise TimelineError(f"{path}: can't be read; run `emonext agree` again.") from error
    return dict(found)


def _pictures(out: Path) -> Iterator[str]:
    """The kind of every file that may show people."""
    for path in out.rglob("*"):
        if path.suffix.lower() in _PICTURES:
            yield "picture or video"
        elif path.suffix == ".html" and _PICTURE_IN_PAGE in path.read_bytes():
            yield "page with pictures"
        elif path.suffix == ".parquet" and GALLERY in path.relative_to(out).parts[:1]:
            yield "table of face embeddings"


def used_weights(out: Path) -> dict[str, str]:
    """Sha256 → name of the weights of all timelines.

    :raises TimelineError: a timeline can't be read.
    """
    found = {}
    for ids in written_sessions(out):
        path = timeline_path(out, *ids)
        metadata = read_metadata(path)
        with malformed_as_timeline_error(path):
            found[metadata["weights"]["sha256"]] = metadata["weights"]["name"]
    return found
