"""Plotly figures of a patient over many sessions, as plain JSON objects. Marks have links."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from html import escape
from itertools import cycle
from typing import Any

from pipeline.analysis.history_parts import Part
from pipeline.analysis.longitudinal import (
    MIN_SMOOTHED,
    TIME_PARTS,
    PatientHistory,
    SessionPoint,
    mean_of,
    moving_median,
    shares_of,
)
from pipeline.analysis.summaries import RAW, Number
from reports.figures.style import (
    MARK,
    TIME_AXIS,
    Figure,
    Trace,
    bar,
    corner,
    error_bars,
    interval_ends,
    percent,
    percent_axis,
    plain_layout,
    scatter,
    shown,
    title,
)
from reports.words import formatting as words
from reports.words.dates import moment, short_month
from reports.words.labels import (
    GROUP_COLOURS,
    GROUP_PATTERNS,
    GROUP_WORDS,
    INK,
    PAPER,
    condition_word,
    in_words,
)
from reports.words.language import Language

SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "star", "hexagon")
"""Symbols of conditions; the first is for sessions without a condition, or calm ones."""

CLEAR, FAINT = "rgba(31,86,115,0.6)", "rgba(31,86,115,0.22)"
"""Opacity of interval lines, for few sessions and for many."""

POSITIVE, NEGATIVE = "rgba(230,159,0,0.13)", "rgba(51,64,107,0.10)"
MANY = 100
"""Number of sessions from which marks are small and captions short."""

MAX_TICKS = 4
MIN_BALANCE = 0.25
"""Minimum range of the balance's axis, so that small changes look small."""

# sessions with too little coverage have marks in a separate strip: on the axis they would look like a value
_STRIP = 0.1


@dataclass(frozen=True)
class Mark:
    """A session, or a group of sessions, in a figure of balances.

    :param place: date, or position in the order. ``number``: ``None`` if coverage is too low.
    """

    place: datetime | int
    number: Number | None
    text: str
    link: str
    symbol: str


def session_marks(history: PatientHistory, reading: str, language: Language) -> list[Mark]:
    """One for each session."""
    symbols = condition_symbols(history)
    write = short_caption if len(history.visits) > MANY else caption
    return [
        Mark(
            place=visit.recorded_at if history.dated and visit.recorded_at is not None else number,
            number=visit.balance.get(reading),
            text=write(visit, language),
            link=visit_link(visit),
            symbol=symbols[visit.condition],
        )
        for number, visit in enumerate(history.visits, start=1)
    ]


def part_marks(
    kind: str, found: Sequence[Part], links: Sequence[str], reading: str, language: Language
) -> list[Mark]:
    """One for each week or month."""
    return [
        Mark(
            place=number if kind == "ten" else part.first.recorded_at or number,
            number=part.balance.get(reading),
            text=part_caption(kind, part, language),
            link=link,
            symbol=SYMBOLS[0],
        )
        for number, (part, link) in enumerate(zip(found, links, strict=True), start=1)
    ]


def balance_figure(marks: Sequence[Mark], language: Language) -> dict[str, Any]:
    """Balance of each session with interval; sessions with too little coverage are empty marks below."""
    figure = Figure(plain_layout(380))
    figure.update_layout(margin={"l": 26, "r": 30})
    _draw_balance(figure, marks, language, "", _reach(marks), MAX_TICKS)
    if any(mark.number is None for mark in marks):
        figure.add_trace(_too_little(marks))
        figure.update_layout(
            yaxis={"domain": [_STRIP + 0.04, 1]}, yaxis2=_strip_axis(), xaxis={"anchor": "y2"}
        )
    figure.add_annotation(corner(language.gettext("positive ↑"), 0.995, "top"))
    figure.add_annotation(corner(language.gettext("negative ↓"), 0.005, "bottom"))
    return figure.plain()


