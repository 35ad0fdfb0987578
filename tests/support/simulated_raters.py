"""Clips drawn from a simulated study, and raters who code them; without the program's own code."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline.agreement.rated_clips import CLIPS_SCHEMA, RATED_COLUMNS, clips_path
from pipeline.records import EMOTIONS
from pipeline.store.parquet import write_table
from pipeline.store.spreadsheet import write_rows

CLIP_S, SESSION_S = 4.0, 600.0

Drawn = list[dict[str, Any]]


def draw_clips(out: Path, count: int, seed: int = 0, patients: Collection[str] = ()) -> Drawn:
    """A simple random sample of the study's clips, written as ``emonext rate`` writes it.

    :param patients: of these alone; by default, of all.
    """
    random = np.random.default_rng(seed)
    paths = sorted(out.glob("timelines/*/*.parquet"))
    paths = [path for path in paths if not patients or path.parent.name[11:] in patients]
    places = [(path, start) for path in paths for start in np.arange(0, SESSION_S, CLIP_S)]
    rows: Drawn = []
    for place in random.permutation(len(places)):
        path, start_s = places[place]
        inside = pl.read_parquet(path, columns=["time_s", *(f"p_{name}" for name in EMOTIONS)]).filter(
            (pl.col("time_s") >= start_s) & (pl.col("time_s") < start_s + CLIP_S)
        )
        p = inside.drop("time_s").drop_nulls().to_numpy()
        if len(p) < 10:
            continue
        answer = int(np.bincount(p.argmax(axis=1), minlength=7).argmax())
        rows.append(
            {
                "draw": "made",
                "clip": len(rows) + 1,
                "patient_id": path.parent.name.removeprefix("patient_id="),
                "session_id": path.stem,
                "condition": "",
                "start_s": float(start_s),
                "end_s": float(start_s + CLIP_S),
                "machine": EMOTIONS[answer],
                "certainty": float(p[:, answer].mean()),
                "weight": len(places) / count,
                "raters": ["anna"],
                "p": p.mean(axis=0),
            }
        )
        if len(rows) == count:
            break
    write_table(
        clips_path(out),
        pa.table({name: [row.get(name) for row in rows] for name in CLIPS_SCHEMA.names}, CLIPS_SCHEMA),
        {},
    )
    return rows


def shown_in(out: Path, clip: dict[str, Any]) -> str:
    """What the person truly shows for most of a clip; neutral where the truth names no episode."""
    truth = pl.read_csv(out / "truth" / "episodes.csv", separator=",").filter(
        patient_id=clip["patient_id"], session_id=clip["session_id"]
    )
    seconds = dict.fromkeys(EMOTIONS, 0.0)
    for code, start_s, end_s in truth.select("code", "start_s", "end_s").iter_rows():
        seconds[code] += max(0.0, min(end_s, clip["end_s"]) - max(start_s, clip["start_s"]))
    seconds["neutral"] += CLIP_S - sum(seconds.values())
    return max(seconds, key=seconds.__getitem__)


def write_answers(out: Path, clips: Drawn, codes: list[str], rater: str = "anna") -> Path:
    """As a rater's page saves them."""
    rows = [
        {
            **{name: str(clip[name]) for name in RATED_COLUMNS if name in clip},
            "rater": rater,
            "code": code,
            "saved_at": "2026-05-01T10:00:00",
        }
        for clip, code in zip(clips, codes, strict=True)
    ]
    return write_rows(out / "ratings" / f"{rater}_clips.csv", RATED_COLUMNS, rows)


def rate_as_the_machine_expects(out: Path, count: int = 60, seed: int = 0) -> Drawn:
    """Have clips rated by somebody for whom the machine is calibrated: answers have its probabilities."""
    random = np.random.default_rng(seed)
    clips = draw_clips(out, count, seed)
    write_answers(out, clips, [str(random.choice(EMOTIONS, p=clip["p"] / clip["p"].sum())) for clip in clips])
    return clips


def rate_truly(out: Path, count: int = 120, seed: int = 0, **choice: Any) -> Drawn:
    """Draw clips, and have them rated by somebody who sees the truth."""
    clips = draw_clips(out, count, seed, **choice)
    write_answers(out, clips, [shown_in(out, clip) for clip in clips])
    return clips
