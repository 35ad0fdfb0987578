"""identity.clustering on made embeddings: Gaussian clusters in 128 dimensions, as far apart as real ones."""

import itertools

import numpy as np
import pytest
from identities import SAME
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import cdist

from pipeline.errors import InputError
from pipeline.faces.detection import CropSpec, find_faces
from pipeline.faces.tracking import track_faces
from pipeline.identity.clustering import (
    describe_tracks,
    identities,
    link_tracks,
)
from pipeline.identity.embedding import DlibEmbedder, align
from pipeline.identity.portraits import best_faces
from pipeline.identity.recognition import recognise
from pipeline.records import Frames


def test_no_samples_describe_no_track() -> None:
    assert describe_tracks([], {}) == []


def test_a_track_is_described_by_where_and_when_it_was(make_face, make_samples) -> None:
    one, two = make_face(100, 50, track=1), make_face(400, 60, side=90, track=2)
    samples = make_samples((one,), (one, two), (), (make_face(110, 50, track=1),))
    first, second = describe_tracks(samples, {2: np.ones((3, 128), np.float32)})
    assert (first.track, first.samples, first.first_s, first.last_s) == (1, 3, 0.0, 0.6)
    assert first.present.tolist() == [0, 1, 3]
    assert first.centre.tolist() == [100, 50]
    assert len(first.embeddings) == 0
    assert (second.track, second.samples, second.face_px) == (2, 1, 90)
    assert second.embeddings.shape == (3, 128)


