"""Write the pages of a folder: one per timeline, patient and study, and the index."""

import os
import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from pipeline.analysis.longitudinal import PatientHistory, histories
from pipeline.analysis.session_results import FolderFacts, SessionFacts
from pipeline.analysis.summaries import episodes_path, read_measures, read_sessions
from pipeline.errors import PipelineError
from pipeline.reasons import read_reasons
from pipeline.records import Ids, OnProgress, SessionVideo
from pipeline.results.checklist import CHECKLIST_FILES, FOR_AUTHORS, Answered, in_topics, preface
from pipeline.results.derive import coding_digests, update_derived
from pipeline.store.coverage import Summary, summarize
from pipeline.store.encryption import is_encrypted
from pipeline.store.files import state_of_files
from pipeline.store.ids import check_stored_id
from pipeline.store.parquet import malformed_as_timeline_error
from pipeline.store.paths import timeline_path
from pipeline.store.refusals import refused_sessions
from pipeline.store.status import (
    WITHOUT_CONSENT,
    overview,
    read_status,
    state_of,
    stored_reasons,
)
from pipeline.store.timeline import (
    Timeline,
    ids_of,
    no_timeline,
    read_timeline,
    reading_digest,
    written_sessions,
)
from reports.assets import INLINE, remove_assets, write_assets
from reports.errors import ReportError
from reports.index_data import Commands, IndexEntry, Overview, Seen
from reports.made_pages import MadePage, MadePages, page_key, read_made_pages
from reports.options import ReportOptions, last_options, write_options
from reports.outdated import tell_outdated
from reports.pages.index import index_page
from reports.pages.patient import patient_page
from reports.pages.session import session_page
from reports.pages.study import study_page
from reports.render import render, write_page
from reports.session_data import Film, Pictures, PlayedVideo, SessionMaterial
from reports.study_data import Study, read_study
from reports.words.language import language

_Statuses = dict[tuple[str, str], IndexEntry]
"""What the status says of each session."""


TakePictures = Callable[[str, str, Sequence[float]], Mapping[float, bytes | None]]
"""Patient, session and times in s → as :attr:`reports.session_data.Pictures.jpegs`."""


class FindVideo(Protocol):
    """Finds what the page of a session plays, such as :func:`pipeline.review.films.find_video`."""

    def __call__(
        self, out: Path, patient_id: str, session_id: str, timeline: Timeline, *, original: bool
    ) -> SessionVideo | None: ...


@dataclass(frozen=True)
class _Folder:
    """What the pages of a folder have in common."""

    out: Path
    facts: FolderFacts
    options: ReportOptions
    take_pictures: TakePictures | None
    find_video: FindVideo | None
    pages: MadePages

    def key(self, ids: Ids, videos: Iterable[str]) -> str:
        """Of the page of a session.

        :param videos: paths of the recording, if the page may play it.
        """
        # an id may hold a dot, so that `with_suffix` would name the review of another session
        shown = (self.out / "review" / ids[0] / f"{ids[1]}{suffix}" for suffix in (".html", ".mp4"))
        recording = list(map(Path, videos))
        files = (timeline_path(self.out, *ids), episodes_path(self.out, *ids), *shown, *recording)
        places = self.out.resolve().name, [str(path) for path in recording]
        facts = self.facts.state_of(*ids)
        return page_key((facts, self.options, state_of_files(files), bool(self.find_video), places))

    def tell_outdated(self, ids: Ids, timeline: Timeline) -> bool:
        """Tell it on the session's review; return whether a current one is there."""
        page = self.out / "review" / ids[0] / f"{ids[1]}.html"
        return tell_outdated(page, lambda _: {ids: reading_digest(timeline)})

    def material(self, timeline: Timeline, summary: Summary, *, is_reviewed: bool) -> SessionMaterial:
        ids = summary.patient_id, summary.session_id
        facts = self.facts.of(*ids)
        patient, session = (quote(part) for part in ids)
        return SessionMaterial(
            timeline=timeline,
            summary=summary,
            facts=facts,
            pictures=self._pictures(ids, facts),
            review=f"../../review/{patient}/{session}.html" if is_reviewed else None,
            video=self._video(timeline, ids),
        )

    def _video(self, timeline: Timeline, ids: tuple[str, str]) -> PlayedVideo | None:
        if self.find_video is None or self.options.video == "off":
            return None
        found = self.find_video(self.out, *ids, timeline, original=self.options.video == "original")
        if found is None:
            return None
        return PlayedVideo(
            [Film(self._url(path), start_s) for path, start_s in found.files],
            found.blur,
            self.out.resolve().name,
            found.sound,
            found.outdated,
        )

    def _url(self, path: Path) -> str:
        """From a session's page; of a file elsewhere, absolute."""
        if path.is_relative_to(self.out / "review"):
            return "../../" + quote(path.relative_to(self.out).as_posix())
        return path.resolve().as_uri()

    def _pictures(self, ids: tuple[str, str], facts: SessionFacts | None) -> Pictures | None:
        if self.take_pictures is None or self.options.thumbnails == "off" or facts is None:
            return None
        peaks_s = [moment.peak_s for moment in (*facts.good, *facts.hard)]
        return Pictures(self.take_pictures(*ids, peaks_s) if peaks_s else {}, self.options.thumbnails)


