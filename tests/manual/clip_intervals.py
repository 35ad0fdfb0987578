# ruff: noqa: T201
"""In how many made studies the intervals of rated clips hold the study's own numbers.

Run: python tests/manual/clip_intervals.py --runs 500
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from made_ratings import intervals_that_hold


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    runs = parser.parse_args().runs
    for clips, stops_after, spread in ((60, 1.0, 0.0), (60, 1.0, 0.5), (150, 1.0, 0.5), (150, 0.5, 1.0)):
        found = intervals_that_hold(runs, clips, stops_after, spread)
        print(f"{clips} clips, {stops_after:.0%} answered, patients differ by {spread:g} logits")
        for name, (holds, width) in found.items():
            print(f"  {name:26} holds in {holds:.1%}, width {width:.3f}")


if __name__ == "__main__":
    main()
