"""Plotly figures of an evaluation, as the plain JSON objects that Plotly's script draws in the page."""

import json
import math
from collections.abc import Sequence
from html import escape
from itertools import cycle
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from reports.figures.style import FONT
from reports.words.evaluation import Format, Values
from reports.words.labels import INK, PAPER, QUIET
from reports.words.language import Language

# Okabe & Ito (2008), as for the emotions; symbols also distinguish them
READING_LOOKS = (("#0072b2", "circle"), ("#d55e00", "square"), ("#009e73", "triangle-up"))
LARGEST_PX = 26
PANELS_A_ROW = 2
PANEL_PX = 215

FEW_THRESHOLDS = (0.5, 0.7, 0.9)
"""Thresholds with a label at their point."""


def reliability_figure(readings: Sequence[Values], language: Language) -> dict[str, Any]:
    """Reliability diagram: accuracy against confidence; area by number of faces."""
    figure = go.Figure(layout=_layout(440))
    figure.add_trace(_diagonal())
    for reading, look in zip(readings, cycle(READING_LOOKS), strict=False):
        figure.add_trace(_bins(reading["reliability"], *look, language))
    figure.update_xaxes(_percent_axis(language.gettext("confidence"), [0, 101]))
    figure.update_yaxes(_percent_axis(language.gettext("right answers"), [0, 103]))
    return _plain(figure)


def abstaining_figure(readings: Sequence[Values], key: Values, language: Language) -> dict[str, Any]:
    """Accuracy of the remaining answers against their share, one point per threshold.

    :param key: the reading with labels at some thresholds.
    """
    figure = go.Figure(layout=_layout(380))
    for reading, look in zip(readings, cycle(READING_LOOKS), strict=False):
        figure.add_trace(_answers(reading["abstaining"], *look, language, written=reading is key))
    figure.update_xaxes(_percent_axis(language.gettext("faces answered"), [-2, 104]))
    figure.update_yaxes(_percent_axis(language.gettext("right answers"), None))
    return _plain(figure)


def robustness_figure(
    found: Sequence[Values], undisturbed: float | None, language: Language
) -> dict[str, Any]:
    """One panel per corruption, from mild to severe; the line is the accuracy without corruption."""
    rows = math.ceil(len(found) / PANELS_A_ROW)
    figure = make_subplots(
        rows,
        PANELS_A_ROW,
        shared_yaxes=True,
        horizontal_spacing=0.06,
        vertical_spacing=0.36 / rows,
        subplot_titles=[f"<b>{escape(Format(language).corruption(one['name']))}</b>" for one in found],
    )
    figure.update_layout(_layout(PANEL_PX * rows + 40))
    figure.update_layout(margin={"l": 56, "r": 12, "t": 32})
    for place, one in enumerate(found):
        row, column = divmod(place, PANELS_A_ROW)
        figure.add_trace(_levels(one, language), row + 1, column + 1)
        figure.update_xaxes(_level_axis(one, language), row=row + 1, col=column + 1)
    figure.update_yaxes(_percent_axis(None, [0, 105]) | {"fixedrange": True, "dtick": 25})
    if undisturbed is not None:
        line = {"color": INK, "width": 1, "dash": "dot"}
        figure.add_hline(100 * undisturbed, row="all", col="all", line=line)
    return _plain(figure)


def _plain(figure: go.Figure) -> dict[str, Any]:
    """The figure as the JSON object that Plotly's script draws."""
    plain: dict[str, Any] = json.loads(figure.to_json())
    return plain


def _layout(height: int) -> dict[str, Any]:
    return {
        "template": "none",
        "height": height,
        "margin": {"l": 76, "r": 28, "t": 12, "b": 56},
        "font": {"family": FONT, "size": 14, "color": INK},
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
        "showlegend": False,
        "hovermode": "closest",
        "hoverlabel": {"bgcolor": PAPER, "bordercolor": INK, "align": "left", "font": {"family": FONT}},
    }


