"""identity.patient: a carer's smile never counts as the patient's; the patient may be "unknown"."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from coloured_people import ByColour
from numpy.typing import NDArray
from PIL import Image
from skimage.data import astronaut
from statuses import warnings
from videos import encode, first_pictures, with_faces

from pipeline.errors import InputError
from pipeline.identity.embedding import DlibEmbedder
from pipeline.identity.patient import by_rule, embed_photos
from pipeline.identity.session_people import people_by_place
from pipeline.processing.session import Networks, Session, Settings
from pipeline.processing.stages import process_session
from pipeline.records import Face, FrameFaces
from pipeline.store.timeline import Timeline

LEFT, RIGHT = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)


def boxes(timeline: Timeline) -> list[float | None]:
    """The x of the middle of the patient's face, sample by sample."""
    return timeline.rows.select((pl.col("x1") + pl.col("x2")) / 2).to_series().to_list()


# --- by place


@pytest.fixture
def two_seated(tmp_path: Path) -> Path:
    """The one on the left is there from the start, the one on the right a little less."""
    pictures = [with_faces([(40, 60)] + [(220, 60)] * (n >= 6)) for n in range(40)]
    return encode(tmp_path / "two.mp4", pictures, rate=10)


@pytest.mark.parametrize(("region", "middle"), [(LEFT, 72), (RIGHT, 252)])
def test_the_patient_is_who_sits_in_the_region(
    two_seated: Path,
    tmp_path: Path,
    fake_networks: Networks,
    region: tuple[float, float, float, float],
    middle: float,
) -> None:
    session = Session("P1", "S1", two_seated, patient_region=region)
    timeline = process_session(session, tmp_path / "out", Settings(), fake_networks)
    seen = [x for x in boxes(timeline) if x is not None]
    assert seen == pytest.approx([middle] * len(seen), abs=2)
    patient = timeline.metadata["patient"]
    assert patient["chosen_by"] == "region"
    assert patient["identity"] == "recognised"
    expected = "ok" if region == LEFT else "other_person"
    assert timeline.rows["status"].cast(pl.String).to_list()[:3] == [expected] * 3


def test_where_nobody_sits_in_the_region_nobody_is_the_patient(
    two_seated: Path, tmp_path: Path, fake_networks: Networks
) -> None:
    session = Session("P1", "S1", two_seated, patient_region=(0.0, 0.0, 0.05, 0.05))
    timeline = process_session(session, tmp_path / "out", Settings(), fake_networks)
    assert set(timeline.rows["status"].cast(pl.String)) == {"other_person"}
    assert timeline.rows["emotion"].null_count() == len(timeline.rows)
    assert timeline.metadata["patient"]["track"] is None
    assert timeline.metadata["patient"]["identity"] == "unknown"
    assert warnings(timeline) == ["the patient was not recognised: nobody is seen in the region"]


# --- by photo


def test_a_photo_that_is_no_picture_or_has_no_face_is_refused_by_name(
    two_seated: Path, tmp_path: Path, fake_networks: Networks
) -> None:
    networks = replace(fake_networks, make_embedder=ByColour)
    photo = tmp_path / "face.jpg"
    photo.write_text("no picture")
    session = Session("P1", "S1", two_seated, patient_face=(photo,))
    with pytest.raises(InputError, match=r"face\.jpg: can't be read as a picture"):
        process_session(session, tmp_path / "out", Settings(), networks)
    for corners in ([], [(20, 20), (200, 20)]):
        Image.fromarray(with_faces(corners)).save(photo, quality=95)
        with pytest.raises(InputError, match=rf"face\.jpg: shows {len(corners)} faces"):
            process_session(session, tmp_path / "out", Settings(), networks)


@pytest.fixture(scope="module")
def embedder() -> DlibEmbedder:
    try:
        return DlibEmbedder()
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def people(clips: Path) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]]]:
    """Two seconds of a woman and of a man, 360 px high."""

    def read(name: str) -> list[NDArray[np.uint8]]:
        pictures = first_pictures(clips / name, 60)
        return [np.array(Image.fromarray(picture).resize((640, 360))) for picture in pictures]

    return read("gesture_720p.mp4"), read("single_face.mp4")


Meet = Callable[..., Session]


