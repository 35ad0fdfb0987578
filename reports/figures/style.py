"""The common style of all figures of several sessions."""

import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

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


Trace = dict[str, Any]


def scatter(**values: Any) -> Trace:
    return {"type": "scatter", **values}


def bar(**values: Any) -> Trace:
    return {"type": "bar", **values}


@dataclass
class Figure:
    """What Plotly's script draws. Plotly's own classes check every name and value, which takes a third of the
    time of a page; here the tests do.
    """

    layout: dict[str, Any]
    traces: list[Trace] = field(default_factory=list)

    def add_trace(self, trace: Trace) -> None:
        self.traces.append(trace)

    def add_annotation(self, annotation: dict[str, Any]) -> None:
        self.layout = {**self.layout, "annotations": [*self.layout.get("annotations", []), annotation]}

    def add_shape(self, shape: dict[str, Any]) -> None:
        self.layout = {**self.layout, "shapes": [*self.layout.get("shapes", []), shape]}

    def update_layout(self, changes: Mapping[str, Any] | None = None, **further: Any) -> None:
        """Change values at any depth."""
        self.layout = _updated(self.layout, {**(changes or {}), **further})

    def plain(self) -> dict[str, Any]:
        """The figure as a JSON object."""
        return {"data": _plain(self.traces), "layout": _plain(self.layout)}


def _updated(old: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    new = dict(old)
    for name, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(new.get(name), Mapping)
        new[name] = _updated(new[name], value) if both else value
    return new


_ARRAYS = {"uint8": "u1", "float32": "f4"}
"""Arrays that figures hold, under the names of Plotly's script."""


def _plain(value: Any) -> Any:
    """Without values that are not set; arrays as Plotly's script reads them, not-a-number as null."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items() if part is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, np.ndarray):
        kind = _ARRAYS[value.dtype.name]
        return {"dtype": kind, "bdata": b64encode(value.tobytes()).decode("ascii")}
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value
