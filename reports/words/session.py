"""A session in plain words: observed expressions, their times, and differences from the patient's other
sessions.

Plain text: templates must escape it. Never a diagnosis.
"""

from collections.abc import Sequence

from pipeline.analysis.highlights import Moment
from pipeline.analysis.session_results import SessionFacts, Unusual
from pipeline.analysis.summaries import has_time
from pipeline.records import NEGATIVE
from pipeline.store.coverage import Span
from reports.session_data import SessionMaterial
from reports.words import formatting as words
from reports.words.dates import Clock, clock_of
from reports.words.labels import EMOTION_ORDER, EMOTION_WORDS, in_words
from reports.words.language import Language, marked

MOMENTS_TOLD = 5
"""So many are named in the first lines; the list further down has more."""

HAPPY_MOMENTS = marked("Moments that looked happy")
NEGATIVE_MOMENTS = marked("Moments that looked sad, afraid, angry or disgusted")

_ALMOST_ALL = 0.99

# Shorter rest is not told in the first lines, s; of more stretches than these, the longest are told.
_LEAST_REST_S, _RESTS_TOLD = 10.0, 3


def answer(material: SessionMaterial, language: Language) -> str:
    """The session in one or two sentences; before them, whether it is the patient at all."""
    patient = material.timeline.metadata["patient"]
    named = {"patient": material.summary.patient_id}
    if not patient["tracks"]:
        empty = _APPROVED_EMPTY if patient["identity"] == "confirmed" else _EMPTY
        return f"{language.gettext(empty)} {_read(material, language)}"
    if patient["track"] is None and patient["identity"] == "confirmed":
        return language.gettext(_ABSENT, **named)
    if patient["track"] is None:
        return language.gettext(_NOBODY, **named)
    if patient["identity"] == "to_check" and material.is_unclear:
        return language.gettext(_UNSURE_EMPTY, **named)
    read = _read(material, language)
    if patient["identity"] == "hardly_seen":
        return f"{read} {language.gettext(_HARDLY)}"
    return f"{language.gettext(_UNSURE, **named)} {read}" if patient["identity"] == "to_check" else read


_UNSURE = marked(
    "It is not certain that this is %(patient)s: please look at the recording before you use what follows."
)
_UNSURE_EMPTY = marked(
    "It is not certain that this is %(patient)s: please look at the recording. No expression was counted."
)
_NOBODY = marked(
    "It is not certain who %(patient)s is in this recording, so no expression was counted: "
    "please look at the recording."
)
_HARDLY = marked("Please check that it is the right recording.")
_EMPTY = marked("No face was found in this recording: please check that it is the right one.")
_APPROVED_EMPTY = marked("No face was found in this recording; a person has approved it.")
_ABSENT = marked("Somebody who looked at this recording did not find %(patient)s in it.")


def _read(material: SessionMaterial, language: Language) -> str:
    """What could be read, how the expression looked, and how long the eyes were closed."""
    said = _seen(material, language)
    rested_s = material.summary.status_s["eyes_shut"]
    if rested_s < _LEAST_REST_S:
        return said
    rested = words.seconds_text(rested_s, language)
    closed = language.gettext("The eyes were closed for %(rested)s (asleep or resting).", rested=rested)
    return f"{said} {closed}"


def _seen(material: SessionMaterial, language: Language) -> str:
    summary = material.summary
    nothing, never, seldom, enough = _SEEN_OF_PART if material.left_out else _SEEN_OF_ALL
    recorded = words.seconds_text(summary.duration_s, language)
    if summary.observed_s == 0:
        return language.gettext(nothing if summary.resting else never, recorded=recorded)
    share = words.share_text(summary.observed_s, summary.duration_s, language)
    seen = f"{words.seconds_text(summary.observed_s, language)} ({share})"
    if not material.enough and 2 * summary.observed_s >= summary.duration_s:
        return language.gettext(
            "The recording is short: the face could be read for %(seen)s. "
            "This is too little to say how the expression looked.",
            seen=seen,
        )
    if not material.enough:
        return language.gettext(seldom, recorded=recorded, seen=seen)
    return f"{language.gettext(enough, recorded=recorded, seen=seen)} {_looked(material, language)}"


