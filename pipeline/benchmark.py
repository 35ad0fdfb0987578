"""What a minute of video costs, stage by stage."""

import resource
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pipeline.container import probe
from pipeline.emotions import score_emotions
from pipeline.faces import find_faces
from pipeline.session import Instruments, OnProgress, Settings, choose_detector
from pipeline.tracks import track_faces
from pipeline.video import SampledVideo

Item = TypeVar("Item")


@dataclass(frozen=True)
class Costs:
    """Of one video, on this machine.

    :param seconds: spent in each stage, in the order of the flow.
    :param video_s: length of the video, s.
    :param peak_rss_mb: highest resident memory of the process so far, MB (10⁶ bytes).
    """

    width: int
    height: int
    video_s: float
    samples: int
    faces: int
    seconds: dict[str, float]
    peak_rss_mb: float

    @property
    def end_to_end_s(self) -> float:
        return sum(self.seconds.values())


def measure(
    path: Path,
    settings: Settings,
    instruments: Instruments,
    on_progress: OnProgress = lambda done, total: None,
) -> Costs:
    """Runs the stages over the video once; nothing is written.

    :raises VideoError: the video can't be opened.
    """
    info = probe(path)
    video = SampledVideo(info, settings.sample_fps)
    decode = _Timed(video)
    detect = _Timed(find_faces(decode, choose_detector(settings, instruments), instruments.framing))
    track = _Timed(track_faces(detect, settings.max_gap_s))
    classify = _Timed(score_emotions(track, instruments.classify, settings.batch_size))
    samples = faces = 0
    for sample in classify:
        samples, faces = samples + 1, faces + len(sample.faces)
        on_progress(samples, len(video))
    return Costs(
        width=info.width,
        height=info.height,
        video_s=info.duration_s,
        samples=samples,
        faces=faces,
        seconds={
            "decode": decode.total_s,
            "detect": detect.total_s - decode.total_s,
            "track": track.total_s - detect.total_s,
            "classify": classify.total_s - track.total_s,
        },
        peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
    )


class _Timed(Generic[Item]):
    """Passes items on and sums the time spent waiting for them, with all that lies upstream."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = items
        self.total_s = 0.0

    def __iter__(self) -> Iterator[Item]:
        items = iter(self._items)
        while True:
            started = time.perf_counter()
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                self.total_s += time.perf_counter() - started
            yield item
