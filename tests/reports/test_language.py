"""Languages of the pages: every text is translated, and numbers have the local format."""

import errno
import os
import re
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Literal

import pytest
from french import FRENCH, NBSP, assert_no_english, forms, translations
from messages import messages
from session_pages import corrected, facts, material, rated
from timelines import TWENTY_SECONDS, chosen, make_timeline, put
from written_pages import write_index, write_session_report

from pipeline.analysis.events import Event
from pipeline.analysis.session_results import SessionFacts, Unusual
from pipeline.reasons import DECIMALS, TEXTS, Reason, free_text
from pipeline.store.coverage import summarize
from reports import ReportError, ReportOptions, write_reports
from reports.figures.resampling import cut
from reports.figures.session import valence_figure
from reports.index_data import IndexEntry
from reports.options import last_options
from reports.session_data import Pictures, SessionMaterial
from reports.words.formatting import seconds_text, share_text, signed
from reports.words.labels import CONDITION_WORDS, compared_text, condition_word
from reports.words.language import ENGLISH, SOURCE, language, languages
from reports.words.reasons import by_reason, reason_text, reasons_text, result_reason

OTHERS = [name for name in languages() if name != SOURCE]


def test_there_are_texts() -> None:
    assert len(messages()) > 100
    assert "Not a feeling." not in messages()
    assert any("caveats.html:2" in where for where in messages().values())


@pytest.mark.parametrize("name", OTHERS)
def test_every_text_is_translated_and_none_is_left_over(name: str) -> None:
    wanted, there = set(messages()), translations(name)
    assert {message: messages()[message] for message in wanted - there.keys()} == {}
    assert there.keys() - wanted == set()
    assert [message for message, text in there.items() if not all(form.strip() for form in forms(text))] == []


PLACE = re.compile(r"%\(\w+\)s|%%|</?\w+>")


@pytest.mark.parametrize("name", OTHERS)
def test_no_translation_loses_a_number_or_a_name(name: str) -> None:
    for message, text in translations(name).items():
        wanted = sorted(PLACE.findall(forms(message)[-1]))
        for form in forms(text):
            assert sorted(PLACE.findall(form)) == wanted or isinstance(message, tuple), message
            assert set(PLACE.findall(form)) <= set(wanted), message
            assert form % {place[2:-2]: "1" for place in wanted if place.startswith("%(")}


def test_french_points_stand_apart() -> None:
    """A space that does not break stands before : ; ? ! and %, and within « »."""
    wrong = re.compile(rf"[^\s{NBSP}][;?!»](?!/)|[^{NBSP}\d\w] ?[:;?!%»](?!\()| [:;?!»]|«[^{NBSP}]")
    for text in translations("fr").values():
        for form in forms(text):
            shown = re.sub(r"%\(\w+\)s|&\w+;", "x", form).replace("%%", "%")
            assert not wrong.search(shown), shown


def test_a_number_that_may_be_zero_is_no_subject_in_french() -> None:
    """“0 des 6 patients”: the number comes after what is counted."""
    texts = [form for text in translations("fr").values() for form in forms(text)]
    assert not [text for text in texts if re.search(r"%\(\w+\)s des %\(", text)]


@pytest.mark.parametrize(
    ("count", "expected"), [(0, "0 séance"), (1, "1 séance"), (2, "2 séances"), (1500, "1 500 séances")]
)
def test_plurals_go_with_their_number(count: int, expected: str) -> None:
    """In French nothing is singular too."""
    text = FRENCH.ngettext(f"%(count)s{NBSP}session", f"%(count)s{NBSP}sessions", count)
    assert " ".join(text.split()) == expected


def test_numbers_and_dates_are_written_as_there() -> None:
    assert [FRENCH.number(1234.5, 1), ENGLISH.number(1234.5, 1)] == ["1\u202f234,5", "1,234.5"]
    assert [FRENCH.plain(29.97), FRENCH.plain(5.0), ENGLISH.plain(0.1)] == ["29,97", "5", "0.1"]
    assert [FRENCH.number(value) for value in (-0.4, 2.6)] == ["0", "3"]
    assert signed(-0.26, 1, FRENCH) == "−0,3"
    assert seconds_text(0.3, FRENCH) == f"moins de 1{NBSP}s"
    assert share_text(0.1, 100, FRENCH) == f"moins de 1{NBSP}%"
    day, moment = date(2026, 3, 2), datetime(2026, 3, 2, 14, 5)
    assert [ENGLISH.date(day), FRENCH.date(day)] == ["Monday 2 March 2026", "lundi 2 mars 2026"]
    assert [ENGLISH.short_date(day), FRENCH.short_date(day)] == ["2 Mar 2026", "2 mars 2026"]
    assert [ENGLISH.time(moment), FRENCH.time(moment)] == ["14:05", "14:05"]
    assert ENGLISH.listed(["a"]) == "a"
    assert [spoken.listed(["a", "b", "c"]) for spoken in (ENGLISH, FRENCH)] == ["a, b and c", "a, b et c"]