def write_reports(
    out: Path,
    progress: OnProgress | None = None,
    options: ReportOptions | None = None,
    take_pictures: TakePictures | None = None,
    find_video: FindVideo | None = None,
    *,
    only_changed: bool = False,
) -> Path:
    """Write the pages of a folder to ``out/reports/``.

    ``<patient>/<session>.html`` for every timeline, ``<patient>/index.html`` over a patient's sessions,
    ``study.html`` over all, and ``index.html``. Missing or outdated summaries are computed first.

    :param options: default: the last options.
    :param take_pictures: takes pictures of notable moments, if the options request them.
    :param find_video: finds what the pages of sessions play; without it they play nothing.
    :param only_changed: keep the pages of sessions and patients that would show the same.

    Sessions without a timeline are in the index with the reason that ``status.parquet`` gives.

    :returns: the path of the index.
    :raises ReportError: there is no timeline, or a timeline is in the wrong place or has no sample.
    :raises pipeline.errors.TimelineError: a timeline can't be read.
    :raises pipeline.errors.OutputError: a page can't be written.
    """
    written = written_sessions(out)
    if not written:
        raise ReportError(no_timeline(out))
    problems = update_derived(out, progress or (lambda done, total: None))
    chosen = options or last_options(out)
    options = chosen.of_folder(len(written))
    pages = read_made_pages(out / "reports")
    if not only_changed:
        pages = replace(pages, earlier={})
    folder = _Folder(out, FolderFacts(out), options, take_pictures, find_video, pages)
    statuses, videos = _read_statuses(out), _videos(out, options)
    entries = []
    pages.forget()
    for done, ids in enumerate(written, start=1):
        entries.append(_write_one(ids, folder, statuses, videos.get(ids, ())))
        if progress is not None:
            progress(done, len(written))
    entries += _without_timeline(statuses, entries)
    tell_outdated(out / "reports" / "agreement.html", partial(coding_digests, out))
    study = replace(read_study(out), problems=problems)
    patients = _write_patients(folder, study)
    _remove_withdrawn(out, patients)
    spoken, assets = language(options.language), options.assets_of(0)
    write_page(out / "reports" / "study.html", study_page(study, spoken, assets))
    (write_assets if options.assets == "shared" else remove_assets)(out / "reports")
    write_options(out, chosen)
    pages.write()
    about = Overview(_commands(out), patients, study="study.html")
    return write_page(out / "reports" / "index.html", index_page(entries, spoken, assets, about))