_SEEN_OF_ALL = (
    marked("In the %(recorded)s recorded, no expression could be read."),
    marked(
        "In the %(recorded)s recorded, the face could not be read at any time, "
        "so nothing can be said about the expression."
    ),
    marked(
        "Of the %(recorded)s recorded, the face could be read for only %(seen)s. "
        "It was read too little to say how the expression looked."
    ),
    marked("Of the %(recorded)s recorded, the face could be read for %(seen)s."),
)
_SEEN_OF_PART = (
    marked("In the %(recorded)s that count, no expression could be read."),
    marked(
        "In the %(recorded)s that count, the face could not be read at any time, "
        "so nothing can be said about the expression."
    ),
    marked(
        "Of the %(recorded)s that count, the face could be read for only %(seen)s. "
        "It was read too little to say how the expression looked."
    ),
    marked("Of the %(recorded)s that count, the face could be read for %(seen)s."),
)
"""The same where some of the recording is left out."""


def _looked(material: SessionMaterial, language: Language) -> str:
    observed_s, groups_s = material.summary.observed_s, _groups_s(material)
    ranked = sorted(groups_s, key=lambda group: -groups_s[group])
    first, others = ranked[0], [group for group in ranked[1:] if groups_s[group] >= 1]
    values = {
        "emotion": _group_word(first, material, language),
        "share": words.share_text(groups_s[first], observed_s, language),
    }
    if not others and groups_s[first] >= observed_s:
        said = language.gettext("%(emotion)s all the time (%(share)s)", **values)
    elif not others:
        said = language.gettext("%(emotion)s nearly all the time (%(share)s)", **values)
    elif groups_s[first] > observed_s / 2:
        said = language.gettext("%(emotion)s most of the time (%(share)s)", **values)
    else:
        said = language.gettext("%(emotion)s more than anything else (%(share)s)", **values)
    parts = [said]
    for group in others:
        look, lasted = _group_word(group, material, language), words.seconds_text(groups_s[group], language)
        parts.append(language.gettext("%(emotion)s for %(lasted)s", emotion=look, lasted=lasted))
    how = language.listed(parts)
    if material.facts is not None and material.facts.is_corrected:
        return language.gettext(
            "In that time, compared with this person’s own calm face, the expression looked %(how)s.", how=how
        )
    return language.gettext("In that time the expression looked %(how)s.", how=how)


def _groups_s(material: SessionMaterial) -> dict[str, float]:
    """Seconds of what people agree on best: happy, neutral, surprised, and the negative ones together."""
    emotion_s = material.emotion_s
    single = {name: emotion_s[name] for name in EMOTION_ORDER if name not in NEGATIVE}
    return single | {"negative": sum(emotion_s[name] for name in NEGATIVE)}


def _group_word(group: str, material: SessionMaterial, language: Language) -> str:
    looks, emotion_s = in_words(EMOTION_WORDS, language), material.emotion_s
    if group != "negative":
        return looks[group]
    most = max(NEGATIVE, key=lambda name: emotion_s[name])
    if emotion_s[most] >= _ALMOST_ALL * sum(emotion_s[name] for name in NEGATIVE):
        return looks[most]
    return language.gettext("negative (most often %(emotion)s)", emotion=looks[most])


# --- the first lines


