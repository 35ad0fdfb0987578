"""The answers of the reporting checklist; ``None`` where the folder does not show the fact."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import polars as pl

from pipeline.records import UNSURE
from pipeline.results.checklist_facts import Facts, ModelCard
from pipeline.store.counts import number_of, percent
from pipeline.study.plan_text import plan_paragraph

_WITHOUT_CONSENT = ("no_consent", "withdrawn")


def dates(facts: Facts) -> str | None:
    days = facts.sessions["recorded_at"].drop_nulls()
    if not len(days):
        return None
    first, last = (day.date().isoformat() for day in (days.min(), days.max()))  # type: ignore[union-attr]
    return f"From {first} to {last}; {len(days)} of {_sessions(len(facts.sessions))} have a date."


def stages(facts: Facts) -> str:
    sessions = facts.sessions
    told = (
        f"{_sessions(len(sessions))} of {_patients(sessions)} have results; {int(sessions['enough'].sum())} "
        f"of them, of {_patients(sessions.filter('enough'))}, had enough coverage for numbers."
    )
    if facts.states is None:
        return f"{told} How many others were given to the program is not known: status.parquet is lost."
    return f"{told} All sessions given to the program: {_counts(facts.states)}."


def left_out(facts: Facts) -> str:
    few = len(facts.sessions) - int(facts.sessions["enough"].sum())
    told = f"Too little coverage for numbers: {_sessions(few)}."
    if facts.states is None:
        return f"{told} Sessions without results are not known: status.parquet is lost."
    others = {
        state: count
        for state, count in facts.states.items()
        if state in ("failed", "waiting", "running", *_WITHOUT_CONSENT)
    }
    return f"{told} Without results: {_counts(others) if others else 'none'}."


def conditions(facts: Facts) -> str | None:
    """Sessions and patients of each."""
    by = facts.sessions.group_by("condition").agg(pl.len(), pl.col("patient_id").n_unique().alias("patients"))
    named = by.filter(pl.col("condition") != "").sort("condition")
    if not len(named):
        return None
    told = [
        f"“{name}”: {_sessions(count)} of {number_of(patients, 'patient')}"
        for name, count, patients in named.iter_rows()
    ]
    without = int(by.filter(condition="")["len"].sum())
    return "; ".join([*told, *([f"without a condition: {_sessions(without)}"] if without else [])]) + "."


def coverage(facts: Facts) -> str:
    sessions = facts.sessions
    recorded, read = float(sessions["duration_s"].sum()), float(sessions["observed_s"].sum())
    told = f"{recorded / 3600:.1f} h recorded; the expression was read in {read / 3600:.1f} h."
    if not len(sessions):
        return told
    shares = [sessions["coverage"].quantile(q, "midpoint") for q in (0.5, 0.0, 1.0)]
    middle, lowest, highest = (percent(share or 0.0) for share in shares)
    return (
        f"{told} Coverage (face read, or eyes shut for long): median {middle}, lowest {lowest}, highest "
        f"{highest}."
    )


def missing_data(facts: Facts) -> str:
    analysis = facts.used.analysis
    few = len(facts.sessions) - int(facts.sessions["enough"].sum())
    told = (
        "Time without a readable face counts as unobserved, and shares are of the observed time; nothing is "
        f"imputed, but an episode may last over {analysis['episodes.max_unobserved_s']} s without a face. "
        f"Sessions with a coverage below {percent(float(analysis['min_coverage']))} or with less than "
        f"{analysis['min_observed_s']} s observed get no numbers ({_sessions(few)})."
    )
    seen = facts.comparisons.filter(measure="coverage")["difference"].count()
    if seen:
        told += f" Coverage itself was compared between conditions ({number_of(seen, 'comparison')})."
    return told


def identity(facts: Facts) -> str:
    known = {
        "confirmed": "confirmed by a person",
        "recognised": "recognised by the program, or the only person",
        "hardly_seen": "recognised by the program, but hardly seen (to check)",
        "to_check": "not certain (to check)",
        "unknown": "unknown",
    }
    counts = Counter(facts.sessions["identity"].to_list())
    return "; ".join(f"{words}: {_sessions(counts[name])}" for name, words in known.items()) + "."


# --- the model


def intended_use(_: Facts) -> str:
    return (
        "Estimates of what a face shows, for research on groups of sessions: not of what a person feels, no "
        "diagnosis, and no basis for a decision about one person's care. Accuracy on faces from the web does "
        "not show accuracy on people with dementia."
    )


def weights(facts: Facts) -> str:
    used = Counter((one["weights"]["name"], one["weights"]["sha256"]) for one in facts.timelines)
    told = [f"{name}, sha256 {sha256} ({_sessions(count)})" for (name, sha256), count in sorted(used.items())]
    return f"EmoNeXt (El Boudouri & Bohi 2023): {'; '.join(told)}."


def training_data(facts: Facts) -> str | None:
    """Of the cards; ``None`` if the card of any weights is not on this machine, or does not say."""
    return _of_cards(
        facts, lambda card: "" if card.data == "unknown" else f"{card.data}. Licence: {card.licence}"
    )


def accuracy(facts: Facts) -> str | None:
    def told(card: ModelCard) -> str:
        ends = ("_accuracy_mirrored", "_macro_f1", "_ece_cross_fitted")
        chosen = {name: value for name, value in card.metrics.items() if name.endswith(ends)} or card.metrics
        return ", ".join(f"{name} {value:.3f}" for name, value in sorted(chosen.items()))

    found = _of_cards(facts, told)
    return f"By the model card, not on this study's recordings: {found}" if found else None


def _of_cards(facts: Facts, tell: Callable[[ModelCard], str]) -> str | None:
    used = {one["weights"]["sha256"]: one["weights"]["name"] for one in facts.timelines}
    told = {name: tell(facts.cards[sha]) if sha in facts.cards else "" for sha, name in used.items()}
    if not told or not all(told.values()):
        return None
    return " ".join(f"{name}: {text}." for name, text in sorted(told.items()))


def settings(facts: Facts) -> str:
    values: dict[str, Counter[str]] = {}
    for one in facts.timelines:
        for name, value in _flat(one["settings"]):
            values.setdefault(name, Counter())[value] += 1
    return "; ".join(f"{name} {_values(found)}" for name, found in values.items()) + "."


def output(_: Facts) -> str:
    return (
        "For each sample, probabilities of angry, disgust, fear, happy, sad, surprise and neutral. Happy "
        "counts as positive; angry, disgust, fear and sad as negative; valence is the probability of happy "
        "less the largest negative one."
    )


def software(facts: Facts) -> str:
    versions = Counter(str(one["software_version"]) for one in facts.timelines)
    devices = Counter(str(one["device"]) for one in facts.timelines)
    return f"Emonext Care {_values(versions)}; device {_values(devices)}."


# --- validation


def validation(facts: Facts) -> str:
    if facts.agreement is None:
        return (
            "Not validated on this study's patients: this folder holds no comparison with raters "
            "(`emonext agree` makes one)."
        )
    told = [
        text
        for one in facts.agreement["comparisons"]
        if one["first"]["name"] == "machine" and one["first"]["kind"] == "samples"
        if one["first"]["reading"] == "raw" and (text := _kappa(one, facts))
    ]
    told += _clips(facts, lambda one: one["first"] == "machine")
    if not told:
        return "Not validated on this study's patients: the comparison with raters is of no expression."
    return f"{'; '.join(told)}.{_old(facts)}"


def between_raters(facts: Facts) -> str:
    if facts.agreement is None:
        return "Not known: this folder holds no comparison of raters."
    told = [
        text
        for one in facts.agreement["comparisons"]
        if one["first"]["kind"] == "person" and (text := _kappa(one, facts))
    ]
    told += _clips(facts, lambda one: not one["first"].startswith("machine"))
    if not told:
        return "Not known: no two raters judged expressions of the same session or clip."
    return f"{'; '.join(told)}.{_old(facts)}"


def raters(facts: Facts) -> str | None:
    if facts.agreement is None:
        return None
    told = [
        f"{_coder(one['rater'], facts)}: {one['rated_s']:,.0f} s of {_sessions(one['sessions'])} rated "
        f"({'stated' if one['is_stated'] else 'assumed from the first code to the last'})"
        for one in facts.agreement["rated"]
    ]
    told += [
        f"{_coder(one['rater'], facts)}: {one['clips']} of {one['asked']} clips"
        for one in (facts.agreement.get("clips") or {"raters": ()})["raters"]
    ]
    return f"{'; '.join(told)}.{_old(facts)}"


def _kappa(one: Mapping[str, Any], facts: Facts) -> str:
    """``machine and rater 1, positive, neutral and negative: kappa 0.71 (0.60 to 0.80), …``."""
    if one["level"] != "groups" or not one["seconds"]:
        return ""
    both = " and ".join(_coder(one[side]["name"], facts) for side in ("first", "second"))
    figure = one["kappa"]
    if figure["value"] is None:
        kappa = f"Cohen's kappa {figure['why']}"
    elif figure["low"] is None:
        kappa = (
            f"Cohen's kappa {figure['value']:.2f}, without an interval ({figure['why'] or 'too little data'})"
        )
    else:
        kappa = (
            f"Cohen's kappa {figure['value']:.2f} (95 % interval {figure['low']:.2f} to {figure['high']:.2f})"
        )
    labels = ", ".join(one["labels"])
    return f"{both}, labels {labels}: {kappa}, {one['seconds']:,.0f} s of {_sessions(one['sessions'])}"


def _clips(facts: Facts, is_wanted: Callable[[Mapping[str, Any]], bool]) -> Iterator[str]:
    """Of comparisons of clips that were drawn from the study, at the level of groups."""
    clips = (facts.agreement or {}).get("clips") or {"comparisons": ()}
    for one in clips["comparisons"]:
        if one["level"] == "groups" and is_wanted(one):
            both = " and ".join(_coder(one[side], facts) for side in ("first", "second"))
            value, low, high = (100 * one["same"][name] for name in ("value", "low", "high"))
            yield (
                f"{both}, {one['clips']} of {clips['drawn']} drawn clips of {clips['seconds']:g} s, weighted "
                "to all readable time: the same of positive, neutral, negative and surprise in "
                f"{value:.0f} % (95 % interval {low:.0f} to {high:.0f} %)"
            )


def _coder(name: str, facts: Facts) -> str:
    """Raters by number: their names may be those of people."""
    agreement = facts.agreement or {}
    judged = [one["rater"] for one in (agreement.get("clips") or {"raters": ()})["raters"]]
    people = list(dict.fromkeys([*agreement.get("people", ()), *judged]))
    return f"rater {people.index(name) + 1}" if name in people else name


def _old(facts: Facts) -> str:
    return " Timelines were written after this comparison: repeat it." if facts.is_agreement_old else ""


# --- analysis


def methods(facts: Facts) -> str | None:
    if not facts.has_methods:
        return None
    tests = facts.comparisons["p"].count() + facts.trends["p"].count()
    return f"summaries/methods.md has the paragraphs and settings; {number_of(tests, 'test')} over patients."


def planned(facts: Facts) -> str:
    return plan_paragraph(facts.planned)


def results(facts: Facts) -> str:
    rows = facts.comparisons
    found = rows["difference"].count()
    if not found:
        reasons = rows["reason"].mode().sort()
        why = f": {reasons[0]}" if len(reasons) and reasons[0] else ""
        return f"No comparison of conditions over patients was possible{why}."
    return (
        f"summaries/table.csv: {found} of {number_of(len(rows), 'comparison')} over patients with a "
        f"difference and its 95 % interval, {rows['p'].count()} of them with a test."
    )


def other_analyses(facts: Facts) -> str:
    weeks = facts.trends["per_week"].count()
    told = [f"{number_of(weeks, 'estimate')} of change per week" if weeks else "no change per week"]
    told.append("events (summaries/events.parquet)" if facts.has_events else "no events")
    told.append("scales (summaries/scales.parquet)" if facts.has_scales else "no scales")
    return f"In this folder: {'; '.join(told)}."


# --- ethics and privacy


def consent(facts: Facts) -> str | None:
    if facts.states is None:
        return None
    none, withdrawn = (facts.states.get(state, 0) for state in _WITHOUT_CONSENT)
    return (
        f"No consent by the list: {_sessions(none)}, whose recordings are not opened. Consent withdrawn "
        f"after processing: {_sessions(withdrawn)}, in no number here."
    )


def place(_: Facts) -> str:
    return (
        "No command that reads recordings or results opens a network connection, but `process --engine ray`, "
        "which reaches the machines of the own cluster; this folder does not show whether that was used, nor "
        "what people copied elsewhere."
    )


def pictures(facts: Facts) -> str:
    if not facts.pictures:
        return "None: no picture, video, page with pictures or table of face embeddings is in this folder."
    return (
        "This folder holds: "
        + "; ".join(number_of(count, kind, _PLURALS[kind]) for kind, count in sorted(facts.pictures.items()))
        + "."
    )


_PLURALS = {
    "picture or video": "pictures or videos",
    "page with pictures": "pages with pictures",
    "table of face embeddings": "tables of face embeddings (biometric data)",
}


def others(facts: Facts) -> str | None:
    stored = [one["settings"].get("score_everyone") for one in facts.timelines]
    if None in stored:
        return None
    everyone, unsure = sum(map(bool, stored)), int(facts.sessions["identity"].is_in(UNSURE).sum())
    return (
        f"Stored of everybody (--score-everyone): {_sessions(everyone)}. In the others only of the patient, "
        f"and of faces that may still be the patient's: {_sessions(unsure)} with an uncertain patient."
    )


def encryption(facts: Facts) -> str:
    told = f"{facts.encrypted} of {number_of(facts.tables, 'table')} encrypted (AES-256)."
    if facts.encrypted:
        told += " Pages, status, logs, exports and texts are not."
    return told


# --- words


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, str(value)


def _values(counts: Mapping[str, int]) -> str:
    """The value; several with the number of their sessions."""
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{value} ({_sessions(count)})" for value, count in sorted(counts.items()))


def _counts(states: Mapping[str, int]) -> str:
    return ", ".join(f"{state.replace('_', ' ')} {count}" for state, count in sorted(states.items()))


def _sessions(count: int) -> str:
    return number_of(count, "session")


def _patients(rows: pl.DataFrame) -> str:
    return number_of(rows["patient_id"].n_unique(), "patient")
