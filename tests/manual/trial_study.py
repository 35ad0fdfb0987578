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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))  # it is run as a script

from videos import Pictures, cut_off, encode, remux, sound_only

from pipeline.store.status import read_status
from pipeline.store.timeline import Timeline, read_faces, read_timeline

ROOT = Path(__file__).parents[2]
CLIPS = ROOT.parent / "shared" / "videos"

SMALL = (480, 270)

# Of which share a region is, in % of the picture.
LEFT, RIGHT = "0,0,50,100", "50,0,100,100"

AGAIN_S = 5.0
KILLS = 10


# --- videos: all are made from the clips, small


def shots(
    name: str, start: int = 0, count: int = 75, size: tuple[int, int] = SMALL
) -> list[NDArray[np.uint8]]:
    """Frames of a clip as they are stored: (H, W, 3) uint8 RGB of that size, width before height."""
    found = []
    with av.open(str(CLIPS / name)) as container:
        for number, frame in enumerate(container.decode(container.streams.video[0])):
            if number >= start + count:
                break
            if number >= start:
                found.append(frame.to_ndarray(format="rgb24", width=size[0], height=size[1]))
    return found


def darker(pictures: Pictures, share: float) -> Iterator[NDArray[np.uint8]]:
    return ((picture * share).astype(np.uint8) for picture in pictures)


def two_seated() -> Iterator[NDArray[np.uint8]]:
    """The man on the left, the woman on the right, 640×180."""
    pairs = zip(shots("single_face.mp4", size=(320, 180)), shots("gesture_720p.mp4", size=(320, 180)))  # noqa: B905
    return (np.hstack(pair) for pair in pairs)


def uneven_ms(count: int, step_ms: float, seed: int) -> list[int]:
    """Times of frames whose distance wavers between half and one and a half of a step."""
    steps = np.random.default_rng(seed).uniform(0.5, 1.5, count - 1) * step_ms
    return [0, *np.cumsum(np.round(steps)).astype(int).tolist()]


def uneven(path: Path, pictures: list[NDArray[np.uint8]], seed: int) -> Path:
    return encode(path, pictures, times_ms=uneven_ms(len(pictures), 40, seed))


def lying(source: Path, target: Path) -> Path:
    """An MP4 whose header says that all pictures lie far beyond the end of the file."""
    content = bytearray(source.read_bytes())
    at = content.index(b"stco") + 8  # after version and flags: how many chunks, and where each begins
    chunks = int.from_bytes(content[at : at + 4], "big")
    for number in range(1, chunks + 1):
        content[at + 4 * number : at + 4 * number + 4] = (0x7FFF0000).to_bytes(4, "big")
    target.write_bytes(content)
    return target


def photo(path: Path, name: str, frame: int) -> Path:
    Image.fromarray(shots(name, frame, 1, (640, 360))[0]).save(path)
    return path


# --- the study


@dataclass(frozen=True)
class Case:
    """A session, and how it is to end.

    :param make: folder and stem → its videos.
    :param says: further cells of its line.
    :param reason: of the outcome, in part; for one that fails, all of it.
    :param side: where in the picture the patient's face must be.
    """

    what: str
    make: Callable[[Path, str], Path | list[Path]]
    says: Mapping[str, str] = field(default_factory=dict)
    state: str = "done"
    reason: str = ""
    side: str = ""


def made_of(name: str, suffix: str = ".mp4", *, rate: int = 25, **which: Any) -> Callable[[Path, str], Path]:
    return lambda folder, stem: encode(folder / f"{stem}{suffix}", shots(name, **which), rate=rate)


def copied(name: str) -> Callable[[Path, str], Path]:
    return lambda folder, stem: Path(shutil.copyfile(CLIPS / name, folder / f"{stem}{Path(name).suffix}"))


