"""How often intervals of adjusted shares hold the true share, in many simulated studies.

PYTHONPATH=.:tests/support python tests/manual/misreading_trial.py [RUNS]
"""

import sys

import numpy as np
from misread_clips import TRUE, misread_study

from pipeline.stats.misreading import adjusted_with_interval


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    for rated in (100, 200):
        pairs = [adjusted_with_interval(misread_study(seed, rated)) for seed in range(runs)]
        for name, shares in zip(("adjusted", "as read"), zip(*pairs, strict=True), strict=True):
            holds = np.mean([(one.low <= TRUE) & (one.high >= TRUE) for one in shares], axis=0)
            bias = np.mean([one.value for one in shares], axis=0) - TRUE
            width = np.mean([one.high - one.low for one in shares], axis=0)
            numbers = f"covers {holds.round(3)}, bias {bias.round(3)}, width {width.round(2)}"
            print(f"{rated} clips, {name}: {numbers}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
