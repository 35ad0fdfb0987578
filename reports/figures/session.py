"""Plotly figures of a session, as the plain JSON objects that Plotly's script draws in the page."""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.records import EMOTIONS
from reports.figures.resampling import Floats, Steps
from reports.figures.style import FONT, Figure, Trace, scatter
from reports.words import formatting as words
from reports.words.labels import EMOTION_COLOURS, EMOTION_ORDER, EMOTION_WORDS, INK, PAPER, QUIET, in_words
from reports.words.language import Language

MIN_READ = 0.5
"""A step with a smaller observed share is drawn as a gap."""

_LANE_GAP = 0.02
_LEFT_PX, _LEFT_LETTERS = 96, 10
"""Width of the space left of a figure's axis, px."""

_MARGIN = {"l": _LEFT_PX, "r": 16, "t": 8, "b": 52}


def expression_figure(steps: Steps, language: Language, events_s: Sequence[float] = ()) -> dict[str, Any]:
    """One lane per emotion; the filled height is the probability. Gaps are striped.

    The lowest lane shows speech and chewing, if there is any; the height is their share of each step.

    :param events_s: times of events, marked by vertical lines and numbered from 1.
    """
    looks = in_words(EMOTION_WORDS, language)
    lanes = [
        (looks[name], 100 * steps.probabilities[:, EMOTIONS.index(name)], EMOTION_COLOURS[name])
        for name in EMOTION_ORDER
    ]
    if steps.moving_s.any():
        lanes.append((language.gettext("speaks or chews"), 100 * steps.moving_s / steps.length_s, INK))
    traces, axes = [], {}
    for lane, (label, percent, colour) in enumerate(lanes, start=2):
        # whole percents, one byte each: floats would take four times the space
        traces.append(_area(steps, percent.round(), colour, f"y{lane}", np.uint8))
        axes[f"yaxis{lane}"] = _lane_axis(lane, len(lanes), label)
    captions = [_expression_caption(row, looks) for row in steps.probabilities]
    layout = _layout(steps, 460, language) | axes | _marks(events_s)
    return _figure(steps, traces, captions, layout, language)


def valence_figure(steps: Steps, language: Language) -> dict[str, Any]:
    """Valence over time, between negative (−1) and positive (1)."""
    captions = [
        language.gettext("balance %(value)s", value=words.signed(value, 1, language))
        for value in steps.valence
    ]
    traces = [_area(steps, steps.valence, INK, "y2", np.float32)]
    layout = _layout(steps, 220, language) | {"yaxis2": _valence_axis(language)}
    return _figure(steps, traces, captions, layout, language)


def _figure(
    steps: Steps, traces: list[Trace], texts: Sequence[str], layout: dict[str, Any], language: Language
) -> dict[str, Any]:
    """The gaps over the whole height, the traces, and the captions of the steps."""
    resting = [_resting(steps)] if is_resting(steps).any() else []
    return Figure(layout, [_gaps(steps), *resting, *traces, _captions(steps, texts, language)]).plain()


def _layout(steps: Steps, height: int, language: Language) -> dict[str, Any]:
    return {
        "height": height,
        "margin": _MARGIN,
        "font": {"family": FONT, "size": 15, "color": INK},
        "paper_bgcolor": PAPER,
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "hovermode": "x",
        "hoversubplots": "axis",  # the pointer is over a lane, the captions belong to the axis of the gaps
        "hoverlabel": {"bgcolor": PAPER, "bordercolor": INK, "align": "left", "font": {"family": FONT}},
        "xaxis": _time_axis(float(steps.edges_s[-1]), language),
        "yaxis": {"visible": False, "range": [0, 1], "fixedrange": True},  # of the gaps
    }


def _time_axis(duration_s: float, language: Language) -> dict[str, Any]:
    # Plotly has no axis of elapsed time. A date axis gives ticks on whole minutes at every zoom.
    digits = "%-M:%S" if duration_s < 3600 else "%-H:%M:%S"
    mark = language.separators[0]
    return {
        "type": "date",
        "range": [_date(0.0), _date(max(duration_s, 1.0))],
        "tickformat": digits,
        # ticks less than a second apart would repeat their label
        "tickformatstops": [
            {"dtickrange": [None, 99], "value": f"{digits}{mark}%2f"},
            {"dtickrange": [100, 999], "value": f"{digits}{mark}%1f"},
        ],
        "hoverformat": digits,
        "tickangle": 0,
        "ticks": "outside",
        "tickcolor": INK,
        "showgrid": False,
        "zeroline": False,
        "title": {"text": language.gettext("time in the video"), "standoff": 8},
        "anchor": "free",
        "position": 0,
    }


