"""stats.spread: rows are chosen evenly."""

import pytest

from pipeline.stats.spread import spread


@pytest.mark.parametrize(
    ("count", "most", "chosen"),
    [(0, 3, []), (1, 3, [0]), (3, 5, [0, 1, 2]), (9, 3, [0, 4, 8]), (10, 4, [0, 3, 6, 9])],
)
def test_rows_are_spread_from_the_first_to_the_last(count: int, most: int, chosen: list[int]) -> None:
    assert spread(count, most).tolist() == chosen
