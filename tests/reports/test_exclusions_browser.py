"""Time excluded in a browser, beside the video, is gone from the timeline, the shares and the page."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from batches import process
from videos import encode, with_faces
from visits import SCREEN, Visit

from pipeline.analysis.summaries import read_measures
from pipeline.processing.session import Networks, Settings
from pipeline.processing.sessions_list import read_study
from pipeline.review.apply_markers import apply_markers
from pipeline.review.films import find_video
from pipeline.review.markers import read_markers
from pipeline.store.paths import timeline_path
from pipeline.store.timeline import read_timeline
from reports import ReportOptions, write_reports


def shares(out: Path) -> dict[str, float]:
    """Of each group, in %, as it was read."""
    rows = read_measures(out).filter(measure="share", reading="raw").select("of", "value").rows()
    return {of: round(100 * value) for of, value in rows if of in ("positive", "negative")}


@pytest.mark.parametrize(("name", "told"), [("en", "Left out, as the study asks"), ("fr", "Laissé de côté")])
def test_an_excluded_stretch_is_gone_from_shares_and_page(
    browser: Any, fake_networks: Networks, tmp_path: Path, name: str, told: str
) -> None:
    """For the first 8 s the face looks happy, for 4 s sad, and then happy to the end."""
    bright = with_faces([(40, 60)])
    dark = (bright // 2).astype(np.uint8)
    listed, out = tmp_path / "sessions.csv", tmp_path / "study"
    out.mkdir()
    encode(tmp_path / "P1_S1.mp4", [*[bright] * 80, *[dark] * 40, *[bright] * 80], rate=10)
    listed.write_text("patient_id,session_id,video,consent\nP1,S1,P1_S1.mp4,yes\n")

    def process_and_write() -> str:
        process(list(read_study(listed).sessions), out, Settings(), fake_networks)
        write_reports(out, options=ReportOptions(name, video="original"), find_video=find_video)
        return Visit(browser, out / "reports" / "P1" / "S1.html", SCREEN).page.inner_text("#coverage")

    before = process_and_write()
    assert told not in before
    assert shares(out) == {"positive": 80, "negative": 20}

    visit = Visit(browser, out / "reports" / "P1" / "S1.html", SCREEN)
    visit.page.locator("#markers summary").click()
    for moment_s in (8, 12):
        visit.page.evaluate(f"player.jump({1000 * moment_s})")
        visit.page.wait_for_timeout(200)
        visit.page.keyboard.press("x")
    with visit.page.expect_download() as download:
        visit.page.locator("#save").click()
    table = tmp_path / download.value.suggested_filename
    download.value.save_as(table)
    assert visit.complaints == []
    markers, problems = read_markers(out, [table])
    assert problems == {}
    apply_markers(out, markers)
    assert "8-12" in listed.read_text()

    after = process_and_write()
    timeline = read_timeline(timeline_path(out, "P1", "S1"))
    assert timeline.metadata["session"]["parts"] == [[0, 8], [12, pytest.approx(20)]]
    assert timeline.rows.filter(pl.col("time_s").is_between(8, 12, closed="left")).height == 0
    assert shares(out) == {"positive": 100, "negative": 0}
    assert told in after
    assert "0:08–0:12" in after
    assert "16" in after
