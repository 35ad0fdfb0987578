"""Pictures of a training run and of an evaluation."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import ConfusionMatrixDisplay

from emonext.evaluation import Evaluation
from emonext.model import LABELS


def draw_confusion(found: Evaluation, path: Path) -> None:
    """The confusion matrix as shares of each true class, in the format of the path's ending."""
    counts = np.array(found.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.subplots()
    display = ConfusionMatrixDisplay(shares, display_labels=LABELS)
    display.plot(ax=axes, cmap="Blues", values_format=".0%", xticks_rotation=45, im_kw={"vmin": 0, "vmax": 1})
    axes.set_title(f"{found.count} faces, {found.accuracy:.1%} right (one crop)")
    axes.set_xlabel("predicted")
    axes.set_ylabel("labelled")
    figure.savefig(path, dpi=150)