def in_short(material: SessionMaterial, language: Language) -> list[tuple[str, str]]:
    """What a carer would ask first, and the answers."""
    facts, tell = material.facts, _clock(material, language)
    resting = _resting(material, tell)
    told = [(language.gettext("Closed eyes"), resting)] if resting else []
    if facts is None or not material.summary.observed_s:
        return told
    enough = material.enough
    if facts.good or enough:
        told.append((language.word(HAPPY_MOMENTS), _good(facts.good, tell)))
    if facts.hard or enough:
        told.append((language.word(NEGATIVE_MOMENTS), _hard(facts.hard, tell)))
    if not enough:
        return told
    if depends_on_speech(material):
        told.append((language.gettext("Speech"), without_speech(material, language)))
    told.append((language.gettext("Different from usual"), _different(facts, language)))
    if facts.still:
        told.append((language.gettext("Little expression"), language.gettext(_STILL)))
    return told


def without_speech(material: SessionMaterial, language: Language) -> str:
    """How the shares change without the time in which the person spoke or chewed; empty if they do not."""
    changes = _changes(material)
    told = [
        language.gettext(
            "%(emotion)s %(without)s instead of %(all)s",
            emotion=language.word(_GROUPS[of]),
            without=words.share_text(without, 1.0, language),
            all=words.share_text(whole, 1.0, language),
        )
        for of, (whole, without) in changes.items()
        if abs(whole - without) >= _TOLD_CHANGE
    ]
    if not told:
        return ""
    summary = material.summary
    spoke = words.seconds_text((summary.speaking_s or 0.0) + (summary.chewing_s or 0.0), language)
    return language.gettext(
        "The person spoke or chewed for %(spoke)s, and both move the face too. Without that time: "
        "%(shares)s.",
        spoke=spoke,
        shares=language.listed(told),
    )


def depends_on_speech(material: SessionMaterial) -> bool:
    """Whether a share changes much without the time in which the person spoke or chewed."""
    return any(abs(whole - without) >= _MUCH_CHANGE for whole, without in _changes(material).values())


def _changes(material: SessionMaterial) -> dict[str, tuple[float, float]]:
    """Share of each group of expressions, of all time read and of that without speech and chewing."""
    facts = material.facts
    if facts is None:
        return {}
    keys = {of: [(facts.reading, name, of) for name in ("share", "share_without_speech")] for of in _GROUPS}
    known = {of: both for of, both in keys.items() if all(key in facts.numbers for key in both)}
    return {of: (facts.numbers[all_].value, facts.numbers[rest].value) for of, (all_, rest) in known.items()}


_GROUPS = {
    "positive": marked("happy"),
    "neutral": marked("neutral"),
    "negative": marked("negative"),
    "surprise": marked("surprised"),
}

# Changes of a share that are told, and that are told in the first lines.
_TOLD_CHANGE, _MUCH_CHANGE = 0.01, 0.10


def _clock(material: SessionMaterial, language: Language) -> Clock:
    """One for all first lines: no time is that of two different things."""
    facts = material.facts
    told = [*_clearest(facts.good), *_clearest(facts.hard)] if facts else []
    moments = [(moment.emotion, moment.start_s) for moment in told]
    rests = [(span, edge_s) for span in _told_rests(material) for edge_s in (span.start_s, span.end_s)]
    return clock_of([*moments, *rests], material.recorded_at, language)


def _long_rests(material: SessionMaterial) -> list[Span]:
    return [span for span in material.summary.resting if span.end_s - span.start_s >= _LEAST_REST_S]


def _told_rests(material: SessionMaterial) -> list[Span]:
    """The longest, in order of time."""
    longest = sorted(_long_rests(material), key=lambda span: span.start_s - span.end_s)[:_RESTS_TOLD]
    return sorted(longest, key=lambda span: span.start_s)


def _resting(material: SessionMaterial, tell: Clock) -> str:
    """``Asleep or resting from 14:05 to 14:20 and from 14:31 to 14:32.``; empty without long rest."""
    rests, language = _told_rests(material), tell.language
    if not rests:
        return ""
    times = language.listed([_from_to(span, tell) for span in rests])
    said = language.gettext("Asleep or resting %(times)s.", times=times)
    if len(rests) == len(_long_rests(material)):
        return said
    more = language.gettext("There were other, shorter times.")
    return f"{said} {more}"


