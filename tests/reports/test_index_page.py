"""The index: what a person has to do, by the command that helps; and the coordinator's status page."""

from dataclasses import replace
from pathlib import Path

import pytest
from french import FRENCH, assert_no_english
from page_text import Page
from timelines import TWENTY_SECONDS, make_timeline, put
from written_pages import write_index

from pipeline.reasons import Reason, free_text
from pipeline.store.coverage import summarize
from pipeline.store.encryption import use_key, use_no_key, write_key
from pipeline.store.status import Outcome, State, record
from reports import ReportOptions, write_reports
from reports.assets import INLINE
from reports.index_data import Commands, IndexEntry, Overview
from reports.pages.index import index_page
from reports.pages.tasks import MAX_REASONS, find_tasks
from reports.render import write_page
from reports.words.language import ENGLISH, language
from reports.write import write_status_page

STUDY = Commands("a study")
PEOPLE, PROCESS = "emonext people 'a study'", "emonext process RECORDINGS --out 'a study'"
STILL = Reason.of("not_certain", reason=Reason.of("still_face"))
SEEN = summarize(make_timeline(TWENTY_SECONDS))
UNSEEN = replace(SEEN, observed_s=1.0)


def entry(state: str, *reasons: Reason, session_id: str = "S1", **known: object) -> IndexEntry:
    return replace(IndexEntry("P1", session_id, state, reasons), **known)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "commands"),
    [
        (entry("done", identity="confirmed", enough=True, summary=SEEN), []),
        (entry("to_check", STILL, identity="to_check"), [(PEOPLE,)]),
        (entry("partial", identity="confirmed"), [(PROCESS,)]),
        (entry("partial", identity="unknown"), [(PEOPLE,), (PROCESS,)]),
        (entry("failed", Reason.of("not_found")), [("emonext preflight RECORDING", PROCESS)]),
        (
            entry("failed", Reason.of("in_file", number=2, reason=Reason.of("empty_file"))),
            [("emonext preflight RECORDING", PROCESS)],
        ),
        (entry("failed", Reason.of("killed")), [(PROCESS,)]),
        (entry("failed"), [(PROCESS,)]),
        (entry("interrupted"), [(PROCESS,)]),
        (entry("waiting"), [(PROCESS,)]),
        (entry("running"), []),
        (
            entry(
                "to_check",
                Reason.of("not_certain", reason=Reason.of("expression_not_stored")),
                identity="to_check",
            ),
            [(PROCESS,)],
        ),
        (entry("no_consent"), []),
        (entry("withdrawn"), []),
        (
            entry("done", identity="confirmed", summary=UNSEEN),
            [("emonext preflight TRIAL",)],
        ),
        (entry("done", identity="confirmed", summary=SEEN), []),
        (entry("skipped", identity="confirmed"), []),
    ],
    ids=lambda value: value.state if isinstance(value, IndexEntry) else "",
)
def test_each_state_leads_to_the_command_that_helps(one: IndexEntry, commands: list[tuple[str, ...]]) -> None:
    assert [task.commands for task in find_tasks([one], STUDY, ENGLISH)] == commands


def test_what_waits_while_a_run_is_at_work_needs_nobody() -> None:
    waiting, running = entry("waiting"), entry("running", session_id="S2")
    assert find_tasks([waiting, running], STUDY, ENGLISH) == []


def test_the_commands_of_an_encrypted_folder_name_the_key() -> None:
    known = Commands("study", encrypted=True)
    assert known.people == "emonext people study --key KEY"
    assert known.process == "emonext process RECORDINGS --out study --encrypt KEY"


def test_sessions_of_one_reason_stand_together() -> None:
    crashed = Reason.of("crashed", signal="SIGSEGV")
    entries = [
        entry("failed", reason, session_id=f"S{n}")
        for n, reason in enumerate([Reason.of("killed"), crashed, crashed])
    ]
    (task,) = find_tasks(entries, STUDY, ENGLISH)
    told = [(reason.partition(",")[0], [one.session_id for one in ones]) for reason, ones in task.sessions]
    assert told == [
        ("its process crashed (SIGSEGV); the video may be damaged", ["S1", "S2"]),
        ("its process was killed", ["S0"]),
    ]


