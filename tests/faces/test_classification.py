"""faces.classification: every face gets its own probabilities, in full batches."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.faces.classification import score_emotions
from pipeline.records import FrameFaces


class Recorder:
    """A classifier that keeps what it was given: the level of a crop comes back as p_angry."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, crops: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        assert len(crops), "an empty batch"
        assert crops.dtype == np.uint8
        self.sizes.append(len(crops))
        probabilities = np.zeros((len(crops), 7), np.float32)
        probabilities[:, 0] = crops[:, 0, 0, 0] / 255
        return probabilities, 1 - probabilities[:, 0]


@pytest.fixture
def people(make_face, make_samples) -> Callable[..., list[FrameFaces]]:
    """Samples with so many faces each; the level of a crop is the face's number."""

    def make(*counts: int) -> list[FrameFaces]:
        numbers = iter(range(sum(counts)))
        crop = np.ones((48, 48, 3), np.uint8)
        return make_samples(
            *[tuple(make_face(100, 100, crop=crop * next(numbers)) for _ in range(count)) for count in counts]
        )

    return make


def numbers_of(samples: list[FrameFaces]) -> list[list[int]]:
    return [[round(float(face.probabilities[0]) * 255) for face in sample.faces] for sample in samples]


def test_nothing_is_classified_where_there_is_nothing() -> None:
    classify = Recorder()
    assert list(score_emotions([], classify)) == []
    assert classify.sizes == []


def test_samples_without_faces_pass_and_no_empty_batch_is_made(people) -> None:
    classify, samples = Recorder(), people(*[0] * 20)
    assert list(score_emotions(samples, classify, 4)) == samples
    assert classify.sizes == []


def test_every_face_gets_its_own(people) -> None:
    samples = people(1, 0, 3, 2, 0, 0, 1)
    scored = list(score_emotions(samples, Recorder(), 2))
    assert numbers_of(scored) == [[0], [], [1, 2, 3], [4, 5], [], [], [6]]
    assert [sample.sample for sample in scored] == list(range(7))


@pytest.mark.parametrize(("count", "sizes"), [(8, [4, 4]), (10, [4, 4, 2]), (3, [3]), (4, [4])])
def test_batches_are_of_the_asked_size(people, count: int, sizes: list[int]) -> None:
    classify = Recorder()
    assert len(list(score_emotions(people(*[1] * count), classify, 4))) == count
    assert classify.sizes == sizes


@pytest.mark.parametrize("batch_size", [1, 4, 5])
def test_no_batch_is_larger_than_asked(people, batch_size: int) -> None:
    classify, samples = Recorder(), people(*[3] * 6)
    scored = list(score_emotions(samples, classify, batch_size))
    assert numbers_of(scored) == [[3 * n, 3 * n + 1, 3 * n + 2] for n in range(6)]
    assert max(classify.sizes) <= batch_size


def test_probabilities_are_float32_in_the_order_of_the_classes(people) -> None:
    (sample,) = score_emotions(people(1), Recorder())
    assert sample.faces[0].probabilities.shape == (7,)
    assert sample.faces[0].probabilities.dtype == np.float32


def test_a_long_stretch_without_faces_does_not_wait_for_a_full_batch(people) -> None:
    taken = 0

    def source():
        nonlocal taken
        for sample in people(1, *[0] * 200):
            taken += 1
            yield sample

    next(score_emotions(source(), Recorder(), 8))
    assert taken <= 16