def beside_figure(readings: Mapping[str, Sequence[Mark]], language: Language) -> dict[str, Any]:
    """A panel for each reading, with one axis."""
    figure = Figure(plain_layout(300))
    reach = max(map(_reach, readings.values()))
    titles = {"raw": language.gettext("As it was read"), "corrected": language.gettext("Corrected")}
    for panel, (reading, marks) in enumerate(readings.items()):
        ending = str(panel + 1) if panel else ""
        _draw_balance(figure, marks, language, ending, reach, 2)
        domain = [0.52, 1] if panel else [0, 0.48]
        figure.update_layout({f"xaxis{ending}": {"domain": domain}})
        figure.add_annotation(title(titles[reading], domain[0], 1.02))
    figure.update_layout(yaxis2={"matches": "y"}, margin={"t": 36, "l": 16, "r": 30})
    return figure.plain()


def shares_figure(
    kind: str, found: Sequence[Part], links: Sequence[str], language: Language
) -> dict[str, Any]:
    """Stacked shares of the observed time, with the coverage below."""
    figure = Figure(plain_layout(440))
    bars = {
        "x": list(range(len(found))),
        "customdata": list(links),
        "text": [part_caption(kind, part, language) for part in found],
        "width": 0.86,
        **shown(),
    }
    edge = {"color": PAPER, "width": 0.5}
    for of in reversed(TIME_PARTS):
        look = {"color": GROUP_COLOURS[of], "line": edge, "pattern": GROUP_PATTERNS[of]}
        figure.add_trace(bar(y=[percent(part.shares.get(of)) for part in found], marker=look, **bars))
    hollow = {"color": PAPER, "line": {"color": INK, "width": 1}}
    figure.add_trace(bar(y=[None if part.seen else 100 for part in found], marker=hollow, **bars))
    read = [percent(part.observed_s / part.duration_s if part.duration_s else 0) for part in found]
    figure.add_trace(bar(y=read, yaxis="y2", marker={"color": MARK}, **bars))
    labels = [_label(kind, part, language) for part in found]
    figure.update_layout(
        barmode="stack",
        margin={"l": 52, "t": 30},
        xaxis={
            "range": [-0.6, max(len(found), 8) - 0.4],
            "anchor": "y2",
            "fixedrange": True,
            **_few_ticks(labels, range(len(found)), MAX_TICKS),
        },
        yaxis={**percent_axis([0, 100]), "domain": [0.34, 1]},
        yaxis2={**percent_axis([0, 100]), "domain": [0, 0.2], "nticks": 2},
    )
    figure.add_annotation(title(language.gettext("What was seen"), 0, 1.01))
    figure.add_annotation(title(language.gettext("How much could be read"), 0, 0.21))
    return figure.plain()


def conditions_figure(
    found: Mapping[str, Sequence[SessionPoint]], labels: Mapping[str, str], language: Language
) -> dict[str, Any]:
    """Positive and negative by condition, raw reading: each session a faint mark, the mean with
    its interval."""
    figure = Figure(plain_layout(80 + 78 * len(found)))
    group_words = in_words(GROUP_WORDS, language)
    reach = 0.1
    # from bottom to top, as in plotly
    for place, (name, visits) in enumerate(reversed(list(found.items()))):
        for of, away, sign in (("positive", 0.17, "circle"), ("negative", -0.17, "diamond")):
            shares = shares_of(visits, of, RAW)
            mean = mean_of(shares)
            if mean is None:
                continue
            reach = max(reach, mean.high or 0, *shares)
            share = words.share_text(mean.value, 1, language)
            told = language.gettext("%(name)s: %(value)s", name=group_words[of], value=share)
            said = f"{escape(labels[name])}<br>{told}"
            level, colour = place + away, GROUP_COLOURS[of]
            faint = {"color": colour, "symbol": f"{sign}-open", "size": 7, "opacity": 0.55}
            if len(shares) <= MANY:
                spread = {"x": [percent(share) for share in shares], "y": [level] * len(shares)}
                figure.add_trace(scatter(mode="markers", marker=faint, hoverinfo="skip", **spread))
            strong = {"color": colour, "symbol": sign, "size": 15, "line": {"color": INK, "width": 1}}
            error = {**error_bars([mean], 100), "thickness": 3, "color": colour}
            at = {"x": [percent(mean.value)], "y": [level], "text": [said]}
            figure.add_trace(scatter(marker=strong, error_x=error, **at, **shown("markers")))
    figure.update_layout(
        margin={"t": 4},
        xaxis={**percent_axis([0, min(100, 106 * reach)]), "showgrid": True},
        yaxis={
            "tickvals": list(range(len(found))),
            "ticktext": [f"<b>{escape(labels[name])}</b>  " for name in reversed(list(found))],
            "range": [-0.5, len(found) - 0.5],
            "automargin": True,
            "fixedrange": True,
            "zeroline": False,
            "showgrid": False,
        },
    )
    return figure.plain()


