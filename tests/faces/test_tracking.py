"""faces.tracking on faces with known movement."""

import pytest

from pipeline.faces.tracking import shorten_pauses, track_faces

STEPS = 5


def tracks_of(samples, **settings):
    return [[face.track for face in sample.faces] for sample in track_faces(samples, **settings)]


def test_no_samples_give_none() -> None:
    assert list(track_faces([])) == []


def test_samples_without_faces_pass(make_samples) -> None:
    samples = make_samples((), (), ())
    assert list(track_faces(samples)) == samples


def test_a_still_face_is_one_track(make_face, make_samples) -> None:
    assert tracks_of(make_samples(*[(make_face(100, 100),)] * STEPS)) == [[1]] * STEPS


def test_nothing_but_the_track_changes(make_face, make_samples) -> None:
    (sample,) = track_faces(make_samples((make_face(100, 100),)))
    assert (sample.sample, sample.frame, sample.time_s, sample.decoded) == (0, 0, 0.0, True)
    assert sample.faces[0].face_px == 60


def test_tracks_are_numbered_in_order_of_appearance(make_face, make_samples) -> None:
    one, two, three = make_face(100, 100), make_face(400, 100), make_face(700, 100)
    assert tracks_of(make_samples((one,), (one, two), (one, two, three))) == [[1], [1, 2], [1, 2, 3]]


def test_the_order_of_the_detections_does_not_matter(make_face, make_samples) -> None:
    one, two = make_face(100, 100), make_face(400, 100)
    assert tracks_of(make_samples((one, two), (two, one), (one, two))) == [[1, 2], [2, 1], [1, 2]]


def test_two_people_who_cross_keep_their_tracks(make_face, make_samples) -> None:
    ways = [(100 + 40 * step, 390 - 40 * step) for step in range(8)]
    samples = make_samples(*[(make_face(right, 100), make_face(left, 115)) for right, left in ways])
    assert tracks_of(samples) == [[1, 2]] * 8


def test_the_nearest_face_goes_on_and_the_other_is_new(make_face, make_samples) -> None:
    samples = make_samples((make_face(100, 100),), (make_face(150, 100), make_face(105, 100)))
    assert tracks_of(samples) == [[1], [2, 1]]


def test_the_total_distance_decides_not_the_first_come(make_face, make_samples) -> None:
    before = (make_face(100, 100), make_face(150, 100))
    after = (
        make_face(145, 100),
        make_face(195, 100),
    )  # both moved by 45, though the first is at the second's place
    times_s = [0.0, 0.6]
    assert tracks_of(make_samples(before, after, times_s=times_s)) == [[1, 2], [1, 2]]


@pytest.mark.parametrize(("gap_s", "number"), [(0.4, 1), (4.8, 1), (5.2, 2)])
def test_a_gap_up_to_the_limit_keeps_the_track(make_face, make_samples, gap_s: float, number: int) -> None:
    seen = (make_face(100, 100),)
    times_s = [0.0, 0.2, 0.2 + gap_s / 2, 0.2 + gap_s]
    assert tracks_of(make_samples(seen, seen, (), seen, times_s=times_s), max_gap_s=5) == [
        [1],
        [1],
        [],
        [number],
    ]


def test_without_a_gap_allowed_every_return_is_new(make_face, make_samples) -> None:
    seen = (make_face(100, 100),)
    assert tracks_of(make_samples(seen, (), seen), max_gap_s=0.3) == [[1], [], [2]]


def test_who_comes_back_elsewhere_is_new(make_face, make_samples) -> None:
    assert tracks_of(make_samples((make_face(100, 100),), (), (make_face(500, 100),))) == [[1], [], [2]]


def test_a_jump_starts_a_new_track(make_face, make_samples) -> None:
    samples = make_samples((make_face(100, 100),), (make_face(300, 100),), (make_face(300, 100),))
    assert tracks_of(samples) == [[1], [2], [2]]


def test_a_steady_walk_is_one_track(make_face, make_samples) -> None:
    samples = make_samples(*[(make_face(100 + 50 * step, 100),) for step in range(10)])
    assert tracks_of(samples) == [[1]] * 10


