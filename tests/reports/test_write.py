"""reports.write: escaping, and the written pages."""

import base64
import hashlib
import re
import stat
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import plotly.offline
import pytest
from one_page import material, page_of
from page_text import Page
from timelines import HOSTILE, TWENTY_SECONDS, chosen, make_timeline, put
from written_pages import write_index, write_session_report

import reports
from pipeline.errors import OutputError, TimelineError
from pipeline.reasons import Reason, free_text
from pipeline.store.coverage import Summary, summarize
from pipeline.store.status import Outcome, State, record
from reports import update_reports, write_reports
from reports.index_data import IndexEntry
from reports.session_data import SessionMaterial

# What must not be shown, or run
from reports.words.language import language


def test_everything_is_escaped(tmp_path: Path) -> None:
    hostile = make_timeline(
        TWENTY_SECONDS,
        patient_id=HOSTILE,
        session_id=HOSTILE,
        warnings=[free_text(HOSTILE).write()],
        device=HOSTILE,
        weights={"name": HOSTILE, "sha256": HOSTILE},
        patient=chosen(HOSTILE, 1, 1) | {"identity": "to_check", "reason": free_text(HOSTILE).write()},
    )
    page = page_of(hostile, tmp_path)
    assert page.count("img") == 0
    assert page.count("script") == 4  # Plotly, the one that draws, and the data of two figures
    assert page.text.count("<script>alert(1)</script>") >= 4
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]


def test_the_index_is_escaped(tmp_path: Path) -> None:
    entry = IndexEntry(HOSTILE, HOSTILE, HOSTILE, (free_text(HOSTILE),), None, None)
    page = Page(write_index([entry], tmp_path / "index.html").read_text())
    assert page.count("img") == 0
    assert page.count("script") == 1  # that of the search
    assert "alert(1)" in page.text


def test_the_name_of_the_video_is_not_shown(tmp_path: Path) -> None:
    path = write_session_report(material(TWENTY_SECONDS), tmp_path / "a.html")
    assert "Jane" not in path.read_text()


def test_only_the_scripts_of_the_program_may_run(tmp_path: Path) -> None:
    page = page_of(make_timeline(TWENTY_SECONDS), tmp_path)
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    allowed = re.search(r"script-src ([^;]*);", policy)
    assert allowed
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in page.scripts]
    assert allowed[1].split() == [f"'sha256-{digest}'" for digest in digests]
    assert len(digests) == 2


def test_nothing_is_loaded_from_elsewhere(tmp_path: Path) -> None:
    page = page_of(make_timeline(TWENTY_SECONDS), tmp_path)
    assert page.count("link") == page.count("iframe") == 0
    assert not [a for _, a in page.tags if "src" in a or not (a.get("href") or "#").startswith("#")]


def test_the_plotly_script_is_the_published_one() -> None:
    bundle = (resources.files("reports") / "static" / "plotly-basic.min.js").read_bytes()
    published = "99784e3abfb07b142a15e521a439e6d9addceadb3f79553fd24c72774f0649ba"
    assert hashlib.sha256(bundle).hexdigest() == published
    of_python = re.search(r"plotly\.js v([\d.]+)", plotly.offline.get_plotlyjs()[:200])
    assert of_python
    assert f"plotly.js (basic - minified) v{of_python[1]}\n".encode() in bundle[:200]


# What is written


def test_a_page_for_each_timeline_and_an_index(tmp_path: Path) -> None:
    for patient, session in (("P2", "S1"), ("P1", "S2"), ("P1", "S1")):
        put(tmp_path, make_timeline(TWENTY_SECONDS, patient, session), patient, session)
    seen: list[tuple[int, int]] = []
    index = write_reports(tmp_path, lambda done, total: seen.append((done, total)))
    assert index == tmp_path / "reports" / "index.html"
    assert seen[-3:] == [(1, 3), (2, 3), (3, 3)]
    page = Page(index.read_text())
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    patients = ["P1/index.html", "P1/S1.html", "P1/S2.html", "P2/index.html", "P2/S1.html"]
    assert links == ["study.html", *patients]
    assert all(link and (index.parent / link).is_file() for link in links)
    assert "3 sessions of 2 patients: 3 done." in page.text
    assert "S1 20 s 90 % By the program 22 % 56 % 22 % Done" in page.text


def test_pages_are_for_their_owner_only(tmp_path: Path) -> None:
    put(tmp_path, make_timeline(TWENTY_SECONDS))
    reports_folder = write_reports(tmp_path).parent
    written = sorted(reports_folder.rglob("*"))
    names = ["P1", "S1.html", "index.html", "index.html", "made.json", "options.json", "study.html"]
    assert [path.name for path in written] == names
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (reports_folder, *written)}
    folders = {"reports": 0o700, "P1": 0o700}
    assert modes == folders | dict.fromkeys(names[1:], 0o600)


