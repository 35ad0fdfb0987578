"""Write a paper's methods paragraphs with all settings, and its table of comparisons.

    summaries/methods.md    both, in English
    summaries/table.csv     the table

Every number comes from the tables' metadata, so that the text states the settings in use.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.analysis.baseline_correction import MOST_SHIFT, SMALLEST
from pipeline.analysis.summaries import read_sessions
from pipeline.errors import InputError
from pipeline.robustness.covariate_words import covariate_methods
from pipeline.robustness.missing_compared import missing_methods
from pipeline.robustness.multiverse import read_multiverse
from pipeline.robustness.multiverse_results import multiverse_methods
from pipeline.stats.block_bootstrap import BLOCKS
from pipeline.store.counts import number_of, percent
from pipeline.store.files import atomic
from pipeline.store.parquet import malformed_as_timeline_error, read_metadata
from pipeline.store.paths import timeline_path
from pipeline.store.spreadsheet import Cell, Decimal, read_decimal, write_rows
from pipeline.store.timeline import no_timeline, written_sessions
from pipeline.study.adaptation_text import adaptation_paragraph
from pipeline.study.comparison_tables import STUDY, read_conditions, read_trends
from pipeline.study.plan_text import MARKS, plan_paragraph
from pipeline.study.planned import read_planned

NOT_ENOUGH = "not enough data to compare"

_COLUMNS = (
    *("reading", "measure", "condition", "reference", "patients", "sessions", "reference sessions"),
    *("coverage", "mean (95 % CI)", "reference mean (95 % CI)", "difference (95 % CI)"),
    *("Hedges' g (95 % CI)", "p", "p (Holm)", "planned", "note"),
)

_WORDS = ("reading", "measure", "condition", "reference", "planned", "note")
"""Columns without numbers."""


def write_methods(out: Path) -> tuple[str, ...]:
    """Write both files from the tables in the folder.

    :returns: the paragraphs.
    :raises TimelineError: ``summaries/`` is missing or damaged.
    :raises InputError: there is no timeline.
    :raises OutputError: a file can't be written.
    """
    told, rows = methods(out), paper_table(out)
    write_paper_table(out)
    with atomic(out / "summaries" / "methods.md") as partial:
        partial.write_text("\n\n".join(["## Methods", *told, "## Results", _markdown(rows)]) + "\n", "utf-8")
    return told


def methods(out: Path) -> tuple[str, ...]:
    """The paragraphs, one per step of the analysis."""
    folder = out / "summaries"
    sessions = read_sessions(out)
    path = folder / "sessions.parquet"
    told = [_reading(out), _episodes(path, sessions)]
    told += adaptation_paragraph(out, read_metadata(path)["settings"])
    paragraphs = (
        ("conditions", partial(_comparisons, out)),
        ("missing", missing_methods),
        ("covariates", partial(covariate_methods, out)),
        ("multiverse", lambda settings: multiverse_methods(read_multiverse(out), settings)),
        ("events", _events),
        ("scales", _scales),
    )
    for name, tell in paragraphs:
        path = folder / f"{name}.parquet"
        if path.exists():
            metadata = read_metadata(path)
            with malformed_as_timeline_error(path):
                told.append(tell(metadata["settings"]))
            if name == "conditions":
                told.append(plan_paragraph(read_planned(out)))
    return (*told, _LIMITS)


def write_paper_table(out: Path) -> None:
    """Write ``summaries/table.csv`` with the folder's decimal mark; errors as :func:`write_methods`."""
    decimal = read_decimal(out)
    rows = ({name: _cell(name, text, decimal) for name, text in row.items()} for row in paper_table(out))
    write_rows(out / "summaries" / "table.csv", _COLUMNS, rows, decimal)


def _cell(name: str, text: str, decimal: Decimal) -> Cell:
    """A count or a p is a number; other texts hold numbers too, except words."""
    if name in _WORDS:
        return text
    with suppress(ValueError):
        return float(text)
    return re.sub(r"(?<=\d)\.(?=\d)", ",", text) if decimal == "comma" else text


