"""Reports from hand-made timelines: sentences, escaping, files."""

import base64
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from one_page import material, page_of
from page_text import Page
from timelines import TWENTY_SECONDS, Runs, chosen, make_timeline, put
from written_pages import write_index, write_session_report

from pipeline.errors import TimelineError
from pipeline.reasons import free_text
from pipeline.records import EMOTIONS
from pipeline.store.counts import clock
from pipeline.store.coverage import seen_too_little, summarize
from pipeline.store.timeline import Timeline
from reports import ReportError, write_reports
from reports.figures.resampling import cut, step_length
from reports.figures.session import expression_figure
from reports.session_data import SessionMaterial
from reports.words.formatting import seconds_text, share_text, signed
from reports.words.labels import EMOTION_COLOURS, EMOTION_ORDER, STATUS_WORDS
from reports.words.language import ENGLISH
from reports.words.session import answer

# Nothing to report


def test_a_folder_without_timelines_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=re.escape(str(tmp_path)) + ".*emonext process") as caught:
        write_reports(tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "reports").exists()


def test_a_timeline_without_samples_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = put(tmp_path, make_timeline([]))
    with pytest.raises(TimelineError, match=re.escape(str(path)) + ": holds no sample"):
        write_reports(tmp_path)


def test_an_index_of_nothing_says_so(tmp_path: Path) -> None:
    page = Page(write_index([], tmp_path / "index.html").read_text())
    assert "There is no session yet." in page.text
    assert page.count("table") == 0


def test_a_session_in_which_nobody_was_seen(tmp_path: Path) -> None:
    nobody = chosen("longest", None, 0)
    page = page_of(make_timeline([("no_face", 100)], patient=nobody), tmp_path)
    assert "In the 20 s recorded, the face could not be read at any time" in page.text
    assert "No face was found in this video" in page.text
    assert "Face not visible 20 s 100 %" in page.text
    assert "0:00–0:20 20 s Face not visible" in page.text
    assert "too little to say" in page.text
    assert page.scripts == []


# What is said


def test_the_answer_is_right() -> None:
    assert answer(material(TWENTY_SECONDS), ENGLISH).replace("\u00a0", " ") == (
        "Of the 20 s recorded, the face could be read for 18 s (90 %). In that time the expression looked "
        "neutral most of the time (56 %), happy for 4 s and sad for 4 s."
    )


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([("happy", 100)], "looked happy all the time (100 %)."),
        (
            [("sad", 40), ("fear", 35), ("angry", 25)],
            "negative (most often sad) all the time (100 %).",
        ),
        (
            [("sad", 40), ("fear", 20), ("happy", 25), ("surprise", 15)],
            "negative (most often sad) most of the time (60 %), happy for 5 s and surprised for 3 s.",
        ),
        (
            [("neutral", 40), ("happy", 35), ("angry", 25)],
            "neutral more than anything else (40 %), happy for 7 s and angry for 5 s.",
        ),
        ([("happy", 98), ("sad", 2)], "looked happy nearly all the time (98 %)."),
    ],
)
def test_the_answer_fits_the_distribution(runs: Runs, expected: str) -> None:
    assert expected in answer(material(runs), ENGLISH).replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("runs", "too_little"),
    [
        ([("happy", 50)], False),  # 10 s, all of it
        ([("happy", 49), ("no_face", 1)], True),  # 9.8 s
        ([("happy", 60), ("no_face", 240)], False),  # 12 s of 60 s is 20 %
        ([("happy", 59), ("no_face", 241)], True),  # 11.8 s of 60 s is not
    ],
)
def test_too_little_is_under_ten_seconds_or_a_fifth(runs: Runs, too_little: bool) -> None:
    assert seen_too_little(summarize(make_timeline(runs))) is too_little


def test_no_shares_are_shown_of_too_little(tmp_path: Path) -> None:
    page = page_of(make_timeline([("happy", 30), ("no_face", 170)]), tmp_path)
    assert "the face could be read for only 6 s (15 %). It was read too little to say" in page.text
    assert "Taken together" not in page.text
    assert "nearly all the time" not in page.text


