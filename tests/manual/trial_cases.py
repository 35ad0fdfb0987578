"""The videos and the list of the trial."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from videos import Pictures, cut_off, encode, remux, sound_only

ROOT = Path(__file__).parents[2]
CLIPS = ROOT.parent / "shared" / "videos"
SMALL = (480, 270)


# Of which share a region is, in % of the picture.
LEFT, RIGHT = "0,0,50,100", "50,0,100,100"
AGAIN_S = 5.0


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
            state="to_check",
            reason="never well enough to be read",
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
        Case("nobody in it", made_of("no_face.mp4"), state="to_check", reason="no face"),
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
            reason="nothing is left of its 2.4 s after start_s, end_s and exclude.",
        ),
    ]
    assert Counter(case.state for case in found) == {
        "done": 28,
        "to_check": 2,
        "partial": 2,
        "failed": 7,
        "no_consent": 1,
    }
    return found
