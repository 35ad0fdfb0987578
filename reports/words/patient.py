"""Sentences about a patient over many sessions: plain words, no diagnosis, only what the data support."""

from collections.abc import Mapping

import pipeline.analysis.longitudinal as over_time
from pipeline.analysis.history_parts import Part
from pipeline.analysis.longitudinal import Difference, PatientHistory
from pipeline.analysis.summaries import CORRECTED, Number
from reports.words import dates
from reports.words import formatting as words
from reports.words.labels import condition_word
from reports.words.language import Language, marked

Differences = Mapping[str, Mapping[str, Difference]]

_DAYTIMES = {
    "morning": marked("morning"),
    "afternoon": marked("afternoon"),
    "evening": marked("evening"),
    "night": marked("night"),
}


def answer(history: PatientHistory, language: Language) -> str:
    """How many sessions, from when to when, and how much could be seen."""
    if not history.visits:
        return language.gettext("There is no session yet.")
    duration_s = sum(visit.duration_s for visit in history.visits)
    observed_s = sum(visit.observed_s for visit in history.visits)
    seen = language.gettext(
        "The face could be read for %(share)s of the time recorded.",
        share=words.share_text(observed_s, duration_s, language),
    )
    return f"{_how_many(history, language)} {seen}"


def _how_many(history: PatientHistory, language: Language) -> str:
    sessions = language.ngettext("%(count)s session", "%(count)s sessions", len(history.visits))
    days = [visit.recorded_at for visit in history.visits if visit.recorded_at is not None]
    if not days:
        return language.gettext("%(sessions)s.", sessions=sessions)
    first, last = min(days), max(days)
    if len(days) < len(history.visits):
        return language.ngettext(
            "%(sessions)s; the date of %(count)s is known.",
            "%(sessions)s; the dates of %(count)s are known.",
            len(days),
            sessions=sessions,
        )
    if first.date() == last.date():
        return language.gettext("%(sessions)s on %(day)s.", sessions=sessions, day=language.date(first))
    return language.gettext(
        "%(sessions)s from %(first)s to %(last)s.",
        sessions=sessions,
        first=language.long_date(first),
        last=language.long_date(last),
    )


def findings(history: PatientHistory, differences: Differences, language: Language) -> list[tuple[str, str]]:
    """A title and a sentence or two each.

    :param differences: of conditions, as :func:`pipeline.analysis.longitudinal.against_reference` gives them.
    """
    if not history.seen and all(2 * visit.observed_s >= visit.duration_s for visit in history.visits):
        text = language.gettext(
            "The recordings are short: in no session was the face read long enough to say how the expression "
            "looked."
        )
        return [(language.gettext("Read too little"), text)]
    if not history.seen:
        text = language.gettext(
            "In no session was the face read enough to say how the expression looked. "
            "Where the camera stands and how light the room is matter most."
        )
        return [(language.gettext("Read too little"), text)]
    found = [(language.gettext("As a rule"), _usual(history, language))]
    found.append((language.gettext("Lately"), _lately(history, language)))
    for name, of in differences.items():
        label = words.sentence(condition_label(name, history.reference, language))
        if history.reading == CORRECTED:
            label = language.gettext("%(kind)s (as it was read)", kind=label)
        found.append((label, _condition(of, language)))
    few = [
        condition_label(name, history.reference, language)
        for name in over_time.underpowered_conditions(history)
    ]
    if few:
        text = language.gettext(
            "There are too few sessions yet to say what was different: at least %(least)s of a kind and "
            "%(least)s calm ones are needed.",
            least=over_time.MIN_OF_KIND,
        )
        found.append((words.sentence(language.listed(few)), text))
    found.append((language.gettext("Days and times"), _days_and_times(history, language)))
    return found


def _usual(history: PatientHistory, language: Language) -> str:
    means = {
        of: over_time.mean_of(over_time.shares_of(history.seen, of))
        for of in ("positive", "neutral", "negative")
    }
    shares = {of: words.share_text(mean.value, 1, language) for of, mean in means.items() if mean is not None}
    said = language.ngettext(
        "In the one session in which the face could be read long enough, it looked positive for "
        "%(positive)s of the time read, neutral for %(neutral)s and negative for %(negative)s.",
        "Over the %(count)s sessions in which the face could be read long enough, it looked positive for "
        "%(positive)s of the time read, neutral for %(neutral)s and negative for %(negative)s.",
        len(history.seen),
        **{of: shares.get(of, "–") for of in ("positive", "neutral", "negative")},
    )
    left_out = len(history.visits) - len(history.seen)
    if not left_out:
        return said
    return f"{said} " + language.ngettext(
        "In %(count)s other session it was read too little to say.",
        "In %(count)s other sessions it was read too little to say.",
        left_out,
    )


def _lately(history: PatientHistory, language: Language) -> str:
    found = over_time.recent_change(history)
    if found is None:
        return language.gettext(
            "There are too few sessions yet to compare the last ones with those before: at least %(least)s "
            "with a date are needed.",
            least=over_time.MIN_RECENT + over_time.MIN_EARLIER,
        )
    visits, differences = found
    changed = [(of, difference) for of, difference in differences.items() if difference.direction]
    last = language.ngettext("In the last %(count)s session", "In the last %(count)s sessions", len(visits))
    if not changed:
        return language.gettext(
            "%(last)s no clear difference from the sessions before could be made out; with so few sessions a "
            "real one can be missed.",
            last=last,
        )
    return " ".join(_changed(last, of, difference, language) for of, difference in changed)


