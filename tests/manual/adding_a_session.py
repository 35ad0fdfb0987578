"""Measure what adding a session to a study costs, by its size: CPU time and memory of tables and pages.

Makes the tables and pages of simulated studies without one session; adds the session; does nothing; and makes
everything again, whose files must be the same. Draws a picture. 2,000 sessions take ten minutes and 2 GB of
disk; a study that is there already is used again.

Example: python tests/manual/adding_a_session.py --work /tmp/sizes --picture docs/images/scaling.png
"""

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from pipeline.checks.demo_study import SESSIONS, make_study, prepare_output
from pipeline.store.timeline import written_sessions

PATIENTS = (13, 63, 250)
"""Of the studies: 104, 504 and 2,000 sessions."""

MARK_S = 10.0

STEP = """
import json, sys, time
from pathlib import Path
from pipeline.results.derive import derive, update_derived
from reports import update_reports, write_reports
out, everything = Path(sys.argv[1]), sys.argv[2] == "everything"
begun = time.process_time()
(derive if everything else update_derived)(out)
tables = time.process_time()
(write_reports if everything else update_reports)(out)
print(json.dumps({"start": begun, "tables": tables - begun, "pages": time.process_time() - tables}))
"""

Step = Mapping[str, float]
"""CPU time of the program's start, tables and pages, s; and memory, GB."""


def run(out: Path, step: str) -> Step:
    """In a process of its own, on one core."""
    one_core = os.environ | {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    command = [sys.executable, "-c", STEP, str(out), step]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=one_core) as child:
        assert child.stdout is not None
        told = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{step}: ended with {child.returncode}")
    return {**json.loads(told), "memory": usage.ru_maxrss / 2**20}


def files(out: Path) -> dict[str, bytes]:
    """All derived files, but for stamps, which hold times; each page has a random nonce."""
    found = [*out.glob("summaries/*.*"), *out.glob("episodes/*/*"), *out.glob("reports/**/*.html")]
    return {
        str(path.relative_to(out)): re.sub(rb"nonce(-|=\W*)[\w-]{22}", b"", path.read_bytes())
        for path in found
        if path.name != "made.json"
    }


def measure(out: Path, patients: int) -> dict[str, Step]:
    if len(written_sessions(out)) != patients * SESSIONS:
        prepare_output(out)
        make_study(out, patients=patients)
    added = out / "timelines" / f"patient_id=P{patients // 2:02}" / "S04.parquet"
    aside, status = out / "aside.parquet", out / "status.parquet"
    added.rename(aside)
    os.utime(status)
    run(out, "before")
    aside.rename(added)
    os.utime(status)
    found = {"one session added": run(out, "added")}
    after = files(out)
    found["nothing changed"] = run(out, "nothing")
    found["everything"] = run(out, "everything")
    differing = [name for name, content in files(out).items() if after.get(name) != content]
    if differing or after.keys() != files(out).keys():
        raise SystemExit(f"{out}: other files than by making everything: {differing[:5]}")
    return found


def draw(sizes: Sequence[int], found: Sequence[Mapping[str, Step]], path: Path) -> None:
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    colours = {"everything": "#d55e00", "one session added": "#0072b2", "nothing changed": "#6b7780"}
    for name, colour in colours.items():
        seconds = [sum(of_size[name][part] for part in ("start", "tables", "pages")) for of_size in found]
        axes.plot(sizes, seconds, "o-", color=colour, label=name)
        for size, value in zip(sizes, seconds, strict=True):
            axes.annotate(f"{value:.1f}", (size, value), (0, 5), textcoords="offset points", ha="center")
    axes.axhline(MARK_S, color="#1d2b36", linestyle=":", linewidth=1, label=f"mark: {MARK_S:.0f} s")
    axes.set(xscale="log", yscale="log", xlabel="sessions of the study", ylabel="CPU time, s")
    axes.set(ylim=(0.5, 600), xlim=(80, 2600))
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes], minor=False)
    axes.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e3e7ea")
    axes.legend(frameon=False, loc="upper left", fontsize=8)
    figure.savefig(path, dpi=150)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--work", type=Path, required=True)
    options.add_argument("--patients", type=int, nargs="+", default=PATIENTS)
    options.add_argument("--picture", type=Path)
    chosen = options.parse_args()
    sizes, found = [SESSIONS * patients for patients in chosen.patients], []
    for size, patients in zip(sizes, chosen.patients, strict=True):
        found.append(measure(chosen.work / f"{size}", patients))
        (chosen.work / f"{size}.json").write_text(json.dumps(found[-1]))
        for name, step in found[-1].items():
            told = ", ".join(f"{part} {value:.2f}" for part, value in step.items())
            sys.stdout.write(f"{size} sessions, {name}: {told}\n")
    if chosen.picture:
        draw(sizes, found, chosen.picture)


if __name__ == "__main__":
    main()
