"""The page of one session: plain words, then an ordered list of named sections."""

from markupsafe import Markup

from reports.assets import INLINE, MEDIA, NO_MEDIA, PLAYER_FILES, Assets
from reports.pages.player import markers, video
from reports.pages.sections import Section, render_sections
from reports.pages.session_scales import scales
from reports.pages.session_sections import about, coverage, details, moments, shares, timeline, unseen
from reports.render import render
from reports.session_data import SessionMaterial
from reports.words.dates import moment
from reports.words.labels import condition_word
from reports.words.language import Language, marked
from reports.words.session import answer, in_short

SECTIONS = (
    Section("coverage", marked("How much could be read"), coverage),
    Section("video", marked("The video"), video),
    Section("marking", marked("Mark what happens in the video"), markers),
    Section("moments", marked("Moments to look at"), moments),
    Section("timeline", marked("The expression over time"), timeline),
    Section("shares", marked("How long each expression was seen"), shares),
    Section("scales", marked("A scale that carers know"), scales),
    Section("unseen", marked("When the face could not be read"), unseen),
    Section("about", marked("About this report"), about),
    Section("details", marked("Technical details"), details),
)


def session_page(material: SessionMaterial, language: Language, assets: Assets = INLINE) -> Markup:
    """The page of one session as HTML."""
    return render(
        "session.html",
        language,
        summary=material.summary,
        answer=answer(material, language),
        short=in_short(material, language),
        recorded=moment(material.recorded_at, language) if material.recorded_at else "",
        condition=condition_word(material.condition, language),
        in_folder=material.in_folder,
        **({"beside": ("video", "timeline")} if material.playable else {}),
        playable=material.playable,
        blur=material.video.blur if material.video else "",
        voices=material.video is not None and material.video.sound,
        sections=render_sections(SECTIONS, "section", material, language, playable=material.playable),
        software_version=material.timeline.metadata["software_version"],
        **assets.of_page(
            with_figures=material.summary.observed_s > 0,
            own=PLAYER_FILES if material.playable else (),
            media=MEDIA if material.playable else NO_MEDIA,
        ),
    )
