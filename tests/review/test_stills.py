"""review.stills: one picture of each session, and where its people sit."""

import io
from pathlib import Path

import pytest
from coloured_people import make_mixed_study
from PIL import Image

from pipeline.identity.patient import by_region
from pipeline.identity.session_people import people_by_place
from pipeline.processing.session import Networks
from pipeline.review.people import find_people, read_session
from pipeline.review.stills import find_stills
from pipeline.video.recording import open_recording


@pytest.fixture
def study(tmp_path: Path, fake_networks: Networks) -> Path:
    return make_mixed_study(tmp_path, fake_networks)


def test_a_seat_names_its_person_where_the_list_gives_it(study: Path) -> None:
    """The region that is proposed for a person is one in which a run recognises this person."""
    people = find_people(study, None)
    stills = find_stills(study, people)
    assert len(stills) == 4
    for person in people:
        seat = stills[person.ids].seats[person.number]
        assert seat.share >= 0.9
        assert seat.others == ()
        recording = open_recording([study.parent / f"{'_'.join(person.ids)}.mp4"])
        _, samples = read_session(study, person.ids)
        assert by_region(people_by_place(samples), seat.region, recording).tracks == frozenset(person.tracks)


def test_the_picture_is_small_and_shows_as_many_as_can_be_seen(study: Path) -> None:
    stills = find_stills(study, find_people(study, None))
    assert stills["P1", "S1"].time_s == pytest.approx(0.4), "the first sample with both"
    for still in stills.values():
        assert still.jpeg is not None
        assert Image.open(io.BytesIO(still.jpeg)).size == (320, 180)


def test_a_session_without_its_video_has_no_picture(study: Path) -> None:
    people = find_people(study, None)
    (study.parent / "P1_S2.mp4").unlink()
    assert sorted(find_stills(study, people)) == [("P1", "S1"), ("P1", "S3"), ("P2", "S1")]
