"""Columns of a timeline."""

import polars as pl

from pipeline.store.timeline import Timeline


def statuses(timeline: Timeline) -> list[str]:
    return timeline.rows["status"].cast(pl.String).to_list()
