"""The methods paragraph on the adapted reading."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.analysis.adaptation import Adaptation, read_adaptation
from pipeline.records import EMOTIONS
from pipeline.stats.recalibration import PRIOR_LOG_T, PRIOR_OFFSET
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
    return (
        f"Beside the raw numbers stand adapted ones ({one.name}, sha256 {one.sha256[:12]}…): a temperature of "
        f"{one.temperature:.2f} and an offset for each expression ({offsets}), the same for all patients and "
        "conditions, were estimated by penalised maximum likelihood from the answers of "
        f"{number_of(one.raters, 'rater')} to {number_of(one.clips, 'clip')} of "
        f"{number_of(one.patients, 'patient')}, weighted by the inverse of the clips' inclusion "
        f"probabilities, with normal priors around no change (standard deviations {PRIOR_LOG_T:g} of the "
        f"temperature's logarithm and {PRIOR_OFFSET:g} of each offset). {_test(one)}"
    )


def _test(one: Adaptation) -> str:
    agreement, loss = one.test.agreement, one.test.log_loss
    left_out, still_there = one.unit.removesuffix("s"), ""
    if one.unit != "patients":
        still_there = ", while other sessions of the same patients stayed"
    return (
        f"It was tested by leaving out one {left_out} at a time{still_there} ({one.test.clusters} {one.unit}): "
        f"on clips that were left out, agreement with the raters went from {100 * agreement.before:.0f} % to "
        f"{100 * agreement.after:.0f} % (difference {_signed(100 * agreement.difference, 1)} percentage "
        f"points, 95 % interval {_signed(100 * agreement.low, 1)} to {_signed(100 * agreement.high, 1)}), log "
        f"loss from {loss.before:.3f} to {loss.after:.3f} (difference {_signed(loss.difference, 3)}, "
        f"{_signed(loss.low, 3)} to {_signed(loss.high, 3)}); intervals treat the {one.unit} as the "
        "observations (Student's t). An adaptation without an improvement in this test is not used."
    )


def _signed(value: float, digits: int) -> str:
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")