def _changed(last: str, of: str, difference: Difference, language: Language) -> str:
    texts = {
        ("positive", 1): language.gettext(
            "%(last)s the face looked positive more often than before.", last=last
        ),
        ("positive", -1): language.gettext(
            "%(last)s the face looked positive less often than before.", last=last
        ),
        ("neutral", 1): language.gettext(
            "%(last)s the face looked neutral more often than before.", last=last
        ),
        ("neutral", -1): language.gettext(
            "%(last)s the face looked neutral less often than before.", last=last
        ),
        ("negative", 1): language.gettext(
            "%(last)s the face looked negative more often than before.", last=last
        ),
        ("negative", -1): language.gettext(
            "%(last)s the face looked negative less often than before.", last=last
        ),
    }
    share = language.gettext("(%(now)s of the time read, against %(then)s)", **_from_to(difference, language))
    said = texts[of, difference.direction]
    return f"{said[:-1]} {share}."


def _from_to(difference: Difference, language: Language) -> dict[str, str]:
    return {
        "now": words.share_text(difference.first, 1, language),
        "then": words.share_text(difference.second, 1, language),
    }


def _condition(differences: Mapping[str, Difference], language: Language) -> str:
    """What was different from the calm sessions, and how sure that is."""
    said = []
    for of, difference in differences.items():
        values = _from_to(difference, language)
        if of == "positive":
            here, there = map(language.number, difference.counts)
            text = language.gettext(
                "The face looked positive for %(now)s of the time read, against %(then)s in the calm "
                "sessions (%(here)s sessions against %(there)s).",
                **values,
                here=here,
                there=there,
            )
        else:
            text = language.gettext("It looked negative for %(now)s, against %(then)s.", **values)
        said.append(f"{text} {_surely(difference, language)}" if difference.direction else text)
    if not any(difference.direction for difference in differences.values()):
        said.append(language.gettext("Chance alone can make such differences."))
    elif not all(difference.direction for difference in differences.values()):
        said.append(language.gettext("The other difference can be chance."))
    return " ".join(said)


def _surely(difference: Difference, language: Language) -> str:
    low, high = sorted(100 * abs(end or 0) for end in (difference.value.low, difference.value.high))
    digits = 0 if low >= 1 else 1
    return language.gettext(
        "That is more than chance usually makes: likely a difference of %(low)s to %(high)s percentage "
        "points.",
        low=language.number(low, digits),
        high=language.number(high, digits),
    )


def _days_and_times(history: PatientHistory, language: Language) -> str:
    found = over_time.good_times(history)
    if not found:
        return language.gettext(
            "There are too few sessions yet to say whether some times of day or days of the week are better: "
            "at least %(least)s at that time and %(least)s at others are needed.",
            least=over_time.MIN_IN_SLOT,
        )
    good = [_time_text(name, language) for name, difference in found.items() if difference.direction > 0]
    hard = [_time_text(name, language) for name, difference in found.items() if difference.direction < 0]
    said = []
    if good:
        said.append(
            language.gettext(
                "The face looked more positive than at other times: %(when)s.", when=language.listed(good)
            )
        )
    if hard:
        said.append(
            language.gettext(
                "The face looked less positive than at other times: %(when)s.", when=language.listed(hard)
            )
        )
    return " ".join(said) or language.gettext(
        "No time of day and no day of the week stands out by more than chance would make."
    )


def _time_text(name: str | int, language: Language) -> str:
    return daytime_text(name, language) if isinstance(name, str) else dates.weekday(name, language)


def daytime_text(name: str, language: Language) -> str:
    """``morning``."""
    return language.word(_DAYTIMES[name])


def condition_label(name: str, reference: str, language: Language) -> str:
    """A condition as it is shown where it is known in which one the patient was calm."""
    if name == reference:
        return language.gettext("calm (%(name)s)", name=condition_word(name, language))
    return condition_word(name, language)


def part_label(kind: str, part: Part, language: Language) -> str:
    """A session, week or month as the table beside a picture calls it."""
    recorded_at = part.first.recorded_at
    if kind == "session" or recorded_at is None:
        return part.first.session_id
    if kind == "month":
        return dates.month(recorded_at, language)
    return language.gettext("week of %(day)s", day=language.short_date(recorded_at))


def balance_text(number: Number | None, language: Language) -> str:
    """``+0.2 (0.1 to 0.3)``."""
    if number is None:
        return "–"
    value = words.signed(number.value, 2, language)
    if number.low is None or number.high is None:
        return value
    low, high = words.signed(number.low, 2, language), words.signed(number.high, 2, language)
    return language.gettext("%(value)s (%(low)s to %(high)s)", value=value, low=low, high=high)


def with_interval(number: Number | None, language: Language) -> str:
    """A share: ``24 % (18 to 30)``."""
    if number is None:
        return "–"
    value = words.share_text(min(max(number.value, 0), 1), 1, language)
    if number.low is None or number.high is None:
        return value
    low, high = (language.number(100 * min(max(end, 0), 1)) for end in (number.low, number.high))
    return language.gettext("%(value)s (%(low)s to %(high)s)", value=value, low=low, high=high)
