"""Columns and sentences of a timeline."""

import polars as pl

from pipeline.reasons import read_reasons
from pipeline.store.timeline import Timeline


def statuses(timeline: Timeline) -> list[str]:
    return timeline.rows["status"].cast(pl.String).to_list()


def warnings(timeline: Timeline) -> list[str]:
    """In English."""
    return [str(reason) for reason in read_reasons(timeline.metadata["warnings"])]
