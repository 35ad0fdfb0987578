"""identity.portraits: which faces of a track are compared."""

import pytest

from pipeline.identity.portraits import best_faces, portrait_quality


class TestBestFaces:
    def test_no_faces_leave_none(self, make_samples) -> None:
        assert best_faces(make_samples((), ())) == {}

    def test_a_face_of_no_use_is_not_taken(self, make_face, make_samples) -> None:
        assert best_faces(make_samples((make_face(50, 50, yaw=80.0, track=1),))) == {}

    def test_the_best_of_each_stretch_is_taken(self, make_face, make_samples) -> None:
        yaws = [0, 5, 10, 15, 20, 25, 30, 1, 35, 40, 45]  # two seconds: eight stretches: not 1, not 10
        samples = make_samples(*[(make_face(50, 50, yaw=float(yaw), track=3),) for yaw in yaws])
        # and the best of each angle, in steps of 20°: 6
        assert [sample.sample for sample, _ in best_faces(samples)[3]] == [0, 2, 3, 4, 5, 6, 7, 8, 9]

    @pytest.mark.parametrize(("seconds", "count"), [(0, 1), (2, 3), (60, 16), (1200, 20), (7200, 60)])
    def test_there_are_more_of_a_longer_track(
        self, make_face, make_samples, seconds: int, count: int
    ) -> None:
        times = [float(second) for second in range(seconds + 1)]
        samples = make_samples(*[(make_face(50, 50, track=1),)] * len(times), times_s=times)
        assert len(best_faces(samples)[1]) == count

    def test_there_are_fewer_of_each_of_many_tracks(self, make_face, make_samples) -> None:
        faces = tuple(make_face(50 * track, 50, track=track) for track in range(1, 51))
        found = best_faces(make_samples(*[faces] * 60))
        assert {len(portraits) for portraits in found.values()} == {8}

    def test_tracks_do_not_mix_and_the_longest_come_first(self, make_face, make_samples) -> None:
        one, two = make_face(50, 50, track=1), make_face(200, 50, track=2)
        found = best_faces(make_samples((one, two), (two,), (two,)))
        assert list(found) == [2, 1]
        assert all(face.track == track for track, faces in found.items() for _, face in faces)


@pytest.mark.parametrize(
    "worse",
    [
        {"yaw": 40.0},
        {"yaw": -40.0},
        {"pitch": 30.0},
        {"sharpness": 10.0},
        {"face_px": 30.0},
        {"detection": 0.91},
    ],
    ids=str,
)
def test_a_frontal_sharp_large_face_is_the_better_portrait(make_face, worse) -> None:
    assert 0 < portrait_quality(make_face(0, 0, **worse)) < portrait_quality(make_face(0, 0)) <= 1


@pytest.mark.parametrize("useless", [{"yaw": 70.0}, {"pitch": -80.0}, {"face_px": 20.0}], ids=str)
def test_a_profile_and_a_tiny_face_are_no_portraits(make_face, useless) -> None:
    assert portrait_quality(make_face(0, 0, **useless)) == 0


def test_roll_does_not_matter_since_chips_are_upright(make_face) -> None:
    assert portrait_quality(make_face(0, 0, roll=80.0)) == portrait_quality(make_face(0, 0))


class TestBetweenDoubts:
    """In a long track, every stretch in which another person may be seen is looked at."""

    BEGIN, END = 1000, 1050

    def chosen(self, samples) -> list[int]:
        return [
            sample.sample for sample, _ in best_faces(samples)[1] if self.BEGIN <= sample.sample < self.END
        ]

    @pytest.mark.parametrize(
        "change",
        [{"x": 70.0}, {"side": 75.0}, {"brightness": 0.6}, {"near": 80.0}],
        ids=["moved", "larger", "brighter", "near"],
    )
    def test_ten_seconds_of_ten_minutes_are_looked_at(self, make_face, make_samples, change) -> None:
        changed = {name: value for name, value in change.items() if name not in ("x", "near")}
        usual, other = make_face(50, 50, track=1), make_face(change.get("x", 50), 50, **changed, track=1)
        beside = (make_face(change["near"], 50, track=2),) if "near" in change else ()
        faces = [(other, *beside) if self.BEGIN <= n < self.END else (usual,) for n in range(3000)]
        first, second = self.chosen(make_samples(*faces))[:2]
        assert first < self.BEGIN + 25 <= second

    def test_a_stretch_between_two_absences_is_looked_at(self, make_face, make_samples) -> None:
        away = {self.BEGIN - 1, self.END}
        samples = make_samples(*[() if n in away else (make_face(50, 50, track=1),) for n in range(3000)])
        assert len(self.chosen(samples)) >= 2

    def test_the_longest_come_first_and_there_are_not_too_many(self, make_face, make_samples) -> None:
        samples = make_samples(*[() if n % 10 == 0 else (make_face(50, 50, track=1),) for n in range(3000)])
        assert len(best_faces(samples)[1]) <= 16 + 12 + 2 * 30