@pytest.fixture
def meet(people: tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]]], tmp_path: Path) -> Meet:
    """Both side by side; after a cut they have swapped seats. With a photo of one of them."""

    def make(photo_of: str | None = None, **given: object) -> Session:
        women, men = people
        before = [np.hstack(pair) for pair in zip(women, men, strict=True)]
        after = [np.hstack(pair) for pair in zip(men, women, strict=True)]
        video = encode(tmp_path / "two.mp4", before + after, rate=30)
        if photo_of is not None:
            Image.fromarray((women if photo_of == "woman" else men)[20]).save(tmp_path / "face.png")
            given["patient_face"] = (tmp_path / "face.png",)
        return Session("P1", "S1", video, **given)  # type: ignore[arg-type]

    return make


@pytest.mark.slow
@pytest.mark.parametrize(("who", "first_left"), [("woman", True), ("man", False)])
def test_the_photo_finds_the_patient_on_both_sides_of_a_cut(
    meet: Meet, tmp_path: Path, networks: Networks, embedder: DlibEmbedder, who: str, first_left: bool
) -> None:
    networks = replace(networks, make_embedder=lambda: embedder)
    timeline = process_session(meet(who), tmp_path / "out", Settings(sample_fps=10), networks)
    middles = boxes(timeline)
    assert len(middles) == 40
    seen = [middle is not None and (middle < 640) == first_left for middle in middles[:20]]
    seen += [middle is not None and (middle < 640) != first_left for middle in middles[20:]]
    assert np.mean(seen) >= 0.99
    assert timeline.metadata["patient"]["chosen_by"] == "photo"
    assert timeline.metadata["patient"]["identity"] == "recognised"


@pytest.mark.slow
def test_a_stranger_s_photo_finds_nobody(
    meet: Meet, clips: Path, tmp_path: Path, networks: Networks, embedder: DlibEmbedder
) -> None:
    photo = tmp_path / "stranger.png"
    Image.fromarray(first_pictures(clips / "asl_help.mkv", 1)[0]).save(photo)
    networks = replace(networks, make_embedder=lambda: embedder)
    session = replace(meet(), patient_face=(photo,))
    timeline = process_session(session, tmp_path / "out", Settings(sample_fps=3), networks)
    assert set(timeline.rows["status"].cast(pl.String)) == {"other_person"}
    assert "not recognised" in warnings(timeline)[0]


# --- a part of a video


@pytest.mark.parametrize("turn", [35, 90, 180, 270])
def test_a_photo_that_lies_on_its_side_shows_the_same_person(
    tmp_path: Path, networks: Networks, embedder: DlibEmbedder, turn: int
) -> None:
    paths = [tmp_path / "upright.png", tmp_path / "turned.png"]
    upright = Image.fromarray(astronaut())
    upright.save(paths[0])
    upright.rotate(turn, expand=True).save(paths[1])
    one, other = embed_photos(paths, networks.detect_in_photos, embedder)
    assert np.linalg.norm(one - other) < 0.6 * embedder.same_person


def test_only_the_parts_that_count_are_sampled(tmp_path: Path, fake_networks: Networks) -> None:
    video = encode(tmp_path / "a.mp4", [with_faces([(40, 60)])] * 100, rate=10)
    session = Session("P1", "S1", video, start_s=2.0, end_s=9.0, exclude=((3.0, 5.0), (8.0, 20.0)))
    timeline = process_session(session, tmp_path / "out", Settings(), fake_networks)
    expected = [*np.arange(2.0, 3.0, 0.2), *np.arange(5.0, 8.0, 0.2)]
    assert timeline.rows["time_s"].to_list() == pytest.approx(expected)
    assert timeline.rows["sample"].to_list() == list(range(20))
    assert timeline.metadata["session"]["parts"] == [(2.0, 3.0), (5.0, 8.0)]
    assert timeline.metadata["coverage"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    "given", [{"start_s": 5.0}, {"start_s": 3.0, "end_s": 3.0}, {"exclude": ((0.0, 9.0),)}]
)
def test_a_session_of_which_nothing_is_left_is_refused(
    tmp_path: Path, fake_networks: Networks, given: dict[str, object]
) -> None:
    video = encode(tmp_path / "a.mp4", [with_faces([(40, 60)])] * 40, rate=10)
    session = replace(Session("P1", "S1", video), **given)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"nothing is left of its 4\.0 s"):
        process_session(session, tmp_path / "out", Settings(), fake_networks)


