"""The page of a session with all results: plain words, moments, shares with intervals."""

import base64
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from page_text import Page
from session_pages import GOOD, HARD, corrected, facts, jpeg, material, rated, spaced
from timelines import HOSTILE, TWENTY_SECONDS, Runs, chosen, make_timeline, put
from written_pages import write_session_report

from pipeline.analysis.events import Event
from pipeline.analysis.highlights import Moment
from pipeline.analysis.session_results import Unusual
from pipeline.analysis.summaries import Number
from pipeline.reasons import Reason
from pipeline.records import EMOTIONS
from reports import ReportOptions, last_options, write_reports
from reports.assets import Assets
from reports.session_data import Pictures, SessionMaterial
from reports.words.dates import Clock
from reports.words.language import ENGLISH, language
from reports.words.session import answer, in_short


def page_of(made: SessionMaterial, folder: Path) -> Page:
    return Page(write_session_report(made, folder / "page.html").read_text())


def told(made: SessionMaterial) -> dict[str, str]:
    return {question: spaced(said) for question, said in in_short(made, ENGLISH)}


# plain words


@pytest.mark.parametrize("made", [material(), material([("no_face", 50)], facts=facts(enough=False))])
def test_where_nothing_is_known_the_page_says_less(made: SessionMaterial, tmp_path: Path) -> None:
    assert in_short(made, ENGLISH) == []
    assert page_of(made, tmp_path).count("dl") == 0


NAP: Runs = [("neutral", 100), ("eyes_shut", 300), ("neutral", 50), ("eyes_shut", 60), ("neutral", 50)]


def test_a_nap_is_told_with_its_times_and_is_no_expression(tmp_path: Path) -> None:
    made = material(NAP, recorded_at="2026-03-02T14:00:30", facts=facts())
    said = spaced(answer(made, ENGLISH))
    assert "the face could be read for 40 s (36 %)" in said
    assert said.endswith("The eyes were closed for 1 min 12 s (asleep or resting).")
    assert told(replace(made, facts=None)) == {
        "Closed eyes": "Asleep or resting from 14:00 to 14:01 and around 14:02."
    }
    text = spaced(page_of(made, tmp_path).text)
    assert "Time with closed eyes counts as neither neutral nor sad." in text
    assert "Eyes closed: asleep or resting" in text


def test_who_sleeps_all_the_time_is_not_called_unseen() -> None:
    said = spaced(answer(material([("eyes_shut", 150)]), ENGLISH))
    assert said == (
        "In the 30 s recorded, no expression could be read. "
        "The eyes were closed for 30 s (asleep or resting)."
    )


def test_a_nap_is_told_in_french() -> None:
    french = language("fr")
    made = material(NAP, recorded_at="2026-03-02T14:00:30", facts=facts())
    assert spaced(answer(made, french)).endswith("(sommeil ou repos).")
    assert in_short(made, french)[0][0] == "Yeux fermés"


@pytest.mark.parametrize(("without", "in_first_lines"), [(0.08, True), (0.17, False), (0.2, False)])
def test_what_speech_does_to_the_shares_is_told(tmp_path: Path, without: float, in_first_lines: bool) -> None:
    numbers = dict(facts().numbers)
    for of, value in (("positive", without), ("neutral", 0.6), ("negative", 0.12)):
        numbers["raw", "share_without_speech", of] = Number(value)
    made = material(facts=facts(numbers=numbers))
    made = replace(made, summary=replace(made.summary, speaking_s=5.0, chewing_s=1.0))
    sentence = f"Without that time: happy {100 * without:.0f} % instead of 20 %."
    assert ("Speech" in told(made)) is in_first_lines
    assert (sentence in spaced(page_of(made, tmp_path).text)) is (without != 0.2)
    if in_first_lines:
        assert (
            told(made)["Speech"]
            == f"The person spoke or chewed for 6 s, and both move the face too. {sentence}"
        )