def _from_to(span: Span, tell: Clock) -> str:
    start, end = tell(span.start_s), tell(span.end_s)
    if start == end:
        return tell.language.gettext("around %(time)s", time=start)
    return tell.language.gettext("from %(start)s to %(end)s", start=start, end=end)


_STILL = marked(
    "The face looked neutral for nearly all of the time in which it could be read. There can be many "
    "reasons, and a face that shows little says little about how somebody feels."
)


def _good(moments: Sequence[Moment], tell: Clock) -> str:
    language = tell.language
    if not moments:
        return language.gettext(
            "No moment looked happy long and clearly enough to stand out in the time in which the face "
            "could be read."
        )
    return language.gettext("The expression looked %(how)s.", how=_by_emotion(moments, tell))


def _hard(moments: Sequence[Moment], tell: Clock) -> str:
    language = tell.language
    if not moments:
        return language.gettext(
            "No moment looked sad, afraid, angry or disgusted long and clearly enough to stand out in the "
            "time in which the face could be read."
        )
    return language.gettext("The expression looked %(how)s.", how=_by_emotion(moments, tell))


def _clearest(moments: Sequence[Moment]) -> list[Moment]:
    return sorted(moments, key=lambda moment: -moment.clearness)[:MOMENTS_TOLD]


def _by_emotion(moments: Sequence[Moment], tell: Clock) -> str:
    """``sad around 14:03 and 14:20, and angry around 14:07``: of the clearest few."""
    language = tell.language
    looks = in_words(EMOTION_WORDS, language)
    parts = []
    for name in EMOTION_ORDER:
        at = sorted(moment.start_s for moment in _clearest(moments) if moment.emotion == name)
        if not at:
            continue
        times = language.listed(list(dict.fromkeys(map(tell, at))))
        if not has_time(tell.recorded_at):
            said = language.gettext("%(emotion)s at %(times)s of the video", emotion=looks[name], times=times)
        elif tell.unit == "minute":
            said = language.gettext("%(emotion)s around %(times)s", emotion=looks[name], times=times)
        else:
            said = language.gettext("%(emotion)s at %(times)s", emotion=looks[name], times=times)
        parts.append(said)
    return language.listed(parts)


_MORE = {
    "positive": marked("The expression looked happy more than usual: %(share)s of the time read."),
    "negative": marked(
        "The expression looked sad, afraid, angry or disgusted more than usual: %(share)s of the time read."
    ),
    "": marked("The face looked other than neutral more than usual: in %(share)s of the time read."),
}
_LESS = {
    "positive": marked("The expression looked happy less than usual: %(share)s of the time read."),
    "negative": marked(
        "The expression looked sad, afraid, angry or disgusted less than usual: %(share)s of the time read."
    ),
    "": marked("The face looked other than neutral less than usual: in %(share)s of the time read."),
}


def _different(facts: SessionFacts, language: Language) -> str:
    if not facts.can_compare:
        return language.gettext(
            "Not known yet: there are too few other sessions of this person to compare with."
        )
    others = language.ngettext("%(count)s other session", "%(count)s other sessions", facts.others)
    if not facts.unusual:
        return language.gettext("Nothing stood out beside this person’s %(others)s.", others=others)
    return " ".join(_unusual(one, others, language) for one in facts.unusual)


def _unusual(one: Unusual, others: str, language: Language) -> str:
    said = (_MORE if one.value > one.high else _LESS)[one.of]
    low, high, share = (words.share_text(part, 1.0, language) for part in (one.low, one.high, one.value))
    usually = language.gettext(
        "After this person’s %(others)s one would expect %(low)s to %(high)s.",
        others=others,
        low=low,
        high=high,
    )
    return f"{language.gettext(said, share=share)} {usually}"
