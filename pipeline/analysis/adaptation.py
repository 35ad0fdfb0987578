"""A study's own calibration from its raters' answers: the file, and its application.

    DIR/adaptation.json    written by ``emonext adapt``, or copied from another study

It holds for timelines of the weights that it names; these weights are never changed. The adapted reading
stands beside the raw one. Its parameters are the same for all sessions and conditions; patients with enough
rated clips may have offsets of their own on top of the study's. Those are never copied to another folder,
where the same pseudonym may be another person.
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
from pipeline.store.counts import number_of
from pipeline.store.files import atomic
from pipeline.store.spreadsheet import read_text

ADAPTATION_FILE = "adaptation.json"

NONE = "none"
"""In place of a file: remove the adaptation."""

# Files without offsets of patients are as those of earlier versions, with the same sha256.
_FORMAT, _FORMAT_OWN = 1, 2
_MOST_T, _MOST_OFFSET = 20.0, 10.0
_DIGITS = 6

# The sha256 is of everything else, and the date is no part of the result.
_NOT_HASHED = ("sha256", "created_at")


@dataclass(frozen=True)
class OwnOffsets:
    """Offsets of a patient, on top of the study's.

    :param clips, sessions: numbers of those with a usable answer.
    """

    offsets: Mapping[str, float]
    clips: int
    sessions: int


@dataclass(frozen=True)
class PatientOffsets:
    """Own offsets of patients, and their test.

    :param patients: pseudonym → offsets; empty: they were tested, but did not help.
    :param prior_offset: standard deviation of the prior.
    :param test: on sessions that were left out, from the study's parameters to those with own offsets.
    """

    patients: Mapping[str, OwnOffsets]
    prior_offset: float
    test: HeldOutTest


@dataclass(frozen=True)
class Adaptation:
    """The parameters, and what they were estimated from.

    :param temperature, offsets: as in :mod:`pipeline.stats.recalibration`; offsets by expression.
    :param weights_sha256: of the classifier's weights.
    :param clips, raters, patients, sessions: numbers of those with a usable answer.
    :param prior_log_t, prior_offset: standard deviations of the prior.
    :param unit: what the test left out: ``patients``, or ``sessions`` of the same patients.
    :param own: offsets of single patients; ``None``: not tested.
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
    own: PatientOffsets | None = None
    software_version: str = ""
    created_at: str = ""

    @property
    def sha256(self) -> str:
        return _sha256(_content(self))

    @property
    def name(self) -> str:
        return f"adapted-{self.sha256[:8]}"

    @property
    def own_patients(self) -> Mapping[str, OwnOffsets]:
        """The patients with offsets of their own."""
        return self.own.patients if self.own else {}

    def shift(self, patient_id: str) -> Shift:
        """The parameters of a patient: the study's, with the patient's own offsets if there are any."""
        own = self.own_patients.get(patient_id)
        offsets = [self.offsets[name] + (own.offsets[name] if own else 0.0) for name in EMOTIONS]
        return Shift(self.temperature, np.array(offsets))

    def without_patients(self) -> "Adaptation":
        """The study's parameters alone, for another folder."""
        return replace(self, own=None)


def with_adaptation(samples: Observed, adaptation: Adaptation, patient_id: str) -> Observed:
    """The patient's samples with adapted probabilities."""
    logs = np.log(np.maximum(samples.probabilities, SMALLEST))
    return replace(samples, probabilities=shifted(logs, adaptation.shift(patient_id)))


def adaptation_path(out: Path) -> Path:
    return out / ADAPTATION_FILE


def write_adaptation(path: Path, adaptation: Adaptation) -> Adaptation:
    """Write the file, with today's date and this version.

    :returns: the adaptation as it was written.
    :raises OutputError: the file can't be written.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    dated = replace(adaptation, software_version=version("emonext-care"), created_at=now)
    _write(path, dated)
    return dated


def _write(path: Path, adaptation: Adaptation) -> None:
    content = {"name": adaptation.name, "sha256": adaptation.sha256, **_content(adaptation)}
    with atomic(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


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
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError(
            f"{path}: no adaptation, or changed since it was written ({error}); give another file, or leave "
            f"it out with `emonext summarize DIR --adapt {NONE}`."
        ) from error


def use_adaptation(out: Path, given: str | None) -> None:
    """Copy an adaptation into the folder, without its patients' offsets, or remove the folder's own.

    :param given: path of the file; :data:`NONE`: remove; ``None``: leave the folder as it is.
    :raises InputError: as :func:`read_adaptation_file`. :raises OutputError: the file can't be written.
    """
    if given == NONE:
        adaptation_path(out).unlink(missing_ok=True)
    elif given is not None and Path(given).resolve() != adaptation_path(out).resolve():
        _write(adaptation_path(out), read_adaptation_file(Path(given)).without_patients())


def check_given(given: str | None, out: Path) -> str:
    """Refuse a file before any work; errors as :func:`use_adaptation`.

    :returns: what :func:`use_adaptation` leaves out, in a sentence; empty: nothing.
    """
    if given is None or given == NONE:
        return ""
    patients = read_adaptation_file(Path(given)).own_patients
    if not patients or Path(given).resolve() == adaptation_path(out).resolve():
        return ""
    return (
        f"{given}: own offsets of {number_of(len(patients), 'patient')} are left out: they hold only in the "
        "folder in which `emonext adapt` wrote them."
    )


# --- content


def _content(adaptation: Adaptation) -> dict[str, Any]:
    content = asdict(adaptation)
    if adaptation.own is None:
        del content["own"]
    number = _FORMAT if adaptation.own is None else _FORMAT_OWN
    rounded: dict[str, Any] = _rounded({"format": number, **content})
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
    if content["format"] not in (_FORMAT, _FORMAT_OWN):
        raise ValueError("of another version")
    fields = {key: value for key, value in content.items() if key not in ("format", "name", "sha256")}
    own = _parsed_own(fields.pop("own")) if content["format"] == _FORMAT_OWN else None
    adaptation = Adaptation(**{**fields, "test": _parsed_test(fields["test"])}, own=own)
    counted = (adaptation, *adaptation.own_patients.values())
    for count in (getattr(one, name) for one in counted for name in ("clips", "sessions")):
        if type(count) is not int:
            raise ValueError("a count of clips or sessions is not a number")
    for offsets in (adaptation.offsets, *(one.offsets for one in adaptation.own_patients.values())):
        if not all(type(offsets[name]) in (int, float) for name in EMOTIONS):
            raise ValueError("an offset is not a number")
        if not all(abs(offsets[name]) <= _MOST_OFFSET for name in EMOTIONS):
            raise ValueError("a parameter is out of range")
        if len(offsets) != len(EMOTIONS):
            raise ValueError("an offset of an unknown expression")
    if not 1 / _MOST_T <= adaptation.temperature <= _MOST_T:
        raise ValueError("a parameter is out of range")
    if content["sha256"] != adaptation.sha256:
        raise ValueError("its content does not fit its sha256")
    return adaptation


def _parsed_own(content: Any) -> PatientOffsets:
    patients = {patient: OwnOffsets(**one) for patient, one in content["patients"].items()}
    return PatientOffsets(**{**content, "patients": patients, "test": _parsed_test(content["test"])})


def _parsed_test(content: Any) -> HeldOutTest:
    changes = {name: Change(**content[name]) for name in ("agreement", "log_loss")}
    return HeldOutTest(**{**content, **changes})
