"""exchange.elan: unusual ELAN files."""

from pathlib import Path

import pytest
from rating_files import aligned, eaf, medium, read, referring, refused, stretches, tier

from pipeline.errors import InputError

pytest.importorskip("pympi", reason="needs the packages of the extra agreement")


HAPPY = [(1000, 5000, "happy")]


# --- ELAN


SEGMENTS = tier("segment", aligned("a1", "ts1", "ts2", "x"), aligned("a2", "ts2", "ts3", "y"))
HAPPY_1 = aligned("a1", "ts1", "ts2", "happy")
ONE = tier("emotion", HAPPY_1)
VIDEO = medium("file:///C:/v/P012_S02.mp4")


@pytest.mark.parametrize(
    ("media", "start_s"),
    [
        ("", 1),
        (VIDEO, 1),
        (medium("file:///C:/v/P012_S02.mp4", origin_ms=-500), 0.5),
        (medium("C:\\v\\P012_S02.mp4", "", 2000), 3),
        (medium("file:///C:/v/sound.wav", "audio/x-wav", 5000) + VIDEO, 1),
        (medium("file:///C:/v/P012_S02.wav", "", 5000) + VIDEO, 1),
        (medium("file:///C:/v/room.mp4", origin_ms=5000) + VIDEO, 1),
        (medium("file:///C:/v/sound.wav", "audio/x-wav", 5000) + medium("file:///C:/v/room.mp4"), 1),
        (medium("file:///C:/v/sound.wav", "audio/x-wav", 2000), 3),
        (medium("file:///v/second%20half.mp4", origin_ms=2000), 33),
        ('<MEDIA_DESCRIPTOR MEDIA_URL="" RELATIVE_MEDIA_URL="./P012_S02.mp4" TIME_ORIGIN="2000"/>', 3),
    ],
)
def test_the_origin_of_elan_s_times_is_that_of_the_session_s_own_medium(
    tmp_path: Path, media: str, start_s: float
) -> None:
    found = read(eaf(tmp_path / "P012_S02.eaf", ONE, media=media))
    assert stretches(found) == [(start_s, start_s + 4, "happy")]


@pytest.mark.parametrize(
    "media",
    [
        medium("file:///a.mp4", origin_ms=0) + medium("file:///b.mp4", origin_ms=4000),
        VIDEO + medium("file:///w/P012_S02.mp4", origin_ms=4000),
        VIDEO + medium("file:///v/second%20half.mp4"),
    ],
)
def test_media_that_disagree_are_refused(tmp_path: Path, media: str) -> None:
    said = refused(eaf(tmp_path / "P012_S02.eaf", ONE, media=media))
    assert "P012_S02.eaf: its media (" in said
    assert "link only the video of P012 S02" in said


def test_a_file_named_after_a_session_with_another_session_s_video_is_refused(tmp_path: Path) -> None:
    said = refused(eaf(tmp_path / "P012_S02.eaf", ONE, media=medium("file:///P012_S03.mp4")))
    assert "named after P012 S02, but its video is that of P012 S03" in said


def test_videos_of_two_sessions_do_not_tell_which_is_rated(tmp_path: Path) -> None:
    media = VIDEO + medium("file:///P012_S03.mp4")
    assert "which session" in refused(eaf(tmp_path / "coded.eaf", ONE, media=media))


@pytest.mark.parametrize("codes", [None, "x=-,y=-", "x=-"])
def test_dependent_annotations_have_their_ancestor_s_time(tmp_path: Path, codes: str | None) -> None:
    emotions = tier(
        "emotion",
        referring("a3", "a1", "happy"),
        referring("a4", "a2", "sad"),
        kind="assoc",
        parent="segment",
    )
    notes = tier("sure", referring("a5", "a3", "very"), kind="assoc", parent="emotion")
    found = read(eaf(tmp_path / "P012_S02_anna.eaf", SEGMENTS + emotions + notes), codes)
    assert stretches(found) == [(1, 5, "happy"), (5, 9, "sad")]
    assert "'sure'" in found.notes[0]
    assert codes == "x=-,y=-" or any("'segment'" in note for note in found.notes)


