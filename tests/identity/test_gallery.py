"""identity.gallery: sessions of a patient that show another person are found by their faces."""

from dataclasses import replace

import numpy as np
import pytest
from identities import SAME

from pipeline.identity.gallery import StoredFaces, read_gallery, unlike_others, write_gallery


@pytest.fixture
def stored(person):
    """The faces of one of several people in one session."""

    def faces(name: str, chosen_by: str = "longest", seed: int = 0) -> StoredFaces:
        return StoredFaces(person(name, 3, seed), "network", chosen_by, SAME)

    return faces


def sessions(*faces: StoredFaces) -> dict[str, StoredFaces]:
    return {f"S{number}": one for number, one in enumerate(faces, start=1)}


def test_sessions_of_one_person_are_alike(stored) -> None:
    assert unlike_others(sessions(*(stored("a", seed=n) for n in range(5)))) == {}
    assert unlike_others(sessions(stored("a"))) == {}
    assert unlike_others({}) == {}


def test_of_two_people_either_may_be_the_patient(stored) -> None:
    assert unlike_others(sessions(stored("a"), stored("b"))) == {"S1": ("S2",), "S2": ("S1",)}
    four = unlike_others(sessions(stored("a"), stored("b"), stored("a", seed=1), stored("b", seed=1)))
    assert four == {"S1": ("S2", "S4"), "S3": ("S2", "S4"), "S2": ("S1", "S3"), "S4": ("S1", "S3")}


def test_the_majority_counts(stored) -> None:
    found = unlike_others(sessions(stored("a"), stored("b"), stored("a", seed=1)))
    assert found == {"S2": ("S1", "S3")}


def test_a_session_hardly_seen_is_compared_but_others_not_with_it(stored) -> None:
    assert unlike_others(sessions(stored("a"), stored("b")), ["S2"]) == {"S2": ("S1",)}
    three = sessions(stored("a"), stored("b"), stored("a", seed=1))
    assert unlike_others(three, ["S1", "S3"]) == {"S1": ("S2",), "S3": ("S2",)}
    assert unlike_others(three, ["S1", "S2", "S3"]) == {"S2": ("S1", "S3")}, "there are no others"


def test_a_named_patient_counts_more_than_the_majority(stored) -> None:
    found = unlike_others(sessions(stored("a"), stored("b", "hand"), stored("a", "photo", seed=1)))
    assert found == {"S1": ("S2",), "S3": ("S2",)}


def test_a_photo_counts_more_than_a_rule(stored) -> None:
    found = unlike_others(sessions(stored("a"), stored("b", "photo"), stored("a", "region", seed=1)))
    assert found == {"S1": ("S2",), "S3": ("S2",)}


def test_photos_of_two_people_are_told(stored) -> None:
    """One of the photos is not the patient's."""
    two = sessions(stored("a", "photo"), stored("b", "photo"), stored("a", seed=1))
    assert unlike_others(two) == {"S1": ("S2",), "S2": ("S1",), "S3": ("S2",)}


def test_a_session_between_two_others_links_them(stored, person) -> None:
    """She is seen from the left, from the front and from the right."""
    left, right = stored("a"), stored("b")
    front = replace(left, embeddings=np.concatenate([person("a", 1, 2), person("b", 1, 2)]))
    assert unlike_others(sessions(left, right, front)) == {}


def test_faces_of_two_networks_are_not_compared(stored) -> None:
    other = replace(stored("b"), network="other", embeddings=np.zeros((1, 64), np.float32))
    assert unlike_others(sessions(stored("a"), other)) == {}


def test_stored_faces_are_read_again(stored, tmp_path) -> None:
    write_gallery(tmp_path, ("P1", "S1"), stored("a", "region"))
    read = read_gallery(tmp_path, "P1")["S1"]
    assert (read.network, read.chosen_by, read.same_person) == ("network", "region", SAME)
    assert read.embeddings.tolist() == stored("a").embeddings.tolist()
    write_gallery(tmp_path, ("P1", "S1"), None)
    assert read_gallery(tmp_path, "P1") == {}
