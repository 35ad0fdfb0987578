"""The page of people: what it shows, in which order and language, and what it never shows."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from french import FRENCH, assert_no_english
from page_text import Page
from session_pages import jpeg

from pipeline.reasons import Reason, free_text
from pipeline.records import PEOPLE_COLUMNS, Person, Seat, Still
from reports.forms.drawing import region_text
from reports.forms.people import people_page, write_people_page
from reports.words.language import ENGLISH


def person(session_id: str, number: int = 1, **values: object) -> Person:
    made = Person(
        patient_id="P1",
        session_id=session_id,
        number=number,
        tracks=(number,),
        role="patient" if number == 1 else "unknown",
        seconds=65.0,
        first_s=3.0,
        last_s=70.0,
        chosen_by="longest",
        identity="to_check",
        portraits=(jpeg(),),
        embeddings=np.zeros((0, 0), np.float32),
        source="0123456789ab",
        portrait_s=(42.0,),
        reason=Reason.of("several_people", count=2),
    )
    return replace(made, **values)  # type: ignore[arg-type]


PEOPLE = [
    person("S1", 1, seen_with=(2,)),
    person("S1", 2, seen_with=(1,), note=Reason.of("looks_like", sessions="S2, S3")),
    person("S2", identity="recognised", chosen_by="photo", reason=None),
    person("S3", identity="unknown", role="unknown", portraits=(), portrait_s=()),
]
STILLS = {("P1", "S1"): Still(jpeg(), 12.0, {1: Seat((0.0, 0.1, 0.555, 1.0), 0.98, (2,))})}


def data_of(page: str) -> dict[str, object]:
    found = re.search(r'id="people-data">(.*?)</script>', page, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def test_the_page_leads_to_each_patient() -> None:
    assert 'class="jumps"' not in people_page(PEOPLE, "people.csv"), "there is one patient"
    others = [person("S1", patient_id="P2"), person("S1", patient_id="P3", identity="confirmed", reason=None)]
    page = people_page([*PEOPLE, *others], "people.csv")
    to_check, known = page.split("<details>")
    jumps = re.findall(r'<li><a href="#(session-\d)">(P\d)</a>(?: <span class="quiet">\((\d)\))?', to_check)
    assert jumps == [("session-0", "P1", "2"), ("session-3", "P2", "")]
    assert re.findall(r'<li><a href="#(session-\d)">(P\d)', known) == [
        ("session-1", "P1"),
        ("session-4", "P3"),
    ]
    assert all(f'id="{place}"' in to_check for place, *_ in jumps)


def test_sessions_to_check_come_first_and_the_others_are_folded() -> None:
    page = people_page(PEOPLE, "people.csv")
    unfolded, folded = page.split("<details>")
    assert re.findall(r"Session (S\d)", unfolded) == ["S1", "S3"]
    assert re.findall(r"Session (S\d)", folded) == ["S2"]
    text = Page(page).text
    assert "Proposal: the patient is person 1 (a guess: seen longest)." in text
    assert "Proposal: the patient is person 1 (by the patient’s photo)." in text
    assert "Proposal: nobody is the patient." in text
    assert "2 people may be seen; a rule chose one" in text
    assert "On the screen for 1 min 05 s, from 0:03 to 1:10." in text
    assert "Person 1 at 0:42" in page


def test_the_data_are_the_rows_of_the_table() -> None:
    data = data_of(people_page(PEOPLE, "people.csv"))
    assert data["columns"] == list(PEOPLE_COLUMNS)
    assert data["rows"] == [
        [f"{cell:g}" if isinstance(cell, float) else str(cell) for cell in cells]
        for cells in ([one.cells()[name] for name in PEOPLE_COLUMNS] for one in PEOPLE)
    ]
    assert data["with"] == [[1], [0], [], []]
    assert data["sessions"] == [
        {"rows": [0, 1], "check": True},
        {"rows": [2], "check": False},
        {"rows": [3], "check": True},
    ]


def test_choices_of_another_state_of_the_folder_are_not_taken() -> None:
    """What the browser keeps goes by the key, which changes with what the choices are about."""
    keys = [
        data_of(people_page(people, "people.csv", language))["key"]
        for people, language in [
            (PEOPLE, ENGLISH),
            (PEOPLE, FRENCH),
            (PEOPLE[:3], ENGLISH),
            ([replace(PEOPLE[0], source="ba9876543210"), *PEOPLE[1:]], ENGLISH),
        ]
    ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_the_seat_is_proposed_as_the_list_writes_it() -> None:
    page = people_page(PEOPLE, "people.csv", stills=STILLS)
    assert 'data-region="0,10,55.5,100"' in page
    assert "Also there: person 2." in page
    assert page.count("There is no picture of the whole room") == 2
    assert region_text((0.123, 0.2, 0.3, 0.4)) == "12.3,20,30,40"


def test_a_text_in_the_data_is_shown_and_never_obeyed() -> None:
    harmful = "</script><script>alert(1)</script><b>x</b>"
    said = free_text(harmful)
    people = [replace(one, note=said, reason=said, alike=harmful) for one in PEOPLE]
    page = people_page(people, harmful, folder=harmful, stills=STILLS)
    assert "<b>x</b>" not in page
    assert Page(page).count("script") == Page(people_page(PEOPLE, "people.csv")).count("script")
    assert Page(page).scripts == Page(people_page(PEOPLE, "people.csv")).scripts


def test_the_command_names_the_folder_and_no_path(tmp_path: Path) -> None:
    (tmp_path / "my study").mkdir()
    path = tmp_path / "my study" / "people.html"
    page = write_people_page(PEOPLE, path.with_name("people.csv"), path).read_text()
    assert "emonext people &#39;my study&#39; --apply people.csv" in page
    assert str(tmp_path) not in page
    assert not re.search(r"https?://", page)


@pytest.mark.parametrize("people", [PEOPLE, [replace(one, alike="A") for one in PEOPLE]])
def test_a_french_page_holds_no_english(people: list[Person], tmp_path: Path) -> None:
    path = write_people_page(people, tmp_path / "people.csv", tmp_path / "people.html", FRENCH, STILLS)
    assert_no_english(path)
    text = Page(path.read_text()).text
    assert "Proposition : le patient est la personne 1 (une supposition : visible le plus longtemps)." in text
    assert "ressemble au patient de S2, S3 : à vérifier" in text
    assert data_of(path.read_text())["columns"] == list(PEOPLE_COLUMNS)
