"""Fit codes into their session and into its rated part.

A code wholly before or after its session indicates wrong times in the whole file, so the file is refused. A
code across an edge is cut, and a code in time that does not count is left out; both give a note.
"""

from collections.abc import Sequence
from dataclasses import replace

from pipeline.errors import InputError
from pipeline.exchange.coded import Coded, CodedSession, Recorded, Span
from pipeline.store.spreadsheet import shown

EDGE_S = 0.5
"""Codes may exceed an edge by this without a note, s: two samples at five per second."""

_MOST_NAMED = 3

_FOREVER_S = 1e8


def fit(one: CodedSession, recorded: Recorded) -> tuple[CodedSession, list[str]]:
    """Cut codes and rated intervals to the counted parts of the session; also return notes on losses.

    :raises InputError: a code, or the rated part, lies wholly outside the session.
    """
    begin_s, end_s = recorded.parts[0][0], recorded.parts[-1][1]
    name = f"{one.patient_id} {one.session_id}"
    for code in one.coded:
        late, early = code.end_s > end_s + EDGE_S, code.start_s < begin_s - EDGE_S
        if (code.start_s >= end_s and late) or (code.end_s <= begin_s and early):
            raise InputError(
                f"{one.source}: {_named([code])} lies outside {name}, which lasts from "
                f"{_span((begin_s, end_s))}; times count from the start of the recording: correct the times, "
                "or take the code away."
            )
    rated = intersection(united(one.rated), recorded.parts)
    if one.rated and not rated:
        raise InputError(
            f"{one.source}: what was rated ({_spans(one.rated)}) lies outside {name}, which lasts from "
            f"{_span((begin_s, end_s))}; correct it."
        )
    coded, notes = cut(one.coded, recorded.parts, f"the counted time of {name}")
    return replace(one, coded=coded, rated=tuple(rated)), [f"{one.source}: {note}" for note in notes]


def cut(coded: Sequence[Coded], allowed: Sequence[Span], what: str) -> tuple[tuple[Coded, ...], list[str]]:
    """Cut codes to the allowed intervals; also return notes on losses.

    :param what: name of the allowed time, for the notes.
    """
    kept: list[Coded] = []
    gone, shortened = [], []
    for code in coded:
        inside = intersection([(code.start_s, code.end_s)], allowed)
        kept += [Coded(start_s, end_s, code.code) for start_s, end_s in inside]
        if not inside:
            gone.append(code)
        elif code.end_s - code.start_s - total_s(inside) > EDGE_S:
            shortened.append(code)
    notes = []
    if gone:
        notes.append(f"{_count(gone)} left out, outside {what} ({_spans(allowed)}): {_named(gone)}")
    if shortened:
        notes.append(f"{_count(shortened)} cut to {what} ({_spans(allowed)}): {_named(shortened)}")
    return tuple(kept), notes


def united(stretches: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Union of the intervals, in order; touching intervals are joined."""
    found: list[tuple[float, float]] = []
    for start, end in sorted(stretches):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


def intersection(ones: Sequence[Span], others: Sequence[Span]) -> list[Span]:
    """Intersection of two ordered lists of intervals; within a list, intervals neither overlap nor touch."""
    both = [
        (max(start, begin), min(end, stop))
        for start, end in ones
        for begin, stop in others
        if max(start, begin) < min(end, stop)
    ]
    return sorted(both)


def outside(spans: Sequence[Span]) -> list[Span]:
    """Complement of the intervals, from 0 s."""
    edges_s = [0.0, *(edge_s for span in sorted(spans) for edge_s in span), _FOREVER_S]
    return [(start, end) for start, end in zip(edges_s[::2], edges_s[1::2], strict=True) if start < end]


def total_s(spans: Sequence[Span]) -> float:
    return sum(end - start for start, end in spans)


def _count(codes: Sequence[Coded]) -> str:
    return f"{len(codes)} code{'s' if len(codes) > 1 else ''}"


def _named(codes: Sequence[Coded]) -> str:
    first = ", ".join(f"{shown(one.code)} {_span((one.start_s, one.end_s))}" for one in codes[:_MOST_NAMED])
    return first + (f" and {len(codes) - _MOST_NAMED} more" if len(codes) > _MOST_NAMED else "")


def _spans(spans: Sequence[Span]) -> str:
    first = ", ".join(map(_span, spans[:_MOST_NAMED]))
    return first + (" …" if len(spans) > _MOST_NAMED else "")


def _span(span: Span) -> str:
    return f"{round(span[0], 3):.10g} to {round(span[1], 3):.10g} s"
