"""What a paper says of a study: the methods with their settings, and the table of comparisons.

    summaries/methods.md    both, in English
    summaries/table.csv     the table

Every number is read from the tables' own metadata: what is told is what was done.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.comparisons import STUDY, read_conditions
from pipeline.errors import InputError
from pipeline.spreadsheet import write_rows
from pipeline.summaries import read_sessions
from pipeline.timeline import atomic, read_metadata, timeline_path, understood, written_sessions

NOT_ENOUGH = "not enough data to compare"

_COLUMNS = (
    *("reading", "measure", "condition", "reference", "patients", "sessions", "reference sessions"),
    *("coverage", "mean (95 % CI)", "reference mean (95 % CI)", "difference (95 % CI)"),
    *("Hedges' g (95 % CI)", "p", "p (Holm)", "note"),
)


def write_methods(out: Path) -> tuple[str, ...]:
    """Both files, from the tables in the folder.

    :returns: the paragraphs.
    :raises TimelineError: ``summaries/`` was not made, or is damaged.
    :raises InputError: there is no timeline any more.
    :raises OutputError: a file can't be written.
    """
    told, rows = methods(out), paper_table(out)
    write_rows(out / "summaries" / "table.csv", _COLUMNS, rows)
    with atomic(out / "summaries" / "methods.md") as partial:
        partial.write_text("\n\n".join(["## Methods", *told, "## Results", _markdown(rows)]) + "\n", "utf-8")
    return told


def methods(out: Path) -> tuple[str, ...]:
    """Paragraphs, one for each step that was done."""
    folder = out / "summaries"
    sessions = read_sessions(out)
    told = [_reading(out), _episodes(folder / "sessions.parquet", sessions)]
    for name, tell in (("conditions", _comparisons), ("events", _events), ("scales", _scales)):
        path = folder / f"{name}.parquet"
        if path.exists():
            metadata = read_metadata(path)
            with understood(path):
                told.append(tell(metadata["settings"]))
    return (*told, _LIMITS)


def paper_table(out: Path) -> list[dict[str, str]]:
    """The study's comparisons, as text."""
    found = read_conditions(out).filter(patient_id=STUDY)
    return [_row(row) for row in found.iter_rows(named=True)]


# --- paragraphs


def _reading(out: Path) -> str:
    ids = written_sessions(out)
    if not ids:
        raise InputError(f"{out}: no timeline in this folder; run `emonext process` with --out {out} first.")
    patients = len({patient for patient, _ in ids})
    used = set()
    for both in ids:
        path = timeline_path(out, *both)
        metadata = read_metadata(path)
        with understood(path):
            weights, settings = metadata["weights"], metadata["settings"]
            used.add(
                (
                    f"{weights['name']} (sha256 {weights['sha256'][:12]}…)",
                    f"{settings['sample_fps']:g}",
                    metadata["software_version"],
                )
            )
    weights_used, rates, versions = (_listed(sorted(set(each))) for each in zip(*used, strict=True))
    return (
        f"{_count(len(ids), 'video session')} of {_count(patients, 'patient')} were read with Emonext Care "
        f"(version {versions}) at {rates} images per second. In each image faces were found and followed, "
        f"and an EmoNeXt classifier (El Boudouri & Bohi 2023), weights {weights_used}, gave the "
        "probabilities of seven facial expressions (angry, disgust, fear, happy, sad, surprise, neutral) "
        "of the patient's face. Images in which the patient's face could not be read count as unobserved; "
        "all shares are of the observed time. Happy counts as positive; angry, disgust, fear and sad as "
        "negative; valence is the probability of happy less the largest negative one."
    )


def _episodes(path: Path, sessions: pl.DataFrame) -> str:
    metadata = read_metadata(path)
    with understood(path):
        settings = metadata["settings"]
        episodes = settings["episodes"]
        enough = int(sessions["enough"].sum())
        own = int(sessions.filter("corrected")["patient_id"].n_unique())
        return (
            f"Sessions of which at least {_percent(settings['min_coverage'])} and "
            f"{settings['min_observed_s']:g} s were observed were evaluated ({enough} of {len(sessions)}). "
            f"Probabilities were averaged over a moving window of {episodes['smoothing_s']:g} s; an "
            f"episode begins where a smoothed probability reaches {episodes['enter']:g} and ends where it "
            f"falls below {episodes['leave']:g} or another reaches {episodes['enter']:g}. Interruptions of "
            f"up to {episodes['bridge_s']:g} s were bridged, episodes shorter than "
            f"{episodes['min_duration_s']:g} s left out, and none continued over more than "
            f"{episodes['max_unobserved_s']:g} s of unobserved time. Intervals of a session's numbers come "
            "from a circular block bootstrap (Politis & Romano 1992). Beside these raw numbers stand "
            f"corrected ones of the {_count(own, 'patient')} with at least {settings['min_rest_s']:g} s of "
            f"observed time in sessions of the condition “{settings['baseline_condition']}”: there the "
            "logits by which the patient's own median face in these sessions differs from an average "
            "neutral one were taken off. The two are reported apart."
        )


