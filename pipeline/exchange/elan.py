"""Read ratings from ELAN files, and write episodes as files in which a rater corrects them.

A rater has one tier per emotion, or tiers whose annotations are codes. Exported files have one tier for all
emotions, with a controlled vocabulary of the seven: the rater chooses another emotion from a list by a double
click, drags a boundary between two episodes once for both, and cannot leave two emotions on top of each
other. A second, empty tier is for states, such as speaking.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

from pipeline.errors import InputError
from pipeline.exchange.code_map import LEFT_OUT, CodeMap
from pipeline.exchange.coded import Coded, CodedSession, SessionNames, of_others
from pipeline.exchange.elan_file import MALFORMED, ElanFile, pympi, refuse_traps
from pipeline.exchange.exported import Exported, milliseconds
from pipeline.records import EMOTIONS, STATES
from pipeline.store.files import atomic
from pipeline.store.spreadsheet import shown

RATED_TIER = "rated"
"""Tier whose annotations are the rated intervals; their values are ignored."""


def read_elan(path: Path, names: SessionNames, codes: CodeMap) -> tuple[list[CodedSession], list[str]]:
    """Read each annotator's codes, and notes on omitted tiers.

    In a tier named like a code, every annotation has that code, and no value may contradict it. In other
    tiers, the annotations' values are codes; a tier without a known code, such as a transcript, is left out.
    If a tier with known codes depends on another tier, the latter divides the session for it, and its unknown
    values are left out.

    :raises InputError: no ELAN file, an unknown session, or a value that contradicts the tier's name.
    """
    refuse_traps(path)
    try:
        file = ElanFile(path, pympi().Eaf(str(path), suppress_version_warning=True))
        ids, rest = names.of(str(path), path.stem, [medium.name for medium in file.media])
        file = file.moved(names.shift_s(str(path), ids, file.media))
        tiers = {name: file.coded(name, codes) for name in file.tiers if not _states_rated(name, codes)}
        rated = [
            (file.attribute(name, "ANNOTATOR"), span)
            for name in file.tiers
            if _states_rated(name, codes)
            for span in file.spans(name)
        ]
        parents = {name: file.attribute(name, "PARENT_REF") for name in tiers}
        annotators = {name: file.attribute(name, "ANNOTATOR") for name in tiers}
        people = {name: file.attribute(name, "PARTICIPANT") for name in tiers}
        values = {name: file.values(name) for name in tiers if codes.label(name) is not None}
    except MALFORMED as error:
        raise InputError(f"{path}: can't be read as an ELAN file; save it in ELAN again.") from error
    coding = [name for name, coded in tiers.items() if not coded or _is_coding(name, coded, codes)]
    own = {name: people[name] or people.get(parents[name], "") for name in coding}
    own = {name: person for name, person in own.items() if person or tiers[name]}
    own = own if any(tiers[name] for name in own) else {}
    others, notes = of_others(str(path), "participant", own, ids[0])
    tiers = {name: coded for name, coded in tiers.items() if name not in others}
    for name in (name for name in tiers if name in values):
        _refuse_contradictions(path, name, tiers[name], values[name], codes)
        tiers[name], said = _without_left_out(name, tiers[name], values[name], codes)
        notes += said
    used, said = _codings(tiers, parents, codes)
    notes += said
    if others:
        notes.append(f"tiers of other people than the patient were left out: {', '.join(map(shown, others))}")
    by_rater: dict[str, list[Coded]] = {}
    for name, coded in tiers.items():
        if name in used or not coded:
            by_rater.setdefault(annotators[name] or rest, []).extend(used.get(name, ()))
    if any(by_rater.values()):  # an annotator without annotations is no rater
        by_rater = {rater: coded for rater, coded in by_rater.items() if coded}
    by_rater = by_rater or {rest: []}
    sessions = [
        CodedSession(
            *(*ids, rater, tuple(coded), path.name),
            # a rated tier of one rater does not apply to another rater
            tuple(span for who, span in rated if who == rater or who not in by_rater),
        )
        for rater, coded in by_rater.items()
    ]
    return sessions, notes


def _refuse_contradictions(
    path: Path, tier: str, coded: Sequence[Coded], values: Sequence[str], codes: CodeMap
) -> None:
    """Refuse values that deny the name of their tier.

    :raises InputError: a value is another known code, or a negation.
    """
    if codes.label(tier) == LEFT_OUT:
        return
    found = [(one.start_s, value) for one, value in zip(coded, values, strict=True)]
    found = sorted((start_s, value) for start_s, value in found if codes.contradicts(value, tier))
    if found:
        start_s, value = found[0]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise InputError(
            f"{path}: tier {shown(tier)} has an annotation with the value {shown(value)} at {start_s:g} s"
            f"{more}; in ELAN, empty the value if {shown(tier)} is meant, or delete the annotation."
        )


def _without_left_out(
    tier: str, coded: Sequence[Coded], values: Sequence[str], codes: CodeMap
) -> tuple[list[Coded], list[str]]:
    """The annotations whose values the code map does not leave out; and notes on values."""
    if codes.label(tier) == LEFT_OUT:
        return list(coded), []
    left_out = [value for value in values if codes.label(value) == LEFT_OUT]
    ignored = [v for v in values if v and codes.label(v) not in (LEFT_OUT, codes.label(tier))]
    notes = []
    if left_out:
        notes.append(f"tier {shown(tier)}: left out for their values: {_counted(left_out)}")
    if ignored:
        notes.append(f"values of tier {shown(tier)} that are ignored: {_counted(ignored)}")
    kept = zip(coded, values, strict=True)
    return [one for one, value in kept if codes.label(value) != LEFT_OUT], notes


def _counted(values: Iterable[str]) -> str:
    """The most frequent values."""
    counts = sorted(Counter(values).items(), key=lambda item: (-item[1], item[0]))
    more = f", and {len(counts) - _MOST_VALUES} more" if len(counts) > _MOST_VALUES else ""
    return ", ".join(f"{shown(value)} ({count})" for value, count in counts[:_MOST_VALUES]) + more


_MOST_VALUES = 5  # a transcript has thousands


def _codings(
    tiers: Mapping[str, list[Coded]], parents: Mapping[str, str], codes: CodeMap
) -> tuple[dict[str, list[Coded]], list[str]]:
    """The codes of the coding tiers, and notes on omitted tiers."""
    used = {name: coded for name, coded in tiers.items() if _is_coding(name, coded, codes)}
    if any(tiers.values()) and not used:
        used = {
            name: coded for name, coded in tiers.items() if coded
        }  # keep the tier, so that the error names its codes as unknown
    notes = []
    skipped = sorted(name for name, coded in tiers.items() if coded and name not in used)
    if skipped:
        notes.append(f"tiers without a known code were left out: {', '.join(map(shown, skipped))}")
    for name in _with_dependents(used, parents):
        known = [one for one in used[name] if codes.label(one.code) is not None]
        unknown = Counter(one.code for one in used[name] if codes.label(one.code) is None and one.code)
        if known and unknown:
            named = ", ".join(f"{shown(code)} ({count})" for code, count in sorted(unknown.items()))
            notes.append(f"tier {shown(name)} divides the session for other tiers; left out of it: {named}")
            used[name] = [one for one in used[name] if one.code not in unknown]
    for name, coded in used.items():
        empty = sum(not one.code for one in coded)
        if empty:
            notes.append(f"tier {shown(name)}: {empty} without a code left out")
            used[name] = [one for one in coded if one.code]
    return used, notes


def _is_coding(tier: str, coded: list[Coded], codes: CodeMap) -> bool:
    return codes.label(tier) is not None or any(codes.label(one.code) is not None for one in coded)


def _with_dependents(used: Mapping[str, list[Coded]], parents: Mapping[str, str]) -> Iterator[str]:
    """The tiers on which another of the tiers depends."""
    above: set[str] = set()
    for name in used:
        while (name := parents.get(name, "")) and name not in above:
            above.add(name)
    yield from (name for name in used if name in above)


def _states_rated(tier: str, codes: CodeMap) -> bool:
    return tier.strip().lower() == RATED_TIER and codes.label(tier) is None


TIER = "expression"

# Tier, its vocabulary, and the words of that. The second is empty, for a rater to fill in.
_TIERS = ((TIER, "expressions", EMOTIONS), ("state", "states", STATES))
_LANGUAGE = ("und", "http://cdb.iso.org/lg/CDB-00130975-001", "undetermined (und)")

_MIME_TYPES = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mpg": "video/mpeg", ".mpeg": "video/mpeg"}


def write_elan(session: Exported, path: Path, reading: str) -> Path:
    """One session's episodes as an ``.eaf``, to lie beside the recording.

    ELAN does not play one file after another: of a recording in several files the first is linked.

    :raises InputError: the library is missing. :raises OutputError: it can't be written.
    """
    library = pympi()
    file = library.Eaf(author=f"Emonext Care {version('emonext-care')}")
    file.adocument |= {
        "DATE": datetime.now(UTC).isoformat(timespec="seconds"),
        "FORMAT": "3.0",
        "VERSION": "3.0",
        "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
    }
    file.header |= {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"}
    file.remove_tier("default")
    file.add_language(*_LANGUAGE)
    file.linguistic_types.clear()
    for tier, vocabulary, terms in _TIERS:
        file.add_controlled_vocabulary(vocabulary)
        for term in terms:
            file.add_cv_entry(vocabulary, f"cveid_{term}", [(term, _LANGUAGE[0], None)])
        # the type must name its vocabulary, for which the library has no parameter
        kind = {
            "LINGUISTIC_TYPE_ID": tier,
            "TIME_ALIGNABLE": "true",
            "GRAPHIC_REFERENCES": "false",
            "CONTROLLED_VOCABULARY_REF": vocabulary,
        }
        file.add_linguistic_type(tier, param_dict=kind)
        file.add_tier(tier, ling=tier, part=session.patient_id)
    video = session.media[0].name
    file.add_linked_file(
        quote(video),
        relpath=f"./{quote(video)}",
        mimetype=_MIME_TYPES.get(Path(video).suffix.lower(), "video/*"),
    )
    file.add_property("reading", reading)
    for emotion, start_s, end_s in session.of(reading).select("emotion", "start_s", "end_s").iter_rows():
        if milliseconds(start_s) < milliseconds(end_s):
            file.add_annotation(TIER, milliseconds(start_s), milliseconds(end_s), emotion)
    with atomic(path) as partial:
        # the library's own way of writing would rename what lies there
        partial.write_text(
            '<?xml version="1.0" encoding="UTF-8"?>\n' + library.Elan.to_string(file), encoding="utf-8"
        )
    return path