def write_status_page(out: Path, path: Path, *, running: bool) -> Path:
    """Write the index from the status alone, for the coordinator: before, during and after processing.

    It is in the language of the last reports, and leads to pages that exist. Conditions are known where the
    summaries can be read.

    :param running: as in :func:`pipeline.store.status.overview`.
    :raises pipeline.errors.OutputError: it can't be written.
    """
    conditions = _known_conditions(out)
    entries = [
        replace(entry, link=_relative(page_path(out, *ids), path), condition=conditions.get(ids, ""))
        for ids, entry in _read_statuses(out, running=running).items()
    ]
    about = Overview(_commands(out), study=_relative(out / "reports" / "study.html", path), is_status=True)
    return write_page(path, index_page(entries, language(last_options(out).language), INLINE, about))


def _commands(out: Path) -> Commands:
    first = next(iter(written_sessions(out)), None)
    return Commands(out.absolute().name, first is not None and is_encrypted(timeline_path(out, *first)))


def _known_conditions(out: Path) -> dict[tuple[str, str], str]:
    """Patient and session → condition; empty without summaries, or if they are encrypted."""
    with suppress(PipelineError):
        rows = read_sessions(out).select("patient_id", "session_id", "condition").rows()
        return {(patient, session): condition for patient, session, condition in rows}
    return {}


def _relative(page: Path, start: Path) -> str | None:
    """The link from a page to another; ``None`` if that does not exist or is on another drive."""
    with suppress(ValueError):
        if page.is_file():
            return quote(os.path.relpath(page, start.absolute().parent).replace(os.sep, "/"))
    return None


def update_session_pages(out: Path, sessions: Iterable[Ids], find_video: FindVideo) -> None:
    """Write the pages of these sessions again, if they are there: they lead to new reviews.

    :raises pipeline.errors.TimelineError: a timeline can't be read.
    :raises pipeline.errors.OutputError: a page can't be written.
    """
    there = [ids for ids in sessions if page_path(out, *ids).is_file()]
    if not there:
        return
    update_derived(out)
    options = last_options(out).of_folder(len(written_sessions(out)))
    if options.assets == "shared":
        write_assets(out / "reports")
    pages = read_made_pages(out / "reports")
    pages = replace(pages, earlier={}, now=dict(pages.earlier))
    folder = _Folder(out, FolderFacts(out), options, None, find_video, pages)
    videos = _videos(out, options)
    pages.forget()
    for ids in there:
        _write_one(ids, folder, {}, videos.get(ids, ()))
    pages.write()


def write_single_page(out: Path, ids: Ids, path: Path, name: str) -> Path:
    """Write the page of one session as a file of its own, to be sent away.

    :param name: of the language.
    :raises pipeline.errors.InputError: an id can't be used.
    :raises pipeline.errors.TimelineError: there is no usable timeline.
    :raises pipeline.errors.OutputError: the page can't be written.
    """
    update_derived(out)
    timeline = read_timeline(timeline_path(out, *ids))
    material = SessionMaterial(timeline, summarize(timeline), FolderFacts(out).of(*ids), alone=True)
    return write_page(path, session_page(material, language(name)))


def update_reports(
    out: Path, progress: OnProgress | None = None, find_video: FindVideo | None = None
) -> Path:
    """Write the pages that would show something else; nothing if the index (written last) is newer than the
    status.

    The status changes whenever a session is processed; a run that was killed while writing pages left an
    older index. An index from the future says nothing: the clock was set back since.
    """
    index, status = out / "reports" / "index.html", out / "status.parquet"
    if index.exists() and status.exists():
        made_ns = index.stat().st_mtime_ns
        if status.stat().st_mtime_ns < made_ns <= time.time_ns():
            return index
    return write_reports(out, progress, find_video=find_video, only_changed=True)


def _write_one(ids: Ids, folder: _Folder, statuses: _Statuses, videos: Sequence[str]) -> IndexEntry:
    """:param videos: paths of the session's recording, if the page may play it."""
    path, page, key = timeline_path(folder.out, *ids), page_path(folder.out, *ids), folder.key(ids, videos)
    entry, made = statuses.get(ids), folder.pages.unchanged(page, key)
    if entry is None or made is None:
        timeline = read_timeline(path)
        ids_of(path, timeline)
        with malformed_as_timeline_error(path):
            is_reviewed = folder.tell_outdated(ids, timeline)
            key = folder.key(ids, videos)  # the page of review may have changed
            material = folder.material(timeline, summarize(timeline), is_reviewed=is_reviewed)
            options = folder.options
            html = session_page(material, language(options.language), options.assets_of(1))
            entry = entry or _entry_of(timeline, *ids)
        write_page(page, html)
        made = MadePage(key, Seen.of(material.told), material.enough, material.condition)
        folder.pages.add(page, made)
    link = "/".join(map(quote, (ids[0], f"{ids[1]}.html")))
    return replace(entry, summary=made.seen, link=link, enough=made.enough, condition=made.condition)