class TestLinking:
    def test_no_tracks_are_nobody(self) -> None:
        assert link_tracks([], SAME) == {}

    def test_one_track_is_one_person(self, track) -> None:
        assert link_tracks([track(4, 0, 9)], SAME) == {4: 1}

    def test_made_portraits_are_as_far_apart_as_real_ones(self, person) -> None:
        same = np.linalg.norm(person("a")[:, None] - person("a", seed=1)[None], axis=2)
        others = np.linalg.norm(person("a")[:, None] - person("b")[None], axis=2)
        assert 0.2 < same.min() < same.max() < SAME < 0.6 < others.min()

    def test_who_comes_back_elsewhere_is_the_same_person(self, track, person) -> None:
        tracks = [track(1, 0, 99, person("a")), track(2, 500, 549, person("a", seed=1), at=(800, 100))]
        assert link_tracks(tracks, SAME) == {1: 1, 2: 1}

    def test_two_who_swap_seats_across_a_cut_stay_who_they_are(self, track, person) -> None:
        left, right = (200, 200), (700, 200)
        tracks = [
            track(1, 0, 49, person("a"), at=left),
            track(2, 0, 39, person("b"), at=right),
            track(3, 50, 99, person("b", seed=1), at=left),
            track(4, 51, 99, person("a", seed=1), at=right),
        ]
        assert link_tracks(tracks, SAME) == {1: 1, 4: 1, 2: 2, 3: 2}

    def test_two_seen_at_once_are_never_one(self, track, person) -> None:
        """Twins, or a mirror: the embeddings say one, the picture shows two."""
        tracks = [track(1, 0, 50, person("a")), track(2, 50, 99, person("a"), at=(700, 200))]
        assert link_tracks(tracks, SAME) == {1: 1, 2: 2}

    def test_nor_are_they_through_a_third(self, track, person) -> None:
        one, two = track(1, 0, 50, person("a")), track(2, 40, 99, person("a", seed=1), at=(700, 200))
        people = link_tracks([one, two, track(3, 200, 220, person("a", seed=2))], SAME)
        assert people[1] != people[2]
        assert people[3] in (people[1], people[2])

    def test_people_are_numbered_by_their_time_on_screen(self, track, person) -> None:
        tracks = [
            track(1, 0, 59, person("a")),
            track(2, 0, 39, person("b"), at=(700, 200)),
            track(3, 100, 139, person("b", seed=1)),
            track(4, 200, 209, person("c")),
        ]
        assert link_tracks(tracks, SAME) == {2: 1, 3: 1, 1: 2, 4: 3}

    def test_a_track_of_a_single_sample_finds_its_person(self, track, person) -> None:
        tracks = [track(1, 0, 99, person("a")), track(2, 300, 300, person("a", count=1, seed=1))]
        assert link_tracks(tracks, SAME) == {1: 1, 2: 1}

    def test_one_hidden_face_among_the_portraits_does_not_part_a_person(self, track, person) -> None:
        hidden = person("a", seed=1)
        hidden[2] += 0.045 * np.random.default_rng(3).normal(size=128).astype(np.float32)
        assert 0.5 < np.linalg.norm(hidden[2] - person("a")[0]) < 0.65  # a hand before the real one: 0.57
        tracks = [track(1, 0, 99, person("a")), track(2, 300, 399, hidden)]
        assert link_tracks(tracks, SAME) == {1: 1, 2: 1}

    @pytest.mark.parametrize("seed", range(5))
    def test_the_order_in_which_tracks_are_given_does_not_matter(self, track, person, seed) -> None:
        names = "abcabcabc"
        tracks = [
            track(number, 100 * number, 100 * number + 60 - number, person(name, count=3, seed=number))
            for number, name in enumerate(names, 1)
        ]
        tracks += [track(20, 162, 180), track(21, 0, 5), track(22, 185, 195)]
        before = link_tracks(tracks, SAME)
        shuffled = [tracks[row] for row in np.random.default_rng(seed).permutation(len(tracks))]
        assert link_tracks(shuffled, SAME) == before
        assert [before[number] for number in (4, 5, 6)] == [before[number] for number in (1, 2, 3)]

    def test_joining_is_the_single_linkage_of_scipy(self, track, person) -> None:
        """Where nobody meets."""
        shown = [person("abcd"[n % 4], 2, seed=n, spread=0.3) for n in range(24)]
        people = link_tracks([track(n, 100 * n, 100 * n + 9, made) for n, made in enumerate(shown)], SAME)
        between = [cdist(one, two).min() for one, two in itertools.combinations(shown, 2)]
        expected = fcluster(linkage(between, "single"), SAME, "distance")
        pairs = itertools.combinations(range(24), 2)
        assert all((people[a] == people[b]) == (expected[a] == expected[b]) for a, b in pairs)
        assert 4 < len(set(people.values())) < 24

    def test_a_hundred_tracks_of_ten_people_are_ten_people(self, track, person) -> None:
        tracks = [
            track(number, 20 * number, 20 * number + 9, person("abcdefghij"[number % 10], seed=number))
            for number in range(100)
        ]
        people = link_tracks(tracks, SAME)
        assert len(set(people.values())) == 10
        assert all(people[number] == people[number % 10] for number in range(100))


class TestLinkingByPlace:
    """Tracks without an embedding."""

    def test_a_face_goes_on_where_it_was(self, track) -> None:
        assert link_tracks([track(1, 0, 99), track(2, 130, 150, at=(320, 210))], SAME) == {1: 1, 2: 1}

    def test_it_goes_on_as_the_person_who_was_there(self, track, person) -> None:
        tracks = [
            track(1, 0, 99, person("a")),
            track(2, 0, 99, person("b"), at=(900, 200)),
            track(3, 130, 150),
        ]
        assert link_tracks(tracks, SAME) == {1: 1, 3: 1, 2: 2}

    @pytest.mark.parametrize(
        "changes",
        [{"first": 200}, {"at": (380, 200)}, {"face_px": 140.0}, {"first": 90}],
        ids=["after too long", "elsewhere", "much larger", "at the same time"],
    )
    def test_in_doubt_it_is_a_person_of_its_own(self, track, changes) -> None:
        later = track(2, **{"first": 130, "last": 220, **changes})
        people = link_tracks([track(1, 0, 99), later], SAME)
        assert people[1] != people[2]

    def test_with_somebody_near_it_is_a_person_of_its_own(self, track, person) -> None:
        tracks = [track(1, 0, 99), track(2, 130, 150), track(3, 95, 98, person("c"), at=(500, 200))]
        assert link_tracks(tracks, SAME) == {1: 1, 2: 2, 3: 3}

    def test_somebody_far_away_does_not_matter(self, track) -> None:
        tracks = [track(1, 0, 99), track(2, 130, 150), track(3, 0, 150, at=(900, 200))]
        assert link_tracks(tracks, SAME) == {1: 2, 2: 2, 3: 1}

    def test_between_two_people_it_belongs_to_neither(self, track, person) -> None:
        """A seat that one leaves and another takes."""
        tracks = [track(1, 0, 99, person("a")), track(2, 130, 150), track(3, 180, 300, person("b"))]
        assert link_tracks(tracks, SAME) == {3: 1, 1: 2, 2: 3}

    def test_between_two_tracks_of_one_person_it_is_hers(self, track, person) -> None:
        tracks = [track(1, 0, 99, person("a")), track(2, 130, 150), track(3, 180, 300, person("a", seed=1))]
        assert link_tracks(tracks, SAME) == {1: 1, 2: 1, 3: 1}

    def test_a_face_that_can_be_told_apart_is_never_joined_by_place(self, track, person) -> None:
        tracks = [track(1, 0, 99, person("a")), track(2, 130, 150, person("b"))]
        assert link_tracks(tracks, SAME) == {1: 1, 2: 2}


