"""What the page of a study says of its adaptation to raters, and of shares adjusted for misreading."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.agreement.adjusted_shares import ALL, AdjustedShare
from pipeline.analysis.adaptation import Adaptation, PatientOffsets
from pipeline.stats.recalibration import HeldOutTest
from reports.words import formatting as words
from reports.words.labels import EMOTION_ORDER, EMOTION_WORDS, GROUP_WORDS
from reports.words.language import Language
from reports.words.reasons import result_reason


def adaptation_words(
    adaptation: Adaptation | None, adjusted: Sequence[AdjustedShare], language: Language
) -> Mapping[str, Any]:
    """The values of the section's template."""
    return {
        "tested": _tested(adaptation, language) if adaptation else "",
        "based_on": _based_on(adaptation, language) if adaptation else "",
        "own": _own(adaptation.own, adaptation.patients, language) if adaptation and adaptation.own else "",
        "patients": _patients(adaptation, language) if adaptation else [],
        "name": adaptation.name if adaptation else "",
        "temperature": language.number(adaptation.temperature, 2) if adaptation else "",
        "offsets": [
            (language.word(EMOTION_WORDS[name]), words.signed(adaptation.offsets[name], 2, language))
            for name in EMOTION_ORDER
        ]
        if adaptation
        else [],
        "adjusted": [_row(one, language) for one in adjusted],
    }


def _tested(one: Adaptation, language: Language) -> str:
    values = _changes(one.test, language)
    if one.unit == "patients":
        return language.gettext(
            "On patients that it had not seen, agreement with the raters went from %(before)s to %(after)s "
            "(%(difference)s percentage points, 95\u00a0%% interval %(low)s to %(high)s), and log loss from "
            "%(loss_before)s to %(loss_after)s (less is better).",
            **values,
        )
    return language.gettext(
        "On other sessions of the same patients, agreement with the raters went from %(before)s to %(after)s "
        "(%(difference)s percentage points, 95\u00a0%% interval %(low)s to %(high)s), and log loss from "
        "%(loss_before)s to %(loss_after)s (less is better). There were too few patients to leave one out.",
        **values,
    )


def _based_on(one: Adaptation, language: Language) -> str:
    return language.gettext(
        "Estimated from %(clips)s of %(patients)s, rated by %(raters)s.",
        clips=language.ngettext("%(count)s\u00a0clip", "%(count)s\u00a0clips", one.clips),
        patients=language.ngettext("%(count)s\u00a0patient", "%(count)s\u00a0patients", one.patients),
        raters=language.ngettext("%(count)s\u00a0rater", "%(count)s\u00a0raters", one.raters),
    )


def _own(own: PatientOffsets, patients: int, language: Language) -> str:
    values = _changes(own.test, language)
    if not own.patients:
        return language.gettext(
            "Offsets of single patients were tested too, and are not used: on sessions that they had not "
            "seen, they are no improvement beyond chance. Agreement went from %(before)s to %(after)s "
            "(%(difference)s percentage points, 95\u00a0%% interval %(low)s to %(high)s), and log loss from "
            "%(loss_before)s to %(loss_after)s (less is better).",
            **values,
        )
    return language.gettext(
        "For %(count)s of %(patients)s, own offsets on top of the study’s: on sessions that they had not "
        "seen, agreement went from %(before)s to %(after)s (%(difference)s percentage points, 95\u00a0%% "
        "interval %(low)s to %(high)s), and log loss from %(loss_before)s to %(loss_after)s (less is "
        "better). The fewer clips of a patient, the nearer these offsets are to 0.",
        count=len(own.patients),
        patients=language.ngettext("%(count)s\u00a0patient", "%(count)s\u00a0patients", patients),
        **values,
    )


def _patients(one: Adaptation, language: Language) -> list[dict[str, Any]]:
    """A row for each patient with own offsets, in the order of :data:`EMOTION_ORDER`."""
    return [
        {
            "patient": patient,
            "clips": own.clips,
            "offsets": [words.signed(own.offsets[name], 2, language) for name in EMOTION_ORDER],
        }
        for patient, own in sorted(one.own_patients.items())
    ]


def _changes(test: HeldOutTest, language: Language) -> dict[str, str]:
    agreement, loss = test.agreement, test.log_loss
    return {
        "before": words.share_text(agreement.before, 1, language),
        "after": words.share_text(agreement.after, 1, language),
        "difference": words.signed(100 * agreement.difference, 1, language),
        "low": words.signed(100 * agreement.low, 1, language),
        "high": words.signed(100 * agreement.high, 1, language),
        "loss_before": language.number(loss.before, 2),
        "loss_after": language.number(loss.after, 2),
    }


def _row(one: AdjustedShare, language: Language) -> dict[str, Any]:
    return {
        "condition": language.gettext("All sessions") if one.condition == ALL else one.condition,
        "of": language.word(GROUP_WORDS[one.of]),
        "clips": one.clips,
        "read": _share(one.read, one.read_low, one.read_high, language),
        "share": _share(one.share, one.low, one.high, language),
        "reason": result_reason(one.reason, language) if one.share is None else "",
    }


def _share(value: float | None, low: float | None, high: float | None, language: Language) -> str:
    if value is None or low is None or high is None:
        return "–"
    return language.gettext(
        "%(value)s (%(low)s to %(high)s)",
        value=words.share_text(value, 1, language),
        low=words.share_text(low, 1, language),
        high=words.share_text(high, 1, language),
    )
