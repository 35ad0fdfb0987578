"""The status page of a study's sessions, for coordinators."""

from collections import Counter
from pathlib import Path

import polars as pl
from markupsafe import Markup

from pipeline.store.status import STATE_REASONS
from reports.render import content_policy, render, style, write_page
from reports.words import formatting as words
from reports.words.labels import IDENTITY_WORDS, STATE_WORDS, in_words
from reports.words.language import ENGLISH


def write_status_page(overview: pl.DataFrame, path: Path) -> Path:
    """Writes the page; returns its path.

    :param overview: from :func:`pipeline.store.status.overview`.
    :raises pipeline.errors.OutputError: it can't be written.
    """
    return write_page(path, status_page(overview))


def status_page(overview: pl.DataFrame) -> Markup:
    """The page as HTML; sessions that need attention come first."""
    urgent = ("failed", "to_check", "interrupted", "partial", "running", "waiting")
    rows = sorted(
        overview.iter_rows(named=True),
        key=lambda row: urgent.index(row["state"]) if row["state"] in urgent else len(urgent),
    )
    counts = Counter(row["state"] for row in rows)
    return render(
        "status.html",
        ENGLISH,
        rows=rows,
        counts=[(state, word, counts[state]) for state, word in STATE_WORDS.items() if counts[state]],
        video_s=overview["video_s"].sum(),
        reason_text=words.sentence,
        state_reasons=STATE_REASONS,
        identity_words=in_words(IDENTITY_WORDS, ENGLISH),
        policy=content_policy(),
        style=style(),
    )
