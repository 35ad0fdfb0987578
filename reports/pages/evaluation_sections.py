"""The sections of an evaluation's page, in order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from reports.figures.evaluation import (
    FEW_THRESHOLDS,
    READING_LOOKS,
    abstaining_figure,
    reliability_figure,
    robustness_figure,
)
from reports.pages.sections import Section
from reports.words.evaluation import (
    Format,
    Heading,
    Values,
    confusion,
    head_in_use,
    heading,
    key_reading,
    mistakes,
)
from reports.words.formatting import signed
from reports.words.labels import EMOTION_ORDER
from reports.words.language import Language, marked


@dataclass(frozen=True)
class Row:
    """One row of a table with a column for each reading."""

    label: str
    cells: list[str]


_ACCURACY: tuple[tuple[str, Callable[[Values, Format], str]], ...] = (
    (marked("Faces"), lambda one, shown: shown.number(one["count"])),
    (marked("Accuracy, one crop"), lambda one, shown: shown.percent(one["accuracy"]["value"])),
    (marked("… 95 %% interval"), lambda one, shown: shown.interval(one["accuracy"])),
    (
        marked("… pictures without a twin in training"),
        lambda one, shown: shown.percent(one["accuracy_unseen"]),
    ),
    (
        marked("Accuracy, face and mirror image"),
        lambda one, shown: shown.percent(one["accuracy_mirrored"]["value"]),
    ),
    (marked("… 95 %% interval"), lambda one, shown: shown.interval(one["accuracy_mirrored"])),
    (marked("Accuracy, ten crops"), lambda one, shown: shown.percent(one["accuracy_ten_crops"])),
    (marked("Macro F1"), lambda one, shown: shown.number(one["macro_f1"]["value"], 3)),
    (marked("Calibration error (ECE), raw"), lambda one, shown: shown.number(one["ece_raw"], 3)),
    (marked("… with the temperature"), lambda one, shown: shown.number(one["ece"], 3)),
    (marked("… cross-fitted"), lambda one, shown: shown.number(one["ece_cross_fitted"], 3)),
    (marked("Log loss"), lambda one, shown: shown.number(one["log_loss"], 3)),
    (marked("Temperature"), lambda one, shown: shown.number(one["temperature"], 2)),
)


def _accuracy(found: Values, language: Language) -> dict[str, Any]:
    shown = Format(language)
    rows = [
        Row(language.gettext(label), [show(one, shown) for one in found["readings"]])
        for label, show in _ACCURACY
    ]
    return {"columns": _headings(found, language), "rows": rows}


def _recall(found: Values, language: Language) -> dict[str, Any]:
    counts = [confusion(reading) for reading in found["readings"]]
    rows = {
        name: [
            {"recall": reading["recall"][name], "faces": sum(matrix[name].values())}
            for reading, matrix in zip(found["readings"], counts, strict=True)
        ]
        for name in EMOTION_ORDER
    }
    return {"columns": _headings(found, language), "rows": rows, "percent": Format(language).percent}


def _confusion(found: Values, language: Language) -> dict[str, Any]:
    return {
        "matrices": [
            (name, confusion(reading), mistakes(reading, language))
            for name, reading in zip(_headings(found, language), found["readings"], strict=True)
        ],
        "order": EMOTION_ORDER,
        "percent": Format(language).percent,
        "faces_text": Format(language).faces,
    }


def _calibration(found: Values, language: Language) -> dict[str, Any]:
    readings = found["readings"]
    return {
        "readings": _legend(found, language),
        "figure": reliability_figure(readings, language),
        "tables": list(zip(_headings(found, language), readings, strict=True)),
        "voted": any(reading["truth"] == "majority" for reading in readings),
        "percent": Format(language).percent,
        "number": Format(language).number,
    }


def _abstaining(found: Values, language: Language) -> dict[str, Any]:
    readings, key = found["readings"], key_reading(found)
    by_threshold = [{one["threshold"]: one for one in reading["abstaining"]} for reading in readings]
    thresholds = sorted(set().union(*by_threshold))
    # below, nothing is left out, and every row would say the same
    telling = [
        t for t in thresholds if t == 0 or any(one[t]["answered"] < 1 for one in by_threshold if t in one)
    ]
    return {
        "readings": _legend(found, language),
        "figure": abstaining_figure(readings, key or readings[0], language),
        "few": language.listed([language.plain(threshold) for threshold in FEW_THRESHOLDS]),
        "columns": _headings(found, language),
        "rows": [(threshold, [one.get(threshold) for one in by_threshold]) for threshold in telling],
        "percent": Format(language).percent,
    }


def _groups(found: Values, language: Language) -> dict[str, Any]:
    by_labels = (
        one for one in found["readings"] if one["truth"] == "labels" and one["head"] == head_in_use(found)
    )
    overall = next((one["accuracy_mirrored"]["value"] for one in by_labels), None)
    return {
        "groups": found["groups"],
        "overall": overall,
        "order": EMOTION_ORDER,
        "percent": Format(language).percent,
        "interval": Format(language).interval,
        "number": Format(language).number,
    }


def _as_used(found: Values, language: Language) -> dict[str, Any]:
    used = found["as_used"]
    percent = Format(language).percent
    rows = [
        Row(language.gettext("Faces that the detector finds"), [percent(one["found"]) for one in used]),
        Row(language.gettext("Accuracy, cut out of the video"), [percent(one["accuracy"]) for one in used]),
        Row(
            language.gettext("Accuracy, the benchmark’s own crops"),
            [percent(one["benchmark"]) for one in used],
        ),
        Row(
            language.gettext("Gap, in points"),
            [signed(100 * (one["accuracy"] - one["benchmark"]), 1, language) for one in used],
        ),
    ]
    return {"columns": _headings(found, language, "as_used"), "rows": rows}


def _robustness(found: Values, language: Language) -> dict[str, Any]:
    reading = key_reading(found)
    undisturbed = reading["accuracy_mirrored"]["value"] if reading else None
    return {
        "corruptions": found["robustness"],
        "figure": robustness_figure(found["robustness"], undisturbed, language),
        "undisturbed": undisturbed,
        "corruption": Format(language).corruption,
        "covers": found["covers"],
        "percent": Format(language).percent,
    }


def _details(found: Values, language: Language) -> dict[str, Any]:
    return {"found": found, "percent": Format(language).percent, "number": Format(language).number}


def _unknown(found: Values, language: Language) -> dict[str, Any]:
    return {"found": found, "percent": Format(language).percent}


def _headings(found: Values, language: Language, part: str = "readings") -> list[Heading]:
    return [heading(found, reading, language) for reading in found[part]]


def _legend(found: Values, language: Language) -> list[tuple[Heading, str, str]]:
    """Heading, colour and sign of each reading."""
    return [(one, *look) for one, look in zip(_headings(found, language), cycle(READING_LOOKS), strict=False)]


def _section(
    name: str, title: str, needs: str | None, fill: Callable[[Values, Language], Mapping[str, Any]]
) -> Section[Values]:
    """:param needs: the part of the evaluation without which the section is left out; None: never."""
    return Section(name, title, _where(needs, fill))


def _where(
    needs: str | None, fill: Callable[[Values, Language], Mapping[str, Any]]
) -> Callable[[Values, Language], Mapping[str, Any] | None]:
    return lambda found, language: fill(found, language) if needs is None or found[needs] else None


SECTIONS = (
    _section("accuracy", marked("How often it is right"), "readings", _accuracy),
    _section("recall", marked("Which expressions it recognises"), "readings", _recall),
    _section("confusion", marked("What it takes them for"), "readings", _confusion),
    _section("calibration", marked("Whether its confidence can be believed"), "readings", _calibration),
    _section("abstaining", marked("Answering only when it is sure"), "readings", _abstaining),
    _section("groups", marked("How it reads different groups"), "groups", _groups),
    _section("as_used", marked("As it is used: out of a video"), "as_used", _as_used),
    _section("robustness", marked("In poor pictures"), "robustness", _robustness),
    _section("details", marked("Weights, speed and precision"), None, _details),
    _section("unknown", marked("What is not known"), None, _unknown),
)
