"""Pages in a real browser: requests, console messages, and findings of axe-core."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SCREEN = {"width": 1200, "height": 900}
PHONE = {"width": 390, "height": 844}
ON_BOTH = pytest.mark.parametrize("viewport", [SCREEN, PHONE], ids=["screen", "phone"])

# Until all pages of a browser on a busy machine have what one of them kept.
_SETTLES_MS = 1000


class Visit:
    """An opened page, everything it asked for, and everything it complained of."""

    def __init__(self, browser: Any, path: Path, viewport: dict[str, int]) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        # the time in the video must not depend on where the reader is
        context = browser.new_context(offline=True, viewport=viewport, timezone_id="America/St_Johns")
        self.page = context.new_page()
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(path.as_uri())

    def count(self, selector: str) -> int:
        return int(self.page.locator(selector).count())

    def open_store(self) -> None:
        """A browser on a busy machine opens its storage late, and loses what was kept before: wait for it."""
        with self._other() as other:
            for attempt in range(100):
                self.page.evaluate("attempt => localStorage.setItem('is open', attempt)", attempt)
                if other.evaluate("localStorage.getItem('is open')"):
                    break
                other.wait_for_timeout(100)
            self.page.evaluate("localStorage.removeItem('is open')")
        self.page.wait_for_timeout(_SETTLES_MS)

    def hand_on(self, other: Any) -> None:
        """Wait until another page has what this one kept: the browser hands it on by and by."""
        entries = "Object.entries(localStorage).sort()"
        for _ in range(100):
            if other.evaluate(entries) == self.page.evaluate(entries):
                break
            other.wait_for_timeout(100)

    def reload(self) -> None:
        """Load the page again; put back what a browser lost that opened its storage late."""
        kept = self.page.evaluate("Object.entries(localStorage)")
        with self._other() as other:
            self.hand_on(other)
        self.page.wait_for_timeout(_SETTLES_MS)
        self.page.reload()
        for _ in range(10):
            if not kept or self.page.evaluate("localStorage.length"):
                break
            self.page.evaluate(
                "kept => kept.forEach(([name, value]) => localStorage.setItem(name, value))", kept
            )
            self.page.wait_for_timeout(_SETTLES_MS)
            self.page.reload()

    @contextmanager
    def _other(self) -> Iterator[Any]:
        other = self.page.context.new_page()
        other.goto(self.page.url)
        yield other
        other.close()

    def overflow_px(self) -> int:
        """By how much the page is wider than the screen."""
        root = "document.documentElement"
        return int(self.page.evaluate(f"{root}.scrollWidth - {root}.clientWidth"))

    def unfold(self) -> None:
        self.page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")

    def violations(self) -> list[str]:
        """What axe-core finds wrong by WCAG 2.2 AA: each rule, and where."""
        axe = pytest.importorskip("axe_playwright_python.base", reason="needs axe-playwright-python")
        # what is laid out only on the screen has no size elsewhere, and axe-core takes that for its size
        self.page.evaluate(
            "for (const one of document.querySelectorAll('*'))"
            " if (getComputedStyle(one).contentVisibility === 'auto') one.style.contentVisibility = 'visible'"
        )
        # as if typed into the console: a script in the page would be refused by its policy
        self.page.evaluate(Path(axe.__file__).with_name("axe.min.js").read_text())
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
        found = self.page.evaluate("tags => axe.run({ runOnly: tags })", tags)
        assert found["passes"]
        return [
            f"{rule['id']}: {node['html'][:200]}" for rule in found["violations"] for node in rule["nodes"]
        ]
