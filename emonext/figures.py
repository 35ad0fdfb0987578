"""Draw figures of a training run and of an evaluation; the path's suffix is the format (PNG, SVG, PDF)."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from emonext.inference import Head
from emonext.model import LABELS
from emonext.results import Evaluation, Reading, Robustness, Truth
from emonext.weight_files import NAME

if TYPE_CHECKING:  # training draws its own curves
    from emonext.training.recipe import Epoch

INK, QUIET, FAINT = "#1d2b36", "#55626d", "#e3e7ea"
LOOK: Any = {
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": QUIET,
    "axes.edgecolor": "#b4bcc2",
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": FAINT,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "legend.frameon": False,
    "svg.fonttype": "none",
}
# Okabe & Ito (2008): distinct with any kind of colour vision
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
MARKERS = ("o", "s", "^", "D")
DPI = 150

PANELS_A_ROW = 3
LARGEST_POINT = 300.0
"""Area of the point of the fullest bin, pt²."""


def draw_evaluation(found: Evaluation, folder: Path) -> list[Path]:
    """Draw all figures of the evaluation as PNG; create the folder if needed.

    :returns: the paths, ``WEIGHTS-FIGURE.png``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # the name comes from the file's card; it must not lead out of the folder
    name = found.weights if NAME.fullmatch(found.weights) else "weights"
    pictures: dict[str, Callable[[Path], None]] = {
        f"confusion-{reading.head}-{reading.truth}": partial(draw_confusion, reading)
        for reading in found.readings
    }
    if found.readings:
        pictures["reliability"] = partial(draw_reliability, found.readings)
    if found.robustness:
        pictures["robustness"] = partial(draw_robustness, found.robustness, undisturbed=_undisturbed(found))
    paths = {folder / f"{name}-{what}.png": draw for what, draw in pictures.items()}
    for path, draw in paths.items():
        draw(path)
    return list(paths)


def draw_confusion(reading: Reading, path: Path) -> None:
    """Confusion matrix: shares of each true class, with the counts."""
    counts = np.array(reading.confusion)
    faces = counts.sum(axis=1)
    shares = counts / np.maximum(faces, 1)[:, None]
    with _picture(path, 7.2, 6.6) as figure:
        axes = figure.subplots()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (true, chosen), count in np.ndenumerate(counts):
            axes.text(chosen, true, _cell(count, faces[true]), **_ink_on(shares[true, chosen]))
        axes.set_xticks(range(len(LABELS)), LABELS)
        axes.set_yticks(
            range(len(LABELS)), [f"{name} ({n:,})" for name, n in zip(LABELS, faces, strict=True)]
        )
        axes.set(xlabel="read as", ylabel="true class (faces)", title=_confusion_title(reading))
        axes.grid(visible=False)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)


def draw_reliability(readings: Sequence[Reading], path: Path) -> None:
    """Reliability diagram: accuracy against confidence; perfect calibration lies on the diagonal."""
    with _picture(path, 6, 6.4) as figure:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=QUIET, linestyle="--", linewidth=1)
        for reading, colour, marker in zip(readings, COLOURS, MARKERS, strict=False):
            _reliability(axes, reading, colour, marker)
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axes.set(xlabel="confidence, with the weights' temperature", ylabel="share that is right")
        axes.set_title("The larger a point, the more faces. ECE: expected calibration error", color=QUIET)
        _in_percent(axes.xaxis, axes.yaxis)
        if readings:
            figure.legend(loc="outside lower left")


def draw_robustness(found: Sequence[Robustness], path: Path, undisturbed: float | None = None) -> None:
    """One panel per corruption, from mild to severe.

    :param undisturbed: the accuracy without corruption, drawn as a line.
    """
    rows = max(1, math.ceil(len(found) / PANELS_A_ROW))
    with _picture(path, 9, 2.6 * rows + 0.3) as figure:
        panels = figure.subplots(rows, PANELS_A_ROW, sharey=True, squeeze=False)
        for axes, one in zip(panels.flat, found, strict=False):
            _robustness(axes, one, undisturbed)
        for axes in panels.flat[len(found) :]:
            axes.set_visible(False)
        for axes in panels[:, 0]:
            axes.set(ylim=(0, 1), ylabel="accuracy")
            _in_percent(axes.yaxis)
        if undisturbed is not None:
            figure.legend(handles=panels[0, 0].lines[:1], loc="outside lower left")


