"""Two trials of the command line itself, with real clips and weights; some minutes, so not part of pytest.

``study``: 40 short sessions, 8 of them bad, end as they should; again does nothing; mended does the one.
``kills``: a run whose processes are all killed at random moments leaves a folder that can be read, and ends
with the tables of a run that nothing disturbed.

Example: python tests/manual/trial_study.py --work /tmp/trial
"""

import argparse
import csv
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))  # it is run as a script

from trial_cases import AGAIN_S, CLIPS, ROOT, Case, cases, shots, two_seated
from videos import encode, remux

from pipeline.store.status import read_status
from pipeline.store.timeline import Timeline, read_faces, read_timeline

KILLS = 10


def write_study(work: Path) -> tuple[list[Case], Path]:
    """Makes the videos, and their list. Each case is a patient of its own: several show the same person."""
    planned = cases(work)
    path = work / "recordings" / "sessions.csv"
    columns = ["patient_id", "session_id", "video", "start_s", "end_s", "exclude"]
    columns += ["patient_face", "patient_region", "consent"]
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, columns)
        rows.writeheader()
        for number, case in enumerate(planned):
            patient, session = ids(number)
            made = case.make(path.parent, f"{patient}_{session}")
            for place, video in enumerate(made if isinstance(made, list) else [made]):
                row = {"patient_id": patient, "session_id": session, "consent": "yes"}
                says = case.says if place == 0 else {}
                rows.writerow(row | {"video": str(video.relative_to(path.parent))} | says)
    return planned, path


def ids(number: int) -> tuple[str, str]:
    return f"P{number + 1:03}", "S01"


FAULTLESS = "P2,S1,sources/plain.mp4,,,,,,yes"


# What `study check` and `process` refuse before anything starts, and a part of what they say.
REFUSED = {
    "video that is not there": ("P1,S1,gone.mp4,,,,,,yes", "is not there"),
    "photo that is not there": ("P1,S2,sources/plain.mp4,,,,gone.png,,yes", "is not there"),
    "photo of another kind": ("P1,S3,sources/plain.mp4,,,,sources/plain.mp4,,yes", "is no picture"),
    "end before start": ("P1,S4,sources/plain.mp4,2,1,,,,yes", "is not after start_s"),
    "region beyond the picture": ('P1,S5,sources/plain.mp4,,,,,"0,0,120,100",yes', "none above 100 %"),
    "no word on consent": ("P1,S6,sources/plain.mp4,,,,,,", "write yes or no"),
    "an id that is a path": ("../P1,S7,sources/plain.mp4,,,,,,yes", "not a usable id"),
    "a session's file a second time": ("P2,S1,sources/plain.mp4,,,,,,yes", "has this file already"),
}


def try_study(work: Path) -> None:
    planned, listed = write_study(work)
    out = work / "study"
    refused = listed.with_name("refused.csv")
    header = listed.read_text(encoding="utf-8").splitlines()[0]
    refused.write_text(
        "\n".join([header, FAULTLESS, *(line for line, _ in REFUSED.values()), ""]), encoding="utf-8"
    )
    check, process = emonext("study", "check", refused), emonext("process", refused, "--out", out)
    assert check.code == process.code == 2, (check, process)
    assert refusals(check) == refusals(process), (check, process)
    for number, (what, (_, expected)) in enumerate(REFUSED.items(), 3):
        for ended in (check, process):
            said = [line for line in ended.said.splitlines() if f"row {number}," in line]
            assert any(expected in line for line in said), (what, ended.said)
        print(f"refused before anything starts: {what}")
    assert not out.exists()
    checked = emonext("study", "check", listed)
    assert checked.code == 2, "it opens the files, and eight of them are bad"
    assert "Consent: no 1, yes 39" in checked.said, checked

    first = emonext("process", listed, "--out", out)
    print(f"first run: {first}")
    rows = {(row["patient_id"], row["session_id"]): row for row in read_status(out).to_dicts()}
    wrong = [
        (*ids(number), case.what, row["state"], row["reason"])
        for number, case in enumerate(planned)
        if not as_planned(case, row := rows[ids(number)])
    ]
    for number, case in enumerate(planned):
        row = rows[ids(number)]
        seen = "–" if row["coverage"] is None else f"{row['coverage']:.0%}"
        print(f"{' '.join(ids(number))}  {case.what:32}{row['state']:9}{seen:>5}  {row['reason']}")
    assert not wrong, wrong
    assert first.code == 1, first
    assert "28 done, 2 to check, 2 partial, 7 failed, 0 skipped, 1 without consent" in first.said, first
    for number, case in enumerate(planned):
        if case.side:
            assert side_of(out, *ids(number)) == case.side, case

    before, index = stamps(out), out / "reports" / "index.html"
    indexed_ns = index.stat().st_mtime_ns
    again = emonext("process", listed, "--out", out)
    print(f"again: {again}")
    assert again.code == 1, again
    assert "0 done, 0 to check, 0 partial, 7 failed, 32 skipped, 1 without consent" in again.said, again
    assert stamps(out) == before, "nothing was made anew"
    assert index.stat().st_mtime_ns == indexed_ns, "nor were pages"

    bad = next(number for number, case in enumerate(planned) if case.what == "empty file")
    shutil.copyfile(listed.parent / "sources/plain.mp4", listed.parent / f"{'_'.join(ids(bad))}.mp4")
    mended = emonext("process", listed, "--out", out)
    print(f"one file mended: {mended}")
    assert mended.code == 1, mended
    assert "1 done, 0 to check, 0 partial, 6 failed, 32 skipped, 1 without consent" in mended.said, mended
    changed = {path for path, stamp in stamps(out).items() if before.get(path) != stamp}
    patient, session = ids(bad)
    kinds = ("timelines", "faces")
    expected = {f"{kind}/patient_id={patient}/{session}.parquet" for kind in kinds}
    assert changed == expected | {f"logs/{patient}/{session}.log"}, changed
    # of a processor: how long it takes on a busy machine says nothing of the program
    assert again.cpu_s < AGAIN_S, f"doing nothing took {again.cpu_s:.1f} s of a processor"


