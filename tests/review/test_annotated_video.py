"""Review of a session: hidden faces, times of pictures, and private data on the page."""

import stat
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from looks import LOOK
from numpy.typing import NDArray
from videos import encode, first_pictures, numbered, read_number, with_faces

import cli
from pipeline.errors import InputError, TimelineError
from pipeline.identity.embedding import DlibEmbedder, align
from pipeline.processing.batch import process_sessions
from pipeline.processing.jobs import in_this_process
from pipeline.processing.session import Networks, Session, Settings
from pipeline.processing.stages import process_session
from pipeline.review.annotated_video import (
    CopyOptions,
    Material,
    open_material,
    options_of_copy,
    review_folder,
    write_copy,
)
from pipeline.review.anonymise import FaceTrack, face_tracks, hold_time, pixelate, pixelate_planes
from pipeline.review.scene import Blur, layout_of
from pipeline.store.timeline import Timeline
from pipeline.video.container import probe
from pipeline.video.planes import Planes

LEFT, RIGHT = (40, 60), (220, 60)
Processed = Callable[..., Material]


@pytest.fixture
def processed(tmp_path: Path, fake_networks: Networks) -> Processed:
    """The material of a session of drawn pictures, whose patient sits on the left."""

    def make(*videos: Path, **given: object) -> Material:
        region = (0.0, 0.0, 0.5, 1.0)
        session = Session("P1", "S1", videos[0], tuple(videos[1:]), patient_region=region, **given)  # type: ignore[arg-type]
        process_session(session, tmp_path / "out", Settings(), fake_networks)
        return open_material(tmp_path / "out", "P1", "S1", videos)

    return make


def pictures(path: Path) -> list[NDArray[np.uint8]]:
    return first_pictures(path, 10_000)


def contrast(picture: NDArray[np.uint8], corner: tuple[int, int]) -> float:
    """Of the checkered face whose left upper corner this is, without the line around it."""
    left, top = corner
    return float(picture[top + 8 : top + 56, left + 8 : left + 56].std())


# --- where a face is, and what hides it


def test_between_samples_a_face_is_on_a_straight_way() -> None:
    track = FaceTrack("other", np.array([1.0, 1.2]), np.array([[0.0, 0, 10, 20], [10, 0, 30, 20]]))
    assert track.box_at(1.1).tolist() == pytest.approx([5, 0, 20, 20])
    assert track.box_at(0.3).tolist() == [0, 0, 10, 20]
    assert track.box_at(9.0).tolist() == [10, 0, 30, 20]


@pytest.mark.parametrize(("sways", "beyond_s"), [(0.0, 0.2), (0.5, 0.2), (1.0, 0.0)])
def test_a_moving_head_stays_covered(sways: float, beyond_s: float) -> None:
    """A face of 100 px that walks 300 px a second and sways, known five times a second."""

    def box(time_s: float) -> NDArray[np.float64]:
        x = 300 * time_s + 60 * np.sin(2 * np.pi * sways * time_s)
        return np.array([x, 50, x + 80, 150])

    time_s = np.arange(0, 4.01, 0.2)
    track = FaceTrack("other", time_s, np.array([box(t) for t in time_s]))
    for moment in np.arange(-beyond_s, 4 + beyond_s, 1 / 30):
        region, head = track.region_at(moment), box(moment) + 100 * np.array([-0.3, -0.5, 0.3, 0.3])
        assert (region[:2] <= head[:2]).all(), moment
        assert (region[2:] >= head[2:]).all(), moment


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_a_head_that_moves_at_once_stays_covered(share: float) -> None:
    """All of its way just after a sample, or just before the next one: no speed is assumed."""
    boxes = np.array([[0.0, 100, 80, 200], [300, 60, 380, 160]])
    track = FaceTrack("other", np.array([0.0, 0.2]), boxes)
    region = track.region_at(0.2 * share)
    for box in boxes:
        head = box + 100 * np.array([-0.3, -0.5, 0.3, 0.3])
        assert (region[:2] <= head[:2]).all()
        assert (region[2:] >= head[2:]).all()


def test_grey_stays_grey() -> None:
    picture = np.full((100, 100, 3), 128, np.uint8)
    pixelate(picture, np.array([10.0, 10, 90, 90]))
    assert (picture == 128).all()