def test_shares_are_drawn_with_and_without_speech(tmp_path: Path) -> None:
    numbers = dict(facts().numbers)
    quiet = dict.fromkeys(EMOTIONS, 0.0) | {"neutral": 0.9, "happy": 0.1}
    for of, value in (quiet | {"positive": 0.1, "negative": 0.0}).items():
        numbers["raw", "share_without_speech", of] = Number(value)
    page = page_of(material(facts=facts(numbers=numbers)), tmp_path).text
    assert page.index("All the time read") < page.index("Without speech and chewing")
    assert "Without speech and chewing" not in page_of(material(facts=facts()), tmp_path).text


def test_moments_are_told_by_the_time_of_day() -> None:
    sad = replace(HARD[0], start_s=190.0, end_s=200.0, peak_s=195.0)
    made = material(recorded_at="2026-03-02T14:00:30", facts=facts(hard=(sad, HARD[1])))
    assert told(made) == {
        "Moments that looked happy": "The expression looked happy around 14:00 and 14:01.",
        "Moments that looked sad, afraid, angry or disgusted": (
            "The expression looked sad around 14:03 and angry around 14:02."
        ),
        "Different from usual": "Nothing stood out beside this person’s 7 other sessions.",
    }


@pytest.mark.parametrize("recorded_at", [None, "2026-03-02T00:00:00"])
def test_where_the_time_of_day_is_not_known_moments_are_told_by_the_video(recorded_at: str | None) -> None:
    made = told(material(recorded_at=recorded_at, facts=facts()))
    assert made["Moments that looked happy"] == "The expression looked happy at 0:10 and 1:01 of the video."


def test_no_moment_is_told_as_such() -> None:
    made = told(material(facts=facts(good=(), hard=())))
    assert made["Moments that looked happy"] == (
        "No moment looked happy long and clearly enough to stand out in the time in which the face could "
        "be read."
    )
    assert made["Moments that looked sad, afraid, angry or disgusted"].startswith("No moment looked sad,")


def test_what_is_unlike_usual_is_told_with_what_is_usual() -> None:
    unusual = (Unusual("positive", 0.42, 0.05, 0.2), Unusual("", 0.1, 0.31, 0.6))
    assert told(material(facts=facts(unusual=unusual)))["Different from usual"] == (
        "The expression looked happy more than usual: 42 % of the time read. After this person’s 7 other "
        "sessions one would expect 5 % to 20 %. The face looked other than neutral less than usual: in 10 % "
        "of the time read. After this person’s 7 other sessions one would expect 31 % to 60 %."
    )


def test_with_few_other_sessions_nothing_is_called_usual() -> None:
    assert told(material(facts=facts(others=4)))["Different from usual"].startswith("Not known yet")


def test_too_little_is_what_the_studys_settings_say() -> None:
    """Not the raw reading in the place of the corrected one."""
    made = material(facts=corrected(enough=False, numbers={}))
    assert answer(made, ENGLISH).endswith("This is too little to say how the expression looked.")
    assert "Different from usual" not in told(made)


def test_a_short_recording_is_not_called_seldom_seen() -> None:
    short = material([("happy", 40), ("no_face", 4)], facts=facts(enough=False))
    said = answer(short, ENGLISH)
    assert "The recording is short: the face could be read for" in said
    assert "only" not in said
    seldom = material([("happy", 40), ("no_face", 160)], facts=facts(enough=False))
    assert "could be read for only" in answer(seldom, ENGLISH)


def test_a_still_face_is_told_and_of_a_glimpse_nothing_is() -> None:
    assert (
        "says little about how somebody feels" in told(material(facts=facts(still=True)))["Little expression"]
    )
    glimpse = material([("happy", 30), ("no_face", 170)], facts=facts(still=True, enough=False))
    assert set(told(glimpse)) == {
        "Moments that looked happy",
        "Moments that looked sad, afraid, angry or disgusted",
    }