def test_many_reasons_do_not_make_the_page_too_large() -> None:
    entries = [
        entry("failed", free_text(f"fault {n}"), session_id=f"S{n:03}") for n in range(MAX_REASONS + 3)
    ]
    (task,) = find_tasks(entries, STUDY, ENGLISH)
    assert [len(ones) for _, ones in task.sessions] == [1] * MAX_REASONS + [3]
    assert task.sessions[-1][0] == ""


def test_the_page_says_how_many_sessions_need_a_person_and_folds_the_commands(tmp_path: Path) -> None:
    entries = [
        entry("partial", identity="to_check"),
        entry("failed", free_text("<b>no</b> disk"), session_id="S2"),
        entry("done", summary=SEEN, session_id="S3", identity="confirmed"),
    ]
    html = write_index(entries, tmp_path / "index.html").read_text()
    page = Page(html)
    assert "2 sessions need a person" in page.text
    assert PROCESS.replace("'a study'", "study") in page.text
    assert "<b>no" not in html
    assert html.count("data-needed>") == 2
    assert '<details class="tasks">' in html
    opened = index_page(entries, ENGLISH, INLINE, Overview(is_status=True))
    assert '<details class="tasks" open>' in opened


def test_nobody_is_not_confirmed_as_the_patient(tmp_path: Path) -> None:
    nobody = entry("done", Reason.of("no_face_in_video"), summary=UNSEEN, identity="confirmed")
    assert "Confirmed" not in write_index([nobody], tmp_path / "index.html").read_text()
    unknown = replace(nobody, state="to_check", identity="unknown")
    assert "Unknown" in write_index([unknown], tmp_path / "index.html").read_text()


def test_where_nothing_is_to_do_nothing_is_said(tmp_path: Path) -> None:
    done = entry("done", summary=SEEN, enough=True, identity="confirmed")
    html = write_index([done], tmp_path / "index.html").read_text()
    assert "coordinator" not in html
    assert "emonext " not in Page(html).text


def test_columns_of_which_nothing_is_known_are_left_out(tmp_path: Path) -> None:
    html = write_index([entry("waiting")], tmp_path / "index.html").read_text()
    heads = html[html.index("<thead>") : html.index("</thead>")]
    assert Page(heads).text == "Session Length Face could be seen State"


# --- the status


def outcome(session_id: str, state: State, *reasons: Reason, identity: str | None = None) -> Outcome:
    coverage = 0.5 if identity else None
    return Outcome("P1", session_id, state, reasons, coverage, 0.0, 600.0, 1.0, "2026-01-01", identity)


def test_before_a_session_has_a_timeline_the_status_says_what_waits(tmp_path: Path) -> None:
    record(tmp_path, outcome("S1", "running"), outcome("S2", "waiting"))
    page = write_status_page(tmp_path, tmp_path / "status.html", running=True)
    assert "2 sessions of 1 patient: 1 waiting, 1 running." in Page(page.read_text()).text
    assert "needs a person" not in page.read_text()
    page = write_status_page(tmp_path, tmp_path / "status.html", running=False)
    text = Page(page.read_text()).text
    assert "1 waiting, 1 interrupted." in text
    assert "2 sessions need a person" in text
    assert f"emonext process RECORDINGS --out {tmp_path.name}" in text
    assert str(tmp_path) not in page.read_text()


def test_an_empty_folder_has_a_status_too(tmp_path: Path) -> None:
    page = write_status_page(tmp_path, tmp_path / "status.html", running=False)
    assert "There is no session yet." in page.read_text()


