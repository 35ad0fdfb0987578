"""checks.video_crops: every picture comes back from the video, cropped by the pipeline, in its row."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from fakes import LANDMARKS, find_squares
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from pipeline.checks import video_crops as as_used
from pipeline.checks.video_crops import FACE_PX, HEIGHT, WIDTH, Recut, recut
from pipeline.errors import VideoError
from pipeline.faces.detection import CropSpec, Detections, Detector
from pipeline.faces.mtcnn import Cascade
from pipeline.video.container import VideoInfo, probe

# a light square on black covers this share of a picture's side, so that this framing cuts out the picture
INSIDE = 0.75
WHOLE = CropSpec(48, 1 / INSIDE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def with_square(level: int, side: int = 48) -> NDArray[np.uint8]:
    """A picture that ``find_squares`` takes for a face; none at level 0."""
    picture = np.zeros((side, side), np.uint8)
    edge = round(side * (1 - INSIDE) / 2)
    picture[edge : side - edge, edge : side - edge] = level
    return picture


def boxes_at(*boxes: tuple[float, float, float]) -> Detector:
    """A detector that sees faces of these centres and sides in every frame."""
    centres, sides = np.array([box[:2] for box in boxes]), np.array([box[2] for box in boxes])
    edges = np.concatenate([centres - sides[:, None] / 2, centres + sides[:, None] / 2], axis=1)
    found = Detections(
        edges.astype(np.float32),
        np.full(len(boxes), 0.99, np.float32),
        (centres[:, None] + sides[:, None, None] * LANDMARKS).astype(np.float32),
    )
    return lambda images: [found] * len(images)


def levels(result: Recut) -> NDArray[np.float64]:
    """Of the middle of each crop."""
    return result.crops[:, 20:28, 20:28].mean(axis=(1, 2, 3))


# --- what comes back


def test_no_pictures_give_no_crops(folder: Path) -> None:
    def detect(images: NDArray[np.uint8]) -> list[Detections]:
        raise AssertionError("there was nothing to look at")

    result = recut(np.zeros((0, 48, 48), np.uint8), detect, CropSpec(64))
    assert (result.crops.shape, result.crops.dtype) == ((0, 64, 64, 3), np.uint8)
    assert (result.found.shape, result.found.dtype) == ((0,), bool)


def test_each_picture_comes_back_in_its_row_whether_or_not_others_were_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(as_used, "_CHUNK", 8)
    shown = np.array([0 if number % 5 == 3 else 60 + 8 * number for number in range(21)])
    result = recut(np.stack([with_square(level) for level in shown]), find_squares, WHOLE)
    assert (result.found == (shown > 0)).all()
    np.testing.assert_allclose(levels(result), shown, atol=3)
    assert not result.crops[~result.found].any()


@pytest.mark.parametrize("side", [24, 48, 144, 320])
def test_the_framing_s_crop_of_a_picture_is_the_picture(side: int) -> None:
    result = recut(with_square(200, side)[None], find_squares, WHOLE)
    expected = np.asarray(Image.fromarray(with_square(200, side)).resize((48, 48)), float)
    assert result.found.all()
    # only the square's border is blurred; one pixel aside, 12.5 levels would be the mean
    difference = np.abs(result.crops[0].astype(float) - expected[..., None])
    assert difference.mean() < 11


def test_the_framing_is_the_caller_s() -> None:
    picture = with_square(200)[None]
    tight, wide = (recut(picture, find_squares, CropSpec(32, scale)).crops[0] for scale in (0.8, 1 / INSIDE))
    assert tight.shape == wide.shape == (32, 32, 3)
    assert tight.min() > 190
    assert wide[:4].max() < 60


def test_a_film_compresses() -> None:
    noise = np.random.default_rng(0).integers(40, 216, (1, 48, 48), np.uint8)
    uncompressed = np.array(Image.fromarray(noise[0]).resize((FACE_PX, FACE_PX), Image.Resampling.BICUBIC))
    in_the_middle = boxes_at((WIDTH / 2, HEIGHT / 2, FACE_PX))
    error = recut(noise, in_the_middle, CropSpec(FACE_PX)).crops[0].astype(float) - uncompressed[..., None]
    assert 0.5 < np.sqrt((error**2).mean()) < 10


# --- which face


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
def test_the_face_nearest_to_the_picture_is_taken(order: tuple[int, ...]) -> None:
    boxes = [(80, 80, 100), (WIDTH / 2 + 5, HEIGHT / 2, 100), (WIDTH / 2 + 20, HEIGHT / 2, 100)]
    picture = with_square(200)[None]
    away, nearest, beside = (recut(picture, boxes_at(box), CropSpec()) for box in boxes)
    assert [bool(result.found[0]) for result in (away, nearest, beside)] == [False, True, True]
    assert (nearest.crops != beside.crops).any()
    result = recut(picture, boxes_at(*[boxes[row] for row in order]), CropSpec())
    assert (result.crops == nearest.crops).all()


@pytest.mark.parametrize(
    ("x", "y", "side"),
    [(80, 80, FACE_PX), (WIDTH / 2, HEIGHT / 2, FACE_PX / 3), (WIDTH / 2, HEIGHT / 2, FACE_PX * 2)],
    ids=["elsewhere", "an eye", "far larger"],
)
def test_a_face_that_is_not_the_picture_s_does_not_count(x: float, y: float, side: float) -> None:
    result = recut(with_square(200)[None], boxes_at((x, y, side)), CropSpec())
    assert not result.found.any()
    assert not result.crops.any()


# --- the film


def test_films_are_short_h264_where_every_frame_stands_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(as_used, "_CHUNK", 8)
    films: list[VideoInfo] = []
    alone: list[bool] = []

    def detect(images: NDArray[np.uint8]) -> list[Detections]:
        (path,) = folder.glob("*/*")
        films.append(probe(path))
        with av.open(str(path)) as container:
            alone.extend(packet.is_keyframe for packet in container.demux(video=0) if packet.size)
        assert images.shape[1:] == (HEIGHT, WIDTH, 3)
        return find_squares(images)

    recut(np.stack([with_square(200)] * 20), detect, WHOLE)
    assert [len(film.time_s) for film in films] == [8, 8, 4]
    assert {film.codec for film in films} == {"h264"}
    assert alone == [True] * 20


def failing(images: NDArray[np.uint8]) -> list[Detections]:
    raise RuntimeError("out of memory")


def test_no_film_is_left(folder: Path) -> None:
    recut(with_square(200)[None], find_squares, WHOLE)
    assert list(folder.iterdir()) == []
    with pytest.raises(RuntimeError, match="out of memory"):
        recut(with_square(200)[None], failing, WHOLE)
    assert list(folder.iterdir()) == []


def test_a_picture_that_is_lost_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    film: Callable[[NDArray[np.uint8], Path], None] = as_used._film
    monkeypatch.setattr(as_used, "_film", lambda images, path: film(images[1:], path))
    with pytest.raises(VideoError, match="2 of 3 pictures"):
        recut(np.stack([with_square(200)] * 3), find_squares, WHOLE)


def test_progress_counts_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(as_used, "_CHUNK", 2)
    calls: list[tuple[int, int]] = []
    images = np.stack([with_square(level) for level in (200, 0, 200)])
    recut(images, find_squares, WHOLE, lambda done, total: calls.append((done, total)))
    assert calls == [(1, 3), (2, 3), (3, 3)]


# --- the real detector


@pytest.fixture(scope="module")
def faces(shared: Path) -> NDArray[np.uint8]:
    from emonext.datasets.data import load_fer2013

    return load_fer2013(shared / "data", "val").images[:40]


@pytest.fixture(scope="module")
def real(faces: NDArray[np.uint8], real_detector: Cascade) -> Iterator[Recut]:
    return recut(faces, real_detector, CropSpec(48, 1.08, (0.0, -0.01)))


def test_most_of_fer2013_is_found_again(real: Recut) -> None:
    assert real.found.mean() > 0.8


def test_a_face_of_fer2013_is_more_like_itself_than_like_any_other(
    faces: NDArray[np.uint8], real: Recut
) -> None:
    rows = np.flatnonzero(real.found)
    # out of focus, since a detector's box is some pixels off
    blurred = gaussian_filter(np.concatenate([faces, real.crops[rows].mean(axis=3)]), (0, 3, 3))
    likeness = np.corrcoef(blurred.reshape(-1, 48 * 48))[len(faces) :, : len(faces)]
    assert (likeness.argmax(axis=1) == rows).mean() > 0.75
    assert np.median(likeness[np.arange(len(rows)), rows]) > 0.8
