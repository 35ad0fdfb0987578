"""identity.recognition: the patient by a photo, or by a region of the picture."""

import numpy as np
import pytest
from identities import SAME

from pipeline.errors import InputError
from pipeline.identity.recognition import in_region, recognise

PICTURE = (1000, 500)


class TestRecognising:
    def test_nobody_is_nobody(self, person) -> None:
        found = recognise({}, person("a"), SAME)
        assert (found.person, found.confidence) == (None, 0)
        assert "no face in the video" in found.reason

    def test_people_without_a_portrait_are_nobody(self, person) -> None:
        assert recognise({1: np.zeros((0, 0), np.float32)}, person("a"), SAME).person is None

    def test_without_references_nobody_is_known(self, person) -> None:
        found = recognise({1: person("a")}, np.zeros((0, 128), np.float32), SAME)
        assert found.person is None
        assert "reference" in found.reason

    def test_the_patient_is_found_among_others(self, person) -> None:
        people = {1: person("b"), 2: person("a", 8), 3: person("c")}
        found = recognise(people, person("a", 2, seed=1), SAME)
        assert found.person == 2
        assert 0.5 < found.confidence <= 0.9
        assert found.reason.startswith("person 2 is 0.2")

    def test_an_earlier_session_finds_her_too(self, person) -> None:
        earlier = person("a", 20, seed=5)
        assert recognise({1: person("b"), 2: person("a")}, earlier, SAME).person == 2

    def test_a_stranger_is_not_the_patient(self, person) -> None:
        """Only the carer was filmed."""
        found = recognise({1: person("b")}, person("a"), SAME)
        assert (found.person, found.confidence) == (None, 0)
        assert "0.45 at most" in found.reason

    def test_two_who_look_alike_are_a_doubt(self, person) -> None:
        found = recognise({1: person("a", seed=1), 2: person("a", seed=2)}, person("a"), SAME)
        assert found.person is None
        assert "too alike" in found.reason

    def test_someone_who_shows_two_faces_is_a_doubt(self, person) -> None:
        swapped = np.concatenate([person("a", 6), person("b", 2)])
        found = recognise({1: swapped}, person("a", seed=1), SAME)
        assert found.person is None
        assert "more than one face" in found.reason

    def test_photos_of_two_people_are_no_reference(self, person) -> None:
        photos = np.concatenate([person("a", 2), person("b", 2)])
        assert recognise({1: person("a")}, photos, SAME).person is None

    def test_confidence_falls_with_distance_and_with_the_lead(self, person) -> None:
        photos = person("a", seed=1)
        sure = recognise({1: person("a")}, photos, SAME)
        far = recognise({1: person("a", spread=0.3)}, photos, SAME)
        near_rival = (0.6 * person("a", seed=4) + 0.4 * person("b")).astype(np.float32)
        rivalled = recognise({1: person("a"), 2: near_rival}, photos, SAME)
        assert {sure.person, far.person, rivalled.person} == {1}
        assert far.confidence < sure.confidence
        assert rivalled.confidence < sure.confidence

    def test_one_portrait_says_less_than_five(self, person) -> None:
        one, five = (recognise({1: person("a", n)}, person("a", seed=1), SAME) for n in (1, 5))
        assert one.person == five.person == 1
        assert one.confidence < five.confidence

    def test_references_of_another_network_are_refused(self, person) -> None:
        with pytest.raises(InputError, match="different networks"):
            recognise({1: person("a")}, np.zeros((2, 512), np.float32), SAME)


class TestRegion:
    LEFT = (0.0, 0.0, 0.5, 1.0)

    def where(self, tracks, region=LEFT, person_of=None):
        return in_region(tracks, person_of or {t.track: t.track for t in tracks}, region, *PICTURE)

    def test_nobody_is_nobody(self) -> None:
        assert self.where([]).person is None

    def test_an_empty_region_is_nobody(self, track) -> None:
        found = self.where([track(1, 0, 99, at=(900, 200))])
        assert (found.person, found.confidence) == (None, 0)

    def test_who_sits_there_is_the_one(self, track) -> None:
        found = self.where([track(1, 0, 99, at=(900, 200)), track(2, 0, 89, at=(300, 200))])
        assert found.person == 2
        assert 0.5 < found.confidence <= 0.9

    def test_who_passes_by_is_not(self, track) -> None:
        found = self.where([track(1, 0, 99), track(2, 40, 45, at=(400, 100))])
        assert found.person == 1

    def test_two_who_are_there_as_much_are_a_doubt(self, track) -> None:
        found = self.where([track(1, 0, 99), track(2, 0, 79, at=(400, 100))])
        assert found.person is None
        assert "too many" in found.reason

    def test_tracks_of_one_person_count_together(self, track) -> None:
        tracks = [track(1, 0, 49), track(2, 100, 149)]
        assert self.where(tracks, person_of={1: 1, 2: 1}).person == 1
        assert self.where(tracks).person is None

    def test_who_is_mostly_elsewhere_is_a_doubt(self, track) -> None:
        tracks = [track(1, 0, 29), track(2, 100, 199, at=(900, 200))]
        found = self.where(tracks, person_of={1: 1, 2: 1})
        assert found.person is None
        assert "elsewhere" in found.reason

    @pytest.mark.parametrize(
        "region", [(0.5, 0, 0.2, 1), (0, 0, 1.2, 1), (0, 0, 1), (0, 0.3, 1, 0.3), (0, 0, float("nan"), 1)]
    )
    def test_what_is_no_region_is_refused(self, region) -> None:
        with pytest.raises(InputError, match="shares of the picture"):
            self.where([], region=region)
