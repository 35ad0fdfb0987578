"""Hand-made data for pages of sessions."""

import io
from typing import Any

from PIL import Image
from timelines import TWENTY_SECONDS, Runs, make_timeline

from pipeline.analysis.highlights import Moment
from pipeline.analysis.session_results import Rated, SessionFacts
from pipeline.analysis.summaries import Key, Number
from pipeline.records import EMOTIONS, NEGATIVE
from pipeline.store.coverage import summarize
from reports.session_data import SessionMaterial


def numbers(reading: str, shares: dict[str, float], observed_s: float) -> dict[Key, Number]:
    groups = {"positive": shares["happy"], "negative": sum(shares[name] for name in NEGATIVE)}
    found: dict[Key, Number] = {}
    for of, share in {**shares, **groups}.items():
        low, high = max(share - 0.05, 0), min(share + 0.05, 1)
        found[reading, "share", of] = Number(share, low, high)
        found[reading, "seconds", of] = Number(share * observed_s, low * observed_s, high * observed_s)
    return found


SHARES = {"angry": 0, "disgust": 0, "fear": 0.02, "happy": 0.2, "sad": 0.1, "surprise": 0.08, "neutral": 0.6}


GOOD = (Moment("happy", 10.0, 14.0, 12.0, 0.9), Moment("happy", 61.0, 63.0, 62.0, 0.6))


HARD = (Moment("sad", 16.0, 20.0, 18.0, 0.7), Moment("angry", 130.0, 131.0, 130.2, 0.5))


def facts(**given: Any) -> SessionFacts:
    values: dict[str, Any] = {
        "enough": True,
        "reading": "raw",
        "numbers": numbers("raw", SHARES, 18.0),
        "rest_s": 0.0,
        "still": False,
        "others": 7,
        "unusual": (),
        "good": GOOD,
        "hard": HARD,
        "events": (),
        "rated": (),
        "scale_names": {"oers": "Observed Emotion Rating Scale"},
    }
    return SessionFacts(**(values | given))


def corrected(**given: Any) -> SessionFacts:
    calm = {"neutral": 0.9, "happy": 0.1} | dict.fromkeys(set(EMOTIONS) - {"neutral", "happy"}, 0.0)
    both = numbers("raw", SHARES, 18.0) | numbers("corrected", calm, 18.0)
    return facts(**({"reading": "corrected", "numbers": both, "rest_s": 125.0} | given))


def material(runs: Runs = TWENTY_SECONDS, recorded_at: str | None = None, **given: Any) -> SessionMaterial:
    timeline = make_timeline(runs)
    timeline.metadata["session"]["recorded_at"] = recorded_at
    return SessionMaterial(timeline, summarize(timeline), **given)


def spaced(text: str) -> str:
    return text.replace("\u00a0", " ")


def jpeg() -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (8, 8)).save(written, "JPEG")
    return written.getvalue()


def rated(reading: str = "raw") -> tuple[Rated, ...]:
    """Two windows: in the second too little was seen."""
    cells: list[tuple[str, str, float | None, int | None, str]] = [
        ("item", "pleasure", 12.0, 2, "less than 16 seconds"),
        ("item", "x <OWN>", 0.0, 1, "never seen"),
        ("beside", "surprise", 3.0, None, "no item of the scale"),
        ("not assessed", "general alertness", None, None, "not assessed"),
        ("time budget", "positive", 12.0, None, "no item of the scale"),
    ]
    unseen = [
        (k, i, None, 7 if k == "item" else None, "not in view" if k != "not assessed" else w)
        for k, i, _, _, w in cells
    ]
    return tuple(
        Rated(reading, "oers", window, 600.0 * (window - 1), 600.0 * window, coverage, *cell)
        for window, coverage, row in ((1, 0.55, cells), (2, 0.1, unseen))
        for cell in row
    )