def test_what_is_within_a_hidden_region_is_hidden_once_and_no_finer() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 200), dtype=np.uint8)
    large, small = np.array([20.0, 20, 180, 180]), np.array([60.0, 60, 90, 90])
    once, twice = Planes(noise.copy()), Planes(noise.copy())
    pixelate_planes(once, [large])
    pixelate_planes(twice, [small, large])
    assert np.array_equal(once.stacked, twice.stacked)
    for plane, before, step in zip(twice.each, Planes(noise).each, (1, 2, 2), strict=True):
        inside = np.s_[20 // step : 180 // step, 20 // step : 180 // step]
        assert plane[inside].std() < before[inside].std() / 5
        plane[inside] = before[inside]
        assert np.array_equal(plane, before), "outside"


def test_the_longer_a_face_is_away_the_more_is_hidden_but_not_all() -> None:
    track = FaceTrack("other", np.array([0.0, 0.2]), np.array([[0.0, 0, 80, 100]] * 2))
    sides = [float(np.diff(track.region_at(t)[::2])[0]) for t in (0.2, 0.7, 1.2, 99.0)]
    assert sides == pytest.approx([150, 200, 250, 350])


def test_who_comes_in_is_hidden_before_the_next_full_detection_finds_them() -> None:
    metadata = {"settings": {"sample_fps": 5.0, "key_interval_s": 1.0}, "video": {"frame_rate": 25.0}}
    assert hold_time(metadata) == pytest.approx(1.4)
    assert hold_time(metadata | {"video": {"frame_rate": 1.0}}) == pytest.approx(3.0)


def test_only_the_means_of_few_cells_are_kept() -> None:
    """Any picture with the same means gives the same blur: the rest is not in it."""
    rng = np.random.default_rng(0)
    face = rng.integers(0, 256, (100, 100, 3), dtype=np.uint8)
    other = face.copy()
    for y in range(0, 100, 20):
        for x in range(0, 100, 20):
            cell = other[y : y + 20, x : x + 20].reshape(-1, 3)
            other[y : y + 20, x : x + 20] = rng.permutation(cell).reshape(20, 20, 3)
    hidden = []
    for pixels in (face, other):
        hidden.append(np.pad(pixels, ((30, 30), (30, 30), (0, 0))))
        pixelate(hidden[-1], np.array([30.0, 30, 130, 130]))
    assert not np.array_equal(face, other)
    assert np.array_equal(*hidden)
    assert hidden[0][30:130, 30:130].std() < face.std() / 5


@pytest.mark.parametrize(
    "region", [(-50, -50, 20, 20), (90, 90, 500, 500), (-9, 40, 0, 50), (200, 0, 300, 9)]
)
def test_a_region_may_lie_beyond_the_picture(region: tuple[float, ...]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    before = picture.copy()
    pixelate(picture, np.array(region, float))
    left, top, right, bottom = np.clip(region, 0, 100)
    outside = np.ones((100, 100), bool)
    outside[int(top) : int(bottom), int(left) : int(right)] = False
    assert np.array_equal(picture[outside], before[outside])


def test_a_blurred_face_is_not_found_and_not_recognised(clips: Path, networks: Networks) -> None:
    """As it is in the copy: with the box from the detector. dlib calls below 0.6 the same person."""
    try:
        embed = DlibEmbedder()
    except InputError as error:
        pytest.skip(str(error))
    shown = [first_pictures(clips / name, 1)[0] for name in ("gesture_720p.mp4", "single_face.mp4")]
    seen = [networks.detect(picture[None])[0] for picture in shown]
    hidden = []
    for picture, found in zip(shown, seen, strict=True):
        hidden.append(picture.copy())
        track = FaceTrack("other", np.zeros(1), found.boxes_xyxy[:1].astype(float))
        pixelate(hidden[-1], track.region_at(0.0))
        assert len(networks.detect(hidden[-1][None])[0].boxes_xyxy) == 0
    open_, blurred = (
        embed(np.stack([align(p, f.landmarks[0]) for p, f in zip(which, seen, strict=True)]))
        for which in (shown, hidden)
    )
    distance = np.linalg.norm(open_[:, None] - blurred[None], axis=2)
    assert distance.min() > 0.7


# --- the copy


def test_the_patient_is_shown_and_others_are_not(tmp_path: Path, processed: Processed) -> None:
    """Nor between the samples, nor for a while before and after: the other comes at 3 s and leaves at 5 s."""
    seconds = [[LEFT]] * 3 + [[LEFT, RIGHT]] * 2 + [[LEFT]] * 3
    # too dark to be a face, but what is hidden of it is even
    pattern = np.where(np.indices((180, 320, 1)).sum(axis=0) // 8 % 2, 35, 0).astype(np.uint8)
    drawn = [np.maximum(with_faces(c), pattern) for c in seconds for _ in range(10)]
    video = encode(tmp_path / "two.mp4", drawn, rate=10)
    material = processed(video)
    # a drawn face never moves: nobody is sure of it, nor of the other
    assert {track.role for track in face_tracks(material.faces)} == {"patient", "unknown"}
    shown: dict[Blur, tuple[bool, bool]] = {
        "others": (True, False),
        "all": (False, False),
        "none": (True, True),
    }
    for blur, sharp in shown.items():
        write_copy(material, tmp_path / f"{blur}.mp4", LOOK, CopyOptions(blur))
        for corner, is_sharp in zip((LEFT, RIGHT), sharp, strict=True):
            found = [contrast(picture, corner) for picture in pictures(tmp_path / f"{blur}.mp4")[30:50]]
            assert min(found) > 40 if is_sharp else max(found) < 20, (blur, corner)
    place = np.s_[70:110, 230:270]
    hidden = [picture[place].std() < 8 for picture in pictures(tmp_path / "others.mp4")]
    hidden[30:50] = [True] * 20  # the face itself, looked at above
    assert np.flatnonzero(hidden).tolist() == list(range(30 - 14, 48 + 14 + 1))


def test_pictures_are_shown_when_they_were_recorded(tmp_path: Path, processed: Processed) -> None:
    """At a variable rate, and in several files."""
    times_ms = np.cumsum([0, *[33, 34, 80, 41, 17] * 8]).tolist()
    drawn = [np.pad(picture, ((0, 116), (0, 64), (0, 0))) for picture in numbered(len(times_ms))]
    one = encode(tmp_path / "one.mkv", drawn, times_ms=times_ms)
    two = encode(tmp_path / "two.mp4", drawn, rate=25)
    material = processed(one, two)
    whole, some = tmp_path / "ribbon.mp4", tmp_path / "copy.mp4"
    done: list[tuple[int, int]] = []
    options = CopyOptions("none", ribbon=True)
    write_copy(material, whole, LOOK, options, lambda *now: done.append(now))
    time_s = material.recording.time_s
    np.testing.assert_allclose(probe(whole).time_s, time_s, atol=2e-5)
    assert done == [(n, 2 * len(times_ms)) for n in range(1, 2 * len(times_ms) + 1)]
    left = (640 - 320) // 2  # a ribbon needs more room than the picture
    numbers = [read_number(picture[40:64, left : left + 256]) for picture in pictures(whole)]
    assert numbers == [*range(len(times_ms))] * 2

    write_copy(material, some, LOOK, CopyOptions("none"))
    found_s = probe(some).time_s
    shown = [int(np.abs(time_s - at_s).argmin()) for at_s in found_s]
    np.testing.assert_allclose(found_s, time_s[shown], atol=2e-5)
    assert set(material.timeline.rows["frame"]) <= set(shown), "the picture of each sample"
    assert 15 <= len(shown) / time_s[-1] <= 20
    numbers = [read_number(picture[40:64, :256]) for picture in pictures(some)]
    assert numbers == [number % len(times_ms) for number in shown]


def test_a_copy_is_upright_and_silent(clips: Path, processed: Processed, tmp_path: Path) -> None:
    material = processed(clips / "phone_rot90.mp4")
    write_copy(material, tmp_path / "copy.mp4", LOOK, CopyOptions("none"))
    with av.open(str(tmp_path / "copy.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        assert container.streams[0].codec_context.pix_fmt == "yuv420p"
    assert (tmp_path / "copy.mp4").read_bytes().index(b"moov") < 100, "a player must read all of it first"
    expected = material.recording.picture_at(0)
    assert expected is not None
    height, width = expected.shape[:2]
    shown = pictures(tmp_path / "copy.mp4")[0][:height, :width]
    assert np.corrcoef(shown.ravel(), expected.ravel())[0, 1] > 0.9


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1080, 1920), (320, 180), (4096, 500), (77, 33)])
def test_a_copy_fits_a_screen(width: int, height: int) -> None:
    layout = layout_of(width, height)
    assert layout.width <= min(width, 1280)
    assert layout.full_height <= 720
    assert layout.width % 2 == layout.full_height % 2 == 0
    assert layout.width / layout.height == pytest.approx(width / height, rel=0.05)


def test_where_nobody_looked_for_faces_nothing_is_shown(tmp_path: Path, processed: Processed) -> None:
    video = encode(tmp_path / "a.mp4", [with_faces([LEFT, RIGHT])] * 60, rate=10)
    material = processed(video, start_s=2.0, exclude=((3.0, 4.5),))
    write_copy(material, tmp_path / "copy.mp4", LOOK, CopyOptions("none"))
    time_s = probe(tmp_path / "copy.mp4").time_s
    counts = ((time_s >= 2) & (time_s < 3)) | (time_s >= 4.5)
    assert time_s[~counts].tolist() == pytest.approx([0, 1, 3, 4])
    for at_s, counted, picture in zip(time_s, counts, pictures(tmp_path / "copy.mp4"), strict=True):
        assert (picture[:180].std() > 20) == counted, at_s


def test_what_cannot_be_decoded_is_a_grey_picture(tmp_path: Path, processed: Processed) -> None:
    drawn = [with_faces([LEFT])] * 36
    video = encode(
        tmp_path / "a.mp4", drawn, rate=10, options={"bf": "0"}, damage=lambda number: number == 14
    )
    write_copy(processed(video), tmp_path / "copy.mp4", LOOK, CopyOptions("none"))
    grey = [picture[:180].std() < 20 for picture in pictures(tmp_path / "copy.mp4")]
    assert len(grey) == 36
    assert 14 in np.flatnonzero(grey)
    assert 1 <= sum(grey) <= 10  # until the next key frame


def test_an_interrupted_copy_leaves_what_was_there(tmp_path: Path, processed: Processed) -> None:
    video = encode(tmp_path / "a.mp4", [with_faces([LEFT])] * 20, rate=10)
    material = processed(video)
    path = tmp_path / "review" / "copy.mp4"

    def stop(done: int, total: int) -> None:
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_copy(material, path, LOOK, on_progress=stop)
    assert list(path.parent.iterdir()) == []
    write_copy(material, path, LOOK, CopyOptions("all"))
    whole = path.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        write_copy(material, path, LOOK, on_progress=stop)
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() == whole
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_copy_knows_what_it_was_made_from(tmp_path: Path, processed: Processed) -> None:
    material = processed(encode(tmp_path / "Jane_Doe.mp4", [with_faces([LEFT])] * 20, rate=10))
    path = tmp_path / "copy.mp4"
    assert options_of_copy(path, material.timeline) is None
    write_copy(material, path, LOOK, CopyOptions("all"))
    assert options_of_copy(path, material.timeline) == CopyOptions("all")
    later = Timeline(material.timeline.rows, {**material.timeline.metadata, "created_at": "later"})
    assert options_of_copy(path, later) is None
    assert options_of_copy(encode(tmp_path / "b.mp4", numbered(2)), material.timeline) is None
    assert b"Jane" not in path.read_bytes()


# --- which video it is


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["emonext", "review", *map(str, arguments)])
    try:
        cli.main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def test_a_video_that_moved_is_asked_for(
    tmp_path: Path,
    fake_networks: Networks,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """From `process` to the page, by the command."""
    drawn = [with_faces([LEFT])] * 30
    video = encode(tmp_path / "Jane_Doe.mp4", drawn, rate=10)
    out, session = tmp_path / "out", Session("P1", "S1", video)
    process_sessions([session], out, Settings(), in_this_process(fake_networks), "0" * 64)
    assert run(monkeypatch, out, "P1", "S1") == 0
    folder = review_folder(out, "P1")
    assert capfd.readouterr().out == f"Review: {folder / 'S1.html'}\n"
    assert sorted(path.name for path in folder.iterdir()) == ["S1.html", "S1.mp4"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert "Jane" not in (folder / "S1.html").read_text()

    moved = video.rename(tmp_path / "moved.mp4")
    assert run(monkeypatch, out, "P1", "S1", "--overwrite") == 2
    assert capfd.readouterr().err == f"Error: {video}: not found; give its new path with --video FILE.\n"
    assert run(monkeypatch, out, "P1", "S1", "--video", moved, "--no-video", "--original") == 0
    assert moved.as_uri() in (folder / "S1.html").read_text()

    other = encode(tmp_path / "other.mp4", drawn[1:], rate=10)
    for given, complaint in {
        (other,): "other.mp4: not the video that was processed",
        (moved, moved): "moved.mp4: the session's recording has 1 file, not 2",
    }.items():
        with pytest.raises(InputError, match=complaint):
            open_material(out, "P1", "S1", given)
    with pytest.raises(InputError, match="not a usable id"):
        open_material(out, "..", "S1", (moved,))
    with pytest.raises(TimelineError, match=r"S2\.parquet: not found; run .* the recording of P1 S2\."):
        open_material(out, "P1", "S2", (moved,))


def test_tables_of_two_runs_are_not_mixed(tmp_path: Path, processed: Processed) -> None:
    video = encode(tmp_path / "a.mp4", [with_faces([LEFT])] * 10, rate=10)
    processed(video)
    session = Session("P1", "S1", video)
    earlier = session.faces_path(tmp_path / "out").read_bytes()
    processed(video, condition="music")
    session.faces_path(tmp_path / "out").write_bytes(earlier)
    with pytest.raises(TimelineError, match="of another run than the timeline"):
        open_material(tmp_path / "out", "P1", "S1", (video,))
