"""Plotly figures of a patient over many sessions, as plain JSON objects. A mark of a session carries its link."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from itertools import cycle
from typing import Any

import plotly.graph_objects as go

from pipeline.course import GROUPS, MIN_SMOOTHED, Course, Number, Part, Visit, moving_median
from reports import words
from reports.figures import FONT
from reports.language import Language
from reports.look import GROUP_COLOURS, GROUP_PATTERNS, GROUP_WORDS, INK, PAPER, QUIET, in_words

SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "star", "hexagon")
"""One for each condition; the first is for sessions without, or for the baseline."""

MARK = "#1f5673"
MAX_TICKS = 6
MIN_BALANCE = 0.25
"""The balance's axis reaches at least so far up and down: small ups and downs look small."""

# the empty marks of sessions seen too little have a strip of their own: on the axis they would be a value
_STRIP = 0.1


def balance_figure(course: Course, reading: str, symbols: Mapping[str, str], language: Language) -> dict[str, Any]:
    """Each session's balance with its interval; sessions seen too little are empty marks in a strip below."""
    figure = go.Figure(layout=_layout(380))
    _draw_balance(figure, course, reading, symbols, language, "")
    if len(course.visits) > len(course.seen):
        figure.add_trace(_too_little(course, language))
        figure.update_layout(yaxis={"domain": [_STRIP + 0.04, 1]}, yaxis2=_strip_axis(language))
        figure.update_xaxes(anchor="y2")
    figure.add_annotation(_corner(language.gettext("pleasant ↑"), 0.995, "top"))
    figure.add_annotation(_corner(language.gettext("unpleasant ↓"), 0.005, "bottom"))
    return _plain(figure)