def draw_curves(log: Sequence["Epoch"], path: Path) -> None:
    """Loss and accuracies of a training run, with the learning rate below."""
    epochs = [row.epoch for row in log]
    with _picture(path, 8, 5.4) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
        right = upper.twinx()
        _curve(upper, epochs, [row.loss for row in log], QUIET, "training loss", "{:.2f}")
        _curve(right, epochs, [row.accuracy for row in log], COLOURS[0], "accuracy, labels", "{:.1%}")
        majority = [row.majority_accuracy for row in log]
        if not all(map(math.isnan, majority)):
            _curve(right, epochs, majority, COLOURS[1], "accuracy, majority of votes", "{:.1%}")
        _curve(lower, epochs, [row.learning_rate for row in log], QUIET)
        upper.set(ylabel="training loss")
        right.set(ylabel="accuracy on validation")
        right.spines["right"].set_visible(True)
        right.grid(visible=False)
        _in_percent(right.yaxis)
        lower.set(xlabel="epoch", ylabel="learning\nrate", ylim=(0, None))
        lower.ticklabel_format(axis="y", scilimits=(-2, 2))
        lower.set_xlim(0.5, max(len(log), 1) + 0.5)
        lower.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if log:
            figure.legend(loc="outside upper left", ncols=3)


@contextmanager
def _picture(path: Path, width_in: float, height_in: float) -> Iterator[Figure]:
    """A figure in this module's style, written at exit."""
    with rc_context(LOOK):
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        yield figure
        figure.savefig(path, dpi=DPI, bbox_inches="tight", pad_inches=0.15)


def _reading_words(reading: Reading) -> str:
    """``labels, by the head for votes``."""
    truth = "labels" if reading.truth == "labels" else "majority of votes"
    return f"{truth}, by the head for {reading.head}"


def _undisturbed(found: Evaluation) -> float | None:
    """The accuracy without corruption."""
    pairs: list[tuple[Head, Truth]] = [("votes", "majority"), ("votes", "labels"), ("labels", "labels")]
    readings = [found.reading(head, truth) for head, truth in pairs]
    return next((reading.accuracy_mirrored.value for reading in readings if reading), None)


def _confusion_title(reading: Reading) -> str:
    accuracy, faces = reading.accuracy, "face" if reading.count == 1 else "faces"
    return (
        f"{_reading_words(reading).capitalize()}\n{reading.count:,} {faces}, {accuracy.value:.1%} right "
        f"({accuracy.low:.1%} to {accuracy.high:.1%}), one crop"
    )


def _reliability(axes: Any, reading: Reading, colour: str, marker: str) -> None:
    confidence = [one.confidence for one in reading.reliability]
    right = [one.accuracy for one in reading.reliability]
    counts = np.array([one.count for one in reading.reliability])
    label = f"{_reading_words(reading)}: ECE {reading.ece:.3f}"
    axes.plot(confidence, right, color=colour, linewidth=1, alpha=0.6)
    axes.scatter(
        confidence,
        right,
        s=LARGEST_POINT * counts / max(counts, default=1),
        color=colour,
        marker=marker,
        alpha=0.6,
        linewidths=0,
        label=label,
    )


def _robustness(axes: Any, one: Robustness, undisturbed: float | None) -> None:
    # levels are not evenly spaced, and a more severe level can be a lower number
    places = range(len(one.levels))
    if undisturbed is not None:
        label = f"undisturbed ({undisturbed:.1%})"
        axes.axhline(undisturbed, color=QUIET, linestyle="--", linewidth=1, label=label)
    axes.plot(places, one.accuracy, color=COLOURS[0], marker="o", markersize=4)
    axes.set_xticks(places, [f"{level:g}" for level in one.levels])
    axes.set(title=one.name, xlabel=one.unit)


def _curve(
    axes: Any, x: list[int], y: list[float], colour: str, label: str | None = None, last: str = ""
) -> None:
    named = f"{label} ({last.format(y[-1])})" if label and y else None
    axes.plot(x, y, color=colour, marker="o", markersize=3, label=named)


def _cell(count: int, faces: int) -> str:
    if not faces:
        return "–"
    return f"{count / faces:.0%}\n({count:,})" if count else "0"


def _ink_on(share: float) -> dict[str, Any]:
    colour = "white" if share > 0.5 else INK if share else QUIET
    return {"ha": "center", "va": "center", "color": colour, "fontsize": "small"}


def _in_percent(*axes: Any) -> None:
    for axis in axes:
        axis.set_major_formatter(PercentFormatter(1))
