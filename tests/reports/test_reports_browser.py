"""Pages in a real browser: opened from disk, without network, on screen, phone and paper."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from session_pages import corrected, jpeg, material, rated
from timelines import TWENTY_SECONDS, make_timeline, put
from videos import encode, numbered
from visits import ON_BOTH, SCREEN, Visit
from written_pages import write_session_report

from pipeline.analysis.events import Event
from pipeline.analysis.session_results import Unusual
from reports import ReportOptions, write_reports
from reports.pages.review import Film, write_review_page
from reports.session_data import Pictures
from reports.words.language import language


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an index, a session (P1/S1), one in which nobody was seen (S2), and an hour (S3)."""
    out = tmp_path_factory.mktemp("out")
    put(out, make_timeline(TWENTY_SECONDS))
    put(out, make_timeline([("no_face", 100)], session_id="S2"), session_id="S2")
    hour = [("happy", 60), ("no_face", 30), ("neutral", 60)] * 120
    put(out, make_timeline(hour, session_id="S3"), session_id="S3")
    return write_reports(out).parent


@ON_BOTH
@pytest.mark.parametrize(
    ("name", "figures"), [("index", 0), ("P1/S1", 2), ("P1/S2", 0), ("P1/S3", 2)], ids=str
)
def test_a_page_opens_from_disk(
    browser: Any, pages: Path, name: str, figures: int, viewport: dict[str, int]
) -> None:
    path = pages / f"{name}.html"
    visit = Visit(browser, path, viewport)
    assert visit.complaints == []
    assert visit.requests == [path.as_uri()]
    assert visit.count(".figure.js-plotly-plot") == figures
    assert visit.count(".figure .main-svg") >= figures
    assert visit.overflow_px() == 0


FILLED_AT = """
([fill, axis, seconds, height]) => {
  const figure = document.querySelector('.figure.tall');
  const layout = figure._fullLayout;
  const shape = figure.querySelectorAll('.js-fill')[fill];
  const [width, top] = [layout.xaxis._length, layout[axis]._length];
  return seconds.map(s => shape.isPointInFill(new DOMPoint(width * s / 20, top * (1 - height))));
}
"""
"""Whether a figure's filled shape covers a height (0…1 of its axis) at moments of a session of 20 s."""


@pytest.mark.parametrize(
    ("height", "expected"),
    [(0.69, [False, True, False, False]), (0.71, [False] * 4), (0.04, [True, True, False, True])],
)
def test_a_lane_is_filled_as_high_as_the_probability(
    browser: Any, pages: Path, height: float, expected: list[bool]
) -> None:
    """Happy is at 70 % from 10 s to 14 s, nowhere from 14 s to 16 s, and at 5 % in the rest."""
    visit = Visit(browser, pages / "P1" / "S1.html", SCREEN)
    assert visit.page.evaluate(FILLED_AT, [1, "yaxis2", [5, 12, 15, 18], height]) == expected


def test_a_gap_is_striped_where_it_was(browser: Any, pages: Path) -> None:
    """The face is away from 14 s to 16 s."""
    visit = Visit(browser, pages / "P1" / "S1.html", SCREEN)
    striped = visit.page.evaluate(FILLED_AT, [0, "yaxis", [1, 13.9, 14.1, 15.9, 16.1], 0.5])
    assert striped == [False, False, True, True, False]


def test_time_counts_from_the_start_of_the_session(browser: Any, pages: Path) -> None:
    visit = Visit(browser, pages / "P1" / "S1.html", SCREEN)
    ticks = visit.page.locator(".figure.tall .xtick text").all_text_contents()
    assert (ticks[0], ticks[-1]) == ("0:00", "0:20")


@pytest.mark.parametrize(("name", "half"), [("en", "0:00.5"), ("fr", "0:00,5")])
def test_no_two_ticks_of_a_short_session_say_the_same(
    browser: Any, tmp_path: Path, name: str, half: str
) -> None:
    path = write_session_report(material([("happy", 10)]), tmp_path / "S1.html", language(name))
    visit = Visit(browser, path, SCREEN)
    ticks = visit.page.locator(".figure.tall .xtick text").all_text_contents()
    assert half in ticks
    assert len({*ticks}) == len(ticks) > 2


