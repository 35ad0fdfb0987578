"""No page, and nothing in it, scrolls sideways: on a computer and on a phone, in both languages."""

from pathlib import Path
from typing import Any

import pytest
from page_types import LANGUAGES, Pages, write_every_page
from visits import Visit

PHONE, SCREEN = ({"width": width, "height": 900} for width in (390, 1280))

KINDS = (
    *("index", "study", "patient", "session", "session, all known", "people", "preflight", "rate", "locked"),
    *("agreement", "checklist", "evaluation", "review"),
)

# SVG and the figures scale with the page; a field holds any text. What stands in a box of a pixel is for
# screen readers alone.
TOO_WIDE = """
() => {
  const style = (one) => getComputedStyle(one);
  const isUnseen = (one) => one && (style(one).clipPath !== "none" || isUnseen(one.parentElement));
  const isBox = (one) => !["inline", "none", "contents"].includes(style(one).display);
  const isTooWide = (one) => one.scrollWidth > one.clientWidth + 1 && isBox(one) && !isUnseen(one);
  return [document.documentElement, ...document.querySelectorAll("body, body *")]
    .filter((one) => !one.closest("svg, .js-plotly-plot, input") && isTooWide(one))
    .map((one) => `${one.tagName}.${one.className} ${one.scrollWidth} in ${one.clientWidth} px`);
}
"""
"""Elements that hold something wider than themselves; no element may."""


@pytest.fixture(scope="module")
def pages(small_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Pages:
    return write_every_page(small_study, tmp_path_factory.mktemp("pages"))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_wider_than_the_screen(browser: Any, pages: Pages, kind: str) -> None:
    written = [pages[kind, name] for name in LANGUAGES if (kind, name) in pages]
    assert written
    for path in written:
        visit = Visit(browser, path, PHONE)
        visit.unfold()
        for size in (PHONE, SCREEN):  # most of the time is that of opening a page
            visit.page.set_viewport_size(size)
            visit.page.wait_for_timeout(200)
            assert visit.page.evaluate(TOO_WIDE) == [], (path.name, size)
        assert visit.complaints == [], path.name
        assert all(url.startswith(("file:", "data:", "blob:")) for url in visit.requests)
        visit.page.context.close()


CONTROLS = """
() => [...document.querySelectorAll("button, input, select, textarea, video")]
  .filter((one) => one.checkVisibility() && !one.closest(".moment, .events, .marked, .stretches"))
  .map((one) => one.outerHTML.slice(0, 120))
"""
"""What a reader of paper can't use; times that lead into a video are also told on paper."""

DARK = "() => [document.documentElement, document.body].map((one) => getComputedStyle(one).backgroundColor)"

FOLDED = """
() => [...document.querySelectorAll("details:not([open])")]
  .filter((one) => one.checkVisibility() && one.lastElementChild.getBoundingClientRect().height === 0)
  .map((one) => one.textContent.slice(0, 60))
"""

A4_PX = 703
"""Between margins of 12 mm."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
def test_a_print_is_whole_and_without_controls(browser: Any, pages: Pages, kind: str) -> None:
    for path in [pages[kind, name] for name in LANGUAGES if (kind, name) in pages]:
        visit = Visit(browser, path, {"width": A4_PX, "height": 1000})
        visit.page.emulate_media(media="print")
        visit.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        visit.page.wait_for_timeout(200)
        assert visit.page.evaluate(CONTROLS) == [], path.name
        found = visit.page.evaluate(TOO_WIDE)
        assert not found, "\n".join([path.name, *found])
        assert {*visit.page.evaluate(DARK)} <= {"rgba(0, 0, 0, 0)", "rgb(255, 255, 255)"}
        if kind not in ("index", "agreement"):  # of many sessions and pairs, the reader chooses
            assert visit.page.evaluate(FOLDED) == [], path.name
        assert visit.page.pdf(format="A4").startswith(b"%PDF")
        visit.page.context.close()


@pytest.mark.browser  # beside the tests that need these pages: they take ten seconds to make
def test_every_type_of_page_is_looked_at(pages: Pages) -> None:
    assert {kind for kind, _ in pages} == set(KINDS)


def test_a_column_beyond_the_edge_is_noticed(browser: Any, tmp_path: Path) -> None:
    """Also one in a frame of its own, and one that is cut off."""
    for overflow in ("visible", "auto", "hidden"):
        path = tmp_path / f"{overflow}.html"
        path.write_text(
            f'<div style="width: 300px; overflow: {overflow}"><table style="width: 500px"><tr><td>a</td>'
            "<td>b</td></tr></table></div>"
        )
        visit = Visit(browser, path, {"width": 390, "height": 900})
        assert visit.page.evaluate(TOO_WIDE), overflow
