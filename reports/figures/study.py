"""Plotly figures of a whole study, as plain JSON objects."""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np

from pipeline.analysis.summaries import Number
from reports.figures.style import (
    MARK,
    Figure,
    Trace,
    bar,
    error_bars,
    percent,
    percent_axis,
    plain_layout,
    scatter,
)
from reports.words.labels import INK, PAPER, condition_word
from reports.words.language import Language
from reports.words.study import interval

BINS = 10


def forest_figure(rows: Sequence[Mapping[str, Any]], language: Language) -> dict[str, Any]:
    """Forest plot: condition minus reference per patient, and for all below, with intervals; one panel per
    condition.

    :param rows: of one reading and measure; ``patient_id`` is empty for the study.
    """
    conditions = sorted({row["condition"] for row in rows})
    patients = sorted({row["patient_id"] for row in rows} - {""})
    level = {name: place for place, name in enumerate(["", *reversed(patients)])}
    figure = Figure(plain_layout(96 + 26 * len(level)))
    width = 1 / len(conditions)
    ends = [abs(row[name]) for row in rows for name in ("difference_low", "difference_high")]
    step = next((step for step in (1, 2, 5, 10, 20) if max(ends) / step <= 3), 50)
    for panel, condition in enumerate(conditions, start=1):
        ending = "" if panel == 1 else str(panel)
        for of_all in (False, True):
            shown = [
                row for row in rows if row["condition"] == condition and (row["patient_id"] == "") == of_all
            ]
            figure.add_trace(_estimates(shown, level, of_all, f"x{ending}", language))
        left, right = (panel - 1) * width, panel * width
        figure.update_layout(
            {
                f"xaxis{ending}": {
                    "domain": [
                        left + (0.02 if panel > 1 else 0),
                        right - (0.02 if panel < len(conditions) else 0),
                    ],
                    "anchor": "y",
                    "zeroline": True,
                    "zerolinecolor": INK,
                    "gridcolor": "#e6eaed",
                    "fixedrange": True,
                    "tickangle": 0,
                    "dtick": step,
                    **({"matches": "x"} if panel > 1 else {}),
                }
            }
        )
        figure.add_annotation(
            {
                "text": f"<b>{escape(condition_word(condition, language))}</b>",
                "x": 0.5,
                "y": 1.0,
                "xref": f"x{ending} domain",
                "yref": "paper",
                "yanchor": "bottom",
                "showarrow": False,
            }
        )
    everybody = language.gettext("all patients")
    names = {"": f"<b>{everybody}</b>"}
    figure.update_layout(
        margin={"t": 30, "b": 40},
        yaxis={
            "tickvals": list(level.values()),
            "ticktext": [names.get(name, name) + "  " for name in level],
            "range": [-0.8, len(level) - 0.4],
            "automargin": True,
            "fixedrange": True,
            "zeroline": False,
            "gridcolor": "#eef0f2",
        },
    )
    return figure.plain()


def _estimates(
    rows: Sequence[Mapping[str, Any]], level: Mapping[str, int], of_all: bool, axis: str, language: Language
) -> Trace:
    everybody = language.gettext("all patients")
    found = [Number(row["difference"], row["difference_low"], row["difference_high"]) for row in rows]
    return scatter(
        x=[number.value for number in found],
        y=[level[row["patient_id"]] for row in rows],
        xaxis=axis,
        mode="markers",
        error_x={**error_bars(found, 1), "thickness": 3 if of_all else 1.5, "color": INK if of_all else MARK},
        marker={
            "color": INK if of_all else MARK,
            "symbol": "diamond" if of_all else "circle",
            "size": 15 if of_all else 9,
        },
        text=[
            f"{row['patient_id'] or everybody}<br>"
            + interval(
                row["difference"], row["difference_low"], row["difference_high"], row["unit"], language
            )
            for row in rows
        ],
        hovertemplate="%{text}<extra></extra>",
    )


def event_figure(rows: Sequence[Mapping[str, Any]], language: Language) -> dict[str, Any]:
    """Mean share around events with its interval, and at matched moments; time from the event.

    Nothing is drawn of bins without an interval: too few events.
    """
    figure = Figure(plain_layout(260))
    middle = [(row["from_s"] + row["to_s"]) / 2 for row in rows]

    def in_percent(row: Mapping[str, Any], name: str) -> float | None:
        return None if row["value_low"] is None else percent(row[name])

    for name, width in (("value_low", 0), ("value_high", 0)):
        figure.add_trace(
            scatter(
                x=middle,
                y=[in_percent(row, name) for row in rows],
                mode="lines",
                line={"width": width},
                fill="tonexty" if name == "value_high" else None,
                fillcolor="rgba(31,86,115,0.18)",
                hoverinfo="skip",
            )
        )
    for name, line in (
        ("matched", {"color": INK, "width": 2, "dash": "dot"}),
        ("value", {"color": MARK, "width": 3}),
    ):
        said = language.gettext("around events") if name == "value" else language.gettext("matched moments")
        figure.add_trace(
            scatter(
                x=middle,
                y=[in_percent(row, name) for row in rows],
                mode="lines",
                line=line,
                hovertemplate=f"%{{y:.0f}} % {said}<extra></extra>",
            )
        )
    upright = {"type": "line", "x0": 0, "x1": 0, "y0": 0, "y1": 1, "xref": "x", "yref": "y domain"}
    figure.add_shape(upright | {"line": {"color": INK, "width": 1}})
    figure.update_layout(
        margin={"l": 52, "b": 52},
        xaxis={"title": {"text": language.gettext("seconds from the event"), "standoff": 8}},
        yaxis={**percent_axis([0, 1]), "range": None, "rangemode": "tozero"},
    )
    return figure.plain()


def coverage_figure(coverages: Sequence[float], language: Language) -> dict[str, Any]:
    """Histogram of the sessions' coverage, in tenths."""
    counts, edges = np.histogram(coverages, BINS, (0, 1))
    tenths = [round(100 * float(edge)) for edge in edges]
    figure = Figure(plain_layout(260))
    figure.add_trace(
        bar(
            x=[(low + high) / 2 for low, high in pairwise(tenths)],
            y=counts.tolist(),
            width=100 / BINS - 1,
            text=[
                language.ngettext("%(count)s session", "%(count)s sessions", int(count))
                + f", {low}–{high}\u00a0%"
                for count, low, high in zip(counts, tenths[:-1], tenths[1:], strict=True)
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
    return figure.plain()
