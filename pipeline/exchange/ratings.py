"""Read human ratings from ELAN, BORIS and tables, in this program's labels.

The rater's name comes from the file: an ELAN tier's annotator, a table's column, a BORIS subject; otherwise
from the file name after the session (``P012_S01_anna.eaf``), from the folder, or from the whole file name.

The rated part of a session is stated by the file or by ``--rated``; otherwise it lasts from the rater's first
code of the session to the last, because the rest may not have been watched.
"""

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.errors import InputError
from pipeline.exchange.boris import read_boris_project
from pipeline.exchange.code_map import LEFT_OUT, NONE, UNRATEABLE, CodeMap
from pipeline.exchange.coded import Coded, CodedSession, SessionNames, Span
from pipeline.exchange.elan import read_elan
from pipeline.exchange.rated_extent import EDGE_S, cut, fit, intersection, total_s, united
from pipeline.exchange.rating_tables import read_coded_table
from pipeline.records import EMOTIONS, STATES
from pipeline.store.folders import check_exists
from pipeline.store.ids import folded
from pipeline.store.spreadsheet import read_seconds, shown

READERS = {
    ".eaf": read_elan,
    ".boris": read_boris_project,
    ".csv": read_coded_table,
    ".tsv": read_coded_table,
}

# Folder names that are no rater's name.
_NOT_A_NAME = {"ratings", "elan", "boris", "exports", "annotations", ""}


@dataclass(frozen=True)
class CodedInterval:
    """An interval with one label, in seconds of the video."""

    start_s: float
    end_s: float
    label: str


@dataclass(frozen=True)
class Rating:
    """One rater's coding of one session.

    :param stretches: of expressions, in order of their start; they may overlap.
    :param unrateable: intervals (start, end) that could not be judged.
    :param uncoded: label of the remaining time.
    :param rated: rated intervals (start, end); empty: the whole session.
    :param states: stretches of :data:`STATES`, likewise.
    :param no_states: whether the rater looked for states and saw none.
    :param is_assumed: whether ``rated`` is assumed to last from the first code to the last.
    """

    patient_id: str
    session_id: str
    rater: str
    stretches: tuple[CodedInterval, ...]
    unrateable: tuple[tuple[float, float], ...] = ()
    uncoded: str = NONE
    rated: tuple[Span, ...] = ()
    states: tuple[CodedInterval, ...] = ()
    no_states: bool = False
    is_assumed: bool = False

    @property
    def ids(self) -> tuple[str, str]:
        return self.patient_id, self.session_id

    @property
    def has_expressions(self) -> bool:
        """Whether there is an expression, or the rated part and the label of uncoded time are stated."""
        return bool(self.stretches) or (bool(self.rated) and self.uncoded != NONE)

    @property
    def has_states(self) -> bool:
        """Whether the rater looked for states."""
        return bool(self.states) or self.no_states

    @property
    def is_usable(self) -> bool:
        return self.has_expressions or self.has_states


@dataclass(frozen=True)
class Ratings:
    """All ratings, by patient, session and rater; and notes on how they were read."""

    ratings: tuple[Rating, ...]
    notes: tuple[str, ...] = ()

    @property
    def raters(self) -> tuple[str, ...]:
        return tuple(sorted({rating.rater for rating in self.ratings}))


def read_ratings(
    paths: Sequence[Path], names: SessionNames, codes: CodeMap, rated: Span | None = None
) -> Ratings:
    """Read rating files, also from folders.

    :param rated: the rated interval of each session, s, if a file does not state it.
    :raises InputError: a file can't be read, has unknown codes, or has times outside its session; or no
        rating is of a session of this folder.
    """
    notes: list[str] = []
    found: list[CodedSession] = []
    for path in rating_files(paths):
        coded, said = READERS[path.suffix.lower()](path, names, codes)
        found += [_named(one, path, names) for one in coded]
        notes += [f"{path.name}: {note}" for note in said]
    found, said = _in_one_spelling(found)
    notes += said
    codes.check((stretch.code, one.source) for one in found for stretch in one.coded)
    ours = [one for one in found if one.ids in names.known]
    strange = sorted({f"{one.patient_id} {one.session_id}" for one in found if one.ids not in names.known})
    if strange:
        notes.append(f"Rated, but without a timeline in this folder: {', '.join(strange)}.")
    if not ours:
        raise InputError(
            f"{', '.join(map(str, paths))}: no rating of a session of this folder. A file is named after its "
            f"session, like P012_S01.eaf; there are {_some(names)}."
        )
    fitted = []
    for one in ours:
        fit_one, said = _fitted(one, names, codes)
        fitted.append(fit_one)
        notes += said
    ratings, said = _joined(fitted, names, codes, rated)
    return Ratings(tuple(ratings), (*notes, *said, *_hints(ratings)))


