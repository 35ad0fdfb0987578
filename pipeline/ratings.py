"""What people saw: ratings out of ELAN, BORIS and plain tables, in this program's labels.

A rater is a name, as far as possible from the file itself: an ELAN tier's annotator, a table's column, a
BORIS subject; else what a file's name says after the session's (``P012_S01_anna.eaf``), the folder it lies
in, or the file's own name.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.codes import LEFT_OUT, NONE, UNRATEABLE, CodeMap
from pipeline.errors import InputError
from pipeline.ratings_boris import read_boris_project
from pipeline.ratings_coded import Coded, CodedSession, SessionNames
from pipeline.ratings_elan import read_elan
from pipeline.ratings_table import read_coded_table
from pipeline.records import EMOTIONS

READERS = {
    ".eaf": read_elan,
    ".boris": read_boris_project,
    ".csv": read_coded_table,
    ".tsv": read_coded_table,
}

# Folders whose name says nothing about who rated.
_NOT_A_NAME = {"ratings", "elan", "boris", "exports", "annotations", ""}


@dataclass(frozen=True)
class Stretch:
    """A stretch of one label, in seconds of the video."""

    start_s: float
    end_s: float
    label: str


@dataclass(frozen=True)
class Rating:
    """One session as one person coded it.

    :param stretches: in order of their start; they may overlap.
    :param unrateable: (start, end) in which nothing could be judged.
    :param uncoded: the label of the rest.
    """

    patient_id: str
    session_id: str
    rater: str
    stretches: tuple[Stretch, ...]
    unrateable: tuple[tuple[float, float], ...] = ()
    uncoded: str = NONE

    @property
    def ids(self) -> tuple[str, str]:
        return self.patient_id, self.session_id


@dataclass(frozen=True)
class Ratings:
    """All of them, by patient, session and rater; and what should be known about how they were read."""

    ratings: tuple[Rating, ...]
    notes: tuple[str, ...] = ()

    @property
    def raters(self) -> tuple[str, ...]:
        return tuple(sorted({rating.rater for rating in self.ratings}))


def read_ratings(paths: Sequence[Path], names: SessionNames, codes: CodeMap) -> Ratings:
    """Reads files, and those in folders.

    :raises InputError: a file can't be read, or has codes that are unknown; nothing is left of them.
    """
    notes: list[str] = []
    found: list[CodedSession] = []
    for path in _files(paths):
        coded, said = READERS[path.suffix.lower()](path, names, codes)
        found += [_named(one, path, names) for one in coded]
        notes += [f"{path.name}: {note}" for note in said]
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
    ratings = tuple(_joined(ours, codes))
    return Ratings(ratings, (*notes, *_hints(ratings)))


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in READERS)
            inside = [file for file in inside if file.is_file() and not file.name.startswith(".")]
            if not inside:
                raise InputError(f"{path}: no ratings in this folder ({', '.join(READERS)}).")
            yield from inside
        elif not path.exists():
            raise InputError(f"{path}: no such file.")
        elif path.suffix.lower() not in READERS:
            raise InputError(f"{path}: ratings are {', '.join(READERS)} files.")
        else:
            yield path


def _named(one: CodedSession, path: Path, names: SessionNames) -> CodedSession:
    """With a rater in any case."""
    rater = clean_name(one.rater)
    if not rater and path.suffix.lower() != ".eaf" and not names.find(path.stem):
        rater = clean_name(path.stem)  # it holds several sessions, so its name is not one's
    if not rater and path.parent.name.lower() not in _NOT_A_NAME:
        rater = clean_name(path.parent.name)
    # the machine's own ways have names too
    return one.by(f"rater {rater}" if rater.lower().startswith("machine") else rater or "rater")


def _joined(found: Sequence[CodedSession], codes: CodeMap) -> Iterator[Rating]:
    """One for each session and rater: a rater may have a file for each emotion."""
    whole: defaultdict[tuple[str, str, str], list[Coded]] = defaultdict(list)
    for one in found:
        whole[one.patient_id, one.session_id, one.rater] += one.coded
    for (patient, session, rater), coded in sorted(whole.items()):
        labelled = sorted(
            {Stretch(each.start_s, each.end_s, codes.label(each.code) or LEFT_OUT) for each in coded},
            key=lambda stretch: (stretch.start_s, stretch.end_s, stretch.label),
        )
        yield Rating(
            patient,
            session,
            rater,
            tuple(one for one in labelled if one.label not in (LEFT_OUT, UNRATEABLE)),
            tuple((one.start_s, one.end_s) for one in labelled if one.label == UNRATEABLE),
            codes.uncoded,
        )


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


def _some(names: SessionNames) -> str:
    known = sorted(names.known)
    return ", ".join(" ".join(ids) for ids in known[:3]) + (" …" if len(known) > 3 else "")


def clean_name(text: str) -> str:
    """A rater's name for tables and pages: one line, not long."""
    return re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in text)).strip()[:60]