def cases(work: Path) -> list[Case]:
    """Forty sessions: 30 to be done, 2 partial, 8 failed."""
    folder = work / "recordings"
    sources = folder / "sources"
    sources.mkdir(parents=True)
    two = encode(sources / "two.mp4", two_seated())
    woman = encode(sources / "woman.mp4", shots("gesture_720p.mp4", count=150))
    plain = encode(sources / "plain.mp4", shots("single_face.mp4"))
    kept = encode(sources / "long.mkv", shots("gesture_720p.mp4", count=100))
    man_photo = photo(sources / "A.png", "single_face.mp4", 70)
    woman_photo = photo(sources / "B.png", "gesture_720p.mp4", 190)
    nobody = photo(sources / "C.png", "no_face.mp4", 40)

    def the(path: Path) -> Callable[[Path, str], Path]:
        return lambda folder, stem: path

    def split(folder: Path, stem: str) -> list[Path]:
        halves = shots("gesture_720p.mp4", count=50), shots("gesture_720p.mp4", 50, 50)
        return [encode(folder / f"{stem}-{n}.mp4", half) for n, half in enumerate(halves, 1)]

    def empty(folder: Path, stem: str) -> Path:
        (folder / f"{stem}.mp4").touch()
        return folder / f"{stem}.mp4"

    def text(folder: Path, stem: str) -> Path:
        (folder / f"{stem}.mp4").write_text("Notes of the visit: he slept.\n" * 50)
        return folder / f"{stem}.mp4"

    def mp4(make: Callable[[Path], Path]) -> Callable[[Path, str], Path]:
        return lambda folder, stem: make(folder / f"{stem}.mp4")

    def seen(person: Path) -> dict[str, str]:
        return {"patient_face": str(person.relative_to(folder))}

    unreadable = (
        "can't be read as a video (Invalid data found when processing input); "
        "it may be cut off or of another kind."
    )
    found = [
        Case("cut, man", made_of("single_face.mp4", count=60)),
        Case("cut, man, small", made_of("single_face.mp4", count=60, size=(320, 180))),
        Case("cut, woman", made_of("gesture_720p.mp4", count=60)),
        Case("cut, hand before face", made_of("gesture_720p.mp4", start=60)),
        Case("cut, woman, end", made_of("gesture_720p.mp4", start=120)),
        Case("signing: bird", made_of("asl_bird.mkv", size=(480, 360))),
        Case("signing: please", made_of("asl_please.mkv", size=(480, 360))),
        Case("signing: help", made_of("asl_help.mkv", size=(480, 360))),
        Case("signing: walk", made_of("asl_walk.mkv", size=(480, 360))),
        Case("sped 1.6 times", made_of("gesture_720p.mp4", rate=40, count=100)),
        Case("slowed to 15/s", made_of("single_face.mp4", rate=15, count=50)),
        Case("slowed by its packets", mp4(lambda path: remux(plain, path, seconds=4, frame_ms=60))),
        Case("turned 90° by metadata", copied("phone_rot90.mp4")),
        Case("turned 180°", copied("phone_rot180.mp4")),
        Case("turned 270°", copied("phone_rot270.mp4")),
        Case("variable rate, MP4", mp4(lambda path: uneven(path, shots("single_face.mp4", count=70), 1))),
        Case(
            "variable rate, MKV",
            lambda folder, stem: uneven(folder / f"{stem}.mkv", shots("gesture_720p.mp4", count=70), 2),
        ),
        Case(
            "variable rate, HEVC of a phone",
            copied("face_then_none.mov"),
            {"end_s": "3"},
        ),
        Case("darkened to a third", mp4(lambda path: encode(path, darker(shots("gesture_720p.mp4"), 0.35)))),
        Case(
            "darkened to a tenth",
            mp4(lambda path: encode(path, darker(shots("single_face.mp4"), 0.1))),
            reason="never well",
        ),
        Case("two people, region left", the(two), {"patient_region": LEFT}, side="left"),
        Case("two people, region right", the(two), {"patient_region": RIGHT}, side="right"),
        Case("two people, photo of the man", the(two), seen(man_photo), side="left"),
        Case("two people, photo of the woman", the(two), seen(woman_photo), side="right"),
        Case("one video, first part", the(woman), {"start_s": "0", "end_s": "2.8"}),
        Case("one video, second part", the(woman), {"start_s": "0:02.8", "end_s": "0:05.6"}),
        Case("two files", split),
        Case("a stretch left out", the(woman), {"end_s": "4", "exclude": "1-2"}),
        Case(
            "AVI, MPEG-4",
            lambda folder, stem: encode(folder / f"{stem}.avi", shots("single_face.mp4"), codec="mpeg4"),
        ),
        Case("nobody in it", made_of("no_face.mp4"), reason="no face"),
        Case(
            "recording broke off (MKV)",
            lambda folder, stem: cut_off(kept, folder / f"{stem}.mkv", 0.6),
            state="partial",
        ),
        Case(
            "damaged packets",
            mp4(lambda path: encode(path, shots("gesture_720p.mp4"), damage=lambda n: 25 <= n < 40)),
            state="partial",
        ),
        Case("empty file", empty, state="failed", reason="the file is empty."),
        Case(
            "cut off, no moov",
            mp4(lambda path: cut_off(plain, path, 0.7)),
            state="failed",
            reason=unreadable,
        ),
        Case("a text named .mp4", text, state="failed", reason=unreadable),
        Case("sound alone", mp4(sound_only), state="failed", reason="holds no video, only audio."),
        Case(
            "no consent",
            made_of("single_face.mp4"),
            {"consent": "no"},
            state="no_consent",
            reason="",
        ),
        Case(
            "a header that lies",
            mp4(lambda path: lying(plain, path)),
            state="failed",
            reason="holds no frame that can be shown.",
        ),
        Case(
            "photo without a face",
            made_of("single_face.mp4"),
            seen(nobody),
            state="failed",
            reason="the photo: shows 0 faces; give a photo with the patient's face alone.",
        ),
        Case(
            "its part is beyond the end",
            made_of("single_face.mp4", count=60),
            {"start_s": "60", "end_s": "90"},
            state="failed",
            reason="nothing is left of its 2.4 s by start_s, end_s, exclude.",
        ),
    ]
    assert Counter(case.state for case in found) == {"done": 30, "partial": 2, "failed": 7, "no_consent": 1}
    return found


