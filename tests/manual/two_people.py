"""Sessions of two people, made of clips of one person each: whether the timeline is of the patient.

In every sample it is known where the two faces are, and whether one covers the other. Each session is
processed by the command line: by a photo of another moment, by a region, and by clicks on the page of people.

Run: python tests/manual/two_people.py --clips DIR --work DIR [--only crossing meeting] [--by photo click]
"""

# ruff: noqa: T201

import argparse
import csv
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from scipy.spatial.distance import cdist

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))  # it is run as a script

from videos import encode

from pipeline.faces.detection import iou
from pipeline.faces.mtcnn import Cascade
from pipeline.identity.embedding import DlibEmbedder, align
from pipeline.store.status import read_outcomes

ROOT = Path(__file__).parents[2]

WIDTH, HEIGHT, RATE = 640, 360, 10
FACE_PX = 90.0

# Of a cut-out, beyond the face's box, in sides of the box: hair, neck and shoulders.
ASIDE, ABOVE, BELOW = 0.75, 0.6, 0.9

# A face is visible if at most the first share of it is covered, and hidden from the second on.
SEEN, HIDDEN = 0.15, 0.6

# A box is of the face that it overlaps by at least this.
OVERLAP = 0.4

# Who is in the sessions, by clip and frames; and the photo of each, of another moment or another clip.
PEOPLE = {
    "man": ("single_face.mp4", range(0, 48, 2), ("face_then_none.mov", 60)),
    "signer": ("asl_bird.mkv", range(0, 60, 2), ("asl_please.mkv", 40)),
    "help": ("asl_help.mkv", range(0, 40, 2), ("asl_help.mkv", 54)),
    "walk": ("asl_walk.mkv", range(0, 60, 2), ("asl_walk.mkv", 84)),
    "woman": ("gesture_720p.mp4", range(0, 130, 3), ("gesture_720p.mp4", 185)),
}


@dataclass(frozen=True, eq=False)
class Sprite:
    """The cut-out of a person, as a loop forwards and backwards; the face is ``FACE_PX`` large.

    :param pictures: (H, W, 4) uint8 RGBA each. :param boxes: (n, 4) the face in them, px.
    :param photo: of another moment. :param embeddings: (m, D) of some of the faces.
    """

    pictures: list[Image.Image]
    boxes: NDArray[np.float64]
    photo: Image.Image
    embeddings: NDArray[np.float32]


@dataclass(frozen=True)
class Placed:
    """Where the middle of a person's face is, px, and its scale and light."""

    x: float
    y: float = 150.0
    scale: float = 1.0
    light: float = 1.0


Scene = Callable[[float], Sequence[tuple[int, Placed]]]
"""Time (s) → who is where, from the back to the front: 0 is the patient, 1 the carer."""


def frames_of(clip: Path, wanted: Sequence[int]) -> dict[int, NDArray[np.uint8]]:
    with av.open(str(clip)) as container:
        frames = enumerate(itertools.islice(container.decode(video=0), max(wanted) + 1))
        return {number: frame.to_ndarray(format="rgb24") for number, frame in frames if number in wanted}