def _comparisons(settings: Mapping[str, Any]) -> str:
    measures = _listed([f"{measure} {of}".strip() for measure, of in settings["measures"]])
    return (
        f"Each condition was compared with “{settings['reference']}” on session-level measures "
        f"({measures}) by a linear mixed model (restricted maximum likelihood, statsmodels) with condition "
        "as fixed effect, a random intercept and a random effect of condition for each patient, and "
        "residual variances inversely proportional to the session's coverage; intervals use Student's t "
        "with as many degrees of freedom as there were patients, less one. Sessions of patients with at "
        f"least {settings['min_sessions']} sessions of both conditions entered, from "
        f"{settings['min_patients']} patients on. Effect sizes are Hedges' g in residual standard "
        "deviations (Hedges & Olkin 1985). P-values are two-sided and come from permutation of the "
        "conditions among each patient's sessions, of all arrangements where there were at most "
        f"{settings['permutations']:,}, otherwise of so many drawn (Phipson & Smyth 2010; seed "
        f"{settings['seed']}); they were corrected for all measures and conditions by Holm's method, for "
        "raw and corrected readings separately. The test takes a patient's sessions as exchangeable where "
        "nothing differs: where conditions followed one another in blocks, time may be what differs. "
        "Change per week was estimated in the same way, with condition as a further fixed effect, and "
        "tested by permutation of the dates among each patient's sessions of one condition. Single "
        "patients' comparisons use a weighted linear model and are descriptive."
    )


def _events(settings: Mapping[str, Any]) -> str:
    return (
        f"Expression around events was averaged from {settings['before_s']:g} s before to "
        f"{settings['after_s']:g} s after, in steps of {settings['bin_s']:g} s; a step counts where at "
        f"least {_percent(settings['min_observed'])} of it was observed. Each event was compared with up "
        f"to {settings['matched']} moments drawn at random from the same session (where it had none, from "
        "the same patient's sessions of the same condition) around which no event was near. Intervals "
        f"come from {settings['resamples']:,} bootstrap resamples of whole patients, or of whole sessions "
        f"where there were fewer than {settings['clusters']} patients, with percentiles widened for the "
        f"number of clusters (Hesterberg 2015; seed {settings['seed']}). Steps were not corrected for "
        "their number."
    )


def _scales(settings: Mapping[str, Any]) -> str:
    return " ".join(_scale(scale) for scale in settings["scales"])


def _scale(scale: Mapping[str, Any]) -> str:
    items = _listed([f"{emotion} as {item}" for item, emotion in scale["items"].items()])
    bands = "; ".join(f"{band['score']} {band['words']}" for band in scale["bands"])
    missing = _listed(scale["not_assessed"])
    return (
        f"The {scale['name']} ({scale['source']}) was filled in by the program, not by a person, in "
        f"windows of {scale['window_s'] / 60:g} minutes: {items}. Durations of episodes were summed for "
        f"each window and rated {bands}; {scale['not_in_view']} not in view, where less than "
        f"{_percent(scale['min_coverage'])} of the window was observed. A window of which less than half "
        "was recorded was not rated." + (f" Not assessed: {missing}." if missing else "")
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
        "coverage": "" if row["coverage"] is None else _percent(row["coverage"]),
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
    # a condition is any text
    return "| " + " | ".join(cell.replace("\\", "\\\\").replace("|", "\\|") for cell in cells) + " |"


# --- words


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _percent(part: float) -> str:
    return f"{100 * part:.0f} %"


def _listed(texts: Sequence[str]) -> str:
    if len(texts) < 2:
        return "".join(texts)
    return f"{', '.join(texts[:-1])} and {texts[-1]}"