def test_the_parts_of_a_subdivision_share_its_time_in_their_order(tmp_path: Path) -> None:
    """Of 4 s: 1 s each, the second of which is halved again by a chain of references."""
    emotions = tier(
        "emotion",
        referring("a9", "a1", "neutral", "a6"),
        referring("a6", "a1", "sad", "a5"),
        referring("a5", "a1", "happy"),
        referring("a7", "a1", "fear", "a9"),
        kind="parts",
        parent="segment",
    )
    finer = tier(
        "finer",
        referring("b2", "a6", "angry", "b1"),
        referring("b1", "a6", "surprise"),
        kind="parts",
        parent="emotion",
    )
    found = read(eaf(tmp_path / "P012_S02_anna.eaf", SEGMENTS + emotions + finer))
    assert stretches(found) == [
        *((1, 2, "happy"), (2, 2.5, "surprise"), (2, 3, "sad")),
        *((2.5, 3, "angry"), (3, 4, "neutral"), (4, 5, "fear")),
    ]
    assert any("several labels at once" in note for note in found.notes)


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        ([referring("a3", "a9", "happy")], "depends on 'a9', which is missing"),
        ([referring("a3", "a1", "happy", "a8")], "follow a missing annotation"),
        (
            [referring("a3", "a1", "happy"), referring("a4", "a1", "sad")] * 2,
            "two elements have the ANNOTATION_ID",
        ),
        ([referring("a3", "a4", "happy"), referring("a4", "a3", "sad")], "can't be read as an ELAN file"),
        (
            [referring("a3", "a1", "happy"), referring("a4", "a1", "sad")],
            "several annotations of tier 'emotion'",
        ),
    ],
)
def test_broken_references_are_refused(tmp_path: Path, annotations: list[str], said: str) -> None:
    emotions = tier("emotion", *annotations, kind="assoc", parent="segment")
    assert said in refused(eaf(tmp_path / "P012_S02.eaf", SEGMENTS + emotions))


def test_two_tiers_of_one_name_are_refused(tmp_path: Path) -> None:
    assert "two elements have the TIER_ID 'emotion'" in refused(
        eaf(tmp_path / "P012_S02.eaf", ONE + tier("emotion", aligned("a2", "ts2", "ts3", "sad")))
    )


def test_other_units_than_milliseconds_are_refused(tmp_path: Path) -> None:
    assert "'PAL-frames'" in refused(eaf(tmp_path / "P012_S02.eaf", ONE, units="PAL-frames"))


def test_slots_without_a_time_lie_evenly_between_their_neighbours(tmp_path: Path) -> None:
    slots = (
        '<TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="1000"/><TIME_SLOT TIME_SLOT_ID="ts2"/>'
        '<TIME_SLOT TIME_SLOT_ID="ts3"/><TIME_SLOT TIME_SLOT_ID="ts4" TIME_VALUE="7000"/>'
    )
    emotions = tier(
        "emotion",
        aligned("a1", "ts1", "ts2", "happy"),
        aligned("a2", "ts2", "ts3", "sad"),
        aligned("a3", "ts3", "ts4", "fear"),
    )
    found = read(eaf(tmp_path / "P012_S02.eaf", emotions, slots))
    assert stretches(found) == [(1, 3, "happy"), (3, 5, "sad"), (5, 7, "fear")]


def test_slots_of_a_dependent_tier_lie_between_those_of_the_same_tier(tmp_path: Path) -> None:
    """As ELAN shows it: 1 to 7 s are divided in three, wherever another tier has a time."""
    slots = (
        '<TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="1000"/><TIME_SLOT TIME_SLOT_ID="ts2"/>'
        '<TIME_SLOT TIME_SLOT_ID="ts3"/><TIME_SLOT TIME_SLOT_ID="ts8" TIME_VALUE="1600"/>'
        '<TIME_SLOT TIME_SLOT_ID="ts9" TIME_VALUE="2000"/><TIME_SLOT TIME_SLOT_ID="ts4" TIME_VALUE="7000"/>'
    )
    emotions = tier(
        "emotion",
        aligned("a1", "ts1", "ts2", "happy"),
        aligned("a2", "ts2", "ts3", "sad"),
        aligned("a3", "ts3", "ts4", "fear"),
        parent="segment",
    )
    others = tier("segment", aligned("a4", "ts1", "ts4", "x")) + tier(
        "talk", aligned("a5", "ts8", "ts9", "y")
    )
    found = read(eaf(tmp_path / "P012_S02.eaf", others + emotions, slots))
    assert stretches(found) == [(1, 3, "happy"), (3, 5, "sad"), (5, 7, "fear")]


def test_annotations_without_a_value_or_without_length_are_told(tmp_path: Path) -> None:
    emotions = tier(
        "emotion",
        aligned("a1", "ts1", "ts2", "happy"),
        aligned("a2", "ts2", "ts3", " "),
        aligned("a3", "ts3", "ts3", "sad"),
    )
    found = read(eaf(tmp_path / "P012_S02.eaf", emotions))
    assert stretches(found) == [(1, 5, "happy")]
    assert found.notes[:2] == (
        "P012_S02.eaf: tier 'emotion': 1 without a code left out",
        "P012_S02.eaf: 1 of P012 S02 without length left out",
    )