def condition_symbols(history: PatientHistory) -> dict[str, str]:
    """A mark for each condition, the same in every figure of a patient."""
    names = {visit.condition for visit in history.visits}
    ordered = sorted(names, key=lambda name: (name not in ("", history.reference), name))
    return dict(zip(ordered, cycle(SYMBOLS), strict=False))


def caption(visit: SessionPoint, language: Language) -> str:
    """``S03, Mon 2 March 2026, 14:30, music<br>positive 24 %, negative 10 %<br>face read 68 %``."""
    head = [visit.session_id]
    if visit.recorded_at is not None:
        head.append(moment(visit.recorded_at, language))
    if visit.condition:
        head.append(escape(condition_word(visit.condition, language)))
    return "<br>".join([", ".join(head), *_seen(visit.own_shares, visit.coverage, language)])


def short_caption(visit: SessionPoint, language: Language) -> str:
    """``S03, 2 Mar 2026: positive 24 %, negative 10 %``."""
    day = "" if visit.recorded_at is None else f", {language.short_date(visit.recorded_at)}"
    seen, _ = _seen(visit.own_shares, visit.coverage, language)
    return language.gettext("%(name)s: %(value)s", name=f"{visit.session_id}{day}", value=seen)


def part_caption(kind: str, part: Part, language: Language) -> str:
    """As :func:`caption`, of sessions taken together."""
    if kind == "session":
        return caption(part.first, language)
    head = (
        _label(kind, part, language)
        + ", "
        + language.ngettext("%(count)s session", "%(count)s sessions", part.sessions)
    )
    shares = {of: Number(value) for of, value in part.shares.items()}
    coverage = part.observed_s / part.duration_s if part.duration_s else 0.0
    return "<br>".join([head, *_seen(shares, coverage, language)])


def _seen(shares: Mapping[str, Number], coverage: float, language: Language) -> list[str]:
    read = language.gettext("face read %(share)s", share=words.share_text(coverage, 1, language))
    if not shares:
        return [language.gettext("read too little to say"), read]
    parts = [
        f"{word.lower()} {words.share_text(shares[of].value, 1, language)}"
        for of, word in in_words(GROUP_WORDS, language).items()
        if of in shares and of != "surprise"
    ]
    return [", ".join(parts), read]


def _draw_balance(
    figure: Figure, marks: Sequence[Mark], language: Language, ending: str, reach: float, ticks: int
) -> None:
    """Marks, intervals and the moving median on the axes of that ending."""
    seen = [(mark, mark.number) for mark in marks if mark.number is not None]
    many = len(seen) > MANY
    places = [_written(mark.place) for mark, _ in seen]
    axes = {"xaxis": f"x{ending}", "yaxis": f"y{ending}"}
    figure.add_trace(
        scatter(
            x=places,
            y=[round(number.value, 3) for _, number in seen],
            error_y={**error_bars([number for _, number in seen], 1), "color": FAINT if many else CLEAR},
            customdata=[mark.link for mark, _ in seen],
            text=[mark.text for mark, _ in seen],
            marker={
                "color": MARK,
                "symbol": [mark.symbol for mark, _ in seen],
                "size": 6 if many else 11,
                "line": {"color": PAPER, "width": 0.5 if many else 1},
            },
            **shown("markers"),
            **axes,
        )
    )
    if len(seen) >= MIN_SMOOTHED:
        line = {"color": INK, "width": 2.5, "dash": "solid" if many else "dot"}
        middle = [round(value, 3) for value in moving_median([number.value for _, number in seen])]
        figure.add_trace(scatter(x=places, y=middle, mode="lines", line=line, hoverinfo="skip", **axes))
    for y0, y1, colour in ((0, reach, POSITIVE), (-reach, 0, NEGATIVE)):
        area = {"x0": 0, "x1": 1, "y0": y0, "y1": y1, "xref": f"x{ending} domain", "yref": f"y{ending}"}
        figure.add_shape(
            {"type": "rect", "fillcolor": colour, "line": {"width": 0}, "layer": "below", **area}
        )
    time_axis = {**TIME_AXIS, **_span(marks), **_ticks(marks, language, ticks), "anchor": f"y{ending}"}
    balance_axis = {
        "range": [-reach, reach],
        "showticklabels": False,
        "showgrid": False,
        "zeroline": True,
        "zerolinecolor": INK,
        "fixedrange": True,
    }
    figure.update_layout({f"xaxis{ending}": time_axis, f"yaxis{ending}": balance_axis})


