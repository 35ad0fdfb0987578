"""Every page in a language, with everything that can be missing, fail or be in doubt."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
from adaptations import make_adaptation, make_own_offsets
from evaluations import make_evaluation
from made_clips import CLIPS, FILMS
from session_pages import corrected, facts, jpeg, material, rated
from timelines import TWENTY_SECONDS, chosen, make_timeline

from pipeline.agreement.adjusted_shares import AdjustedShare
from pipeline.agreement.episode_matching import Matched, MatchRate
from pipeline.agreement.results import (
    Agreement,
    ClipAgreement,
    ClipComparison,
    ClipLabel,
    ClipRater,
    Comparison,
    Disagreement,
    OneClass,
    RatedTime,
    Several,
    StateComparison,
)
from pipeline.agreement.time_grid import Coder
from pipeline.analysis.events import Event
from pipeline.analysis.longitudinal import histories
from pipeline.analysis.session_results import Unusual
from pipeline.analysis.summaries import read_measures
from pipeline.exchange.code_map import COARSE_LABELS
from pipeline.reasons import DECIMALS, RESULT_TEXTS, SINGULAR, TEXTS, Reason, free_text
from pipeline.records import (
    FAULTS,
    STATES,
    CheckedRecording,
    Finding,
    IdentityState,
    ListedRow,
    Person,
    Seat,
    SeenFace,
    Still,
    Verdict,
)
from pipeline.results.checklist import ITEMS, Answered
from pipeline.stats.reliability import Correlation, Figure
from pipeline.stats.weighted_share import WeightedShare
from pipeline.store.coverage import summarize
from pipeline.store.status import State
from pipeline.study.frozen_plans import Fault, FaultCode, FrozenPlans
from reports.assets import INLINE
from reports.forms.people import people_page
from reports.forms.preflight import preflight_page
from reports.forms.rate import rate_page
from reports.index_data import IndexEntry, Overview
from reports.options import ReportOptions, write_options
from reports.pages.agreement import agreement_page
from reports.pages.evaluation import evaluation_page
from reports.pages.index import index_page
from reports.pages.patient import patient_page
from reports.pages.review import review_page
from reports.pages.session import session_page
from reports.pages.study import study_page
from reports.session_data import Film, Pictures, PlayedVideo
from reports.study_data import Study, read_study
from reports.words.language import Language
from reports.words.preflight import CHECK_WORDS
from reports.write import write_checklist_page


def every_reason() -> list[Reason]:
    """One reason of each code, in both forms where there are two, and messages of other programs."""
    found = [_reason(code, 7) for code in TEXTS if code != "text"]
    found += [_reason(code, 1) for code in SINGULAR]
    within = Reason.of("unexpected", error="OSError", reason=free_text("No space left on device"))
    return [*found, within, Reason.of("unreadable", error=free_text("zorgleblub 42"))]


def _reason(code: str, count: int) -> Reason:
    names = re.findall(r"%\((\w+)\)s", TEXTS[code])
    return Reason(code, {name: 7.0 if name in DECIMALS else count for name in names})


def every_page(made_study: Path, folder: Path, language: Language) -> dict[str, str]:
    """Name → HTML.

    :param made_study: the made study with its summaries. ``folder``: an empty one, for pages that are files.
    """
    pages = {f"session {name}": page for name, page in _sessions(language)}
    pages |= {f"study {name}": page for name, page in _studies(read_study(made_study), language)}
    pages |= {f"patient {name}": page for name, page in _patients(made_study, language)}
    pages |= {f"review {name}": page for name, page in _reviews(language)}
    pages |= {f"agreement {name}": page for name, page in _agreements(folder, language)}
    pages |= {f"evaluation {name}": page for name, page in _evaluations(language)}
    pages |= {f"index {name}": page for name, page in _indexes(language)}
    pages["people"] = str(people_page(_people(), "people.csv", language, "study", _STILLS))
    pages["preflight"] = str(preflight_page(_recordings(), "recordings", "sessions.csv", language))
    pages["preflight of a new list"] = str(preflight_page(_recordings()[:1], "recordings", None, language))
    pages["rate"] = str(rate_page(CLIPS, FILMS, "anna", language))
    pages["rate, locked"] = str(rate_page(CLIPS, FILMS, "anna", language, "abcd-efgh"))
    write_options(folder, ReportOptions(language.name))
    items = [Answered(ITEMS[0], "From 2025-01-06 to 2025-02-24."), Answered(ITEMS[1], None)]
    pages["checklist"] = write_checklist_page(folder, items).read_text("utf-8")
    return pages


# --- sessions and patients


_GAPS = [("happy", 50), ("no_face", 9), ("sad", 60), ("other_person", 50), ("low_quality", 20), ("gap", 9)]


def _sessions(language: Language) -> Iterator[tuple[str, str]]:
    unusual = [Unusual(of, value, 0.2, 0.4) for of in ("positive", "negative", "") for value in (0.1, 0.5)]
    known = corrected(
        still=True,
        unusual=tuple(unusual),
        events=(Event("P1", "S1", 3.0, "chanson"),),
        rated=rated()[:1] + rated("corrected")[:1],
    )
    for faces in ("plain", "blur", None):
        pictures = Pictures({12.0: jpeg()}, faces) if faces else Pictures({}, "blur")  # type: ignore[arg-type]
        for recorded_at in ("2026-03-02T14:05:00", None):
            made = material(
                TWENTY_SECONDS,
                recorded_at,
                facts=known,
                pictures=pictures,
                review="../a.html",
            )
            yield f"with everything, {faces} {recorded_at}", str(session_page(made, language))
    for name, less in (("no moment", facts(good=(), hard=())), ("few", facts(others=2)), ("usual", facts())):
        yield name, str(session_page(material(facts=less), language))
    for runs in ([("no_face", 50)], [("happy", 3), ("no_face", 97)], [("happy", 100)], [("eyes_shut", 200)]):
        yield f"{runs}", str(session_page(material(runs, facts=facts(enough=False)), language))
        yield f"{runs} alone", str(session_page(material(runs), language))
    for video in (
        PlayedVideo(films, blur, "study")
        for films in ((Film("a.mp4", 0.0), Film("b.mp4", 9.0)), (Film("a.avi", 0.0),), ())
        for blur in ("others", "all", "none")
    ):
        played = str(session_page(material(facts=known, video=video), language))
        yield f"with {len(video.films)} films, {video.blur} {video.unplayable_format}", played
    warnings = [reason.write() for reason in every_reason()]
    for by in ("longest", "largest", "hand", "photo", "gallery", "region", "3"):
        for identity in get_args(IdentityState):
            patient = chosen(by, 1 if identity in ("confirmed", "recognised") else None, 2)
            patient |= {"identity": identity, "reason": {"code": "no_clear_face"}}
            timeline = make_timeline(_GAPS, patient=patient, warnings=warnings, seconds_lost=0.6)
            made = replace(material(), timeline=timeline, summary=summarize(timeline))
            yield f"{by} {identity}", str(session_page(made, language))


def _patients(made_study: Path, language: Language) -> Iterator[tuple[str, str]]:
    study = read_study(made_study)
    measures = read_measures(made_study)
    found = histories(study.sessions, measures, "baseline")
    never = pl.lit(None, study.sessions.schema["recorded_at"])
    unseen = study.sessions.with_columns(enough=False, identity=pl.lit("to_check"), recorded_at=never)
    found = [*found[:2], histories(unseen, measures, "baseline")[0]]
    for name, history in zip(("one", "another", "unseen"), found, strict=True):
        yield name, str(patient_page(history, language, study.about, study.tables.get("conditions")))


def _indexes(language: Language) -> Iterator[tuple[str, str]]:
    summaries = [summarize(make_timeline(runs)) for runs in (TWENTY_SECONDS, [("no_face", 9)])]
    states = (*get_args(State), "interrupted")
    reasons = every_reason()
    entries = [
        IndexEntry(
            "P1",
            f"S{k}",
            states[k % len(states)],
            (reason,),
            None if k % 3 == 2 else summaries[k % 3],
            f"P1/S{k}.html",
            k % 3 == 0,
            "music",
            coverage=0.5,
            video_s=60.0,
            identity=(*get_args(IdentityState), None)[k % 5],
        )
        for k, reason in enumerate([*reasons, *reasons])
    ]
    entries += [IndexEntry("P2", "S1", state) for state in states]
    yield "with a study", str(index_page(entries, language, INLINE, Overview(study="study.html")))
    yield "as the status", str(index_page(entries, language, INLINE, Overview(is_status=True)))
    yield "of nothing", str(index_page([], language, INLINE))
    done = IndexEntry("P1", "S1", "done", summary=summaries[0], enough=True)
    yield "all done", str(index_page([done], language, INLINE))


# --- the study


def _studies(study: Study, language: Language) -> Iterator[tuple[str, str]]:
    adjusted = [
        AdjustedShare("", of, 12, 0.2, 0.1, 0.3, *((0.2, 0.1, 0.3) if not reason else ()), reason=reason)
        for of, reason in zip(COARSE_LABELS, ("", *_adjusted_reasons()), strict=False)
    ]
    adapted = replace(study, adaptation=make_adaptation(), adjusted=tuple(adjusted), has_agreement=True)
    yield "as made", str(study_page(adapted, language))
    for name, own in (
        ("own offsets", make_own_offsets("P01", "P02")),
        ("no own offsets", make_own_offsets()),
    ):
        offsets = make_adaptation(own=own)
        yield name, str(study_page(replace(adapted, adaptation=offsets), language))
    yield "without tables", str(study_page(replace(study, tables={}, methods=None), language))
    yield "that failed", str(study_page(_failed(study), language))
    for code in get_args(FaultCode):
        assert study.planned
        planned = replace(study.planned, frozen=FrozenPlans((), faults=(Fault(code, 2),)))
        yield f"with a plan: {code}", str(study_page(replace(study, planned=planned, tables={}), language))


def _adjusted_reasons() -> list[str]:
    rare = str(Reason.of("few_rated_of", groups="negative, surprise"))
    return [rare, *(str(_reason(code, 7)) for code in ("misread", "few_rated", "few_surprised"))]


def _failed(study: Study) -> Study:
    """Each state with each reason, and each table with each reason in place of a result."""
    reasons = every_reason()
    states = [*get_args(State), "interrupted"]
    stored = [json.dumps([reason.write()]) for reason in reasons]
    rows = [
        {"patient_id": "P1", "session_id": f"S{k}", "state": states[k % len(states)], "reasons": cell}
        for k, cell in enumerate([*stored, *stored, "[]"])
    ]
    status = pl.DataFrame(rows).with_columns(seconds_lost=pl.lit(0.6))
    texts = [str(_reason(code, 7)) for code in RESULT_TEXTS]
    tables = {}
    for name, table in study.tables.items():
        for column in {"reason", "weighted_reason"} & set(table.columns):
            if name != "characteristics":
                many = pl.concat([table] * (len(texts) // max(table.height, 1) + 1))
                cells = pl.Series(column, (texts * many.height)[: many.height])
                table = many.with_columns(cells)
        tables[name] = table
    return replace(
        study,
        status=status,
        tables=tables,
        warnings=tuple(("P1", f"S{k}", reason) for k, reason in enumerate([*reasons, *reasons[:9]])),
        problems=("events.csv, row 3: no such session.",),
    )


# --- forms


_STILLS = {("P1", "S1"): Still(jpeg(), 12.0, {1: Seat((0.0, 0.1, 0.555, 1.0), 0.98, (2,))})}


def _people() -> list[Person]:
    blank = Person(
        patient_id="P1",
        session_id="S1",
        number=1,
        tracks=(1,),
        role="patient",
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
        seen_with=(2,),
    )
    found = [
        replace(blank, number=k, role="patient" if k == 1 else "unknown", note=reason, reason=reason)
        for k, reason in enumerate(every_reason(), start=1)
    ]
    by = ("hand", "photo", "gallery", "region", "largest", "3")
    found += [
        replace(blank, session_id=f"S{k}", chosen_by=how, identity=identity, alike="A")
        for k, (how, identity) in enumerate(
            ((how, identity) for how in by for identity in get_args(IdentityState)), start=2
        )
    ]
    return [*found, replace(blank, session_id="S99", role="unknown", portraits=(), portrait_s=())]


def _recordings() -> list[CheckedRecording]:
    """Each check with each verdict, each reason as what was measured and to be changed, and each fault."""
    reasons, verdicts = every_reason(), get_args(Verdict)
    findings = [
        Finding(list(CHECK_WORDS)[k % len(CHECK_WORDS)], verdicts[k % len(verdicts)], reason, reason)
        for k, reason in enumerate(reasons)
    ]
    faces = tuple(SeenFace((0.1, 0.1, 0.3, 0.4), 31.2, (fault,)) for fault in FAULTS)
    seats = {1: Seat((0.0, 0.1, 0.555, 1.0), 0.98, (2,)), 2: Seat((0.5, 0, 1, 1), 0.4)}
    row = ListedRow("P1", "S1", "music", consent=True, still=Still(jpeg(), 12.0, seats, faces))
    found = [CheckedRecording("P1_S1.mp4", 10, (row, ListedRow("P2", "S1")), tuple(findings))]
    found += [CheckedRecording(f"{k}.mp4", 10, (row,), (one,)) for k, one in enumerate(findings[:9])]
    found += [CheckedRecording("IMG_1.mp4", 9, (ListedRow(),), problem=reason) for reason in reasons[:99]]
    return [*found, CheckedRecording("IMG_2.mp4", 30, (ListedRow(),), refused=True)]


def _reviews(language: Language) -> Iterator[tuple[str, str]]:
    timeline = make_timeline(_GAPS)
    short = make_timeline([("happy", 3)])
    films = [Film("file:///a.mp4", 0.0), Film("file:///b.mp4", 9.0)]
    for blur in ("others", "all", "none", None):
        for recording in (films, films[:1]):
            yield (
                f"{blur} {len(recording)}",
                str(review_page(timeline, blur, 0.9, recording, "study", language, sound=True)),
            )
    yield "short", str(review_page(short, "others", 0.9, (), "study", language))


# --- evaluation and agreement


def _evaluations(language: Language) -> Iterator[tuple[str, str]]:
    full: dict[str, Any] = json.loads(json.dumps(make_evaluation().to_dict()))
    yield "full", str(evaluation_page(full, language))
    yield "of nothing", str(evaluation_page({}, language))
    labels = {**full, "readings": [one for one in full["readings"] if one["head"] == "labels"]}
    yield "of labels", str(evaluation_page(labels, language))


_WHYS = [
    str(_reason(code, 3)) for code in ("one_class", "only_one", "nothing_compared", "fewer_rated", "unsure")
]


def _agreements(folder: Path, language: Language) -> Iterator[tuple[str, str]]:
    found = _agreement()
    yield "full", str(agreement_page(found, folder / "review", language))
    yield "of clips", str(agreement_page(replace(Agreement.empty(1.0), clips=found.clips), folder, language))
    one_clip = replace(found.clips, comparisons=(), drawn=1) if found.clips else None
    yield "of one clip", str(agreement_page(replace(Agreement.empty(1.0), clips=one_clip), folder, language))
    yield "of nothing", str(agreement_page(Agreement.empty(1.0), folder / "review", language))


def _agreement() -> Agreement:
    number = Figure(0.5, 0.4, 0.6)
    unknown = [Figure(None, why=why) for why in _WHYS]
    machine = [
        Coder(name + end, kind, reading)
        for name, reading in (
            ("machine", "raw"),
            ("machine, corrected", "corrected"),
            ("machine, adapted", "adapted"),
        )
        for end, kind in (("", "samples"), (", episodes", "episodes"))
    ]
    anna, bo = Coder("anna", "person"), Coder("bo", "person")
    pairs = [*((coder, anna) for coder in machine), (anna, bo)]
    levels = {
        "groups": (*COARSE_LABELS, "none"),
        "emotions": ("happy", "surprise", "neutral", "sad", "fear", "angry", "disgust", "none"),
    }
    comparisons = tuple(
        _comparison(*pair, level, labels, unknown[place % len(unknown)] if place % 2 else number)
        for level, labels in levels.items()
        for place, pair in enumerate(pairs)
    )
    states = tuple(
        StateComparison(state, first, "anna", 6, 900.0, 90.0, 80.0, "sessions", number, number)
        for state in STATES
        for first in ("machine", "bo")
    )
    return Agreement(
        step_s=1.0,
        people=("anna", "bo"),
        rated=(
            RatedTime("anna", 6, 1200.0, 340.0, is_stated=True, unusable=1),
            RatedTime("bo", 2, 1200.0, 340.0, is_stated=False, unusable=0),
            RatedTime("cy", 0, 0.0, 0.0, is_stated=True, unusable=2),
        ),
        sessions=tuple(("P1", f"S{k}", 0.5) for k in range(6)),
        comparisons=comparisons,
        states=states,
        several=(Several(("anna", "bo", "machine"), "groups", 6, 900.0, "sessions", number),),
        disagreements=tuple(
            Disagreement("P1", "S1", first, "anna", 3.0 * k, 3.0 * k + 2, *labels)
            for first in ("machine", "bo")
            for k, labels in enumerate(
                [("happy", "none"), *((state, f"not {state}") for state in STATES)] * 15
            )
        ),
        notes=("bo.csv: a note in English.",),
        clips=_clips(number, unknown),
    )


def _comparison(
    first: Coder, second: Coder, level: str, labels: tuple[str, ...], kappa: Figure
) -> Comparison:
    rate = MatchRate(7, Figure(0.5, 0.4, 0.6), Figure(0.7))
    return Comparison(
        first=first,
        second=second,
        level=level,
        labels=labels,
        sessions=6,
        seconds=900.0,
        coverage=0.5,
        over="sessions",
        same=kappa,
        kappa=kappa,
        weighted=kappa if level == "groups" else None,
        weighted_s=500.0,
        classes=tuple(OneClass(label, 90.0, 80.0, kappa, Correlation(kappa, kappa)) for label in labels),
        matrix=tuple(tuple(20.0 for _ in labels) for _ in labels),
        episodes=(Matched("", rate, rate), Matched("happy", rate, rate)) if first.kind == "episodes" else (),
    )


def _clips(number: Figure, unknown: list[Figure]) -> ClipAgreement:
    share = WeightedShare(0.6, 0.5, 0.7, 40, 30.0, "patients", 6, 3.0)
    comparisons = tuple(
        ClipComparison(
            first=first,
            second="anna",
            level=level,
            clips=40,
            patients=6,
            same=replace(share, over=over, more=more),
            kappa=unknown[0] if first == "bo" else number,
            labels=(
                ClipLabel("happy", share, share, share, None),
                ClipLabel("positive", share, None, None, share),
            ),
            by_patient=(("P1", share), ("P2", share)),
            by_condition=(("music", share), ("", share)),
        )
        for level in ("groups", "emotions")
        for first, over, more in (
            ("machine", "patients", 3.0),
            ("machine, corrected", "sessions", None),
            ("machine, adapted", "clips", 900.0),
            ("bo", "clips", 3.0),
        )
    )
    flags = (("covered", share), ("speaking", share), ("asleep", None))
    return ClipAgreement(40, 900, 4.0, (ClipRater("anna", 40, 60, share, flags),), comparisons, ("A note.",))
