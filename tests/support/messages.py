"""Every text of the templates and modules that needs translation."""

from collections.abc import Iterator
from pathlib import Path

from babel.messages.extract import extract
from jinja2.ext import babel_extract

from pipeline.reasons import SINGULAR, TEXTS

REPORTS = Path(__file__).parents[2] / "reports"
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "marked": None, "counted": (1, 2)}
TEMPLATES = {"trimmed": "true", "trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}

Message = str | tuple[str, str]


def messages() -> dict[Message, list[str]]:
    """Each text, or pair of singular and plural, and where it stands."""
    found: dict[Message, list[str]] = {}
    for path in sorted([*REPORTS.rglob("*.py"), *REPORTS.glob("templates/*.html")]):
        for line, message in _in_file(path):
            found.setdefault(message, []).append(f"{path.name}:{line}")
    for code, text in (*TEXTS.items(), *SINGULAR.items()):
        if code != "text":
            found.setdefault(text, []).append(f"reasons.py: {code}")
    return found


def _in_file(path: Path) -> Iterator[tuple[int, Message]]:
    method = "python" if path.suffix == ".py" else babel_extract
    with path.open("rb") as file:
        for line, message, _, _ in extract(method, file, KEYWORDS, options=TEMPLATES):
            yield line, message