def test_times_and_shares_are_those_of_the_observed_time(tmp_path: Path) -> None:
    text = page_of(make_timeline(TWENTY_SECONDS), tmp_path).text
    for row in (
        "Happy 4 s 22 %",
        "Surprised 0 s 0 %",
        "Neutral 10 s 56 %",
        "Sad 4 s 22 %",
        "Positive (happy) 4 s 22 %",
        "Negative (sad, afraid, angry or disgusted) 4 s 22 %",
        "None of these (surprised) 0 s 0 %",
        "Face could be read 18 s 90 %",
        "Face not visible 2 s 10 %",
        "0:14–0:16 2 s Face not visible",
    ):
        assert row in text


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"),
        (0.3, "under 1 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (104, "1 min 44 s"),
        (3599.7, "1 h 00 min"),
        (3720, "1 h 02 min"),
        (7170, "2 h 00 min"),
    ],
)
def test_durations_in_words(seconds: float, expected: str) -> None:
    assert seconds_text(seconds, ENGLISH).replace("\u00a0", " ") == expected


@pytest.mark.parametrize(
    ("part", "expected"),
    [(0, "0 %"), (0.4, "under 1 %"), (87.4, "87 %"), (99.7, "over 99 %"), (100, "100 %")],
)
def test_shares_never_round_to_nothing_or_all(part: float, expected: str) -> None:
    assert share_text(part, 100, ENGLISH).replace("\u00a0", " ") == expected


def test_small_words() -> None:
    assert share_text(0, 0, ENGLISH) == "–"
    assert [clock(s) for s in (0, 42, 725, 3599.6, 3723)] == ["0:00", "0:42", "12:05", "1:00:00", "1:02:03"]
    assert [signed(v, 1, ENGLISH) for v in (0.26, -0.26, -0.04, float("nan"))] == ["+0.3", "−0.3", "0.0", "–"]


@pytest.mark.parametrize(
    ("chosen_by", "expected"),
    [
        ("longest", "the one seen longest; nobody has confirmed that it is the patient"),
        ("largest", "nearest to the camera, with the largest face; nobody has confirmed"),
        ("3", "picked by hand (face number 3)"),
        ("photo", "whom the patient’s photo shows"),
        ("region", "where the patient sits; nobody has confirmed"),
    ],
)
def test_the_page_says_how_the_patient_was_chosen(chosen_by: str, expected: str, tmp_path: Path) -> None:
    patient = chosen(chosen_by, 3, 4)
    text = page_of(make_timeline(TWENTY_SECONDS, patient=patient), tmp_path).text
    assert expected in text
    assert "4 faces were told apart" in text


def test_the_page_says_what_it_is_not(tmp_path: Path) -> None:
    page = page_of(make_timeline(TWENTY_SECONDS), tmp_path)
    about = page.text.index("About this report")
    for caveat in ("Not a feeling", "Not a diagnosis", "Not validated on people with dementia"):
        assert page.text.index(caveat) > about
    titles = [attributes["id"] for tag, attributes in page.tags if tag == "section"]
    assert titles == ["coverage", "timeline", "shares", "unseen", "about", "details"]


def test_the_details_say_how_it_was_made(tmp_path: Path) -> None:
    text = page_of(make_timeline(TWENTY_SECONDS, warnings=[free_text("mind the gap").write()]), tmp_path).text
    for detail in (
        "tiny",
        "cdcdcdcdcdcd",
        "640 × 480",
        "sampled by presentation time, 5/s",
        "max_yaw 60",
        "mind the gap",
    ):
        assert detail in text


# What is drawn


def test_a_step_counts_what_falls_into_it() -> None:
    steps = cut(make_timeline(TWENTY_SECONDS), 5)
    np.testing.assert_allclose(steps.edges_s, [0, 5, 10, 15, 20])
    np.testing.assert_allclose(steps.seen_s, [5, 5, 4, 4])
    np.testing.assert_allclose(steps.emotion_s[:, EMOTIONS.index("happy")], [0, 0, 4, 0], atol=1e-9)
    np.testing.assert_allclose(steps.emotion_s[:, EMOTIONS.index("sad")], [0, 0, 0, 4], atol=1e-9)
    np.testing.assert_allclose(
        steps.probabilities[:, EMOTIONS.index("happy")], [0.05, 0.05, 0.7, 0.05], rtol=1e-6
    )
    np.testing.assert_allclose(steps.valence, [0, 0, 0.65, -0.65], atol=1e-6)