def refusals(ended: "Ended") -> list[str]:
    """The faults of a list that a command names, without warnings."""
    return [line for line in ended.said.splitlines() if ": row " in line and "Warning" not in line]


def as_planned(case: Case, row: Mapping[str, Any]) -> bool:
    said = row["reason"] == case.reason if case.state == "failed" else case.reason in row["reason"]
    return row["state"] == case.state and said


def side_of(out: Path, patient: str, session: str) -> str:
    """Where in the picture the patient's face is, over the session."""
    timeline = read_timeline(out / "timelines" / f"patient_id={patient}" / f"{session}.parquet")
    middle = timeline.rows.select((pl.col("x1") + pl.col("x2")).median() / 2).item()
    return "left" if middle < timeline.metadata["video"]["width"] / 2 else "right"


def stamps(out: Path) -> dict[str, int]:
    """When each file that belongs to one session was written."""
    kinds = ("timelines", "faces", "logs")
    files = [path for kind in kinds for path in (out / kind).rglob("*") if path.is_file()]
    return {str(path.relative_to(out)): path.stat().st_mtime_ns for path in files}


# --- kills


def try_kills(work: Path, seed: int) -> None:
    recordings = work / "visits"
    recordings.mkdir(parents=True)
    once = encode(work / "loop.mp4", shots("gesture_720p.mp4", count=195, size=(320, 180)))
    remux(once, recordings / "P1_S1.mp4", seconds=420, copies=60)
    encode(recordings / "P1_S2.mp4", shots("single_face.mp4", count=72, size=(320, 180)))
    encode(recordings / "P2_S1.mp4", two_seated())
    encode(recordings / "P2_S2.mp4", shots("asl_please.mkv", size=(320, 240)))
    command = ["process", str(recordings), "--fps", "2", "--out"]

    whole = emonext(*command, work / "undisturbed", watch=work / "undisturbed")
    print(f"undisturbed: {whole}; at work after {whole.work_after_s:.1f} s")
    assert whole.code == 1, whole  # two people in one session, and in two of one patient
    wanted = tables(work / "undisturbed")
    assert len(wanted) == 8, list(wanted)

    moments = np.random.default_rng(seed)
    kills, folder = 0, 1
    while kills < KILLS:
        out = work / f"disturbed{folder}"
        # most from the beginning of the work on: a busy machine may take long to get there
        at_work = moments.uniform() < 0.8
        most_s = whole.took_s - whole.work_after_s if at_work else whole.work_after_s
        after_s = float(moments.uniform(0, most_s))
        ended = emonext(*command, out, kill_after_s=after_s, watch=out if at_work else None)
        if ended.code == -signal.SIGKILL:
            kills += 1
            when = f"{after_s:4.1f} s of {'work' if at_work else 'start'} ({ended.took_s:4.1f} s in all)"
            print(f"kill {kills:2} in folder {folder} after {when}: {what_is_there(out)}")
        else:  # it was done before: what killed runs left is complete, and the next begins anew
            compare(out, ended, wanted)
            folder += 1
    out = work / f"disturbed{folder}"
    if out.exists():
        compare(out, emonext(*command, out), wanted)


