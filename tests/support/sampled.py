"""Collect the samples of a video."""

import numpy as np

from pipeline.video.decoding import SampledVideo


def collect(video: SampledVideo) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[np.ndarray]]:
    """Samples, indices, times and pictures of a whole video."""
    batches = list(video)
    sample, index, time_s = (
        np.concatenate([getattr(batch, name) for batch in batches]) for name in ("sample", "index", "time_s")
    )
    return sample, index, time_s, [image for batch in batches for image in batch.images]