def test_pointing_at_a_moment_says_what_was_read(browser: Any, pages: Path) -> None:
    visit = Visit(browser, pages / "P1" / "S1.html", {"width": 1200, "height": 3000})
    plot = visit.page.locator(".figure.tall .draglayer .nsewdrag").first.bounding_box()
    visit.page.mouse.move(plot["x"] + plot["width"] * 12.5 / 20, plot["y"] + 5)
    caption = visit.page.locator(".figure.tall .hoverlayer .hovertext").first
    caption.wait_for()
    assert "happy 70 %" in str(caption.text_content())
    assert visit.page.locator(".figure.tall .axistext").text_content() == "0:12"


def test_an_injected_script_does_not_run(browser: Any, pages: Path, tmp_path: Path) -> None:
    """The page's policy is the second wall behind escaping."""
    html = (pages / "P1" / "S1.html").read_text()
    opened = tmp_path / "injected.html"
    opened.write_text(html.replace("</main>", "<script>window.injected = true</script></main>"))
    visit = Visit(browser, opened, SCREEN)
    assert visit.page.evaluate("window.injected") is None
    assert any("Content Security Policy" in complaint for complaint in visit.complaints)
    assert visit.count(".figure.js-plotly-plot") == 2


def test_a_print_is_complete(browser: Any, pages: Path) -> None:
    """For the print what is folded is opened and figures are as wide as the paper; then all is as before."""
    visit = Visit(browser, pages / "P1" / "S1.html", SCREEN)
    state = (
        "[document.querySelectorAll('details[open]').length, document.querySelector('.main-svg').clientWidth]"
    )
    before = visit.page.evaluate(state)
    visit.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert visit.page.evaluate(state) == [2, 660]
    visit.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert visit.page.evaluate(state) == before
    assert before[0] == 0
    assert visit.page.pdf(format="A4").startswith(b"%PDF")
    assert visit.complaints == []


# --- everybody can read it, in both languages, also with scripts and style beside the pages


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of a session of which all is known, in each language."""
    folder = tmp_path_factory.mktemp("full")
    unusual = [Unusual(of, value, 0.2, 0.4) for of, value in (("positive", 0.5), ("", 0.1))]
    events = (Event("P1", "S1", 3.0, "song"), Event("P1", "S1", 12.0, "visit"))
    both = rated() + rated("corrected")
    known = corrected(still=True, unusual=tuple(unusual), events=events, rated=both)
    made = material(
        recorded_at="2026-03-02T14:05:00",
        facts=known,
        pictures=Pictures({12.0: jpeg()}, "blur"),
        review="../../review/P1/S1.html",
    )
    return {
        name: write_session_report(made, folder / f"{name}.html", language(name)) for name in ("en", "fr")
    }


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An index and a session, in French and with shared scripts and style; and in English with all inside."""
    found = {}
    for name, options in (("en", ReportOptions()), ("fr", ReportOptions("fr", "shared"))):
        out = tmp_path_factory.mktemp(name)
        put(out, make_timeline(TWENTY_SECONDS))
        put(out, make_timeline([("no_face", 100)], session_id="S2"), session_id="S2")
        found[name] = write_reports(out, options=options).parent
    return found


@ON_BOTH
@pytest.mark.parametrize("name", ["en", "fr"])
def test_a_full_session_is_accessible(
    browser: Any, full: dict[str, Path], name: str, viewport: dict[str, int]
) -> None:
    visit = Visit(browser, full[name], viewport)
    visit.unfold()
    assert visit.violations() == []
    assert visit.complaints == []
    assert [url for url in visit.requests if not url.startswith("data:")] == [full[name].as_uri()]
    assert visit.overflow_px() == 0


@pytest.mark.parametrize("page", ["index", "P1/S1", "P1/S2"])
@pytest.mark.parametrize("name", ["en", "fr"])
def test_pages_are_accessible(browser: Any, folders: dict[str, Path], name: str, page: str) -> None:
    visit = Visit(browser, folders[name] / f"{page}.html", SCREEN)
    assert visit.violations() == []


