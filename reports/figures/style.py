"""The common style of all figures of several sessions."""

import json
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from pipeline.analysis.summaries import Number
from reports.words.labels import INK, PAPER, QUIET

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

MARK = "#1f5673"


def interval_ends(number: Number) -> tuple[float, float]:
    return (number.value if number.low is None else number.low), (
        number.value if number.high is None else number.high
    )


def error_bars(found: Sequence[Number | None], factor: float) -> dict[str, Any]:
    ends = [(0.0, 0.0, 0.0) if n is None else (n.value, *interval_ends(n)) for n in found]
    return {
        "type": "data",
        "symmetric": False,
        "array": [round(factor * (high - value), 3) for value, _, high in ends],
        "arrayminus": [round(factor * (value - low), 3) for value, low, _ in ends],
        "width": 0,
        "thickness": 1.5,
        "color": INK,
    }


def percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 2)


def percent_axis(span: list[float]) -> dict[str, Any]:
    return {
        "range": span,
        "ticksuffix": "\u00a0%",
        "nticks": 5,
        "gridcolor": "#e6eaed",
        "zeroline": False,
        "fixedrange": True,
    }


def title(text: str, x: float, y: float) -> dict[str, Any]:
    place = {"x": x, "y": y, "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "bottom"}
    return {"text": f"<b>{text}</b>", "showarrow": False, **place}


def shown(mode: str | None = None) -> dict[str, Any]:
    """A caption when pointed at, and nothing else."""
    shown = {"hovertemplate": "%{text}<extra></extra>"}
    return shown | ({"textposition": "none"} if mode is None else {"mode": mode})


def corner(text: str, y: float, anchor: str) -> dict[str, Any]:
    return {
        "text": text,
        "x": 0.005,
        "y": y,
        "xref": "x domain",
        "yref": "y domain",
        "xanchor": "left",
        "yanchor": anchor,
        "showarrow": False,
    }


def plain_layout(height: int) -> dict[str, Any]:
    return {
        "template": "none",
        "height": height,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 34},
        "font": {"family": FONT, "size": 15, "color": INK},
        "paper_bgcolor": PAPER,
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "hovermode": "closest",
        "hoverlabel": {"bgcolor": PAPER, "bordercolor": INK, "align": "left", "font": {"family": FONT}},
        "xaxis": TIME_AXIS,
    }


TIME_AXIS = {
    "showgrid": False,
    "zeroline": False,
    "tickangle": 0,
    "ticks": "outside",
    "tickcolor": QUIET,
    "fixedrange": True,
}


def plain(figure: go.Figure) -> dict[str, Any]:
    """The figure as the JSON object that Plotly's script draws."""
    plain: dict[str, Any] = json.loads(figure.to_json())
    return plain