def test_a_sample_that_crosses_an_edge_is_divided() -> None:
    steps = cut(make_timeline([("happy", 1), ("sad", 1)]), 0.3)  # happy to 0.2 s, then sad to 0.4 s
    np.testing.assert_allclose(steps.emotion_s[:, EMOTIONS.index("happy")], [0.2, 0], atol=1e-9)
    np.testing.assert_allclose(steps.emotion_s[:, EMOTIONS.index("sad")], [0.1, 0.1], atol=1e-9)
    np.testing.assert_allclose(steps.valence, [(0.2 * 0.65 - 0.1 * 0.65) / 0.3, -0.65], rtol=1e-6)


def test_steps_of_nothing_are_empty() -> None:
    steps = cut(make_timeline([("no_face", 10)]), 1)
    assert steps.seen_s.tolist() == [0, 0]
    assert np.isnan(steps.probabilities).all()


def test_step_lengths() -> None:
    assert [step_length(s, (1, 2, 5), 900) for s in (10, 900, 901, 3600, 99999)] == [1, 1, 2, 5, 5]


def test_a_gap_is_drawn_as_a_gap() -> None:
    figure = expression_figure(cut(make_timeline(TWENTY_SECONDS), 1), ENGLISH)
    gaps, *lanes, captions = figure["data"]
    assert np.flatnonzero(_array(gaps["y"])).tolist() == [14, 15]
    assert len(lanes) == 7
    for lane in lanes:
        assert _array(lane["y"])[14:16].tolist() == [0, 0]
        assert lane["fillcolor"] in EMOTION_COLOURS.values()
    happy = _array(lanes[EMOTION_ORDER.index("happy")]["y"])
    np.testing.assert_allclose(happy[10:14], 70, rtol=1e-6)
    assert captions["text"][10].startswith("happy 70 %<br>")
    assert captions["text"][14] == "face not read"


def test_speech_has_a_lane_of_its_own() -> None:
    timeline = make_timeline(TWENTY_SECONDS)
    spoken = pl.when(pl.col("time_s").is_between(2, 3.4)).then(0.9).otherwise(0.1).cast(pl.Float32)
    rows = timeline.rows.with_columns(speaking=spoken, chewing=pl.lit(0.0, pl.Float32))
    figure = expression_figure(cut(Timeline(rows, timeline.metadata), 1), ENGLISH)
    *_, lane, captions = figure["data"]
    assert len(figure["data"]) == 1 + 7 + 1 + 1
    assert _array(lane["y"])[:5].tolist() == [0, 0, 100, 40, 0]
    assert figure["layout"]["yaxis9"]["ticktext"] == ["Speaks or<br>chews"]
    assert captions["mode"] == "markers"


def test_moments_are_drawn_as_dates_in_words() -> None:
    """Plotly shifts numbers on a time axis by the reader's time zone."""
    figure = expression_figure(cut(make_timeline(TWENTY_SECONDS), 1), ENGLISH, [2.5])
    assert [trace["x0"] for trace in figure["data"]] == 8 * ["1970-01-01T00:00:00.000"] + [
        "1970-01-01T00:00:00.500"
    ]
    assert {trace["dx"] for trace in figure["data"]} == {1000}
    assert figure["layout"]["xaxis"]["range"] == ["1970-01-01T00:00:00.000", "1970-01-01T00:00:20.000"]
    assert figure["layout"]["annotations"][0]["x"] == "1970-01-01T00:00:02.500"


def _array(encoded: Any) -> np.ndarray:
    return np.frombuffer(base64.b64decode(encoded["bdata"]), encoded["dtype"])


def test_an_hour_stays_small(tmp_path: Path) -> None:
    hour = make_timeline([("happy", 60), ("no_face", 30), ("neutral", 60)] * 120)
    path = write_session_report(SessionMaterial(hour, summarize(hour)), tmp_path / "hour.html")
    assert path.stat().st_size < 1_500_000
    page = Page(path.read_text())
    assert "Of the 1 h 00 min recorded, the face could be read for 48 min 00 s (80 %)" in page.text
    assert "The 20 longest stretches" in page.text
    assert "Not listed: the other 100, which are shorter, 10 min 00 s in all." in page.text
    assert "Each step in the pictures is the average of 5 s" in page.text


def test_short_unseen_moments_are_counted(tmp_path: Path) -> None:
    runs = [("happy", 50), ("no_face", 4), ("happy", 50), ("other_person", 5), ("happy", 1), ("no_face", 4)]
    text = page_of(make_timeline(runs), tmp_path).text
    assert "There were also 2 moments of less than a second, 2 s in all." in text
    assert f"1 s {STATUS_WORDS['other_person']}" in text
    assert text.count("Face not visible") == 1  # the coverage table; none is long enough to be listed
