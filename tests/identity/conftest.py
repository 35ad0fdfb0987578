"""What the tests of this room share."""

import av
import numpy as np
import pytest
from identities import WITHIN

from pipeline.identity.clustering import TrackInfo


@pytest.fixture
def person():
    """The portraits of one of several people, by name: about 0.28 apart, and 0.76 from others'."""

    def portraits(name: str, count: int = 5, seed: int = 0, spread: float = WITHIN) -> np.ndarray:
        middle = np.random.default_rng(ord(name)).normal(size=128)
        noise = np.random.default_rng((ord(name), seed)).normal(size=(count, 128)) / np.sqrt(128)
        return (0.5 * middle / np.linalg.norm(middle) + spread * noise).astype(np.float32)

    return portraits


@pytest.fixture
def track():
    """A still face in samples ``first`` to ``last`` of five per second."""

    def make(number, first, last, embeddings=None, at=(300.0, 200.0), face_px=100.0) -> TrackInfo:
        present = np.arange(first, last + 1)
        found = np.zeros((0, 0), np.float32) if embeddings is None else embeddings
        centres = np.tile(np.array(at, np.float64), (len(present), 1))
        return TrackInfo(number, present, present / 5, centres, face_px, found)

    return make


@pytest.fixture(scope="module")
def swapped(clips):
    """A man left and a woman right, for three seconds; later, the other way round: (time_s, picture)."""

    def read(name: str) -> list[np.ndarray]:
        with av.open(str(clips / name)) as container:
            frames = zip(range(41), container.decode(video=0), strict=False)
            return [frame.to_image().resize((640, 400)) for number, frame in frames if number % 20 == 0]

    men, women = read("asl_please.mkv"), read("gesture_720p.mp4")
    before = [np.hstack([man, woman]) for man, woman in zip(men, women, strict=True)]
    after = [np.hstack([woman, man]) for man, woman in zip(men, women, strict=True)]
    return list(zip([0.0, 1.0, 2.0, 20.0, 21.0, 22.0], before + after, strict=True))