def _lane_axis(lane: int, lanes: int, label: str) -> dict[str, Any]:
    """:param lane: 2 is the top one; Plotly's first axis belongs to the gaps. ``lanes``: their number."""
    height = 1 / lanes
    top = 1 - (lane - 2) * height
    return {
        "domain": [max(top - height + _LANE_GAP, 0), top],
        "range": [0, 100],
        "tickvals": [50],
        "ticktext": ["<br>".join(wrap(label.capitalize(), _LEFT_LETTERS))],
        "fixedrange": True,
        "showgrid": False,
        "zeroline": True,
        "zerolinecolor": QUIET,
    }


def _valence_axis(language: Language) -> dict[str, Any]:
    levels = (language.gettext("negative"), language.gettext("even"), language.gettext("positive"))
    return {
        "range": [-1.05, 1.05],
        "tickvals": [-1, 0, 1],
        "ticktext": ["<br>".join(wrap(level, _LEFT_LETTERS)) for level in levels],
        "fixedrange": True,
        "gridcolor": QUIET,
        "zerolinecolor": INK,
    }


def _area(steps: Steps, values: Floats, colour: str, axis: str, kind: type[np.number]) -> Trace:
    # Plotly fills straight across missing values. Zeros without a line leave the gap empty.
    height = np.where(is_read(steps), values, 0.0)
    return _filled(steps, height.astype(kind), yaxis=axis, fillcolor=colour)


def _gaps(steps: Steps) -> Trace:
    stripes = {"shape": "/", "fgcolor": "#9aa3aa", "bgcolor": "#eef0f2", "size": 7, "solidity": 0.2}
    unread = ~is_read(steps) & ~is_resting(steps)
    return _filled(steps, unread.astype(np.uint8), fillpattern=stripes)


def _resting(steps: Steps) -> Trace:
    dots = {"shape": ".", "fgcolor": "#1f5673", "bgcolor": "#dfe6f2", "size": 8, "solidity": 0.1}
    return _filled(steps, is_resting(steps).astype(np.uint8), fillpattern=dots)


def _filled(steps: Steps, height: NDArray[Any], **look: Any) -> Trace:
    """Upright edges. The last step is drawn at full length; the axis ends with the session."""
    return scatter(
        **_each_step(steps, 0.0),
        y=np.append(height, height[-1]),
        mode="lines",
        line={"width": 0, "shape": "hv"},
        fill="tozeroy",
        hoverinfo="skip",
        **look,
    )


def _marks(events_s: Sequence[float]) -> dict[str, Any]:
    """A line across all lanes for each event, with its number above."""
    if not events_s:
        return {}
    moments = [_date(moment) for moment in events_s]
    line = {"color": INK, "width": 1.5, "dash": "dot"}
    number = {"y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False, "font": {"size": 13}}
    return {
        "margin": _MARGIN | {"t": 26},
        "shapes": [
            {"type": "line", "line": line, "xref": "x", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1}
            for x in moments
        ],
        "annotations": [{"x": x, "text": str(k), **number} for k, x in enumerate(moments, start=1)],
    }


def _captions(steps: Steps, texts: Sequence[str], language: Language) -> Trace:
    """Hover captions: invisible points in the middle of each step."""
    closed, not_read = language.gettext("eyes closed"), language.gettext("face not read")
    drawn = zip(texts, is_read(steps), is_resting(steps), strict=True)
    return scatter(
        **_each_step(steps, 0.5),
        y=np.full(len(texts), 0.5, np.float32),
        text=[text if read else closed if resting else not_read for text, read, resting in drawn],
        mode="markers",
        marker={"opacity": 0},
        hovertemplate="%{text}<extra></extra>",
    )


def _expression_caption(probabilities: Floats, looks: Mapping[str, str]) -> str:
    """The two largest: ``happy 62 %<br>neutral 30 %``."""
    first, second = np.argsort(probabilities)[:-3:-1]
    return "<br>".join(f"{looks[EMOTIONS[k]]} {100 * probabilities[k]:.0f} %" for k in (first, second))


def is_read(steps: Steps) -> NDArray[np.bool_]:
    """(n,) whether enough of each step was read to draw it."""
    return (steps.seen_s >= MIN_READ * steps.length_s) & ~np.isnan(steps.valence)


def is_resting(steps: Steps) -> NDArray[np.bool_]:
    """(n,) whether eyes were shut for long in most of each step."""
    return ~is_read(steps) & (steps.resting_s >= MIN_READ * steps.length_s)


def _each_step(steps: Steps, place: float) -> dict[str, Any]:
    """The x of one point in each step.

    :param place: within the step: 0 where it begins, 1 where it ends.
    """
    step_s = float(steps.length_s[0])
    return {"x0": _date(place * step_s), "dx": 1000 * step_s}


def _date(seconds: float) -> str:
    """A moment as a date of 1970. Plotly shifts numbers by the reader's time zone, but not dates in words."""
    return str(np.datetime64(round(1000 * seconds), "ms"))
