"""The specification curve of a multiverse, as a plain JSON object."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.analysis.summaries import Number
from pipeline.robustness.multiverse_results import CHOICES
from reports.figures.style import MARK, Figure, Trace, error_bars, plain_layout, scatter
from reports.words.labels import INK, QUIET
from reports.words.language import Language
from reports.words.multiverse import CHOICE_TITLES, level_text
from reports.words.study import interval

_CURVE_PX, _GAP_PX, _LEVEL_PX, _TITLE_PX, _TRACK_PX = 230, 14, 37, 34, 12
_UNSURE = "#76838d"

Row = Mapping[str, Any]


def specification_curve(rows: Sequence[Row], language: Language) -> dict[str, Any]:
    """Differences of all analyses with intervals, in ascending order; below, the choices of each analysis.

    The name of a choice's value stands above its marks, so that a phone's whole width is left for the marks.

    :param rows: of one condition, each with a difference; at least one.
    """
    ordered = sorted(rows, key=lambda row: row["difference"])
    levels = _levels(ordered, language)
    below_px = sum(_TITLE_PX + _LEVEL_PX * len(values) for values in levels.values())
    height = _CURVE_PX + _GAP_PX + below_px
    figure = Figure(plain_layout(height + 16))
    for trace in (*_estimates(ordered, language), *_marks(ordered, levels, language)):
        figure.add_trace(trace)
    hidden = {"showgrid": False, "zeroline": False, "fixedrange": True}
    figure.update_layout(
        margin={"l": 44, "r": 8, "t": 8, "b": 8},
        xaxis={**hidden, "range": [-1, len(ordered)], "showticklabels": False, "ticks": "", "anchor": "y2"},
        yaxis={
            "domain": [1 - _CURVE_PX / height, 1],
            "zeroline": True,
            "zerolinecolor": INK,
            "gridcolor": "#e6eaed",
            "fixedrange": True,
            "nticks": 6,
            "range": _range(ordered),
        },
        yaxis2={
            **hidden,
            "domain": [0, below_px / height],
            "range": [below_px, 0],
            "showticklabels": False,
        },
        annotations=_names(levels, language),
        shapes=_tracks(levels),
    )
    return figure.plain()


def _range(rows: Sequence[Row]) -> list[float]:
    """All intervals and zero, and a little more."""
    low = min(0.0, *(row["difference_low"] for row in rows))
    high = max(0.0, *(row["difference_high"] for row in rows))
    more = 0.04 * (high - low)
    return [low - more, high + more]


def _levels(rows: Sequence[Row], language: Language) -> dict[str, list[str]]:
    """Choice → texts of its values, in the order of the analyses' numbers; only choices with several."""
    by_number = sorted(rows, key=lambda row: row["analysis"])
    found = {
        choice: list(dict.fromkeys(level_text(choice, row, language) for row in by_number))
        for choice in CHOICES
    }
    return {choice: values for choice, values in found.items() if len(values) > 1}


def _places(levels: Mapping[str, Sequence[str]]) -> dict[tuple[str, str], float]:
    """Choice and value (an empty one: the title) → px from the top to the lower end of its text."""
    places, y = dict[tuple[str, str], float](), 0.0
    for choice, values in levels.items():
        y += _TITLE_PX
        places[choice, ""] = y - 9
        for value in values:
            places[choice, value] = y + 16
            y += _LEVEL_PX
    return places


def _names(levels: Mapping[str, Sequence[str]], language: Language) -> list[dict[str, Any]]:
    fixed = {
        "xref": "paper",
        "x": 0,
        "yref": "y2",
        "xanchor": "left",
        "yanchor": "bottom",
        "showarrow": False,
    }
    return [
        {
            **fixed,
            "text": value or f"<b>{language.word(CHOICE_TITLES[choice])}</b>",
            "y": y,
            "xshift": -36,
            "font": {"size": 13 if value else 14},
        }
        for (choice, value), y in _places(levels).items()
    ]


def _tracks(levels: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """A band behind the marks of each value."""
    fixed = {"type": "rect", "xref": "paper", "x0": 0, "x1": 1, "yref": "y2", "layer": "below"}
    return [
        {**fixed, "y0": y + 1, "y1": y + 1 + _TRACK_PX, "fillcolor": "#f3f5f6", "line": {"width": 0}}
        for (_, value), y in _places(levels).items()
        if value
    ]


def _kinds(rows: Sequence[Row]) -> list[tuple[str, list[int]]]:
    """Colour and ranks of the analyses whose interval includes zero, excludes zero, and the study's own."""
    kinds: dict[str, list[int]] = {_UNSURE: [], MARK: [], INK: []}
    for rank, row in enumerate(rows):
        excludes = row["difference_low"] * row["difference_high"] > 0
        kinds[INK if row["own"] else MARK if excludes else _UNSURE].append(rank)
    return list(kinds.items())


def _estimates(rows: Sequence[Row], language: Language) -> list[Trace]:
    return [
        scatter(
            x=ranks,
            y=[round(rows[rank]["difference"], 3) for rank in ranks],
            mode="markers",
            error_y={
                **error_bars([_number(rows[rank]) for rank in ranks], 1),
                "thickness": 3 if colour == INK else 1,
                "color": QUIET if colour != INK else INK,
            },
            marker={
                "color": colour,
                "symbol": "diamond" if colour == INK else "circle-open" if colour == _UNSURE else "circle",
                "size": 13 if colour == INK else 5,
            },
            text=[_caption(rows[rank], language) for rank in ranks],
            hovertemplate="%{text}<extra></extra>",
        )
        for colour, ranks in _kinds(rows)
    ]


def _number(row: Row) -> Number:
    return Number(row["difference"], row["difference_low"], row["difference_high"])


def _caption(row: Row, language: Language) -> str:
    numbers = row["difference"], row["difference_low"], row["difference_high"]
    own = [language.gettext("the study’s own analysis")] if row["own"] else []
    chosen = [
        f"{language.word(title)}: {level_text(choice, row, language)}"
        for choice, title in CHOICE_TITLES.items()
    ]
    return "<br>".join([interval(*numbers, "%", language), *own, *chosen])


def _marks(rows: Sequence[Row], levels: Mapping[str, Sequence[str]], language: Language) -> list[Trace]:
    """A line for each analysis at the value that it has for each choice."""
    places = _places(levels)
    traces = []
    for colour, ranks in _kinds(rows):
        at = [
            (rank, places[choice, level_text(choice, rows[rank], language)] + 1 + _TRACK_PX / 2)
            for rank in ranks
            for choice in levels
        ]
        traces.append(
            scatter(
                x=[rank for rank, _ in at],
                y=[y for _, y in at],
                yaxis="y2",
                mode="markers",
                marker={
                    "symbol": "line-ns",
                    "size": 9,
                    "line": {"color": colour, "width": 3 if colour == INK else 1.5},
                },
                hoverinfo="skip",
            )
        )
    return traces
