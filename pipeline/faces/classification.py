"""Classify faces in full batches across samples."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.faces.warp import signed
from pipeline.records import Face, FaceState, FrameFaces

# Large batches are hardly faster, and decoding would wait while they are classified.
DEFAULT_BATCH_SIZE = 16

Pose = tuple[float, float, float]
"""Yaw, pitch and roll of a head, degrees."""

ClassifyFaces = Callable[[NDArray[np.uint8]], tuple[NDArray[np.float32], NDArray[np.float32]]]
"""(N, S, S, 3) uint8 RGB crops → (N, 7) float32 probabilities, and (N,) how far each face is hidden, 0…1."""


ReadStates = Callable[[NDArray[np.uint8]], list[tuple[FaceState, Pose] | None]]
"""(N, 192, 192, 3) uint8 RGB crops → each face's state and pose; ``None`` where the mesh finds no face."""


def score_emotions(
    samples: Iterable[FrameFaces],
    classify: ClassifyFaces,
    batch_size: int = DEFAULT_BATCH_SIZE,
    read_states: ReadStates | None = None,
) -> Iterator[FrameFaces]:
    """Add probabilities, cover and state to every face.

    Samples wait until a batch is full of faces or samples.
    """
    waiting: list[FrameFaces] = []
    faces = 0
    for sample in samples:
        waiting.append(sample)
        faces += len(sample.faces)
        if max(faces, len(waiting)) >= batch_size:
            yield from _with_states(_scored(waiting, classify, batch_size), read_states)
            waiting, faces = [], 0
    yield from _with_states(_scored(waiting, classify, batch_size), read_states)


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


def _with_states(samples: Iterable[FrameFaces], read_states: ReadStates | None) -> Iterator[FrameFaces]:
    """The mesh's pose replaces the one from five landmarks, which takes a smile for a lowered head."""
    if read_states is None:
        yield from samples
        return
    kept = list(samples)
    crops = [face.mesh_crop for sample in kept for face in sample.faces if face.mesh_crop.size]
    found = iter(read_states(np.stack(crops)) if crops else [])
    for sample in kept:
        yield replace(sample, faces=tuple(_with_state(face, found) for face in sample.faces))


def _with_state(face: Face, found: Iterator[tuple[FaceState, Pose] | None]) -> Face:
    of = next(found) if face.mesh_crop.size else None
    if of is None:
        return face
    state, (yaw, pitch, roll) = of
    # the crop is turned upright by the five landmarks' roll
    return replace(face, state=state, yaw=yaw, pitch=pitch, roll=signed(face.roll + roll))


def probabilities_of(face: Face) -> NDArray[np.float32]:
    """(7,) of a face that :func:`score_emotions` gave its probabilities."""
    assert face.probabilities is not None
    return face.probabilities