def what_is_there(out: Path) -> str:
    """In words.

    :raises Exception: something in the folder can't be read.
    """
    if not (out / ".lock").exists():
        return "no folder yet" if not out.exists() else "an empty folder"
    for path in out.rglob("*.parquet"):
        pl.read_parquet(path, glob=False, hive_partitioning=False)
    tables(out)
    kept = list((out / ".unfinished").rglob("*.npz"))
    for path in kept:
        with np.load(path) as columns:
            assert len(columns["sample"]), path
    table = emonext("status", out)
    assert table.code == 0, table
    assert "running" not in table.said, table
    log = emonext("audit", "verify", out)
    assert log.code == 0, log
    states = Counter("interrupted" if s == "running" else s for s in read_status(out)["state"])
    parts = [f"{count} {state}" for state, count in sorted(states.items())]
    parts += [f"{len(list(out.glob('timelines/*/*.parquet')))} timelines", f"{len(kept)} stretches"]
    parts += [f"{len(list(out.rglob('*.partial')))} half-written"]
    parts += [f"{len(list(out.glob('reports/**/*.html')))} pages"]
    return ", ".join(parts)


def tables(out: Path) -> dict[str, Timeline]:
    """Every timeline and table of faces that is there."""
    readers = {"timelines": read_timeline, "faces": read_faces}
    found = [(kind, path) for kind in readers for path in sorted((out / kind).rglob("*.parquet"))]
    return {str(path.relative_to(out)): readers[kind](path) for kind, path in found}


def compare(out: Path, ended: "Ended", wanted: Mapping[str, Timeline]) -> None:
    """Whether the folder ended as the undisturbed one: rows to the bit, and metadata but for the date."""
    assert ended.code == 1, ended
    found = tables(out)
    assert found.keys() == wanted.keys(), (found.keys(), wanted.keys())
    for name, timeline in wanted.items():
        assert found[name].rows.equals(timeline.rows, null_equal=True), f"{out}: {name} differs"
        assert undated(found[name]) == undated(timeline), f"{out}: {name}: the metadata differ"
    # the two sessions of P1 show two people
    assert Counter(read_status(out)["state"]) == {"done": 1, "to_check": 3}, read_status(out)
    assert not list(out.rglob("*.partial")), "what killed runs had begun to write is gone"
    assert not (out / ".unfinished").exists()
    assert (out / "reports" / "index.html").is_file()
    print(
        f"{out.name} was run to its end ({ended.took_s:.1f} s): {len(found)} tables, equal to the undisturbed"
    )


def undated(timeline: Timeline) -> str:
    return json.dumps({name: value for name, value in timeline.metadata.items() if name != "created_at"})


# --- the command


@dataclass(frozen=True)
class Ended:
    """How a command ended; below 0 is the signal that it got.

    :param cpu_s: of all its processes; those of a killed one's workers are not known.
    :param work_after_s: when the first session was at work; only where that was watched.
    """

    code: int
    took_s: float
    cpu_s: float
    said: str
    work_after_s: float = 0.0

    def __str__(self) -> str:
        last = self.said.strip().splitlines()[-1:]
        took = f"{self.took_s:.1f} s ({self.cpu_s:.1f} s of processors)"
        return f"exit code {self.code}, {took}, load {os.getloadavg()[0]:.1f}: {' '.join(last)}"


def emonext(*arguments: object, kill_after_s: float | None = None, watch: Path | None = None) -> Ended:
    """The command in a process group of its own.

    :param kill_after_s: then the whole group gets SIGKILL, as in a power cut.
    :param watch: its folder: the time counts from when a session is at work in it, else from the start.
    """
    started, started_ns, before_s = time.monotonic(), time.time_ns(), children_s()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "cli.py"), *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    while watch and process.poll() is None and not is_at_work(watch, started_ns):
        time.sleep(0.02)
    work_after_s = time.monotonic() - started
    try:
        said, _ = process.communicate(timeout=kill_after_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
    took_s = time.monotonic() - started
    return Ended(process.returncode, took_s, children_s() - before_s, said, work_after_s)


def children_s() -> float:
    """Processor time of all commands so far that were waited for, s."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def is_at_work(out: Path, since_ns: int) -> bool:
    """Whether a run that began then processes a session; what an earlier one left does not count."""
    status = out / "status.parquet"
    changed = status.exists() and status.stat().st_mtime_ns > since_ns
    return changed and "running" in read_status(out)["state"].to_list()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="a folder to work in, new or empty")
    parser.add_argument("--only", choices=("study", "kills"), help="one of the two trials")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    given = parser.parse_args()
    if not CLIPS.is_dir():
        parser.error(f"{CLIPS}: not found; the trials are made from these clips")
    if given.work.exists() and any(given.work.iterdir()):
        parser.error(f"--work {given.work}: is not empty")
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    given.work.mkdir(parents=True, exist_ok=True)
    work = given.work.resolve()
    if given.only != "kills":
        try_study(work)
    if given.only != "study":
        try_kills(work, given.seed)


if __name__ == "__main__":
    main()