def write_study(work: Path) -> tuple[list[Case], Path]:
    """Makes the videos, and their list; session n of the cases is P0n of four sessions each, S01 on."""
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
    return f"P{number // 4 + 1:02}", f"S{number % 4 + 1:02}"


FAULTLESS = "P2,S1,sources/plain.mp4,,,,,,yes"

# What `study check` and `process` refuse before anything starts, and a part of what they say.
REFUSED = {
    "video that is not there": ("P1,S1,gone.mp4,,,,,,yes", "is not there"),
    "photo that is not there": ("P1,S2,sources/plain.mp4,,,,gone.png,,yes", "is not there"),
    "photo of another kind": ("P1,S3,sources/plain.mp4,,,,sources/plain.mp4,,yes", "is no picture"),
    "end before start": ("P1,S4,sources/plain.mp4,2,1,,,,yes", "is not after start_s"),
    "region beyond the picture": ('P1,S5,sources/plain.mp4,,,,,"0,0,120,100",yes', "none above 100 %"),
    "no word on consent": ("P1,S6,sources/plain.mp4,,,,,,", "say yes or no"),
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
    assert check.said == process.said, (check, process)
    for number, (what, (_, expected)) in enumerate(REFUSED.items(), 3):
        said = [line for line in check.said.splitlines() if f"row {number}," in line]
        assert any(expected in line for line in said), (what, check.said)
        print(f"refused before anything starts: {what}")
    assert not out.exists()
    checked = emonext("study", "check", listed)
    assert checked.code == 0, checked
    assert "40 sessions" in checked.said, checked

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
    assert "30 done, 2 partial, 7 failed, 0 skipped, 1 without consent" in first.said, first
    for number, case in enumerate(planned):
        if case.side:
            assert side_of(out, *ids(number)) == case.side, case

    before, index = stamps(out), out / "reports" / "index.html"
    indexed_ns = index.stat().st_mtime_ns
    again = emonext("process", listed, "--out", out)
    print(f"again: {again}")
    assert again.code == 1, again
    assert "0 done, 0 partial, 7 failed, 32 skipped, 1 without consent" in again.said, again
    assert stamps(out) == before, "nothing was made anew"
    assert index.stat().st_mtime_ns == indexed_ns, "nor were pages"

    bad = next(number for number, case in enumerate(planned) if case.what == "empty file")
    shutil.copyfile(listed.parent / "sources/plain.mp4", listed.parent / f"{'_'.join(ids(bad))}.mp4")
    mended = emonext("process", listed, "--out", out)
    print(f"one file mended: {mended}")
    assert mended.code == 1, mended
    assert "1 done, 0 partial, 6 failed, 32 skipped, 1 without consent" in mended.said, mended
    changed = {path for path, stamp in stamps(out).items() if before.get(path) != stamp}
    patient, session = ids(bad)
    kinds = ("timelines", "faces")
    expected = {f"{kind}/patient_id={patient}/{session}.parquet" for kind in kinds}
    assert changed == expected | {f"logs/{patient}/{session}.log"}, changed
    # of a processor: how long it takes on a busy machine says nothing of the program
    assert again.cpu_s < AGAIN_S, f"doing nothing took {again.cpu_s:.1f} s of a processor"


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
    assert whole.code == 0, whole
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
    assert ended.code == 0, ended
    found = tables(out)
    assert found.keys() == wanted.keys(), (found.keys(), wanted.keys())
    for name, timeline in wanted.items():
        assert found[name].rows.equals(timeline.rows, null_equal=True), f"{out}: {name} differs"
        assert undated(found[name]) == undated(timeline), f"{out}: {name}: the metadata differ"
    assert set(read_status(out)["state"]) == {"done"}, read_status(out)
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