class TestIdentities:
    """Which person each portrait of one track shows."""

    def test_nothing_is_nobody(self) -> None:
        assert identities(np.zeros((0, 128), np.float32), SAME).tolist() == []

    def test_portraits_of_one_person_are_one(self, person) -> None:
        assert set(identities(person("a", 20), SAME)) == {0}

    def test_one_stranger_among_them_does_not_count(self, person) -> None:
        """A hand before the face."""
        portraits = np.concatenate([person("a", 2), person("b", 1), person("a", 2, seed=1)])
        assert identities(portraits, SAME).tolist() == [0, 0, 0, 0, 0]

    def test_an_outlier_beside_a_change_is_of_whom_it_is_nearer(self, person) -> None:
        """The first portrait after a cut shows an expression that is not seen again."""
        one, two = person("a", 4), person("b", 4)
        strange = two[:1] + np.float32(1.15 * SAME) * np.eye(1, 128, dtype=np.float32)
        assert identities(np.concatenate([one, strange, two]), SAME).tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 1]
        assert identities(np.concatenate([two, strange, one]), SAME).tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 1]

    def test_who_goes_over_to_another_and_back_is_two(self, person) -> None:
        portraits = np.concatenate([person("b", 2), person("a", 3), person("b", 2, seed=1)])
        assert identities(portraits, SAME).tolist() == [0, 0, 1, 1, 1, 0, 0]

    def alike(self, person, factor: float) -> np.ndarray:
        """Three portraits, two others that are this many times SAME away, three, two."""
        one = person("a", 10, spread=0.02)
        one[[3, 4, 8, 9], 0] += factor * SAME
        return one

    def test_two_people_who_look_alike_are_two(self, person) -> None:
        """Their nearest faces are further apart than those of one person, though not by much."""
        stretch = np.repeat([1, 2, 3, 4], [3, 2, 3, 2])
        found = identities(self.alike(person, 1.15), SAME, stretch)
        assert found.tolist() == [0, 0, 0, 1, 1, 0, 0, 0, 1, 1]

    def test_expressions_that_alternate_while_nobody_can_come_are_one(self, person) -> None:
        assert set(identities(self.alike(person, 1.15), SAME, np.ones(10, np.int64))) == {0}

    def test_one_change_may_be_a_cut_that_nobody_notices(self, person) -> None:
        found = identities(self.alike(person, 1.15)[:5], SAME, np.ones(5, np.int64))
        assert found.tolist() == [0, 0, 0, 1, 1]

    def test_who_is_clearly_another_is_never_an_expression(self, person) -> None:
        """Both sit in the same place, and cuts leave no trace but the face."""
        found = identities(self.alike(person, 1.5), SAME, np.ones(10, np.int64))
        assert found.tolist() == [0, 0, 0, 1, 1, 0, 0, 0, 1, 1]

    def test_an_expression_that_changes_little_by_little_is_one(self, person) -> None:
        calm = person("a", 1)
        step = np.zeros_like(calm)
        step[0, 0] = 0.3
        laughing = np.concatenate([calm + n * step for n in range(6)])
        assert np.linalg.norm(laughing[0] - laughing[-1]) > 1
        assert set(identities(laughing, SAME)) == {0}