@pytest.mark.parametrize(
    "value",
    [
        *("no", "None", "not", "0", "0.0", "false", "-", "–", "n/a", "nein", "non", "no."),
        *("not happy", "no smile", "sad", "SAD", "speaking", "negative", "frown", "hidden"),
    ],
)
def test_a_value_that_contradicts_its_tier_s_name_is_refused(tmp_path: Path, value: str) -> None:
    happy = tier("happy", aligned("a1", "ts1", "ts2", ""), aligned("a2", "ts2", "ts3", value))
    path = eaf(tmp_path / "P012_S02.eaf", happy)
    assert f"tier 'happy' has an annotation with the value {value!r} at 5 s; in ELAN" in refused(
        path, "smile=happy,frown=sad,hidden=?"
    )


def test_the_first_of_several_such_values_is_named(tmp_path: Path) -> None:
    happy = tier("happy", aligned("a2", "ts2", "ts3", "no"), aligned("a1", "ts1", "ts2", "sad"))
    assert "the value 'sad' at 1 s (and 1 more)" in refused(eaf(tmp_path / "P012_S02.eaf", happy))


@pytest.mark.parametrize(
    ("name", "value"), [("happy", "Happy"), ("smile", "happy"), ("happy", "smile"), ("happy", " ")]
)
def test_a_value_that_repeats_its_tier_s_name_is_not_told(tmp_path: Path, name: str, value: str) -> None:
    found = read(
        eaf(tmp_path / "P012_S02.eaf", tier(name, aligned("a1", "ts1", "ts2", value))), "smile=happy"
    )
    assert stretches(found) == [(1, 5, "happy")]
    assert not any("ignored" in note for note in found.notes)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("happy", "2"), ("happy", "broad"), ("happy", "?"), ("happy", "no doubt")),
        *(("happy", "positive"), ("positive", "happy"), ("speaking", "no, thank you")),
    ],
)
def test_other_values_in_a_tier_named_like_a_code_are_told(tmp_path: Path, name: str, value: str) -> None:
    found = read(eaf(tmp_path / "P012_S02.eaf", tier(name, aligned("a1", "ts1", "ts2", value))))
    assert found.notes[0] == f"P012_S02.eaf: values of tier '{name}' that are ignored: '{value}' (1)"
    (rating,) = found.ratings
    assert [one.label for one in (*rating.stretches, *rating.states)] == [name]


def test_of_many_ignored_values_the_most_frequent_are_named(tmp_path: Path) -> None:
    said = [aligned(f"a{n}", "ts1", "ts2", f"word {n % 7}") for n in range(15)]
    found = read(eaf(tmp_path / "P012_S02.eaf", tier("speaking", *said)))
    assert "ignored: 'word 0' (3), 'word 1' (2), 'word 2' (2)" in found.notes[0]
    assert found.notes[0].endswith(", and 2 more")


def test_a_value_that_the_map_leaves_out_takes_its_annotation_out(tmp_path: Path) -> None:
    happy = tier("happy", aligned("a1", "ts1", "ts2", ""), aligned("a2", "ts2", "ts3", "no"))
    found = read(eaf(tmp_path / "P012_S02.eaf", happy), "no=-")
    assert stretches(found) == [(1, 5, "happy")]
    assert found.notes[0] == "P012_S02.eaf: tier 'happy': left out for their values: 'no' (1)"


def test_values_in_tiers_of_others_or_of_left_out_codes_do_not_count(tmp_path: Path) -> None:
    tiers = tier("happy", aligned("a1", "ts1", "ts2", ""), person="P012")
    tiers += tier("sad", aligned("a2", "ts1", "ts2", "no"), person="nurse")
    tiers += tier("talk", aligned("a3", "ts1", "ts2", "sad"), person="P012")
    assert stretches(read(eaf(tmp_path / "P012_S02.eaf", tiers), "talk=-")) == [(1, 5, "happy")]


def test_an_annotation_that_ends_before_it_starts_is_refused(tmp_path: Path) -> None:
    emotions = tier("emotion", aligned("a1", "ts2", "ts1", "happy"))
    assert "'a1' ends before it starts" in refused(eaf(tmp_path / "P012_S02.eaf", emotions))


def test_a_tier_named_rated_states_what_was_rated(tmp_path: Path) -> None:
    rated = tier("Rated", aligned("r1", "ts1", "ts3", ""))
    found = read(eaf(tmp_path / "P012_S02.eaf", ONE + rated), "none=neutral")
    assert found.ratings[0].rated == ((1, 9),)
    assert stretches(found) == [(1, 5, "happy")]
    assert found.notes == ()