def read_span(text: str | None) -> Span | None:
    """Parse an interval such as ``0-600`` or ``0:30-10:00``; ``all`` has no end.

    :raises InputError: the text is no interval.
    """
    if text is None:
        return None
    if text.strip().lower() == "all":
        return 0.0, math.inf
    try:
        start_s, end_s = map(read_seconds, text.replace("–", "-").split("-"))
    except (ValueError, InputError) as error:
        raise InputError(
            f"`rated` {shown(text)}: write FROM-TO, such as 0-600 or 0:30-10:00, or all."
        ) from error
    if not start_s < end_s:
        raise InputError(f"`rated` {shown(text)}: ends before it starts; write FROM-TO, such as 0-600.")
    return start_s, end_s


def rating_files(paths: Sequence[Path]) -> list[Path]:
    """The files, and the files of folders; each once.

    :raises InputError: a path does not exist or is no file of ratings, or a folder has none.
    """
    return list({path.resolve(): path for path in _files(paths)}.values())


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in READERS)
            inside = [file for file in inside if file.is_file() and not file.name.startswith(".")]
            if not inside:
                raise InputError(f"{path}: no ratings in this folder ({', '.join(READERS)}).")
            yield from inside
            continue
        check_exists(path)
        if path.suffix.lower() not in READERS:
            raise InputError(f"{path}: ratings are {', '.join(READERS)} files.")
        yield path


def _named(one: CodedSession, path: Path, names: SessionNames) -> CodedSession:
    """Fill in the rater's name if the file has none."""
    rater = clean_name(one.rater)
    if not rater and path.suffix.lower() != ".eaf" and not names.find(path.stem):
        rater = clean_name(path.stem)  # a file with several sessions is not named after a rater of one
    if not rater and path.parent.name.lower() not in _NOT_A_NAME:
        rater = clean_name(path.parent.name)
    # reserved: names of the machine's codings
    return one.by(f"rater {rater}" if rater.lower().startswith("machine") else rater or "rater")


def _in_one_spelling(found: Sequence[CodedSession]) -> tuple[list[CodedSession], list[str]]:
    """One name of each rater, spelt as most ratings have it; and notes on other spellings."""
    spelt: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in found:
        spelt[folded(one.rater)][one.rater] += 1
    notes = [
        f"{', '.join(map(shown, sorted(names)))}: spellings of one rater, {names.most_common(1)[0][0]}"
        for names in spelt.values()
        if len(names) > 1
    ]
    return [one.by(spelt[folded(one.rater)].most_common(1)[0][0]) for one in found], notes


def _fitted(one: CodedSession, names: SessionNames, codes: CodeMap) -> tuple[CodedSession, list[str]]:
    """Codes within the session, without ignored codes; and notes on losses."""
    about = [stretch for stretch in one.coded if codes.label(stretch.code) != LEFT_OUT]
    lasting = tuple(stretch for stretch in about if stretch.start_s < stretch.end_s)
    notes = []
    if len(lasting) < len(about):
        notes.append(f"{one.source}: {len(about) - len(lasting)} of {_ids(one)} without length left out")
    one = replace(one, coded=lasting)
    recorded = names.recorded.get(one.ids)
    if recorded is None:
        return one, notes
    one, lost = fit(one, recorded)
    return one, [*notes, *lost]


def _joined(
    found: Sequence[CodedSession], names: SessionNames, codes: CodeMap, rated: Span | None
) -> tuple[list[Rating], list[str]]:
    """Join files into one rating per session and rater (a rater may use one file per emotion); and notes."""
    whole: defaultdict[tuple[str, str, str], list[CodedSession]] = defaultdict(list)
    for one in found:
        whole[one.patient_id, one.session_id, one.rater].append(one)
    read: list[tuple[str, Rating, bool]] = []
    notes = []
    for (patient, session, rater), several in sorted(whole.items()):
        sources = sorted({one.source for one in several})
        name = f"{', '.join(sources)}: {rater}, {patient} {session}"
        if len(several) > 1:
            notes.append(f"{name}: {len(several)} ratings were joined as one rater's")
        coded = tuple(stretch for one in several for stretch in one.coded)
        recorded = names.recorded.get((patient, session))
        parts = recorded.parts if recorded else ((0.0, math.inf),)
        in_files = _stated(name, several)
        spans = in_files or intersection([rated or _first_to_last(coded)], parts)
        if rated is not None and not spans:
            raise InputError(f"`rated`: {rated[0]:g} to {rated[1]:g} s lies outside {patient} {session}.")
        coded, lost = cut(coded, spans, "what was rated")
        notes += [f"{name}: {note}" for note in lost]
        rating = _labelled((patient, session, rater), coded, codes, tuple(spans))
        read.append((name, replace(rating, is_assumed=not in_files and rated is None), bool(in_files)))
    expressive = {rating.rater for _, rating, _ in read if rating.stretches}
    stateful = {rating.rater for _, rating, _ in read if rating.states}
    ratings = []
    for name, rating, is_stated in read:
        rating = _meant(rating, is_stated, expressive, stateful)
        if not rating.is_usable:
            notes.append(f"{name}: no usable code, so this rating is not compared")
        elif not rating.has_expressions:
            notes.append(f"{name}: no expression coded; only states are compared ({_states(rating)})")
        elif not rating.stretches:
            what = "expression coded" if rating.states else "code"
            notes.append(f"{name}: no {what}; all that was rated counts as {rating.uncoded}")
        ratings.append(rating)
    return ratings, notes