def test_an_unknown_language_is_an_error_that_names_those_there_are() -> None:
    with pytest.raises(ReportError, match="`language` de: there is no such language; choose en or fr"):
        language("de")


def test_only_conditions_of_the_product_are_translated() -> None:
    assert [condition_word(name, FRENCH) for name in CONDITION_WORDS] == ["référence", "musique", "jardin"]
    assert [condition_word(name, FRENCH) for name in ("Baseline", "singing", "")] == [
        "Baseline",
        "singing",
        "",
    ]
    assert compared_text("singing", "baseline", FRENCH) == "singing − référence"
    assert compared_text("", "rest", FRENCH) == "rest"


# reasons


def test_a_reason_is_translated_with_what_it_names() -> None:
    far = Reason.of("nobody_near", person=2, far=0.61, most=0.5)
    reasons = [Reason.of("not_recognised", reason=far), Reason.of("undecoded", seconds=0.6)]
    reason = "the patient was not recognised: person 2 is 0.61 from the reference faces, and nobody nearer; "
    reason += "one person is 0.50 at most; 0.6 s of the video could not be decoded"
    assert reasons_text(reasons, FRENCH).replace(NBSP, " ") == (
        "le patient n’a pas été reconnu : la personne 2 est à 0,61 des visages de référence, et personne "
        "n’en est plus proche ; une même personne en est à 0,50 au plus ; 0,6 s de la vidéo n’ont pas "
        "pu être décodées"
    )
    assert reasons_text(reasons, ENGLISH) == reason


@pytest.mark.parametrize("code", sorted(TEXTS.keys() - {"text"}))
def test_every_reason_has_a_sentence_in_every_language(code: str) -> None:
    names = re.findall(r"%\((\w+)\)s", TEXTS[code])
    reason = Reason(code, {name: 7.0 if name in DECIMALS else "7" for name in names})
    assert "%(" not in str(reason)
    for name in OTHERS:
        told = reason_text(reason, language(name))
        assert "lang=" not in told
        assert told != str(reason)
        assert "%(" not in told


def test_a_reason_that_nobody_translated_says_that_it_is_english() -> None:
    reason = free_text("disk <full>")
    english = 'message « <span lang="en">disk &lt;full&gt;</span> »'
    assert reason_text(reason, FRENCH).replace(NBSP, " ") == english
    assert reason_text(reason, ENGLISH) == "disk <full>"
    within = Reason.of("unexpected", error="OSError", reason=reason)
    assert reason_text(within, FRENCH).replace(NBSP, " ") == (
        f"erreur inattendue OSError : {english} ; le journal donne les détails"
    )


def test_frequent_messages_of_other_programs_are_translated() -> None:
    damaged = "Invalid data found when processing input"
    reason = Reason.of("no_video_file", error=free_text(damaged))
    assert damaged in reason_text(reason, ENGLISH)
    assert "(données non valides)" in reason_text(reason, FRENCH)
    # the texts are the system's own; another system may have others
    system = {
        os.strerror(code) for code in (errno.ENOENT, errno.EACCES, errno.ENOSPC, errno.EIO, errno.ENOMEM)
    }
    if sys.platform == "linux":
        assert [text for text in system if "lang=" in reason_text(free_text(text), FRENCH)] == []


def test_a_missing_result_has_its_reason_in_the_language_of_the_page() -> None:
    text = "3 of the 6 patients it takes have 2 sessions of both conditions in which enough was seen"
    assert result_reason(text, ENGLISH) == text
    assert result_reason(text, FRENCH).startswith("trop peu de patients ont 2 séances")
    rare = str(Reason.of("few_rated_of", groups="negative, surprise"))
    assert result_reason(rare, FRENCH).replace(NBSP, " ").endswith(" : négative et surprise")
    assert result_reason(str(Reason.of("no_measure", measure="share positive")), FRENCH).endswith(
        FRENCH.word("Positive share")
    )
    assert result_reason("", FRENCH) == ""
    assert by_reason([(text, "a"), ("", "b"), (text, "c")], ENGLISH) == [(text, ["a", "c"])]


# pages


GAPS = [("happy", 50), ("no_face", 4), ("sad", 60), ("other_person", 50), ("surprise", 60), ("no_face", 4)]


@pytest.mark.parametrize(
    "by", ["longest", "largest", "hand", "photo", "region", "3", None], ids=lambda by: str(by)
)
def test_a_french_session_holds_no_english(by: str | None, tmp_path: Path) -> None:
    patient = chosen(by or "photo", 1 if by else None, 2) | {
        "identity": "confirmed" if by == "hand" else "recognised",
        "reason": {"code": "no_clear_face"},
    }
    warnings = [{"code": "undecoded", "seconds": 0.6}]
    timeline = make_timeline(GAPS, patient=patient, warnings=warnings, seconds_lost=0.6)
    page = write_session_report(SessionMaterial(timeline, summarize(timeline)), tmp_path / "a.html", FRENCH)
    assert_no_english(page)
    assert "l’expression semblait" in page.read_text()