def paper_table(out: Path) -> list[dict[str, str]]:
    """The study's comparisons as a table of text."""
    found, planned = read_conditions(out).filter(patient_id=STUDY), read_planned(out)
    return [_row(row) | {"planned": MARKS[planned.mark(row)]} for row in found.iter_rows(named=True)]


# --- paragraphs


def _reading(out: Path) -> str:
    ids = written_sessions(out)
    if not ids:
        raise InputError(no_timeline(out))
    patients = len({patient for patient, _ in ids})
    used = set()
    for both in ids:
        path = timeline_path(out, *both)
        metadata = read_metadata(path)
        with malformed_as_timeline_error(path):
            weights, settings = metadata["weights"], metadata["settings"]
            used.add(
                (
                    f"{weights['name']} (sha256 {weights['sha256'][:12]}…)",
                    f"{settings['sample_fps']:g}",
                    metadata["software_version"],
                )
            )
    sessions = f"{number_of(len(ids), 'video session')} of {number_of(patients, 'patient')}"
    weights_used, rates, versions = (_listed(sorted(set(each))) for each in zip(*used, strict=True))
    images = "image" if rates == "1" else "images"
    return (
        f"{sessions} {'was' if len(ids) == 1 else 'were'} read with Emonext Care (version {versions}) at "
        f"{rates} {images} per second. In each image faces were found and followed, and an EmoNeXt "
        f"classifier (El Boudouri & Bohi 2023), weights {weights_used}, gave the probabilities of seven "
        "facial expressions (angry, disgust, fear, happy, sad, surprise, neutral) of the "
        "patient's face. Images in which the patient's face could not be read count as unobserved; "
        "all shares are of the observed time. Happy counts as positive; angry, disgust, fear and sad as "
        "negative; valence is the probability of happy less the largest negative one."
    )


def _episodes(path: Path, sessions: pl.DataFrame) -> str:
    metadata = read_metadata(path)
    with malformed_as_timeline_error(path):
        settings = metadata["settings"]
        episodes = settings["episodes"]
        enough = int(sessions["enough"].sum())
        return (
            f"Sessions of which at least {percent(settings['min_coverage'])} and "
            f"{settings['min_observed_s']:g} s were observed were evaluated ({enough} of {len(sessions)}). "
            f"Probabilities were averaged over a moving window of {episodes['smoothing_s']:g} s; an "
            f"episode begins where a smoothed probability reaches {episodes['enter']:g} and ends where it "
            f"falls below {episodes['leave']:g} or another reaches {episodes['enter']:g}. Interruptions of "
            f"up to {episodes['bridge_s']:g} s were bridged, each begin and end was moved to the step of the "
            f"unsmoothed probability within {episodes['smoothing_s'] / 2:g} s of it, episodes shorter than "
            f"{episodes['min_duration_s']:g} s left out, and none continued over more than "
            f"{episodes['max_unobserved_s']:g} s of unobserved time. {_INTERVALS} "
            + _own_baseline(settings, int(sessions.filter("corrected")["patient_id"].n_unique()))
        )


_INTERVALS = (
    "Intervals within a session allow for autocorrelation: standard errors are those of a circular block "
    f"bootstrap (Politis & Romano 1992), computed in closed form, with blocks of 1/{BLOCKS} of the samples. "
    f"Intervals of means are Student's with {BLOCKS - 1} degrees of freedom (Kiefer & Vogelsang 2005), of "
    "rates the same on a logarithmic scale and never narrower than a Poisson process's; of shares they are "
    "Clopper & Pearson's for an effective number of observations (Korn & Graubard 1998)."
)


def _own_baseline(settings: Mapping[str, Any], patients: int) -> str:
    condition, least = settings["baseline_condition"], f"{settings['min_rest_s']:g} s"
    if not patients:
        return (
            f"No patient had {least} of observed time in sessions of the condition “{condition}”, so that no "
            "reading was corrected by a patient's own calm face."
        )
    return (
        f"Beside these raw numbers stand corrected ones of the {number_of(patients, 'patient')} with at "
        f"least {least} of observed time in sessions of the condition “{condition}”: what the patient's own "
        "median face in these sessions differs by from an average neutral one was taken off the logits, at "
        f"most {MOST_SHIFT:g} from each, with probabilities below {SMALLEST:g} taken as {SMALLEST:g}. The "
        "two are reported apart."
    )