def visit_link(visit: SessionPoint) -> str:
    """The session's page, from the patient's."""
    return f"{visit.session_id}.html"


def _too_little(marks: Sequence[Mark]) -> Trace:
    found = [mark for mark in marks if mark.number is None]
    return scatter(
        x=[_written(mark.place) for mark in found],
        y=[0] * len(found),
        yaxis="y2",
        marker={"symbol": "circle-open", "size": 10, "color": INK, "line": {"width": 1.5}},
        customdata=[mark.link for mark in found],
        text=[mark.text for mark in found],
        **shown("markers"),
    )


def _strip_axis() -> dict[str, Any]:
    return {
        "domain": [0, _STRIP],
        "range": [-1, 1],
        "fixedrange": True,
        "showgrid": False,
        "zeroline": False,
        "showticklabels": False,
    }


def _reach(marks: Sequence[Mark]) -> float:
    ends = [abs(end) for mark in marks if mark.number is not None for end in interval_ends(mark.number)]
    return min(1.05, max(MIN_BALANCE, 1.12 * max(ends, default=0)))


def _written(place: datetime | int) -> str | int:
    return place if isinstance(place, int) else place.isoformat(timespec="minutes")


def _span(marks: Sequence[Mark]) -> dict[str, Any]:
    """A little more than from the first to the last."""
    days = [mark.place for mark in marks if isinstance(mark.place, datetime)]
    if len(days) < len(marks):
        return {"range": [0.4, max(len(marks), 4) + 0.6]}
    edge = max((days[-1] - days[0]) / 30, timedelta(hours=12))
    return {"type": "date", "range": [(days[0] - edge).isoformat(), (days[-1] + edge).isoformat()]}


def _ticks(marks: Sequence[Mark], language: Language, most: int) -> dict[str, Any]:
    days = [mark.place for mark in marks if isinstance(mark.place, datetime)]
    if len(days) < len(marks):
        return _few_ticks([mark.link.removesuffix(".html") for mark in marks], range(1, len(marks) + 1), most)
    span = days[-1] - days[0]
    shown = sorted({(days[0] + (k + 0.5) * span / most).date() for k in range(most)})
    return {
        "tickvals": [day.isoformat() for day in shown],
        "ticktext": [_day(day, span, language) for day in shown],
    }


def _day(day: date, span: timedelta, language: Language) -> str:
    """``2 Mar``; over more than a year ``Mar 2026``."""
    return short_month(day, language) if span.days > 300 else language.day_and_month(day)


def _few_ticks(labels: Sequence[str], places: Sequence[Any], most: int) -> dict[str, Any]:
    step = max(1, -(-len(labels) // most))
    return {"tickvals": list(places[::step]), "ticktext": [escape(label) for label in labels[::step]]}


def _label(kind: str, part: Part, language: Language) -> str:
    recorded_at = part.first.recorded_at
    if recorded_at is None or kind == "ten":
        return part.first.session_id
    if kind == "month":
        return short_month(recorded_at, language)
    return language.day_and_month(recorded_at)
