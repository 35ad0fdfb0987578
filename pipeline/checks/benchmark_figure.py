"""Draw a benchmark: share of each stage, and time against length of the video and number of faces."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.checks.benchmark import Costs

_INK, _LINE, _FAINT = "#1d2b36", "#0072b2", "#e3e7ea"


def draw_benchmark(costs: Costs, path: Path) -> None:
    """Write the figure; the path's suffix is the format (PNG, SVG, PDF)."""
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    shares, length, faces = figure.subplots(1, 3)
    _draw_shares(shares, costs)
    # results come in batches; the last result of a batch has the time of the batch
    batch_ends = np.flatnonzero(np.diff(costs.progress[:, 1].round(2), append=np.inf))
    length.plot(*costs.progress[batch_ends].T, "o-", color=_LINE)
    length.set(title="Length", xlabel="of the video, s", ylabel="taken until there, s")
    length.set(xlim=(0, None), ylim=(0, None))
    faces.plot(costs.by_faces[:, 0], 1000 * costs.by_faces[:, 1], "o-", color=_LINE)
    faces.set(title="Number of faces", xlabel="in one picture", ylabel="ms a sample", ylim=(0, None))
    for axes in (shares, length, faces):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color=_FAINT)
        axes.set_axisbelow(True)
    figure.savefig(path, dpi=150)


def _draw_shares(axes: Axes, costs: Costs) -> None:
    names = ["decoding alone", *costs.stages_s, "end to end"]
    seconds = [costs.decode_s, *costs.stages_s.values(), costs.end_to_end_s]
    bars = axes.barh(names, seconds, color=[_FAINT, *[_LINE] * len(costs.stages_s), _INK])
    axes.bar_label(bars, fmt="%.1f", padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set(title="Stages", xlabel="s")