def largest_face(
    detect: Cascade, picture: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """(4,) box and (5, 2) landmarks."""
    (found,) = detect(picture[None])
    if not len(found.boxes_xyxy):
        return None
    size = np.prod(found.boxes_xyxy[:, 2:] - found.boxes_xyxy[:, :2], axis=1)
    return found.boxes_xyxy[size.argmax()], found.landmarks[size.argmax()]


def read_sprite(clips: Path, name: str, detect: Cascade, embed: DlibEmbedder) -> Sprite:
    clip, wanted, (photo_clip, photo_frame) = PEOPLE[name]
    seen = {
        n: (p, face) for n, p in frames_of(clips / clip, wanted).items() if (face := largest_face(detect, p))
    }
    boxes = np.stack([box for _, (box, _) in seen.values()])
    middle = np.median(boxes, axis=0)
    side = float(np.sqrt((middle[2] - middle[0]) * (middle[3] - middle[1])))
    cut = np.round(middle + side * np.array([-ASIDE, -ABOVE, ASIDE, BELOW])).astype(int)
    scale = FACE_PX / side
    size = (round((cut[2] - cut[0]) * scale), round((cut[3] - cut[1]) * scale))
    mask = Image.new("L", size, 0)
    ImageDraw.Draw(mask).rounded_rectangle((4, 4, size[0] - 5, size[1] - 5), radius=size[0] // 3, fill=255)
    mask = mask.filter(ImageFilter.GaussianBlur(3))
    pictures = []
    for picture, _ in seen.values():
        part = Image.fromarray(picture).crop(cut.tolist()).resize(size, Image.Resampling.LANCZOS)
        part.putalpha(mask)
        pictures.append(part)
    (photo,) = [frames_of(clips / photo_clip, [photo_frame])[photo_frame]]
    found = largest_face(detect, photo)
    assert found is not None, (photo_clip, photo_frame)
    box = found[0]
    around = (box[2:] - box[:2]).max()
    edges = np.concatenate([box[:2] - around, box[2:] + around]).round().astype(int).tolist()
    return Sprite(
        pictures,
        (boxes - np.tile(cut[:2], 2)) * scale,
        Image.fromarray(photo).crop(edges),
        embed(np.stack([align(picture, marks) for picture, (_, marks) in [*seen.values()][::4]])),
    )


# --- the scenes


def to_and_fro(start: float, end: float, period_s: float, time_s: float) -> float:
    share = (1 - np.cos(2 * np.pi * time_s / period_s)) / 2
    return float(start + share * (end - start))


def seated(time_s: float, x: float, **of: float) -> Placed:
    """A seat; nobody sits quite still."""
    return Placed(x + 4 * np.sin(time_s * 1.3 + x), 150 + 3 * np.sin(time_s * 0.9), **of)


def side_by_side(time_s: float) -> list[tuple[int, Placed]]:
    return [(0, seated(time_s, 190)), (1, seated(time_s, 450))]


def crossing(time_s: float) -> list[tuple[int, Placed]]:
    """Both walk to and fro; the one in front changes each time."""
    rows = [(0, Placed(to_and_fro(130, 510, 12, time_s))), (1, Placed(to_and_fro(510, 130, 12, time_s)))]
    return rows if int(time_s / 6) % 2 else rows[::-1]


def meeting(time_s: float) -> list[tuple[int, Placed]]:
    """Both meet in the middle, the carer covers the patient for two seconds, and each goes on or back."""
    turn, within = divmod(time_s, 8)
    apart = float(np.clip(abs(within - 4) / 1.5 - 1, 0, 1))
    side = -1 if turn % 2 else 1
    return [(0, Placed(320 - side * 170 * apart)), (1, Placed(320 + side * 170 * apart))]


def swapped_after_cut(time_s: float) -> list[tuple[int, Placed]]:
    """A cut each eight seconds; both have changed seats."""
    places = (190, 450) if int(time_s / 8) % 2 == 0 else (450, 190)
    return [(0, seated(time_s, places[0])), (1, seated(time_s, places[1]))]


def swapped_while_absent(time_s: float) -> list[tuple[int, Placed]]:
    """Both are away for three seconds of each ten, and come back to the other seat."""
    turn, within = divmod(time_s, 10)
    places = (190, 450) if turn % 2 == 0 else (450, 190)
    return [(0, seated(time_s, places[0])), (1, seated(time_s, places[1]))] if within < 7 else []


def taken_seat(time_s: float) -> list[tuple[int, Placed]]:
    """One seat, one person at a time: the patient, after a cut the carer, and so on."""
    turn, within = divmod(time_s, 9)
    if within > 7.5 and turn % 2:
        return []
    return [(int(turn % 2), seated(time_s, 320))]


def leaves_and_returns(time_s: float) -> list[tuple[int, Placed]]:
    """The patient goes out on the left, and comes back from the right to another seat; the carer stays."""
    within = time_s % 20
    carer = [(1, seated(time_s, 320))]
    if within < 7:
        return [*carer, (0, seated(time_s, 130))]
    if within < 9:
        return [*carer, (0, Placed(130 - 130 * (within - 7)))]
    if within < 12:
        return carer
    if within < 14:
        return [*carer, (0, Placed(770 - 130 * (within - 12)))]
    return [*carer, (0, seated(time_s, 510))]


def leans_in_front(time_s: float) -> list[tuple[int, Placed]]:
    """The carer leans over the patient's face for some seconds, larger, and goes back."""
    within = time_s % 10
    lean = float(np.clip(min(within - 3, 8 - within), 0, 1))
    carer = Placed(450 - 230 * lean, 150 - 5 * lean, 1 + 0.25 * lean)
    return [(0, seated(time_s, 220)), (1, carer)]


def two_cameras(time_s: float) -> list[tuple[int, Placed]]:
    """A camera before them, and one nearer, from the other side and darker: places and sizes change."""
    if int(time_s / 7) % 2 == 0:
        return [(0, seated(time_s, 180)), (1, seated(time_s, 430, scale=0.9))]
    return [(1, seated(time_s, 190, scale=1.1, light=0.7)), (0, seated(time_s, 470, scale=1.35, light=0.7))]


# Scene, its length in s, the patient's region if the patient has a seat, the patient, the carer.
SCENES: dict[str, tuple[Scene, float, str, str, str]] = {
    "side by side": (side_by_side, 30, "0,0,50,100", "man", "woman"),
    "crossing": (crossing, 36, "", "woman", "man"),
    "crossing, alike": (crossing, 36, "", "signer", "help"),
    "meeting": (meeting, 32, "", "help", "man"),
    "swapped after a cut, alike": (swapped_after_cut, 32, "0,0,50,100", "signer", "help"),
    "swapped while absent": (swapped_while_absent, 30, "", "walk", "woman"),
    "seat taken after a cut": (taken_seat, 36, "25,0,75,100", "woman", "walk"),
    "left and returned, alike": (leaves_and_returns, 40, "", "help", "signer"),
    "leaning in front": (leans_in_front, 30, "0,0,50,100", "man", "walk"),
    "two cameras": (two_cameras, 35, "", "woman", "help"),
}


# --- the videos, and what is known of them


@dataclass(frozen=True, eq=False)
class Truth:
    """Of each frame and person: the face's box, and how much of it is covered; NaN if not in the picture.

    :param boxes: (n, 2, 4) px. :param covered: (n, 2) 0…1.
    """

    boxes: NDArray[np.float64]
    covered: NDArray[np.float64]


def draw(scene: Scene, lasts_s: float, pair: Sequence[Sprite], truth: Truth) -> Iterator[NDArray[np.uint8]]:
    noise = np.random.default_rng(0).integers(90, 130, (HEIGHT // 20, WIDTH // 20, 3)).astype(np.uint8)
    room = Image.fromarray(noise).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    for number in range(round(lasts_s * RATE)):
        picture = room.copy()
        cover: list[tuple[int, NDArray[np.float64]]] = []
        for who, at in scene(number / RATE):
            loop = [*range(len(pair[who].pictures)), *range(len(pair[who].pictures) - 2, 0, -1)]
            place = loop[number % len(loop)]
            cut = pair[who].pictures[place]
            shown = cut.resize((round(cut.width * at.scale), round(cut.height * at.scale)))
            if at.light != 1:
                alpha = shown.getchannel("A")
                shown = shown.convert("RGB").point(lambda level, light=at.light: level * light)
                shown.putalpha(alpha)
            middle = at.scale * np.median(pair[who].boxes, axis=0).reshape(2, 2).mean(axis=0)
            corner = np.round(np.array([at.x, at.y]) - middle).astype(int)
            picture.paste(shown, tuple(corner.tolist()), shown)
            box = pair[who].boxes[place] * at.scale + np.tile(corner, 2)
            truth.boxes[number, who] = box
            truth.covered[number, who] = 1 - share_of(box, np.array([0, 0, WIDTH, HEIGHT]))
            for other, before in cover:
                behind = share_of(before, np.concatenate([corner, corner + shown.size]))
                truth.covered[number, other] = max(truth.covered[number, other], behind)
            cover.append((who, box))
        yield np.array(picture)


def share_of(box: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """How much of the box is in the other."""
    sides = np.clip(np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2]), 0, None)
    return float(sides.prod() / (box[2:] - box[:2]).prod())


def make_video(path: Path, name: str, pair: Sequence[Sprite]) -> Truth:
    scene, lasts_s, *_ = SCENES[name]
    frames = round(lasts_s * RATE)
    truth = Truth(np.full((frames, 2, 4), np.nan), np.full((frames, 2), np.nan))
    encode(path, draw(scene, lasts_s, pair, truth), rate=RATE, options={"crf": "18"})
    return truth


# --- the command line


def emonext(*arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise SystemExit(f"{arguments}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


@dataclass(frozen=True, eq=False)
class Trial:
    """A session, and a way to say who is the patient; each trial is a patient of its own."""

    patient_id: str
    scene: str
    by: str
    video: Path
    photo: Path
    truth: Truth

    def cells(self) -> dict[str, str]:
        """The trial's row of the list."""
        return {
            "patient_id": self.patient_id,
            "session_id": "S1",
            "video": str(self.video),
            "patient_face": str(self.photo) if self.by == "photo" else "",
            "patient_region": SCENES[self.scene][2] if self.by == "region" else "",
            "consent": "yes",
        }


def process(folder: Path, trials: Sequence[Trial]) -> None:
    """Process the trials of one study; for clicks, name everybody as the pictures show them."""
    with (folder / "sessions.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, list(trials[0].cells()))
        rows.writeheader()
        rows.writerows(trial.cells() for trial in trials)
    emonext("process", folder / "sessions.csv", "--out", folder / "out", "--jobs", "1")
    if trials[0].by == "click":
        emonext("people", folder / "out")
        click(folder, {trial.patient_id: trial.truth for trial in trials})
        emonext("people", folder / "out", "--apply", folder / "people.csv")


def click(folder: Path, truths: Mapping[str, Truth]) -> None:
    """The people.csv of somebody who names each person by whom most of the samples show."""
    shown: dict[tuple[str, int], list[int]] = {}
    for patient_id, truth in truths.items():
        faces = read_table(folder / "out", "faces", patient_id)
        for track, frame, *box in faces.select("track", "frame", "x1", "y1", "x2", "y2").iter_rows():
            counts = shown.setdefault((patient_id, track), [0, 0])
            who = whose(truth, frame, np.array(box))
            if who is not None:
                counts[who] += 1
    with (folder / "out/people.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=","))
    for row in rows:
        seen = [shown[row["patient_id"], int(track)] for track in row["tracks"].split()]
        patient, carer = np.sum(seen, axis=0)
        row["role"] = "patient" if patient > carer else "caregiver" if carer else "other"
        row["approved"] = "yes"
    with (folder / "people.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=",")
        writer.writeheader()
        writer.writerows(rows)


def read_table(out: Path, kind: str, patient_id: str) -> pl.DataFrame:
    return pl.read_parquet(out / kind / f"patient_id={patient_id}/S1.parquet", hive_partitioning=False)


# --- the measure


def whose(truth: Truth, frame: int, box: NDArray[np.float64]) -> int | None:
    """Whose face that is in the box: of those not hidden, the one that it overlaps most."""
    over = [
        -1.0
        if not truth.covered[frame, who] < HIDDEN
        else float(iou(box[None], truth.boxes[frame, who][None])[0])
        for who in (0, 1)
    ]
    best = int(np.argmax(over))
    return best if over[best] >= OVERLAP else None


@dataclass(frozen=True)
class Result:
    state: str
    chosen_by: str
    samples: int
    visible: int
    found: int
    right: int
    wrong: int
    nowhere: int
    reason: str

    def line(self) -> str:
        share = self.right / self.found if self.found else float("nan")
        return (
            f"{self.state:8} right {self.right:3} of {self.found:3} found of {self.visible:3} visible "
            f"({share:6.1%}), somebody else {self.wrong:3}, nobody {self.nowhere}  [{self.reason}]"
        )


def measure(out: Path, trial: Trial) -> Result:
    truth = trial.truth
    rows, faces = (read_table(out, kind, trial.patient_id) for kind in ("timelines", "faces"))
    seen = {
        frame
        for frame, *box in faces.select("frame", "x1", "y1", "x2", "y2").iter_rows()
        if whose(truth, frame, np.array(box)) == 0
    }
    visible = [frame for frame in rows["frame"] if truth.covered[frame, 0] <= SEEN]
    of = {
        frame: whose(truth, frame, np.array(box))
        for frame, *box in rows.drop_nulls("x1").select("frame", "x1", "y1", "x2", "y2").iter_rows()
    }
    outcome = read_outcomes(out)[trial.patient_id, "S1"]
    found = [frame for frame in visible if frame in seen]
    return Result(
        outcome.state,
        outcome.identity or "",
        len(rows),
        len(visible),
        len(found),
        sum(of.get(frame) == 0 for frame in found),
        sum(who == 1 for who in of.values()),
        sum(who is None for who in of.values()),
        outcome.reason,
    )


def alike(sprites: Mapping[str, Sprite]) -> tuple[tuple[str, str], float]:
    """The two people whose nearest faces are nearest."""
    far = {
        pair: float(cdist(*(sprites[name].embeddings for name in pair)).min())
        for pair in itertools.combinations(sprites, 2)
    }
    nearest = min(far, key=lambda pair: far[pair])
    return nearest, far[nearest]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="a folder to work in")
    parser.add_argument("--only", nargs="+", choices=tuple(SCENES), help="some of the scenes")
    parser.add_argument("--by", nargs="+", choices=("photo", "region", "click"))
    given = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    detect, embed = Cascade(), DlibEmbedder()
    sprites = {name: read_sprite(given.clips, name, detect, embed) for name in PEOPLE}
    nearest, distance = alike(sprites)
    print(f"most alike: {' and '.join(nearest)}, {distance:.2f} apart")
    given.work.mkdir(parents=True, exist_ok=True)
    work = given.work.resolve()
    made: list[Trial] = []
    for number, (name, (_, _, region, *pair)) in enumerate(SCENES.items(), 1):
        if given.only and name not in given.only:
            continue
        video, photo = work / f"{number:02}.mp4", work / f"{number:02}.png"
        truth = make_video(video, name, [sprites[person] for person in pair])
        sprites[pair[0]].photo.save(photo)
        for by in given.by or ("photo", "region", "click"):
            if by != "region" or region:
                made.append(Trial(f"P{number:02}", name, by, video, photo, truth))
    for by in dict.fromkeys(trial.by for trial in made):
        folder = work / by
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        own = [trial for trial in made if trial.by == by]
        process(folder, own)
        for trial in own:
            result = measure(folder / "out", trial)
            print(f"{trial.scene:28}{by:8}{result.line()}")


if __name__ == "__main__":
    sys.exit(main())
