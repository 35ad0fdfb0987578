"""The methods paragraph on the adapted reading."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.analysis.adaptation import Adaptation, PatientOffsets, read_adaptation
from pipeline.records import EMOTIONS
from pipeline.stats.recalibration import HeldOutTest
from pipeline.store.counts import number_of


def adaptation_paragraph(out: Path, settings: Mapping[str, Any]) -> list[str]:
    """The paragraph, if the tables have an adapted reading.

    :param settings: of the table of sessions.
    :raises InputError: the adaptation can't be read.
    """
    adaptation = read_adaptation(out) if settings.get("adaptation_sha256") else None
    return [_paragraph(adaptation)] if adaptation else []


def _paragraph(one: Adaptation) -> str:
    offsets = ", ".join(f"{name} {_signed(one.offsets[name], 2)}" for name in EMOTIONS)
    model = f"a temperature of {one.temperature:.2f} and an offset for each expression ({offsets})"
    if not any(one.offsets.values()):
        model = f"a temperature of {one.temperature:.2f} (offsets of single expressions did not help)"
    whose = "the same for all patients and conditions"
    if one.own_patients:
        whose = "the same for all conditions, and for all patients but those below"
    sample = (
        f"{number_of(one.raters, 'rater')} to {number_of(one.clips, 'clip')} of "
        f"{number_of(one.patients, 'patient')}"
    )
    prior = f"{one.prior_log_t:g} of the temperature's logarithm and {one.prior_offset:g} of each offset"
    return (
        f"Beside the raw numbers stand adapted ones ({one.name}, sha256 {one.sha256[:12]}…): {model}, "
        f"{whose}, estimated by penalised maximum likelihood from the answers of {sample}, weighted by the "
        "inverse of inclusion probabilities, with normal priors around no change (standard deviations "
        f"{prior}). {_test(one)}{_own(one.own) if one.own else ''}"
    )


def _test(one: Adaptation) -> str:
    stayed = "" if one.unit == "patients" else ", while other sessions of the same patients stayed"
    return (
        f"It was tested by leaving out one {one.unit.removesuffix('s')} at a time{stayed} "
        f"({one.test.clusters} {one.unit}): on clips that were left out, agreement with the raters went "
        f"{_changes(one.test)}; intervals treat the {one.unit} as the observations (Student's t). An "
        "adaptation without an improvement in this test is not used."
    )


def _own(own: PatientOffsets) -> str:
    """The sentences on offsets of single patients, after those on the study."""
    seen = (
        "on clips of sessions that were left out, one at a time, of "
        f"{number_of(own.test.clusters, 'patient')}, agreement went {_changes(own.test)}, compared with the "
        "study's parameters alone"
    )
    if not own.patients:
        return f" Offsets of single patients were tested too, and are not used, as they did not help: {seen}."
    clips = [one.clips for one in own.patients.values()]
    span = f"{min(clips)}" if len(set(clips)) == 1 else f"{min(clips)} to {max(clips)}"
    return (
        f" {number_of(len(clips), 'patient')} with enough rated clips ({span} each) have offsets of their "
        "own on top of the study's, partially pooled (normal prior around 0, standard deviation "
        f"{own.prior_offset:g}; Gelman & Hill 2007), the same in all sessions and conditions: {seen}."
    )


def _changes(test: HeldOutTest) -> str:
    agreement, loss = test.agreement, test.log_loss
    shares = f"from {100 * agreement.before:.0f} % to {100 * agreement.after:.0f} %"
    points = [_signed(100 * value, 1) for value in (agreement.difference, agreement.low, agreement.high)]
    losses = [_signed(value, 3) for value in (loss.difference, loss.low, loss.high)]
    return (
        f"{shares} (difference {points[0]} percentage points, 95 % interval {points[1]} to {points[2]}), log "
        f"loss from {loss.before:.3f} to {loss.after:.3f} (difference {losses[0]}, {losses[1]} to "
        f"{losses[2]})"
    )


def _signed(value: float, digits: int) -> str:
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")
