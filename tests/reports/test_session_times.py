"""Times on a session's page: no two different statements have the same time."""

from dataclasses import replace
from pathlib import Path

from page_text import Page
from session_pages import GOOD, HARD, facts, material, spaced
from timelines import Runs
from written_pages import write_session_report

from pipeline.analysis.events import Event
from reports.session_data import SessionMaterial
from reports.words.language import ENGLISH, language
from reports.words.session import in_short

NAP: Runs = [("neutral", 100), ("eyes_shut", 300), ("neutral", 50), ("eyes_shut", 60), ("neutral", 50)]


def told(made: SessionMaterial) -> dict[str, str]:
    return {question: spaced(said) for question, said in in_short(made, ENGLISH)}


def shown(made: SessionMaterial, folder: Path) -> str:
    return Page(write_session_report(made, folder / "page.html").read_text()).text


def test_two_expressions_in_one_minute_are_told_to_the_second() -> None:
    made = material(recorded_at="2026-03-02T14:00:30", facts=facts())
    said = told(made)
    assert said["Moments that looked happy"] == "The expression looked happy at 14:00:40 and 14:01:31."
    assert said["Moments that looked sad, afraid, angry or disgusted"] == (
        "The expression looked sad at 14:00:46 and angry at 14:02:40."
    )
    french = dict(in_short(made, language("fr")))
    assert spaced(french["Moments d’expression joyeuse"]).endswith("à 14:00:40 et 14:01:31.")
    # a rest that ends in the minute in which a smile begins
    asleep = told(material(NAP, recorded_at="2026-03-02T14:00:30", facts=facts(hard=())))
    assert (
        asleep["Closed eyes"] == "Asleep or resting from 14:00:50 to 14:01:50 and from 14:02:00 to 14:02:12."
    )


def test_two_expressions_in_one_second_are_told_apart() -> None:
    sad = replace(HARD[0], start_s=10.4)
    made = material(recorded_at="2026-03-02T14:00:30", facts=facts(good=GOOD[:1], hard=(sad,)))
    assert told(made)["Moments that looked happy"].endswith("happy at 14:00:40.00.")
    assert told(made)["Moments that looked sad, afraid, angry or disgusted"].endswith("sad at 14:00:40.40.")
    french = dict(in_short(made, language("fr")))
    assert french["Moments d’expression joyeuse"].endswith("à 14:00:40,00.")
    unknown = told(replace(made, timeline=material().timeline))
    assert unknown["Moments that looked happy"].endswith("happy at 0:10.00 of the video.")


def test_events_of_one_minute_are_told_to_the_second(tmp_path: Path) -> None:
    events = Event("P1", "S1", 3.0, "song"), Event("P1", "S1", 9.0, "visit")
    made = material(recorded_at="2026-03-02T14:00:30", facts=facts(events=events))
    assert "14:00:33 song 14:00:39 visit" in shown(made, tmp_path)
    made = replace(made, facts=facts(events=events[:1]))
    assert "14:00 song" in shown(made, tmp_path)