def _videos(out: Path, options: ReportOptions) -> dict[Ids, Sequence[str]]:
    """Session → paths of its recording; empty if no page may play the recording."""
    if options.video != "original":
        return {}
    rows = read_status(out).select("patient_id", "session_id", "videos").rows()
    return {(patient_id, session_id): videos for patient_id, session_id, videos in rows}


def page_path(out: Path, patient_id: str, session_id: str) -> Path:
    """The page of a session."""
    return out / "reports" / patient_id / f"{session_id}.html"


def _write_patients(folder: _Folder, study: Study) -> dict[str, PatientHistory]:
    """Write the page of every patient; return the histories."""
    reference = study.about["settings"]["baseline_condition"]
    found = histories(study.sessions, read_measures(folder.out), reference)
    spoken, assets = language(folder.options.language), folder.options.assets_of(1)
    compared = study.tables.get("conditions")
    for history in found:
        page = folder.out / "reports" / check_stored_id("`patient_id`", history.patient_id) / "index.html"
        own = () if compared is None else compared.filter(patient_id=history.patient_id).rows()
        key = page_key((history, study.about, own, folder.options))
        if not folder.pages.unchanged(page, key):
            write_page(page, patient_page(history, spoken, study.about, compared, assets))
            folder.pages.add(page, MadePage(key))
    return {history.patient_id: history for history in found}


def _remove_withdrawn(out: Path, patients: Container[str]) -> None:
    """Remove pages of sessions without consent, and pages of patients without other sessions."""
    for patient_id, session_id in refused_sessions(out):
        folder = out / "reports" / check_stored_id("`patient_id`", patient_id)
        (folder / f"{check_stored_id('`session_id`', session_id)}.html").unlink(missing_ok=True)
        if patient_id not in patients:
            (folder / "index.html").unlink(missing_ok=True)


def _entry_of(timeline: Timeline, patient_id: str, session_id: str) -> IndexEntry:
    about = timeline.metadata
    reasons = read_reasons(about["warnings"])
    return IndexEntry(patient_id, session_id, state_of(about), reasons, identity=about["patient"]["identity"])


def _read_statuses(out: Path, *, running: bool = False) -> _Statuses:
    names = ("patient_id", "session_id", "state", "coverage", "video_s", "identity")
    rows = overview(out, running=running).select(*names, "reasons").rows(named=True)
    return {
        (row["patient_id"], row["session_id"]): IndexEntry(
            **{name: row[name] for name in names}, reasons=stored_reasons(row["reasons"])
        )
        for row in rows
    }


def _without_timeline(statuses: _Statuses, entries: list[IndexEntry]) -> list[IndexEntry]:
    written = {(entry.patient_id, entry.session_id) for entry in entries}
    return [
        entry for ids, entry in statuses.items() if ids not in written and entry.state not in WITHOUT_CONSENT
    ]


def write_checklist_page(out: Path, items: Sequence[Answered]) -> Path:
    """Write ``summaries/checklist.html``, the checklist for a word processor.

    Its items and answers are in English; a page in another language says so.

    :raises pipeline.errors.OutputError: it can't be written.
    """
    topics, assets = in_topics(items), INLINE.of_page(with_figures=False)
    page = render(
        "checklist.html",
        language(last_options(out).language),
        topics=topics,
        preface=preface(items),
        for_authors=FOR_AUTHORS,
        **assets,
    )
    return write_page(out / "summaries" / CHECKLIST_FILES[1], page)