@pytest.mark.parametrize(("good", "questions"), [(GOOD, ["Moments that looked happy"]), ((), [])])
def test_of_a_glimpse_no_moment_is_missed(good: tuple[Moment, ...], questions: list[str]) -> None:
    glimpse = material([("happy", 30), ("no_face", 170)], facts=facts(good=good, hard=(), enough=False))
    assert list(told(glimpse)) == questions


def test_of_a_recording_that_counts_in_part_the_part_is_told() -> None:
    made = material([("happy", 200)])
    metadata = made.timeline.metadata
    session = {**metadata["session"], "parts": [[0.0, 15.0], [20.0, 45.0]]}
    video = {**metadata["video"], "duration_s": 45.0}
    timeline = replace(made.timeline, metadata={**metadata, "session": session, "video": video})
    told = spaced(answer(replace(made, timeline=timeline), ENGLISH))
    assert told.startswith("Of the 40 s that count, the face could be read for 40 s (100 %).")
    french = spaced(answer(replace(made, timeline=timeline), language("fr")))
    assert french.startswith("Sur une durée retenue de 40 s, le visage a pu être lu pendant 40 s")


def test_the_answer_goes_by_the_persons_own_calm_face() -> None:
    assert spaced(answer(material(facts=corrected()), ENGLISH)) == (
        "Of the 20 s recorded, the face could be read for 18 s (90 %). In that time, compared with this "
        "person’s own calm face, the expression looked neutral most of the time (90 %) and happy for 2 s."
    )


def test_a_condition_that_many_studies_have_is_in_the_pages_language(tmp_path: Path) -> None:
    made = material()
    for condition, shown in (("music", "musique"), ("PASA music", "PASA music")):
        made.timeline.metadata["session"]["condition"] = condition
        page = Page(write_session_report(made, tmp_path / "page.html", language("fr")).read_text())
        assert f"Patient P1, séance S1 {shown} Sur " in page.text


def test_the_page_tells_when_and_under_what_condition(tmp_path: Path) -> None:
    made = material(recorded_at="2026-03-02T14:05:00")
    made.timeline.metadata["session"]["condition"] = "music <loud>"
    assert "Monday 2 March 2026, 14:05 · music <loud>" in page_of(made, tmp_path).text
    made.timeline.metadata["session"]["recorded_at"] = "2026-03-02T00:00:00"
    assert "Monday 2 March 2026 · music <loud>" in page_of(made, tmp_path).text


@pytest.mark.parametrize("word", ["depress", "dementia is", "apathy", "Parkinson", "patholog"])
def test_never_a_diagnosis(word: str, tmp_path: Path) -> None:
    text = page_of(material(facts=corrected(still=True)), tmp_path).text
    assert word.lower() not in text.lower()


def test_it_says_why_a_face_could_not_be_read(tmp_path: Path) -> None:
    text = page_of(material([("happy", 100), ("low_quality", 50), ("neutral", 100)]), tmp_path).text
    assert "turned away or covered (covered 10 s)" in text


# in doubt who the patient is


@pytest.mark.parametrize("status", ["low_quality", "no_face", "other_person"])
@pytest.mark.parametrize(("identity", "track"), [("to_check", 1), ("unknown", None)])
def test_in_doubt_no_face_is_blamed(identity: str, track: int | None, status: str, tmp_path: Path) -> None:
    made = material([(status, 50)])
    made.timeline.metadata["patient"] = chosen("longest", track, 2) | {
        "identity": identity,
        "reason": Reason.of("several_people", count=2).write(),
    }
    page = page_of(made, tmp_path)
    said = answer(made, ENGLISH)
    assert said.startswith("It is not certain ")
    assert "please look at the recording" in said
    assert "could not be read" not in page.text
    assert "nother person" not in page.text
    assert "There is nothing to draw: it is not certain who the patient is" in page.text


