"""A study's own calibration from its raters' answers: the file, and its application.

    DIR/adaptation.json    written by ``emonext adapt``, or copied from another study

It holds for timelines of the weights that it names; these weights are never changed. The adapted reading
stands beside the raw one. Its parameters are the same for all people, sessions and conditions.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.analysis.baseline_correction import SMALLEST
from pipeline.analysis.episodes import Observed
from pipeline.errors import InputError
from pipeline.records import EMOTIONS
from pipeline.stats.recalibration import Change, HeldOutTest, Shift, shifted
from pipeline.store.files import atomic
from pipeline.store.spreadsheet import read_text

ADAPTATION_FILE = "adaptation.json"

NONE = "none"
"""In place of a file: remove the adaptation."""

_FORMAT = 1
_MOST_T, _MOST_OFFSET = 20.0, 10.0
_DIGITS = 6

# The sha256 is of everything else, and the date is no part of the result.
_NOT_HASHED = ("sha256", "created_at")


@dataclass(frozen=True)
class Adaptation:
    """The parameters, and what they were estimated from.

    :param temperature, offsets: as in :mod:`pipeline.stats.recalibration`; offsets by expression.
    :param weights_sha256: of the classifier's weights.
    :param clips, raters, patients, sessions: numbers of those with a usable answer.
    :param prior_log_t, prior_offset: standard deviations of the prior.
    :param unit: what the test left out: ``patients``, or ``sessions`` of the same patients.
    """

    temperature: float
    offsets: Mapping[str, float]
    weights_sha256: str
    clips: int
    raters: int
    patients: int
    sessions: int
    prior_log_t: float
    prior_offset: float
    unit: str
    test: HeldOutTest
    software_version: str = ""
    created_at: str = ""

    @property
    def sha256(self) -> str:
        return _sha256(_content(self))

    @property
    def name(self) -> str:
        return f"adapted-{self.sha256[:8]}"

    @property
    def shift(self) -> Shift:
        return Shift(self.temperature, np.array([self.offsets[name] for name in EMOTIONS]))


def with_adaptation(samples: Observed, adaptation: Adaptation) -> Observed:
    """The samples with adapted probabilities."""
    logs = np.log(np.maximum(samples.probabilities, SMALLEST))
    return replace(samples, probabilities=shifted(logs, adaptation.shift))


def adaptation_path(out: Path) -> Path:
    return out / ADAPTATION_FILE


def write_adaptation(path: Path, adaptation: Adaptation) -> Adaptation:
    """Write the file, with today's date and this version.

    :returns: the adaptation as it was written.
    :raises OutputError: the file can't be written.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    dated = replace(adaptation, software_version=version("emonext-care"), created_at=now)
    content = {"name": dated.name, "sha256": dated.sha256, **_content(dated)}
    with atomic(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return dated


def read_adaptation(out: Path) -> Adaptation | None:
    """The adaptation of a folder; ``None`` without one.

    :raises InputError: as :func:`read_adaptation_file`.
    """
    path = adaptation_path(out)
    return read_adaptation_file(path) if path.exists() else None


def read_adaptation_file(path: Path) -> Adaptation:
    """:raises InputError: the file can't be read, or is not as ``emonext adapt`` wrote it."""
    text = read_text(path, f"give an {ADAPTATION_FILE} of `emonext adapt`")
    try:
        return _parsed(json.loads(text))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: no adaptation, or changed since it was written ({error}); give another file, or leave "
            f"it out with `emonext summarize DIR --adapt {NONE}`."
        ) from error


def use_adaptation(out: Path, given: str | None) -> None:
    """Copy an adaptation into the folder, or remove the folder's own.

    :param given: path of the file; :data:`NONE`: remove; ``None``: leave the folder as it is.
    :raises InputError: as :func:`read_adaptation_file`. :raises OutputError: the file can't be written.
    """
    if given == NONE:
        adaptation_path(out).unlink(missing_ok=True)
    elif given is not None:
        read_adaptation_file(Path(given))
        if Path(given).resolve() != adaptation_path(out).resolve():
            data = Path(given).read_bytes()
            with atomic(adaptation_path(out)) as partial:
                partial.write_bytes(data)


def check_given(given: str | None) -> None:
    """Refuse a file before any work; errors as :func:`use_adaptation`."""
    if given not in (None, NONE):
        read_adaptation_file(Path(given))


# --- content


def _content(adaptation: Adaptation) -> dict[str, Any]:
    rounded: dict[str, Any] = _rounded({"format": _FORMAT, **asdict(adaptation)})
    return rounded


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return round(value, _DIGITS) if isinstance(value, float) else value


def _sha256(content: Mapping[str, Any]) -> str:
    hashed = {key: value for key, value in content.items() if key not in _NOT_HASHED}
    return hashlib.sha256(json.dumps(hashed, sort_keys=True).encode()).hexdigest()


def _parsed(content: Any) -> Adaptation:
    """:raises ValueError, LookupError, TypeError: the content is none."""
    if content["format"] != _FORMAT:
        raise ValueError("of another version")
    fields = {key: value for key, value in content.items() if key not in ("format", "name", "sha256")}
    test = fields.pop("test")
    changes = {name: Change(**test[name]) for name in ("agreement", "log_loss")}
    adaptation = Adaptation(**fields, test=HeldOutTest(**{**test, **changes}))
    offsets = [float(adaptation.offsets[name]) for name in EMOTIONS]
    if len(adaptation.offsets) != len(EMOTIONS):
        raise ValueError("an offset of an unknown expression")
    in_range = [1 / _MOST_T <= adaptation.temperature <= _MOST_T, *(abs(x) <= _MOST_OFFSET for x in offsets)]
    if not all(in_range):
        raise ValueError("a parameter is out of range")
    if content["sha256"] != adaptation.sha256:
        raise ValueError("its content does not fit its sha256")
    return adaptation
