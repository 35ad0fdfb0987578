"""Every type of page, with nearly all that it can show, from made data."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

from adaptations import make_adaptation
from coloured_people import ByColour, make_mixed_study
from evaluations import make_evaluation
from fakes import FAKE_WEIGHTS, find_squares, judge_by_light
from made_clips import CLIPS, FILMS
from multiverses import analysis, table_of
from plans import frozen
from session_pages import corrected, jpeg, material, rated
from simulated_raters import rate_truly
from timelines import TWENTY_SECONDS, make_timeline
from videos import encode, with_faces
from written_pages import write_session_report

from pipeline.agreement.clip_accuracy import compare_clips
from pipeline.agreement.compare import agree
from pipeline.agreement.rated_clips import read_clips, read_rated_clips
from pipeline.analysis.adaptation import adaptation_path, write_adaptation
from pipeline.analysis.events import Event
from pipeline.analysis.session_results import Unusual
from pipeline.checks.trial_recordings import check_trial, checked_recordings, find_trial
from pipeline.exchange.code_map import read_codes
from pipeline.exchange.coded import session_names
from pipeline.exchange.ratings import read_ratings
from pipeline.faces.detection import CropSpec
from pipeline.processing.session import Networks
from pipeline.reasons import Reason
from pipeline.results.checklist import answer_items
from pipeline.results.checklist_facts import read_facts
from pipeline.results.derive import derive
from pipeline.review.people import find_people
from pipeline.review.people_table import write_people
from pipeline.review.stills import find_stills
from pipeline.store.status import Outcome, State, record
from pipeline.study.planned import summary_settings
from reports import ReportOptions, write_reports
from reports.forms.people import write_people_page
from reports.forms.preflight import write_preflight_page
from reports.forms.rate import write_rate_page
from reports.pages.agreement import write_agreement_page
from reports.pages.evaluation import write_evaluation_page
from reports.pages.review import write_review_page
from reports.pages.study import study_page
from reports.render import write_page
from reports.session_data import Pictures
from reports.study_data import read_study
from reports.words.language import language
from reports.write import write_checklist_page

LANGUAGES = ("en", "fr")
LONG = "a_file_name_that_nobody_ever_breaks_into_parts_because_it_has_no_spaces"

Pages = dict[tuple[str, str], Path]
"""Type of page and language → the page."""


def write_every_page(small_study: Path, folder: Path) -> Pages:
    """:param small_study: it is copied."""
    for name in ("evaluation", "review", "mixed", "recordings"):
        folder.joinpath(name).mkdir()
    pages: Pages = {}
    pages |= _of_a_study(small_study, folder / "study")
    pages |= _of_a_session(folder)
    pages |= _forms(folder)
    found = json.loads(json.dumps(make_evaluation().to_dict()))
    for name in LANGUAGES:
        pages["evaluation", name] = folder / "evaluation" / f"evaluation-{name}.html"
        write_evaluation_page(found, pages["evaluation", name], language=language(name))
    return pages


def _of_a_study(small_study: Path, out: Path) -> Pages:
    """Index, study, patient, session, agreement and checklist."""
    frozen(out, conditions=("music", "singing"), hypothesis="Music moves faces.")
    shutil.copytree(small_study, out, dirs_exist_ok=True)
    frozen(out, conditions=("music", "singing", "garden"), min_coverage=0.3)
    write_adaptation(adaptation_path(out), make_adaptation())
    derive(out, replace(summary_settings(out), min_coverage=0.1))
    record(out, *_unfinished())
    rate_truly(out, 60)
    tables = [out / "ratings" / "anna_clips.csv"]
    clips = read_clips(out)
    answers, notes = read_rated_clips(tables, {clip.key: clip for clip in clips})
    files = [out / "ratings" / f"rater_{name}.csv" for name in "ab"]
    coded = read_ratings(files, session_names(out), read_codes(None))
    agreement = replace(
        agree(out, coded), clips=compare_clips(out, clips, answers, notes, lambda done, total: None)
    )
    pages: Pages = {}
    pages["checklist", "en"] = write_checklist_page(out, answer_items(read_facts(out, {})))
    rows = table_of(
        analysis(3.0, own=True),
        analysis(0.5, counted="samples", smoothing_s=3.0),
        analysis(2.5, counted="episodes", smoothing_s=1.0, enter=0.6, leave=0.5, min_duration_s=2.0),
        analysis(-2.0, without_speech=True, every=5),
        analysis(min_coverage=0.8, reason="too few sessions"),
        analysis(-1.0, half=2.0, own=True, condition="garden"),
    )
    for name in LANGUAGES:
        index = write_reports(out, options=ReportOptions(name))
        kept = index.parent.rename(out / f"reports-{name}")
        study = read_study(out)
        write_page(
            kept / "study.html",
            study_page(replace(study, tables={**study.tables, "multiverse": rows}), language(name)),
        )
        pages["index", name] = kept / "index.html"
        pages["study", name] = kept / "study.html"
        pages["patient", name] = kept / "P03" / "index.html"
        pages["session", name] = kept / "P03" / "S02.html"
    for name in LANGUAGES:
        page = out / f"reports-{name}" / "agreement.html"
        pages["agreement", name] = write_agreement_page(agreement, page, out / "review", language(name))
    return pages


def _unfinished() -> list[Outcome]:
    """Sessions that failed, are partial, to check, waiting or were interrupted."""
    rows: list[tuple[str, str, State, str | None, Reason]] = [
        ("P01", "S02", "partial", "confirmed", Reason.of("undecoded", seconds=61.2)),
        ("P02", "S03", "to_check", "to_check", Reason.of("still_face")),
        ("P09", "S01", "failed", None, Reason.of("no_video_file", error=f"Invalid data {LONG}")),
        ("P09", "S02", "failed", None, Reason.of("killed")),
        ("P09", "S03", "waiting", None, Reason.of("status_lost")),
        ("P09", "S04", "running", None, Reason.of("status_lost")),
    ]
    return [
        Outcome(
            patient,
            session,
            state,
            (reason,),
            0.5 if identity else None,
            0.0,
            600.0,
            9.0,
            "2026-03-02T14:05:00",
            identity,
        )
        for patient, session, state, identity, reason in rows
    ]


def _of_a_session(folder: Path) -> Pages:
    """A session of which all is known, and its review."""
    unusual = [Unusual(of, value, 0.2, 0.4) for of, value in (("positive", 0.5), ("", 0.1))]
    events = (Event("P1", "S1", 3.0, "song"), Event("P1", "S1", 12.0, LONG))
    known = corrected(still=True, unusual=tuple(unusual), events=events, rated=rated() + rated("corrected"))
    made = material(
        recorded_at="2026-03-02T14:05:00",
        facts=known,
        pictures=Pictures({12.0: jpeg()}, "blur"),
        review="../../review/P1/S1.html",
    )
    pages: Pages = {
        ("session, all known", name): write_session_report(
            made, folder / f"session-{name}.html", language(name)
        )
        for name in LANGUAGES
    }
    review = folder / "review"
    encode(review / "S1.mp4", [with_faces([])] * 20, rate=10)
    for name in LANGUAGES:
        pages["review", name] = write_review_page(
            make_timeline(TWENTY_SECONDS),
            review / f"S1-{name}.html",
            blur="others",
            face_threshold=0.9,
            language=language(name),
        )
    return pages


def _forms(folder: Path) -> Pages:
    """People, recordings and a rater's page."""
    pages: Pages = {}
    networks = Networks(find_squares, judge_by_light, CropSpec(), FAKE_WEIGHTS, "cpu")
    mixed = make_mixed_study(folder / "mixed", networks)
    people = find_people(mixed, ByColour())
    table, stills = write_people(people, mixed), find_stills(mixed, people)
    recordings = folder / "recordings"
    encode(recordings / "P1_S1.mp4", [with_faces([(40, 60), (220, 60)])] * 20, rate=10)
    encode(recordings / f"P1_{LONG[:50]}.mp4", [with_faces([])] * 20, rate=10)
    trial = find_trial(recordings)
    checked = checked_recordings(trial, list(check_trial(trial, find_squares, CropSpec())))
    for name in LANGUAGES:
        spoken = language(name)
        pages["people", name] = write_people_page(
            people, table, mixed / f"people-{name}.html", spoken, stills
        )
        write_preflight_page(checked, folder / f"preflight-{name}.html", recordings, None, spoken)
        write_rate_page(CLIPS, FILMS, "anna", folder / f"rate-{name}.html", spoken, None)
        write_rate_page(CLIPS, FILMS, "anna", folder / f"locked-{name}.html", spoken, "abcd-efgh-jkmn-pqrs")
        for kind in ("preflight", "rate", "locked"):
            pages[kind, name] = folder / f"{kind}-{name}.html"
    return pages
