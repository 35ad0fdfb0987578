"""Check whether a container's times are reliable, and compute times for pictures if they are not."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

# Maximum number of pictures that H.264 and HEVC hold back for reordering.
_MOST_REORDERED = 16


@dataclass(frozen=True)
class Packet:
    """One packet of a video stream; times are in the stream's time base.

    :param pts: presentation time. ``dts``: decoding time. Either can be missing.
    :param length: duration of the picture; 0 if unknown.
    :param key: whether the picture is a key frame.
    :param hidden: whether an edit list omits the picture, or the packet is empty.
    :param size: bytes.
    :param torn: whether the container reports a lost part of this or a neighbouring packet.
    """

    pts: int | None
    dts: int | None
    length: int
    key: bool
    hidden: bool
    size: int
    torn: bool = False


def times_of(packets: Iterable[Packet]) -> list[int]:
    """Presentation times of the packets' pictures, as far as the packets state them."""
    return [packet.pts for packet in packets if packet.pts is not None]


def ascends(times: Sequence[int]) -> bool:
    """Whether each time is later than the one before."""
    return all(one < other for one, other in pairwise(times))


def in_order(packets: Sequence[Packet]) -> bool:
    """Whether the times can be those of one recording: complete, unique and never falling back.

    File order and presentation order differ only between two key frames: a packet before a key frame in the
    file is shown before it.
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
    """Compute ascending times for pictures in the decoder's order; only the order is used as reliable.

    A new take begins if the time falls back by more than a decoder can reorder; its clock continues after the
    previous take. Within a take, times are sorted; missing and repeated times are spread evenly.

    :param shown_pts: times of the decoder's pictures, in its order; ``None`` for a picture without a time.
    :param step: usual time from one picture to the next, in the same unit.
    :returns: (F,) float64 strictly ascending, and the begins of later takes.
    """
    pts = np.array([np.nan if time is None else time for time in shown_pts], np.float64)
    starts = _takes(pts, step)
    placed: list[NDArray[np.float64]] = []
    for take in np.split(pts, starts):
        times = _spread(take, step)
        placed.append(times + max(0.0, placed[-1][-1] + step - times[0]) if placed else times)
    return np.concatenate(placed), starts


def _takes(pts: NDArray[np.float64], step: float) -> list[int]:
    """Positions at which the time falls back further than reordering explains."""
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
