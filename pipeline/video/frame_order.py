"""Whether a container's times can be believed, and times for pictures whose times can't."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

# H.264 and HEVC hold back at most so many pictures to put them in order.
_MOST_REORDERED = 16


@dataclass(frozen=True)
class Packet:
    """One packet of a video stream; times are in the stream's time base.

    :param pts: when its picture is shown. ``dts``: when it is decoded. Either can be missing.
    :param length: how long its picture is shown; 0 where that is not known.
    :param key: its picture stands alone.
    :param hidden: an edit list leaves its picture out, or the packet is empty.
    :param size: bytes.
    :param torn: the container finds that a part of it, or of one beside it, is lost.
    """

    pts: int | None
    dts: int | None
    length: int
    key: bool
    hidden: bool
    size: int
    torn: bool = False


def times_of(packets: Iterable[Packet]) -> list[int]:
    """When the pictures of the packets are shown, as far as the packets say so."""
    return [packet.pts for packet in packets if packet.pts is not None]


def ascends(times: Sequence[int]) -> bool:
    """Whether each time is later than the one before."""
    return all(one < other for one, other in pairwise(times))


def in_order(packets: Sequence[Packet]) -> bool:
    """Whether the times can be those of one recording: all there, none twice, none going back.

    The order in the file differs from the order of showing only between two key frames: whatever lies before
    a key frame in the file is shown before it.
    """
    seen: set[int] = set()
    latest_pts: int | None = None
    last_dts: int | None = None
    for packet in packets:
        if packet.pts is None or packet.pts in seen:
            return False
        if packet.key and latest_pts is not None and packet.pts <= latest_pts:
            return False
        if packet.dts is not None:
            if last_dts is not None and packet.dts < last_dts:
                return False
            last_dts = packet.dts
        seen.add(packet.pts)
        latest_pts = packet.pts if latest_pts is None else max(latest_pts, packet.pts)
    return True


def times_in_decoded_order(
    shown_pts: Sequence[int | None], step: float
) -> tuple[NDArray[np.float64], list[int]]:
    """Ascending times for pictures in the decoder's order, of which the order alone is believed.

    Where the time falls back by more than a decoder can reorder, another take begins: its clock is put after
    the end of the one before. Within a take the times are sorted; missing and repeated ones are spread
    evenly.

    :param shown_pts: of the decoder's pictures, in its order; none where a picture has no time.
    :param step: usual time from one picture to the next, in the same unit.
    :returns: (F,) float64 strictly ascending, and where takes after the first begin.
    """
    pts = np.array([np.nan if time is None else time for time in shown_pts], np.float64)
    starts = _takes(pts, step)
    placed: list[NDArray[np.float64]] = []
    for take in np.split(pts, starts):
        times = _spread(take, step)
        placed.append(times + max(0.0, placed[-1][-1] + step - times[0]) if placed else times)
    return np.concatenate(placed), starts


def _takes(pts: NDArray[np.float64], step: float) -> list[int]:
    """Where the time falls back further than reordering explains."""
    starts: list[int] = []
    latest = -np.inf
    for place, time in enumerate(pts.tolist()):
        if time < latest - _MOST_REORDERED * step:
            starts.append(place)
            latest = time
        elif time > latest:
            latest = time
    return starts


def _spread(pts: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """One take's times, sorted; a missing or repeated one lies evenly between its neighbours."""
    known = np.flatnonzero(~np.isnan(pts))
    if not len(known):
        return np.arange(len(pts), dtype=np.float64) * step
    times = np.sort(pts[known])
    first = np.diff(times, prepend=-np.inf) > 0
    places, times = known[first], times[first]
    before, after = times[0] - (places[0] + 1) * step, times[-1] + (len(pts) - places[-1]) * step
    spread = np.interp(np.arange(len(pts)), [-1, *places, len(pts)], [before, *times, after])
    return np.asarray(spread, np.float64)