def _comparisons(out: Path, settings: Mapping[str, Any]) -> str:
    conditions, trends = read_conditions(out), read_trends(out)
    measures = _listed([f"{measure} {of}".strip() for measure, of in settings["measures"]])
    compared, not_compared = _outcome(conditions, "difference")
    followed, not_followed = _outcome(trends, "per_week")
    told = [f"The session-level measures were {measures}."]
    readings = "the raw and the adapted reading" if settings["adaptation_sha256"] else "the raw reading"
    if compared:
        told.append(
            f"Conditions were compared with “{settings['reference']}”, in {readings} only, because the "
            "corrected one is made from the reference's own sessions. Sessions of patients with at least "
            f"{settings['min_sessions']} sessions of both conditions entered, from "
            f"{settings['min_patients']} patients on."
        )
        if (conditions["measure"] == "share_without_speech").any():
            told.append(
                "The shares were also compared, without a test, leaving out the time in which the patient "
                "spoke or chewed."
            )
        told.append("Coverage was compared in the same way, of all sessions and without a test.")
    else:
        told.append(f"No comparison of conditions over patients was possible: {not_compared}.")
    if followed:
        told.append(
            "Change per week was estimated in each reading, with condition as a further fixed effect, from "
            f"sessions of patients with at least {2 * settings['min_sessions']} dated ones over a week or "
            f"longer, from {settings['min_patients']} patients on."
        )
    else:
        told.append(f"No estimate of change per week over patients was possible: {not_followed}.")
    if compared or followed:
        told.append(_mixed_model(settings, compared, followed))
    if _of_patients(conditions, "difference") or _of_patients(trends, "per_week"):
        told.append("Single patients were compared by weighted least squares; this is descriptive.")
    return " ".join(told)


def _outcome(rows: pl.DataFrame, number: str) -> tuple[bool, str]:
    """Whether the study has a result; if not, the most common reason."""
    of_study = rows.filter(patient_id=STUDY)
    if of_study[number].count():
        return True, ""
    return False, str(of_study["reason"].mode().sort()[0])


def _of_patients(rows: pl.DataFrame, number: str) -> bool:
    return bool(rows.filter(pl.col("patient_id") != STUDY)[number].count())


def _mixed_model(settings: Mapping[str, Any], compared: bool, followed: bool) -> str:
    conditions = ("condition", "the conditions among each patient's sessions", "conditions")
    weeks = ("week", "the dates among each patient's sessions of one condition", "weeks in each reading")
    effects, permuted, tested = zip(*[conditions] * compared + [weeks] * followed, strict=True)
    effect = " or ".join(effects)
    told = (
        "Models were linear mixed ones (restricted maximum likelihood, statsmodels) with "
        f"{effect} as fixed effect, for each patient a random intercept and a random effect of {effect}, and "
        "residual variances inversely proportional to the share of the session in which an expression was "
        "read; intervals use Student's t with "
        "as many degrees of freedom as there were patients, less one. P-values are two-sided and come from "
        f"permutation of {_listed(permuted)}, of all arrangements where there were at most "
        f"{settings['permutations']:,}, otherwise of so many drawn (Phipson & Smyth 2010; seed "
        f"{settings['seed']}), with Holm's correction for all tests of {' and for all of '.join(tested)}."
    )
    if compared:
        told += (
            " Effect sizes are Hedges' g in residual standard deviations (Hedges & Olkin 1985). The test of "
            "conditions takes a patient's sessions as exchangeable where nothing differs: where conditions "
            "followed one another in blocks, time may be what differs."
        )
    return told