def test_what_a_rater_of_a_file_rated_is_not_stated_for_another(tmp_path: Path) -> None:
    def by(annotator: str, text: str) -> str:
        return text.replace("<TIER ", f'<TIER ANNOTATOR="{annotator}" ')

    happy = by("Anna", tier("emotion", aligned("a1", "ts1", "ts2", "happy")))
    sad = by("Bo", tier("emotion-2", aligned("a2", "ts2", "ts3", "sad")))
    rated = by("Anna", tier("rated", aligned("r1", "ts1", "ts2", "")))
    found = read(eaf(tmp_path / "P012_S02.eaf", happy + sad + rated))
    assert [(one.rater, one.rated) for one in found.ratings] == [("Anna", ((1, 5),)), ("Bo", ((5, 9),))]
    assert [one.is_assumed for one in found.ratings] == [False, True]
    (one,) = read(eaf(tmp_path / "P012_S02.eaf", ONE + rated)).ratings
    assert one.rated == ((1, 5),), "the tier of codes names nobody else"


def two_people(patient: str, other: str) -> str:
    return tier("emotion", HAPPY_1, person=patient) + tier(
        "of the other", aligned("a2", "ts2", "ts3", "sad"), person=other
    )


@pytest.mark.parametrize("patient", ["P012", " p012", "Patient"])
def test_codes_of_another_person_are_not_the_patient_s(tmp_path: Path, patient: str) -> None:
    found = read(eaf(tmp_path / "P012_S02.eaf", two_people(patient, "carer")))
    assert stretches(found) == [(1, 5, "happy")]
    assert "tiers of other people than the patient were left out: 'of the other'" in found.notes[0]


@pytest.mark.parametrize("person", ["nurse", "Carer 1", "other"])
@pytest.mark.parametrize("name", ["emotion", "happy"])
def test_codes_of_a_carer_alone_are_refused(tmp_path: Path, person: str, name: str) -> None:
    path = eaf(tmp_path / "P012_S02_anna.eaf", tier(name, HAPPY_1, person=person))
    assert f"{path}: codes only {person!r}, not the patient; take it away" in refused(path)


@pytest.mark.parametrize("person", ["Mr B", "P12"])
def test_the_only_participant_is_told(tmp_path: Path, person: str) -> None:
    found = read(eaf(tmp_path / "P012_S02_anna.eaf", tier("emotion", HAPPY_1, person=person)))
    assert stretches(found) == [(1, 5, "happy")]
    assert found.notes[0] == (
        f"P012_S02_anna.eaf: the only participant is {person!r}, whose codes are taken as the patient's, P012"
    )


@pytest.mark.parametrize("person", ["", "P012", "patient"])
def test_the_patient_alone_is_not_told(tmp_path: Path, person: str) -> None:
    found = read(eaf(tmp_path / "P012_S02_anna.eaf", tier("emotion", HAPPY_1, person=person)))
    assert not any("participant" in note for note in found.notes)


def test_an_empty_tier_of_a_carer_codes_nobody(tmp_path: Path) -> None:
    tiers = tier("words", aligned("a1", "ts1", "ts2", "good")) + tier("emotion", person="nurse")
    with pytest.raises(InputError, match="Unknown codes: 'good'"):
        read(eaf(tmp_path / "P012_S02_anna.eaf", tiers))


def test_a_dependent_tier_is_of_its_parent_s_person(tmp_path: Path) -> None:
    tiers = two_people("P012", "carer") + tier(
        "finer", referring("a3", "a2", "angry"), kind="assoc", parent="of the other"
    )
    found = read(eaf(tmp_path / "P012_S02.eaf", tiers))
    assert stretches(found) == [(1, 5, "happy")]
    assert "'of the other', 'finer'" in found.notes[0]


@pytest.mark.parametrize(
    ("patient", "said"), [("Mr B", "('carer', 'Mr B')"), ("", "('carer', one without a name)")]
)
def test_two_people_none_of_whom_is_named_as_the_patient_are_refused(
    tmp_path: Path, patient: str, said: str
) -> None:
    answer = refused(eaf(tmp_path / "P012_S02.eaf", two_people(patient, "carer")))
    assert f"codes several people {said}; name the patient's participant P012." in answer


def test_an_empty_tier_without_a_name_is_nobody_s(tmp_path: Path) -> None:
    tiers = tier("emotion", HAPPY_1, person="Mr B") + tier("default")
    assert stretches(read(eaf(tmp_path / "P012_S02.eaf", tiers))) == [(1, 5, "happy")]


def test_a_transcript_of_another_person_is_no_rating(tmp_path: Path) -> None:
    words = tier("words", aligned("a3", "ts1", "ts3", "good morning"), person="carer")
    found = read(eaf(tmp_path / "P012_S02.eaf", tier("emotion", HAPPY_1, person="Mr B") + words))
    assert stretches(found) == [(1, 5, "happy")]