def test_failed_sessions_are_in_the_index_with_their_reason(tmp_path: Path) -> None:
    put(tmp_path, make_timeline(TWENTY_SECONDS))
    rows = [
        ("P1", "S1", "partial", Reason.of("undecoded", seconds=0.6)),
        ("P3", "S9", "failed", Reason.of("no_decoded_frame")),
        ("P3", "S8", "skipped"),
    ]
    _write_status(tmp_path, rows)
    page = Page(write_reports(tmp_path).read_text())
    assert "3 sessions of 2 patients: 1 partial, 1 failed, 1 skipped." in page.text
    assert "Partial 0.6 s of the video could not be decoded" in page.text
    assert "S9 no report Failed no frame can be decoded." in page.text
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert links == ["study.html", "P1/S1.html", "P1/index.html", "P1/S1.html"]


def test_a_session_that_failed_after_an_earlier_run_says_so(tmp_path: Path) -> None:
    put(tmp_path, make_timeline(TWENTY_SECONDS))
    _write_status(tmp_path, [("P1", "S1", "failed", free_text("no space left"))])
    assert "no space left The report is of an earlier run." in Page(write_reports(tmp_path).read_text()).text


def _write_status(out: Path, rows: list[tuple[Any, ...]]) -> None:
    for patient, session, state, *reasons in rows:
        record(
            out,
            Outcome(patient, session, state, tuple(reasons), None, None, None, 1.0, "2026-01-01T00:00:00"),
        )


@pytest.mark.parametrize("state", ["no_consent", "withdrawn"])
def test_who_gave_no_consent_is_on_no_page(tmp_path: Path, state: State) -> None:
    put(tmp_path, make_timeline(TWENTY_SECONDS))
    _write_status(tmp_path, [("P1", "S1", "done"), ("P3", "S9", state)])
    text = Page(write_reports(tmp_path).read_text()).text
    assert "1 session of 1 patient" in text
    assert "P3" not in text


def test_a_damaged_status_costs_no_page(tmp_path: Path) -> None:
    put(tmp_path, make_timeline(TWENTY_SECONDS))
    (tmp_path / "status.parquet").write_text("not parquet")
    assert "1 session of 1 patient" in Page(write_reports(tmp_path).read_text()).text


def test_a_timeline_must_be_where_its_ids_say(tmp_path: Path) -> None:
    put(tmp_path, make_timeline(TWENTY_SECONDS, "P1", "S1"), "P2", "S1")
    with pytest.raises(TimelineError, match="holds patient P1, session S1"):
        write_reports(tmp_path)


def test_a_damaged_timeline_is_not_passed_over(tmp_path: Path) -> None:
    put(tmp_path, make_timeline(TWENTY_SECONDS)).write_text("not parquet")
    with pytest.raises(TimelineError, match=r"S1\.parquet"):
        write_reports(tmp_path)


def test_a_page_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "page.html").mkdir()
    timeline = make_timeline(TWENTY_SECONDS)
    with pytest.raises(OutputError, match=r"page\.html"):
        write_session_report(SessionMaterial(timeline, summarize(timeline)), tmp_path / "page.html")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_an_index_shows_no_shares_of_too_little(tmp_path: Path) -> None:
    summary: Summary = summarize(make_timeline([("happy", 30), ("no_face", 170)]))
    entry = IndexEntry("P1", "S1", "done", (), summary, "P1/S1.html")
    text = Page(write_index([entry], tmp_path / "a.html").read_text()).text
    assert "S1 40 s 15 % read too little to say Done" in text
    enough = replace(summary, observed_s=20.0, coverage=0.5, positive_s=5.0)
    seen = replace(entry, summary=enough, enough=True)
    text = Page(write_index([seen], tmp_path / "b.html").read_text()).text
    assert "S1 40 s 50 % 25 % 0 % 0 % Done" in text


def test_the_public_names() -> None:
    assert reports.__all__ == sorted(reports.__all__)
    assert all(hasattr(reports, name) for name in reports.__all__)


def test_a_patient_who_was_not_recognised_is_told_so(tmp_path: Path) -> None:
    reason = "nobody is near enough to the photos"
    unknown = chosen("photo", None, 2) | {"identity": "unknown", "reason": free_text(reason).write()}
    text = page_of(make_timeline(TWENTY_SECONDS, patient=unknown), tmp_path).text
    assert (
        f"It is not certain who the patient is in this video, so nobody’s expression was counted ({reason})"
        in text
    )
    assert "It is not certain who P1 is in this recording" in text
    assert "another person" not in text


@pytest.mark.parametrize("name", ["en", "fr"])
def test_first_it_is_said_that_it_is_not_certain_who_it_is(tmp_path: Path, name: str) -> None:
    unsure = chosen("photo", 1, 2) | {"identity": "to_check", "reason": {"code": "no_face"}}
    page = page_of(make_timeline(TWENTY_SECONDS, patient=unsure), tmp_path, language(name))
    sentence = {"en": "It is not certain that this is P1", "fr": "Il n’est pas certain que ce soit P1"}[name]
    assert 0 < page.text.index(sentence) < 120


def test_pages_are_made_anew_only_where_the_status_changed_since(study: Path) -> None:
    """The index is written last: a run that was killed before leaves one that is older than the status."""
    _write_status(study, [("P1", "S1", "done")])
    index = write_reports(study)
    index.write_text("seen")
    update_reports(study)
    assert index.read_text() == "seen"
    _write_status(study, [("P1", "S1", "done")])
    update_reports(study)
    assert index.read_text() != "seen"
