"""Plotly figure of what the unseen time could do to means of conditions, as a plain JSON object."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from reports.figures.style import MARK, Figure, Trace, bar, percent_axis, plain_layout, scatter
from reports.words.labels import PAPER, condition_word
from reports.words.language import Language

_BOUNDS = "rgba(31,86,115,0.25)"
_ROW, _GAP = 34, 0.9


def missing_figure(rows: Sequence[Mapping[str, Any]], language: Language) -> dict[str, Any]:
    """Mean share of each condition: bounds, seen time and weighted; two rows for each comparison.

    :param rows: comparisons of one share, of ``missing_compared.parquet``, none without numbers.
    """
    places = [-place * (2 + _GAP) - side for place in range(len(rows)) for side in (0, 1)]
    names = [name for row in rows for name in (row["reference"], row["condition"])]
    figure = Figure(plain_layout(100 + round(_ROW * (2 + _GAP) * len(rows))))
    none, whole = _both(rows, "none"), _both(rows, "all")
    figure.add_trace(
        bar(
            base=none,
            x=[high - low for low, high in zip(none, whole, strict=True)],
            y=places,
            orientation="h",
            width=0.55,
            marker={"color": _BOUNDS},
            text=[
                language.gettext("whatever the unseen time was: %(low)s–%(high)s\u00a0%%", low=low, high=high)
                for low, high in zip(_written(none, language), _written(whole, language), strict=True)
            ],
            textposition="none",
            hovertemplate="%{text}<extra></extra>",
        )
    )
    seen = _both(rows, "")
    above, below = ([place + by for place in places] for by in (0.13, -0.13))
    figure.add_trace(_marks(seen, above, "circle", language.gettext("of the seen time"), language))
    weighted = _both([_prefixed(row) for row in rows], "")
    said = language.gettext("weighted")
    figure.add_trace(_marks(weighted, below, "diamond", said, language))
    figure.update_layout(
        margin={"t": 8, "b": 40},
        xaxis=percent_axis([0, min(100.0, 1.08 * max(whole))]),
        yaxis={
            "tickvals": places,
            "ticktext": [escape(condition_word(name, language)) + "  " for name in names],
            "range": [min(places) - 0.7, 0.7],
            "automargin": True,
            "fixedrange": True,
            "zeroline": False,
            "showgrid": False,
        },
    )
    return figure.plain()


def _both(rows: Sequence[Mapping[str, Any]], end: str) -> list[Any]:
    """Of each comparison, the reference's mean and the condition's."""
    ending = f"_{end}" if end else ""
    return [row[f"{name}{ending}"] for row in rows for name in ("mean_reference", "mean")]


def _prefixed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[f"weighted_{name}"] for name in ("mean_reference", "mean")}


def _written(values: Sequence[float], language: Language) -> list[str]:
    return [language.number(value, 1) for value in values]


def _marks(
    values: Sequence[float | None],
    places: Sequence[float],
    symbol: str,
    said: str,
    language: Language,
) -> Trace:
    known = [(value, place) for value, place in zip(values, places, strict=True) if value is not None]
    return scatter(
        x=[value for value, _ in known],
        y=[place for _, place in known],
        mode="markers",
        marker={"symbol": symbol, "size": 12, "color": MARK, "line": {"color": PAPER, "width": 1}},
        text=[f"{said}: {language.number(value, 1)}\u00a0%" for value, _ in known],
        hovertemplate="%{text}<extra></extra>",
    )