def test_without_a_face_there_is_no_doubt(tmp_path: Path) -> None:
    made = material([("no_face", 50)])
    made.timeline.metadata["patient"] = chosen("longest", None, 0) | {
        "identity": "unknown",
        "reason": Reason.of("no_face").write(),
    }
    text = page_of(made, tmp_path).text
    assert "the face could not be read at any time" in answer(made, ENGLISH)
    assert "not certain" not in text


@pytest.mark.parametrize(
    ("identity", "said"),
    [("unknown", "please check that it is the right one."), ("confirmed", "a person has approved it")],
)
def test_without_a_face_the_page_says_who_checked_the_recording(
    identity: str, said: str, tmp_path: Path
) -> None:
    made = material([("no_face", 50)])
    made.timeline.metadata["patient"] = chosen("hand", None, 0) | {"identity": identity}
    text = page_of(made, tmp_path).text
    assert said in answer(made, ENGLISH)
    assert "did not find P1" not in text
    assert "was named by a person" not in text


def test_a_session_to_check_says_so_before_what_was_read(tmp_path: Path) -> None:
    made = material()
    made.timeline.metadata["patient"] |= {"identity": "to_check", "reason": Reason.of("no_face").write()}
    assert spaced(answer(made, ENGLISH)).startswith(
        "It is not certain that this is P1: please look at the recording before you use what follows. "
        "Of the 20 s recorded, the face could be read for 18 s"
    )


def test_a_session_hardly_read_asks_whether_it_is_the_right_one() -> None:
    made = material([("happy", 40), ("no_face", 260)], facts=facts(enough=False))
    assert "Please check" not in answer(made, ENGLISH)
    made.timeline.metadata["patient"] |= {"identity": "hardly_seen"}
    assert answer(made, ENGLISH).endswith("Please check that it is the right recording.")


# shares


def test_shares_stand_with_their_intervals(tmp_path: Path) -> None:
    page = page_of(material(facts=facts()), tmp_path)
    assert "Positive (happy) 4 s 20 % 15–25 %" in page.text
    assert "Angry 0 s 0 % 0–5 %" in page.text
    assert "95 % intervals" in page.text
    assert "As estimated" not in page.text


def test_raw_and_corrected_stand_side_by_side(tmp_path: Path) -> None:
    page = page_of(material(facts=corrected()), tmp_path)
    assert "Neutral 60 % 55–65 % 90 % 85–95 %" in page.text
    assert page.text.count("Compared with this person’s own calm face") == 3
    assert "looked in 2 min 05 s of calm" in page.text
    assert "before it is compared with this person’s own calm face" in page.text


def test_without_measures_shares_have_no_interval(tmp_path: Path) -> None:
    text = page_of(material(), tmp_path).text
    assert "Happy 4 s 22 %" in text
    assert "95 % intervals" not in text


# moments and events


def test_moments_are_listed_with_how_clear_they_are(tmp_path: Path) -> None:
    text = page_of(material(facts=facts()), tmp_path).text
    assert "0:10 happy 4 s very clear 1:01 happy 2 s less clear" in text
    assert "0:16 sad 4 s clear 2:10 angry 1 s less clear" in text
    timed = material(recorded_at="2026-03-02T14:00:30", facts=facts())
    assert "14:00:40 0:10 happy 4 s very clear" in page_of(timed, tmp_path).text


def test_no_moments_are_no_table(tmp_path: Path) -> None:
    text = page_of(material(facts=facts(good=(), hard=())), tmp_path).text
    assert "No moment was long and clear enough to be listed." in text
    assert "Moments that looked happy" in text


def test_a_moment_leads_to_its_review_only_where_there_is_one(tmp_path: Path) -> None:
    without = page_of(material(facts=facts()), tmp_path)
    assert [a["href"] for tag, a in without.tags if tag == "a"] == [
        "../index.html",
        "index.html",
        "#about",
        "../study.html#methods",
    ]
    page = page_of(material(facts=facts(), review="../../review/P1/S1.html"), tmp_path)
    links = [a["href"] for tag, a in page.tags if tag == "a"]
    assert links[3:5] == ["../../review/P1/S1.html#t=10.00", "../../review/P1/S1.html#t=61.00"]