def _events(settings: Mapping[str, Any]) -> str:
    return (
        f"Expression around events, in the raw reading only, was averaged from {settings['before_s']:g} s "
        f"before to {settings['after_s']:g} s after, in steps of {settings['bin_s']:g} s; a step counts "
        f"where at least {percent(settings['min_observed'])} of it was observed. Each event was compared "
        f"with up to {number_of(settings['matched'], 'moment')} drawn at random (with a seed of the event's "
        "own) from the same session (where it had none, from the same patient's sessions of the same "
        "condition) around which no event was near; averages are of the events that have such moments, "
        "where there are any. Intervals come from "
        f"{settings['resamples']:,} bootstrap resamples of whole patients, or where there were fewer than "
        f"{settings['clusters']} of whole sessions, or with fewer of these are not given; percentiles were "
        f"widened for the number of clusters (Hesterberg 2015; seed {settings['seed']}). Steps were not "
        "corrected for their number."
    )


def _scales(settings: Mapping[str, Any]) -> str:
    return " ".join(_scale(scale) for scale in settings["scales"])


def _scale(scale: Mapping[str, Any]) -> str:
    items = _listed([f"{emotion} as {item}" for item, emotion in scale["items"].items()])
    bands = "; ".join(f"{band['score']} {band['words']}" for band in scale["bands"])
    missing, minutes = _listed(scale["not_assessed"]), scale["window_s"] / 60
    proxy = scale.get("eyes_open", "")
    return (
        f"The {scale['name']} ({scale['source']}) was filled in by the program, not by a person, in "
        f"windows of {minutes:g} {'minute' if minutes == 1 else 'minutes'}: {items}. Durations of episodes "
        f"were summed for each reading and window and rated {bands}; the code {scale['not_in_view']}, not in "
        f"view, stands where less than {percent(scale['min_coverage'])} of the window was observed. A "
        "window of which less than half was recorded was not rated."
        + (f" Not assessed: {missing}." if missing else "")
        + (f" The time with open eyes stood for {proxy}, of which it is one sign." if proxy else "")
    )


_LIMITS = (
    "All numbers are automated estimates of what a face shows, not of what a person feels. The classifier "
    "has not been validated on people with dementia, and published systems read old faces less well than "
    "young ones."
)


# --- the table


def _row(row: Mapping[str, Any]) -> dict[str, str]:
    in_percent = row["unit"] == "%"
    digits, unit, points = (1, " %", " percentage points") if in_percent else (3, "", "")
    return {
        "reading": row["reading"],
        "measure": f"{row['measure']} {row['of']}".strip(),
        "condition": row["condition"],
        "reference": row["reference"],
        "patients": str(row["patients"]),
        "sessions": str(row["sessions"]),
        "reference sessions": str(row["sessions_reference"]),
        "coverage": "" if row["coverage"] is None else percent(row["coverage"]),
        "mean (95 % CI)": _interval(row, "mean", digits, unit),
        "reference mean (95 % CI)": _interval(row, "mean_reference", digits, unit),
        "difference (95 % CI)": _interval(row, "difference", digits, points),
        "Hedges' g (95 % CI)": _interval(row, "effect", 2, ""),
        "p": _p(row["p"]),
        "p (Holm)": _p(row["p_holm"]),
        "note": _note(row),
    }


def _note(row: Mapping[str, Any]) -> str:
    if row["reason"]:
        return f"{NOT_ENOUGH}: {row['reason']}"
    return "conditions followed one another in blocks" if row["in_blocks"] else ""


def _interval(row: Mapping[str, Any], name: str, digits: int, unit: str) -> str:
    three = [row[name + end] for end in ("", "_low", "_high")]
    if None in three:
        return ""
    value, low, high = (f"{number:.{digits}f}".replace("-", "−") for number in three)
    return f"{value}{unit} ({low} to {high})"


def _p(p: float | None) -> str:
    if p is None:
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _markdown(rows: Sequence[Mapping[str, str]]) -> str:
    lines = [_line(_COLUMNS), _line(["---"] * len(_COLUMNS))]
    return "\n".join(lines + [_line([row[name] for name in _COLUMNS]) for row in rows])


def _line(cells: Sequence[str]) -> str:
    # a condition may hold any character
    return "| " + " | ".join(cell.replace("\\", "\\\\").replace("|", "\\|") for cell in cells) + " |"


# --- words


def _listed(texts: Sequence[str]) -> str:
    if len(texts) < 2:
        return "".join(texts)
    return f"{', '.join(texts[:-1])} and {texts[-1]}"