def _percent_axis(title: str | None, span: list[int] | None) -> dict[str, Any]:
    return {
        "title": {"text": title, "standoff": 8},
        "range": span,
        "ticksuffix": " %",
        "gridcolor": "#e6eaed",
        "zeroline": False,
        "linecolor": QUIET,
    }


def _level_axis(one: Values, language: Language) -> dict[str, Any]:
    # levels are not evenly spaced, and a more severe level can be a lower number
    places = list(range(len(one["levels"])))
    return {
        "title": {
            "text": escape(Format(language).corruption(one["unit"])),
            "standoff": 4,
            "font": {"size": 13},
        },
        "tickvals": places,
        "ticktext": [language.plain(level) for level in one["levels"]],
        "tickangle": 0,
        "tickfont": {"size": 12},
        "range": [-0.35, len(places) - 0.65],
        "fixedrange": True,
        "showgrid": False,
        "zeroline": False,
        "linecolor": QUIET,
    }


def _diagonal() -> go.Scatter:
    line = {"color": INK, "width": 1, "dash": "dot"}
    return go.Scatter(x=[0, 100], y=[0, 100], mode="lines", line=line, hoverinfo="skip")


def _bins(bins: Sequence[Values], colour: str, sign: str, language: Language) -> go.Scatter:
    shown = Format(language)
    fullest = max((one["count"] for one in bins), default=1)
    return go.Scatter(
        x=[100 * one["confidence"] for one in bins],
        y=[100 * one["accuracy"] for one in bins],
        hovertext=[
            "<br>".join(
                [
                    shown.faces(one["count"]),
                    language.gettext("sure by %(share)s", share=shown.percent(one["confidence"])),
                    language.gettext("right in %(share)s", share=shown.percent(one["accuracy"])),
                ]
            )
            for one in bins
        ],
        mode="lines+markers",
        marker={
            "symbol": sign,
            "size": [max(5, LARGEST_PX * math.sqrt(one["count"] / fullest)) for one in bins],
            "opacity": 0.75,
        },
        **_drawn_in(colour),
    )


def _answers(
    found: Sequence[Values], colour: str, sign: str, language: Language, *, written: bool
) -> go.Scatter:
    """Points of the figure; a threshold that no face reaches has no point."""
    shown = Format(language)
    points = [one for one in found if one["accuracy"] is not None]
    few = [one["threshold"] in FEW_THRESHOLDS for one in points]
    return go.Scatter(
        x=[100 * one["answered"] for one in points],
        y=[100 * one["accuracy"] for one in points],
        text=[
            f"≥ {language.plain(one['threshold'])}" if bold else ""
            for one, bold in zip(points, few, strict=True)
        ],
        textposition="top center",
        hovertext=[
            "<br>".join(
                [
                    language.gettext(
                        "from a confidence of %(threshold)s", threshold=shown.number(one["threshold"], 2)
                    ),
                    language.gettext("%(share)s answered", share=shown.percent(one["answered"])),
                    language.gettext("%(share)s of them right", share=shown.percent(one["accuracy"])),
                ]
            )
            for one in points
        ],
        mode="lines+markers+text" if written else "lines+markers",
        marker={"symbol": sign, "size": [12 if bold else 6 for bold in few]},
        **_drawn_in(colour),
    )


def _levels(one: Values, language: Language) -> go.Scatter:
    shown = Format(language)
    colour, sign = READING_LOOKS[0]
    return go.Scatter(
        x=list(range(len(one["levels"]))),
        y=[100 * share for share in one["accuracy"]],
        hovertext=[
            f"{language.plain(level)} {escape(shown.corruption(one['unit']))}<br>"
            + language.gettext("%(share)s right", share=shown.percent(share))
            for level, share in zip(one["levels"], one["accuracy"], strict=True)
        ],
        mode="lines+markers",
        marker={"symbol": sign, "size": 7},
        **_drawn_in(colour),
    )


def _drawn_in(colour: str) -> dict[str, Any]:
    return {"line": {"color": colour, "width": 1.5}, "hovertemplate": "%{hovertext}<extra></extra>"}
