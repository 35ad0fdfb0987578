"""video.frame_order against hand-made sequences."""

import numpy as np
import pytest

from pipeline.video.frame_order import Packet, in_order, times_in_decoded_order


def packets(*times: int | None, keys: tuple[int, ...] = (0,), dts: tuple[int, ...] = ()) -> list[Packet]:
    """Packets in the order of the file; ``keys`` are places of key frames."""
    return [
        Packet(pts, dts[place] if dts else None, 1, place in keys, hidden=False, size=100)
        for place, pts in enumerate(times)
    ]


@pytest.mark.parametrize(
    "found",
    [
        packets(),
        packets(7),
        packets(0, 1, 2),
        packets(0, 3, 1, 2, 6, 4, 5),
        packets(0, 3, 1, 2, 7, 4, 5, 6, keys=(0, 4)),
        packets(0, 1, 500, 501, keys=(0, 2)),
        packets(0, 3, 1, 2, dts=(-2, -1, 0, 1)),
    ],
    ids=["none", "one", "stored as shown", "reordered", "open group", "clock ahead", "decoding times"],
)
def test_times_of_one_recording_are_in_order(found: list[Packet]) -> None:
    assert in_order(found)


@pytest.mark.parametrize(
    "found",
    [
        packets(0, None, 2),
        packets(0, 1, 1, 2),
        packets(0, 1, 2, 3, 0, 1, keys=(0, 4)),
        packets(0, 1, 2, 3, 2, 3, 4, keys=(0, 4)),
        packets(10, 11, 12, 4, 5, 6, keys=(0, 3)),
        packets(0, 1, 2, 3, dts=(0, 1, 0, 1)),
    ],
    ids=["no time", "twice", "clock starts again", "clocks overlap", "clock before", "decoded earlier"],
)
def test_times_of_several_recordings_are_not(found: list[Packet]) -> None:
    assert not in_order(found)


@pytest.mark.parametrize(
    ("shown", "times", "takes"),
    [
        ([5], [5], []),
        ([0, 1, 2], [0, 1, 2], []),
        ([1, 3, 2, 4, 6, 5], [1, 2, 3, 4, 5, 6], []),
        ([0, None, 2, None], [0, 1, 2, 3], []),
        ([None, None, None], [0, 1, 2], []),
        ([None, 4, 5], [3, 4, 5], []),
        ([0, 0, 2, 2, 4, 4], [0, 1, 2, 3, 4, 5], []),
        ([*range(50), *range(50)], range(100), [50]),
        ([*range(100, 140), *range(40)], range(100, 180), [40]),
        ([*range(40), *range(20, 60)], range(80), [40]),
        ([*range(30), *range(30), *range(30)], range(90), [30, 60]),
        ([0, 1, 2, 60, 61], [0, 1, 2, 60, 61], []),
    ],
    ids=[
        *("one", "good", "scrambled", "some without", "all without", "the first without", "pairs"),
        *("starts again", "starts earlier", "overlaps", "three takes", "a hole stays"),
    ],
)
def test_times_in_decoded_order(shown: list[int | None], times: list[float], takes: list[int]) -> None:
    found, starts = times_in_decoded_order(shown, 1.0)
    np.testing.assert_allclose(found, list(times))
    assert starts == takes


@pytest.mark.parametrize("seed", range(50))
def test_times_in_decoded_order_always_ascend(seed: int) -> None:
    random = np.random.default_rng(seed)
    shown = [None if random.random() < 0.1 else int(time) for time in random.integers(0, 200, 80)]
    found, _ = times_in_decoded_order(shown, 1.0)
    assert len(found) == 80
    assert (np.diff(found) > 0).all()
