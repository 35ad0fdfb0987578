"""The sections of an evaluation's page, in order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from reports.figures.evaluation import (
    READING_LOOKS,
    abstaining_figure,
    reliability_figure,
    robustness_figure,
)
from reports.pages.sections import Section
from reports.words.evaluation import (
    Heading,
    Values,
    confusion,
    head_in_use,
    heading,
    interval,
    key_reading,
    mistakes,
    number,
    percent,
)
from reports.words.formatting import signed
from reports.words.labels import EMOTION_ORDER
from reports.words.language import ENGLISH


@dataclass(frozen=True)
class Row:
    """One row of a table with a column for each reading."""

    label: str
    cells: list[str]


def _accuracy(found: Values) -> dict[str, Any]:
    shown: list[tuple[str, Callable[[Values], str]]] = [
        ("Faces", lambda one: f"{one['count']:,}"),
        ("Accuracy, one crop", lambda one: percent(one["accuracy"]["value"])),
        ("… 95 % interval", lambda one: interval(one["accuracy"])),
        ("… pictures without a twin in training", lambda one: percent(one["accuracy_unseen"])),
        ("Accuracy, face and mirror image", lambda one: percent(one["accuracy_mirrored"]["value"])),
        ("… 95 % interval", lambda one: interval(one["accuracy_mirrored"])),
        ("Accuracy, ten crops", lambda one: percent(one["accuracy_ten_crops"])),
        ("Macro F1", lambda one: number(one["macro_f1"]["value"], 3)),
        ("Calibration error (ECE), raw", lambda one: number(one["ece_raw"], 3)),
        ("… with the temperature", lambda one: number(one["ece"], 3)),
        ("… cross-fitted", lambda one: number(one["ece_cross_fitted"], 3)),
        ("Log loss", lambda one: number(one["log_loss"], 3)),
        ("Temperature", lambda one: number(one["temperature"], 2)),
    ]
    rows = [Row(label, [show(one) for one in found["readings"]]) for label, show in shown]
    return {"columns": _headings(found), "rows": rows}


def _recall(found: Values) -> dict[str, Any]:
    counts = [confusion(reading) for reading in found["readings"]]
    rows = {
        name: [
            {"recall": reading["recall"][name], "faces": sum(matrix[name].values())}
            for reading, matrix in zip(found["readings"], counts, strict=True)
        ]
        for name in EMOTION_ORDER
    }
    return {"columns": _headings(found), "rows": rows, "percent": percent}


def _confusion(found: Values) -> dict[str, Any]:
    return {
        "matrices": [
            (name, confusion(reading), mistakes(reading))
            for name, reading in zip(_headings(found), found["readings"], strict=True)
        ],
        "order": EMOTION_ORDER,
        "percent": percent,
    }


def _calibration(found: Values) -> dict[str, Any]:
    readings = found["readings"]
    return {
        "readings": _legend(found),
        "figure": reliability_figure(readings),
        "tables": list(zip(_headings(found), readings, strict=True)),
        "voted": any(reading["truth"] == "majority" for reading in readings),
        "percent": percent,
        "number": number,
    }


def _abstaining(found: Values) -> dict[str, Any]:
    readings, key = found["readings"], key_reading(found)
    by_threshold = [{one["threshold"]: one for one in reading["abstaining"]} for reading in readings]
    thresholds = sorted(set().union(*by_threshold))
    # below, nothing is left out, and every row would say the same
    telling = [
        t for t in thresholds if t == 0 or any(one[t]["answered"] < 1 for one in by_threshold if t in one)
    ]
    return {
        "readings": _legend(found),
        "figure": abstaining_figure(readings, key or readings[0]),
        "columns": _headings(found),
        "rows": [(threshold, [one.get(threshold) for one in by_threshold]) for threshold in telling],
        "percent": percent,
    }


def _groups(found: Values) -> dict[str, Any]:
    by_labels = (
        one for one in found["readings"] if one["truth"] == "labels" and one["head"] == head_in_use(found)
    )
    overall = next((one["accuracy_mirrored"]["value"] for one in by_labels), None)
    return {
        "groups": found["groups"],
        "overall": overall,
        "order": EMOTION_ORDER,
        "percent": percent,
        "interval": interval,
    }


def _as_used(found: Values) -> dict[str, Any]:
    used = found["as_used"]
    rows = [
        Row("Faces that the detector finds", [percent(one["found"]) for one in used]),
        Row("Accuracy, cut out of the video", [percent(one["accuracy"]) for one in used]),
        Row("Accuracy, the benchmark’s own crops", [percent(one["benchmark"]) for one in used]),
        Row(
            "Gap, in points", [signed(100 * (one["accuracy"] - one["benchmark"]), 1, ENGLISH) for one in used]
        ),
    ]
    return {"columns": _headings(found, "as_used"), "rows": rows}


def _robustness(found: Values) -> dict[str, Any]:
    reading = key_reading(found)
    undisturbed = reading["accuracy_mirrored"]["value"] if reading else None
    return {
        "corruptions": found["robustness"],
        "figure": robustness_figure(found["robustness"], undisturbed),
        "undisturbed": undisturbed,
        "covers": found["covers"],
        "percent": percent,
    }


def _details(found: Values) -> dict[str, Any]:
    return {"found": found, "percent": percent, "number": number}


def _unknown(found: Values) -> dict[str, Any]:
    return {"found": found}


def _headings(found: Values, part: str = "readings") -> list[Heading]:
    return [heading(found, reading) for reading in found[part]]


def _legend(found: Values) -> list[tuple[Heading, str, str]]:
    """Heading, colour and sign of each reading."""
    return [(one, *look) for one, look in zip(_headings(found), cycle(READING_LOOKS), strict=False)]


def _section(
    name: str, title: str, needs: str | None, fill: Callable[[Values], Mapping[str, Any]]
) -> Section[Values]:
    """:param needs: the part of the evaluation without which the section is left out; None: never."""
    return Section(name, title, lambda found, _: fill(found) if needs is None or found[needs] else None)


SECTIONS = (
    _section("accuracy", "How often it is right", "readings", _accuracy),
    _section("recall", "Which expressions it recognises", "readings", _recall),
    _section("confusion", "What it takes them for", "readings", _confusion),
    _section("calibration", "Whether its confidence can be believed", "readings", _calibration),
    _section("abstaining", "Answering only when it is sure", "readings", _abstaining),
    _section("groups", "How it reads different groups", "groups", _groups),
    _section("as_used", "As it is used: out of a video", "as_used", _as_used),
    _section("robustness", "In poor pictures", "robustness", _robustness),
    _section("details", "Weights, speed and precision", None, _details),
    _section("unknown", "What is not known", None, _unknown),
)