def test_the_rule_prefers_who_is_seen_longest(
    make_face: Callable[..., Face], make_samples: Callable[..., list[FrameFaces]]
) -> None:
    long, short = make_face(50, 50, track=1), make_face(200, 50, 90, track=2)
    samples = make_samples((long,), (long, short), (long,))
    assert by_rule(people_by_place(samples), "longest").tracks == {1}
    assert by_rule(people_by_place(samples), "largest").tracks == {2}
    assert by_rule(people_by_place([]), "longest").state == "unknown"


# --- stretches that are left out

ON_LEFT, ON_RIGHT = (20, 60), (200, 60)


def statuses(video: Path, out: Path, networks: Networks, **given: object) -> dict[str, int]:
    session = replace(Session("P1", "S1", video), **given)  # type: ignore[arg-type]
    timeline = process_session(session, out, Settings(), networks)
    return dict(timeline.rows["status"].value_counts().iter_rows())


@pytest.mark.parametrize(
    ("given", "samples"),
    [
        ({"exclude": ((4.0, 12.0),)}, 80),
        ({"exclude": ((4.0, 4.4),)}, 118),
        ({"exclude": ((2.0, 9.0), (10.0, 16.0), (18.0, 19.0))}, 50),
        ({"start_s": 1.0, "end_s": 22.0, "exclude": ((4.0, 12.0),)}, 65),
    ],
)
@pytest.mark.parametrize("who", [{}, {"patient_region": (0.0, 0.0, 0.5, 1.0)}], ids=["rule", "region"])
def test_an_exclusion_does_not_change_who_is_who(
    tmp_path: Path,
    fake_networks: Networks,
    given: dict[str, object],
    samples: int,
    who: dict[str, object],
) -> None:
    """The patient on the left stays; a visitor is there in the last third."""
    pictures = [with_faces([ON_LEFT] if n < 160 else [ON_LEFT, ON_RIGHT]) for n in range(240)]
    video = encode(tmp_path / "a.mp4", pictures, rate=10)
    assert statuses(video, tmp_path / "out", fake_networks, **given, **who) == {"ok": samples}


def test_the_rule_holds_in_each_part_where_the_patient_sits_elsewhere_after_a_pause(
    tmp_path: Path, fake_networks: Networks
) -> None:
    pictures = [with_faces([ON_LEFT] if n < 100 else [ON_RIGHT]) for n in range(240)]
    video = encode(tmp_path / "a.mp4", pictures, rate=10)
    found = statuses(video, tmp_path / "out", fake_networks, exclude=((8.0, 15.0),))
    assert found == {"ok": 40 + 45}


def test_whoever_was_seen_beside_the_patient_is_not_taken_for_them_after_a_pause(
    tmp_path: Path, fake_networks: Networks
) -> None:
    """The patient is away for the second part, in which the visitor stays."""
    faces = [[ON_LEFT], [ON_LEFT, ON_RIGHT], [ON_RIGHT]]
    pictures = [with_faces(faces[(n > 80) + (n > 120)]) for n in range(200)]
    video = encode(tmp_path / "a.mp4", pictures, rate=10)
    found = statuses(video, tmp_path / "out", fake_networks, exclude=((10.0, 14.0),))
    assert found == {"ok": 50, "other_person": 30}


def test_a_part_in_which_the_patient_is_seen_has_no_second_patient(
    make_face: Callable[..., Face], make_samples: Callable[..., list[FrameFaces]]
) -> None:
    patient, other = make_face(50, 50, track=1), make_face(200, 50, 90, track=2)
    samples = make_samples((patient,), (patient,), (patient,), (other,), (other,))
    assert by_rule(people_by_place(samples), "longest", [1, 1, 2, 2, 2]).tracks == {1}
    assert by_rule(people_by_place(samples), "longest", [1, 1, 1, 2, 2]).tracks == {1, 2}
    assert by_rule(people_by_place(samples), "1", [1, 1, 1, 2, 2]).tracks == {1}
