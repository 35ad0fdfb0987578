"""identity.recognition: the patient by photo, or by a region of the picture."""

import numpy as np
import pytest
from identities import PERHAPS, SAME

from pipeline.errors import InputError
from pipeline.identity.recognition import in_region, recognise

PICTURE = (1000, 500)


class TestRecognising:
    def who(self, people, references, together=()):
        return recognise(people, references, SAME, PERHAPS, {frozenset(pair) for pair in together})

    def test_nobody_is_nobody(self, person) -> None:
        found = self.who({}, person("a"))
        assert (found.state, found.people) == ("unknown", frozenset())
        assert "no face in the video" in str(found.reason)

    def test_people_without_a_portrait_are_nobody(self, person) -> None:
        assert self.who({1: np.zeros((0, 0), np.float32)}, person("a")).state == "unknown"

    def test_the_patient_is_found_among_others(self, person) -> None:
        people = {1: person("b"), 2: person("a", 8), 3: person("c")}
        found = self.who(people, person("a", 2, seed=1))
        assert (found.state, found.people) == ("recognised", {2})
        assert str(found.reason).startswith("person 2 is 0.2")

    def test_a_stranger_is_not_the_patient(self, person) -> None:
        """Only the carer was filmed."""
        found = self.who({1: person("b")}, person("a"))
        assert (found.state, found.people) == ("unknown", frozenset())
        assert "0.40 at most" in str(found.reason)

    def test_one_face_that_fits_is_enough(self, person) -> None:
        """She weeps on the photo and laughs for most of the session."""
        laughing, weeping = person("a", 9) + 0.045, person("a", 1, seed=1)
        assert np.linalg.norm(laughing - weeping, axis=1).min() > SAME
        assert self.who({1: laughing}, person("a", 1)).state != "recognised"
        found = self.who({1: np.concatenate([laughing, weeping])}, person("a", 1))
        assert (found.state, found.people) == ("recognised", {1})

    def test_the_best_of_several_photos_counts(self, person) -> None:
        old_photos = person("d", 2)
        assert self.who({1: person("a")}, old_photos).state == "unknown"
        assert self.who({1: person("a")}, np.concatenate([old_photos, person("a", 1)])).people == {1}

    def test_between_the_limits_somebody_has_to_check(self, person) -> None:
        face = person("a", 1)
        aside = np.zeros_like(face)
        aside[0, 0] = 0.47
        found = self.who({1: face + aside}, face)
        assert (found.state, found.people) == ("to_check", {1})
        assert "person 1 is 0.47" in str(found.reason)

    def test_two_alike_who_are_seen_together_are_a_doubt(self, person) -> None:
        people = {1: person("a", seed=1), 2: person("a", seed=2)}
        found = self.who(people, person("a"), together=[(1, 2)])
        assert found.state == "to_check"
        assert len(found.people) == 1
        assert "too alike" in str(found.reason)

    def test_one_person_who_was_counted_twice_is_one(self, person) -> None:
        found = self.who({1: person("a", seed=1), 2: person("a", seed=2)}, person("a"))
        assert (found.state, found.people) == ("recognised", {1, 2})

    def test_references_of_another_network_are_refused(self, person) -> None:
        with pytest.raises(InputError, match="different networks"):
            self.who({1: person("a")}, np.zeros((2, 512), np.float32))


class TestRegion:
    LEFT = (0.0, 0.0, 0.5, 1.0)

    def where(self, tracks, region=LEFT, person_of=None):
        return in_region(tracks, person_of or {t.track: t.track for t in tracks}, region, *PICTURE)

    def test_nobody_is_nobody(self) -> None:
        assert self.where([]).people == frozenset()

    def test_an_empty_region_is_nobody(self, track) -> None:
        found = self.where([track(1, 0, 99, at=(900, 200))])
        assert (found.state, found.people) == ("unknown", frozenset())

    def test_who_sits_there_is_the_one(self, track) -> None:
        found = self.where([track(1, 0, 99, at=(900, 200)), track(2, 0, 89, at=(300, 200))])
        assert (found.state, found.people) == ("recognised", {2})

    def test_who_passes_by_is_not(self, track) -> None:
        found = self.where([track(1, 0, 99), track(2, 40, 45, at=(400, 100))])
        assert (found.state, found.people) == ("recognised", {1})

    def test_two_who_are_there_as_much_are_a_doubt(self, track) -> None:
        found = self.where([track(1, 0, 99), track(2, 0, 79, at=(400, 100))])
        assert found.state == "to_check"
        assert "too many" in str(found.reason)

    def test_tracks_of_one_person_count_together(self, track) -> None:
        tracks = [track(1, 0, 49), track(2, 100, 149)]
        assert self.where(tracks, person_of={1: 1, 2: 1}).state == "recognised"
        assert self.where(tracks).state == "to_check"

    def test_who_is_mostly_elsewhere_is_a_doubt(self, track) -> None:
        tracks = [track(1, 0, 29), track(2, 100, 199, at=(900, 200))]
        found = self.where(tracks, person_of={1: 1, 2: 1})
        assert found.state == "to_check"
        assert "elsewhere" in str(found.reason)

    @pytest.mark.parametrize(
        "region", [(0.5, 0, 0.2, 1), (0, 0, 1.2, 1), (0, 0, 1), (0, 0.3, 1, 0.3), (0, 0, float("nan"), 1)]
    )
    def test_what_is_no_region_is_refused(self, region) -> None:
        with pytest.raises(InputError, match="shares of the picture"):
            self.where([], region=region)
