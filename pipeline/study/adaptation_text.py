"""The methods paragraph on the adapted reading."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.analysis.adaptation import Adaptation, read_adaptation
from pipeline.records import EMOTIONS
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
    model = f"a temperature of {one.temperature:.2f}"
    if any(one.offsets.values()):
        model += f" and an offset for each expression ({offsets})"
    else:
        model += " (offsets of single expressions did not help)"
    sample = (
        f"{number_of(one.raters, 'rater')} to {number_of(one.clips, 'clip')} of "
        f"{number_of(one.patients, 'patient')}"
    )
    prior = f"{one.prior_log_t:g} of the temperature's logarithm and {one.prior_offset:g} of each offset"
    return (
        f"Beside the raw numbers stand adapted ones ({one.name}, sha256 {one.sha256[:12]}…): {model}, the "
        "same for all patients and conditions, estimated by penalised maximum likelihood from the answers of "
        f"{sample}, weighted by the inverse of inclusion probabilities, with normal priors around "
        f"no change (standard deviations {prior}). {_test(one)}"
    )


def _test(one: Adaptation) -> str:
    agreement, loss = one.test.agreement, one.test.log_loss
    stayed = "" if one.unit == "patients" else ", while other sessions of the same patients stayed"
    shares = f"from {100 * agreement.before:.0f} % to {100 * agreement.after:.0f} %"
    points = [_signed(100 * value, 1) for value in (agreement.difference, agreement.low, agreement.high)]
    losses = [_signed(value, 3) for value in (loss.difference, loss.low, loss.high)]
    return (
        f"It was tested by leaving out one {one.unit.removesuffix('s')} at a time{stayed} "
        f"({one.test.clusters} {one.unit}): on clips that were left out, agreement with the raters went "
        f"{shares} (difference {points[0]} percentage points, 95 % interval {points[1]} to {points[2]}), log "
        f"loss from {loss.before:.3f} to {loss.after:.3f} (difference {losses[0]}, {losses[1]} to "
        f"{losses[2]}); intervals treat the {one.unit} as the observations (Student's t). An adaptation "
        "without an improvement in this test is not used."
    )


def _signed(value: float, digits: int) -> str:
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")