def test_a_face_that_slowly_nears_is_one_track(make_face, make_samples) -> None:
    samples = make_samples(*[(make_face(100, 100, 40 * 1.2**step),) for step in range(8)])
    assert tracks_of(samples) == [[1]] * 8


def test_a_face_of_twice_the_size_is_somebody_else(make_face, make_samples) -> None:
    samples = make_samples((make_face(100, 100, 40),), (make_face(100, 100, 80),))
    assert tracks_of(samples) == [[1], [2]]


def test_another_face_in_the_gap_does_not_take_the_track(make_face, make_samples) -> None:
    one, two = make_face(100, 100), make_face(400, 100)
    assert tracks_of(make_samples((one,), (two,), (one, two))) == [[1], [2], [1, 2]]


def test_who_covers_a_face_does_not_take_over_its_track(make_face, make_samples) -> None:
    """The second passes the very place at which the first was seen last, 1 px from where it is expected."""
    way = [(make_face(x, 100),) for x in (320, 340, 360, 379)]
    samples = make_samples((make_face(379, 100), make_face(300, 100)), *way)
    assert tracks_of(samples) == [[1, 2], [2], [2], [2], [2]]


def test_who_comes_back_beside_another_keeps_the_track(make_face, make_samples) -> None:
    """The second is not found in the last sample; the face is at the first's place, not at the second's."""
    one, two = make_face(100, 100), make_face(150, 100)
    samples = make_samples((one, two), (two,), (two,), (two,), (two,), (one,))
    assert tracks_of(samples)[-1] == [1]


def test_a_box_without_area_is_a_track_like_others(make_face, make_samples) -> None:
    nothing, face = make_face(100, 100, 0), make_face(100, 100)
    assert [len(found) for found in tracks_of(make_samples((face,), (nothing,), (nothing,), (face,)))] == [
        1
    ] * 4


# --- time that does not count


def test_a_pause_of_the_session_is_no_absence(make_face, make_samples) -> None:
    times_s = [0.0, 0.2, 0.4, 600.0, 600.2, 900.0, 900.2]
    samples = make_samples(*[(make_face(100, 100),)] * 7, times_s=times_s)
    parts = [(0.0, 0.6), (600.0, 600.4), (900.0, 901.0)]
    shortened = shorten_pauses(samples, parts)
    assert [sample.time_s for sample in shortened] == pytest.approx([0.0, 0.2, 0.4, 1.6, 1.8, 3.0, 3.2])
    assert tracks_of(shortened) == [[1]] * 7
    assert tracks_of(samples) == [[1]] * 3 + [[2]] * 2 + [[3]] * 2


def test_a_pause_shorter_than_a_second_stays_as_it_is(make_face, make_samples) -> None:
    samples = make_samples((), (), times_s=[1.0, 2.0])
    assert shorten_pauses(samples, [(0.0, 1.2), (1.7, 3.0)]) == samples


def test_what_was_seen_and_was_away_counts_on_over_a_pause(make_face, make_samples) -> None:
    """3 s before it, 1 s for it and 3 s after it are more than 5 s away."""
    face = (make_face(100, 100),)
    samples = make_samples(face, (), (), face, times_s=[0.0, 3.0, 100.0, 103.0])
    assert tracks_of(shorten_pauses(samples, [(0.0, 3.0), (100.0, 104.0)])) == [[1], [], [], [2]]


def test_no_movement_goes_on_over_a_pause(make_face, make_samples) -> None:
    faces = [(make_face(x, 100),) for x in (100, 120, 140, 170, 170, 170)]
    samples = make_samples(*faces, times_s=[0.0, 0.2, 0.4, 60.0, 60.2, 60.4])
    assert tracks_of(shorten_pauses(samples, [(0.0, 0.6), (60.0, 61.0)])) == [[1]] * 6


def test_who_sits_elsewhere_after_a_pause_is_a_new_track(make_face, make_samples) -> None:
    samples = make_samples((make_face(100, 100),), (make_face(400, 100),), times_s=[0.0, 60.0])
    assert tracks_of(shorten_pauses(samples, [(0.0, 1.0), (60.0, 61.0)])) == [[1], [2]]
