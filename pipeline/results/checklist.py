"""The reporting checklist of a study: items that the folder answers, and items for the authors. In English.

An answer is computed from the folder, or is a fact of the program. Where the folder does not show a fact, the
item is left to the authors. The guidelines: STROBE (von Elm et al. 2007), STARD 2015 (Bossuyt et al. 2015),
GRRAS (Kottner et al. 2011), TRIPOD+AI (Collins et al. 2024), CLAIM (Mongan et al. 2020), CONSORT-AI (Liu et
al. 2020) and SPIRIT-AI (Cruz Rivera et al. 2020). An item's number stands only where it was looked up.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.results import checklist_answers as answers
from pipeline.results.checklist_facts import Facts
from pipeline.store.counts import number_of
from pipeline.store.files import atomic

CHECKLIST_FILES = ("checklist.md", "checklist.html")
FOR_AUTHORS = "For the authors."


@dataclass(frozen=True)
class Item:
    """One item.

    :param sources: guidelines, with the number of their item where it is certain.
    :param answer: returns ``None`` where the folder does not show the fact; ``None``: always for the authors.
    """

    topic: str
    asks: str
    sources: str
    answer: Callable[[Facts], str | None] | None = None


@dataclass(frozen=True)
class Answered:
    """:param text: ``None`` for the authors."""

    item: Item
    text: str | None


DATA, MODEL, VALIDATION = "Participants and data", "Model", "Validation on this study's recordings"
ANALYSIS, ETHICS = "Analysis", "Ethics, privacy and openness"

ITEMS = (
    Item(DATA, "Setting, places and how participants were found", "STROBE 5; STARD 8; TRIPOD+AI 6a"),
    Item(DATA, "Who could take part", "STROBE 6a; STARD 6; TRIPOD+AI 6b"),
    Item(DATA, "Age, sex, diagnosis and its stage, other characteristics", "STROBE 14a"),
    Item(DATA, "Why this number of participants and sessions", "STROBE 10; STARD 18; GRRAS 6; TRIPOD+AI"),
    Item(DATA, "Dates of the recordings", "STROBE 5; TRIPOD+AI 5b", answers.dates),
    Item(DATA, "Numbers of patients and sessions at each stage", "STROBE 13a; STARD 19", answers.stages),
    Item(DATA, "Sessions that were left out, and why", "STROBE 13b", answers.left_out),
    Item(DATA, "Conditions compared", "STROBE 7", answers.conditions),
    Item(DATA, "Time recorded, and share in which the face was read", "STROBE 14b", answers.coverage),
    Item(DATA, "How missing data were handled", "STROBE 12c; STARD 16; TRIPOD+AI", answers.missing_data),
    Item(DATA, "Whether the person read is the patient", "STROBE 8", answers.identity),
    Item(MODEL, "Intended use and limits", "STARD 3, 26, 27; STROBE 19; CLAIM", answers.intended_use),
    Item(MODEL, "Model and weights", "STARD 10a; TRIPOD+AI; CLAIM", answers.weights),
    Item(MODEL, "Data on which the weights were trained", "TRIPOD+AI; CLAIM", answers.training_data),
    Item(MODEL, "Accuracy of the weights on labelled faces", "TRIPOD+AI; CLAIM", answers.accuracy),
    Item(MODEL, "Preprocessing and settings", "STROBE 8; STARD 10a; CLAIM", answers.settings),
    Item(MODEL, "What the model gives, and how it is grouped", "STARD 12a; TRIPOD+AI", answers.output),
    Item(MODEL, "Version of the software, and devices", "CONSORT-AI; CLAIM", answers.software),
    Item(MODEL, "Who used the results, and for which decisions", "CONSORT-AI; SPIRIT-AI"),
    Item(VALIDATION, "Model against raters", "STARD 24; GRRAS 13; TRIPOD+AI", answers.validation),
    Item(VALIDATION, "Agreement between raters", "GRRAS 13", answers.between_raters),
    Item(VALIDATION, "Raters, and what they rated", "GRRAS 11", answers.raters),
    Item(VALIDATION, "Training of the raters, blinding and independence", "GRRAS 8, 9, 12; STARD 13b"),
    Item(VALIDATION, "Accuracy in groups of patients (age, sex, skin, stage)", "TRIPOD+AI"),
    Item(ANALYSIS, "Statistical methods", "STROBE 12a; GRRAS 10; TRIPOD+AI", answers.methods),
    Item(ANALYSIS, "Planned and not planned analyses", "STROBE 3; STARD 4; TRIPOD+AI", answers.planned),
    Item(ANALYSIS, "Main results with intervals", "STROBE 16a", answers.results),
    Item(ANALYSIS, "Other analyses", "STROBE 17", answers.other_analyses),
    Item(ETHICS, "Ethics approval, and how consent was asked for", "TRIPOD+AI; SPIRIT-AI"),
    Item(ETHICS, "Sessions without consent", "STROBE 13b", answers.consent),
    Item(ETHICS, "Where recordings and results are processed", "SPIRIT-AI", answers.place),
    Item(ETHICS, "Pictures of people in the results", "SPIRIT-AI", answers.pictures),
    Item(ETHICS, "Expression of other people in the picture", "SPIRIT-AI", answers.others),
    Item(ETHICS, "Encryption of the results", "SPIRIT-AI", answers.encryption),
    Item(ETHICS, "Registration and protocol", "STARD 28, 29; TRIPOD+AI"),
    Item(ETHICS, "Where data and code can be had", "TRIPOD+AI; CLAIM"),
    Item(ETHICS, "Funding and interests", "STROBE 22; STARD 30; TRIPOD+AI"),
)


def answer_items(facts: Facts) -> tuple[Answered, ...]:
    """Every item, in order, with its answer."""
    return tuple(Answered(item, item.answer(facts) if item.answer else None) for item in ITEMS)


def in_topics(items: Sequence[Answered]) -> dict[str, list[Answered]]:
    """The items by topic, in order."""
    topics: dict[str, list[Answered]] = {}
    for one in items:
        topics.setdefault(one.item.topic, []).append(one)
    return topics


def outcome(items: Sequence[Answered]) -> str:
    """``24 of 37 items filled in; 13 for the authors.``"""
    filled = sum(one.text is not None for one in items)
    return f"{filled} of {number_of(len(items), 'item')} filled in; {len(items) - filled} for the authors."


def preface(items: Sequence[Answered]) -> str:
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"{outcome(items)} Computed on {made} from the results folder: make it again after every change of "
        "the results. Where a guideline has no number, look its item up; check every item against the "
        "guideline of your study's kind."
    )


def write_checklist(out: Path, items: Sequence[Answered]) -> Path:
    """Write ``summaries/checklist.md``.

    :raises OutputError: it can't be written.
    """
    lines = ["# Reporting checklist", preface(items)]
    for topic, those in in_topics(items).items():
        rows = [("Item", "Guideline", "Answer"), ("---",) * 3]
        rows += [(one.item.asks, one.item.sources, one.text or FOR_AUTHORS) for one in those]
        lines += [f"## {topic}", "\n".join(map(_row, rows))]
    path = out / "summaries" / CHECKLIST_FILES[0]
    with atomic(path) as partial:
        partial.write_text("\n\n".join(lines) + "\n", encoding="utf-8")
    return path


def _row(cells: Sequence[str]) -> str:
    plain = (" ".join(cell.split()).replace("\\", "\\\\").replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(plain)} |"
