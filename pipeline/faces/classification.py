"""Classify faces in full batches across samples."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.records import Face, FrameFaces

DEFAULT_BATCH_SIZE = 64

ClassifyFaces = Callable[[NDArray[np.uint8]], tuple[NDArray[np.float32], NDArray[np.float32]]]
"""(N, S, S, 3) uint8 RGB crops → (N, 7) float32 probabilities, and (N,) how far each face is hidden, 0…1."""


def score_emotions(
    samples: Iterable[FrameFaces], classify: ClassifyFaces, batch_size: int = DEFAULT_BATCH_SIZE
) -> Iterator[FrameFaces]:
    """Add probabilities and cover to every face. Samples wait until a batch is full of faces or samples."""
    waiting: list[FrameFaces] = []
    faces = 0
    for sample in samples:
        waiting.append(sample)
        faces += len(sample.faces)
        if max(faces, len(waiting)) >= batch_size:
            yield from _scored(waiting, classify, batch_size)
            waiting, faces = [], 0
    yield from _scored(waiting, classify, batch_size)


def _scored(samples: list[FrameFaces], classify: ClassifyFaces, batch_size: int) -> Iterator[FrameFaces]:
    crops = [face.crop for sample in samples for face in sample.faces]
    starts = range(0, len(crops), batch_size)
    batches = (classify(np.stack(crops[start : start + batch_size])) for start in starts)
    found = (face for batch in batches for face in zip(*batch, strict=True))
    for sample in samples:
        faces = []
        for face in sample.faces:
            probabilities, covered = next(found)
            faces.append(replace(face, probabilities=probabilities, covered=float(covered)))
        yield replace(sample, faces=tuple(faces))


def probabilities_of(face: Face) -> NDArray[np.float32]:
    """(7,) of a face that :func:`score_emotions` gave its probabilities."""
    assert face.probabilities is not None
    return face.probabilities
