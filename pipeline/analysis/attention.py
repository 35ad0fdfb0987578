"""Attention: the share of the time in which the face is turned to where the study's list says.

Of the time in which the pose of the face is known. A face that is turned away so far that it is not found is
not counted, so the true share is lower where the face was often out of view.
"""

import numpy as np

from pipeline.analysis.measures import Measure
from pipeline.stats.block_bootstrap import effective_count, share_interval
from pipeline.store.coverage import sample_seconds
from pipeline.store.timeline import Timeline


def measure_attention(timeline: Timeline) -> Measure | None:
    """``None`` if the pose is never known."""
    seconds = sample_seconds(timeline)
    known = timeline.rows["facing"].is_not_null().to_numpy() & (seconds > 0)
    if not known.any():
        return None
    rows, seconds = timeline.rows.filter(known), seconds[known]
    there = (rows["facing"] == timeline.metadata["session"]["attention_to"]).to_numpy()
    count = effective_count(rows["yaw"].to_numpy().astype(np.float64), seconds)
    value = float(there @ seconds / seconds.sum())
    return Measure("attention", "", "0…1", value, *share_interval(there, seconds, count))
