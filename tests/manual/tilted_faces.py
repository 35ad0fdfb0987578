"""Agreement of turned copies of a clip with the clip itself, as docs/classifier.md shows it.

Run: python tests/manual/tilted_faces.py --clips DIR --out DIR
"""

# ruff: noqa: T201

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emonext import Classifier
from pipeline.commands.networks import crop_of
from pipeline.faces.detection import find_faces
from pipeline.faces.following import Follower
from pipeline.faces.quality import QualityLimits
from pipeline.faces.tracking import track_faces
from pipeline.faces.upright import UprightCascade
from pipeline.records import Frames
from pipeline.video.container import probe
from pipeline.video.decoding import SampledVideo

CLIPS = ("single_face.mp4", "asl_help.mkv", "asl_walk.mkv", "asl_please.mkv", "gesture_720p.mp4")
ANGLES = (0, 20, 35, 45, 90, 180, 270)
SAMPLE_FPS, KEY_EVERY = 5, 5


def turned(frames: Frames, deg: float) -> Frames:
    """Clockwise as seen, with black corners."""
    pictures = [
        Image.fromarray(image).rotate(-deg, Image.Resampling.BICUBIC, True) for image in frames.images
    ]
    return replace(frames, images=np.stack([np.array(picture) for picture in pictures]))


def expressions(
    path: Path, deg: float, cascade: UprightCascade, classify: Classifier
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Sample → (7,) of the face that is seen longest, where it is readable."""
    video, limits = SampledVideo(probe(path), SAMPLE_FPS), QualityLimits()
    follow = Follower(cascade, cascade.refine, KEY_EVERY, cascade)
    crop_spec = crop_of(classify.card.preprocessing)
    found = find_faces((turned(frames, deg) for frames in video), follow, crop_spec)
    faces = [(sample.sample, face) for sample in track_faces(found) for face in sample.faces]
    [(longest, _)] = Counter(face.track for _, face in faces).most_common(1)
    for sample, face in faces:
        if face.track == longest and limits.accept(face):
            yield sample, classify(face.crop[None])[0]


def compare(
    upright: dict[int, NDArray[np.float32]], askew: dict[int, NDArray[np.float32]]
) -> tuple[float, float, float]:
    """Share of samples that are kept; of these, share with the same emotion, and mean change."""
    both = upright.keys() & askew.keys()
    if not both:
        return 0.0, np.nan, np.nan
    same = np.mean([upright[sample].argmax() == askew[sample].argmax() for sample in both])
    change = np.mean([np.abs(upright[sample] - askew[sample]).sum() / 2 for sample in both])
    return len(both) / len(upright), float(same), float(change)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    cascade, classify = UprightCascade(40), Classifier(device="cpu")
    rows = []
    for name in CLIPS:
        upright = dict(expressions(given.clips / name, 0, cascade, classify))
        for deg in ANGLES[1:]:
            askew = dict(expressions(given.clips / name, deg, cascade, classify))
            kept, same, change = compare(upright, askew)
            rows.append((name, deg, kept, same))
            print(f"{name} {deg:3d}°: kept {kept:.0%}, same {same:.0%}, mean change {change:.3f}", flush=True)
    given.out.mkdir(parents=True, exist_ok=True)
    draw(rows, given.out / "tilted_faces.png")


def draw(rows: list[tuple[str, int, float, float]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, both = plt.subplots(1, 2, figsize=(8, 3.2), dpi=150, sharey=True)
    for axes, column, title in zip(both, (2, 3), ("samples kept", "of these, same emotion"), strict=True):
        for name in CLIPS:
            shares = [row[column] for row in rows if row[0] == name]
            axes.plot(range(len(shares)), shares, "o-", label=name, alpha=0.8)
        axes.set(title=title, ylim=(0, 1.05), xticks=range(len(ANGLES) - 1), xlabel="picture turned by")
        axes.set_xticklabels([f"{deg}°" for deg in ANGLES[1:]])
        axes.grid(alpha=0.3)
    both[0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path)


if __name__ == "__main__":
    main()