def beside_figure(course: Course, symbols: Mapping[str, str], language: Language) -> dict[str, Any]:
    """Two panels with one axis: as read, and against the person's own calm face."""
    figure = go.Figure(layout=_layout(300))
    reach = max(_reach(course, reading) for reading in course.readings)
    titles = {"raw": language.gettext("As it was read"), "corrected": language.gettext("Corrected")}
    for panel, reading in enumerate(course.readings):
        ending = "" if panel == 0 else str(panel + 1)
        _draw_balance(figure, course, reading, symbols, language, ending, reach)
        domain = [0, 0.48] if panel == 0 else [0.52, 1]
        figure.update_layout({f"xaxis{ending}": {"domain": domain, **_ticks(course, language, MAX_TICKS // 2)}})
        figure.add_annotation(
            text=f"<b>{titles[reading]}</b>", x=domain[0], y=1.1, xref="paper", yref="paper", xanchor="left",
            showarrow=False,
        )
    figure.update_layout(yaxis2={"matches": "y", "showticklabels": False}, margin={"t": 36})
    return _plain(figure)


def shares_figure(kind: str, found: Sequence[Part], links: Sequence[str], language: Language) -> dict[str, Any]:
    """Stacked shares of what was seen, and below how much that was; a session, a week or a month side by side."""
    figure = go.Figure(layout=_layout(440))
    captions = [part_caption(kind, part, language) for part in found]
    common = {"x": list(range(len(found))), "customdata": list(links), "width": 0.86}
    for of in reversed(GROUPS):
        figure.add_trace(
            go.Bar(
                y=[_percent(part.shares.get(of)) for part in found],
                text=captions,
                marker={
                    "color": GROUP_COLOURS[of],
                    "line": {"color": PAPER, "width": 0.5},
                    "pattern": GROUP_PATTERNS[of],
                },
                textposition="none",
                hovertemplate="%{text}<extra></extra>",
                **common,
            )
        )
    empty = [100 if not part.seen else None for part in found]
    hollow = {"color": PAPER, "line": {"color": INK, "width": 1}}
    figure.add_trace(go.Bar(y=empty, text=captions, textposition="none", marker=hollow,
                            hovertemplate="%{text}<extra></extra>", **common))
    figure.add_trace(
        go.Bar(
            y=[_percent(part.observed_s / part.duration_s if part.duration_s else 0) for part in found],
            text=captions,
            textposition="none",
            hovertemplate="%{text}<extra></extra>",
            marker={"color": MARK},
            yaxis="y2",
            **common,
        )
    )
    figure.update_layout(
        barmode="stack",
        margin={"l": 52},
        xaxis={
            "range": [-0.6, max(len(found), 8) - 0.4],
            **_few_ticks([_label(kind, part, language) for part in found], list(range(len(found)))),
            "anchor": "y2",
            "fixedrange": True,
        },
        yaxis={**_percent_axis([0, 100]), "domain": [0.32, 1]},
        yaxis2={**_percent_axis([0, 100]), "domain": [0, 0.2]},
    )
    for text, y in ((language.gettext("What was seen"), 1.0), (language.gettext("How much could be seen"), 0.2)):
        figure.add_annotation(
            text=f"<b>{text}</b>", x=0, y=y, xref="paper", yref="paper", xanchor="left", yanchor="bottom",
            showarrow=False,
        )
    figure.update_layout(margin={"t": 30})
    return _plain(figure)


def conditions_figure(
    means: Mapping[str, Mapping[str, Number]], labels: Mapping[str, str], language: Language
) -> dict[str, Any]:
    """Positive and negative under each condition: the mean over sessions with its interval."""
    figure = go.Figure(layout=_layout(90 + 84 * len(means)))
    names = list(means)
    group_words = in_words(GROUP_WORDS, language)
    # plotly draws horizontal bars from the bottom up
    for of, place in (("negative", 0.2), ("positive", -0.2)):
        found = [means[name].get(of) for name in names]
        figure.add_trace(
            go.Bar(
                orientation="h",
                x=[None if number is None else 100 * number.value for number in found],
                y=[len(names) - 1 - k - place for k in range(len(names))],
                width=0.36,
                error_x=_error(found, 100),
                text=[
                    "" if number is None else f"{escape(labels[name])}<br>{group_words[of]}: "
                    f"{words.share_text(number.value, 1, language)}"
                    for name, number in zip(names, found, strict=True)
                ],
                textposition="none",
                hovertemplate="%{text}<extra></extra>",
                marker={"color": GROUP_COLOURS[of], "pattern": GROUP_PATTERNS[of]},
            )
        )
    highest = max((n.high or n.value for each in means.values() for n in each.values()), default=0)
    figure.update_layout(
        xaxis={**_percent_axis([0, min(100, max(10, 108 * highest))]), "fixedrange": True},
        yaxis={
            "tickvals": list(range(len(names))),
            "ticktext": [f"<b>{escape(labels[name])}</b>" for name in reversed(names)],
            "range": [-0.6, len(names) - 0.4],
            "automargin": True,
            "fixedrange": True,
            "zeroline": False,
            "ticks": "",
            "showgrid": False,
        },
    )
    return _plain(figure)


def condition_symbols(course: Course) -> dict[str, str]:
    """A mark for each condition, the same in every figure of a patient."""
    names = {visit.condition for visit in course.visits}
    ordered = sorted(names, key=lambda name: (name not in ("", "baseline"), name))
    return dict(zip(ordered, cycle(SYMBOLS), strict=False))


def caption(visit: Visit, language: Language) -> str:
    """``S03, Mon 2 March 2026, 14:30, music<br>positive 24 %, negative 10 %<br>face read 68 %``."""
    head = [visit.session_id]
    if visit.recorded_at is not None:
        head.append(moment(visit.recorded_at, language))
    if visit.condition:
        head.append(escape(visit.condition))
    return "<br>".join([", ".join(head), *_seen(visit.shares.get("raw", {}), visit.coverage, language)])


def part_caption(kind: str, part: Part, language: Language) -> str:
    """As :func:`caption`, of sessions taken together."""
    if kind == "session":
        return caption(part.first, language)
    head = _label(kind, part, language) + ", " + language.ngettext(
        "%(count)s session", "%(count)s sessions", part.sessions
    )
    shares = {of: Number(value) for of, value in part.shares.items()}
    coverage = part.observed_s / part.duration_s if part.duration_s else 0.0
    return "<br>".join([head, *_seen(shares, coverage, language)])


def moment(recorded_at: datetime, language: Language) -> str:
    """``Monday 2 March 2026, 14:30``; without the time where only the date is known."""
    day = language.date(recorded_at)
    return day if recorded_at.time() == datetime.min.time() else f"{day}, {language.time(recorded_at)}"


def _seen(shares: Mapping[str, Number], coverage: float, language: Language) -> list[str]:
    read = language.gettext("face read %(share)s", share=words.share_text(coverage, 1, language))
    if not shares:
        return [language.gettext("seen too little to say"), read]
    parts = [
        f"{word.lower()} {words.share_text(shares[of].value, 1, language)}"
        for of, word in in_words(GROUP_WORDS, language).items()
        if of in shares and of != "surprise"
    ]
    return [", ".join(parts), read]


def _draw_balance(
    figure: go.Figure, course: Course, reading: str, symbols: Mapping[str, str], language: Language, ending: str,
    reach: float | None = None,
) -> None:
    """Points, intervals and the moving median on the axes of that ending."""
    places = _places(course)
    seen = [(place, visit) for place, visit in zip(places, course.visits, strict=True) if reading in visit.balance]
    found = [visit.balance[reading] for _, visit in seen]
    axes = {"xaxis": f"x{ending}", "yaxis": f"y{ending}"}
    many = len(seen) > 100
    figure.add_trace(
        go.Scatter(
            x=[place for place, _ in seen],
            y=[number.value for number in found],
            error_y={**_error(found, 1), "color": "rgba(31,86,115,.22)" if many else "rgba(31,86,115,.55)"},
            customdata=[visit_link(visit) for _, visit in seen],
            text=[caption(visit, language) for _, visit in seen],
            mode="markers",
            marker={
                "color": MARK,
                "symbol": [symbols[visit.condition] for _, visit in seen],
                "size": 6 if many else 11,
                "line": {"color": PAPER, "width": 1},
            },
            hovertemplate="%{text}<extra></extra>",
            **axes,
        )
    )
    if len(seen) >= MIN_SMOOTHED:
        figure.add_trace(
            go.Scatter(
                x=[place for place, _ in seen],
                y=moving_median([number.value for number in found]),
                mode="lines",
                line={"color": INK, "width": 3 if many else 2, "dash": "solid" if many else "dot", "shape": "spline"},
                hoverinfo="skip",
                **axes,
            )
        )
    reach = reach or _reach(course, reading)
    for y0, y1, colour in ((0, reach, "rgba(230,159,0,.13)"), (-reach, 0, "rgba(51,64,107,.10)")):
        figure.add_shape(
            type="rect", xref=f"x{ending} domain", yref=f"y{ending}", x0=0, x1=1, y0=y0, y1=y1, fillcolor=colour,
            line={"width": 0}, layer="below",
        )
    figure.update_layout(
        {
            f"xaxis{ending}": {"range": _span(places), **_ticks(course, language, MAX_TICKS), "anchor": f"y{ending}"},
            f"yaxis{ending}": {
                "range": [-reach, reach],
                "tickvals": [0],
                "ticktext": [""],
                "gridcolor": INK,
                "zeroline": True,
                "zerolinecolor": INK,
                "fixedrange": True,
            },
        }
    )


def visit_link(visit: Visit) -> str:
    """The session's page, from the patient's."""
    return f"{visit.session_id}.html"


def _too_little(course: Course, language: Language) -> go.Scatter:
    found = [(p, v) for p, v in zip(_places(course), course.visits, strict=True) if not v.enough]
    return go.Scatter(
        x=[place for place, _ in found],
        y=[0] * len(found),
        yaxis="y2",
        mode="markers",
        marker={"symbol": "circle-open", "size": 10, "color": INK, "line": {"width": 1.5}},
        customdata=[visit_link(visit) for _, visit in found],
        text=[caption(visit, language) for _, visit in found],
        hovertemplate="%{text}<extra></extra>",
    )


def _strip_axis(language: Language) -> dict[str, Any]:
    return {
        "domain": [0, _STRIP],
        "range": [-1, 1],
        "fixedrange": True,
        "showgrid": False,
        "zeroline": False,
        "showticklabels": False,
    }


def _reach(course: Course, reading: str) -> float:
    ends = [abs(end) for v in course.seen if reading in v.balance for end in _ends(v.balance[reading])]
    return min(1.05, max(MIN_BALANCE, 1.12 * max(ends, default=0)))


def _ends(number: Number) -> tuple[float, float]:
    return (number.value if number.low is None else number.low), (
        number.value if number.high is None else number.high
    )


def _error(found: Sequence[Number | None], factor: float) -> dict[str, Any]:
    ends = [(0.0, 0.0, 0.0) if n is None else (n.value, *_ends(n)) for n in found]
    return {
        "type": "data",
        "symmetric": False,
        "array": [factor * (high - value) for value, _, high in ends],
        "arrayminus": [factor * (value - low) for value, low, _ in ends],
        "width": 0,
        "thickness": 1.5,
        "color": INK,
    }


def _places(course: Course) -> list[Any]:
    """Where each session stands: its date, or its number in the order."""
    if course.dated:
        return [visit.recorded_at.isoformat() for visit in course.visits if visit.recorded_at is not None]
    return list(range(1, len(course.visits) + 1))


def _span(places: Sequence[Any]) -> list[Any]:
    """A little more than from the first to the last."""
    if not places or not isinstance(places[0], str):
        return [0.4, max(len(places), 4) + 0.6]
    first, last = datetime.fromisoformat(places[0]), datetime.fromisoformat(places[-1])
    edge = max((last - first) / 30, (datetime.max - datetime(9999, 12, 31)) / 2)
    return [(first - edge).isoformat(), (last + edge).isoformat()]


def _ticks(course: Course, language: Language, most: int) -> dict[str, Any]:
    if not course.dated:
        labels = [visit.session_id for visit in course.visits]
        return _few_ticks(labels, _places(course), most)
    days = [visit.recorded_at for visit in course.visits if visit.recorded_at is not None]
    if not days:
        return {}
    step = (days[-1] - days[0]) / max(most - 1, 1)
    marks = sorted({(days[0] + k * step).date() for k in range(most)})
    return {
        "type": "date",
        "tickvals": [day.isoformat() for day in marks],
        "ticktext": [short_day(day, days[0].year == days[-1].year, language) for day in marks],
    }


def short_day(day: Any, same_year: bool, language: Language) -> str:
    """``2 Mar``, or ``Mar 2026`` where the years differ."""
    return language.short_date(day)


def _few_ticks(labels: Sequence[str], places: Sequence[Any], most: int = MAX_TICKS) -> dict[str, Any]:
    step = max(1, -(-len(labels) // most))
    return {"tickvals": list(places[::step]), "ticktext": [escape(label) for label in labels[::step]]}


def _label(kind: str, part: Part, language: Language) -> str:
    recorded_at = part.first.recorded_at
    if recorded_at is None or kind == "ten":
        return part.first.session_id
    if kind == "month":
        return language.month(recorded_at)
    return language.short_date(recorded_at)


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 2)


def _percent_axis(span: list[float]) -> dict[str, Any]:
    return {
        "range": span,
        "ticksuffix": "\u00a0%",
        "nticks": 5,
        "gridcolor": "#e6eaed",
        "zeroline": False,
        "fixedrange": True,
    }


def _corner(text: str, y: float, anchor: str) -> dict[str, Any]:
    return {
        "text": text, "x": 0.005, "y": y, "xref": "x domain", "yref": "y domain", "xanchor": "left",
        "yanchor": anchor, "showarrow": False,
    }


def _layout(height: int) -> dict[str, Any]:
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
        "xaxis": {"showgrid": False, "zeroline": False, "tickangle": 0, "ticks": "outside", "tickcolor": QUIET},
    }


def _plain(figure: go.Figure) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(figure.to_json())
    return plain