def test_pictures_are_shown_and_what_they_show_is_said(tmp_path: Path) -> None:
    some = {12.0: jpeg()}
    page = page_of(material(facts=facts(), pictures=Pictures(some, "plain")), tmp_path)
    (image,) = (a for tag, a in page.tags if tag == "img")
    assert image["src"] == f"data:image/jpeg;base64,{base64.b64encode(jpeg()).decode()}"
    assert image["alt"] == "The patient at 0:10, expression happy"
    assert "The pictures show the patient’s face." in page.text
    assert "no picture 1:01" in page.text
    blurred = page_of(material(facts=facts(), pictures=Pictures(some, "blur")), tmp_path)
    assert "around the patient; all faces that were found are blurred." in blurred.text
    close = page_of(material(facts=facts(), pictures=Pictures({12.0: None}, "blur")), tmp_path)
    assert close.count("img") == 0
    assert close.text.count("Too close: without the faces nothing would be seen.") == 1
    gone = page_of(material(facts=facts(), pictures=Pictures({}, "plain")), tmp_path)
    assert "There are no pictures" in gone.text
    assert gone.count("img") == 0


def test_events_are_marked_and_listed(tmp_path: Path) -> None:
    made = material(
        facts=facts(events=(Event("P1", "S1", 3.0, "song <b>"), Event("P1", "S1", 12.5, "visit")))
    )
    page = page_of(made, tmp_path)
    assert "0:03 song <b> 0:12 visit" in page.text
    html = (tmp_path / "page.html").read_text()
    assert "song <b>" not in html
    assert html.count('"type":"line"') == 2


def test_an_event_outside_the_session_is_not_on_its_page(tmp_path: Path) -> None:
    later = Event("P1", "S1", 1.7e9, "visit")
    made = material(facts=facts(events=(Event("P1", "S1", 3.0, "song"), later)))
    assert "visit" not in page_of(made, tmp_path).text
    assert (tmp_path / "page.html").read_text().count('"type":"line"') == 1


def test_everything_is_escaped(tmp_path: Path) -> None:
    made = material(facts=facts(events=(Event("P1", "S1", 3.0, HOSTILE),)))
    made.timeline.metadata["session"]["condition"] = HOSTILE
    page = page_of(made, tmp_path)
    assert page.count("img") == 0
    assert page.count("script") == 4
    assert page.text.count("<script>alert(1)</script>") == 2


# scales


def test_a_scale_is_shown_as_filled_in_by_the_computer(tmp_path: Path) -> None:
    text = page_of(material(facts=facts(rated=rated())), tmp_path).text
    assert "Filled in by the computer, from the face alone." in text
    assert "Time in the video Face read Pleasure X <OWN> 0:00–10:00 55 % 2 less than 16 seconds" in text
    assert "1 never seen 10:00–20:00 10 % – not in view – not in view" in text
    assert "“–”: not in view." in text
    assert "the form has the code 7 for it" in text
    assert "How long these expressions lasted; the scale does not score them" in text
    assert "Time in the video Surprised Positive 0:00–10:00 3 s 12 s 10:00–20:00 – –" in text
    assert "because the face did not tell it: general alertness." in text
    assert text.count("Scores, by the computer") == 1


def test_a_scale_of_both_readings_is_shown_twice(tmp_path: Path) -> None:
    both = corrected(rated=rated() + rated("corrected"))
    assert page_of(material(facts=both), tmp_path).text.count("Scores, by the computer") == 2


def test_without_a_scale_there_is_no_section(tmp_path: Path) -> None:
    assert "Filled in by the computer" not in page_of(material(facts=facts()), tmp_path).text


# assets


