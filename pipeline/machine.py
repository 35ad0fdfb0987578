"""What the machine says of a session, in the ways in which it is compared with people."""

from pathlib import Path

import polars as pl

from pipeline.episodes import EpisodeSettings, find_episodes, observed
from pipeline.seconds import Read, Reader, by_episodes, by_samples
from pipeline.timeline import Timeline, as_frame, read_table


def machine_reads(out: Path, ids: tuple[str, str], timeline: Timeline) -> dict[Reader, Read]:
    """By samples and by episodes."""
    found = {Reader("machine", "samples", "raw"): by_samples(timeline)}
    for reading, episodes in episodes_of(out, ids, timeline).items():
        name = "machine, episodes" if reading == "raw" else f"machine, {reading}, episodes"
        found[Reader(name, "episodes", reading)] = by_episodes(episodes, timeline)
    return found


def episodes_of(out: Path, ids: tuple[str, str], timeline: Timeline) -> dict[str, pl.DataFrame]:
    """By reading: those that were written, else as they would be with the usual settings."""
    path = out / "episodes" / f"patient_id={ids[0]}" / f"{ids[1]}.parquet"
    if path.exists():
        rows = as_frame(read_table(path)).with_columns(pl.col("reading", "emotion").cast(pl.String))
        return {reading: rows.filter(reading=reading) for reading in sorted(set(rows["reading"]) | {"raw"})}
    found = find_episodes(observed(timeline), EpisodeSettings())
    columns = {
        name: [getattr(one, name) for one in found]
        for name in ("emotion", "start_s", "end_s", "peak_s", "observed_s", "mean_p", "peak_p")
    }
    return {"raw": pl.DataFrame(columns, schema_overrides={"emotion": pl.String})}
