"""Genuine and impostor distances on the shared clips, as docs/who-is-the-patient.md shows them.

Every face of every clip is a photo once. It is compared with each person's portraits, as the program chooses
them, but none from the photo's own second.

Run: python tests/manual/identity_distances.py --clips DIR --out DIR
"""

# ruff: noqa: T201

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from pipeline.faces.detection import CropSpec, find_faces
from pipeline.faces.mtcnn import Cascade
from pipeline.faces.tracking import track_faces
from pipeline.identity.embedding import DlibEmbedder, align
from pipeline.identity.portraits import best_faces, portrait_quality
from pipeline.records import Face, FrameFaces, Frames
from pipeline.video.container import probe
from pipeline.video.decoding import SampledVideo

SAMPLE_FPS = 10

# Who is who in the clips, by clip and track; a drawing on a shirt is nobody.
SAME_MAN = ("single_face.mp4", "face_then_none.mov", "none_then_face.mov")
SIGNER = ("asl_bird.mkv", "asl_please.mkv")
BOY = (("crowd_1080p.mp4", 2), ("crowd_1080p.mp4", 8))
OTHERS = ("asl_help.mkv", "asl_walk.mkv", "gesture_720p.mp4", "crowd_1080p.mp4", "three_walk.mp4")

# A family brings photos on which the face can be seen: sharper and more frontal than most faces of a crowd.
PHOTO_QUALITY = 0.3


@dataclass(frozen=True, eq=False)
class Track:
    """One person in one clip.

    :param time_s, quality: (n,) of its faces. ``embeddings``: (n, D). ``portraits``: which faces are chosen.
    """

    clip: str
    number: int
    person: str
    time_s: NDArray[np.float64]
    quality: NDArray[np.float64]
    embeddings: NDArray[np.float32]
    portraits: NDArray[np.bool_]


def person_of(clip: str, track: int) -> str:
    if clip in SAME_MAN:
        return "man"
    if clip in SIGNER:
        return "signer"
    if (clip, track) in BOY:
        return "boy"
    return f"{clip} {track}"


def read_clip(path: Path, detect: Cascade, embed: DlibEmbedder) -> list[Track]:
    pictures: dict[int, NDArray[np.uint8]] = {}

    def kept(frames: Frames) -> Frames:
        pictures.update(zip(frames.sample.tolist(), frames.images, strict=True))
        return frames

    video = SampledVideo(probe(path), SAMPLE_FPS)
    samples = list(track_faces(find_faces(map(kept, video), detect, CropSpec())))
    chosen = best_faces(samples)
    tracks: dict[int, list[tuple[FrameFaces, Face]]] = {}
    for sample in samples:
        for face in sample.faces:
            tracks.setdefault(face.track or 0, []).append((sample, face))
    found = []
    for number, faces in tracks.items():
        if number not in chosen or len(faces) < SAMPLE_FPS:
            continue
        portraits = {sample.sample for sample, _ in chosen[number]}
        found.append(
            Track(
                path.name,
                number,
                person_of(path.name, number),
                np.array([sample.time_s for sample, _ in faces]),
                np.array([portrait_quality(face) for _, face in faces]),
                embed(np.stack([align(pictures[s.sample], f.landmarks) for s, f in faces])),
                np.array([sample.sample in portraits for sample, _ in faces]),
            )
        )
    return found


def distances(tracks: list[Track]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Of every photo with a track: (n,) nearest distance, whether it is the same person, its quality."""
    rows = []
    for of in tracks:
        for time_s, quality, photo in zip(of.time_s, of.quality, of.embeddings, strict=True):
            for track in tracks:
                shown = track.portraits.copy()
                if track.clip == of.clip:
                    shown &= np.floor(track.time_s) != np.floor(time_s)
                if shown.any():
                    nearest = cdist(photo[None], track.embeddings[shown]).min()
                    rows.append((nearest, track.person == of.person, quality))
    far, genuine, quality = np.array(rows).T
    return far, genuine, quality


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    detect, embed = Cascade(), DlibEmbedder()
    names = [*SAME_MAN, *SIGNER, *OTHERS]
    tracks = [track for name in names for track in read_clip(given.clips / name, detect, embed)]
    far, genuine, quality = distances(tracks)
    clear = quality >= PHOTO_QUALITY
    print(f"{len(tracks)} tracks of {len({track.person for track in tracks})} people")
    for name, which in (("all photos", np.ones_like(clear)), ("clear photos", clear)):
        same, others = far[which & (genuine == 1)], far[which & (genuine == 0)]
        print(f"{name}: one person {len(same)} comparisons, two people {len(others)}")
        for limit in (embed.same_person, embed.perhaps):
            print(f"  up to {limit:.2f}: {np.mean(same <= limit):.1%} and {np.mean(others <= limit):.2%}")
        print(f"  nearest of two people {others.min():.2f}, furthest of one {same.max():.2f}")
    draw(
        far[clear & (genuine == 1)], far[clear & (genuine == 0)], embed, given.out / "identity_distances.png"
    )


def draw(same: NDArray[np.float64], others: NDArray[np.float64], embed: DlibEmbedder, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 3.2), dpi=150)
    bins = np.linspace(0, 1, 51)
    for values, label, colour in ((same, "same person", "#00785a"), (others, "two people", "#b3261e")):
        weights = np.full(len(values), 1 / len(values))
        axes.hist(values, bins, weights=weights, label=f"{label} ({len(values)})", color=colour, alpha=0.6)
    axes.axvspan(embed.same_person, embed.perhaps, color="#c3c8cc", alpha=0.5, label="to check")
    axes.set(xlabel="distance of a photo from the nearest portrait", ylabel="share", xlim=(0, 1))
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path)


if __name__ == "__main__":
    sys.exit(main())