def test_shared_scripts_and_style_are_written_once_and_named_by_the_pages(tmp_path: Path) -> None:
    put(tmp_path, make_timeline(TWENTY_SECONDS))
    index = write_reports(tmp_path, options=ReportOptions(assets="shared"))
    assets = index.parent / "assets"
    assert {"draw.js", "plotly-basic.min.js", "style.css"} <= {path.name for path in assets.iterdir()}
    session = index.parent / "P1" / "S1.html"
    assert session.stat().st_size < 100_000
    for path in (index, session):
        page = Page(path.read_text())
        named = [
            a.get("src") or a["href"]
            for tag, a in page.tags
            if (tag == "script" and "src" in a) or tag == "link"
        ]
        assert named
        assert all((path.parent / str(name)).is_file() for name in named)
    assert last_options(tmp_path) == ReportOptions(assets="shared")
    assert [ReportOptions().of_folder(n).assets for n in (20, 21)] == ["inline", "shared"]
    assert ReportOptions(assets="inline").of_folder(500).assets == "inline"
    write_reports(tmp_path)
    assert assets.is_dir(), "pages that are made anew stay as they were"
    (assets / "own.txt").write_text("of somebody else")
    write_reports(tmp_path, options=ReportOptions())
    assert [path.name for path in assets.iterdir()] == ["own.txt"]
    assert session.stat().st_size > 1_000_000
    assert last_options(tmp_path) == ReportOptions()


def test_only_scripts_with_the_pages_own_word_may_run(tmp_path: Path) -> None:
    pages = [
        write_session_report(material(), tmp_path / name, assets=Assets("../assets")) for name in ("a", "b")
    ]
    words = [set(re.findall(r"nonce[-=]\"?([\w-]{20,})", path.read_text())) for path in pages]
    assert [len(found) for found in words] == [1, 1]
    assert words[0] != words[1]
    policy = next(a["content"] for _, a in Page(pages[0].read_text()).tags if a.get("http-equiv"))
    assert f"script-src 'nonce-{words[0].pop()}';" in str(policy)


def test_thumbnails_are_taken_only_where_they_were_asked_for(tmp_path: Path) -> None:
    put(tmp_path, make_timeline([("neutral", 100), ("happy", 50), ("neutral", 50)]))
    asked: list[tuple[str, str, list[float]]] = []

    def take(patient: str, session: str, moments_s: Any) -> dict[float, bytes]:
        asked.append((patient, session, list(moments_s)))
        return {moments_s[0]: jpeg()}

    index = write_reports(tmp_path, options=ReportOptions(), take_pictures=take)
    assert asked == []
    write_reports(tmp_path, options=ReportOptions(thumbnails="blur"), take_pictures=take)
    assert [(patient, session, len(moments)) for patient, session, moments in asked] == [("P1", "S1", 1)]
    assert Page((index.parent / "P1" / "S1.html").read_text()).count("img") == 1
    assert last_options(tmp_path).thumbnails == "off"


def test_the_materials_times() -> None:
    made = material(recorded_at="2026-03-02T14:05:00")
    assert made.recorded_at == datetime(2026, 3, 2, 14, 5)
    assert Clock(made.recorded_at, ENGLISH)(3600) == "15:05"
    assert replace(made, facts=facts()).emotion_s["happy"] == pytest.approx(3.6)


@pytest.mark.parametrize(
    ("missing_s", "lost_s", "damaged", "without_picture"),
    [(0.0, 0.0, False, False), (8.0, 8.0, True, False), (0.0, 8.0, False, True), (3.0, 8.0, True, True)],
)
def test_a_file_is_called_damaged_only_where_it_is(
    missing_s: float, lost_s: float, *, damaged: bool, without_picture: bool, tmp_path: Path
) -> None:
    found = material()
    found.timeline.metadata["seconds_lost"] = lost_s
    found.timeline.metadata["video"] |= {"missing_s": missing_s, "without_picture_s": lost_s - missing_s}
    text = page_of(found, tmp_path).text
    assert ("damaged or cut off" in text) == damaged
    assert ("stored sound, but no picture" in text) == without_picture
