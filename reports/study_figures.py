"""Plotly figures of a whole study, as plain JSON objects."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from reports.course_figures import MARK, percent_axis, plain, plain_layout
from reports.language import Language
from reports.look import PAPER

BINS = 10


def coverage_figure(coverages: Sequence[float], language: Language) -> dict[str, Any]:
    """How many sessions had how much coverage, in tenths."""
    counts, edges = np.histogram(coverages, BINS, (0, 1))
    percent = [round(100 * float(edge)) for edge in edges]
    figure = go.Figure(layout=plain_layout(260))
    figure.add_trace(
        go.Bar(
            x=[(low + high) / 2 for low, high in zip(percent, percent[1:], strict=False)],
            y=counts.tolist(),
            width=100 / BINS - 1,
            text=[
                language.ngettext("%(count)s session", "%(count)s sessions", int(count)) + f", {low}–{high}\u00a0%"
                for count, low, high in zip(counts, percent, percent[1:], strict=False)
            ],
            textposition="none",
            hovertemplate="%{text}<extra></extra>",
            marker={"color": MARK, "line": {"color": PAPER, "width": 1}},
        )
    )
    figure.update_layout(
        margin={"l": 48},
        xaxis=percent_axis([0, 100]),
        yaxis={"fixedrange": True, "gridcolor": "#e6eaed", "zeroline": False, "nticks": 5, "tickformat": "d"},
    )
    return plain(figure)