def test_shared_scripts_and_style_work_from_disk(browser: Any, folders: dict[str, Path]) -> None:
    path = folders["fr"] / "P1" / "S1.html"
    visit = Visit(browser, path, SCREEN)
    assert visit.complaints == []
    assets = [folders["fr"] / "assets" / name for name in ("plotly-basic.min.js", "draw.js", "style.css")]
    assert set(visit.requests) == {path.as_uri(), *(asset.as_uri() for asset in assets)}
    assert visit.count(".figure.js-plotly-plot") == 2
    assert visit.page.evaluate("getComputedStyle(document.querySelector('.answer')).fontWeight") == "500"
    assert visit.page.pdf(format="A4").startswith(b"%PDF")


def test_shared_scripts_and_style_work_from_a_server(browser: Any, folders: dict[str, Path]) -> None:
    handler = partial(Quiet, directory=str(folders["fr"]))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_context(viewport=SCREEN).new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(f"http://127.0.0.1:{server.server_port}/P1/S1.html")
        assert page.locator(".figure.js-plotly-plot").count() == 2
        assert complaints == []
        server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_a_script_without_the_pages_own_word_does_not_run(
    browser: Any, folders: dict[str, Path], tmp_path: Path
) -> None:
    """Neither one in the page, nor one beside it."""
    (tmp_path / "evil.js").write_text("window.injected = true")
    html = (folders["fr"] / "P1" / "S1.html").read_text()
    evil = "<script>window.injected = true</script><script src='evil.js'></script></main>"
    opened = tmp_path / "injected.html"
    opened.write_text(html.replace("</main>", evil))
    visit = Visit(browser, opened, SCREEN)
    assert visit.page.evaluate("window.injected") is None
    assert sum("Content Security Policy" in complaint for complaint in visit.complaints) == 2


# --- the review