class TestStill:
    """A photo on a wall is not a person."""

    @pytest.mark.parametrize(
        ("moves", "still"), [(0.0, True), (0.004, True), (0.02, False), (0.1, False)], ids=str
    )
    def test_a_face_that_never_moves_is_noticed(self, make_face, make_samples, moves, still) -> None:
        chance = np.random.default_rng(1).normal(size=(100, 2)) * 40 * moves
        samples = make_samples(*[(make_face(100 + x, 50 + y, track=1),) for x, y in chance])
        (track,) = describe_tracks(samples, {})
        assert track.still == still

    def test_a_few_samples_say_nothing(self, make_face, make_samples) -> None:
        (track,) = describe_tracks(make_samples(*[(make_face(100, 50, track=1),)] * 20), {})
        assert not track.still

    def test_a_camera_that_was_pushed_makes_no_photo_a_person(self, make_face, make_samples) -> None:
        samples = make_samples(
            *[(make_face(100 if n < 600 else 160, 50, track=1),) for n in range(1200)],
        )
        assert describe_tracks(samples, {})[0].still


def test_whatever_is_shown_two_who_are_seen_together_are_two(track, person) -> None:
    """Many made sessions: no person is ever in one sample twice, and each track is one person's."""
    for seed in range(30):
        chance = np.random.default_rng(seed)
        tracks = []
        for number in range(1, 13):
            first = chance.integers(200)
            shown = [None, person("a", 3, seed=number), person("b", 3, seed=number)][chance.integers(3)]
            place = (chance.choice([200, 230, 700]), 200)
            tracks.append(track(number, first, first + chance.integers(60), shown, at=place))
        people = link_tracks(tracks, SAME)
        assert set(people) == set(range(1, 13))
        assert set(people.values()) == set(range(1, len(set(people.values())) + 1))
        for one, two in itertools.combinations(tracks, 2):
            if people[one.track] == people[two.track]:
                assert not set(one.present) & set(two.present)


def test_two_real_people_who_swap_seats_are_told_apart(swapped, real_detector) -> None:
    """From pictures to the patient, by the real detector and network."""
    pytest.importorskip("dlib")
    try:
        embed = DlibEmbedder()
    except InputError as error:
        pytest.skip(str(error))
    times, pictures = (np.array(column) for column in zip(*swapped, strict=True))
    number = np.arange(len(times))
    frames = Frames(number, number, times, pictures, np.ones(len(times), bool))
    samples = list(track_faces(find_faces([frames], real_detector, CropSpec())))
    embeddings = {
        track: embed(np.stack([align(pictures[sample.sample], face.landmarks) for sample, face in faces]))
        for track, faces in best_faces(samples).items()
    }
    tracks = describe_tracks(samples, embeddings)
    people = link_tracks(tracks, embed.same_person)

    def who(left: bool, late: bool) -> int:
        (found,) = {
            people[track.track]
            for track in tracks
            if (track.centre[0] < 640) == left and (track.first_s > 10) == late
        }
        return found

    man, woman = who(left=True, late=False), who(left=False, late=False)
    assert {man, woman} == {1, 2}
    assert (who(left=False, late=True), who(left=True, late=True)) == (man, woman)
    of_people = {
        person: np.concatenate([embeddings[track] for track in people if people[track] == person])
        for person in (1, 2)
    }
    photo = embeddings[next(track for track in embeddings if people[track] == woman)][:1]
    limits = (embed.same_person, embed.perhaps)
    assert recognise(of_people, photo, *limits).people == {woman}
    assert recognise({man: of_people[man]}, photo, *limits).people == frozenset()
