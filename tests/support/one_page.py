"""The page of a timeline."""

from pathlib import Path

from page_text import Page
from timelines import Runs, make_timeline
from written_pages import write_session_report

from pipeline.store.coverage import summarize
from pipeline.store.timeline import Timeline
from reports.session_data import SessionMaterial
from reports.words.language import ENGLISH, Language


def material(runs: Runs) -> SessionMaterial:
    timeline = make_timeline(runs)
    return SessionMaterial(timeline, summarize(timeline))


def page_of(timeline: Timeline, folder: Path, spoken: Language = ENGLISH) -> Page:
    material = SessionMaterial(timeline, summarize(timeline))
    path = write_session_report(material, folder / "page.html", spoken)
    return Page(path.read_text(encoding="utf-8"))
