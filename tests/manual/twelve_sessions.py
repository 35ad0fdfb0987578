"""Twelve sessions of one patient whose photo fits badly: two confirmed sessions must recognise the others.

A clip is cut into twelve sessions that differ in expression, light, size, sharpness and angle; a carer is in
every third. The photo is blurred, so that sessions are to check. Somebody confirms two of these.

Run: python tests/manual/twelve_sessions.py --clips DIR --work DIR
"""

# ruff: noqa: T201

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))  # it is run as a script

from two_people import emonext, read_sprite
from videos import encode

from pipeline.faces.mtcnn import Cascade
from pipeline.identity.embedding import DlibEmbedder
from pipeline.store.status import read_outcomes
from pipeline.store.timeline import read_timeline

SESSIONS, RATE, PICTURES = 12, 10, 60
PATIENT, CARER = "walk", "woman"
SIDE, GREY = 240, (96, 96, 96)

# Pictures of the clip in each session.
PART = 10

# Of the photo, px of 240.
PHOTO_BLUR = 2.0

# Of each session: light, size, blur (px), turn (degrees).
LOOKS = [
    (light, size, blur, turn)
    for light, size in ((1.0, 1.0), (0.45, 0.8), (1.4, 0.6))
    for blur, turn in ((0.0, 0.0), (1.0, 12.0), (2.0, -12.0), (1.5, 20.0))
]


def shown(cut_out: Image.Image, light: float, size: float, blur: float, turn: float) -> Image.Image:
    """In the middle of a grey square."""
    small = cut_out.resize((round(cut_out.width * size), round(cut_out.height * size)))
    changed = small.filter(ImageFilter.GaussianBlur(blur * size)).rotate(turn, Image.Resampling.BICUBIC)
    room = Image.new("RGB", (SIDE, SIDE), GREY)
    mask = changed if changed.mode == "RGBA" else None
    room.paste(changed, ((SIDE - changed.width) // 2, (SIDE - changed.height) // 2), mask)
    return ImageEnhance.Brightness(room).enhance(light)


def pictures_of(
    number: int, patient: Sequence[Image.Image], carer: Sequence[Image.Image]
) -> Iterator[NDArray[np.uint8]]:
    """The session's own part of the clip, forwards and backwards; the patient on the left."""
    first = number * (len(patient) - PART) // (SESSIONS - 1)
    loop = [*range(first, first + PART), *range(first + PART - 2, first, -1)]
    for count in range(PICTURES):
        beside = Image.new("RGB", (SIDE, SIDE), GREY)
        if number % 3 == 2:
            beside = shown(carer[count % len(carer)], 1.0, 1.0, 0.0, 0.0)
        picture = shown(patient[loop[count % len(loop)]], *LOOKS[number])
        yield np.hstack([np.array(picture), np.array(beside)])


def write_study(clips: Path, folder: Path) -> Path:
    detect, embed = Cascade(), DlibEmbedder()
    patient, carer = (read_sprite(clips, name, detect, embed) for name in (PATIENT, CARER))
    patient.photo.filter(ImageFilter.GaussianBlur(PHOTO_BLUR * patient.photo.width / SIDE)).save(
        folder / "photo.png"
    )
    listed = folder / "sessions.csv"
    with listed.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["patient_id", "session_id", "video", "patient_face", "consent"])
        for number in range(SESSIONS):
            video = folder / f"{number + 1:02}.mp4"
            encode(
                video, pictures_of(number, patient.pictures, carer.pictures), rate=RATE, options={"crf": "18"}
            )
            rows.writerow(["P1", f"S{number + 1:02}", video.name, "photo.png", "yes"])
    return listed


def confirm(out: Path, sessions: list[str]) -> None:
    """Name whoever sits on the left the patient, in these sessions."""
    left = {session: tracks_on_the_left(out, session) for session in sessions}
    with (out / "people.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=","))
    for row in rows:
        if row["session_id"] in left:
            own = left[row["session_id"]] & set(map(int, row["tracks"].split()))
            row["role"], row["approved"] = "patient" if own else "caregiver", "yes"
    with (out / "confirmed.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=",")
        writer.writeheader()
        writer.writerows(rows)
    emonext("people", out, "--apply", out / "confirmed.csv")


def tracks_on_the_left(out: Path, session: str) -> set[int]:
    faces = pl.read_parquet(out / f"faces/patient_id=P1/{session}.parquet", hive_partitioning=False)
    return set(faces.filter((pl.col("x1") + pl.col("x2")) / 2 < SIDE)["track"])


def report(out: Path) -> None:
    for outcome in read_outcomes(out).values():
        if outcome.state == "failed":
            raise SystemExit(f"{outcome.session_id}: {outcome.reason}")
        timeline = read_timeline(out / f"timelines/patient_id=P1/{outcome.session_id}.parquet")
        middle = (timeline.rows["x1"] + timeline.rows["x2"]).drop_nulls() / 2
        rows = f"{(middle < SIDE).sum()} of {len(timeline.rows)} rows of the patient"
        print(
            f"{outcome.session_id} {outcome.identity:11}{rows}, {(middle >= SIDE).sum()} of the carer; "
            f"photo {timeline.metadata['patient'].get('photos', '')} {outcome.reason}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="a folder to work in, new or empty")
    given = parser.parse_args()
    work = given.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    out = work / "out"
    emonext("process", write_study(given.clips, work), "--out", out, "--jobs", "1")
    report(out)
    unsure = [outcome.session_id for outcome in read_outcomes(out).values() if outcome.state == "to_check"]
    print(f"to check: {', '.join(unsure)}; confirmed by hand: {', '.join(unsure[:2])}")
    emonext("people", out)
    confirm(out, unsure[:2])
    report(out)
    states = [outcome.state for outcome in read_outcomes(out).values()]
    assert len(unsure) >= 2, "the photo fits too well"
    assert states == ["done"] * SESSIONS, states


if __name__ == "__main__":
    sys.exit(main())