def _meant(rating: Rating, is_stated: bool, expressive: Set[str], stateful: Set[str]) -> Rating:
    """What the absence of expressions, or of states, means.

    A rater saw none if the files state what was rated, and the rater codes some in other sessions. The option
    ``--rated`` applies to all files: it does not state that a single file is complete.

    :param expressive, stateful: the raters who code expressions, or states, in any session.
    """
    no_states = is_stated and not rating.states and rating.rater in stateful
    if not rating.stretches and (rating.states or no_states):
        uncoded = rating.uncoded if is_stated and rating.rater in expressive else NONE
        return replace(rating, no_states=no_states, uncoded=uncoded)
    if not rating.stretches and not is_stated:
        return replace(rating, rated=())
    return replace(rating, no_states=no_states)


def _stated(name: str, several: Sequence[CodedSession]) -> list[Span]:
    """Join the rated parts that one rater's files state; each file may cover a part of the session.

    :raises InputError: the files state different, overlapping times: with one file per emotion, some emotions
        were then not rated all the time.
    """
    stated = {tuple(united(one.rated)) for one in several if one.rated}
    spans = united([span for spans in stated for span in spans])
    if len(stated) > 1 and sum(map(total_s, stated)) > total_s(spans) + EDGE_S:
        raise InputError(f"{name}: the files state different times as rated; state the same in all of them.")
    return spans


def _first_to_last(coded: Sequence[Coded]) -> Span:
    """From the start of the first code to the end of the last; empty without codes."""
    edges_s = [edge_s for each in coded for edge_s in (each.start_s, each.end_s)]
    return min(edges_s, default=0.0), max(edges_s, default=0.0)


def _labelled(
    key: tuple[str, str, str], coded: Sequence[Coded], codes: CodeMap, rated: tuple[Span, ...]
) -> Rating:
    labelled = sorted(
        {CodedInterval(each.start_s, each.end_s, codes.label(each.code) or LEFT_OUT) for each in coded},
        key=lambda stretch: (stretch.start_s, stretch.end_s, stretch.label),
    )
    return Rating(
        *key,
        tuple(one for one in labelled if one.label not in (UNRATEABLE, *STATES)),
        tuple((one.start_s, one.end_s) for one in labelled if one.label == UNRATEABLE),
        codes.uncoded,
        rated,
        tuple(one for one in labelled if one.label in STATES),
    )


def _states(rating: Rating) -> str:
    return ", ".join(sorted({one.label for one in rating.states})) or "none coded"


def _ids(one: CodedSession) -> str:
    return f"{one.patient_id} {one.session_id}"


def _hints(ratings: Sequence[Rating]) -> Iterator[str]:
    for rater in sorted({rating.rater for rating in ratings}):
        own = [rating for rating in ratings if rating.rater == rater]
        used = {stretch.label for rating in own for stretch in rating.stretches}
        if used and "neutral" not in used and own[0].uncoded == NONE:
            yield (
                f"{rater} never coded neutral, so time without a code counts as “{NONE}”, which the machine "
                f"never says of a face that it reads. If it means neutral, give --codes {NONE}=neutral."
            )
        if used & {"positive", "negative"} and used & (set(EMOTIONS) - {"neutral", "surprise"}):
            yield f"{rater} coded emotions as well as positive and negative: only these groups are compared."
        doubled_s = sum(map(_doubled_s, own))
        if doubled_s > EDGE_S:
            yield (
                f"{rater} coded {doubled_s:.10g} s with several labels at once: a step counts as the label "
                "that covers most of it."
            )
        assumed = [rating for rating in own if rating.is_usable and rating.is_assumed]
        if assumed:
            sessions = f"{len(assumed)} session{'s' if len(assumed) > 1 else ''}"
            yield (
                f"{rater}: nothing states what was rated of {sessions}, so only the time from the first code "
                "to the last counts as rated. Give --rated 0-600, for example, or --rated all where every "
                "session was rated as a whole."
            )


def _doubled_s(rating: Rating) -> float:
    """Seconds with a second label."""
    by_label: defaultdict[str, list[Span]] = defaultdict(list)
    for stretch in rating.stretches:
        by_label[stretch.label].append((stretch.start_s, stretch.end_s))
    everything = [span for spans in by_label.values() for span in spans]
    return sum(total_s(united(spans)) for spans in by_label.values()) - total_s(united(everything))


def _some(names: SessionNames) -> str:
    known = sorted(names.known)
    return ", ".join(" ".join(ids) for ids in known[:3]) + (" …" if len(known) > 3 else "")


def clean_name(text: str) -> str:
    """A rater's name for tables and pages: one short line."""
    text = unicodedata.normalize("NFC", text)
    return re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in text)).strip()[:60]