@pytest.mark.parametrize("faces", ["plain", "blur", None])
@pytest.mark.parametrize("recorded_at", ["2026-03-02T14:05:00", None])
def test_a_french_session_with_all_that_can_be_known_holds_no_english(
    faces: Literal["plain", "blur"] | None, recorded_at: str | None, tmp_path: Path
) -> None:
    unusual = [Unusual(of, value, 0.2, 0.4) for of in ("positive", "negative", "") for value in (0.1, 0.5)]
    known = corrected(
        still=True,
        unusual=tuple(unusual),
        events=(Event("P1", "S1", 3.0, "chanson"),),
        rated=rated()[:1] + rated("corrected")[:1],
    )
    pictures = Pictures({12.0: b"jpeg"}, faces) if faces else Pictures({}, "blur")
    made = material(TWENTY_SECONDS, recorded_at, facts=known, pictures=pictures, review="../../review/a.html")
    page = write_session_report(made, tmp_path / "a.html", FRENCH)
    assert_no_english(page)
    assert "par rapport au visage au repos de cette personne" in page.read_text()


@pytest.mark.parametrize(
    "known", [facts(good=(), hard=()), facts(others=2), facts()], ids=["no moment", "few", "usual"]
)
def test_a_french_session_of_which_less_is_known_holds_no_english(
    known: SessionFacts, tmp_path: Path
) -> None:
    page = write_session_report(material(facts=known), tmp_path / "a.html", FRENCH)
    assert_no_english(page)


@pytest.mark.parametrize("runs", [[("no_face", 50)], [("happy", 3), ("no_face", 97)], [("happy", 100)]])
def test_a_french_session_that_shows_little_holds_no_english(
    runs: list[tuple[str, int]], tmp_path: Path
) -> None:
    timeline = make_timeline(runs)
    assert_no_english(
        write_session_report(SessionMaterial(timeline, summarize(timeline)), tmp_path / "a.html", FRENCH)
    )


def test_a_french_index_holds_no_english(tmp_path: Path) -> None:
    assert_no_english(write_index([], tmp_path / "empty.html", FRENCH))
    states = ("done", "partial", "failed", "skipped", "waiting", "running", "interrupted")
    entries = [
        IndexEntry(
            "P1",
            f"S{n}",
            state,
            (Reason.of("not_found"),),
            summarize(make_timeline(runs)),
            f"P1/S{n}.html",
            enough,
        )
        for runs, enough in ((TWENTY_SECONDS, True), ([("no_face", 9)], False))
        for n, state in enumerate(states)
    ]
    entries.append(IndexEntry("P2", "S1", "failed", (), None, None))
    page = write_index(entries, tmp_path / "index.html", FRENCH)
    assert_no_english(page)
    assert "2 terminées" in page.read_text().replace(NBSP, " ")


def test_the_words_beside_a_figure_fit_into_its_margin() -> None:
    figure = valence_figure(cut(make_timeline(TWENTY_SECONDS), 1), FRENCH)
    assert figure["layout"]["yaxis2"]["ticktext"] == ["négative", "ni l’une<br>ni l’autre", "positive"]


def test_pages_keep_their_language_when_they_are_made_anew(tmp_path: Path) -> None:
    put(tmp_path, make_timeline(TWENTY_SECONDS))
    assert last_options(tmp_path) == ReportOptions(language="en")
    write_reports(tmp_path, options=ReportOptions(language="fr"))
    assert last_options(tmp_path) == ReportOptions(language="fr")
    index = write_reports(tmp_path)
    for page in (index, index.parent / "P1" / "S1.html"):
        assert_no_english(page)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"language": "xx", "assets": "inline"}', '{"language": [], "assets": "inline"}'],
)
def test_stored_options_that_make_no_sense_are_the_defaults(text: str, tmp_path: Path) -> None:
    put(tmp_path, make_timeline(TWENTY_SECONDS))
    index = write_reports(tmp_path, options=ReportOptions("fr", "shared"))
    assert last_options(tmp_path) == ReportOptions("fr", "shared")
    (index.parent / "options.json").write_text(text)
    assert last_options(tmp_path) == ReportOptions()


def test_the_first_of_the_month_is_an_ordinal_in_french() -> None:
    assert FRENCH.date(date(2026, 3, 1)) == "dimanche 1er mars 2026"
    assert FRENCH.short_date(date(2026, 4, 1)) == "1er avr. 2026"
    assert [FRENCH.day_and_month(date(2026, 3, day)) for day in (1, 21)] == ["1er mars", "21 mars"]
    assert FRENCH.long_date(date(2026, 3, 11)) == "11 mars 2026"
    assert ENGLISH.long_date(date(2026, 3, 1)) == "1 March 2026"