@pytest.fixture(scope="module")
def review(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a session of 20 s, and the copy that it plays."""
    folder = tmp_path_factory.mktemp("review")
    encode(folder / "S1.mp4", numbered(200), rate=10)
    return write_review_page(
        make_timeline(TWENTY_SECONDS), folder / "S1.html", blur="others", face_threshold=0.9
    )


PLAYED_S = "document.querySelector('video').currentTime"


def wait_until(visit: Visit, condition: str) -> None:
    """Asked from outside: playwright's own waiting evaluates in the page, which its policy forbids."""
    for _ in range(200):
        if visit.page.evaluate(condition):
            return
        visit.page.wait_for_timeout(50)
    pytest.fail(f"never came true: {condition}")


def watch(browser: Any, page: Path, viewport: dict[str, int]) -> Visit:
    visit = Visit(browser, page, viewport)
    wait_until(visit, "document.querySelector('video').readyState >= 2")
    return visit


@pytest.fixture
def watched(browser: Any, review: Path) -> Visit:
    return watch(browser, review, {"width": 1200, "height": 1000})


def settled_s(visit: Visit) -> float:
    """Where the video is, once it has got there."""
    wait_until(visit, "!document.querySelector('video').seeking")
    return float(visit.page.evaluate(PLAYED_S))


def cursor_s(visit: Visit) -> float:
    """Which moment of the session the line on the timeline is at."""
    place = """
    (() => {
      const axis = document.querySelector('.figure')._fullLayout.xaxis;
      return (parseFloat(document.querySelector('.cursor').style.left) - axis._offset) / axis._length * 20;
    })()
    """
    return float(visit.page.evaluate(place))


@ON_BOTH
def test_a_review_opens_from_disk(browser: Any, review: Path, viewport: dict[str, int]) -> None:
    visit = watch(browser, review, viewport)
    assert visit.complaints == []
    assert set(visit.requests) == {review.as_uri(), review.with_suffix(".mp4").as_uri()}
    assert visit.page.evaluate("document.querySelector('video').duration") == pytest.approx(20, abs=0.1)
    assert visit.count(".figure.js-plotly-plot") == 1
    assert visit.overflow_px() == 0


def test_a_click_on_the_timeline_leads_there(watched: Visit) -> None:
    plot = watched.page.locator(".figure .draglayer .nsewdrag").first.bounding_box()
    mouse, y = watched.page.mouse, plot["y"] + 5
    for moment_s in (12.5, 3.0):
        mouse.click(plot["x"] + plot["width"] * moment_s / 20, y)
        assert settled_s(watched) == pytest.approx(moment_s, abs=0.05)
        assert cursor_s(watched) == pytest.approx(moment_s, abs=0.05)
    mouse.move(plot["x"] + plot["width"] * 0.2, y)
    mouse.down()
    mouse.move(plot["x"] + plot["width"] * 0.6, y, steps=4)
    mouse.up()
    assert settled_s(watched) == pytest.approx(3.0, abs=0.05), "dragging looks closer, and leads nowhere"
    assert watched.complaints == []


def test_a_click_on_a_stretch_leads_to_its_start(watched: Visit) -> None:
    watched.page.get_by_role("button", name="0:14–0:16").click()
    assert settled_s(watched) == pytest.approx(14)
    assert "Face not visible" in str(watched.page.locator(".now").text_content())
    assert "0:14" in str(watched.page.locator("tr[aria-current]").text_content())
    watched.page.locator("tr", has_text="Happy").click()
    assert settled_s(watched) == pytest.approx(10)


def test_a_reports_link_leads_to_its_moment(browser: Any, review: Path) -> None:
    visit = Visit(browser, review, SCREEN)
    visit.page.goto(f"{review.as_uri()}#t=12.40")
    wait_until(visit, "document.querySelector('video').readyState >= 2")
    assert settled_s(visit) == pytest.approx(12.4, abs=0.002)
    visit.page.evaluate("location.hash = '#t=3'")
    wait_until(visit, f"{PLAYED_S} < 4")
    assert settled_s(visit) == pytest.approx(3)
    visit.page.evaluate("location.hash = '#t=nonsense'")
    assert settled_s(visit) == pytest.approx(3)
    assert visit.complaints == []


def test_the_keys_lead_through_samples_and_stretches(watched: Visit) -> None:
    keys = ("ArrowRight", "ArrowRight", "ArrowLeft", "]", "]", "ArrowLeft", "[", "[", "[")
    expected_s = (0.2, 0.4, 0.2, 10, 14, 13.8, 10, 0, 0)
    for key, moment_s in zip(keys, expected_s, strict=True):
        watched.page.keyboard.press(key)
        assert settled_s(watched) == pytest.approx(moment_s, abs=0.002), key
    watched.page.keyboard.press(" ")
    wait_until(watched, f"{PLAYED_S} > 0.3")
    assert cursor_s(watched) > 0.1
    watched.page.keyboard.press(" ")
    assert watched.page.evaluate("document.querySelector('video').paused")


def test_a_recording_of_several_files_is_one(browser: Any, tmp_path: Path) -> None:
    """Its second file begins at 8 s."""
    files = [encode(tmp_path / f"{n}.mp4", numbered(count), rate=10) for n, count in ((1, 80), (2, 120))]
    films = [Film(file.as_uri(), start_s) for file, start_s in zip(files, (0.0, 8.0), strict=True)]
    timeline = make_timeline(TWENTY_SECONDS)
    page = write_review_page(timeline, tmp_path / "S1.html", blur=None, face_threshold=0.9, recording=films)
    visit = watch(browser, page, SCREEN)
    for button, film, moment_s in (("0:14–0:16", 1, 6), ("0:00–0:10", 0, 0), ("0:10–0:14", 1, 2)):
        visit.page.get_by_role("button", name=button).click()
        wait_until(visit, "document.querySelector('video').readyState >= 2")
        assert settled_s(visit) == pytest.approx(moment_s)
        assert visit.page.evaluate("document.querySelector('video').currentSrc") == films[film].url
        assert cursor_s(visit) == pytest.approx(films[film].start_s + moment_s, abs=0.05)
    assert visit.complaints == []


def test_a_video_that_cannot_be_played_is_told(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "S1.mp4").write_bytes(b"no video")
    page = write_review_page(
        make_timeline(TWENTY_SECONDS), tmp_path / "S1.html", blur="all", face_threshold=0.9
    )
    alert = Visit(browser, page, SCREEN).page.get_by_role("alert")
    alert.wait_for()
    assert "can’t play the video" in str(alert.text_content())