def test_the_status_leads_to_pages_from_where_it_lies(tmp_path: Path) -> None:
    out = tmp_path / "a study"
    put(out, make_timeline(TWENTY_SECONDS))
    write_reports(out, options=ReportOptions("fr"))
    record(out, outcome("S1", "done", identity="confirmed"), outcome("S2", "failed", Reason.of("killed")))
    status = write_status_page(out, tmp_path / "elsewhere" / "status.html", running=False)
    assert_no_english(status)
    links = [known["href"] for tag, known in Page(status.read_text()).tags if tag == "a"]
    assert links == ["../a%20study/reports/study.html", "../a%20study/reports/P1/S1.html"]
    assert (status.parent / "../a study/reports/P1/S1.html").is_file()


def test_the_status_of_an_encrypted_folder_needs_no_key(tmp_path: Path) -> None:
    out = tmp_path / "study"
    key = write_key(tmp_path / "study.key")
    try:
        use_key(key)
        put(out, make_timeline(TWENTY_SECONDS))
        write_reports(out)
        record(out, outcome("S1", "to_check", STILL, identity="to_check"))
    finally:
        use_no_key()
    text = Page(write_status_page(out, tmp_path / "status.html", running=False).read_text()).text
    assert "emonext people study --key KEY" in text
    assert "50 % ? To check" in text or "50 % To check" in text


@pytest.mark.parametrize("state", ["no_consent", "withdrawn"])
def test_without_consent_the_status_says_only_that(tmp_path: Path, state: State) -> None:
    record(tmp_path, outcome("S1", state))
    page = write_status_page(tmp_path, tmp_path / "status.html", running=False)
    text = Page(page.read_text()).text
    assert str(Reason.of(state))[1:] in text
    assert "need" not in text
    assert page.read_text().count("<a ") == 0


def test_a_french_index_with_all_tasks_holds_no_english(tmp_path: Path) -> None:
    entries = [
        entry("to_check", STILL, identity="to_check"),
        entry("failed", Reason.of("not_found"), session_id="S2"),
        entry("failed", Reason.of("killed"), session_id="S3"),
        entry("interrupted", session_id="S4"),
        entry("partial", Reason.of("undecoded", seconds=0.6), session_id="S5", condition="music"),
        entry("done", summary=SEEN, identity="confirmed", session_id="S6"),
    ]
    page = index_page(entries, FRENCH, INLINE, Overview(is_status=True))
    path = write_page(tmp_path / "index.html", page)
    assert_no_english(path)
    assert "5 séances demandent une intervention" in path.read_text().replace("\u00a0", " ")


@pytest.mark.parametrize("name", ["en", "fr"])
def test_two_thousand_sessions_fit_into_a_page(tmp_path: Path, name: str) -> None:
    states = ["done"] * 8 + ["to_check", "failed"]
    entries = [
        replace(
            entry(states[n % 10], *([] if n % 10 < 8 else [STILL])),
            patient_id=f"P{n % 200:03}",
            session_id=f"S{n // 200:02}",
            summary=SEEN,
            enough=True,
            link=f"P{n % 200:03}/S{n // 200:02}.html",
            condition="music",
            identity="confirmed",
        )
        for n in range(2000)
    ]
    page = index_page(entries, language(name), INLINE)
    assert len(page.encode()) < 1_500_000


def test_thousands_of_sessions_with_long_reasons_are_no_larger_in_french() -> None:
    def reasons(n: int) -> tuple[Reason, ...]:
        far = Reason.of("nobody_near", person=n % 5, far=0.5 + n % 37 / 100, most=0.5)
        return Reason.of("not_recognised", reason=far), Reason.of("undecoded", seconds=n % 13 + 0.6)

    entries = [
        replace(
            entry("to_check", *reasons(n)),
            patient_id=f"P{n // 20:03}",
            session_id=f"S{n % 20:02}",
            summary=SEEN,
            enough=True,
            link=f"P{n // 20:03}/S{n % 20:02}.html",
            condition="music",
            identity="to_check",
        )
        for n in range(2000)
    ]
    page = index_page(entries, language("fr"), INLINE, Overview(study="study.html", is_status=True))
    assert len(page.encode()) < 1_500_000
